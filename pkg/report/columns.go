package report

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
	"sync"
)

// Column is a column of a report.
type Column uint8

// The columns, in the order in which they are printed.
const (
	Index Column = iota // number of the line, which the printer counts
	First               // first export time of the report
	Last                // last export time of the report
	Key1                // the first key
	Key2
	Key3
	Key4
	Key5
	Key6
	Count    // distinct values (count types)
	Flows    // flows
	Octets   // octets
	Packets  // packets
	Duration // ms
	AvgBPS   // bits a second, mean of the flows that lasted
	MinBPS
	MaxBPS
	AvgPPS // packets a second
	MinPPS
	MaxPPS
	Frecs // flow records that lasted
	Other // no column; a word of report files

	NumColumns
)

// Unit is what the numbers of a column are.
type Unit uint8

// The units.
const (
	Label            Unit = iota // numbers that only name something: keys, indexes
	Quantity                     // how many
	InOctets                     // octets
	InMillis                     // milliseconds
	BitsPerSecond                // with decimals
	PacketsPerSecond             // with decimals
	UnixTime                     // seconds since 1970
)

// columnRow is all there is to know of a column.
type columnRow struct {
	name   string
	unit   Unit
	group  string               // word for several columns
	header int                  // place in the header's list of fields; 0: not there
	usual  bool                 // shown unless a report file says otherwise
	sorts  bool                 // may be sorted by
	uint   func(Row) uint64     // the value of whole numbers
	float  func(Row) float64    // the value of others
	total  func(*Totals) uint64 // what percentages of whole numbers are of
	ftotal func(*Totals) float64
	summed bool // percentages are of the sum of the column
}

var columnTable = [NumColumns]columnRow{
	Index:    {name: "index"},
	First:    {name: "first", unit: UnixTime, uint: func(w Row) uint64 { return uint64(w.r.totals.First) }},
	Last:     {name: "last", unit: UnixTime, uint: func(w Row) uint64 { return uint64(w.r.totals.Last) }},
	Key1:     {name: "key1", header: 1, usual: true, sorts: true, uint: func(w Row) uint64 { return w.Key(0) }},
	Key2:     {name: "key2", header: 2, usual: true, sorts: true, uint: func(w Row) uint64 { return w.Key(1) }},
	Key3:     {name: "key3", header: 3, usual: true, sorts: true, uint: func(w Row) uint64 { return w.Key(2) }},
	Key4:     {name: "key4", header: 4, usual: true, sorts: true, uint: func(w Row) uint64 { return w.Key(3) }},
	Key5:     {name: "key5", header: 5, usual: true, sorts: true, uint: func(w Row) uint64 { return w.Key(4) }},
	Key6:     {name: "key6", header: 6, usual: true, sorts: true, uint: func(w Row) uint64 { return w.Key(5) }},
	Count:    {name: "count", unit: Quantity, usual: true, sorts: true, uint: Row.count, summed: true},
	Flows:    {name: "flows", unit: Quantity, header: 7, usual: true, sorts: true, uint: func(w Row) uint64 { return w.sum[cFlows] }, total: func(t *Totals) uint64 { return t.Flows }},
	Octets:   {name: "octets", unit: InOctets, header: 8, usual: true, sorts: true, uint: func(w Row) uint64 { return w.sum[cOctets] }, total: func(t *Totals) uint64 { return t.Octets }},
	Packets:  {name: "packets", unit: Quantity, header: 9, usual: true, sorts: true, uint: func(w Row) uint64 { return w.sum[cPackets] }, total: func(t *Totals) uint64 { return t.Packets }},
	Duration: {name: "duration", unit: InMillis, header: 10, usual: true, sorts: true, uint: func(w Row) uint64 { return w.sum[cDuration] }, total: func(t *Totals) uint64 { return t.Duration }},
	AvgBPS:   {name: "avg-bps", unit: BitsPerSecond, group: "bps", header: 14, sorts: true, float: func(w Row) float64 { return w.BPS().Avg }, ftotal: func(t *Totals) float64 { return t.BPS.Avg }},
	MinBPS:   {name: "min-bps", unit: BitsPerSecond, group: "bps", header: 15, sorts: true, float: func(w Row) float64 { return w.BPS().Min }, ftotal: func(t *Totals) float64 { return t.BPS.Min }},
	MaxBPS:   {name: "max-bps", unit: BitsPerSecond, group: "bps", header: 16, sorts: true, float: func(w Row) float64 { return w.BPS().Max }, ftotal: func(t *Totals) float64 { return t.BPS.Max }},
	AvgPPS:   {name: "avg-pps", unit: PacketsPerSecond, group: "pps", header: 11, sorts: true, float: func(w Row) float64 { return w.PPS().Avg }, ftotal: func(t *Totals) float64 { return t.PPS.Avg }},
	MinPPS:   {name: "min-pps", unit: PacketsPerSecond, group: "pps", header: 12, sorts: true, float: func(w Row) float64 { return w.PPS().Min }, ftotal: func(t *Totals) float64 { return t.PPS.Min }},
	MaxPPS:   {name: "max-pps", unit: PacketsPerSecond, group: "pps", header: 13, sorts: true, float: func(w Row) float64 { return w.PPS().Max }, ftotal: func(t *Totals) float64 { return t.PPS.Max }},
	Frecs:    {name: "frecs", unit: Quantity, header: 17, uint: func(w Row) uint64 { return w.sum[cFrecs] }},
	Other:    {name: "other", header: 18, usual: true, sorts: true},
}

// String returns the column's word in report files and, but for keys and counts,
// its heading.
func (c Column) String() string { return columnTable[c].name }

// Unit returns what the numbers of the column are.
func (c Column) Unit() Unit { return columnTable[c].unit }

// Float reports whether the column has decimals in reports of every type; in
// those of kind Linear all columns but the key do.
func (c Column) Float() bool { return columnTable[c].float != nil }

// Set returns the set that holds c alone.
func (c Column) Set() Columns { return 1 << c }

// Columns is a set of columns.
type Columns uint32

// Keys are the key columns.
const Keys Columns = 1<<Key1 | 1<<Key2 | 1<<Key3 | 1<<Key4 | 1<<Key5 | 1<<Key6

// where returns the columns whose rows pass.
func where(pass func(*columnRow) bool) (set Columns) {
	for c := range NumColumns {
		if pass(&columnTable[c]) {
			set |= c.Set()
		}
	}
	return set
}

// The sets of columns that follow from the table.
var (
	rated    = sync.OnceValue(func() Columns { return where(func(r *columnRow) bool { return r.float != nil }) })
	usual    = sync.OnceValue(func() Columns { return where(func(r *columnRow) bool { return r.usual }) })
	sortable = sync.OnceValue(func() Columns { return where(func(r *columnRow) bool { return r.sorts }) })
	shares   = sync.OnceValue(func() Columns {
		return where(func(r *columnRow) bool { return r.total != nil || r.ftotal != nil || r.summed })
	})
	headed = sync.OnceValue(func() []Column {
		list := slices.Collect(where(func(r *columnRow) bool { return r.header > 0 }).All())
		slices.SortFunc(list, func(a, b Column) int { return cmp.Compare(columnTable[a].header, columnTable[b].header) })
		return list
	})
)

// Rates returns the columns that Options.Rates is for.
func Rates() Columns { return rated() }

// Usual returns the columns that outputs show unless they say otherwise.
func Usual() Columns { return usual() }

// Sortable returns the columns that have a word to sort by.
func Sortable() Columns { return sortable() }

// Shares returns the columns that can be percentages of a total.
func Shares() Columns { return shares() }

// HeaderOrder returns the columns that the header of an output names, in its
// order. The slice is shared.
func HeaderOrder() []Column { return headed() }

// Has reports whether c is in s.
func (s Columns) Has(c Column) bool { return s>>c&1 != 0 }

// All yields the columns of s in printing order.
func (s Columns) All() iter.Seq[Column] {
	return func(yield func(Column) bool) {
		for rest := s; rest != 0; rest &= rest - 1 {
			if !yield(Column(bits.TrailingZeros32(uint32(rest)))) {
				return
			}
		}
	}
}

// Columns returns the columns that a report of the type may show or name.
func (t *Type) Columns() Columns {
	switch t.Kind {
	case Counters:
		return Rates()
	case Detail:
		return Rates() | Other.Set()
	case Linear:
		return Key1.Set() | Flows.Set() | Octets.Set() | Packets.Set()
	}
	set := Columns(1<<NumColumns-1) &^ (Keys | Count.Set())
	set |= (1<<len(t.Keys) - 1) << Key1
	if t.Distinct != nil {
		set |= Count.Set()
	}
	return set
}

// ColumnsNamed returns the columns of a word in a report file for this type, in
// lower case; none if there are none. Besides the columns' own words there are
// "key" for the only key, the words of groups, and for types of one key
// "generic": everything but a count.
func (t *Type) ColumnsNamed(word string) Columns {
	one := len(t.Keys) == 1
	switch {
	case one && word == "key":
		return Key1.Set()
	case one && word == Key1.String():
		return 0
	case one && word == "generic" && t.Kind != Linear:
		return t.Columns() &^ Count.Set()
	}
	return t.Columns() & where(func(r *columnRow) bool { return r.name == word || r.group == word && word != "" })
}

// Word returns the word for a column in report files about this type.
func (t *Type) Word(c Column) string {
	if c == Key1 && len(t.Keys) == 1 {
		return "key"
	}
	return c.String()
}

// Heading returns the heading of a column of this type.
func (t *Type) Heading(c Column) string {
	if k := t.key(c); k != nil {
		return k.Name
	}
	return c.String()
}

// Title is Heading with a name that says what the column is where the heading of
// a key does not.
func (t *Type) Title(c Column) string {
	if k := t.key(c); k != nil {
		return k.Title
	}
	return c.String()
}

// key returns the key that names a column, nil for columns named by themselves.
func (t *Type) key(c Column) *Key {
	switch {
	case Keys.Has(c):
		return &t.Keys[c-Key1]
	case c == Count:
		return t.Distinct
	}
	return nil
}

// Total returns what percentages of a column are of.
func (r *Report) Total(c Column) float64 {
	row, t := &columnTable[c], r.Totals()
	switch {
	case row.total != nil:
		return float64(row.total(&t))
	case row.ftotal != nil:
		return row.ftotal(&t)
	case row.summed:
		var sum uint64
		for w := range r.Rows(false) {
			sum += row.uint(w)
		}
		return float64(sum)
	}
	return 0
}

// Uint returns a column of whole numbers: keys without their prefix length,
// sums, counts. Columns that the report does not keep are 0; decimals are cut
// off.
func (w Row) Uint(c Column) uint64 {
	row := &columnTable[c]
	switch {
	case !w.r.columns.Has(c):
		return 0
	case row.float != nil || w.r.Type.Kind == Linear && c != Key1:
		return truncate(w.Float(c))
	case row.uint == nil:
		return 0
	}
	return row.uint(w)
}

// Float returns a column as a float: rates, the sums of Linear reports, and
// whole numbers converted.
func (w Row) Float(c Column) float64 {
	row := &columnTable[c]
	switch {
	case !w.r.columns.Has(c):
		return 0
	case w.r.Type.Kind == Linear && c != Key1:
		return w.linear(int(c - Flows))
	case row.float != nil:
		return row.float(w)
	}
	return float64(w.Uint(c))
}
