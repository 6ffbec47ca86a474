// Package xlate changes flow records: conversion between record versions, the
// actions of xlate files (network masks, privacy masks, scaling, AS
// replacement), and prefix-preserving anonymization of addresses.
package xlate

import (
	"time"

	"flowtools/internal/config"
	"flowtools/pkg/filter"
	"flowtools/pkg/flow"
)

// Options says how an xlate file is read and what it may know of the world. The
// zero Options is an empty environment.
type Options struct {
	Vars map[string]string // values of @variables
	Dir  string            // what relative names in the file are relative to; "" is the working directory

	LookupEnv func(string) (string, bool)              // TZ, and where configuration files are
	Now       func() time.Time                         // the clock of key-file-refresh
	Resolve   func(name string) (addr uint32, ok bool) // finds host names; nil knows none
	Warn      func(error)                              // takes warnings and notes; nil drops them
}

func (o *Options) lookupEnv(name string) (string, bool) {
	if o.LookupEnv == nil {
		return "", false
	}
	return o.LookupEnv(name)
}

func (o *Options) now() time.Time {
	if o.Now == nil {
		return time.Time{}
	}
	return o.Now()
}

func (o *Options) warn(err error) {
	if o.Warn != nil {
		o.Warn(err)
	}
}

// path returns the name to open for a name in the file.
func (o *Options) path(name string) string {
	if o.Dir == "" || name == "" || name[0] == '/' {
		return name
	}
	return o.Dir + "/" + name
}

// File is an xlate file, with all references resolved. It is immutable.
type File struct {
	path        string
	definitions config.Names[Definition]
}

// Definition is an xlate definition: terms with the actions for the flows that
// pass their filters.
type Definition struct {
	name  string
	terms []*term
	opt   *Options
}

// term is a term of a definition.
type term struct {
	filter  *filter.Definition // nil: every flow
	refs    []config.Ref
	actions []*action // of refs
	stop    bool      // no later term for the flows of this one
}

// Load reads the xlate file at path and the filter file it uses. An error names
// file, line, the word that was not understood and what was expected in its
// place.
func Load(path string, opt Options) (*File, error) {
	return config.Load(path, opt, Parse)
}

// Parse reads the text of an xlate file; path names it in messages.
func Parse(path string, text []byte, opt Options) (*File, error) {
	ld := newLoader(path, &opt)
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
	return f.definitions.Get(f.path, "xlate-definition", name)
}

// Name returns the name of the definition as its file spells it.
func (d *Definition) Name() string { return d.name }

// Needs returns the fields that records must have: those of all actions and
// filters of the definition.
func (d *Definition) Needs() (need flow.FieldSet) {
	for _, t := range d.terms {
		if t.filter != nil {
			need |= t.filter.Needs()
		}
		for _, a := range t.actions {
			need |= a.typ.needs
		}
	}
	return need
}

// Compile returns the function that changes a record of l, in place. Fields that
// l lacks read as 0 and are not set; tools refuse such streams (see Needs). The
// function does not allocate, but for key files read again; it is for one
// goroutine.
func (d *Definition) Compile(l *flow.Layout) func(flow.Record) {
	type step struct {
		pass    func(flow.Record) bool // nil: always
		actions []func(flow.Record)
		stop    bool
	}
	var steps []step
	for _, t := range d.terms {
		s := step{stop: t.stop}
		if t.filter != nil {
			s.pass = t.filter.Compile(l)
		}
		for _, a := range t.actions {
			s.actions = append(s.actions, a.typ.compile(a, l, d.opt))
		}
		if len(s.actions) > 0 || s.stop {
			steps = append(steps, s)
		}
	}
	return func(r flow.Record) {
		for i := range steps {
			s := &steps[i]
			if s.pass != nil && !s.pass(r) {
				continue
			}
			for _, change := range s.actions {
				change(r)
			}
			if s.stop {
				return
			}
		}
	}
}
