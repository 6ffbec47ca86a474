package report

import (
	"bufio"
	"fmt"
	"strconv"

	"flowtools/internal/clib"
	"flowtools/internal/print"
	engine "flowtools/pkg/report"
)

// version is what the header says made it.
//
// Compat: scripts look for this line.
const version = "flow-tools 0.68.5"

// labelWidth is the width of the labels of the header, "# " included.
const labelWidth = 24

// text writes one output as the original does.
type text struct {
	run    *Run
	m      *making
	out    *Output
	w      *bufio.Writer
	buf    []byte
	totals engine.Totals
}

func newText(r *Run, m *making, o *Output, w *bufio.Writer) *text {
	return &text{run: r, m: m, out: o, w: w, totals: m.Totals()}
}

// flush passes on what was collected.
func (t *text) flush() error {
	_, err := t.w.Write(t.buf)
	t.buf = t.buf[:0]
	return err
}

// write writes the output. In front of an error it writes what there is.
func (t *text) write() (err error) {
	if t.out.Flags&Header != 0 {
		t.header()
	}
	if t.out.Flags&TotalsLine != 0 {
		t.totalsLines()
	}
	switch t.m.Type.Kind {
	case engine.Counters:
	case engine.Detail:
		t.detail()
	default:
		err = t.lines()
	}
	if flushed := t.flush(); err == nil {
		err = flushed
	}
	return err
}

// label begins a line of the header.
func (t *text) label(word string, width int) {
	start := len(t.buf)
	t.buf = append(append(append(t.buf, "# "...), word...), ':')
	t.buf = clib.Pad(t.buf, start, width)
}

func (t *text) say(word, value string) {
	t.label(word, labelWidth)
	t.buf = append(append(t.buf, value...), '\n')
}

func (t *text) sayNumber(word string, v uint64) {
	t.label(word, labelWidth)
	t.buf = append(strconv.AppendUint(t.buf, v, 10), '\n')
}

// sayTime writes seconds and the local time they are.
func (t *text) sayTime(word string, sec uint32) {
	t.label(word, labelWidth)
	t.buf = append(strconv.AppendUint(t.buf, uint64(sec), 10), ' ')
	t.buf = append(append(t.buf, t.run.env.Zone().Ctime(int64(sec))...), '\n')
}

func (t *text) header() {
	r, o := t.run, t.out
	if r.interval == 0 {
		t.headerOnce()
	}
	t.sayNumber("records", t.entries())
	if o.Records != 0 {
		t.label("records_shown", labelWidth-2)
		t.buf = append(strconv.AppendUint(t.buf, o.Records, 10), '\n')
	}
	t.sayTime("first-flow", t.totals.First)
	t.sayTime("last-flow", t.totals.Last)
	t.sayTime("now", uint32(r.env.Now().Unix()))
	if r.def.Series != 0 {
		t.label("time-series", labelWidth)
		t.buf = strconv.AppendUint(t.buf, uint64(r.def.Series), 10)
		t.buf = append(t.buf, " seconds / interval "...)
		t.buf = append(strconv.AppendInt(t.buf, int64(r.interval), 10), '\n')
	}
	if r.interval == 0 && o.Flags&XHeader != 0 {
		t.buf = print.AppendHeader(t.buf, r.header, '#', r.env.Zone())
	}
}

// headerOnce writes the lines that only the first interval has.
func (t *text) headerOnce() {
	r, conf, o := t.run, t.m.conf, t.out
	t.buf = append(t.buf, "#  --- ---- ---- Report Information --- --- ---\n"...)
	t.say("build-version", version)
	t.say("name", conf.Name)
	t.say("type", conf.Type.Name)
	if conf.Engine.Scale != 0 {
		t.sayNumber("scale", uint64(conf.Engine.Scale))
	}
	if o.Flags != 0 {
		t.label("options", labelWidth)
		first := true
		for i, name := range flagNames {
			if o.Flags>>i&1 != 0 {
				t.signed(name, &first)
			}
		}
		t.buf = append(t.buf, '\n')
	}
	if conf.Type.Uses(engine.Source) {
		t.say("ip-src-addr-type", conf.formats[0].String())
	}
	if conf.Type.Uses(engine.Destination) {
		t.say("ip-dst-addr-type", conf.formats[1].String())
	}
	if o.Sort.Set {
		// Compat: the sign is always +.
		t.say("sort_field", "+"+conf.Type.Word(o.Sort.Column))
	}
	if o.Fields != 0 {
		t.label("fields", labelWidth)
		first := true
		for _, c := range engine.HeaderOrder() {
			if o.Fields.Has(c) {
				t.signed(conf.Type.Word(c), &first)
			}
		}
		t.buf = append(t.buf, '\n')
	}
	if o.Tally != 0 {
		t.sayNumber("tally", uint64(o.Tally))
	}
	if r.def.Tag != nil {
		t.say("tag", r.def.Tag.Name())
	}
	if r.def.Filter != nil {
		t.say("pre-filter", r.def.Filter.Name())
	}
	if conf.Filter != nil {
		t.say("filter", conf.Filter.Name())
	}
}

// signed appends "+word" to a list.
func (t *text) signed(word string, first *bool) {
	if !*first {
		t.buf = append(t.buf, ',')
	}
	*first = false
	t.buf = append(append(t.buf, '+'), word...)
}

// entries is the number of entries that headers and totals name.
func (t *text) entries() uint64 { return uint64(t.m.Len()) }

// totalsLines writes rec1.
func (t *text) totalsLines() {
	s := &t.totals
	t.buf = append(t.buf, "# rec1: records,ignores,flows,octets,packets,duration"...)
	if t.m.rates {
		t.buf = append(t.buf, ",avg_bps,min_bps,max_bps,avg_pps,min_pps,max_pps"...)
	}
	t.buf = append(t.buf, '\n')
	for i, v := range [...]uint64{t.entries(), s.Ignores, s.Flows, s.Octets, s.Packets, s.Duration} {
		if i > 0 {
			t.buf = append(t.buf, ',')
		}
		t.buf = strconv.AppendUint(t.buf, v, 10)
	}
	if t.m.rates {
		for _, v := range [...]float64{s.BPS.Avg, s.BPS.Min, s.BPS.Max, s.PPS.Avg, s.PPS.Min, s.PPS.Max} {
			t.buf = clib.AppendF(append(t.buf, ','), v, 6)
		}
	}
	t.buf = append(t.buf, '\n')
}

// detail writes the summary report: names and values.
func (t *text) detail() {
	t.buf = append(t.buf, "# rec2: "...)
	values := detailValues(t.m.Report)
	for i := range values {
		if i > 0 {
			t.buf = append(t.buf, ',')
		}
		t.buf = append(t.buf, values[i].name...)
	}
	t.buf = append(t.buf, '\n')
	for i := range values {
		if i == 0 {
			t.buf = strconv.AppendUint(t.buf, uint64(values[i].v), 10)
			continue
		}
		t.buf = clib.AppendF(append(t.buf, ','), values[i].v, 6)
	}
	t.buf = append(t.buf, '\n')
}

// sortFor puts the entries in the order of the output and says from which end to
// walk them.
//
// Compat: an output without sort behind a sorted one takes over the order of a
// list, direction included, but walks an array upwards (flow-report.md section
// 4.5; goldens multi-*).
func (m *making) sortFor(o *Output) (backward bool) {
	if !o.Sort.Set {
		return m.Type.Kind != engine.Array && m.backward
	}
	m.Sort(o.Sort.Column)
	m.backward = o.Sort.Backward
	return o.Sort.Backward
}

// sortable refuses to sort by what is no column.
func (t *text) sortable() error {
	if t.out.Sort.Set && t.out.Sort.Column == engine.Other {
		return fmt.Errorf("Report %q cannot be sorted by \"other\".", t.m.conf.Name)
	}
	return nil
}

// lines writes the column line and the data lines.
func (t *text) lines() error {
	columns := t.columns()
	t.columnLine(columns)
	if err := t.sortable(); err != nil {
		return err
	}
	backward := t.m.sortFor(t.out)
	linear := t.m.Type.Kind == engine.Linear
	flags, limit, every := t.out.Flags, t.out.Records, uint64(t.out.Tally)
	if linear {
		flags, limit, every = flags&^(PercentTotal|Names), 0, 0
	}
	t.findHosts(columns, flags, limit, backward)
	cells := t.cells(columns, flags)
	sums := tally{entries: t.entries()}
	var lines uint64
	for row := range t.m.Rows(backward) {
		if every != 0 {
			if lines != 0 && lines%every == 0 {
				sums.lines = lines
				t.tallyLine(&sums)
			}
			sums.add(row)
		}
		for i, cell := range cells {
			if i > 0 {
				t.buf = append(t.buf, ',')
			}
			t.buf = cell(t.buf, row)
		}
		t.buf = append(t.buf, '\n')
		t.m.index++
		if len(t.buf) > 32<<10 {
			if err := t.flush(); err != nil {
				return err
			}
		}
		if lines++; lines == limit {
			t.buf = append(t.buf, "# stop, hit record limit.\n"...)
			break
		}
	}
	return nil
}

// columns are the columns that are printed.
func (t *text) columns() engine.Columns { return t.out.Fields &^ engine.Other.Set() }

func (t *text) columnLine(columns engine.Columns) {
	t.buf = append(t.buf, "# recn: "...)
	first := true
	for c := range columns.All() {
		if !first {
			t.buf = append(t.buf, ',')
		}
		first = false
		t.buf = append(t.buf, t.m.Type.Heading(c)...)
		if engine.Keys.Has(c) {
			t.buf = append(t.buf, '*')
		}
	}
	t.buf = append(t.buf, '\n')
}

// cell appends one value of a line.
type cell func(dst []byte, row engine.Row) []byte

// cells compiles the columns of an output.
func (t *text) cells(columns engine.Columns, flags Flags) []cell {
	var cells []cell
	for c := range columns.All() {
		cells = append(cells, t.cell(c, flags))
	}
	return cells
}

func (t *text) cell(c engine.Column, flags Flags) cell {
	floats := c.Float() || t.m.Type.Kind == engine.Linear && c != engine.Key1
	switch {
	case c == engine.Index:
		return func(dst []byte, _ engine.Row) []byte { return strconv.AppendUint(dst, t.m.index, 10) }
	case engine.Keys.Has(c):
		return t.key(int(c-engine.Key1), flags&Names != 0)
	case flags&PercentTotal != 0 && engine.Shares().Has(c):
		total := t.m.Total(c)
		return func(dst []byte, row engine.Row) []byte { return clib.AppendF(dst, percent(row.Float(c), total), 6) }
	case floats:
		return func(dst []byte, row engine.Row) []byte { return clib.AppendF(dst, row.Float(c), 6) }
	}
	return func(dst []byte, row engine.Row) []byte { return strconv.AppendUint(dst, row.Uint(c), 10) }
}

func percent(v, total float64) float64 { return v / total * 100 }

// nameLimit is where names are cut.
const nameLimit = 63

// key compiles key column i.
//
// Compat: a name, or an address without one, has no prefix length behind it.
func (t *text) key(i int, names bool) cell {
	k := &t.m.Type.Keys[i]
	switch {
	case k.Addr && names:
		return func(dst []byte, row engine.Row) []byte {
			addr := uint32(row.Key(i))
			if name := t.run.hosts[addr]; name != "" {
				return append(dst, name[:min(len(name), nameLimit)]...)
			}
			return clib.AppendIPv4(dst, addr)
		}
	case k.Addr && t.m.Prefixed(i):
		return func(dst []byte, row engine.Row) []byte {
			return clib.AppendPrefix(dst, uint32(row.Key(i)), row.PrefixLen(i))
		}
	case k.Addr:
		return func(dst []byte, row engine.Row) []byte { return clib.AppendIPv4(dst, uint32(row.Key(i))) }
	case names && k.Sym != "":
		return func(dst []byte, row engine.Row) []byte {
			v := row.Key(i)
			if name, ok := t.run.symbol(k.Sym, v); ok {
				return append(dst, name[:min(len(name), nameLimit)]...)
			}
			return strconv.AppendUint(dst, v, 10)
		}
	}
	return func(dst []byte, row engine.Row) []byte { return strconv.AppendUint(dst, row.Key(i), 10) }
}

// findHosts looks up the names of the addresses that are going to be printed.
func (t *text) findHosts(columns engine.Columns, flags Flags, limit uint64, backward bool) {
	var keys []int
	for i := range t.m.Type.Keys {
		if t.m.Type.Keys[i].Addr && columns.Has(engine.Key1+engine.Column(i)) {
			keys = append(keys, i)
		}
	}
	if flags&Names == 0 || len(keys) == 0 {
		return
	}
	missing := map[uint32]bool{}
	var lines uint64
	for row := range t.m.Rows(backward) {
		for _, i := range keys {
			addr := uint32(row.Key(i))
			if _, ok := t.run.hosts[addr]; !ok {
				missing[addr] = true
			}
		}
		if lines++; lines == limit {
			break
		}
	}
	t.run.findHosts(missing)
}

// tally is the sums over the lines written so far.
type tally struct {
	entries, lines         uint64
	flows, octets, packets uint64
	bps, pps               float64 // avg * frecs
	frecs                  uint64
}

func (y *tally) add(row engine.Row) {
	y.flows += row.Uint(engine.Flows)
	y.octets += row.Uint(engine.Octets)
	y.packets += row.Uint(engine.Packets)
	frecs := row.Uint(engine.Frecs)
	y.frecs += frecs
	y.bps += float64(row.BPS().Avg * float64(frecs))
	y.pps += float64(row.PPS().Avg * float64(frecs))
}

func (t *text) tallyLine(y *tally) {
	s := &t.totals
	share := func(label string, v, total float64) {
		t.buf = clib.AppendF(append(t.buf, label...), percent(v, total), 3)
	}
	share("#TALLY %recs=", float64(y.lines), float64(y.entries))
	share(" %flows=", float64(y.flows), float64(s.Flows))
	share(" %octets=", float64(y.octets), float64(s.Octets))
	share(" %packets=", float64(y.packets), float64(s.Packets))
	if t.m.rates {
		share(" %avg-bps=", y.bps/float64(y.frecs), s.BPS.Avg)
		share(" %avg-pps=", y.pps/float64(y.frecs), s.PPS.Avg)
	}
	t.buf = append(t.buf, '\n')
}
