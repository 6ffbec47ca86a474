// Package flowmerge is flow-merge: it merges flow files by the end times of
// their flows.
package flowmerge

import (
	"cmp"
	"context"
	"errors"
	"os"
	"syscall"

	"flowtools/internal/cli"
	"flowtools/internal/inputs"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

type options struct {
	streamio.Output
	inputs inputs.Options
	mmap   bool // accepted for the original's sake
	out    string
}

// Spec describes flow-merge.
func Spec() *cli.Spec {
	o := &options{}
	return &cli.Spec{
		Name:        "flow-merge",
		Summary:     "merge flow files in order of time",
		Operands:    "[file|directory|- ...]",
		MaxOperands: -1,
		HelpExit:    1,
		UsageExit:   1,
		Flags: append([]cli.Flag{
			cli.Bool('a', "all", &o.inputs.Open, "also take files still being written (tmp*)"),
			cli.Bool('g', "group", &o.inputs.Group, "order all operands by capture start, not each by itself (decides ties)"),
			cli.Bool('m', "no-mmap", &o.mmap, "accepted and ignored: files are never mapped"),
			cli.File('o', "output", "file", &o.out, "write to file instead of standard output"),
			cli.Refused('i', "arg"),
		}, o.Flags("bCdz")...),
		Signals: []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM},
		Description: "flow-merge reads all its inputs at the same time and writes their flows in order of the time each ended. " +
			"Inputs that are sorted by themselves give a sorted output; within one input the order is never changed.",
		ExitText: "1 when record versions differ, when the output cannot be written, and with -o when nothing could be read; else 0.",
		Examples: []cli.Example{{Command: "flow-merge router1/ft-v05.2026-11-23.100000+0000 router2/ft-v05.2026-11-23.100000+0000 | flow-print -f 5",
			Text: "Print the flows of two routers in the order they ended."}},
		SeeAlso: []string{"flow-cat(1)", "flow-split(1)"},
		Run:     o.run,
	}
}

// lane is one input of the merge with its next record.
type lane struct {
	*inputs.Stream
	index int // place in the list; the earlier wins a tie
	batch *flow.Batch
	at    int
	end   uint64 // time of the next record
}

// advance moves to the next record; false at the end of the stream.
func (l *lane) advance() bool {
	l.at++
	for l.batch == nil || l.at >= l.batch.Len() {
		if l.batch = l.Next(); l.batch == nil {
			return false
		}
		l.at = 0
	}
	ms := l.Layout().Millis(l.batch.At(l.at), flow.Last)
	l.end = uint64(flow.Seconds(ms))*1000 + ms%1000
	return true
}

// lanes is a binary heap, the lane with the earliest next record on top.
type lanes []*lane

func (h lanes) before(a, b *lane) bool {
	return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.index, b.index)) < 0
}

// fix restores the heap below i after lane i moved on.
func (h lanes) fix(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if h.before(h[child], h[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// inflateAhead is how many batches all inputs together inflate ahead.
const inflateAhead = 128

func (o *options) run(ctx context.Context, env *cli.Env) error {
	sink, err := streamio.OpenSink(env, o.out)
	if err != nil {
		return err
	}
	defer sink.Close()
	all, err := inputs.Collect(env, env.Args, o.inputs)
	if err != nil {
		return err
	}
	header := ftfile.NewHeader(flow.Version{}, ftfile.FlagStreaming)
	if sink.Regular {
		header.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows)
	}
	var (
		out        *ftfile.Writer
		open       lanes
		start, end uint32
		total      int64
	)
	defer func() {
		for _, l := range open {
			l.Close()
		}
	}()
	for i := range all {
		in, err := all[i].Start()
		if err != nil {
			return streamio.InitError(err)
		}
		open = append(open, &lane{Stream: in, index: i})
		h := in.Header()
		total += all[i].Size
		if out == nil {
			start = h.Start
			header.SetVersion(h.Version)
			if out, err = o.CreateOn(sink.Writer, header); err != nil {
				return err
			}
		} else if h.Version != header.Version {
			return errors.New("data version or sub version changed!")
		}
		start, end = min(start, h.Start), max(end, h.End)
	}
	if out == nil {
		if sink.Regular {
			return streamio.ErrNothing
		}
		return nil // Compat: status 0, unlike flow-cat
	}
	if err := merge(ctx, env, out, open, total); err != nil {
		return err
	}
	for _, l := range open {
		streamio.Warn(env, l.Reader)
	}
	err = sink.Complete(out, header, func(h *ftfile.Header) {
		h.Start, h.End, h.Flows = start, end, uint32(out.Flows())
	})
	if err == nil && o.Debug > 0 {
		env.Profile(out.Flows())
	}
	return err
}

// merge writes the records of the lanes in order of their end times.
func merge(ctx context.Context, env *cli.Env, out *ftfile.Writer, open lanes, total int64) error {
	meter := env.Progress("merging", total)
	defer meter.Done()
	var heap lanes
	for _, l := range open {
		l.Ahead(max(1, inflateAhead/len(open)))
		if l.advance() {
			heap = append(heap, l)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		heap.fix(i)
	}
	const turn = 1024 // records between looks at ctx
	for n := 0; len(heap) > 0; n++ {
		if n%turn == 0 {
			if ctx.Err() != nil {
				return nil
			}
			meter.Add(int64(turn * out.Layout().Size))
		}
		top := heap[0]
		if err := out.WriteRecord(top.batch.At(top.at)); err != nil {
			return err
		}
		if !top.advance() {
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		heap.fix(0)
	}
	return nil
}
