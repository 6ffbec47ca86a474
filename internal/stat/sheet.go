package stat

import (
	"net/netip"
	"strings"

	"flowtools/internal/report/sheet"
	"flowtools/pkg/flow"
	"flowtools/pkg/report"
)

// Sheet returns the output as sheets, with all sums whether the report is wide
// or not; in percent they are shares. Title is the name of the report, if not
// empty.
func (r *Report) Sheet(s *sheet.Writer, title string) Output {
	head := sheet.Head{Name: r.format.name}
	if title != "" {
		head = sheet.Head{Name: title, Type: r.format.name}
	}
	if _, ok := r.page.(*plot); ok {
		return &plotSheet{Report: r, s: s, head: head}
	}
	return &sheets{Report: r, s: s, head: head}
}

// sheets is the output of reports that are complete at their end. Errors stay in
// the writer.
type sheets struct {
	*Report
	s    *sheet.Writer
	head sheet.Head
}

func (t *sheets) Open() {}

func (t *sheets) Add(b *flow.Batch) {
	if t.engine != nil {
		t.engine.Add(b)
	}
}

func (t *sheets) Close() {
	switch t.page.(type) {
	case nil:
		t.keyed()
	case *summary:
		t.summary()
	default:
		if t.engine != nil {
			t.head.Facts = t.facts()
		}
		t.whole(&t.head, nil)
	}
}

// whole writes one sheet.
func (t *sheets) whole(h *sheet.Head, rows func(yield func([]sheet.Value) bool)) {
	// The writer keeps its first error and returns it when it is closed.
	_ = t.s.Begin(h)
	if rows != nil {
		for row := range rows {
			_ = t.s.Row(row)
		}
	}
	_ = t.s.End()
}

var sumKinds = [...]sheet.Kind{sheet.Count, sheet.Octets, sheet.Count, sheet.Millis}

var sumNames = [...]string{"flows", "octets", "packets", "duration"}

// facts are the totals.
func (r *Report) facts() []sheet.Fact {
	var facts []sheet.Fact
	for i, v := range r.totals() {
		facts = append(facts, sheet.Fact{Name: sumNames[i], Value: sheet.Uint(sumKinds[i], v)})
	}
	return facts
}

func (t *sheets) keyed() {
	h := &t.head
	h.Facts = t.facts()
	keys := t.engine.Type.Keys
	for i := range keys {
		h.Columns = append(h.Columns, strings.ToLower(keys[i].Name))
	}
	h.Columns = append(h.Columns, sumNames[:]...)
	values := make([]sheet.Value, len(h.Columns))
	total := t.totals()
	t.whole(h, func(yield func([]sheet.Value) bool) {
		for row := range t.engine.Rows(t.backwards()) {
			for i := range keys {
				values[i] = t.keyValue(row, i)
			}
			for i, v := range sumsOf(row) {
				value := sheet.Uint(sumKinds[i], v)
				if t.options.Percent {
					value = sheet.Float(sheet.Percent, float64(v)/float64(total[i])*100)
				}
				values[len(keys)+i] = value
			}
			if !yield(values) {
				return
			}
		}
	})
}

// keyValue is key i of a row. Names and prefixes are given in full.
func (r *Report) keyValue(row report.Row, i int) sheet.Value {
	v := row.Key(i)
	a := uint32(v)
	ip := netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
	switch {
	case r.engine.Prefixed(i):
		length := int(row.PrefixLen(i))
		if length > 32 {
			length = 0 // as the text has it
		}
		return sheet.String(netip.PrefixFrom(ip, length).String())
	case r.engine.Type.Keys[i].Addr:
		return sheet.String(ip.String())
	case r.options.Names != nil && r.format.sym != "":
		if s, ok := r.options.Names.Name(a); ok {
			return sheet.String(s)
		}
	}
	return sheet.Uint(sheet.Number, v)
}

// summary has the totals and averages as facts and a row for each bin.
func (t *sheets) summary() {
	totals, d := t.engine.Totals(), t.engine.Detail()
	h := &t.head
	h.Facts = t.facts()
	if totals.Flows > 0 {
		flows, octets, packets := float64(totals.Flows), float64(totals.Octets), float64(totals.Packets)
		span := uint64(d.MaxLast) - uint64(d.MinFirst)
		seconds := float64(span) / 1000
		h.Facts = append(h.Facts,
			sheet.Fact{Name: "first export", Value: sheet.Uint(sheet.Time, uint64(totals.First))},
			sheet.Fact{Name: "last export", Value: sheet.Uint(sheet.Time, uint64(totals.Last))},
			sheet.Fact{Name: "time span", Value: sheet.Uint(sheet.Millis, span)},
			sheet.Fact{Name: "average flow time", Value: sheet.Float(sheet.Millis, float64(totals.Duration)/flows)},
			sheet.Fact{Name: "average packet size", Value: sheet.Float(sheet.Octets, octets/packets)},
			sheet.Fact{Name: "average flow size", Value: sheet.Float(sheet.Octets, octets/flows)},
			sheet.Fact{Name: "average packets per flow", Value: sheet.Float(sheet.Ratio, packets/flows)},
			sheet.Fact{Name: "average flows per second", Value: sheet.Float(sheet.Ratio, flows/seconds)},
			sheet.Fact{Name: "average bits per second", Value: sheet.Float(sheet.BitRate, 8*octets/seconds)},
		)
	}
	h.Columns = []string{"distribution", "up to", "flows", "share"}
	t.whole(h, func(yield func([]sheet.Value) bool) {
		for i, buckets := range report.Distributions() {
			name := strings.ToLower(strings.TrimSuffix(distributions[i].title, " distribution:"))
			for j, n := range d.Counts[i] {
				bound := sheet.String("more")
				if j < len(buckets.Bounds) {
					bound = sheet.Uint(sheet.Number, uint64(buckets.Bounds[j]))
				}
				share := sheet.Float(sheet.Percent, float64(n)/float64(totals.Flows)*100)
				if !yield([]sheet.Value{sheet.String(name), bound, sheet.Uint(sheet.Count, n), share}) {
					return
				}
			}
		}
	})
}

// plotSheet lists the records of a plot as they come.
type plotSheet struct {
	*Report
	s      *sheet.Writer
	head   sheet.Head
	values [3]sheet.Value
}

func (t *plotSheet) Open() {
	p := t.page.(*plot)
	t.head.Columns = []string{"first", "last", p.what()}
	_ = t.s.Begin(&t.head)
}

func (t *plotSheet) Add(b *flow.Batch) {
	p := t.page.(*plot)
	kind := sheet.Count
	if p.field == flow.DOctets {
		kind = sheet.Octets
	}
	for r := range b.All() {
		t.values = [3]sheet.Value{
			sheet.Uint(sheet.Millis, t.layout.Uint(r, flow.First)),
			sheet.Uint(sheet.Millis, t.layout.Uint(r, flow.Last)),
			sheet.Uint(kind, t.layout.Uint(r, p.field)),
		}
		_ = t.s.Row(t.values[:])
	}
}

func (t *plotSheet) Close() { _ = t.s.End() }
