// Package flowmerge is flow-merge: it merges flow files by the end times of
// their flows.
package flowmerge

import (
	"context"
	"errors"
	"os"
	"slices"
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
		Flags: slices.Concat(o.inputs.Flags(), []cli.Flag{
			streamio.OutputFlag(&o.out),
			cli.Refused('i', "arg"),
		}, o.Flags("bCdz")),
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

// more reports whether the record after the next is at hand, too.
func (l *lane) more() bool { return l.batch != nil && l.at+1 < l.batch.Len() }

// advance moves to the next record; false at the end of the stream. It waits
// for the stream unless there is more.
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
	return a.end < b.end || a.end == b.end && a.index < b.index
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

func (o *options) run(ctx context.Context, env *cli.Env) error {
	sink, err := streamio.OpenSink(env, o.out)
	if err != nil {
		return err
	}
	sink.Debug = o.Debug
	m := merger{env: env, Join: streamio.Join{
		Output: &o.Output, Sink: sink, Header: ftfile.NewHeader(flow.Version{}, ftfile.FlagStreaming),
		Final: []ftfile.Tag{ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows},
	}}
	defer m.close()
	all, err := inputs.Collect(env, env.Args, o.inputs)
	if err != nil {
		return err
	}
	if err := m.open(all); err != nil {
		return err
	}
	if m.Out == nil {
		if sink.Regular {
			return streamio.ErrNothing
		}
		return nil // Compat: status 0, unlike flow-cat
	}
	if err := m.merge(ctx); err != nil {
		return err
	}
	for _, l := range m.lanes {
		streamio.Warn(env, l.Reader)
	}
	if err := m.Complete(); err != nil {
		return err
	}
	if o.Debug > 0 {
		env.Profile(m.Out.Flows())
	}
	return nil
}

// merger writes the streams to one output.
type merger struct {
	streamio.Join
	env   *cli.Env
	lanes lanes // in the order of the list
	size  int64 // octets of the files
}

// open opens all streams, writing the output header with the first.
func (m *merger) open(all []inputs.Input) error {
	for i := range all {
		in, err := all[i].Start()
		if errors.Is(err, inputs.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		m.lanes = append(m.lanes, &lane{Stream: in, index: i})
		m.size += all[i].Size
		if err := m.Begin(in.Header()); err != nil {
			return err
		}
	}
	return nil
}

// close lets go of everything.
func (m *merger) close() {
	for _, l := range m.lanes {
		l.Close()
	}
	m.Abort()
}

// What the lanes together may hold of their streams, in octets, and how much of
// it is a lane's buffer at the least.
const (
	memory    = 16 << 20
	leastSlab = 8 << 10
)

// fill reads the first record of every lane and returns them as a heap.
func (m *merger) fill() lanes {
	share := memory / len(m.lanes)
	var heap lanes
	for _, l := range m.lanes {
		l.SetBuffer(min(max(share/4, leastSlab), flow.SlabSize)) // as read, inflated, and the inflater's own
		l.Ahead(max(1, share/(2*flow.SlabSize)))
		if l.advance() {
			heap = append(heap, l)
		}
	}
	for i := len(heap)/2 - 1; i >= 0; i-- {
		heap.fix(i)
	}
	return heap
}

// merge writes the records of the lanes in order of their end times. A record
// goes out before a live stream is waited for.
func (m *merger) merge(ctx context.Context) error {
	meter := m.env.Progress("merging", m.size)
	defer meter.Done()
	const turn = 1024 // records between looks at ctx where none is waited for
	heap := m.fill()
	for n := 1; len(heap) > 0; n++ {
		top := heap[0]
		if err := m.Out.WriteRecord(top.batch.At(top.at)); err != nil {
			return err
		}
		waits := top.Live && !top.more()
		if waits {
			if err := m.Out.Flush(); err != nil {
				return err
			}
		}
		if !top.advance() {
			heap[0] = heap[len(heap)-1]
			heap = heap[:len(heap)-1]
		}
		heap.fix(0)
		if n%turn == 0 {
			meter.Add(int64(turn * m.Out.Layout().Size))
		}
		if (waits || n%turn == 0) && ctx.Err() != nil {
			break
		}
	}
	return nil
}
