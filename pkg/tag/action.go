package tag

import (
	"flowtools/internal/clib"
	"flowtools/internal/config"
	"flowtools/internal/lpm"
	"flowtools/pkg/flow"
)

// actionType is a type of actions.
type actionType struct {
	names  []string
	fields []flow.Field // looked up in turn; none: every flow
	prot   uint64       // the protocol concerned, 0 for all
	keys   func() keys
}

// Protocols that ports are looked up for.
const (
	tcp = 6
	udp = 17
)

// actionTypes are the types of actions.
var actionTypes = [...]actionType{
	{names: []string{"src-prefix", "source-prefix"}, fields: []flow.Field{flow.SrcAddr}, keys: newPrefixes},
	{names: []string{"dst-prefix", "destination-prefix"}, fields: []flow.Field{flow.DstAddr}, keys: newPrefixes},
	{names: []string{"prefix"}, fields: []flow.Field{flow.SrcAddr, flow.DstAddr}, keys: newPrefixes},
	{names: []string{"next-hop"}, fields: []flow.Field{flow.NextHop}, keys: newAddresses},
	{names: []string{"src-as", "source-as"}, fields: []flow.Field{flow.SrcAS}, keys: newNumbers16},
	{names: []string{"dst-as", "destination-as"}, fields: []flow.Field{flow.DstAS}, keys: newNumbers16},
	{names: []string{"as"}, fields: []flow.Field{flow.SrcAS, flow.DstAS}, keys: newNumbers16},
	{names: []string{"src-ip", "source-ip-address"}, fields: []flow.Field{flow.SrcAddr}, keys: newAddresses},
	{names: []string{"dst-ip", "destination-ip-address"}, fields: []flow.Field{flow.DstAddr}, keys: newAddresses},
	{names: []string{"ip"}, fields: []flow.Field{flow.SrcAddr, flow.DstAddr}, keys: newAddresses},
	{names: []string{"exporter"}, fields: []flow.Field{flow.ExAddr}, keys: newAddresses},
	{names: []string{"tcp-src-port", "tcp-source-port"}, fields: []flow.Field{flow.SrcPort}, prot: tcp, keys: newNumbers16},
	{names: []string{"tcp-dst-port", "tcp-destination-port"}, fields: []flow.Field{flow.DstPort}, prot: tcp, keys: newNumbers16},
	{names: []string{"tcp-port"}, fields: []flow.Field{flow.SrcPort, flow.DstPort}, prot: tcp, keys: newNumbers16},
	{names: []string{"udp-src-port", "udp-source-port"}, fields: []flow.Field{flow.SrcPort}, prot: udp, keys: newNumbers16},
	{names: []string{"udp-dst-port", "udp-destination-port"}, fields: []flow.Field{flow.DstPort}, prot: udp, keys: newNumbers16},
	{names: []string{"udp-port"}, fields: []flow.Field{flow.SrcPort, flow.DstPort}, prot: udp, keys: newNumbers16},
	{names: []string{"tos"}, fields: []flow.Field{flow.ToS}, keys: newNumbers8},
	{names: []string{"input-interface"}, fields: []flow.Field{flow.Input}, keys: newNumbers16},
	{names: []string{"output-interface"}, fields: []flow.Field{flow.Output}, keys: newNumbers16},
	{names: []string{"interface"}, fields: []flow.Field{flow.Input, flow.Output}, keys: newNumbers16},
	{names: []string{"any"}, keys: newEverything},
}

func typeNamed(name string) (*actionType, bool) {
	for i := range actionTypes {
		for _, n := range actionTypes[i].names {
			if clib.EqualFold(n, name) {
				return &actionTypes[i], true
			}
		}
	}
	return nil, false
}

// action is a tag-action of a file.
type action struct {
	name string
	typ  *actionType // nil until the type line
	keys keys
}

// entry is what a hit does: tag = tag AND and OR or, for the destination tag
// and then for the source tag.
type entry struct{ dst, src change }

// change is what happens to one tag.
type change struct {
	set, or bool // what its lines said
	value   uint32
}

// add takes a line's operation; false if it may not stand beside those before:
// a tag has one set or any number of ors.
func (c *change) add(or bool, v uint32) bool {
	if c.set || c.or && !or {
		return false
	}
	c.set, c.or = !or, or
	c.value |= v
	return true
}

// apply changes tag field f of r.
func (c *change) apply(l *flow.Layout, r flow.Record, f flow.Field) {
	switch {
	case c.set:
		l.PutUint(r, f, uint64(c.value))
	case c.or:
		l.PutUint(r, f, l.Uint(r, f)|uint64(c.value))
	}
}

func (e *entry) apply(l *flow.Layout, r flow.Record) {
	e.dst.apply(l, r, flow.DstTag)
	e.src.apply(l, r, flow.SrcTag)
}

// compile returns one function for each field looked up.
func (a *action) compile(l *flow.Layout) (run []func(flow.Record)) {
	if a.keys.empty() {
		return nil
	}
	lookup, prot := a.keys.lookup(), a.typ.prot
	if len(a.typ.fields) == 0 {
		e := lookup(0)
		return append(run, func(r flow.Record) { e.apply(l, r) })
	}
	for _, f := range a.typ.fields {
		run = append(run, func(r flow.Record) {
			if prot != 0 && l.Uint(r, flow.Prot) != prot {
				return
			}
			if e := lookup(uint32(l.Uint(r, f))); e != nil {
				e.apply(l, r)
			}
		})
	}
	return run
}

// keys are the values of an action's match lines.
type keys interface {
	// entry takes the value of a match line and returns its entry, new or met
	// before; nil if the line failed.
	entry(l *config.Line) *entry
	empty() bool
	// lookup returns the function that finds the entry of a value, nil for none.
	lookup() func(v uint32) *entry
}

// prefixes finds the longest prefix.
type prefixes struct{ table lpm.Table[*entry] }

func newPrefixes() keys { return new(prefixes) }

func (p *prefixes) entry(l *config.Line) *entry {
	addr, length := l.Prefix("a prefix")
	if l.Failed() {
		return nil
	}
	e, ok := p.table.Get(addr, length)
	if !ok {
		e = new(entry)
		p.table.Insert(addr, length, e)
	}
	return e
}

func (p *prefixes) empty() bool { return p.table.Len() == 0 }

func (p *prefixes) lookup() func(uint32) *entry {
	return func(v uint32) *entry {
		e, _ := p.table.Lookup(v)
		return e
	}
}

// addresses finds exact addresses.
type addresses map[uint32]*entry

func newAddresses() keys { return addresses{} }

func (m addresses) entry(l *config.Line) *entry {
	addr := l.IPv4("an address")
	e := m[addr]
	if e == nil {
		e = new(entry)
		m[addr] = e
	}
	return e
}

func (m addresses) empty() bool { return len(m) == 0 }

func (m addresses) lookup() func(uint32) *entry {
	return func(v uint32) *entry { return m[v] }
}

// numbers finds numbers of 8 or 16 bits, by their upper and lower half.
type numbers struct {
	bits  int
	count int
	pages [256]*[256]*entry
}

func newNumbers8() keys  { return &numbers{bits: 8} }
func newNumbers16() keys { return &numbers{bits: 16} }

func (n *numbers) entry(l *config.Line) *entry {
	v := l.Dec("a number", n.bits)
	page := &n.pages[v>>8]
	if *page == nil {
		*page = new([256]*entry)
	}
	e := &(*page)[v&255]
	if *e == nil {
		*e = new(entry)
		n.count++
	}
	return *e
}

func (n *numbers) empty() bool { return n.count == 0 }

func (n *numbers) lookup() func(uint32) *entry {
	return func(v uint32) *entry {
		if v > 0xffff {
			return nil
		}
		if page := n.pages[v>>8]; page != nil {
			return page[v&255]
		}
		return nil
	}
}

// everything has one entry.
type everything struct{ e *entry }

func newEverything() keys { return new(everything) }

func (a *everything) entry(l *config.Line) *entry {
	l.OneOf("any")
	if a.e == nil {
		a.e = new(entry)
	}
	return a.e
}

func (a *everything) empty() bool { return a.e == nil }

func (a *everything) lookup() func(uint32) *entry {
	return func(uint32) *entry { return a.e }
}
