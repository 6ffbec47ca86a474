package flow_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

func layouts(t testing.TB) []*flow.Layout {
	var ls []*flow.Layout
	for _, v := range flow.Versions() {
		l, err := flow.LayoutOf(v)
		if err != nil {
			t.Fatal(err)
		}
		ls = append(ls, l)
	}
	return ls
}

// The sizes and masks are those of stream-format.md section 5 and
// export-import.md "Full masks".
func TestLayouts(t *testing.T) {
	want := map[string]struct {
		size int
		mask uint64
	}{
		"1": {60, 0xFF31EF}, "5": {64, 0xFFF37EF}, "6": {72, 0x7FFF37EF}, "7": {68, 0x8FFF37EF}, "1005": {72, 0xC0FFF37EF},
		"8.1": {48, 0xC0607FF}, "8.2": {48, 0x3807FF}, "8.3": {48, 0x50217FF}, "8.4": {48, 0xA0427FF}, "8.5": {56, 0xF0637FF},
		"8.6": {52, 0x3804427EF}, "8.7": {56, 0x3804637EF}, "8.8": {64, 0x3807E37EF}, "8.9": {48, 0xC4607FF}, "8.10": {48, 0x7807FF},
		"8.11": {48, 0x54217FF}, "8.12": {48, 0xA4427FF}, "8.13": {60, 0xF4637FF}, "8.14": {60, 0x37E37FF},
	}
	if len(want) != len(flow.Versions()) {
		t.Fatalf("%d versions", len(flow.Versions()))
	}
	for _, l := range layouts(t) {
		w := want[l.Version.String()]
		if l.Size != w.size || uint64(l.Fields) != w.mask {
			t.Errorf("%v: size %d fields %#x, want %d %#x", l.Version, l.Size, uint64(l.Fields), w.size, w.mask)
		}
	}
	for _, v := range []flow.Version{{Export: 8}, {Export: 8, Agg: 15}, {Export: 2}, {}} {
		if _, err := flow.LayoutOf(v); err == nil || !strings.HasPrefix(err.Error(), "Unsupported") {
			t.Errorf("%v: error %v", v, err)
		}
	}
}

func TestOffsets(t *testing.T) {
	for _, tc := range []struct {
		export     uint16
		agg        uint8
		f          flow.Field
		off, width int
	}{
		{5, 0, flow.SrcAS, 60, 2}, {5, 0, flow.TCPFlags, 54, 1}, {7, 0, flow.RouterSC, 64, 4}, {6, 0, flow.PeerNextHop, 68, 4},
		{1005, 0, flow.DstTag, 68, 4}, {8, 3, flow.ExAddr, 8, 4}, {8, 3, flow.SysUptime, 12, 4}, {8, 6, flow.DPkts, 16, 4},
		{8, 8, flow.Prot, 60, 1}, {8, 12, flow.DstAS, 42, 2}, {8, 10, flow.Prot, 46, 1}, {8, 10, flow.Input, 0, 0}, {8, 14, flow.Prot, 57, 1},
	} {
		off, width := flowtest.Layout(tc.export, tc.agg).Offset(tc.f)
		if off != tc.off || width != tc.width {
			t.Errorf("%d.%d %v at %d width %d, want %d %d", tc.export, tc.agg, tc.f, off, width, tc.off, tc.width)
		}
	}
}

// Uint and PutUint agree with a plain decoding at the field's offset, and a
// store changes no other octet.
func TestUintPut(t *testing.T) {
	for _, l := range layouts(t) {
		b := flowtest.Random(l, 20, 1)
		for r := range b.All() {
			for f := range flow.AllFields() {
				off, width := l.Offset(f)
				var plain uint64
				for i := width - 1; i >= 0; i-- {
					plain = plain<<8 | uint64(r[off+i])
				}
				if got := l.Uint(r, f); got != plain {
					t.Fatalf("%v %v: %d, want %d", l.Version, f, got, plain)
				}
				want := append([]byte(nil), r...)
				for i := range width {
					want[off+i] = ^want[off+i]
				}
				l.PutUint(r, f, ^plain)
				if diff := cmp.Diff(want, []byte(r)); diff != "" {
					t.Fatalf("%v %v: store changed more: %s", l.Version, f, diff)
				}
			}
		}
	}
}

// A plan moves what a naive loop over the fields moves, for every pair of layouts.
func TestPlan(t *testing.T) {
	for _, src := range layouts(t) {
		for _, dst := range layouts(t) {
			for _, except := range []flow.FieldSet{0, flow.Fields(flow.Output, flow.First)} {
				p := flow.NewPlan(dst, src, except)
				in := flowtest.Random(src, 7, 2)
				base := flowtest.Random(dst, 1, 3).At(0)
				out := make([]byte, 7*dst.Size)
				p.Run(out, in.Bytes(), 7, base)
				for i := range 7 {
					want := append(flow.Record(nil), base...)
					for f := range (src.Fields & dst.Fields &^ except).All() {
						dst.PutUint(want, f, src.Uint(in.At(i), f))
					}
					if diff := cmp.Diff([]byte(want), out[i*dst.Size:(i+1)*dst.Size]); diff != "" {
						t.Fatalf("%v to %v record %d: %s", src.Version, dst.Version, i, diff)
					}
				}
			}
		}
	}
}

// Plans between layouts of different order and width: the wire's.
func TestPlanOrders(t *testing.T) {
	const line = "srcaddr dstaddr nexthop input output dpkts srcport dstport prot -1 tos src_as dst_as src_mask dst_mask"
	wire := flow.MustLayout(flow.Version{Export: 5}, flow.BigEndian, line)
	rec := flowtest.Layout(5, 0)
	in := flowtest.Random(rec, 50, 4)
	pdu := make([]byte, 50*wire.Size)
	flow.NewPlan(wire, rec, 0).Run(pdu, in.Bytes(), 50, nil)
	if got, want := binary.BigEndian.Uint32(pdu[wire.Size+4:]), uint32(rec.Uint(in.At(1), flow.DstAddr)); got != want {
		t.Errorf("dstaddr on the wire %#x, want %#x", got, want)
	}
	back := make([]byte, 50*rec.Size)
	flow.NewPlan(rec, wire, 0).Run(back, pdu, 50, nil)
	for i := range 50 {
		for f := range wire.Fields.All() {
			if got, want := rec.Uint(back[i*rec.Size:], f), rec.Uint(in.At(i), f); got != want {
				t.Fatalf("record %d %v: %d, want %d", i, f, got, want)
			}
		}
	}
}

// Swapping is the naive reversal of every multi-octet field, but for the
// exceptions of stream-format.md section 5.
func TestSwapOrder(t *testing.T) {
	for _, l := range layouts(t) {
		in := flowtest.Random(l, 9, 5)
		orig := append([]byte(nil), in.Bytes()...)
		l.SwapOrder(in.Bytes())
		exempt := flow.FieldSet(0)
		switch l.Version.String() {
		case "8.12":
			exempt = flow.Fields(flow.DstAS)
		case "1005":
			exempt = flow.Fields(flow.ExAddr, flow.SrcTag, flow.DstTag)
		}
		for i, r := 0, in.At(0); i < 9; i++ {
			r = in.At(i)
			o := orig[i*l.Size:]
			for f := range l.Fields.All() {
				off, width := l.Offset(f)
				for k := range width {
					from := off + width - 1 - k
					if exempt.Has(f) {
						from = off + k
					}
					want := o[from]
					if exempt.Has(f) && f != flow.DstAS && f != flow.ExAddr { // tags
						want = [4]byte{o[off+1], o[off], 0, 0}[k]
					}
					if r[off+k] != want {
						t.Fatalf("%v %v octet %d: %#x, want %#x", l.Version, f, k, r[off+k], want)
					}
				}
			}
		}
		l.SwapOrder(in.Bytes())
		if l.Version.Export != 1005 && !cmp.Equal(orig, in.Bytes()) {
			t.Errorf("%v: swapping twice changes records", l.Version)
		}
	}
}

func TestKeep(t *testing.T) {
	l := flowtest.Layout(5, 0)
	for n := range 40 {
		for _, mod := range []uint64{1, 2, 3, 7} {
			b := flowtest.Random(l, n, uint64(n))
			pass := func(r flow.Record) bool { return l.Uint(r, flow.SrcPort)%mod == 0 }
			var want []byte
			for r := range b.All() {
				if pass(r) {
					want = append(want, r...)
				}
			}
			b.Keep(pass)
			if string(b.Bytes()) != string(want) {
				t.Fatalf("n %d mod %d: kept %d records, want %d", n, mod, b.Len(), len(want)/l.Size)
			}
		}
	}
}

func TestParseFields(t *testing.T) {
	for _, tc := range []struct{ list, want, err string }{
		{"UNIX_SECS,dstport", "unix_secs,dstport", ""},
		{"srcaddr", "srcaddr", ""},
		{"srcaddr,exaddr", "", "Out of order field: exaddr"},
		{"srcaddr,SRCADDR", "", "Duplicate field: SRCADDR"},
		{"srcaddr,", "", "Unrecognized field: "},
		{"src_prefix", "", "Unrecognized field: src_prefix"},
	} {
		got, err := flow.ParseFields(tc.list)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != tc.err || got.String() != tc.want {
			t.Errorf("%q: %q error %q", tc.list, got, text)
		}
	}
}

// Worked examples of stream-format.md section 10.
func TestMillis(t *testing.T) {
	l := flowtest.Layout(5, 0)
	for _, tc := range []struct{ secs, nsecs, uptime, first, want uint64 }{
		{1700000001, 0, 1000, 4294960000, 1700000001000 - 1000 + 4294960000},
		{0, 0, 5000, 0, 18446744073709546616},
		{10, 4294967295, 0, 0, 14294},
	} {
		r := make(flow.Record, l.Size)
		for f, v := range map[flow.Field]uint64{flow.UnixSecs: tc.secs, flow.UnixNsecs: tc.nsecs, flow.SysUptime: tc.uptime, flow.First: tc.first} {
			l.PutUint(r, f, v)
		}
		if got := l.Millis(r, flow.First); got != tc.want {
			t.Errorf("%+v: %d", tc, got)
		}
	}
	if got := flow.Seconds(18446744073709546616); got != 1271310314 {
		t.Errorf("seconds %d", got)
	}
}

func TestNetmask(t *testing.T) {
	for length, want := range map[uint8]uint32{0: 0xffffffff, 1: 0x80000000, 8: 0xff000000, 24: 0xffffff00, 32: 0xffffffff, 33: 0xffffffff, 255: 0xffffffff} {
		if got := flow.Netmask(length); got != want {
			t.Errorf("%d: %#x", length, got)
		}
	}
}

// The hot paths do not allocate.
func TestNoAllocations(t *testing.T) {
	rec, v7 := flowtest.Layout(5, 0), flowtest.Layout(7, 0)
	in := flowtest.Traffic(rec, 1000, 1)
	all := in.Bytes()
	out := make([]byte, 1000*v7.Size)
	base := make(flow.Record, v7.Size)
	plan := flow.NewPlan(v7, rec, 0)
	tcp := func(r flow.Record) bool { return rec.Uint(r, flow.Prot) == 6 }
	full := flow.NewBatch(rec)
	var sum uint64
	for name, run := range map[string]func(){
		"Plan.Run":         func() { plan.Run(out, all, 1000, nil) },
		"Plan.Run, base":   func() { plan.Run(out, all, 1000, base) },
		"Layout.SwapOrder": func() { rec.SwapOrder(all) },
		"Batch.Keep":       func() { in.SetBytes(all); in.Keep(tcp) },
		"Batch.All": func() {
			for r := range in.All() {
				sum += rec.Uint(r, flow.DPkts) + rec.Millis(r, flow.First) + rec.Flows(r)
				rec.PutUint(r, flow.DPkts, sum)
			}
		},
		"Batch.Append, Extend": func() { full.Reset(); full.Append(in.At(0)); full.Extend(100); full.Truncate(50) },
		"LayoutOf":             func() { _, _ = flow.LayoutOf(flow.Version{Export: 8, Agg: 14}) },
	} {
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkPlan(b *testing.B) {
	rec, v7 := flowtest.Layout(5, 0), flowtest.Layout(7, 0)
	in := flowtest.Traffic(rec, 1000, 1)
	out := make([]byte, 1000*v7.Size)
	p := flow.NewPlan(v7, rec, 0)
	b.ReportAllocs()
	for b.Loop() {
		p.Run(out, in.Bytes(), 1000, nil)
	}
	perRecord(b, 1000)
}

func BenchmarkSwapOrder(b *testing.B) {
	rec := flowtest.Layout(5, 0)
	in := flowtest.Traffic(rec, 1000, 1)
	b.ReportAllocs()
	for b.Loop() {
		rec.SwapOrder(in.Bytes())
	}
	perRecord(b, 1000)
}

func BenchmarkUint(b *testing.B) {
	rec := flowtest.Layout(5, 0)
	in := flowtest.Traffic(rec, 1000, 1)
	var sum uint64
	b.ReportAllocs()
	for b.Loop() {
		for r := range in.All() {
			if rec.Uint(r, flow.DstPort) == 53 && rec.Uint(r, flow.Prot) == 17 {
				sum++
			}
		}
	}
	perRecord(b, 1000)
	_ = sum
}

func BenchmarkKeep(b *testing.B) {
	rec := flowtest.Layout(5, 0)
	in := flowtest.Traffic(rec, 1000, 1)
	orig := in.Bytes()
	keep := func(r flow.Record) bool { return rec.Uint(r, flow.Prot) == 6 }
	b.ReportAllocs()
	for b.Loop() {
		in.SetBytes(orig)
		in.Keep(keep)
	}
	perRecord(b, 1000)
}

func perRecord(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
}

func ExampleLayout_Uint() {
	l, _ := flow.LayoutOf(flow.Version{Export: 5})
	b := flow.NewBatch(l)
	clear(b.Extend(1))
	l.PutUint(b.At(0), flow.SrcAddr, 0x0a000001)
	fmt.Println(l.Addr(b.At(0), flow.SrcAddr), l.Uint(b.At(0), flow.SrcTag))
	// Output: 10.0.0.1 0
}
