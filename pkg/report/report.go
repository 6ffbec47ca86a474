package report

import (
	"fmt"
	"math"

	"flowtools/pkg/flow"
)

// AddrFormat is what entries are made of an address.
type AddrFormat uint8

// The address formats.
const (
	Address    AddrFormat = iota // the address
	PrefixLen                    // address and prefix length
	PrefixMask                   // network and prefix length
)

// Options are the settings of one report. The zero value counts every record
// that has packets, as flow-report does.
type Options struct {
	Scale       uint32     // packets and octets are multiplied by it; 0 is 1
	Source      AddrFormat // of source addresses
	Destination AddrFormat // of destination addresses
	Rates       bool       // keep packets and bits a second

	// TagMask is ANDed to the source and the destination tag, before Filter
	// and keys see them; nil leaves tags alone. Records outside are not
	// changed.
	TagMask *[2]uint32
	// Filter says which records count; nil counts all.
	Filter func(flow.Record) bool
	// Empty counts records without packets like others (flow-stat) instead of
	// ignoring them. They make no entry keyed by octets/packets.
	Empty bool
}

// Format returns the format of addresses of a side.
func (o *Options) Format(s Side) AddrFormat {
	switch s {
	case Source:
		return o.Source
	case Destination:
		return o.Destination
	}
	return Address
}

// Needs returns the fields that a report of type t reads beside those that
// every record has.
func (t *Type) Needs(o *Options) flow.FieldSet {
	need := flow.Fields(flow.UnixSecs, flow.DPkts, flow.DOctets, flow.First, flow.Last)
	for _, k := range t.all() {
		if k.derived == plain || k.derived == class {
			need |= k.field.Set()
		}
	}
	if o.Source != Address && t.Uses(Source) {
		need |= flow.SrcMask.Set()
	}
	if o.Destination != Address && t.Uses(Destination) {
		need |= flow.DstMask.Set()
	}
	if o.TagMask != nil {
		need |= flow.Fields(flow.SrcTag, flow.DstTag)
	}
	return need
}

// Rate is a distribution of packets or bits a second.
type Rate struct{ Avg, Min, Max float64 }

// Totals are the sums over all flows of a report.
type Totals struct {
	Ignores  uint64 // records without packets, counted nowhere else
	Flows    uint64
	Octets   uint64
	Packets  uint64
	Duration uint64 // ms
	Records  uint64 // records counted
	Frecs    uint64 // records counted that lasted
	BPS, PPS Rate   // only with Options.Rates

	First, Last uint32 // least and greatest export time; 2^32-1 and 0 of nothing
}

// Report is one report in the making. It is not safe for concurrent use.
type Report struct {
	Type    *Type
	Options Options
	layout  *flow.Layout
	columns Columns // of the type
	scale   uint64

	totals Totals // BPS.Avg and PPS.Avg are sums here

	plans []plan // of the keys of an entry; two for types that count twice
	table *table // List, Linear
	array []uint64
	order []uint32 // entries in the present order; nil: the natural one
	pairs *table   // of Distinct: entry and counted value
	pair  plan

	stride   int // words of an entry
	keyWords int // of an entry; counters follow

	detail *DetailSums
	block  block

	limit int // entries from which on nothing is added
	full  bool
}

// The counters of an entry, as word numbers behind its key: the sums, with
// Options.Rates two rates as float64 bits (sum, least, greatest), and for count
// types the count as the last word.
const (
	cFlows = iota
	cOctets
	cPackets
	cDuration
	cFrecs
	numSums

	cBPS     = numSums
	cPPS     = cBPS + 3
	numRates = 6
)

// blockLen is how many records pass through the stages of Add together: enough
// to overlap cache misses, few enough to stay in the first cache.
const blockLen = 128

// block is the records in work, column by column.
type block struct {
	n        int
	rec      [blockLen]flow.Record
	flows    [blockLen]uint64
	octets   [blockLen]uint64
	packets  [blockLen]uint64
	duration [blockLen]uint32
	bps      [blockLen]float64
	pps      [blockLen]float64
	keys     []uint64
	at       [2 * blockLen]uint32
	hashes   [2 * blockLen]uint32
	masked   []byte // records with masked tags
}

// New returns an empty report of type t over records of layout l. The error
// names the fields that l lacks.
func New(t *Type, l *flow.Layout, o Options) (*Report, error) {
	if missing := l.Missing(t.Needs(&o)); missing != 0 {
		return nil, fmt.Errorf("report %s: record version %v lacks %v", t.Name, l.Version, missing)
	}
	r := &Report{Type: t, Options: o, layout: l, columns: t.Columns(), scale: max(1, uint64(o.Scale))}
	if o.TagMask != nil {
		r.block.masked = make([]byte, blockLen*l.Size)
	}
	r.limit = maxEntries
	counters := numSums
	if o.Rates {
		counters += numRates
	}
	switch t.Kind {
	case Detail:
		r.detail = newDetailSums()
	case Linear:
		r.limit = maxSeconds
		r.keyWords = 1
		r.table = newTable(1, linearCounters)
		r.stride = r.table.stride
	case Array:
		r.plans = r.compile(t.Keys, t.Alternate)
		r.stride = counters
		r.array = make([]uint64, t.Size*counters)
	case List:
		r.plans = r.compile(t.Keys, t.Alternate)
		r.keyWords = r.plans[0].words
		if t.Distinct != nil {
			counters++
			r.pair = r.compile(t.all(), nil)[0]
			r.pairs = newTable(r.pair.words, 0)
		}
		r.table = newTable(r.keyWords, counters)
		r.stride = r.table.stride
	}
	words := max(1, r.pair.words)
	for _, p := range r.plans {
		words = max(words, p.words*len(r.plans))
	}
	r.block.keys = make([]uint64, blockLen*words)
	r.Reset()
	return r, nil
}

// The most entries: what fits the numbers of a table, and for Linear reports,
// where one record can make millions, two years.
const (
	maxEntries = 1 << 30
	maxSeconds = 1 << 26
)

// Err returns an error when there are so many entries that Add has stopped
// counting.
func (r *Report) Err() error {
	if r.full {
		return fmt.Errorf("report %s: more than %d entries", r.Type.Name, r.limit)
	}
	return nil
}

// Layout returns the layout of the records that Add takes.
func (r *Report) Layout() *flow.Layout { return r.layout }

// Reset empties the report and keeps its memory.
func (r *Report) Reset() {
	r.totals = Totals{First: math.MaxUint32}
	r.order, r.full = nil, false
	if r.table != nil {
		r.table.reset()
	}
	if r.pairs != nil {
		r.pairs.reset()
	}
	if r.detail != nil {
		r.detail.reset()
	}
	clear(r.array)
}

// Add counts the records of b, which have the report's layout and are not
// changed. Sorting and reading rows come after the last Add.
func (r *Report) Add(b *flow.Batch) {
	r.order = nil
	size := r.layout.Size
	for data := b.Bytes(); len(data) >= size; {
		n := min(len(data), blockLen*size) / size * size
		r.addBlock(data[:n])
		data = data[n:]
	}
}

func (r *Report) addBlock(data []byte) {
	for _, t := range [...]*table{r.table, r.pairs} {
		r.full = r.full || t != nil && t.n > r.limit
	}
	if r.full {
		return
	}
	if r.Options.TagMask != nil {
		data = r.maskTags(data)
	}
	r.take(data)
	b := &r.block
	if b.n == 0 {
		return
	}
	switch {
	case r.detail != nil:
		r.detail.add(r.layout, b)
	case r.Type.Kind == Linear:
		r.addLinear()
	case r.Type.Kind == Array:
		r.addArray()
	case r.Type.Kind == List:
		r.addList()
	}
}

// maskTags returns a copy of the records with masked tags.
func (r *Report) maskTags(data []byte) []byte {
	l, mask := r.layout, r.Options.TagMask
	data = r.block.masked[:copy(r.block.masked, data)]
	for rest := data; len(rest) >= l.Size; rest = rest[l.Size:] {
		l.PutUint(rest, flow.SrcTag, l.Uint(rest, flow.SrcTag)&uint64(mask[0]))
		l.PutUint(rest, flow.DstTag, l.Uint(rest, flow.DstTag)&uint64(mask[1]))
	}
	return data
}

// take selects the records that count, fills the columns of the block and adds
// to the totals.
func (r *Report) take(data []byte) {
	b, l, size := &r.block, r.layout, r.layout.Size
	filter, empty, scale, rates := r.Options.Filter, r.Options.Empty, r.scale, r.rated()
	hasFlows := l.Fields.Has(flow.DFlows)
	t := r.totals
	n := 0
	for ; len(data) >= size; data = data[size:] {
		rec := flow.Record(data[:size:size])
		if filter != nil && !filter(rec) {
			continue
		}
		packets := l.Uint(rec, flow.DPkts)
		if packets == 0 && !empty {
			t.Ignores++
			continue
		}
		packets *= scale
		octets := l.Uint(rec, flow.DOctets) * scale
		flows := uint64(1)
		if hasFlows {
			flows = l.Uint(rec, flow.DFlows)
		}
		duration := uint32(l.Uint(rec, flow.Last)) - uint32(l.Uint(rec, flow.First))
		secs := uint32(l.Uint(rec, flow.UnixSecs))

		i := n & (blockLen - 1)
		b.rec[i], b.flows[i], b.octets[i], b.packets[i], b.duration[i] = rec, flows, octets, packets, duration
		n++

		t.First, t.Last = min(t.First, secs), max(t.Last, secs)
		t.Records++
		t.Flows += flows
		t.Octets += octets
		t.Packets += packets
		if duration != 0 {
			t.Duration += uint64(duration)
			t.Frecs++
			if rates {
				seconds := float64(duration) / 1000
				bps, pps := float64(octets)*8/seconds, float64(packets)/seconds
				b.bps[i], b.pps[i] = bps, pps
				t.BPS.add(bps)
				t.PPS.add(pps)
			}
		} else {
			b.bps[i], b.pps[i] = 0, 0
		}
	}
	b.n, r.totals = n, t
}

// rated reports whether the rates of flows are needed.
func (r *Report) rated() bool {
	return r.Options.Rates || len(r.Type.Keys) > 0 && (r.Type.Keys[0].derived == bitRate || r.Type.Keys[0].derived == packetRate)
}

// add counts the rate of a flow; Avg is the sum for now.
//
// Compat: a least rate of 0 means none yet, so a genuine 0 is forgotten by the
// next flow.
func (r *Rate) add(v float64) {
	r.Avg += v
	if v > r.Max {
		r.Max = v
	}
	if v < r.Min || r.Min == 0 {
		r.Min = v
	}
}

func (r *Report) addList() {
	b := &r.block
	sides, kw := len(r.plans), r.keyWords
	for s := range r.plans {
		r.plans[s].run(b, r.layout, b.keys[s*kw:], sides*kw)
	}
	n := b.n
	if r.Type.Keys[0].derived == packetSize && r.Options.Empty {
		n = b.dropEmpty()
	}
	at := b.at[:n*sides]
	r.table.find(b.keys[:len(at)*kw], at, b.hashes[:len(at)])
	r.bump(at, sides)
	if r.pairs != nil {
		r.countDistinct(at)
	}
}

// dropEmpty closes up the columns over records without packets, which have no
// octets/packets, and returns how many are left.
func (b *block) dropEmpty() int {
	n := 0
	for i := range b.n {
		if b.packets[i] == 0 {
			continue
		}
		b.keys[n] = b.keys[i]
		b.flows[n], b.octets[n], b.packets[n], b.duration[n] = b.flows[i], b.octets[i], b.packets[i], b.duration[i]
		b.bps[n], b.pps[n] = b.bps[i], b.pps[i]
		n++
	}
	return n
}

// bump adds the block to its entries; record i has the entries at[i*sides:].
func (r *Report) bump(at []uint32, sides int) {
	b, t, kw := &r.block, r.table, r.keyWords
	for j, number := range at {
		i := j
		if sides == 2 {
			i = j >> 1
		}
		b.addTo(t.entry(number)[kw:], i&(blockLen-1), r.Options.Rates)
	}
}

func (r *Report) addArray() {
	b := &r.block
	sides, stride := len(r.plans), r.stride
	for s := range r.plans {
		r.plans[s].run(b, r.layout, b.keys[s:], sides)
	}
	for j, key := range b.keys[:b.n*sides] {
		i := j
		if sides == 2 {
			i = j >> 1
		}
		at := int(key) * stride
		b.addTo(r.array[at:at+stride:at+stride], i&(blockLen-1), r.Options.Rates)
	}
}

// addTo adds record i of the block to the counters of an entry.
func (b *block) addTo(e []uint64, i int, rates bool) {
	_ = e[numSums-1]
	e[cFlows] += b.flows[i]
	e[cOctets] += b.octets[i]
	e[cPackets] += b.packets[i]
	d := b.duration[i]
	if d == 0 {
		return
	}
	e[cDuration] += uint64(d)
	e[cFrecs]++
	if rates {
		addRate(e[cBPS:cPPS], b.bps[i])
		addRate(e[cPPS:cPPS+3], b.pps[i])
	}
}

func addRate(e []uint64, v float64) {
	r := rateOf(e)
	r.add(v)
	e[0], e[1], e[2] = math.Float64bits(r.Avg), math.Float64bits(r.Min), math.Float64bits(r.Max)
}

func rateOf(e []uint64) Rate {
	return Rate{math.Float64frombits(e[0]), math.Float64frombits(e[1]), math.Float64frombits(e[2])}
}

// countDistinct adds one to each entry for every pair of it and a counted
// value that is new.
func (r *Report) countDistinct(at []uint32) {
	b, t := &r.block, r.table
	var pairs [blockLen]uint32
	seen := r.pairs.n
	r.pair.run(b, r.layout, b.keys, r.pair.words)
	r.pairs.find(b.keys[:len(at)*r.pair.words], pairs[:len(at)], b.hashes[:len(at)])
	for i, pair := range pairs[:len(at)] {
		if int(pair) == seen { // numbers are given in order
			seen++
			t.entry(at[i])[r.stride-1]++
		}
	}
}

// Totals returns the totals so far.
func (r *Report) Totals() Totals {
	t := r.totals
	t.BPS.Avg, t.PPS.Avg = mean(t.BPS.Avg, t.Frecs), mean(t.PPS.Avg, t.Frecs)
	return t
}

// mean is 0 of nothing.
func mean(sum float64, n uint64) float64 {
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// Detail returns the distributions of a Detail report, nil for others.
func (r *Report) Detail() *DetailSums { return r.detail }
