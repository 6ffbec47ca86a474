// Package stat prints the numbered reports of flow-stat: page layouts over the
// aggregation engine of pkg/report.
package stat

import (
	"bufio"
	"fmt"

	"flowtools/internal/clib"
	"flowtools/pkg/flow"
	"flowtools/pkg/report"
)

// Names gives values names.
type Names interface {
	// Name returns the name of v, false if it has none.
	Name(v uint32) (string, bool)
}

// Sort is the column that rows are sorted by, as the option has it: -S k is k+1,
// -s k is -(k+1), 0 is none.
//
// Compat: option values below 0 reach the other direction and "none" by the same
// arithmetic.
type Sort int32

// Descending is -S k.
func Descending(k int) Sort { return Sort(int32(k) + 1) }

// Ascending is -s k.
func Ascending(k int) Sort { return -Sort(int32(k) + 1) }

// column returns the number of the column, the key being 0.
func (s Sort) column() int64 {
	if s < 0 {
		return -int64(s) - 1
	}
	return int64(s) - 1
}

// String returns what the report information says of the sorting.
func (s Sort) String() string {
	switch {
	case s > 0:
		return fmt.Sprintf("Descending Field %d", s.column())
	case s < 0:
		return fmt.Sprintf("Ascending Field %d", s.column())
	}
	return "None"
}

// Options are the choices there are with every format.
type Options struct {
	Comment byte   // starts the heading lines
	Percent bool   // shares of the totals in place of counts
	Wide    bool   // wider labels, and durations
	Sort    Sort   // of the rows
	Tally   int    // with Percent, in reports over small keys: rows between running shares, 0 for none
	Names   Names  // nil for numbers
	Bogus   func() // called for each record without packets where a format minds them; may be nil
}

// page is a report that is not keyed: it prints by itself.
type page interface {
	needs() flow.FieldSet                               // beside those of its report type
	open(w *bufio.Writer, c byte)                       // heading
	add(w *bufio.Writer, l *flow.Layout, b *flow.Batch) // records, as they come
	close(w *bufio.Writer, c byte, r *report.Report)    // r is nil without report type
}

// Report is one report in the making. It is not safe for concurrent use.
type Report struct {
	format  *format
	options Options
	layout  *flow.Layout
	engine  *report.Report // nil where nothing is summed
	page    page           // nil for keyed reports
	scratch []byte         // one line
}

// New returns an empty report over records of layout l. The error says which
// fields l lacks.
func (f Format) New(l *flow.Layout, o Options) (*Report, error) {
	if missing := l.Missing(f.Needs()); missing != 0 {
		return nil, fmt.Errorf("format %q: record version %v lacks %v", f.row.name, l.Version, missing)
	}
	r := &Report{format: f.row, options: o, layout: l}
	if f.row.page != nil {
		r.page = f.row.page()
	}
	if f.row.typ == "" {
		return r, nil
	}
	eo := f.row.options
	eo.Empty = f.row.typ != "summary-detail"
	eo.Filter = r.filter()
	var err error
	r.engine, err = report.New(report.TypeNamed(f.row.typ), l, eo)
	return r, err
}

// filter returns what the engine asks for every record, nil for nothing.
func (r *Report) filter() func(flow.Record) bool {
	l := r.layout
	switch {
	case r.format.ports:
		return func(rec flow.Record) bool {
			p := l.Uint(rec, flow.Prot)
			return p == 6 || p == 17
		}
	case r.format.bogus && r.options.Bogus != nil:
		return func(rec flow.Record) bool {
			if l.Uint(rec, flow.DPkts) == 0 {
				r.options.Bogus()
			}
			return true
		}
	}
	return nil
}

// Output is a way to give a report out. Errors stay in the writer underneath.
type Output interface {
	Open()             // what stands before the records are read
	Add(b *flow.Batch) // counts the records of b, and prints what is printed record by record
	Close()            // the rest, all of a keyed report; comes after Arrange
}

// Text returns the output as flow-stat's pages of text.
func (r *Report) Text(w *bufio.Writer) Output { return &text{r, w} }

type text struct {
	*Report
	w *bufio.Writer
}

func (t *text) Open() {
	if t.page != nil {
		t.page.open(t.w, t.options.Comment)
	}
}

func (t *text) Add(b *flow.Batch) {
	if t.engine != nil {
		t.engine.Add(b)
	}
	if t.page != nil {
		t.page.add(t.w, t.layout, b)
	}
}

// Err returns an error when there are so many rows that Add has stopped counting.
func (r *Report) Err() error {
	if r.engine == nil {
		return nil
	}
	return r.engine.Err()
}

// columns returns the number of columns that rows can be sorted by.
func (r *Report) columns() int64 { return int64(len(r.engine.Type.Keys)) + 4 }

// Arrange sorts the rows; it comes after the last Add. The error is that of a
// sort column which the report does not have.
func (r *Report) Arrange() error {
	if r.page != nil || r.options.Sort == 0 {
		return nil
	}
	column := r.options.Sort.column()
	if column >= r.columns() {
		return fmt.Errorf("can't sort on field %d", int32(r.options.Sort))
	}
	keys := len(r.engine.Type.Keys)
	switch k := int(column); {
	case k >= keys:
		r.engine.Sort(report.Flows + report.Column(k-keys))
	case r.engine.Type.Kind == report.List:
		// Compat: prefixes compare by address alone, not by length.
		r.engine.SortFunc(func(row report.Row) uint64 { return row.Key(k) })
	}
	return nil
}

// backwards reports whether rows are printed from the end of the engine's order.
//
// Compat: descending is ascending backwards, so ties come in reverse; reports over
// small keys that are not sorted are in descending order of the key.
func (r *Report) backwards() bool {
	if r.engine != nil && r.engine.Type.Kind == report.Array && r.options.Sort == 0 {
		return true
	}
	return r.options.Sort > 0
}

func (t *text) Close() {
	if t.page != nil {
		t.page.close(t.w, t.options.Comment, t.engine)
		return
	}
	t.heading(t.w)
	o, total := &t.options, t.totals()
	tally := t.tally()
	for row := range t.engine.Rows(t.backwards()) {
		sum := sumsOf(row)
		b := t.scratch[:0]
		if tally.every > 0 {
			b = tally.appendDue(b, o.Comment, &total)
			tally.add(&sum)
		}
		b = t.labels(b, row)
		if o.Percent {
			b = t.percent(b, &sum, &total)
		} else {
			b = t.counts(b, &sum)
		}
		t.scratch = append(b, '\n')
		write(t.w, t.scratch)
	}
}

// write hands a line to w, whose first error stays with it until it is flushed.
func write(w *bufio.Writer, b []byte) { _, _ = w.Write(b) }

// sums are flows, octets, packets and duration.
type sums [4]uint64

func sumsOf(row report.Row) sums {
	return sums{row.Uint(report.Flows), row.Uint(report.Octets), row.Uint(report.Packets), row.Uint(report.Duration)}
}

// totals are what percentages are of.
func (r *Report) totals() sums {
	t := r.engine.Totals()
	total := sums{t.Flows, t.Octets, t.Packets, t.Duration}
	if r.format.double {
		for i := range total {
			total[i] *= 2
		}
	}
	return total
}

// The headings over the sums.
const (
	countHead       = "flows                 octets                packets"
	countHeadWide   = countHead + "               duration"
	percentHead     = "flows    octets   packets"
	percentHeadWide = percentHead + "  duration"
)

// width is that of a label column.
func (r *Report) width() int {
	look := r.format.look
	if r.options.Wide && !(r.options.Percent && look.counts) {
		return look.wide
	}
	return look.width
}

func (r *Report) heading(w *bufio.Writer) {
	o, look := &r.options, r.format.look
	b := append(w.AvailableBuffer(), o.Comment, '\n', o.Comment, ' ')
	if look.heading != "" {
		b = append(b, look.heading...)
	} else {
		width := look.width
		if !look.counts {
			width = r.width()
		}
		b = clib.AppendString(b, r.format.title, width, width)
	}
	head := [2][2]string{{countHead, countHeadWide}, {percentHead, percentHeadWide}}[index(o.Percent)][index(o.Wide)]
	b = append(append(b, head...), '\n', o.Comment, '\n')
	write(w, b)
}

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// labels appends the keys of a row.
func (r *Report) labels(b []byte, row report.Row) []byte {
	width := r.width()
	for i := range r.engine.Type.Keys {
		start := len(b)
		b = r.key(b, row, i)
		b = append(clib.PadCut(b, start, width, width), "  "...)
	}
	return b
}

// key appends key i of a row.
func (r *Report) key(b []byte, row report.Row, i int) []byte {
	v := row.Key(i)
	switch {
	case r.engine.Prefixed(i):
		return clib.AppendPrefix(b, uint32(v), row.PrefixLen(i))
	case r.engine.Type.Keys[i].Addr:
		return clib.AppendIPv4(b, uint32(v))
	case r.options.Names != nil && r.format.sym != "":
		if s, ok := r.options.Names.Name(uint32(v)); ok {
			if r.format.cut > 0 {
				s = s[:min(len(s), r.format.cut)]
			}
			return append(b, s...)
		}
	}
	return clib.AppendUint(b, v, 0)
}

// counts appends sums as they are.
func (r *Report) counts(b []byte, s *sums) []byte {
	b = append(clib.AppendUint(b, s[0], 20), "  "...)
	b = append(clib.AppendUint(b, s[1], 20), "  "...)
	if r.options.Wide {
		b = append(clib.AppendUint(b, s[2], 20), "  "...)
		return clib.AppendUint(b, s[3], 0)
	}
	if r.format.look.blanks {
		return clib.AppendUint(b, s[2], 20)
	}
	return clib.AppendUint(b, s[2], 0)
}

// percent appends sums as shares of the totals.
func (r *Report) percent(b []byte, s, total *sums) []byte {
	n := 3
	if r.options.Wide {
		n = 4
	}
	for i := range n {
		if i > 0 {
			b = append(b, "   "...)
		}
		b = appendShare(b, s[i], total[i])
	}
	return b
}

// appendShare is %-6.3f of a percentage; that of nothing in nothing is -nan.
func appendShare(b []byte, part, whole uint64) []byte {
	start := len(b)
	return clib.Pad(clib.AppendF(b, float64(part)/float64(whole)*100, 3), start, 6)
}

// tally prints running shares between rows.
type tally struct {
	every   int
	rows    uint64 // of the report
	printed uint64
	sum     sums
}

// tally returns the tally of the report, of which every is 0 for none.
func (r *Report) tally() (t tally) {
	if !r.options.Percent || r.engine.Type.Kind != report.Array {
		return t
	}
	if t.every = max(r.options.Tally, -r.options.Tally); t.every > 0 {
		for range r.engine.Rows(false) {
			t.rows++
		}
	}
	return t
}

func (t *tally) add(s *sums) {
	t.printed++
	for i := range t.sum {
		t.sum[i] += s[i]
	}
}

// appendDue appends the line of running shares where one is due.
//
// Compat: there is none after the last row, and it has the duration even where
// rows have not.
func (t *tally) appendDue(b []byte, comment byte, total *sums) []byte {
	if t.printed == 0 || t.printed%uint64(t.every) != 0 {
		return b
	}
	b = append(append(b, comment), "SUB "...)
	b = append(appendShare(b, t.printed, t.rows), "  "...)
	for i := range t.sum {
		if i > 0 {
			b = append(b, "   "...)
		}
		b = appendShare(b, t.sum[i], total[i])
	}
	return append(b, '\n')
}
