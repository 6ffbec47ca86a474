package netflow

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/pkg/flow"
)

func wireVersions() []flow.Version {
	var vs []flow.Version
	for _, l := range pduLines {
		vs = append(vs, l.Version)
	}
	return vs
}

// randomPDU returns a valid datagram with random octets, padding included.
func randomPDU(rnd *rand.Rand, v flow.Version, n int) []byte {
	h := Header{Version: v, Count: n, SysUptime: rnd.Uint32(), UnixSecs: rnd.Uint32(), UnixNsecs: rnd.Uint32()}
	if v.Export > 1 {
		h.Sequence, h.EngineType, h.EngineID = rnd.Uint32(), uint8(rnd.Uint32()), uint8(rnd.Uint32())
	}
	if v.Export == 5 {
		h.Sampling = uint16(rnd.Uint32())
	}
	b := make([]byte, h.Length())
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	h.Put(b)
	return b
}

func randomBatch(rnd *rand.Rand, l *flow.Layout, n int) *flow.Batch {
	b := flow.NewBatch(l)
	for i, octets := 0, b.Extend(n); i < len(octets); i++ {
		octets[i] = byte(rnd.Uint32())
	}
	return b
}

func newDecoder(t testing.TB, v flow.Version, m Mode) *Decoder {
	t.Helper()
	d, err := NewDecoder(v, m)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func parse(t testing.TB, datagram []byte) Header {
	t.Helper()
	h, err := Parse(datagram)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return h
}

// TestSizes checks the table of netflow-wire.md section 2.
func TestSizes(t *testing.T) {
	want := map[string][2]int{
		"1": {24, 1168}, "5": {30, 1464}, "6": {27, 1428}, "7": {27, 1428},
		"8.1": {51, 1456}, "8.2": {51, 1456}, "8.3": {44, 1436}, "8.4": {44, 1436}, "8.5": {35, 1428},
		"8.6": {44, 1436}, "8.7": {35, 1428}, "8.8": {32, 1436}, "8.9": {44, 1436}, "8.10": {44, 1436},
		"8.11": {44, 1436}, "8.12": {44, 1436}, "8.13": {35, 1428}, "8.14": {35, 1428},
	}
	got := map[string][2]int{}
	for i, v := range wireVersions() {
		_, most, err := WireLayout(v)
		if err != nil {
			t.Error(err)
		}
		h := Header{Version: v, Count: most}
		got[v.String()] = [2]int{most, h.Length()}
		if kindOf(v) != i {
			t.Errorf("kindOf(%v) = %d, want %d", v, kindOf(v), i)
		}
		if h.Length() > MaxPDU || most > MaxRecords {
			t.Errorf("%v: %d records in %d octets pass the maximum", v, most, h.Length())
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestFieldsComplete checks that a PDU has every field that its record offers
// but for those that come from the header.
func TestFieldsComplete(t *testing.T) {
	head := flow.TimeFields | flow.Fields(flow.ExAddr, flow.EngineType, flow.EngineID)
	for _, v := range wireVersions() {
		l, err := flow.LayoutOf(v)
		if err != nil {
			t.Fatal(err)
		}
		wire, _, _ := WireLayout(v)
		if missing := l.Fields &^ head &^ wire.Fields; missing != 0 {
			t.Errorf("%v: not in the PDU: %v", v, missing)
		}
	}
}

func TestParse(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	v := func(e uint16, a uint8) flow.Version { return flow.Version{Export: e, Agg: a} }
	pdu := func(v flow.Version, n int) []byte { return randomPDU(rnd, v, n) }
	set := func(b []byte, at int, octets ...byte) []byte { copy(b[at:], octets); return b }
	for _, tc := range []struct {
		name string
		data []byte
		want error
	}{
		{"empty", nil, TooShort},
		{"three octets", []byte{0, 5, 0}, TooShort},
		{"version only", []byte{0, 5, 0, 1}, WrongLength},
		{"version 9", set(pdu(v(5, 0), 1), 0, 0, 9), UnknownVersion},
		{"version 1005", set(pdu(v(5, 0), 1), 0, 3, 237), UnknownVersion},
		{"no records", pdu(v(5, 0), 0), nil},
		{"no records v1", pdu(v(1, 0), 0), nil},
		{"full v5", pdu(v(5, 0), 30), nil},
		{"one short", pdu(v(5, 0), 2)[:119], WrongLength},
		{"one long", append(pdu(v(5, 0), 2), 0), WrongLength},
		{"count past maximum", append(set(pdu(v(5, 0), 30), 2, 0, 31), make([]byte, 48)...), TooManyRecords},
		{"count 65535", set(pdu(v(1, 0), 1), 2, 255, 255), TooManyRecords},
		{"v8 below 24", pdu(v(8, 1), 0)[:23], TooShort},
		{"v8 of 24", pdu(v(8, 1), 0)[:24], WrongLength},
		{"v8 method 0", set(pdu(v(8, 1), 1), 22, 0), BadAggMethod},
		{"v8 method 15", set(pdu(v(8, 1), 1), 22, 15), BadAggMethod},
		{"v8 agg version 1", set(pdu(v(8, 1), 1), 23, 1), BadAggVersion},
		{"v8 agg version 0", set(pdu(v(8, 1), 1), 23, 0), nil},
		{"8.6 padded", append(pdu(v(8, 6), 2), 1, 2, 3), nil},
		{"8.7 padded", append(pdu(v(8, 7), 2), 1), nil},
		{"8.8 padded past the end", append(pdu(v(8, 8), 2), make([]byte, 3000)...), nil},
		{"8.8 cut", pdu(v(8, 8), 2)[:115], WrongLength},
		{"8.9 padded", append(pdu(v(8, 9), 1), 0, 0, 0, 0), WrongLength},
		{"v5 far too long", append(pdu(v(5, 0), 30), make([]byte, 600)...), WrongLength},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(tc.data)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, v := range wireVersions() {
		b := randomPDU(rnd, v, 3)
		h := parse(t, b)
		got := make([]byte, h.Size())
		h.Put(got)
		want := append([]byte(nil), b[:h.Size()]...)
		if v.Export == 6 || v.Export == 7 {
			h.Sampling = 0 // reserved octets; carried, but nobody looks
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v: %s", v, d)
		}
	}
}

// TestDecode pins one PDU of each header shape against values worked out by hand.
func TestDecode(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	base := "0a010203 0a040506 0a070809 0011 0012 00000013 00000014 00000015 00000016 0017 0018"
	for _, tc := range []struct {
		name string
		data string
		want string // FIELD=VALUE of everything that is not 0, in bit order
	}{
		{"v1", "0001 0001 00000001 00000002 00000003" + base + "9999 06 07 1b 99999999999999",
			"unix_secs=2 unix_nsecs=3 sysuptime=1 exaddr=9 dpkts=19 doctets=20 first=21 last=22 srcaddr=167838211 dstaddr=168035590 nexthop=168232969 input=17 output=18 srcport=23 dstport=24 prot=6 tos=7 tcp_flags=27"},
		{"v5", "0005 0001 00000001 00000002 00000003 00000004 05 06 4001" + base + "99 1b 06 07 0008 0009 0a 0b 9999",
			"unix_secs=2 unix_nsecs=3 sysuptime=1 exaddr=9 dpkts=19 doctets=20 first=21 last=22 engine_type=5 engine_id=6 srcaddr=167838211 dstaddr=168035590 nexthop=168232969 input=17 output=18 srcport=23 dstport=24 prot=6 tos=7 tcp_flags=27 src_mask=10 dst_mask=11 src_as=8 dst_as=9"},
		{"v6", "0006 0001 00000001 00000002 00000003 00000004 05 06 0000" + base + "99 1b 06 07 0008 0009 0a 0b 0c 0d 0000000e",
			"unix_secs=2 unix_nsecs=3 sysuptime=1 exaddr=9 dpkts=19 doctets=20 first=21 last=22 engine_type=6 srcaddr=167838211 dstaddr=168035590 nexthop=168232969 input=17 output=18 srcport=23 dstport=24 prot=6 tos=7 tcp_flags=27 src_mask=10 dst_mask=11 src_as=8 dst_as=9"},
		{"8.10", "0008 0001 00000001 00000002 00000003 00000004 05 06 0a 02 00000000" +
			"00000007 00000013 00000014 00000015 00000016 06 07 9999 0017 0018 0011 0012",
			"unix_secs=2 unix_nsecs=3 sysuptime=1 exaddr=9 dflows=7 dpkts=19 doctets=20 first=21 last=22 engine_type=6 srcport=23 dstport=24 prot=6 tos=7"},
		{"8.3", "0008 0001 00000001 00000002 00000003 00000004 05 06 03 02 00000000" +
			"00000007 00000013 00000014 00000015 00000016 0a010200 18 99 0008 0011 9999",
			"unix_secs=2 unix_nsecs=3 sysuptime=1 exaddr=9 dflows=7 dpkts=19 doctets=20 first=21 last=22 engine_type=6 srcaddr=167838208 input=17 src_mask=24 src_as=8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			data := unhex(tc.data)
			h := parse(t, data)
			d := newDecoder(t, h.Version, Compat)
			b := flow.NewBatch(d.Layout())
			if err := d.Decode(b, &h, data, 9); err != nil {
				t.Fatal(err)
			}
			if b.Len() != 1 {
				t.Fatalf("%d records", b.Len())
			}
			if got := values(b, 0); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func values(b *flow.Batch, i int) string {
	var s []string
	for f := range b.Layout.Fields.All() {
		if v := b.Layout.Uint(b.At(i), f); v != 0 {
			s = append(s, fmt.Sprintf("%v=%d", f, v))
		}
	}
	return strings.Join(s, " ")
}

// TestRoundTrip encodes random records and decodes the PDUs: every field comes
// back but for those that are known not to.
func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	encaps := flow.Fields(flow.InEncaps, flow.OutEncaps, flow.PeerNextHop)
	for _, mode := range []Mode{Compat, Exact} {
		for _, v := range wireVersions() {
			t.Run(fmt.Sprintf("%v/%v", v, mode), func(t *testing.T) {
				d := newDecoder(t, v, mode)
				in := randomBatch(rnd, d.Layout(), 300)
				l := in.Layout
				sticky := flow.TimeFields | flow.Fields(flow.EngineType, flow.EngineID, flow.ExAddr)
				for i := 1; i < in.Len(); i++ { // runs of equal headers
					if rnd.IntN(20) == 0 {
						continue
					}
					for f := range sticky.All() {
						l.PutUint(in.At(i), f, l.Uint(in.At(i-1), f))
					}
				}
				out := flow.NewBatch(l)
				next := map[[2]uint8]uint32{}
				e, err := NewEncoder(v, mode, func(pdu []byte) error {
					h := parse(t, pdu)
					if engine := [2]uint8{h.EngineType, h.EngineID}; v.Export != 1 {
						if h.Sequence != next[engine] {
							t.Errorf("sequence %d, want %d", h.Sequence, next[engine])
						}
						next[engine] += uint32(h.Count)
					}
					// The exporter is not part of a PDU.
					return d.Decode(out, &h, pdu, uint32(l.Uint(in.At(out.Len()), flow.ExAddr)))
				})
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < in.Len(); { // in pieces
					n := min(1+rnd.IntN(40), in.Len()-i)
					piece := &flow.Batch{Layout: l}
					piece.SetBytes(in.Bytes()[i*l.Size : (i+n)*l.Size])
					if err := e.Write(piece); err != nil {
						t.Fatal(err)
					}
					i += n
				}
				if err := e.Flush(); err != nil {
					t.Fatal(err)
				}
				if out.Len() != in.Len() {
					t.Fatalf("%d records, want %d", out.Len(), in.Len())
				}
				for i := range in.Len() {
					got, want := out.At(i), in.At(i)
					for f := range l.Fields.All() {
						x := l.Uint(want, f)
						switch {
						case encaps.Has(f):
							x = 0
						case mode == Compat && v.Export > 5 && f == flow.EngineType:
							x = l.Uint(want, flow.EngineID)
						case mode == Compat && v.Export > 5 && f == flow.EngineID:
							x = 0
						case mode == Compat && v == flow.Version{Export: 8, Agg: 8} && f == flow.Prot:
							x = 0
						}
						if g := l.Uint(got, f); g != x {
							t.Fatalf("record %d: %v = %d, want %d", i, f, g, x)
						}
					}
				}
			})
		}
	}
}

// TestEncodeBoundaries checks where one PDU ends and the next begins.
func TestEncodeBoundaries(t *testing.T) {
	l, _ := flow.LayoutOf(flow.Version{Export: 5})
	record := func(f flow.Field, v uint64) flow.Record {
		r := make(flow.Record, l.Size)
		l.PutUint(r, f, v)
		return r
	}
	type pdu struct {
		Engine   string
		Sequence uint32
		Count    int
	}
	for _, tc := range []struct {
		version uint16
		name    string
		records []flow.Record
		want    []pdu
		pending int // before Flush
	}{
		{5, "none", nil, nil, 0},
		{5, "exaddr does not count", []flow.Record{record(flow.ExAddr, 1), record(flow.ExAddr, 2)}, []pdu{{"0/0", 0, 2}}, 2},
		{5, "times", []flow.Record{record(flow.UnixSecs, 1), record(flow.UnixSecs, 2), record(flow.UnixNsecs, 2), record(flow.SysUptime, 2)},
			[]pdu{{"0/0", 0, 1}, {"0/0", 1, 1}, {"0/0", 2, 1}, {"0/0", 3, 1}}, 1},
		{5, "engines", []flow.Record{record(flow.EngineID, 1), record(flow.EngineID, 1), record(flow.EngineType, 1), record(flow.EngineID, 1)},
			[]pdu{{"0/1", 0, 2}, {"1/0", 0, 1}, {"0/1", 2, 1}}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []pdu
			e, err := NewEncoder(flow.Version{Export: tc.version}, Compat, func(b []byte) error {
				h := parse(t, b)
				got = append(got, pdu{fmt.Sprintf("%d/%d", h.EngineType, h.EngineID), h.Sequence, h.Count})
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			b := flow.NewBatch(l)
			for _, r := range tc.records {
				b.Append(r)
			}
			if err := e.Write(b); err != nil {
				t.Fatal(err)
			}
			if e.Pending() != tc.pending {
				t.Errorf("%d pending, want %d", e.Pending(), tc.pending)
			}
			if err := e.Flush(); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEncodeFull(t *testing.T) {
	for _, v := range wireVersions() {
		sent := 0
		e, err := NewEncoder(v, Exact, func([]byte) error { sent++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		e.SetSequence(0, 0, 1<<32-1)
		b := flow.NewBatch(e.Layout())
		clear(b.Extend(e.MaxRecords()))
		if err := e.Write(b); err != nil {
			t.Fatal(err)
		}
		if sent != 1 || e.Pending() != 0 || e.Sent() != e.MaxRecords() {
			t.Errorf("%v: full PDU: sent %d, pending %d, last %d", v, sent, e.Pending(), e.Sent())
		}
	}
	if _, err := NewEncoder(flow.Version{Export: 1005}, Compat, nil); err == nil {
		t.Error("version 1005 was accepted")
	}
}

// TestTranslation compares decoding into another version with decoding and then
// translating the records, and both with the table of netflow-wire.md section 5.
func TestTranslation(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	ip := []uint16{1, 5, 6, 7, 1005}
	for _, mode := range []Mode{Compat, Exact} {
		for _, from := range ip {
			for _, to := range ip {
				dst, src := flow.Version{Export: to}, flow.Version{Export: from}
				ok := from != 1005 || to == 5 || to == 1005
				plan, err := Translate(dst, src, mode)
				if (err == nil) != ok {
					t.Errorf("%d -> %d: %v", from, to, err)
				}
				if !ok || from == 1005 {
					continue
				}
				data := randomPDU(rnd, src, 20)
				h := parse(t, data)
				own, other := newDecoder(t, src, mode), newDecoder(t, dst, mode)
				a, b := flow.NewBatch(own.Layout()), flow.NewBatch(other.Layout())
				if err := errors.Join(own.Decode(a, &h, data, 7), other.Decode(b, &h, data, 7)); err != nil {
					t.Fatal(err)
				}
				c := flow.NewBatch(other.Layout())
				plan.Run(c.Extend(20), a.Bytes(), 20, nil)
				if d := cmp.Diff(c.Bytes(), b.Bytes()); d != "" {
					t.Errorf("%d -> %d: %s", from, to, d)
				}
				lost := mode == Compat && from == 1 && to != 1 && to != 1005
				for i := range 20 {
					for f := range (a.Layout.Fields & b.Layout.Fields).All() {
						want := a.Layout.Uint(a.At(i), f)
						if lost && f == flow.Output {
							want = 0
						}
						if got := b.Layout.Uint(b.At(i), f); got != want {
							t.Fatalf("%d -> %d: %v = %d, want %d", from, to, f, got, want)
						}
					}
				}
			}
		}
	}
	for _, tc := range []struct {
		out, in flow.Version
		want    error
	}{
		{flow.Version{Export: 5}, flow.Version{Export: 8, Agg: 1}, NoTranslation},
		{flow.Version{Export: 8, Agg: 1}, flow.Version{Export: 5}, NoTranslation},
		{flow.Version{Export: 8, Agg: 1}, flow.Version{Export: 8, Agg: 2}, OtherMethod},
		{flow.Version{Export: 8, Agg: 2}, flow.Version{Export: 8, Agg: 2}, nil},
		{flow.Version{Export: 1005}, flow.Version{Export: 1}, nil},
		{flow.Version{Export: 5}, flow.Version{Export: 9}, NoTranslation},
	} {
		d := newDecoder(t, tc.out, Compat)
		if err := d.Accepts(tc.in); !errors.Is(err, tc.want) {
			t.Errorf("%v into %v: %v, want %v", tc.in, tc.out, err, tc.want)
		}
	}
	for _, v := range []flow.Version{{Export: 9}, {Export: 8}, {Export: 8, Agg: 15}, {}} {
		if _, err := NewDecoder(v, Compat); err == nil {
			t.Errorf("decoder into %v", v)
		}
	}
}

// FuzzDecode feeds any bytes to the whole codec: no panic, and what is accepted
// survives encoding and decoding again unchanged.
func FuzzDecode(f *testing.F) {
	rnd := rand.New(rand.NewPCG(9, 10))
	for _, v := range wireVersions() {
		f.Add(randomPDU(rnd, v, 2), uint8(0))
		f.Add(randomPDU(rnd, v, 0), uint8(7))
	}
	f.Add([]byte{0, 5, 255, 255}, uint8(1))
	versions := flow.Versions()
	f.Fuzz(func(t *testing.T, data []byte, out uint8) {
		h, err := Parse(data)
		if err != nil {
			var r Reason
			if !errors.As(err, &r) || r > WrongLength || r.Error() == "" || r.Label() == "" {
				t.Fatalf("unexpected error %v", err)
			}
			return
		}
		if h.Length() > len(data) {
			t.Fatal("accepted a datagram that is too short")
		}
		to := versions[int(out)%len(versions)]
		if d, b := newDecoder(t, to, Compat), (*flow.Batch)(nil); d.Accepts(h.Version) == nil {
			b = flow.NewBatch(d.Layout())
			if err := d.Decode(b, &h, data, 1); err != nil || b.Len() != h.Count {
				t.Fatalf("decode into %v: %d of %d records, %v", to, b.Len(), h.Count, err)
			}
		}
		d := newDecoder(t, h.Version, Exact)
		first := flow.NewBatch(d.Layout())
		if err := d.Decode(first, &h, data, 1); err != nil {
			t.Fatal(err)
		}
		again := flow.NewBatch(d.Layout())
		e, err := NewEncoder(h.Version, Exact, func(pdu []byte) error {
			g := parse(t, pdu)
			g.Sampling = h.Sampling
			if d := cmp.Diff(h, g); d != "" {
				t.Error(d)
			}
			return d.Decode(again, &g, pdu, 1)
		})
		if err != nil {
			t.Fatal(err)
		}
		e.SetSequence(h.EngineType, h.EngineID, h.Sequence)
		if err := errors.Join(e.Write(first), e.Flush()); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(first.Bytes(), again.Bytes()); d != "" {
			t.Error(d)
		}
	})
}

func TestAllocs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	for _, v := range wireVersions() {
		_, most, _ := WireLayout(v)
		data := randomPDU(rnd, v, most)
		bad := append(append([]byte(nil), data...), 0)
		binary.BigEndian.PutUint16(bad[2:], 1000)
		d := newDecoder(t, v, Compat)
		b := flow.NewBatch(d.Layout())
		tr := NewTracker(100)
		key := NewKey(netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), v.Export, 9991)
		e, err := NewEncoder(v, Compat, func([]byte) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		run := func() {
			if _, err := Parse(bad); err == nil {
				t.Fatal("accepted")
			}
			h := parse(t, data)
			tr.Track(key, &h)
			b.Reset()
			if err := errors.Join(d.Decode(b, &h, data, 1), e.Write(b)); err != nil {
				t.Fatal(err)
			}
		}
		run()
		if n := testing.AllocsPerRun(100, run); n != 0 {
			t.Errorf("%v: %v allocations a datagram", v, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	rnd := rand.New(rand.NewPCG(13, 14))
	for _, v := range []flow.Version{{Export: 1}, {Export: 5}, {Export: 7}, {Export: 8, Agg: 1}, {Export: 8, Agg: 14}} {
		b.Run("v"+v.String(), func(b *testing.B) {
			_, most, _ := WireLayout(v)
			data := randomPDU(rnd, v, most)
			d := newDecoder(b, v, Compat)
			out := flow.NewBatch(d.Layout())
			b.ReportAllocs()
			for b.Loop() {
				h, err := Parse(data)
				if err != nil {
					b.Fatal(err)
				}
				out.Reset()
				if err := d.Decode(out, &h, data, 1); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*most), "ns/record")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, v := range []flow.Version{{Export: 1}, {Export: 5}, {Export: 8, Agg: 1}} {
		b.Run("v"+v.String(), func(b *testing.B) {
			e, err := NewEncoder(v, Compat, func([]byte) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
			in := flow.NewBatch(e.Layout())
			clear(in.Extend(1000))
			b.ReportAllocs()
			for b.Loop() {
				if err := e.Write(in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/record")
		})
	}
}
