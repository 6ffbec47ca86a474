package report

import (
	"flowtools/internal/report/sheet"
	engine "flowtools/pkg/report"
)

// writeSheet writes an output for people and programs.
func (r *Run) writeSheet(m *making, o *Output) error {
	t := newText(r, m, o, r.out)
	head := &sheet.Head{Name: m.conf.Name, Type: m.Type.Name, Facts: t.facts()}
	var rows func() error
	switch m.Type.Kind {
	case engine.Counters:
		rows = func() error { return nil }
	case engine.Detail:
		rows = t.detailSheet(head)
	default:
		rows = t.lineSheet(head)
	}
	if err := r.sheets.Begin(head); err != nil {
		return err
	}
	if err := rows(); err != nil {
		return err
	}
	return r.sheets.End()
}

// facts are the totals of a report.
func (t *text) facts() []sheet.Fact {
	s, r := &t.totals, t.run
	facts := []sheet.Fact{}
	add := func(name string, v sheet.Value) { facts = append(facts, sheet.Fact{Name: name, Value: v}) }
	if r.def.Series != 0 {
		add("interval", sheet.Uint(sheet.Number, uint64(r.interval)))
	}
	if s.Records > 0 {
		add("first flow", sheet.Uint(sheet.Time, uint64(s.First)))
		add("last flow", sheet.Uint(sheet.Time, uint64(s.Last)))
	}
	if len(t.m.Type.Keys) > 0 {
		add("records", sheet.Uint(sheet.Count, t.entries()))
	}
	if s.Ignores > 0 {
		add("ignored", sheet.Uint(sheet.Count, s.Ignores))
	}
	add("flows", sheet.Uint(sheet.Count, s.Flows))
	add("octets", sheet.Uint(sheet.Octets, s.Octets))
	add("packets", sheet.Uint(sheet.Count, s.Packets))
	add("duration", sheet.Uint(sheet.Millis, s.Duration))
	if t.m.rates {
		for c := range engine.Rates().All() {
			add(c.String(), sheet.Float(kinds[c.Unit()], t.m.Total(c)))
		}
	}
	return facts
}

// kinds are the kinds of values by unit.
var kinds = [...]sheet.Kind{
	engine.Label: sheet.Number, engine.Quantity: sheet.Count, engine.InOctets: sheet.Octets, engine.InMillis: sheet.Millis,
	engine.BitsPerSecond: sheet.BitRate, engine.PacketsPerSecond: sheet.PackRate, engine.UnixTime: sheet.Time,
}

// lineSheet fills in the columns of the head and returns what writes the rows.
func (t *text) lineSheet(head *sheet.Head) func() error {
	columns := t.columns()
	var values []func(engine.Row) sheet.Value
	for c := range columns.All() {
		head.Columns = append(head.Columns, t.m.Type.Title(c))
		values = append(values, t.sheetValue(c))
	}
	return func() error {
		if err := t.sortable(); err != nil {
			return err
		}
		backward := t.m.sortFor(t.out)
		t.findHosts(columns, t.out.Flags, t.out.Records, backward)
		row := make([]sheet.Value, len(values))
		var lines uint64
		for r := range t.m.Rows(backward) {
			for i, value := range values {
				row[i] = value(r)
			}
			if err := t.run.sheets.Row(row); err != nil {
				return err
			}
			t.m.index++
			if lines++; lines == t.out.Records {
				break
			}
		}
		return nil
	}
}

func (t *text) sheetValue(c engine.Column) func(engine.Row) sheet.Value {
	kind := kinds[c.Unit()]
	floats := c.Float() || t.m.Type.Kind == engine.Linear && c != engine.Key1
	switch {
	case c == engine.Index:
		return func(engine.Row) sheet.Value { return sheet.Uint(kind, t.m.index) }
	case engine.Keys.Has(c):
		return t.sheetKey(int(c - engine.Key1))
	case t.out.Flags&PercentTotal != 0 && engine.Shares().Has(c) && t.m.Type.Kind != engine.Linear:
		total := t.m.Total(c)
		return func(row engine.Row) sheet.Value { return sheet.Float(sheet.Percent, percent(row.Float(c), total)) }
	case floats:
		return func(row engine.Row) sheet.Value { return sheet.Float(kind, row.Float(c)) }
	}
	return func(row engine.Row) sheet.Value { return sheet.Uint(kind, row.Uint(c)) }
}

// sheetKey is text where the key is: addresses, names.
func (t *text) sheetKey(i int) func(engine.Row) sheet.Value {
	k := &t.m.Type.Keys[i]
	names := t.out.Flags&Names != 0
	switch {
	case t.m.Type.Kind == engine.Linear:
		return func(row engine.Row) sheet.Value { return sheet.Uint(sheet.Time, row.Key(i)) }
	case k.Addr || names && k.Sym != "":
		show := t.key(i, names)
		var buf []byte
		return func(row engine.Row) sheet.Value {
			buf = show(buf[:0], row)
			return sheet.String(string(buf))
		}
	}
	return func(row engine.Row) sheet.Value { return sheet.Uint(sheet.Number, row.Key(i)) }
}

// distributionNames are the distributions of summary-detail, for people.
var distributionNames = [engine.NumDistributions]string{
	engine.BySize: "packet size (octets)", engine.ByPackets: "packets per flow",
	engine.ByOctets: "octets per flow", engine.ByDuration: "flow time (ms)",
}

// detailSheet has the averages as facts and a row for each bucket.
func (t *text) detailSheet(head *sheet.Head) func() error {
	s, d := &t.totals, t.m.Detail()
	values := detailValues(t.m.Report)
	for _, f := range []struct {
		name, from string
		kind       sheet.Kind
	}{
		{"average flow time", "aflowtime", sheet.Millis},
		{"average packet size", "aps", sheet.Octets},
		{"average flow size", "afs", sheet.Octets},
		{"average packets per flow", "apf", sheet.Count},
	} {
		for _, v := range values {
			if v.name == f.from {
				head.Facts = append(head.Facts, sheet.Fact{Name: f.name, Value: sheet.Uint(f.kind, uint64(v.v))})
			}
		}
	}
	head.Columns = []string{"distribution", "up to", "flows", "share"}
	return func() error {
		row := make([]sheet.Value, len(head.Columns))
		for i := range engine.Distributions() {
			b := &engine.Distributions()[i]
			for j, n := range d.Counts[i] {
				bound := sheet.String("more")
				if j < len(b.Bounds) {
					bound = sheet.Uint(sheet.Number, uint64(b.Bounds[j]))
				}
				row[0], row[1] = sheet.String(distributionNames[i]), bound
				row[2] = sheet.Uint(sheet.Count, n)
				row[3] = sheet.Float(sheet.Percent, percent(float64(n), float64(s.Flows)))
				if err := t.run.sheets.Row(row); err != nil {
					return err
				}
			}
		}
		return nil
	}
}
