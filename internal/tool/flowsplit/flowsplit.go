// Package flowsplit is flow-split: it splits a stream into files by count, time
// and tag.
package flowsplit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"syscall"

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
	maxFlows   uint32 // -N, 0 for no limit
	maxSeconds uint32 // -T, 0 for no limit
	base       string
	source     bool // -g
	dest       bool // -G
	names      bool // -n
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
			cli.Func('N', "flows", "flows", unsigned(&o.maxFlows), "a new file after this many flows"),
			cli.Func('o', "output", "base", o.setBase, "names begin with base (default split)"),
			cli.Func('T', "seconds", "seconds", unsigned(&o.maxSeconds), "a new file when more than this many seconds passed"),
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

func (o *options) run(_ context.Context, env *cli.Env) error {
	if o.source && o.dest {
		return errors.New("Split on destination or source.")
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	s := splitter{options: o, env: env, layout: in.Layout(), byTag: map[uint32]*series{}, byName: map[string]*series{}}
	if err := s.choose(); err != nil {
		return err
	}
	if o.Level > 0 {
		s.zip = ftfile.NewDeflaters(o.Level, runtime.GOMAXPROCS(0))
	}
	defer s.abort()
	for b := range in.Batches() {
		if err := s.split(b); err != nil {
			return err
		}
	}
	streamio.Warn(env, in)
	for _, one := range s.all {
		if err := one.finish(); err != nil {
			return err
		}
	}
	if o.Debug > 0 {
		env.Profile(s.flows)
	}
	return nil
}

// splitter takes a stream apart.
type splitter struct {
	*options
	env    *cli.Env
	layout *flow.Layout
	tagged bool
	tag    flow.Field         // of the series, if tagged
	table  *sym.Table         // of names for tags, may be nil
	zip    *ftfile.Deflaters  // shared by all files
	all    []*series          // in order of first sight
	byTag  map[uint32]*series // 0 where there are no tags
	byName map[string]*series
	last   *series // of the record before
	key    uint32  // and its tag
	flows  uint64
}

// choose finds out what -g, -G and -n ask for.
func (s *splitter) choose() error {
	kind := ""
	switch {
	case s.source:
		s.tag, kind = flow.SrcTag, "source"
	case s.dest:
		s.tag, kind = flow.DstTag, "destination"
	default:
		return nil
	}
	s.tagged = true
	if !s.layout.Fields.Has(s.tag) {
		return fmt.Errorf("Flow record missing %s tag.", kind)
	}
	if s.names {
		s.table = s.env.Symbols(sym.Tag)
	}
	return nil
}

// split puts the records of a batch in their files.
func (s *splitter) split(b *flow.Batch) error {
	for r := range b.All() {
		key := uint32(0)
		if s.tagged {
			key = uint32(s.layout.Uint(r, s.tag))
		}
		if s.last == nil || key != s.key {
			s.last, s.key = s.series(key), key
		}
		if err := s.last.add(r); err != nil {
			return err
		}
	}
	s.flows += uint64(b.Len())
	return nil
}

// series returns the one of a tag. Tags of one name share a series, whose files
// they would overwrite for each other otherwise.
func (s *splitter) series(tag uint32) *series {
	one := s.byTag[tag]
	if one != nil {
		return one
	}
	name := s.base
	if s.tagged {
		name += "." + s.tagName(tag)
	}
	if one = s.byName[name]; one == nil {
		one = &series{splitter: s, name: name, fresh: true}
		s.byName[name] = one
		s.all = append(s.all, one)
	}
	s.byTag[tag] = one
	return one
}

func (s *splitter) tagName(tag uint32) string {
	if s.table != nil {
		if name, ok := s.table.Name(tag); ok {
			return name[:min(len(name), nameLimit)]
		}
	}
	return strconv.FormatUint(uint64(tag), 10)
}

// abort lets go of everything. Files that are not finished keep their first
// header and lose what is buffered.
func (s *splitter) abort() {
	for _, one := range s.all {
		if one.out != nil {
			one.out.Abort()
			one.sink.Close()
		}
	}
	if s.zip != nil {
		s.zip.Close()
	}
}

// series is one run of files.
type series struct {
	*splitter
	name  string // BASE or BASE.TAG
	next  int    // number of the next file
	sink  *streamio.Sink
	out   *ftfile.Writer // nil when no file is open
	head  *ftfile.Header
	start uint32
	end   uint32
	count uint32
	fresh bool // the next record opens a file
}

// add writes r to the series' file, opening the next one when it is due.
//
// Compat: the record that exceeds the interval still goes into the file, whose
// start becomes that record's time.
func (s *series) add(r flow.Record) error {
	secs := uint32(s.layout.Uint(r, flow.UnixSecs))
	if s.fresh {
		if err := s.open(); err != nil {
			return err
		}
		s.start, s.count, s.fresh = secs, 0, false
	}
	s.count++
	if s.maxFlows != 0 && s.count >= s.maxFlows {
		s.fresh = true
	}
	if s.maxSeconds != 0 && secs > s.start && secs-s.start > s.maxSeconds {
		s.start = secs
		s.fresh = true
	}
	s.end = secs
	return s.out.WriteRecord(r)
}

// open completes the open file, if any, and creates the next.
func (s *series) open() error {
	if err := s.finish(); err != nil {
		return err
	}
	sink, err := streamio.OpenSink(s.env, s.name+"."+strconv.Itoa(s.next))
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("%w\n%d series of files are open, more than the limit allows (ulimit -n)", err, len(s.all)-1)
	}
	if err != nil {
		return err
	}
	s.next++
	head := ftfile.NewHeader(s.layout.Version, ftfile.FlagStreaming)
	head.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows)
	out, err := s.CreateOn(sink, head, ftfile.Shared(s.zip))
	if err != nil {
		return errors.Join(err, sink.Close())
	}
	s.sink, s.head, s.out = sink, head, out
	return nil
}

// finish completes the open file, if any.
func (s *series) finish() error {
	if s.out == nil {
		return nil
	}
	out := s.out
	s.out = nil
	return s.sink.Complete(out, s.head, func(h *ftfile.Header) { h.Start, h.End, h.Flows = s.start, s.end, s.count })
}
