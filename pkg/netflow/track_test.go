package netflow

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/pkg/flow"
)

func testKey(src string, version uint16) Key {
	return NewKey(netip.MustParseAddr(src), netip.MustParseAddr("192.0.2.1"), version, 9991)
}

// TestSequence is the table of examples of netflow-wire.md section 4.
func TestSequence(t *testing.T) {
	type step struct {
		Sequence, Expected, Distance, Lost uint32
		Reset, Mismatch                    bool
	}
	ok := func(seq uint32) step { return step{Sequence: seq} }
	for _, tc := range []struct {
		name  string
		count int
		steps []step
	}{
		{"in order", 2, []step{ok(100), ok(102), ok(104)}},
		{"gap", 2, []step{ok(100), {112, 102, 10, 10, false, true}, ok(114)}},
		{"late", 2, []step{ok(100), {98, 102, 4294967291, 0, true, true}, {102, 100, 2, 2, false, true}}},
		{"repeated", 2, []step{ok(100), {100, 102, 4294967293, 0, true, true}}},
		{"largest loss", 0, []step{ok(0), {999, 0, 999, 999, false, true}}},
		{"smallest reset", 0, []step{ok(0), {1000, 0, 1000, 0, true, true}}},
		{"wrap in order", 2, []step{ok(4294967294), ok(0)}},
		{"wrap with a gap", 2, []step{ok(4294967280), {5, 4294967282, 18, 18, false, true}}},
		{"wrap one short", 2, []step{ok(4294967293), {0, 4294967295, 0, 0, false, true}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr := NewTracker(10)
			var got []step
			var lost, resets uint32
			for _, s := range tc.steps {
				r := tr.Track(testKey("10.0.0.1", 5), &Header{Version: flow.Version{Export: 5}, Count: tc.count, Sequence: s.Sequence})
				got = append(got, step{s.Sequence, r.Expected, r.Distance, r.Lost, r.Reset, r.Mismatch})
				lost += s.Lost
				if s.Reset {
					resets++
				}
			}
			if d := cmp.Diff(tc.steps, got); d != "" {
				t.Error(d)
			}
			e := tr.Exporters()[0]
			if e.Lost != lost || e.Resets != resets || e.Packets != uint32(len(tc.steps)) || e.Flows != uint32(tc.count*len(tc.steps)) {
				t.Errorf("counts: %+v", e)
			}
		})
	}
}

func TestSequenceVersion1(t *testing.T) {
	tr := NewTracker(10)
	for range 3 {
		if r := tr.Track(testKey("10.0.0.1", 1), &Header{Version: flow.Version{Export: 1}, Count: 5}); r.Mismatch {
			t.Error("version 1 has no sequence")
		}
	}
}

// TestExporters checks what tells exporters and engines apart.
func TestExporters(t *testing.T) {
	tr := NewTracker(100)
	src, dst := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	h := func(v flow.Version, et, eid uint8, seq uint32) *Header {
		return &Header{Version: v, Count: 1, EngineType: et, EngineID: eid, Sequence: seq}
	}
	five := flow.Version{Export: 5}
	for i, tc := range []struct {
		key      Key
		h        *Header
		fresh    bool
		mismatch bool
	}{
		{NewKey(src, dst, 5, 1), h(five, 0, 0, 7), true, false},
		{NewKey(netip.AddrFrom16(src.As16()), dst, 5, 1), h(five, 0, 0, 8), false, false}, // the mapped form is the same
		{NewKey(dst, dst, 5, 1), h(five, 0, 0, 100), true, false},
		{NewKey(src, src, 5, 1), h(five, 0, 0, 200), true, false},
		{NewKey(src, dst, 5, 2), h(five, 0, 0, 300), true, false},
		{NewKey(src, dst, 7, 1), h(five, 0, 0, 400), true, false},
		{NewKey(src, dst, 5, 1), h(five, 0, 1, 500), false, false},
		{NewKey(src, dst, 5, 1), h(five, 1, 0, 600), false, false},
		{NewKey(src, dst, 5, 1), h(five, 0, 0, 9), false, false},
		{NewKey(src, dst, 5, 1), h(five, 0, 1, 502), false, true},
		{NewKey(src, dst, 8, 1), h(flow.Version{Export: 8, Agg: 1}, 0, 0, 1), true, false},
		{NewKey(src, dst, 8, 1), h(flow.Version{Export: 8, Agg: 2}, 0, 0, 2), false, false},
	} {
		r := tr.Track(tc.key, tc.h)
		if r.New != tc.fresh || r.Mismatch != tc.mismatch {
			t.Errorf("%d: new %v, mismatch %v", i, r.New, r.Mismatch)
		}
	}
	var order []string
	for _, e := range tr.Exporters() {
		order = append(order, fmt.Sprintf("%v %v %d %d: %d", e.Src(), e.Dst(), e.Version(), e.Port(), e.Packets))
	}
	want := []string{
		"10.0.0.1 10.0.0.2 8 1: 2", "10.0.0.1 10.0.0.2 7 1: 1", "10.0.0.1 10.0.0.2 5 2: 1",
		"10.0.0.1 10.0.0.1 5 1: 1", "10.0.0.2 10.0.0.2 5 1: 1", "10.0.0.1 10.0.0.2 5 1: 6",
	}
	if d := cmp.Diff(want, order); d != "" {
		t.Error(d)
	}
}

// TestFlood has 200 real exporters among a million forged ones, some of which
// come twice: no real one is forgotten, none loses its place in its sequence,
// and memory stays bounded.
func TestFlood(t *testing.T) {
	const real = 200
	forged := 1_000_000
	if testing.Short() {
		forged = 100_000
	}
	tr := NewTracker(10_000)
	rnd := rand.New(rand.NewPCG(1, 1))
	h := Header{Version: flow.Version{Export: 5}, Count: 1}
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	dst := netip.MustParseAddr("192.0.2.1")
	var seq [real]uint32
	send := func(i int) Result {
		h.Sequence = seq[i]
		seq[i]++
		return tr.Track(NewKey(addr(i), dst, 5, 9991), &h)
	}
	for range 8 {
		for i := range real {
			send(i)
		}
	}
	for n := range forged {
		src := netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)})
		h.Sequence = rnd.Uint32()
		for range 1 + n%2 {
			tr.Track(NewKey(src, dst, 5, 9991), &h)
		}
		if n%1000 == 0 {
			for i := range real {
				if r := send(i); r.New || r.Mismatch {
					t.Fatalf("after %d forged: real exporter %d: %+v", n, i, r)
				}
			}
		}
	}
	if tr.Len() > 10_000 {
		t.Errorf("%d exporters kept", tr.Len())
	}
	for _, e := range tr.Exporters() {
		if a := e.Src().As4(); a[0] == 10 {
			if i := int(a[2])<<8 | int(a[3]); e.Packets != seq[i] || e.Lost != 0 || e.Resets != 0 {
				t.Errorf("real exporter %d: %+v, sent %d", i, e, seq[i])
			}
		}
	}
}

// TestBusiest compares the choice with sorting all.
func TestBusiest(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 5))
	tr := NewTracker(1000)
	h := Header{Version: flow.Version{Export: 5}, Count: 1}
	dst := netip.MustParseAddr("192.0.2.1")
	for range 20_000 {
		n := rnd.IntN(1 + rnd.IntN(1200)) // more than are kept
		tr.Track(NewKey(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), dst, 5, 9991), &h)
	}
	all := tr.Exporters()
	slices.SortStableFunc(all, func(a, b Exporter) int { return int(int64(b.Flows) - int64(a.Flows)) })
	for _, n := range []int{0, 1, 7, 200, 1000, 5000} {
		got, want := tr.Busiest(n), all[:min(n, len(all))]
		if !slices.Equal(got, want) {
			t.Errorf("%d: %d exporters, not the busiest %d", n, len(got), len(want))
		}
	}
}

// TestFloodMemory fills a tracker of the default size.
func TestFloodMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a million exporters")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	tr := NewTracker(DefaultExporters)
	h := Header{Version: flow.Version{Export: 5}, Count: 1}
	dst := netip.MustParseAddr("192.0.2.1")
	for n := range 1_000_000 {
		h.EngineID = byte(n)
		tr.Track(NewKey(netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)}), dst, 5, 9991), &h)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 128<<20 {
		t.Errorf("%d MiB in use", used>>20)
	} else {
		t.Logf("%d MiB in use", used>>20)
	}
	if tr.Len() != DefaultExporters {
		t.Errorf("%d exporters", tr.Len())
	}
}

// TestLRU compares the structure with a plain map and list of what must hold.
func TestLRU(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 3))
	for _, limit := range []int{1, 2, 5, 50} {
		c := newLRU[int, int](limit)
		for range 20_000 {
			k := rnd.IntN(3 * limit)
			if rnd.IntN(3) == 0 {
				k = rnd.IntN(1 + limit/4)
			}
			if v := c.get(k); v == nil {
				*c.add(k, k) = k * 7
			} else if *v != k*7 {
				t.Fatalf("limit %d: key %d has value %d", limit, k, *v)
			}
			if len(c.index) > limit || len(c.index) != c.part[0].n+c.part[1].n || len(c.nodes) > limit {
				t.Fatalf("limit %d: %d keys, %d+%d in parts, %d nodes", limit, len(c.index), c.part[0].n, c.part[1].n, len(c.nodes))
			}
			for p, r := range c.part {
				seen := 0
				for i, last := r.first, int32(-1); i >= 0; i = c.nodes[i].next {
					if c.nodes[i].prev != last || int(c.nodes[i].part) != p || c.index[c.nodes[i].key] != i {
						t.Fatalf("limit %d: broken list", limit)
					}
					last = i
					seen++
				}
				if seen != r.n {
					t.Fatalf("limit %d: part %d has %d of %d", limit, p, seen, r.n)
				}
			}
		}
	}
}

func BenchmarkBusiest(b *testing.B) {
	tr := NewTracker(DefaultExporters)
	h := Header{Version: flow.Version{Export: 5}, Count: 1}
	dst := netip.MustParseAddr("192.0.2.1")
	for n := range DefaultExporters {
		h.Count = n % 30
		tr.Track(NewKey(netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)}), dst, 5, 9991), &h)
	}
	b.ReportAllocs()
	for b.Loop() {
		tr.Busiest(200)
	}
}

func BenchmarkTrack(b *testing.B) {
	for _, exporters := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(exporters), func(b *testing.B) {
			tr := NewTracker(DefaultExporters)
			keys := make([]Key, exporters)
			for i := range keys {
				keys[i] = NewKey(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), netip.MustParseAddr("192.0.2.1"), 5, 1)
			}
			h := Header{Version: flow.Version{Export: 5}, Count: 30}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				tr.Track(keys[i%exporters], &h)
			}
		})
	}
}
