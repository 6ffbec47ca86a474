package filter

import (
	"time"

	"flowtools/internal/cdate"
	"flowtools/internal/config"
	"flowtools/internal/sym"
)

// Sections of filter files.
const (
	inPrimitive config.Section = 1 << iota
	inDefinition
)

var grammar = config.Grammar[loader]{
	{Name: "filter-primitive", Opens: inPrimitive, Run: (*loader).primitive},
	{Name: "type", In: inPrimitive, Run: (*loader).primitiveType},
	{Name: "permit", In: inPrimitive, Run: func(ld *loader, l *config.Line) { ld.entry(l, true) }},
	{Name: "deny", In: inPrimitive, Run: func(ld *loader, l *config.Line) { ld.entry(l, false) }},
	{Name: "default", In: inPrimitive, Run: (*loader).defaultAnswer},
	{Name: "mask", In: inPrimitive, Run: (*loader).mask},
	{Name: "filter-definition", Opens: inDefinition, Run: (*loader).definition},
	{Name: "match", In: inDefinition, Run: (*loader).match},
	{Name: "or", In: inDefinition, Run: (*loader).or},
	{Name: "invert", In: inDefinition, Run: (*loader).invert},
}

// loader is a filter file as it is read.
type loader struct {
	file       *File
	opt        *Options
	primitives config.Names[primitive]
	prim       *primitive
	def        *Definition
	symbols    map[string]*sym.Table // read so far
	zone       *cdate.Zone           // nil until something asks for local time
}

// table returns the look-up in a symbol table, nil for none. The table is read
// when the first symbol is looked up in it.
func (ld *loader) table(name string) config.Symbols {
	if name == "" {
		return nil
	}
	return func(symbol string) (uint32, bool) {
		t, read := ld.symbols[name]
		if !read {
			var err error
			if t, err = sym.Open(ld.opt.lookupEnv, name); err != nil {
				ld.opt.warn(err) // as good as empty
			}
			if ld.symbols == nil {
				ld.symbols = map[string]*sym.Table{}
			}
			ld.symbols[name] = t
		}
		return t.Value(symbol)
	}
}

// zoneOf returns the local time zone.
func (ld *loader) zoneOf() *cdate.Zone {
	if ld.zone == nil {
		ld.zone = cdate.LoadZone(ld.opt.lookupEnv("TZ"))
	}
	return ld.zone
}

func (ld *loader) parseDate(text string) (uint32, error) {
	var now time.Time
	if ld.opt.Now != nil {
		now = ld.opt.Now()
	}
	sec, err := cdate.GetDate(text, now, ld.zoneOf())
	return uint32(sec), err
}

func (ld *loader) primitive(l *config.Line) {
	name, p := ld.primitives.Define(l, "filter-primitive")
	p.name = name
	ld.prim = p
}

func (ld *loader) primitiveType(l *config.Line) {
	if ld.prim.typ != nil {
		l.Failf("The type of filter-primitive %q is set already: %s.", ld.prim.name, ld.prim.typ.name)
		return
	}
	t := config.Choose(l, "a type: "+typeNames(), typeNamed)
	if t != nil {
		ld.prim.typ, ld.prim.data = t, t.new(t)
	}
}

// typed reports whether the primitive has a type, and fails the line otherwise.
func (ld *loader) typed(l *config.Line) bool {
	if ld.prim.typ == nil {
		l.Failf("Must set type first. Expecting type.")
	}
	return ld.prim.typ != nil
}

func (ld *loader) entry(l *config.Line, permit bool) {
	if ld.typed(l) {
		ld.prim.data.entry(ld, l, permit)
	}
}

func (ld *loader) defaultAnswer(l *config.Line) {
	if !ld.typed(l) {
		return
	}
	ld.prim.deflt = l.OneOf("permit", "deny") == 0
	if _, ok := ld.prim.data.(*sample); ok {
		l.Warnf("A rate has no default.")
	}
}

func (ld *loader) mask(l *config.Line) {
	if !ld.typed(l) {
		return
	}
	t, ok := ld.prim.data.(*table)
	if !ok || !ld.prim.typ.masked {
		l.Failf("Type %s has no mask.", ld.prim.typ.name)
		return
	}
	t.mask = l.Uint("a mask", 8)
}

func (ld *loader) definition(l *config.Line) {
	name, d := ld.file.definitions.Define(l, "filter-definition")
	d.name = name
	ld.def = d
}

func (ld *loader) match(l *config.Line) {
	c := criterion{subject: config.Choose(l, "what to match: "+subjectNames(), subjectNamed)}
	c.ref = l.Ref("the name of a filter-primitive")
	d := ld.def
	if len(d.groups) == 0 {
		d.groups = append(d.groups, nil)
	}
	last := len(d.groups) - 1
	d.groups[last] = append(d.groups[last], c)
}

func (ld *loader) or(*config.Line) { ld.def.groups = append(ld.def.groups, nil) }

func (ld *loader) invert(*config.Line) { ld.def.invert = true }

// resolve finds the primitives of all definitions.
func (ld *loader) resolve() error {
	for _, d := range ld.file.definitions.All() {
		for _, g := range d.groups {
			for i := range g {
				if err := ld.bind(&g[i]); err != nil {
					return err
				}
			}
		}
		d.zone = ld.zone
	}
	return nil
}

// bind finds the primitive of a criterion and checks that they fit.
func (ld *loader) bind(c *criterion) error {
	p, ok := ld.primitives.Find(c.ref.Name)
	switch {
	case !ok:
		return c.ref.Errorf("Unexpected %q. Expecting the name of a filter-primitive.", c.ref.Name)
	case p.typ == nil:
		return c.ref.Errorf("filter-primitive %q has no type.", p.name)
	case p.typ.fits&c.subject.kind == 0:
		return c.ref.Errorf("filter-primitive %q is of type %s. Expecting type %s to match %s.", p.name, p.typ.name, fitting(c.subject.kind), c.subject.names[0])
	}
	if s, ok := p.data.(*sample); ok && s.n == 0 {
		return c.ref.Errorf("filter-primitive %q has no rate. Expecting permit or deny and a number in it.", p.name)
	}
	if p.typ.local {
		ld.zoneOf()
	}
	c.prim = p
	return nil
}
