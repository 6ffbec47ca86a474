// Package mask replaces the prefix lengths of flow records by the longest prefix
// of a mask file that holds the address.
package mask

import (
	"flowtools/internal/config"
	"flowtools/internal/lpm"
	"flowtools/pkg/flow"
)

// Options says how a mask file is read.
type Options struct {
	Resolve func(name string) (addr uint32, ok bool) // finds host names; nil knows none
	Warn    func(error)                              // takes warnings; nil drops them
}

// File is a mask file. It is immutable.
type File struct {
	path        string
	definitions config.Names[Definition]
}

// Definition is a mask definition: lengths by prefix.
type Definition struct {
	name  string
	table lpm.Table[uint8]
}

// There are no sections but definitions, and no variables: @ is an ordinary character.
const inDefinition config.Section = 1

var grammar = config.Grammar[loader]{
	{Name: "mask-definition", Opens: inDefinition, Run: (*loader).definition},
	{Name: "prefix", In: inDefinition, Run: (*loader).prefix},
}

type loader struct {
	file *File
	def  *Definition
}

func (ld *loader) definition(l *config.Line) {
	name, d := ld.file.definitions.Define(l, "mask-definition")
	d.name = name
	ld.def = d
}

func (ld *loader) prefix(l *config.Line) {
	addr, length := l.Prefix("a prefix")
	value := l.Dec("a mask length", 8)
	if !l.Failed() && !ld.def.table.Insert(addr, length, uint8(value)) {
		l.Failf("Only one match. The prefix is in mask-definition %q already.", ld.def.name)
	}
}

// Load reads the mask file at path. An error names file, line, the word that was
// not understood and what was expected in its place.
func Load(path string, opt Options) (*File, error) {
	return config.Load(path, opt, Parse)
}

// Parse reads the text of a mask file; path names it in messages.
func Parse(path string, text []byte, opt Options) (*File, error) {
	ld := &loader{file: &File{path: path}}
	if err := grammar.Parse(path, text, config.Options{NoVars: true, Resolve: opt.Resolve, Warn: opt.Warn}, ld); err != nil {
		return nil, err
	}
	return ld.file, nil
}

// Definition returns the definition of that name, in any case. The error says
// that there is none and which there are.
func (f *File) Definition(name string) (*Definition, error) {
	return f.definitions.Get(f.path, "mask-definition", name)
}

// Name returns the name of the definition as its file spells it.
func (d *Definition) Name() string { return d.name }

// sides are the fields of the two ends of a flow.
var sides = [...]struct{ addr, mask flow.Field }{
	{flow.SrcAddr, flow.SrcMask},
	{flow.DstAddr, flow.DstMask},
}

// Compile returns the function that replaces the prefix lengths in a record of
// l, in place: at each end whose address and length are both in the record. The
// function does not allocate.
func (d *Definition) Compile(l *flow.Layout) func(flow.Record) {
	var ends []func(flow.Record)
	for _, s := range sides {
		if l.Missing(flow.Fields(s.addr, s.mask)) != 0 {
			continue
		}
		ends = append(ends, func(r flow.Record) {
			if length, ok := d.table.Lookup(uint32(l.Uint(r, s.addr))); ok {
				l.PutUint(r, s.mask, uint64(length))
			}
		})
	}
	switch len(ends) {
	case 0:
		return func(flow.Record) {}
	case 1:
		return ends[0]
	}
	src, dst := ends[0], ends[1]
	return func(r flow.Record) { src(r); dst(r) }
}
