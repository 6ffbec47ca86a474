package report

import (
	"iter"
	"math/bits"
)

// Column is a column of a report.
type Column uint8

// The columns, in the order in which they are printed.
const (
	Index Column = iota // number of the line
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
	Duration // duration, ms
	AvgBPS   // bits a second, mean of the flows that lasted
	MinBPS
	MaxBPS
	AvgPPS // packets a second
	MinPPS
	MaxPPS
	Frecs // flow records that lasted
	Other // no column; a word of the configuration

	NumColumns
)

var columnNames = [NumColumns]string{
	"index", "first", "last", "key1", "key2", "key3", "key4", "key5", "key6", "count",
	"flows", "octets", "packets", "duration",
	"avg-bps", "min-bps", "max-bps", "avg-pps", "min-pps", "max-pps", "frecs", "other",
}

// String returns the column's word in configurations and, but for keys and
// counts, its heading.
func (c Column) String() string { return columnNames[c] }

// Set returns the set that holds c alone.
func (c Column) Set() Columns { return 1 << c }

// Columns is a set of columns.
type Columns uint32

// Sets of columns.
const (
	Keys  = Columns(1<<Key1 | 1<<Key2 | 1<<Key3 | 1<<Key4 | 1<<Key5 | 1<<Key6)
	Sums  = Columns(1<<Flows | 1<<Octets | 1<<Packets | 1<<Duration)
	BPSs  = Columns(1<<AvgBPS | 1<<MinBPS | 1<<MaxBPS)
	PPSs  = Columns(1<<AvgPPS | 1<<MinPPS | 1<<MaxPPS)
	Rates = BPSs | PPSs

	basic = Columns(1<<Index|1<<First|1<<Last|1<<Frecs|1<<Other) | Sums | Rates
)

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
		return Rates
	case Detail:
		return Rates | Other.Set()
	case Linear:
		return Key1.Set() | Flows.Set() | Octets.Set() | Packets.Set()
	}
	set := basic | (1<<len(t.Keys)-1)<<Key1
	if t.Distinct != nil {
		set |= Count.Set()
	}
	return set
}

// ColumnNamed returns the column of a word in a configuration for this type,
// in lower case: "key" for the only key of a type.
func (t *Type) ColumnNamed(word string) (Column, bool) {
	if len(t.Keys) == 1 {
		switch word {
		case "key":
			return Key1, true
		case Key1.String():
			return 0, false
		}
	}
	for c := range t.Columns().All() {
		if c.String() == word {
			return c, true
		}
	}
	return 0, false
}

// Word returns the configuration's word for a column of this type.
func (t *Type) Word(c Column) string {
	if c == Key1 && len(t.Keys) == 1 {
		return "key"
	}
	return c.String()
}

// Heading returns the heading of a column of this type.
func (t *Type) Heading(c Column) string {
	switch {
	case Keys.Has(c):
		return t.Keys[c-Key1].Name
	case c == Count && t.Distinct != nil:
		return t.Distinct.Name
	}
	return c.String()
}
