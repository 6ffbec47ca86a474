package report

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"flowtools/pkg/flow"
	gocmp "github.com/google/go-cmp/cmp"
)

// randomBatch makes records of few distinct values, so that keys repeat, with
// some extreme ones.
func randomBatch(rng *rand.Rand, l *flow.Layout, n int) *flow.Batch {
	b := flow.NewBatch(l)
	b.Extend(n)
	for rec := range b.All() {
		for f := range l.Fields.All() {
			v := rng.Uint64N(7)
			switch {
			case rng.IntN(40) == 0:
				v = rng.Uint64()
			case f == flow.SrcAddr || f == flow.DstAddr:
				v = []uint64{0x0a000001, 0x80920102, 0xc0a80003, 0xe0000005, 0xe8000001, 0xf0000001}[rng.IntN(6)] + v
			case f == flow.UnixSecs:
				v += 1370000000
			case f == flow.SysUptime:
				v += 100000
			case f == flow.First, f == flow.Last:
				v = 90000 + rng.Uint64N(4000)
			case f == flow.SrcMask || f == flow.DstMask:
				v = []uint64{0, 8, 16, 24, 32, 33, 255}[rng.IntN(7)]
			case f == flow.DOctets:
				v = rng.Uint64N(5000)
			}
			l.PutUint(rec, f, v)
		}
		if f, last := l.Uint(rec, flow.First), l.Uint(rec, flow.Last); l.Duration(rec) > 1<<20 && rng.IntN(50) != 0 {
			l.PutUint(rec, flow.First, min(f, last))
			l.PutUint(rec, flow.Last, min(f, last)+rng.Uint64N(3))
		}
	}
	return b
}

// entry is an entry of the model and of the engine, for comparison.
type entry struct {
	Keys                                    []uint64
	Lens                                    []uint8
	Flows, Octets, Packets, Duration, Frecs uint64
	Count                                   uint64
	BPS, PPS                                Rate
}

// model computes a report the obvious way, with maps. It returns the entries in
// order of appearance and the totals as an entry.
func model(t *Type, l *flow.Layout, recs *flow.Batch, o Options) (entries []*entry, total *entry) {
	total = &entry{}
	byKey, pairs := map[string]*entry{}, map[string]bool{}
	for rec := range recs.All() {
		scale := max(1, uint64(o.Scale))
		packets, octets, lasted := l.Uint(rec, flow.DPkts)*scale, l.Uint(rec, flow.DOctets)*scale, l.Duration(rec)
		if packets == 0 {
			total.Count++ // ignored
			continue
		}
		var bps, pps float64
		if lasted != 0 {
			bps, pps = float64(octets)*8/(float64(lasted)/1000), float64(packets)/(float64(lasted)/1000)
		}
		count := func(e *entry) {
			e.Flows, e.Octets, e.Packets = e.Flows+l.Flows(rec), e.Octets+octets, e.Packets+packets
			if lasted == 0 {
				return
			}
			e.Frecs, e.Duration = e.Frecs+1, e.Duration+uint64(lasted)
			for r, v := range map[*Rate]float64{&e.BPS: bps, &e.PPS: pps} {
				r.Avg, r.Max = r.Avg+v, max(r.Max, v)
				if r.Min == 0 || v < r.Min {
					r.Min = v
				}
			}
		}
		value := func(k Key) (v uint64, length uint8) {
			v = l.Uint(rec, k.field)
			switch k.derived {
			case packetSize:
				return uint64(uint32(octets / packets)), 0
			case octetCount:
				return octets, 0
			case packetCount:
				return packets, 0
			case lifetime:
				return uint64(lasted), 0
			case bitRate:
				return truncate(bps), 0
			case packetRate:
				return truncate(pps), 0
			case class:
				a := v >> 24
				return uint64(slices.Index([]bool{a < 128, a < 192, a < 224, a < 240 && a != 232, a == 232, true}, true)), 0
			}
			if k.side == Neither || t.borrow && k.side == Destination && o.Destination != Address {
				return v, 0
			}
			if o.Format(k.side) != Address {
				length = uint8(l.Uint(rec, map[Side]flow.Field{Source: flow.SrcMask, Destination: flow.DstMask}[k.side]))
			}
			if t.borrow && o.Destination != Address {
				length = uint8(l.Uint(rec, flow.DstMask))
			}
			if o.Format(k.side) == PrefixMask && 0 < length && length <= 32 {
				v &^= 1<<(32-length) - 1
			}
			return v, length
		}
		count(total)
		sets := [][]Key{t.Keys}
		if t.Alternate != nil {
			sets = append(sets, []Key{*t.Alternate})
		}
		for _, keys := range sets {
			e := &entry{}
			for _, k := range keys {
				v, length := value(k)
				e.Keys, e.Lens = append(e.Keys, v), append(e.Lens, length)
			}
			id := fmt.Sprint(e.Keys, e.Lens)
			if byKey[id] == nil {
				byKey[id] = e
				entries = append(entries, e)
			}
			e = byKey[id]
			count(e)
			if t.Distinct != nil {
				v, length := value(*t.Distinct)
				pair := fmt.Sprint(id, v, length)
				if !pairs[pair] {
					e.Count++
				}
				pairs[pair] = true
			}
		}
	}
	for _, e := range append(entries, total) {
		if e.Frecs > 0 {
			e.BPS.Avg, e.PPS.Avg = e.BPS.Avg/float64(e.Frecs), e.PPS.Avg/float64(e.Frecs)
		}
	}
	if t.Kind == Array {
		slices.SortStableFunc(entries, func(a, b *entry) int { return cmp.Compare(a.Keys[0], b.Keys[0]) })
		entries = slices.DeleteFunc(entries, func(e *entry) bool { return e.Flows == 0 })
	}
	return entries, total
}

func rowsOf(r *Report, backwards bool) (rows []*entry) {
	for row := range r.Rows(backwards) {
		e := &entry{
			Flows: row.Uint(Flows), Octets: row.Uint(Octets), Packets: row.Uint(Packets), Duration: row.Uint(Duration),
			Frecs: row.Uint(Frecs), Count: row.Uint(Count), BPS: row.BPS(), PPS: row.PPS(),
		}
		for i := range r.Type.Keys {
			e.Keys, e.Lens = append(e.Keys, row.Key(i)), append(e.Lens, row.PrefixLen(i))
		}
		rows = append(rows, e)
	}
	return rows
}

// compare orders entries of the model by a column.
func compare(c Column, a, b *entry) int {
	switch c {
	case Count:
		return cmp.Compare(a.Count, b.Count)
	case Flows:
		return cmp.Compare(a.Flows, b.Flows)
	case Octets:
		return cmp.Compare(a.Octets, b.Octets)
	case Packets:
		return cmp.Compare(a.Packets, b.Packets)
	case Duration:
		return cmp.Compare(a.Duration, b.Duration)
	case Frecs:
		return cmp.Compare(a.Frecs, b.Frecs)
	case AvgBPS:
		return cmp.Compare(a.BPS.Avg, b.BPS.Avg)
	case MinBPS:
		return cmp.Compare(a.BPS.Min, b.BPS.Min)
	case MaxBPS:
		return cmp.Compare(a.BPS.Max, b.BPS.Max)
	case AvgPPS:
		return cmp.Compare(a.PPS.Avg, b.PPS.Avg)
	case MinPPS:
		return cmp.Compare(a.PPS.Min, b.PPS.Min)
	case MaxPPS:
		return cmp.Compare(a.PPS.Max, b.PPS.Max)
	}
	i := c - Key1
	return cmp.Or(cmp.Compare(a.Keys[i], b.Keys[i]), cmp.Compare(a.Lens[i], b.Lens[i]))
}

// TestModel holds every keyed type against the model, on random streams of
// every record version, with every address format and random sorts.
func TestModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, typ := range Types() {
		if len(typ.Keys) == 0 || typ.Kind == Linear {
			continue
		}
		tried := 0
		for _, v := range flow.Versions() {
			l, err := flow.LayoutOf(v)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{
				Source: AddrFormat(rng.IntN(3)), Destination: AddrFormat(rng.IntN(3)),
				Rates: rng.IntN(2) == 0, Scale: []uint32{0, 1, 3, 1 << 31}[rng.IntN(4)],
			}
			if v.Export == 1005 {
				o.TagMask = &[2]uint32{rng.Uint32(), rng.Uint32()}
			}
			if l.Missing(typ.Needs(&o)) != 0 {
				continue
			}
			tried++
			modelCase(t, rng, typ, l, o)
		}
		if tried == 0 {
			t.Errorf("%s: no record version tried", typ.Name)
		}
	}
}

// diff is cmp.Diff, which is slow, where there is something to show.
func diff(want, got any) string {
	if reflect.DeepEqual(want, got) {
		return ""
	}
	return gocmp.Diff(want, got)
}

func modelCase(t *testing.T, rng *rand.Rand, typ *Type, l *flow.Layout, o Options) {
	r, err := New(typ, l, o)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // the second one after Reset
		batch := randomBatch(rng, l, rng.IntN(700))
		o.Filter = nil
		kept := flow.NewBatch(l)
		for rec := range batch.All() {
			masked := slices.Clone(rec)
			if o.TagMask != nil {
				l.PutUint(masked, flow.SrcTag, l.Uint(rec, flow.SrcTag)&uint64(o.TagMask[0]))
				l.PutUint(masked, flow.DstTag, l.Uint(rec, flow.DstTag)&uint64(o.TagMask[1]))
			}
			if l.Uint(masked, flow.SysUptime)%3 != 0 {
				kept.Append(masked)
			}
		}
		r.Options.Filter = func(rec flow.Record) bool { return l.Uint(rec, flow.SysUptime)%3 != 0 }
		r.Reset()
		before := slices.Clone(batch.Bytes())
		r.Add(batch)
		if !slices.Equal(before, batch.Bytes()) {
			t.Fatalf("%s: records were changed", typ.Name)
		}
		want, total := model(typ, l, kept, o)
		name := fmt.Sprintf("%s v%v %+v round %d", typ.Name, l.Version, o, round)
		if !o.Rates {
			for _, e := range append(want, total) {
				e.BPS, e.PPS = Rate{}, Rate{}
			}
		}
		got := r.Totals()
		sums := &entry{Flows: got.Flows, Octets: got.Octets, Packets: got.Packets, Duration: got.Duration, Frecs: got.Frecs, Count: got.Ignores}
		if o.Rates {
			sums.BPS, sums.PPS = got.BPS, got.PPS
		}
		if d := diff(total, sums); d != "" {
			t.Fatalf("%s: totals\n%s", name, d)
		}
		if d := diff(want, rowsOf(r, false)); d != "" {
			t.Fatalf("%s: rows\n%s", name, d)
		}
		var columns []Column
		for c := range (typ.Columns() &^ (1<<Index | 1<<First | 1<<Last | 1<<Other)).All() {
			if o.Rates || !c.Float() {
				columns = append(columns, c)
			}
		}
		natural := slices.Clone(want)
		for range 2 - typ.Size>>16 { // sorting large arrays takes its time
			c := columns[rng.IntN(len(columns))]
			r.Sort(c)
			if typ.Kind == List {
				want = slices.Clone(natural) // sorting starts over
			}
			if typ.Kind != Array || c != Key1 {
				slices.SortStableFunc(want, func(a, b *entry) int { return compare(c, a, b) })
			}
			if d := diff(want, rowsOf(r, false)); d != "" {
				t.Fatalf("%s: sorted by %v\n%s", name, c, d)
			}
			backwards := slices.Clone(want)
			slices.Reverse(backwards)
			if d := diff(backwards, rowsOf(r, true)); d != "" {
				t.Fatalf("%s: backwards by %v\n%s", name, c, d)
			}
		}
	}
}
