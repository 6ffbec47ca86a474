package report

import (
	"math/rand/v2"
	"testing"

	"flowtools/pkg/flow"
)

// stream makes v5 records in batches: pairs distinct pairs of addresses, the
// rest of each record nearly unique.
func stream(n, pairs int) []*flow.Batch {
	l, err := flow.LayoutOf(flow.Version{Export: 5})
	if err != nil {
		panic(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var batches []*flow.Batch
	b := flow.NewBatch(l)
	per := flow.SlabSize / l.Size
	for i := range n {
		if b.Len() == per {
			batches = append(batches, b)
			b = flow.NewBatch(l)
		}
		p := uint64(i) // every pair once, then at random
		if i >= pairs {
			p = rng.Uint64N(uint64(pairs))
		}
		b.Extend(1)
		rec := b.At(b.Len() - 1)
		for f, v := range map[flow.Field]uint64{
			flow.UnixSecs: 1370000000 + p/1000, flow.SysUptime: 1 << 20,
			flow.SrcAddr: 10<<24 + p*2654435761%(1<<24), flow.DstAddr: 192<<24 + p,
			flow.SrcPort: rng.Uint64N(1 << 16), flow.DstPort: rng.Uint64N(1024), flow.Prot: 6, flow.ToS: rng.Uint64N(4),
			flow.DPkts: 1 + rng.Uint64N(100), flow.DOctets: 40 + rng.Uint64N(100000),
			flow.First: 1 << 19, flow.Last: 1<<19 + rng.Uint64N(30000),
		} {
			l.PutUint(rec, f, v)
		}
	}
	return append(batches, b)
}

// The budgets per record: 2 keys with 500,000 pairs 80 ns, 6 keys with 1.4
// million entries 220 ns, summary-detail 40 ns; at most 120 octets an entry.
func BenchmarkAdd(b *testing.B) {
	const records, pairs = 1_400_000, 502_600
	batches := stream(records, pairs)
	for _, c := range []struct {
		name, typ string
		rates     bool
	}{
		{"detail", "summary-detail", false},
		{"array", "ip-destination-port", false},
		{"1key", "ip-source-address", false},
		{"2keys", "ip-source/destination-address", false},
		{"2keys-rates", "ip-source/destination-address", true},
		{"6keys", "ip-source/destination-address/ip-protocol/ip-tos/ip-source/destination-port", false},
		{"count", "ip-source-address-destination-count", false},
		{"linear", "linear-interpolated-flows-octets-packets", false},
	} {
		for _, warm := range []bool{false, true} {
			name := c.name + "/cold"
			if warm {
				name = c.name + "/warm"
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				o := Options{Rates: c.rates}
				r, err := New(TypeNamed(c.typ), batches[0].Layout, o)
				if err != nil {
					b.Fatal(err)
				}
				if warm {
					for _, batch := range batches {
						r.Add(batch)
					}
				}
				b.ResetTimer()
				for range b.N {
					if warm {
						r.Reset()
					} else if r, err = New(r.Type, r.layout, o); err != nil {
						b.Fatal(err)
					}
					for _, batch := range batches {
						r.Add(batch)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
				if r.Len() > 0 {
					b.ReportMetric(float64(r.Len()), "entries")
				}
			})
		}
	}
}
