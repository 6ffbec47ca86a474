package streamio

import (
	"errors"

	"flowtools/pkg/ftfile"
)

// Join is the output of several streams that are put together: flow-cat's and
// flow-merge's. The first stream decides on the record version.
type Join struct {
	*Output
	Sink   *Sink
	Header *ftfile.Header // what is known before the first stream
	Final  []ftfile.Tag   // the fields that the header of a regular file has
	Out    *ftfile.Writer // nil until the first stream

	start, end uint32 // least and greatest raw capture times of the streams
}

// Begin takes notice of the header of a stream to be put in.
func (j *Join) Begin(h *ftfile.Header) error {
	if j.Out == nil {
		j.Header.SetVersion(h.Version)
		j.start = h.Start
		if j.Sink.Regular {
			j.Header.Mark(j.Final...)
		}
		out, err := j.CreateOn(j.Sink, j.Header)
		if err != nil {
			return err
		}
		j.Out = out
	} else if h.Version != j.Header.Version {
		// Compat: the records still buffered are lost (stream-format.md section 9).
		return errors.New("data version or sub version changed!")
	}
	j.start, j.end = min(j.start, h.Start), max(j.end, h.End)
	return nil
}

// Complete ends the output. In a regular file the capture times are the extremes
// of the streams', a stream without times counting as 0, and the flows those
// written.
func (j *Join) Complete() error {
	return j.Sink.Complete(j.Out, j.Header, func(h *ftfile.Header) {
		h.Start, h.End, h.Flows = j.start, j.end, uint32(j.Out.Flows())
	})
}

// Abort lets go of an output that was not completed: what is buffered is lost.
func (j *Join) Abort() {
	if j.Out != nil {
		j.Out.Abort()
	}
	_ = j.Sink.Close() // lost anyway, or closed
}
