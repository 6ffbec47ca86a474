// Package flowcat is flow-cat: it concatenates flow files and directories of
// them into one stream.
package flowcat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
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
	out     string
	times   []bound // -t and -T as they came
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
		Flags: slices.Concat(o.inputs.Flags(), []cli.Flag{
			streamio.OutputFlag(&o.out),
			cli.Bool('p', "preload", &o.preload, "read all headers first and carry over what they say"),
			o.timeFlag('t', "start", false, "only files that began at time or before; with -T: that began from -t to -T"),
			o.timeFlag('T', "end", true, "only files that ended at time or later"),
		}, o.Flags("bCdz")),
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

// bound is one -t or, upper, -T.
type bound struct {
	upper bool
	text  string
}

// timeFlag is an option whose value is a date and time. Its words are checked at
// once; what they mean depends on the clock and the local zone, which are only
// known to a run.
func (o *options) timeFlag(letter byte, long string, upper bool, help string) cli.Flag {
	return cli.Func(letter, long, "time", func(s string) error {
		if cdate.CheckDate(s) != nil {
			return badTime(s)
		}
		o.times = append(o.times, bound{upper, s})
		return nil
	}, help)
}

func badTime(text string) error { return fmt.Errorf("Error parsing time: %s.", text) }

// span is a range of capture times; a bound of 0 is not given.
type span struct{ low, high uint32 }

// window evaluates -t and -T. The last of each counts, but all must be dates.
func (o *options) window(env *cli.Env) (w span, err error) {
	for _, t := range o.times {
		sec, err := cdate.GetDate(t.text, env.Now(), env.Zone())
		if err != nil {
			return span{}, badTime(t.text)
		}
		if t.upper {
			w.high = uint32(sec)
		} else {
			w.low = uint32(sec)
		}
	}
	return w, nil
}

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
	window, err := o.window(env)
	if err != nil {
		return err
	}
	sink, err := streamio.OpenSink(env, o.out)
	if err != nil {
		return err
	}
	sink.Debug = o.Debug
	c := copier{options: o, env: env, Join: streamio.Join{
		Output: &o.Output, Sink: sink, Header: ftfile.NewHeader(flow.Version{}, ftfile.FlagStreaming),
		Final: []ftfile.Tag{ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt},
	}}
	defer c.Abort()
	all, err := inputs.Collect(env, env.Args, o.inputs)
	if err != nil {
		return err
	}
	if o.Comment != nil { // before the preload, whose comments override it
		o.Apply(c.Header)
		o.Comment = nil
	}
	if o.preload || len(o.times) > 0 {
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
		env.Profile(c.Out.Flows())
	}
	return nil
}

// preload selects the files in the window and collects what their headers say.
//
// Compat: times of files that the window drops count; the last selected file
// that has a hostname, comment, ... gives it, whatever -C says.
func (c *copier) preload(all []inputs.Input, window span) ([]inputs.Input, error) {
	kept := all[:0]
	h := c.Header
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
	streamio.Join
	env *cli.Env
}

func (c *copier) copy(ctx context.Context, all []inputs.Input) error {
	var total int64
	for _, in := range all {
		total += in.Size
	}
	meter := c.env.Progress("copying", total)
	defer meter.Done()

	queue := opener{inputs: all, ahead: min(runtime.GOMAXPROCS(0), maxAhead)}
	defer queue.close()
	for ctx.Err() == nil {
		in, err := queue.next()
		if err != nil {
			return err
		}
		if in == nil {
			break
		}
		if err := c.stream(ctx, in, queue.last(), meter); err != nil {
			return err
		}
	}
	if c.Out == nil {
		if c.Sink.Regular {
			return streamio.ErrNothing
		}
		if c.env.Warned() {
			return cli.Fail(1, "")
		}
		return errors.New("no flow stream to copy")
	}
	return c.Complete()
}

// stream copies one stream, writing the output header before the first. Behind
// a live input every batch goes out at once, but not when other streams follow:
// should they not match, what is buffered must be lost.
func (c *copier) stream(ctx context.Context, in *inputs.Stream, last bool, meter *cli.Meter) error {
	defer in.Close()
	if err := c.Begin(in.Header()); err != nil {
		return err
	}
	if c.Sink.Debug > 5 {
		c.env.Warn("working file=%s", in.Name)
	}
	for b := range in.Batches() {
		if err := c.Out.Write(b); err != nil {
			return err
		}
		if in.Live && last {
			if err := c.Out.Flush(); err != nil {
				return err
			}
		}
		meter.Add(int64(len(b.Bytes())))
		if ctx.Err() != nil {
			return nil
		}
	}
	streamio.Warn(c.env, in.Reader)
	if c.Sink.Debug > 5 {
		c.env.Warn("flows: %d", c.Out.Flows()) // so far: webview shows it while it waits
	}
	return nil
}

// opener opens the streams in order, some of them ahead, so that compressed
// files inflate while the ones before them are copied.
type opener struct {
	inputs []inputs.Input // not opened yet
	ahead  int
	opened []*inputs.Stream
}

// How many files are open at a time, and how many batches of each are inflated
// ahead: 28 MiB at the most.
const (
	maxAhead     = 8
	aheadBatches = 64
)

// next returns the next stream, or nil after the last. Opening ahead stops at
// standard input and at files that fail; those are met again in their turn.
func (q *opener) next() (*inputs.Stream, error) {
	for len(q.opened) < q.ahead && len(q.inputs) > 0 {
		in := &q.inputs[0]
		if in.Stdin() && len(q.opened) > 0 {
			break
		}
		s, err := in.Start()
		if errors.Is(err, inputs.ErrGone) {
			q.inputs = q.inputs[1:]
			continue
		}
		if err != nil && len(q.opened) > 0 {
			break
		}
		if err != nil {
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

// last reports whether the stream that next returned is the last.
func (q *opener) last() bool { return len(q.opened) == 0 && len(q.inputs) == 0 }

func (q *opener) close() {
	for _, s := range q.opened {
		s.Close()
	}
}
