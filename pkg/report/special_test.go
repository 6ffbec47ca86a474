package report

import (
	"math/rand/v2"
	"slices"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

func layout(t testing.TB, export uint16) *flow.Layout {
	t.Helper()
	l, err := flow.LayoutOf(flow.Version{Export: export})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func report(t testing.TB, name string, l *flow.Layout, o Options) *Report {
	t.Helper()
	r, err := New(TypeNamed(name), l, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDetail(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	l := layout(t, 5)
	r := report(t, "summary-detail", l, Options{Scale: 3})
	b := randomBatch(rng, l, 5000)
	r.Add(b)

	var want [NumDistributions][NumBuckets]uint64
	for rec := range b.All() {
		packets, octets := 3*l.Uint(rec, flow.DPkts), 3*l.Uint(rec, flow.DOctets)
		if packets == 0 {
			continue
		}
		for i, v := range []uint32{uint32(octets / packets), uint32(packets), uint32(octets), l.Duration(rec)} {
			bounds := Distributions()[i].Bounds
			bucket := slices.IndexFunc(bounds, func(bound uint32) bool { return v <= bound })
			switch {
			case bucket >= 0:
				want[i][bucket]++
			case Distributions()[i].Rest:
				want[i][len(bounds)]++
			}
		}
	}
	if d := diff(want, r.Detail().Counts); d != "" {
		t.Error(d)
	}
}

func TestBuckets(t *testing.T) {
	for _, b := range Distributions() {
		n := len(b.Bounds)
		if b.Rest {
			n++
		}
		if n != NumBuckets || !slices.IsSorted(b.Bounds) {
			t.Errorf("%s: %d buckets %v", b.Name, n, b.Bounds)
		}
		for v := range b.Bounds[len(b.Bounds)-1] + 2 {
			want := slices.IndexFunc(b.Bounds, func(bound uint32) bool { return v <= bound })
			if want < 0 {
				want = len(b.Bounds)
			}
			if got := b.find(v); got != want {
				t.Fatalf("%s: %d falls in bucket %d, want %d", b.Name, v, got, want)
			}
		}
		if got := b.find(1<<32 - 1); got != len(b.Bounds) {
			t.Errorf("%s: 2^32-1 falls in bucket %d", b.Name, got)
		}
	}
}

func TestLinear(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	l := layout(t, 5)
	r := report(t, "linear-interpolated-flows-octets-packets", l, Options{})
	b := randomBatch(rng, l, 700)
	for rec := range b.All() { // no flows of weeks
		l.PutUint(rec, flow.Last, l.Uint(rec, flow.First)+rng.Uint64N(400_000))
	}
	// From before 1970 to after: start is far above end, or n would be huge.
	l.PutUint(b.At(3), flow.UnixSecs, 0)
	l.PutUint(b.At(3), flow.SysUptime, 5000)
	l.PutUint(b.At(3), flow.First, 10000)
	l.PutUint(b.At(3), flow.Last, 0)
	// The last second there is.
	l.PutUint(b.At(5), flow.UnixSecs, 1<<32-1)
	l.PutUint(b.At(5), flow.SysUptime, l.Uint(b.At(5), flow.Last))
	r.Add(b)

	type sums struct{ Flows, Octets, Packets float64 }
	want := map[uint64]sums{}
	var order []uint64
	for i := range b.Len() {
		rec := b.At(i)
		if l.Uint(rec, flow.DPkts) == 0 || i == 3 {
			continue
		}
		start, end := flow.Seconds(l.Millis(rec, flow.First)), flow.Seconds(l.Millis(rec, flow.Last))
		n := float64(end - start + 1)
		for s := uint64(start); s <= uint64(end); s++ {
			e, ok := want[s]
			if !ok {
				order = append(order, s)
			}
			want[s] = sums{e.Flows + 1/n, e.Octets + float64(l.Uint(rec, flow.DOctets))/n, e.Packets + float64(l.Uint(rec, flow.DPkts))/n}
		}
	}
	got := map[uint64]sums{}
	var gotOrder []uint64
	for row := range r.Rows(false) {
		gotOrder = append(gotOrder, row.Key(0))
		got[row.Key(0)] = sums{row.Float(Flows), row.Float(Octets), row.Float(Packets)}
	}
	if d := diff(want, got); d != "" {
		t.Error(d)
	}
	if d := diff(order, gotOrder); d != "" {
		t.Error(d)
	}
	r.Sort(Octets)
	last := -1.0
	for row := range r.Rows(false) {
		if row.Float(Octets) < last {
			t.Fatalf("%v after %v", row.Float(Octets), last)
		}
		last = row.Float(Octets)
	}
}

// TestListOrder has more entries than a block of the list.
func TestListOrder(t *testing.T) {
	l := layout(t, 5)
	for _, n := range []int{0, 1, 65535, 65536, 65537, 131072, 200000} {
		r := report(t, "ip-source-address", l, Options{})
		b := flow.NewBatch(l)
		b.Extend(n)
		for i := range n {
			l.PutUint(b.At(i), flow.SrcAddr, uint64(i))
			l.PutUint(b.At(i), flow.DPkts, 1+uint64(i)%3)
		}
		r.Add(b)
		var want []uint64
		for start := (n - 1) / 65536 * 65536; start >= 0; start -= 65536 {
			for i := start; i < min(n, start+65536); i++ {
				want = append(want, uint64(i))
			}
		}
		if n == 0 {
			want = nil
		}
		check := func(what string, backwards bool) {
			t.Helper()
			var got []uint64
			for row := range r.Rows(backwards) {
				got = append(got, row.Key(0))
			}
			if !slices.Equal(want, got) {
				t.Errorf("%d entries, %s: wrong order", n, what)
			}
		}
		check("natural", false)
		slices.SortStableFunc(want, func(a, b uint64) int { return int(a%3) - int(b%3) })
		r.Sort(Packets)
		check("sorted", false)
		slices.Reverse(want)
		check("backwards", true)
	}
}

// TestLimit fills a Linear report with flows of weeks.
func TestLimit(t *testing.T) {
	l := layout(t, 5)
	r := report(t, "linear-interpolated-flows-octets-packets", l, Options{})
	r.limit = 100_000
	b := flow.NewBatch(l)
	b.Extend(3)
	for i := range 3 {
		l.PutUint(b.At(i), flow.DPkts, 1)
		l.PutUint(b.At(i), flow.UnixSecs, uint64(i)*1_000_000)
		l.PutUint(b.At(i), flow.Last, 80_000_000)
	}
	for i := range 2 {
		r.Add(b)
		if n := r.Len(); n != 160_002 || r.Err() == nil {
			t.Errorf("round %d: %d entries, %v", i, n, r.Err())
		}
	}
	r.Reset()
	if r.Err() != nil || r.Len() != 0 {
		t.Error("Reset does not empty a report that is full")
	}
}

// TestJunk counts records of random octets in every type.
func TestJunk(t *testing.T) {
	for _, v := range flow.Versions() {
		l, err := flow.LayoutOf(v)
		if err != nil {
			t.Fatal(err)
		}
		b := flowtest.Random(l, 500, uint64(v.Export)<<8|uint64(v.Agg))
		for _, typ := range Types() {
			o := Options{Rates: true, Source: PrefixLen, Destination: PrefixMask, Scale: 1 << 31, Empty: v.Export == 5}
			if typ.Kind == Linear || l.Missing(typ.Needs(&o)) != 0 {
				continue
			}
			r := report(t, typ.Name, l, o)
			r.Add(b)
			n := 0
			r.Sort(AvgBPS)
			for row := range r.Rows(true) {
				for c := range NumColumns {
					row.Uint(c)
					row.Float(c)
				}
				n++
			}
			if n > 2*b.Len() || len(typ.Keys) > 0 && n == 0 {
				t.Errorf("%s v%v: %d entries", typ.Name, v, n)
			}
		}
	}
}

func TestTypes(t *testing.T) {
	if n := len(Types()); n != 78 {
		t.Errorf("%d types", n)
	}
	// The keys whose headings do not fit.
	titles := map[string]string{}
	names := map[string]bool{}
	for _, typ := range Types() {
		for i := range typ.Keys {
			if c := Key1 + Column(i); typ.Title(c) != typ.Heading(c) {
				titles[typ.Name+" "+c.String()+" "+typ.Heading(c)] = typ.Title(c)
			}
		}
		if names[typ.Name] {
			t.Errorf("%s twice", typ.Name)
		}
		names[typ.Name] = true
		if len(typ.Keys) > 6 {
			t.Errorf("%s: %d keys", typ.Name, len(typ.Keys))
		}
	}
	if d := diff(map[string]string{
		"source/destination-as key2 destination-AS":               "destination-as",
		"ip-destination-address/source-as key1 ip-source-address": "ip-destination-address",
		"ip-destination-address/source-as key2 destination-as":    "source-as",
		"ip-destination-address/destination-as key2 source-as":    "destination-as",
	}, titles); d != "" {
		t.Error(d)
	}
	count := TypeNamed("ip-source-address-destination-count")
	if got := count.Heading(Count) + " " + count.Title(Count) + " " + count.Title(Flows); got != "ip-destination-address-count ip-destination-address-count flows" {
		t.Error(got)
	}
	if TypeNamed("IP-Protocol") != TypeNamed("ip-protocol") || TypeNamed("ip") != nil {
		t.Error("TypeNamed")
	}
}

func TestNeeds(t *testing.T) {
	l, err := flow.LayoutOf(flow.Version{Export: 8, Agg: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		typ  string
		o    Options
		fits bool
	}{
		{"summary-detail", Options{}, true},
		{"ip-source-address", Options{}, true},
		{"ip-source-address", Options{Source: PrefixMask}, true},
		{"ip-source-address", Options{Destination: PrefixMask}, true},
		{"ip-destination-address", Options{}, false},
		{"summary-counters", Options{TagMask: &[2]uint32{1, 1}}, false},
		{"ip-source-address-destination-count", Options{}, false},
	} {
		if _, err := New(TypeNamed(c.typ), l, c.o); (err == nil) != c.fits {
			t.Errorf("%s %+v: %v", c.typ, c.o, err)
		}
	}
}

func TestAddAllocates(t *testing.T) {
	batches := stream(3000, 500)
	for _, typ := range Types() {
		o := Options{Rates: true}
		if batches[0].Layout.Missing(typ.Needs(&o)) != 0 {
			continue
		}
		r := report(t, typ.Name, batches[0].Layout, o)
		run := func() {
			r.Reset()
			for _, b := range batches {
				r.Add(b)
			}
		}
		run()
		if n := testing.AllocsPerRun(3, run); n != 0 {
			t.Errorf("%s: %v allocations", typ.Name, n)
		}
	}
}
