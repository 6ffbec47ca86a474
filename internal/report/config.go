// Package report is what flow-report does with a report file: reading it, feeding
// the aggregation engine (pkg/report), and writing each output as text or, for
// people and programs, as a table, JSON or CSV.
package report

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"flowtools/internal/clib"
	"flowtools/internal/config"
	"flowtools/pkg/filter"
	"flowtools/pkg/mask"
	engine "flowtools/pkg/report"
	"flowtools/pkg/tag"
)

// builtin is the report file that stands in where none is installed.
const builtin = `
stat-report default
  type @{TYPE:-summary-detail}
  output
    format ascii
    sort @{SORT:-+}
    fields @{FIELDS:-+}
    options @{OPTIONS:-+header,+xheader,+totals}
    path |flow-rptfmt @{RPTOPT:--f ascii}
stat-definition default
  report default
`

// Options says how a report file is read.
type Options struct {
	Vars                 map[string]string // values of @variables, here and in filter and tag files
	Filters, Tags, Masks string            // files to use where no include directive names one
	LookupEnv            func(string) (string, bool)
	Now                  func() time.Time
	Resolve              func(name string) (addr uint32, ok bool)
	Path                 func(name string) string // where to look for a file that is named; nil: as it is
	Warn                 func(error)
}

// File is a report file.
type File struct {
	path        string
	definitions config.Names[Definition]
}

// ParseBuiltin reads the built-in report file. Its command flow-rptfmt runs in
// this process (see Run), so that nothing need be installed.
func ParseBuiltin(opt Options) (*File, error) {
	f, err := Parse("(built-in stat.cfg)", []byte(builtin), opt)
	if err != nil {
		return nil, err
	}
	for _, d := range f.definitions.All() {
		d.builtin = true
	}
	return f, nil
}

// Definition is a stat-definition: the reports to make of a stream, and what
// happens to its flows before.
type Definition struct {
	Name    string
	Reports []*Report
	Filter  *filter.Definition // nil: none
	Tag     *tag.Definition
	Mask    *mask.Definition
	Series  uint32 // seconds of an interval, 0: one report of all

	refs    []config.Ref
	builtin bool
}

// Report is a stat-report.
type Report struct {
	Name    string
	Type    *engine.Type
	Engine  engine.Options // but Filter, which depends on the layout
	Filter  *filter.Definition
	Outputs []*Output

	formats [2]formats // by side
}

// formats are the words of an address format given so far.
type formats struct{ length, mask bool }

// format is what the words add up to.
func (f formats) format() engine.AddrFormat {
	switch {
	case f.mask:
		return engine.PrefixMask
	case f.length:
		return engine.PrefixLen
	}
	return engine.Address
}

// String returns the word for the header.
//
// Compat: with both given addresses are masked but the word is prefix-len.
func (f formats) String() string {
	switch {
	case f.length:
		return "prefix-len"
	case f.mask:
		return "prefix-mask"
	}
	return "address"
}

// Output is one output of a report.
type Output struct {
	Fields  engine.Columns
	Sort    Sort
	Flags   Flags
	Records uint64 // most lines, 0: all
	Tally   uint32 // lines between subtotals, 0: none
	Path    string // file or |command, if HasPath; else standard output
	HasPath bool
	Time    Clock // what Path is expanded with

	report *Report
}

// Sort is the order of an output. The zero Sort is none.
type Sort struct {
	Column   engine.Column
	Set      bool
	Backward bool // walk the ascending order from its end: + in files
}

// Flags are the options of an output.
type Flags uint8

// The options, in the order of the header.
const (
	PercentTotal Flags = 1 << iota
	Names
	Header
	XHeader
	TotalsLine
)

var flagNames = []string{"percent-total", "names", "header", "xheader", "totals"}

// Clock is which time the path of an output is expanded with.
type Clock uint8

// The clocks.
const (
	MidFlow Clock = iota
	Now
	FirstFlow
	LastFlow
)

// Definition returns the definition of that name, in any case. The error says
// that there is none and which there are.
func (f *File) Definition(name string) (*Definition, error) {
	return f.definitions.Get(f.path, "stat-definition", name)
}

// Load reads the report file at path. An error names file, line, the word that
// was not understood and what was expected in its place.
func Load(path string, opt Options) (*File, error) {
	return config.Load(path, opt, Parse)
}

// Parse reads the text of a report file; path names it in messages.
func Parse(path string, text []byte, opt Options) (*File, error) {
	ld := &loader{
		opt: &opt, file: &File{path: path},
		filters: config.NewInclude[*filter.File](opt.Filters),
		tags:    config.NewInclude[*tag.File](opt.Tags),
		masks:   config.NewInclude[*mask.File](opt.Masks),
	}
	if err := grammar.Parse(path, text, config.Options{
		Vars: opt.Vars, MaxLine: config.ReportMaxLine, Warn: opt.Warn, Resolve: opt.Resolve,
	}, ld); err != nil {
		return nil, err
	}
	for _, d := range ld.file.definitions.All() {
		for _, ref := range d.refs {
			r, err := ld.reports.Get(path, "stat-report", ref.Name)
			if err != nil {
				return nil, ref.Errorf("%v", err)
			}
			d.Reports = append(d.Reports, r)
		}
	}
	return ld.file, nil
}

// The sections of report files. An output opens none: report keywords may
// follow, and its own also work in a definition, on the last output there is.
const (
	inReport config.Section = 1 << iota
	inDefinition

	inOutput = inReport | inDefinition
)

var grammar = config.Grammar[loader]{
	{Name: "include-filter", Run: func(ld *loader, l *config.Line) { ld.filters.Directive(l) }},
	{Name: "include-tag", Run: func(ld *loader, l *config.Line) { ld.tags.Directive(l) }},
	{Name: "include-mask", Run: func(ld *loader, l *config.Line) { ld.masks.Directive(l) }},

	{Name: "stat-report", Opens: inReport, Run: (*loader).startReport},
	{Name: "type", In: inReport, Run: (*loader).setType},
	{Name: "filter", In: inReport, Run: func(ld *loader, l *config.Line) { ld.useFilter(l, &ld.report.Filter) }},
	{Name: "scale", In: inReport, Run: func(ld *loader, l *config.Line) { ld.report.Engine.Scale = uint32(l.Dec("scale", 32)) }},
	{Name: "tag-mask", In: inReport, Run: (*loader).setTagMask},
	{Name: "ip-source-address-format", In: inReport, Run: func(ld *loader, l *config.Line) { ld.setFormat(l, engine.Source) }},
	{Name: "ip-destination-address-format", In: inReport, Run: func(ld *loader, l *config.Line) { ld.setFormat(l, engine.Destination) }},
	{Name: "output", In: inReport, Run: (*loader).startOutput},

	{Name: "format", In: inOutput, Run: output((*Output).format)},
	{Name: "sort", In: inOutput, Run: output((*Output).sort)},
	{Name: "fields", In: inOutput, Run: output((*Output).fields)},
	{Name: "options", In: inOutput, Run: output((*Output).options)},
	{Name: "records", In: inOutput, Run: output(func(o *Output, l *config.Line) { o.Records = l.Uint("number of records", 64) })},
	{Name: "tally", In: inOutput, Run: output(func(o *Output, l *config.Line) { o.Tally = uint32(l.Uint("number of lines", 32)) })},
	{Name: "path", In: inOutput, Run: output(func(o *Output, l *config.Line) { o.Path, o.HasPath = l.Raw("path"), true })},
	{Name: "time", In: inOutput, Run: output(func(o *Output, l *config.Line) { o.Time = Clock(l.OneOf("mid", "now", "start", "end")) })},

	{Name: "stat-definition", Opens: inDefinition, Run: (*loader).startDefinition},
	{Name: "filter", In: inDefinition, Run: func(ld *loader, l *config.Line) { ld.useFilter(l, &ld.definition.Filter) }},
	{Name: "tag", In: inDefinition, Run: (*loader).useTag},
	{Name: "mask", In: inDefinition, Run: (*loader).useMask},
	{Name: "report", In: inDefinition, Run: (*loader).addReport},
	{Name: "time-series", In: inDefinition, Run: (*loader).setSeries},
}

// loader is what is being read.
type loader struct {
	opt     *Options
	file    *File
	reports config.Names[Report]
	filters config.Include[*filter.File]
	tags    config.Include[*tag.File]
	masks   config.Include[*mask.File]

	report     *Report
	output     *Output // the last of the last report, nil if it has none
	definition *Definition
}

func (ld *loader) startReport(l *config.Line) {
	name, r := ld.reports.Define(l, "stat-report")
	r.Name = name
	ld.report, ld.output = r, nil
}

func (ld *loader) setType(l *config.Line) {
	r := ld.report
	if r.Type != nil {
		l.Failf("The type of stat-report %q is set already.", r.Name)
	}
	r.Type = config.Choose(l, "a report type (flow-report -hh lists them)", func(word string) (*engine.Type, bool) {
		t := engine.TypeNamed(word)
		return t, t != nil
	})
}

func (ld *loader) setTagMask(l *config.Line) {
	ld.report.Engine.TagMask = &[2]uint32{uint32(l.Uint("source tag mask", 32)), uint32(l.Uint("destination tag mask", 32))}
}

// setFormat takes the word of an address format. Of prefix-len and prefix-mask
// the one does not take the other back.
func (ld *loader) setFormat(l *config.Line, side engine.Side) {
	f := &ld.report.formats[side-engine.Source]
	switch l.OneOf("address", "prefix-len", "prefix-mask") {
	case 0:
		*f = formats{}
	case 1:
		f.length = true
	case 2:
		f.mask = true
	}
	if side == engine.Source {
		ld.report.Engine.Source = f.format()
	} else {
		ld.report.Engine.Destination = f.format()
	}
}

func (ld *loader) startOutput(l *config.Line) {
	r := ld.report
	if r.Type == nil {
		l.Failf("The type of stat-report %q has to come before its outputs.", r.Name)
		return
	}
	ld.output = &Output{report: r, Fields: r.Type.Columns() & engine.Usual()}
	r.Outputs = append(r.Outputs, ld.output)
}

// output makes a row of the grammar for a keyword of outputs.
//
// Compat: in a definition it changes the last output of the last report.
func output(run func(*Output, *config.Line)) func(*loader, *config.Line) {
	return func(ld *loader, l *config.Line) {
		if ld.output == nil {
			l.Failf("There is no output yet that this could be about.")
			return
		}
		run(ld.output, l)
	}
}

// format takes the word of a format: both mean text.
func (o *Output) format(l *config.Line) { l.OneOf("ascii", "binary") }

// sign splits a word of lists and sorts.
func sign(word string) (plus bool, rest string, ok bool) {
	if word == "" || word[0] != '+' && word[0] != '-' {
		return false, "", false
	}
	return word[0] == '+', word[1:], true
}

func (o *Output) sort(l *config.Line) {
	want := "+ or - and one of " + o.words(o.sortable())
	word := l.Word(want)
	plus, name, ok := sign(clib.Fold(word))
	if !ok {
		l.Unexpected(word, want)
		return
	}
	if name == "" {
		return
	}
	for c := range o.sortable().All() {
		if o.report.Type.ColumnsNamed(name) == c.Set() {
			o.Sort = Sort{Column: c, Set: true, Backward: plus}
			return
		}
	}
	l.Unexpected(word, want)
}

// sortable are the columns that the output may be sorted by.
func (o *Output) sortable() engine.Columns { return o.report.Type.Columns() & engine.Sortable() }

func (o *Output) words(set engine.Columns) string {
	var words []string
	for c := range set.All() {
		words = append(words, o.report.Type.Word(c))
	}
	return strings.Join(words, ", ")
}

// list reads words with signs, split at blanks and commas. Tabs do not split.
func list(l *config.Line, what string, want func() string, apply func(name string, on bool) bool) {
	for word := range strings.FieldsFuncSeq(l.Raw(what), func(r rune) bool { return r == ' ' || r == ',' }) {
		on, name, ok := sign(clib.Fold(word))
		if !ok || name != "" && !apply(name, on) {
			l.Unexpected(word, "words with + or -, of "+want())
			return
		}
	}
}

func (o *Output) fields(l *config.Line) {
	t := o.report.Type
	list(l, "fields", func() string { return o.words(t.Columns()) }, func(name string, on bool) bool {
		set := t.ColumnsNamed(name)
		if on {
			o.Fields |= set
		} else {
			o.Fields &^= set
		}
		return set != 0
	})
}

func (o *Output) options(l *config.Line) {
	list(l, "options", func() string { return strings.Join(flagNames, ", ") }, func(name string, on bool) bool {
		for i, known := range flagNames {
			f := Flags(1) << i
			if known != name || o.report.Type.Kind == engine.Counters && f&(PercentTotal|Names) != 0 {
				continue
			}
			if on {
				o.Flags |= f
			} else {
				o.Flags &^= f
			}
			return true
		}
		return false
	})
}

func (ld *loader) startDefinition(l *config.Line) {
	name, d := ld.file.definitions.Define(l, "stat-definition")
	d.Name = name
	ld.definition = d
}

func (ld *loader) path(name string) string {
	if ld.opt.Path == nil {
		return name
	}
	return ld.opt.Path(name)
}

func (ld *loader) useFilter(l *config.Line, p **filter.Definition) {
	name := l.Word("filter-definition name")
	if *p != nil {
		l.Failf("The filter is set already: %s.", (*p).Name())
	}
	file := ld.filters.Use(l, placed(l, func(path string) (*filter.File, error) {
		return filter.Load(ld.path(path), filter.Options{
			Vars: ld.opt.Vars, LookupEnv: ld.opt.LookupEnv, Now: ld.opt.Now, Resolve: ld.opt.Resolve, Warn: ld.opt.Warn,
		})
	}))
	if !l.Failed() {
		*p = found(l, name, file.Definition)
	}
}

func (ld *loader) useTag(l *config.Line) {
	d := ld.definition
	name := l.Word("tag-definition name")
	if d.Tag != nil {
		l.Failf("The tag definition is set already: %s.", d.Tag.Name())
	}
	file := ld.tags.Use(l, placed(l, func(path string) (*tag.File, error) {
		return tag.Load(ld.path(path), tag.Options{Vars: ld.opt.Vars, Resolve: ld.opt.Resolve, Warn: ld.opt.Warn})
	}))
	if !l.Failed() {
		d.Tag = found(l, name, file.Definition)
	}
}

// useMask takes the mask of a definition; the last one counts.
//
// Compat: it is refused behind a tag line, and two are not.
func (ld *loader) useMask(l *config.Line) {
	d := ld.definition
	name := l.Word("mask-definition name")
	if d.Tag != nil {
		l.Failf("The mask has to come before the tag line.")
	}
	file := ld.masks.Use(l, placed(l, func(path string) (*mask.File, error) {
		return mask.Load(ld.path(path), mask.Options{Resolve: ld.opt.Resolve, Warn: ld.opt.Warn})
	}))
	if !l.Failed() {
		d.Mask = found(l, name, file.Definition)
	}
}

// placed adds the place to an error of an included file, unless it has one.
func placed[T any](l *config.Line, load func(path string) (T, error)) func(path string) (T, error) {
	return func(path string) (T, error) {
		v, err := load(path)
		var at *config.Error
		if err != nil && !errors.As(err, &at) {
			err = fmt.Errorf("%s line %d: %w", l.File, l.Line, err)
		}
		return v, err
	}
}

func found[T any](l *config.Line, name string, find func(string) (*T, error)) *T {
	d, err := find(name)
	if err != nil {
		l.Failf("%v", err)
	}
	return d
}

func (ld *loader) addReport(l *config.Line) {
	d := ld.definition
	ref := l.Ref("stat-report name")
	for _, r := range d.refs {
		if clib.EqualFold(r.Name, ref.Name) {
			l.Failf("The report %q is in stat-definition %q already.", ref.Name, d.Name)
		}
	}
	d.refs = append(d.refs, ref)
}

func (ld *loader) setSeries(l *config.Line) {
	d := ld.definition
	if d.Series != 0 {
		l.Failf("The time-series of stat-definition %q is set already.", d.Name)
	}
	d.Series = uint32(l.Uint("seconds of an interval", 32))
}

// instant is the time that a path is expanded with.
func (c Clock) instant(first, last uint32, now time.Time) int64 {
	switch c {
	case Now:
		return now.Unix()
	case FirstFlow:
		return int64(first)
	case LastFlow:
		return int64(last)
	}
	return int64(first + (last-first)/2) // of nothing 2^32-1: Compat
}
