package filter

import (
	"math/rand/v2"

	"flowtools/internal/cdate"
	"flowtools/internal/clib"
	"flowtools/internal/config"
	"flowtools/internal/lpm"
	"flowtools/internal/sym"
	"flowtools/pkg/flow"
)

// primitiveType is a type of primitives.
type primitiveType struct {
	name   string
	fits   kinds // what it tests
	limit  uint32
	sym    string // symbol table of its words
	masked bool   // values are ANDed with the mask of a mask line
	new    func(*primitiveType) data
	value  func(ld *loader, l *config.Line) uint64 // compare: the number behind the operator
	local  bool                                    // compare: on the local time of day
}

// types are the types of primitives.
//
// Compat: AS numbers take their symbols from the table of tags.
var types = [...]primitiveType{
	{name: "as", fits: kindOf(flow.ASN), limit: 65535, sym: sym.Tag, new: newTable},
	{name: "ip-port", fits: kindOf(flow.Port), limit: 65535, sym: sym.TCPPort, new: newTable},
	{name: "ifindex", fits: kindOf(flow.IfIndex), limit: 65535, new: newTable},
	{name: "ip-protocol", fits: kindOf(flow.Proto), limit: 255, sym: sym.IPProt, new: newTable},
	{name: "ip-tos", fits: kindOf(flow.ToSByte), limit: 255, masked: true, new: newTable},
	{name: "ip-tcp-flags", fits: kindOf(flow.Flags), limit: 255, masked: true, new: newTable},
	{name: "engine", fits: kindOf(flow.Opaque), limit: 255, new: newTable},
	{name: "ip-address-prefix-len", fits: kindOf(flow.MaskLen), limit: 32, new: newTable},
	{name: "ip-address", fits: kindOf(flow.Addr), new: newExact},
	{name: "ip-address-mask", fits: kindOf(flow.Addr), new: newPatterns},
	{name: "ip-address-prefix", fits: kindOf(flow.Addr), new: newPrefixes},
	{name: "tag", fits: kindOf(flow.Tag), sym: sym.Tag, new: newExact},
	{name: "tag-mask", fits: kindOf(flow.Tag), sym: sym.Tag, new: newPatterns},
	{name: "counter", fits: kindOf(flow.Count), new: newCompare, value: func(_ *loader, l *config.Line) uint64 { return l.Uint("a number", 32) }},
	{name: "double", fits: ratio, new: newCompareReal},
	{name: "time", fits: instant, new: newCompare, value: clock, local: true},
	{name: "time-date", fits: instant, new: newCompare, value: date},
	{name: "rate", fits: chance, new: newSample},
}

// primitive is a filter-primitive of a file.
type primitive struct {
	name  string
	typ   *primitiveType // nil until the type line
	data  data
	deflt bool // the answer when no entry applies
}

func (p *primitive) compile(s *subject, l *flow.Layout, zone *cdate.Zone) func(flow.Record) bool {
	return p.data.compile(source{l, s, zone}, p.deflt)
}

// source says where a primitive finds the value to test.
type source struct {
	l    *flow.Layout
	s    *subject
	zone *cdate.Zone
}

// data is what the permit and deny lines of a primitive have built.
type data interface {
	// entry takes the words of a permit or deny line.
	entry(ld *loader, l *config.Line, permit bool)
	// compile returns the predicate on what src gives; deflt is its answer where
	// no entry applies.
	compile(src source, deflt bool) func(flow.Record) bool
}

// table answers by value: the lists of small numbers. The last entry for a value
// counts.
type table struct {
	typ    *primitiveType
	listed *clib.Set // values with an answer
	passed *clib.Set // those of them that are permitted
	mask   uint64
}

func newTable(t *primitiveType) data {
	size := tableSize(t)
	return &table{typ: t, listed: clib.NewSet(size), passed: clib.NewSet(size), mask: 1<<64 - 1}
}

// tableSize covers every value of a field of 8 or 16 bits.
func tableSize(t *primitiveType) int {
	if t.limit < 1<<8 {
		return 1 << 8
	}
	return 1 << 16
}

// Compat: ! swaps permit and deny for the values listed and does not touch the
// others (goldens flow-nfilter, list-invert-*).
func (t *table) entry(ld *loader, l *config.Line, permit bool) {
	spans, negated := l.List("a list of numbers", t.typ.limit, ld.table(t.typ.sym))
	repeated := false
	for _, s := range spans {
		first, last := uint(s.First), uint(s.Last)
		repeated = repeated || t.listed.HasAny(first, last)
		t.listed.PutRange(first, last, true)
		t.passed.PutRange(first, last, permit != negated)
	}
	if repeated {
		l.Warnf("A number was listed before; the last entry counts.")
	}
}

func (t *table) compile(src source, deflt bool) func(flow.Record) bool {
	l, field, mask := src.l, src.s.field, t.mask
	size := uint(tableSize(t.typ))
	answers := t.passed
	if deflt {
		answers = clib.NewSet(int(size))
		for v := range size {
			answers.Put(v, t.passed.Has(v) || !t.listed.Has(v))
		}
		if _, width := l.Offset(field); 1<<(8*width) > uint64(size) { // records wider than the lists
			return func(r flow.Record) bool {
				v := uint(l.Uint(r, field) & mask)
				return v >= size || answers.Has(v)
			}
		}
	}
	return func(r flow.Record) bool { return answers.Has(uint(l.Uint(r, field) & mask)) }
}

// exact answers by value where values are sparse: addresses and tags. The last
// entry for a value counts.
type exact struct {
	typ     *primitiveType
	answers map[uint32]bool
}

func newExact(t *primitiveType) data { return &exact{t, map[uint32]bool{}} }

func (e *exact) entry(ld *loader, l *config.Line, permit bool) {
	var v uint32
	if e.typ.fits == kindOf(flow.Addr) {
		v = l.IPv4("an address")
	} else {
		v = l.Symbol("a tag", ld.table(e.typ.sym))
	}
	if _, repeated := e.answers[v]; repeated {
		l.Warnf("The value was listed before; the last entry counts.")
	}
	e.answers[v] = permit
}

// fewValues is up to how many values a scan beats a map.
const fewValues = 8

func (e *exact) compile(src source, deflt bool) func(flow.Record) bool {
	l, field, answers := src.l, src.s.field, e.answers
	if len(answers) > fewValues {
		return func(r flow.Record) bool {
			if permit, ok := answers[uint32(l.Uint(r, field))]; ok {
				return permit
			}
			return deflt
		}
	}
	var values []uint32 // those that are not answered by the default
	for v, permit := range answers {
		if permit != deflt {
			values = append(values, v)
		}
	}
	return func(r flow.Record) bool {
		v := uint32(l.Uint(r, field))
		for _, x := range values {
			if x == v {
				return !deflt
			}
		}
		return deflt
	}
}

// patterns answer by the first entry in file order with value AND mask equal to
// its value.
type patterns struct {
	typ  *primitiveType
	list []pattern
	seen map[pattern]bool
}

type pattern struct {
	value, mask uint32
	permit      bool
}

func newPatterns(t *primitiveType) data { return &patterns{typ: t, seen: map[pattern]bool{}} }

func (p *patterns) entry(ld *loader, l *config.Line, permit bool) {
	var e pattern
	if p.typ.fits == kindOf(flow.Addr) {
		e.value = l.IPv4("an address")
		e.mask = l.IPv4("a mask")
	} else {
		e.value = l.Symbol("a tag", ld.table(p.typ.sym))
		e.mask = uint32(l.Uint("a mask", 32))
	}
	if p.seen[e] {
		l.Warnf("The pair was listed before; the first entry counts.")
		return
	}
	p.seen[e] = true
	e.permit = permit
	p.list = append(p.list, e)
}

func (p *patterns) compile(src source, deflt bool) func(flow.Record) bool {
	l, field, list := src.l, src.s.field, p.list
	return func(r flow.Record) bool {
		v := uint32(l.Uint(r, field))
		for i := range list {
			if e := &list[i]; v&e.mask == e.value {
				return e.permit
			}
		}
		return deflt
	}
}

// prefixes answer by the longest prefix that holds an address.
type prefixes struct{ table lpm.Table[bool] }

func newPrefixes(*primitiveType) data { return new(prefixes) }

func (p *prefixes) entry(_ *loader, l *config.Line, permit bool) {
	addr, length := l.Prefix("a prefix")
	if !l.Failed() && !p.table.Insert(addr, length, permit) {
		l.Warnf("The prefix was listed before; the first entry counts.")
	}
}

func (p *prefixes) compile(src source, deflt bool) func(flow.Record) bool {
	l, field := src.l, src.s.field
	return func(r flow.Record) bool {
		if permit, ok := p.table.Lookup(uint32(l.Uint(r, field))); ok {
			return permit
		}
		return deflt
	}
}

// operators of comparisons, in their order in messages.
var operators = []string{"lt", "gt", "eq", "ne", "ge", "le"}

// The operators by index.
const (
	less = iota
	greater
	equal
	unequal
	atLeast
	atMost
)

// compare answers by the first entry whose comparison holds.
type compare struct {
	typ  *primitiveType
	list []interval
}

// interval is a comparison: it holds for the values from low to low+span, or
// with outside for all others.
type interval struct {
	low, span uint64
	outside   bool
	permit    bool
}

// between returns the interval of an operator on values 0..2^64-1.
func between(op int, v uint64, permit bool) interval {
	switch op {
	case less:
		return interval{v, -v - 1, true, permit}
	case atLeast:
		return interval{v, -v - 1, false, permit}
	case greater:
		return interval{0, v, true, permit}
	case atMost:
		return interval{0, v, false, permit}
	case unequal:
		return interval{v, 0, true, permit}
	}
	return interval{v, 0, false, permit}
}

func newCompare(t *primitiveType) data { return &compare{typ: t} }

func (c *compare) entry(ld *loader, l *config.Line, permit bool) {
	op := l.OneOf(operators...)
	v := c.typ.value(ld, l)
	c.list = append(c.list, between(op, v, permit))
}

// decide returns the answer for v.
func (c *compare) decide(v uint64, deflt bool) bool {
	for i := range c.list {
		if e := &c.list[i]; (v-e.low <= e.span) != e.outside {
			return e.permit
		}
	}
	return deflt
}

func (c *compare) compile(src source, deflt bool) func(flow.Record) bool {
	l, value := src.l, src.s.derived
	switch {
	case value == nil:
		field := src.s.field
		return func(r flow.Record) bool { return c.decide(l.Uint(r, field), deflt) }
	case c.typ.local:
		zone := src.zone
		return func(r flow.Record) bool { return c.decide(timeOfDay(zone, value(l, r)), deflt) }
	}
	return func(r flow.Record) bool { return c.decide(value(l, r), deflt) }
}

// dayBias keeps times of day, which may be negative in files, in order as
// unsigned numbers.
const dayBias = 1 << 62

// timeOfDay returns the seconds since local midnight of a second since 1970,
// plus dayBias.
func timeOfDay(zone *cdate.Zone, sec uint64) uint64 {
	off, _, _ := zone.Offset(int64(sec))
	return dayBias + uint64(int64(sec)+int64(off)+86400)%86400
}

// clock takes H[:M[:S]].
//
// Compat: there are no ranges; 35:00 is later than any time of day.
func clock(_ *loader, l *config.Line) uint64 { return uint64(dayBias + l.Clock("a time H:M:S")) }

// date takes a free-form date: the rest of the line.
func date(ld *loader, l *config.Line) uint64 {
	text := l.Tail("a time/date")
	if l.Failed() {
		return 0
	}
	sec, err := ld.parseDate(text)
	if err != nil {
		l.Failf("Unexpected %q. Expecting a time/date. (%v)", text, err)
	}
	return uint64(sec)
}

// compareReal is compare for real numbers.
type compareReal struct{ list []comparison }

type comparison struct {
	op     int
	v      float64
	permit bool
}

func newCompareReal(*primitiveType) data { return new(compareReal) }

func (c *compareReal) entry(_ *loader, l *config.Line, permit bool) {
	op := l.OneOf(operators...)
	c.list = append(c.list, comparison{op, l.Real("a number"), permit})
}

// holds compares as C does: nothing but ne holds with a NaN.
func (c *comparison) holds(v float64) bool {
	switch c.op {
	case less:
		return v < c.v
	case greater:
		return v > c.v
	case equal:
		return v == c.v
	case unequal:
		return v != c.v
	case atLeast:
		return v >= c.v
	}
	return v <= c.v
}

func (c *compareReal) compile(src source, deflt bool) func(flow.Record) bool {
	l, value, list := src.l, src.s.real, c.list
	return func(r flow.Record) bool {
		v := value(l, r)
		for i := range list {
			if list[i].holds(v) {
				return list[i].permit
			}
		}
		return deflt
	}
}

// sample answers one time in n, by chance.
type sample struct {
	n      uint32 // 0: not set
	permit bool
}

func newSample(*primitiveType) data { return new(sample) }

func (s *sample) entry(_ *loader, l *config.Line, permit bool) {
	if s.n != 0 {
		l.Warnf("The rate was set before; the last one counts.")
	}
	n := int32(l.Dec("a rate", 32))
	if n == 0 {
		l.Failf("Expecting a rate that is not 0.")
	}
	s.n, s.permit = uint32(max(n, -n)), permit
}

func (s *sample) compile(source, bool) func(flow.Record) bool {
	n, permit := s.n, s.permit
	return func(flow.Record) bool { return (rand.Uint32N(n) == 0) == permit }
}
