// Package tag sets the source and destination tags of flow records by the
// actions of tag files.
package tag

import (
	"flowtools/internal/clib"
	"flowtools/internal/config"
	"flowtools/pkg/flow"
)

// Options says how a tag file is read.
type Options struct {
	Vars    map[string]string                        // values of @variables
	Resolve func(name string) (addr uint32, ok bool) // finds host names; nil knows none
	Warn    func(error)                              // takes warnings; nil drops them
}

// File is a tag file, with all references resolved. It is immutable.
type File struct {
	path        string
	definitions config.Names[Definition]
}

// Definition is a tag definition: terms, of which all that apply to a flow run
// their actions.
type Definition struct {
	name  string
	terms []*term
}

// term is a term of a definition. Conditions that are not given are nil.
type term struct {
	input, output *clib.Set
	exporter      *uint32
	refs          []config.Ref
	actions       []*action // of refs
}

// Load reads the tag file at path. An error names file, line, the word that was
// not understood and what was expected in its place.
func Load(path string, opt Options) (*File, error) {
	return config.Load(path, opt, Parse)
}

// Parse reads the text of a tag file; path names it in messages.
func Parse(path string, text []byte, opt Options) (*File, error) {
	ld := &loader{file: &File{path: path}}
	if err := grammar.Parse(path, text, config.Options{Vars: opt.Vars, Resolve: opt.Resolve, Warn: opt.Warn}, ld); err != nil {
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
	return f.definitions.Get(f.path, "tag-definition", name)
}

// Name returns the name of the definition as its file spells it.
func (d *Definition) Name() string { return d.name }

// Compile returns the function that sets the tags in a record of l, in place. l
// has tags, as version 1005 does; other fields that it lacks read as 0. The
// function does not allocate.
func (d *Definition) Compile(l *flow.Layout) func(flow.Record) {
	var terms []func(flow.Record)
	for _, t := range d.terms {
		if run := t.compile(l); run != nil {
			terms = append(terms, run)
		}
	}
	return sequence(terms)
}

// compile returns nil for a term that does nothing.
func (t *term) compile(l *flow.Layout) func(flow.Record) {
	var actions []func(flow.Record)
	for _, a := range t.actions {
		actions = append(actions, a.compile(l)...)
	}
	if len(actions) == 0 {
		return nil
	}
	run := sequence(actions)
	if t.input == nil && t.output == nil && t.exporter == nil {
		return run
	}
	return func(r flow.Record) {
		if t.input != nil && !t.input.Has(uint(l.Uint(r, flow.Input))) ||
			t.output != nil && !t.output.Has(uint(l.Uint(r, flow.Output))) ||
			t.exporter != nil && *t.exporter != uint32(l.Uint(r, flow.ExAddr)) {
			return
		}
		run(r)
	}
}

// sequence returns a function that calls all of fs in order.
func sequence(fs []func(flow.Record)) func(flow.Record) {
	if len(fs) == 1 {
		return fs[0]
	}
	return func(r flow.Record) {
		for _, f := range fs {
			f(r)
		}
	}
}
