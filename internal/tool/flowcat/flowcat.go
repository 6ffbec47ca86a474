// Package flowcat is flow-cat: it concatenates flow files and directories of
// them into one stream.
package flowcat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"flowtools/internal/cdate"
	"flowtools/internal/cli"
	"flowtools/internal/inputs"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

type options struct {
	streamio.Output
	inputs  inputs.Options
	preload bool
	mmap    bool // accepted for the original's sake
	out     string
	low     string // -t
	high    string // -T
}

// Spec describes flow-cat.
func Spec() *cli.Spec {
	o := &options{}
	return &cli.Spec{
		Name:        "flow-cat",
		Summary:     "concatenate flow files",
		Operands:    "[file|directory|- ...]",
		MaxOperands: -1,
		HelpExit:    1,
		UsageExit:   1,
		Flags: append([]cli.Flag{
			cli.Bool('a', "all", &o.inputs.Open, "also take files still being written (tmp*)"),
			cli.Bool('g', "group", &o.inputs.Group, "sort all operands by capture start, not each by itself"),
			cli.Bool('m', "no-mmap", &o.mmap, "accepted and ignored: files are never mapped"),
			cli.File('o', "output", "file", &o.out, "write to file instead of standard output"),
			cli.Bool('p', "preload", &o.preload, "read all headers first and carry over what they say"),
			cli.Text('t', "start", "time", &o.low, "only files that began at time or before; with -T: from -t to -T"),
			cli.Text('T', "end", "time", &o.high, "only files that ended at time or later"),
		}, o.Flags("bCdz")...),
		Signals: []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM},
		Description: "flow-cat copies the flow streams in files, directories (recursively, by capture start) and standard input to one stream of the same record version. " +
			"Times may be given in many ways: \"2026-11-23 10:00\", \"yesterday\", \"2 hours ago\".",
		ExitText: "1 when no stream could be read, when record versions differ, and when the output cannot be written; else 0.",
		Examples: []cli.Example{
			{Command: "flow-cat /var/log/netflows/2026/2026-11 | flow-stat -f 10", Text: "Summarize a month by address pairs."},
			{Command: "flow-cat -T '2 hours ago' /var/log/netflows | flow-print", Text: "Print the flows of the last two hours' files."},
		},
		SeeAlso: []string{"flow-capture(1)", "flow-merge(1)", "flow-header(1)", "flow-expire(1)"},
		Run:     o.run,
	}
}

// span is a range of capture times; a bound of 0 is not given.
type span struct{ low, high uint32 }

// keeps applies the time window to a file's header.
//
// Compat: a lone -t keeps old files, a lone -T new ones.
func (s span) keeps(h *ftfile.Header) bool {
	switch {
	case s.low != 0 && s.high != 0:
		return h.Start >= s.low && h.Start <= s.high
	case s.low != 0:
		return h.Start <= s.low
	case s.high != 0:
		return h.End >= s.high
	}
	return true
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	var window span
	for _, t := range []struct {
		text string
		at   *uint32
	}{{o.low, &window.low}, {o.high, &window.high}} {
		if t.text == "" {
			continue
		}
		sec, err := cdate.GetDate(t.text, env.Now(), env.Zone())
		if err != nil {
			return fmt.Errorf("Error parsing time: %s.", t.text)
		}
		*t.at = uint32(sec)
	}
	sink, err := streamio.OpenSink(env, o.out)
	if err != nil {
		return err
	}
	defer sink.Close()
	c := copier{options: o, env: env, header: ftfile.NewHeader(flow.Version{}, ftfile.FlagStreaming), sink: sink}
	all, err := inputs.Collect(env, env.Args, o.inputs)
	if err != nil {
		return err
	}
	if o.Comment != nil { // before the preload, whose comments override it
		o.Apply(c.header)
		o.Comment = nil
	}
	if o.preload || o.low != "" || o.high != "" {
		if all, err = c.preload(all, window); err != nil {
			return err
		}
		if len(all) == 0 {
			return errors.New("no flow file to copy in the time window")
		}
	}
	if err := c.copy(ctx, all); err != nil {
		return err
	}
	if o.Debug > 0 {
		env.Profile(c.out.Flows())
	}
	return nil
}

// preload selects the files in the window and collects what their headers say.
//
// Compat: times of files that the window drops count; the last selected file
// that has a hostname, comment, ... gives it, whatever -C says.
func (c *copier) preload(all []inputs.Input, window span) ([]inputs.Input, error) {
	kept := all[:0]
	h := c.header
	h.Flags |= ftfile.FlagPreloaded
	h.Mark(ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt)
	var starts, ends int
	for _, in := range all {
		if in.Stdin() {
			kept = append(kept, in)
			continue
		}
		from := in.Header
		if _, err := from.Layout(); err != nil {
			return nil, streamio.InitError(err)
		}
		if from.Has(ftfile.TagStart) {
			if starts == 0 || from.Start < h.Start {
				h.Start = from.Start
			}
			starts++
		}
		if from.Has(ftfile.TagEnd) {
			h.End = max(h.End, from.End)
			ends++
		}
		if !window.keeps(from) {
			continue
		}
		kept = append(kept, in)
		h.Lost += from.Lost
		h.Corrupt += from.Corrupt
		h.Flows += from.Flows
		h.Carry(from, ftfile.TagHostname, ftfile.TagComments, ftfile.TagResets, ftfile.TagMisordered,
			ftfile.TagVendor, ftfile.TagAggVersion, ftfile.TagExporter, ftfile.TagRotation)
	}
	if starts > 0 && ends > 0 {
		h.Mark(ftfile.TagStart, ftfile.TagEnd)
	}
	return kept, nil
}

// copier writes the streams to one output.
type copier struct {
	*options
	env    *cli.Env
	header *ftfile.Header // of the output
	sink   *streamio.Sink
	out    *ftfile.Writer
	start  uint32 // least and greatest raw times of the streams copied
	end    uint32
}

func (c *copier) copy(ctx context.Context, all []inputs.Input) error {
	var total int64
	for _, in := range all {
		total += in.Size
	}
	meter := c.env.Progress("copying", total)
	defer meter.Done()

	queue := opener{inputs: all, ahead: runtime.GOMAXPROCS(0)}
	defer queue.close()
	for ctx.Err() == nil {
		in, err := queue.next()
		if in == nil && err == nil {
			break
		}
		if err != nil {
			return streamio.InitError(err)
		}
		if err := c.stream(ctx, in, meter); err != nil {
			return err
		}
	}
	if c.out == nil {
		if c.sink.Regular {
			return streamio.ErrNothing
		}
		if c.env.Warned() {
			return cli.Fail(1, "")
		}
		return errors.New("no flow stream to copy")
	}
	return c.sink.Complete(c.out, c.header, func(h *ftfile.Header) {
		h.Start, h.End, h.Flows = c.start, c.end, uint32(c.out.Flows())
	})
}

// stream copies one stream, writing the output header before the first.
func (c *copier) stream(ctx context.Context, in *inputs.Stream, meter *cli.Meter) error {
	defer in.Close()
	h := in.Header()
	if c.out == nil {
		c.header.SetVersion(h.Version)
		c.start = h.Start
		if c.sink.Regular {
			c.header.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt)
		}
		out, err := c.CreateOn(c.sink.Writer, c.header)
		if err != nil {
			return err
		}
		c.out = out
	} else if h.Version != c.header.Version {
		// Compat: the records still buffered are lost (stream-format.md section 9).
		return errors.New("data version or sub version changed!")
	}
	c.start, c.end = min(c.start, h.Start), max(c.end, h.End)
	if c.Debug > 5 {
		c.env.Warn("working file=%s", in.Name)
		defer func() { c.env.Warn("flows: %d", c.out.Flows()) }()
	}
	live := in.Live
	for b := range in.Batches() {
		if err := c.out.Write(b); err != nil {
			return err
		}
		if live {
			if err := c.out.Flush(); err != nil {
				return err
			}
		}
		meter.Add(int64(len(b.Bytes())))
		if ctx.Err() != nil {
			return nil
		}
	}
	streamio.Warn(c.env, in.Reader)
	return nil
}

// opener opens the streams in order, some of them ahead, so that compressed
// files inflate while the ones before them are copied.
type opener struct {
	inputs []inputs.Input
	ahead  int
	opened []*inputs.Stream
}

// aheadBatches is how many batches of a following file are inflated ahead.
const aheadBatches = 64

// next returns the next stream, or nil after the last. Opening ahead stops at
// standard input and at files that fail; those are met again in their turn.
func (q *opener) next() (*inputs.Stream, error) {
	for len(q.opened) < q.ahead && len(q.inputs) > 0 {
		in := &q.inputs[0]
		if in.Stdin() && len(q.opened) > 0 {
			break
		}
		s, err := in.Start()
		if err != nil {
			if len(q.opened) > 0 {
				break
			}
			q.inputs = q.inputs[1:]
			return nil, err
		}
		q.inputs = q.inputs[1:]
		if len(q.opened) > 0 {
			s.Ahead(aheadBatches)
		}
		q.opened = append(q.opened, s)
	}
	if len(q.opened) == 0 {
		return nil, nil
	}
	s := q.opened[0]
	q.opened = q.opened[1:]
	return s, nil
}

func (q *opener) close() {
	for _, s := range q.opened {
		s.Close()
	}
}
