package ftfile

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"

	"flowtools/pkg/flow"
)

// Buffer sizes of the format's writers. They show when a tool stops with an
// error in mid-stream and in what a reader of an open file sees.
const (
	recordBuffer  = 32768 // whole records only
	deflateBuffer = 16384 // compressed data
)

// Writer writes one stream: header, then records in the header's byte order,
// compressed if its level is not 0. It is for one goroutine; compression runs
// in others, so Close or Abort must be called.
type Writer struct {
	w      io.Writer
	out    io.Writer // w, or the deflater over w
	zip    *deflater
	layout *flow.Layout
	order  flow.Order
	level  int
	jobs   int
	shared *Deflaters
	size   int    // octets of the header
	block  int    // octets of the whole records that fit recordBuffer
	buf    []byte // records not written yet, in stream order
	flows  uint64
	err    error // of every later call
	closed bool
	result error // of Close
}

// Option changes how a Writer writes.
type Option func(*Writer)

// Level sets the zlib level: 0 (default) writes plain records.
func Level(level int) Option { return func(w *Writer) { w.level = level } }

// Parallel lets n goroutines deflate blocks of one zlib stream at a time. The
// default is 1, which deflates behind the caller.
func Parallel(n int) Option { return func(w *Writer) { w.jobs = n } }

// Shared makes the Writer compress with d, at the level of d; nil changes
// nothing.
func Shared(d *Deflaters) Option {
	return func(w *Writer) {
		if d != nil {
			w.shared, w.level = d, d.level
		}
	}
}

// NewWriter writes header h to w and returns a Writer for its records. The
// level decides over [FlagCompress] in the header that is written.
func NewWriter(w io.Writer, h *Header, opts ...Option) (*Writer, error) {
	l, err := flow.LayoutOf(h.Version)
	if err != nil {
		return nil, err
	}
	fw := &Writer{w: w, out: w, layout: l, order: h.Order(), jobs: 1}
	for _, o := range opts {
		o(fw)
	}
	head, err := fw.header(h)
	if err != nil {
		return nil, err
	}
	fw.size = len(head)
	if _, err := w.Write(head); err != nil {
		return nil, fmt.Errorf("writen(): %w", Reason(err))
	}
	fw.block = recordBuffer / l.Size * l.Size
	if fw.level > 0 {
		fw.zip = newDeflater(bufio.NewWriterSize(w, deflateBuffer), fw.shared, fw.level, fw.jobs)
		fw.out = fw.zip
	}
	return fw, nil
}

// header encodes h with the compression flag of this writer.
func (w *Writer) header(h *Header) ([]byte, error) {
	head := *h
	head.OrderByte = byte(w.order)
	head.Flags &^= FlagCompress
	if w.level > 0 {
		head.Flags |= FlagCompress
	}
	return head.Append(nil)
}

// Layout returns the layout of the records.
func (w *Writer) Layout() *flow.Layout { return w.layout }

// Flows returns the number of records written so far.
func (w *Writer) Flows() uint64 { return w.flows }

// Write appends the records of b, whose layout must be the writer's. The batch
// is not changed.
//
// Compat: plain records go out in blocks of those that fit 32768 octets, each
// when the next record does not fit (stream-format.md section 9).
func (w *Writer) Write(b *flow.Batch) error {
	if w.err != nil {
		return w.err
	}
	w.flows += uint64(b.Len())
	records := b.Bytes()
	for len(records) > 0 {
		if w.order == flow.LittleEndian && len(w.buf) == 0 && len(records) > w.block {
			direct := (len(records) - 1) / w.block * w.block
			w.put(records[:direct])
			records = records[direct:]
			continue
		}
		if len(w.buf) == w.block {
			w.drain()
		}
		n := min(w.block-len(w.buf), len(records))
		old := len(w.buf)
		w.buf = append(w.buf, records[:n]...)
		if w.order == flow.BigEndian {
			w.layout.SwapOrder(w.buf[old:])
		}
		records = records[n:]
	}
	return w.err
}

// WriteRecord appends one record.
func (w *Writer) WriteRecord(r flow.Record) error {
	if len(w.buf) == w.block {
		w.drain()
	}
	if w.err != nil {
		return w.err
	}
	w.flows++
	old := len(w.buf)
	w.buf = append(w.buf, r[:w.layout.Size]...)
	if w.order == flow.BigEndian {
		w.layout.SwapOrder(w.buf[old:])
	}
	return nil
}

func (w *Writer) put(p []byte) {
	if w.err != nil {
		return
	}
	if _, err := w.out.Write(p); err != nil {
		w.err = fmt.Errorf("ftio_write(): failed: %w", Reason(err))
	}
}

func (w *Writer) drain() {
	if len(w.buf) > 0 {
		w.put(w.buf)
		w.buf = w.buf[:0]
	}
}

// Flush writes the records held back, so that a reader of the stream sees them.
// A compressed stream is not made decodable by it; see [Writer.Sync].
func (w *Writer) Flush() error {
	if w.zip == nil {
		w.drain()
	}
	return w.err
}

// Sync writes everything so far in a form that a reader can decode, with a
// flush point in a compressed stream.
func (w *Writer) Sync() error {
	w.drain()
	if w.zip != nil && w.err == nil {
		if err := w.zip.Flush(); err != nil {
			w.err = fmt.Errorf("ftio_write(): failed: %w", Reason(err))
		}
	}
	return w.err
}

// Close writes what is held back and ends the stream. It does not close the
// underlying writer. Closing twice is harmless.
func (w *Writer) Close() error {
	if w.closed {
		return w.result
	}
	w.closed = true
	w.drain()
	if w.zip != nil {
		if err := w.zip.Close(); err != nil && w.err == nil {
			w.err = fmt.Errorf("ftio_write(): failed: %w", Reason(err))
		}
	}
	w.result = w.err
	w.err = cmp.Or(w.err, errEnded)
	return w.result
}

// errEnded is the failure to write to a stream after its end.
var errEnded = errors.New("ftfile: stream closed")

// Abort ends a Writer that will not be closed: what is held back is not written
// and the stream stays cut. After Close it does nothing.
func (w *Writer) Abort() {
	if w.closed {
		return
	}
	w.closed = true
	w.err = cmp.Or(w.err, errAborted)
	w.result = w.err
	if w.zip != nil {
		w.zip.Abort()
	}
}

// Finish closes the stream and writes h, which must have the same fields
// present as the first header, over it: the completion of a regular file. The
// underlying writer must seek; its position is the end of the file afterwards.
func (w *Writer) Finish(h *Header) error {
	if err := w.Close(); err != nil {
		return err
	}
	file, ok := w.w.(io.WriteSeeker)
	if !ok {
		return fmt.Errorf("ftio_write_header(): failed: %T cannot seek", w.w)
	}
	head, err := w.header(h)
	if err != nil {
		return err
	}
	if len(head) != w.size {
		return fmt.Errorf("ftio_write_header(): failed: header of %d octets over one of %d", len(head), w.size)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("lseek(): %w", Reason(err))
	}
	if _, err := file.Write(head); err != nil {
		return fmt.Errorf("writen(): %w", Reason(err))
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("lseek(): %w", Reason(err))
	}
	return nil
}
