package report

import (
	"math"

	"flowtools/pkg/flow"
)

// Counters of an entry of a Linear report, float64 bits.
const linearCounters = 3 // flows, octets, packets

// longest is the most seconds a flow can cover without its clock wrapping:
// 2^32 ms and the seconds it begins and ends in.
const longest = 1<<32/1000 + 2

// addLinear spreads the flows of the block over the seconds they lasted.
//
// A flow that seems to cover more than longest seconds has a wrapped clock
// (stream-format.md section 10) and is left out: it would make up to 4 G
// entries.
func (r *Report) addLinear() {
	b, l := &r.block, r.layout
	for i, rec := range b.rec[:b.n] {
		start := flow.Seconds(l.Millis(rec, flow.First))
		end := flow.Seconds(l.Millis(rec, flow.Last))
		if end < start || end-start >= longest {
			continue
		}
		if r.full = r.table.n > r.limit; r.full {
			return
		}
		n := float64(end - start + 1)
		flows, octets, packets := float64(b.flows[i])/n, float64(b.octets[i])/n, float64(b.packets[i])/n
		for s := uint64(start); s <= uint64(end); {
			// A block of seconds at a time.
			keys := b.keys[:min(blockLen, int(uint64(end)-s)+1)]
			at := b.at[:len(keys)]
			for j := range keys {
				keys[j] = s
				s++
			}
			r.table.find(keys, at, b.hashes[:len(at)])
			for _, number := range at {
				e := r.table.entry(number)[r.keyWords:]
				addFloat(&e[0], flows)
				addFloat(&e[1], octets)
				addFloat(&e[2], packets)
			}
		}
	}
}

func addFloat(p *uint64, v float64) { *p = math.Float64bits(math.Float64frombits(*p) + v) }
