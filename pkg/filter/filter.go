package filter

import (
	"fmt"
	"time"

	"flowtools/internal/cdate"
	"flowtools/internal/config"
	"flowtools/pkg/flow"
)

// Options says how a filter file is read and what it may know of the world.
// The zero Options is an empty environment.
type Options struct {
	Vars   map[string]string // values of @variables
	NoVars bool              // @ is an ordinary character (filter files of xlate files)

	LookupEnv func(string) (string, bool)              // TZ, and where symbol files are
	Now       func() time.Time                         // what dates like "yesterday" count from
	Resolve   func(name string) (addr uint32, ok bool) // finds host names; nil knows none
	Warn      func(error)                              // takes warnings; nil drops them
}

func (o *Options) lookupEnv(name string) (string, bool) {
	if o.LookupEnv == nil {
		return "", false
	}
	return o.LookupEnv(name)
}

func (o *Options) warn(err error) {
	if o.Warn != nil {
		o.Warn(err)
	}
}

// File is a filter file: its definitions, with all references resolved. It is
// immutable.
type File struct {
	path        string
	definitions config.Names[Definition]
}

// Definition is a filter definition: groups of criteria of which one group must
// hold in full, or must not if the definition is inverted.
type Definition struct {
	name   string
	groups [][]criterion
	invert bool
	zone   *cdate.Zone
}

// criterion is a match line: what of a record is given to which primitive.
type criterion struct {
	subject *subject
	ref     config.Ref
	prim    *primitive
}

// Load reads the filter file at path. An error names file, line, the word that
// was not understood and what was expected in its place.
func Load(path string, opt Options) (*File, error) {
	return config.Load(path, opt, Parse)
}

// Parse reads the text of a filter file; path names it in messages.
func Parse(path string, text []byte, opt Options) (*File, error) {
	ld := &loader{file: &File{path: path}, opt: &opt}
	if err := grammar.Parse(path, text, config.Options{
		Vars: opt.Vars, NoVars: opt.NoVars, Warn: opt.Warn, Resolve: opt.Resolve,
	}, ld); err != nil {
		return nil, err
	}
	if err := ld.resolve(); err != nil {
		return nil, err
	}
	return ld.file, nil
}

// Definition returns the definition of that name, in any case. The error says
// that there is none and which there are.
func (f *File) Definition(name string) (*Definition, error) {
	return f.definitions.Get(f.path, "filter-definition", name)
}

// Name returns the name of the definition as its file spells it.
func (d *Definition) Name() string { return d.name }

// Needs returns the fields that records must have to be tested.
func (d *Definition) Needs() (need flow.FieldSet) {
	for _, g := range d.groups {
		for _, c := range g {
			need |= c.subject.needs
		}
	}
	return need
}

// Compile returns the predicate of the definition on records of l. Where l lacks
// a field (see Needs) its value is 0; tools refuse such streams, or mean just
// that. The predicate does not allocate; it is for one goroutine at a time.
func (d *Definition) Compile(l *flow.Layout) func(flow.Record) bool {
	var groups []func(flow.Record) bool
	for _, g := range d.groups {
		if len(g) == 0 {
			continue
		}
		var tests []func(flow.Record) bool
		for _, c := range g {
			tests = append(tests, c.prim.compile(c.subject, l, d.zone))
		}
		groups = append(groups, All(tests...))
	}
	pass := Any(groups...)
	if d.invert {
		return Not(pass)
	}
	return pass
}

// Check returns an error if records of l lack a field of need, in the words of
// the tools: what is "Filter" or "Xlate".
func Check(what string, l *flow.Layout, need flow.FieldSet) error {
	if missing := l.Missing(need); missing != 0 {
		return fmt.Errorf("%s references a field not in flow. (version %v has no %v)", what, l.Version, missing)
	}
	return nil
}
