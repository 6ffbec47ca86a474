package report

import (
	"iter"
	"math"
)

// Row is one entry of a report, valid until the report changes.
type Row struct {
	r      *Report
	number uint32
	key    []uint64 // none in arrays, where the number is the key
	sum    []uint64
}

// listBlock is the number of entries whose order of appearance holds.
//
// Compat: lists are in blocks of 65536 entries, newest block first (flow-report.md
// section 4.5; golden flow-report/order-*).
const listBlock = 1 << 16

// natural returns the number of the entry at place i of the unsorted order of
// a list of n entries.
func natural(i, n int) uint32 {
	last := (n - 1) / listBlock * listBlock // first entry of the newest block
	if i < n-last {
		return uint32(last + i)
	}
	i -= n - last
	return uint32(last - listBlock - i/listBlock*listBlock + i%listBlock)
}

// slots is the number of places in the order, empty entries of arrays included.
func (r *Report) slots() int {
	switch {
	case r.table != nil:
		return r.table.n
	case r.array != nil:
		return r.Type.Size
	}
	return 0
}

// Len returns the number of entries. In an array that is those with packets.
func (r *Report) Len() int {
	if r.array == nil {
		return r.slots()
	}
	n := 0
	for at := cPackets; at < len(r.array); at += r.stride {
		if r.array[at] != 0 {
			n++
		}
	}
	return n
}

// row returns the row at entry number.
func (r *Report) row(number uint32) Row {
	if r.array != nil {
		at := int(number) * r.stride
		return Row{r: r, number: number, sum: r.array[at : at+r.stride]}
	}
	e := r.table.entry(number)
	return Row{r: r, number: number, key: e[:r.keyWords], sum: e[r.keyWords:]}
}

// at returns the number of the entry at place i of the present order.
func (r *Report) at(i int) uint32 {
	switch {
	case r.order != nil:
		return r.order[i]
	case r.array != nil:
		return uint32(i)
	}
	return natural(i, r.table.n)
}

// Rows yields the entries in the present order, or from its end if backwards.
// Entries of arrays without flows are passed over.
func (r *Report) Rows(backwards bool) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		n := r.slots()
		for i := range n {
			if backwards {
				i = n - 1 - i
			}
			row := r.row(r.at(i))
			if r.array != nil && row.sum[cFlows] == 0 {
				continue
			}
			if !yield(row) {
				return
			}
		}
	}
}

// Sort puts the entries in ascending order of a column, stable. Lists are
// sorted from their order of appearance, arrays from their present order, empty
// entries included. A column that the report does not have sorts nothing.
//
// Compat: an array does not sort by its key; it stays as it is.
func (r *Report) Sort(c Column) {
	if r.array != nil && c == Key1 || !r.sortable(c) {
		return
	}
	r.SortFunc(func(w Row) uint64 { return w.rank(c) })
}

// SortFunc is Sort by a number that the caller makes of every row; flow-stat
// sorts prefixes by their address alone.
func (r *Report) SortFunc(rank func(Row) uint64) {
	n := r.slots()
	if n == 0 {
		return
	}
	order := make([]uint32, n)
	values := make([]uint64, n)
	for i := range n {
		if r.array == nil {
			order[i] = natural(i, n)
		} else {
			order[i] = r.at(i)
		}
		values[i] = rank(r.row(order[i]))
	}
	r.order = radixSort(order, values)
}

// sortable reports whether the report keeps what c is sorted by.
func (r *Report) sortable(c Column) bool {
	row := &columnTable[c]
	return r.columns.Has(c) && (row.uint != nil || row.float != nil) && (r.Options.Rates || row.float == nil)
}

// rank returns a number that orders rows as column c does. Floats are never
// negative, so their bits order them; a key has its prefix length below it.
func (w Row) rank(c Column) uint64 {
	switch {
	case Keys.Has(c):
		return w.packed(int(c - Key1))
	case w.r.Type.Kind == Linear || c.Float():
		return math.Float64bits(w.Float(c))
	}
	return w.Uint(c)
}

// radixSort returns order sorted by values, its parallel; both are used up.
func radixSort(order []uint32, values []uint64) []uint32 {
	var differ uint64
	for _, v := range values {
		differ |= v ^ values[0]
	}
	nextOrder, nextValues := make([]uint32, len(order)), make([]uint64, len(order))
	for shift := 0; shift < 64; shift += 8 {
		if differ>>shift&0xff == 0 {
			continue
		}
		var start [256]int
		for _, v := range values {
			start[v>>shift&0xff]++
		}
		sum := 0
		for d, n := range start {
			start[d], sum = sum, sum+n
		}
		for i, v := range values {
			p := &start[v>>shift&0xff]
			nextOrder[*p], nextValues[*p] = order[i], v
			*p++
		}
		order, nextOrder = nextOrder, order
		values, nextValues = nextValues, values
	}
	return order
}

// packed returns key i with its prefix length, if it has one, in the low bits.
func (w Row) packed(i int) uint64 {
	switch w.r.Type.Kind {
	case Array:
		return uint64(w.number)
	case Linear:
		return w.key[0]
	}
	s := w.r.plans[0].steps[i].slot
	return w.key[s.word] >> (s.shift & 63) & (1<<s.bits - 1)
}

// Key returns the value of key i, counted from 0: a number or an address.
func (w Row) Key(i int) uint64 {
	v := w.packed(i)
	if w.r.hasLength(i) {
		v >>= lengthBits
	}
	return v
}

// PrefixLen returns the prefix length that belongs to address key i, as it is
// in the records, 0 where entries have none.
func (w Row) PrefixLen(i int) uint8 {
	if !w.r.hasLength(i) {
		return 0
	}
	return uint8(w.packed(i))
}

// hasLength reports whether entries have a prefix length with key i.
func (r *Report) hasLength(i int) bool {
	return r.plans != nil && int(r.plans[0].steps[i].slot.bits) > r.Type.Keys[i].bits
}

// Prefixed reports whether key i is printed as a prefix.
//
// Compat: of ip-address if either side has a format; of
// ip-destination-address/source-as as the source's format says.
func (r *Report) Prefixed(i int) bool {
	k, o := &r.Type.Keys[i], &r.Options
	if r.Type.Alternate != nil && k.Addr {
		return o.Source != Address || o.Destination != Address
	}
	return o.Format(k.print) != Address
}

// count is the number of distinct values of a count type.
func (w Row) count() uint64 {
	if w.r.pairs == nil {
		return 0
	}
	return w.sum[len(w.sum)-1]
}

// linear is a sum of a Linear report.
func (w Row) linear(i int) float64 { return math.Float64frombits(w.sum[i]) }

// BPS returns the bits a second of the entry, zero without Options.Rates.
func (w Row) BPS() Rate { return w.rate(cBPS) }

// PPS returns the packets a second of the entry, zero without Options.Rates.
func (w Row) PPS() Rate { return w.rate(cPPS) }

func (w Row) rate(at int) Rate {
	if !w.r.Options.Rates {
		return Rate{}
	}
	r := rateOf(w.sum[at : at+3])
	r.Avg = mean(r.Avg, w.sum[cFrecs])
	return r
}
