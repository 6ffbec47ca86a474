package lpm

import (
	"math/rand/v2"
	"testing"
)

type entry struct {
	addr   uint32
	length uint8
	value  int
}

func (e entry) holds(a uint32) bool { return e.length == 0 || (a^e.addr)>>(32-e.length) == 0 }

// random prefixes, some with host bits, near enough to nest.
func random(rnd *rand.Rand, n int) []entry {
	es := make([]entry, n)
	for i := range es {
		es[i] = entry{rnd.Uint32() & 0x0f1f3fff, uint8(rnd.IntN(33)), i}
	}
	return es
}

// The table finds what a scan of all prefixes finds; the first of equal ones stays.
func TestLookup(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 2, 10, 100, 1000} {
		es := random(rnd, n)
		var table Table[int]
		var kept []entry
		for _, e := range es {
			fresh := true
			for _, k := range kept {
				fresh = fresh && !(k.length == e.length && k.holds(e.addr))
			}
			if got := table.Insert(e.addr, e.length, e.value); got != fresh {
				t.Fatalf("Insert(%#x/%d): %v, want %v", e.addr, e.length, got, fresh)
			}
			if fresh {
				kept = append(kept, e)
			}
			if _, ok := table.Get(e.addr, e.length); !ok {
				t.Fatalf("Get(%#x/%d) misses what was inserted", e.addr, e.length)
			}
		}
		if table.Len() != len(kept) {
			t.Fatalf("Len %d, want %d", table.Len(), len(kept))
		}
		addrs := []uint32{0, 1, 0xffffffff}
		for range 2000 {
			addrs = append(addrs, rnd.Uint32()&0x0f1f3fff)
		}
		for _, a := range addrs {
			want, best := -1, -1
			for _, k := range kept {
				if k.holds(a) && int(k.length) > best {
					want, best = k.value, int(k.length)
				}
			}
			got, ok := table.Lookup(a)
			if !ok {
				got = -1
			}
			if got != want {
				t.Fatalf("%d prefixes: Lookup(%#x) = %d, want %d", n, a, got, want)
			}
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var table Table[uint32]
	for _, e := range random(rnd, 1000) {
		table.Insert(e.addr, max(e.length, 8), uint32(e.value))
	}
	addrs := make([]uint32, 1024)
	for i := range addrs {
		addrs[i] = rnd.Uint32() & 0x0f1f3fff
	}
	b.ReportAllocs()
	i, hits := 0, 0
	for b.Loop() {
		if _, ok := table.Lookup(addrs[i&1023]); ok {
			hits++
		}
		i++
	}
}
