package report

import (
	"sync"

	"flowtools/pkg/flow"
)

// Buckets are the bounds of a distribution: a value falls in the first bucket
// whose bound is not below it.
type Buckets struct {
	Name   string // of the columns
	Bounds []uint32
	Rest   bool // one more bucket takes what is above

	grain uint32  // greatest common divisor of the bounds
	index []uint8 // bucket of ceil(value/grain)
}

// NumBuckets is the number of buckets of every distribution, the rest included.
const NumBuckets = 26

// The distributions of DetailSums, in printing order.
const (
	BySize     = iota // octets / packets, in records above the last bound in none
	ByPackets         // packets of a flow
	ByOctets          // octets of a flow
	ByDuration        // duration, ms
	NumDistributions
)

var distributions = sync.OnceValue(func() *[NumDistributions]Buckets {
	return &[NumDistributions]Buckets{
		BySize:     newBuckets("psize", false, ladder(32, 32, 576), ladder(1024, 512, 4608)),
		ByPackets:  newBuckets("fpsize", true, []uint32{1, 2}, ladder(4, 4, 52), []uint32{60}, ladder(100, 100, 900)),
		ByOctets:   newBuckets("fosize", true, []uint32{32, 64, 128, 256, 512}, ladder(1280, 768, 15872)),
		ByDuration: newBuckets("ftime", true, []uint32{10, 50, 100, 200, 500}, ladder(1000, 1000, 10000), ladder(12000, 2000, 30000)),
	}
})

// Distributions returns the bounds of the four distributions. They are shared:
// do not change them.
func Distributions() *[NumDistributions]Buckets { return distributions() }

// ladder returns from, from+step ... to.
func ladder(from, step, to uint32) (bounds []uint32) {
	for v := from; v <= to; v += step {
		bounds = append(bounds, v)
	}
	return bounds
}

func newBuckets(name string, rest bool, runs ...[]uint32) Buckets {
	b := Buckets{Name: name, Rest: rest}
	for _, run := range runs {
		b.Bounds = append(b.Bounds, run...)
		for _, v := range run {
			b.grain = gcd(v, b.grain)
		}
	}
	for i, bound := range b.Bounds {
		for uint32(len(b.index)) <= bound/b.grain {
			b.index = append(b.index, uint8(i))
		}
	}
	return b
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// find returns the bucket of v; above all bounds len(Bounds).
func (b *Buckets) find(v uint32) int {
	i := v / b.grain
	if i*b.grain != v {
		i++
	}
	if i < uint32(len(b.index)) {
		return int(b.index[i])
	}
	return len(b.Bounds)
}

// DetailSums are the distributions of a Detail report.
type DetailSums struct {
	// Counts holds the flow records of each bucket by distribution. BySize has
	// no rest: records above its last bound are not in it.
	Counts [NumDistributions][NumBuckets]uint64

	MinFirst uint32 // least first packet, ms of uptime; 2^32-1 of nothing
	MaxLast  uint32 // greatest last packet, ms of uptime

	buckets *[NumDistributions]Buckets
}

func newDetailSums() *DetailSums { return &DetailSums{buckets: distributions()} }

func (d *DetailSums) reset() { *d = DetailSums{MinFirst: 1<<32 - 1, buckets: d.buckets} }

// add counts the block.
//
// Compat: quotient, packets and octets are cut to 32 bits first, which shows
// with a scale (golden flow-report/scale-summary).
func (d *DetailSums) add(l *flow.Layout, b *block) {
	var sized [NumBuckets + 1]uint64
	bySize, byPackets := &d.buckets[BySize], &d.buckets[ByPackets]
	byOctets, byDuration := &d.buckets[ByOctets], &d.buckets[ByDuration]
	for i, rec := range b.rec[:b.n] {
		if p := b.packets[i]; p != 0 {
			sized[bySize.find(uint32(b.octets[i]/p))]++
		}
		d.Counts[ByPackets][byPackets.find(uint32(b.packets[i]))]++
		d.Counts[ByOctets][byOctets.find(uint32(b.octets[i]))]++
		d.Counts[ByDuration][byDuration.find(b.duration[i])]++
		d.MinFirst = min(d.MinFirst, uint32(l.Uint(rec, flow.First)))
		d.MaxLast = max(d.MaxLast, uint32(l.Uint(rec, flow.Last)))
	}
	for i, n := range sized[:NumBuckets] {
		d.Counts[BySize][i] += n
	}
}
