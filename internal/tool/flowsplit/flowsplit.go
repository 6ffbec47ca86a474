// Package flowsplit is flow-split: it splits a stream into files by count, time
// and tag.
package flowsplit

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/streamio"
	"flowtools/internal/sym"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// Limits of the original on file names.
const (
	baseLimit = 231
	nameLimit = 31
)

type options struct {
	streamio.Output
	flows   uint32 // -N
	seconds uint32 // -T
	base    string
	source  bool // -g
	dest    bool // -G
	names   bool // -n
}

// Spec describes flow-split.
func Spec() *cli.Spec {
	o := &options{base: "split"}
	o.Level = 6
	unsigned := func(p *uint32) func(string) error {
		return func(s string) error { v, _ := clib.Strtoul(s, 10); *p = uint32(v); return nil }
	}
	return &cli.Spec{
		Name:      "flow-split",
		Summary:   "split a flow stream into files",
		HelpExit:  1,
		UsageExit: 1,
		Flags: append([]cli.Flag{
			cli.Bool('g', "source-tag", &o.source, "a series of files for each source tag"),
			cli.Bool('G', "destination-tag", &o.dest, "a series of files for each destination tag"),
			cli.Bool('n', "names", &o.names, "with -g or -G: names of tags in file names"),
			cli.Func('N', "flows", "flows", unsigned(&o.flows), "a new file after this many flows"),
			cli.Func('o', "output", "base", o.setBase, "names begin with base (default split)"),
			cli.Func('T', "seconds", "seconds", unsigned(&o.seconds), "a new file when more than this many seconds passed"),
		}, o.Flags("bCdz")...),
		Description: "flow-split writes the flows on standard input to files BASE.0, BASE.1, ..., with -g or -G to BASE.TAG.0 and so on. " +
			"The flow that exceeds the interval of -T is the last of its file.",
		Examples: []cli.Example{{Command: "flow-cat day | flow-split -T 3600 -o hour", Text: "One file an hour."}},
		SeeAlso:  []string{"flow-cat(1)", "flow-tag(1)"},
		Run:      o.run,
	}
}

func (o *options) setBase(s string) error {
	if len(s) > baseLimit {
		return errors.New("base output too long")
	}
	o.base = s
	return nil
}

// series is one run of files.
type series struct {
	name  string // BASE or BASE.TAG
	next  int    // number of the next file
	sink  *streamio.Sink
	out   *ftfile.Writer
	head  *ftfile.Header
	start uint32
	end   uint32
	count uint32
	fresh bool // the next record opens a file
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	if o.source && o.dest {
		return errors.New("Split on destination or source.")
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	l := in.Layout()
	tag, tagged := flow.SrcTag, o.source || o.dest
	if o.dest {
		tag = flow.DstTag
	}
	if tagged && !l.Fields.Has(tag) {
		return fmt.Errorf("Flow record missing %s.", map[flow.Field]string{flow.SrcTag: "source tag", flow.DstTag: "destination tag"}[tag])
	}
	var names *sym.Table
	if o.names && tagged {
		if names, err = sym.Open(env.LookupEnv, "tag"); err != nil {
			env.Warn("%v", err)
		}
	}
	all := map[uint64]*series{}
	var order []*series
	var total uint64
	for b := range in.Batches() {
		for r := range b.All() {
			var key uint64
			if tagged {
				key = l.Uint(r, tag)
			}
			s := all[key]
			if s == nil {
				s = &series{name: o.base, fresh: true}
				if tagged {
					s.name += "." + tagName(names, uint32(key))
				}
				all[key] = s
				order = append(order, s)
			}
			if err := s.add(env, o, l, r); err != nil {
				return err
			}
		}
		total += uint64(b.Len())
	}
	streamio.Warn(env, in)
	for _, s := range order {
		if err := s.finish(); err != nil {
			return err
		}
	}
	if o.Debug > 0 {
		env.Profile(total)
	}
	return nil
}

func tagName(names *sym.Table, tag uint32) string {
	if names != nil {
		if name, ok := names.Name(tag); ok {
			return name[:min(len(name), nameLimit)]
		}
	}
	return strconv.FormatUint(uint64(tag), 10)
}

// add writes r to the series' file, opening the next one when it is due.
//
// Compat: the record that exceeds the interval still goes into the file, whose
// start becomes that record's time.
func (s *series) add(env *cli.Env, o *options, l *flow.Layout, r flow.Record) error {
	secs := uint32(l.Uint(r, flow.UnixSecs))
	if s.fresh {
		if err := s.open(env, o, l.Version); err != nil {
			return err
		}
		s.start = secs
		s.fresh = false
	}
	s.count++
	if o.flows != 0 && s.count >= o.flows {
		s.fresh = true
	}
	if o.seconds != 0 && secs > s.start && secs-s.start > o.seconds {
		s.start = secs
		s.fresh = true
	}
	s.end = secs
	return s.out.WriteRecord(r)
}

// open completes the open file, if any, and creates the next.
func (s *series) open(env *cli.Env, o *options, v flow.Version) error {
	if err := s.finish(); err != nil {
		return err
	}
	s.start, s.end, s.count = 0, 0, 0
	sink, err := streamio.OpenSink(env, s.name+"."+strconv.Itoa(s.next))
	if err != nil {
		return err
	}
	s.next++
	s.sink = sink
	s.head = ftfile.NewHeader(v, ftfile.FlagStreaming)
	s.head.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows)
	s.out, err = o.CreateOn(sink.Writer, s.head)
	return err
}

func (s *series) finish() error {
	if s.out == nil {
		return nil
	}
	err := s.sink.Complete(s.out, s.head, func(h *ftfile.Header) { h.Start, h.End, h.Flows = s.start, s.end, s.count })
	s.out = nil
	return errors.Join(err, s.sink.Close())
}
