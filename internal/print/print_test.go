package print

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cdate"
	"flowtools/pkg/flow"
)

// model writes records with package fmt, straight from the specification.
type model struct {
	l     *flow.Layout
	r     flow.Record
	wide  bool
	names map[string]Names
	loc   *time.Location
}

func (m *model) u(f flow.Field) uint64 { return m.l.Uint(m.r, f) }

func (m *model) ip(f flow.Field) string { return m.l.Addr(m.r, f).String() }

func (m *model) pfx(addr, mask flow.Field) string {
	octets := strings.Split(m.ip(addr), ".")
	for len(octets) > 1 && octets[len(octets)-1] == "0" {
		octets = octets[:len(octets)-1]
	}
	n := m.u(mask)
	if n > 32 {
		n = 0
	}
	return fmt.Sprintf("%s/%d", strings.Join(octets, "."), n)
}

func (m *model) name(f flow.Field, cut int) string {
	if t := m.names[f.Info().Sym]; t != nil {
		if s, ok := t.Name(uint32(m.u(f))); ok {
			return s[:min(len(s), cut)]
		}
	}
	if f == flow.SrcTag || f == flow.DstTag {
		return fmt.Sprintf("0x%08x", m.u(f))
	}
	return strconv.FormatUint(m.u(f), 10)
}

func (m *model) num(f flow.Field) string { return strconv.FormatUint(m.u(f), 10) }

func (m *model) time(f flow.Field, format string) string {
	ms := m.u(flow.UnixSecs)*1000 + m.u(flow.UnixNsecs)/1000000 - m.u(flow.SysUptime) + m.u(f)
	sec := uint32(ms / 1000)
	return time.Unix(int64(sec), 0).In(m.loc).Format(format) + fmt.Sprintf(".%03d", ms%1000)
}

func (m *model) duration() uint32 { return uint32(m.u(flow.Last)) - uint32(m.u(flow.First)) }

func (m *model) pick(narrow, wide int) int {
	if m.wide {
		return wide
	}
	return narrow
}

func (m *model) as(f flow.Field) string {
	w := m.pick(5, 16)
	return fmt.Sprintf("%-*.*s  ", w, w, m.name(f, 17))
}

func (m *model) port(f flow.Field) string {
	w := m.pick(7, 16)
	return fmt.Sprintf("%-*.*s  ", w, w, m.name(f, 15))
}

func (m *model) pfx18(addr, mask flow.Field) string {
	return fmt.Sprintf("%-18.18s  ", m.pfx(addr, mask))
}
func (m *model) prot() string              { return fmt.Sprintf("%-5.5s  ", m.name(flow.Prot, 4)) }
func (m *model) iface(f flow.Field) string { return fmt.Sprintf("%-7.7s", m.num(f)) }
func (m *model) tos() string               { return fmt.Sprintf("%-3.3s  ", m.num(flow.ToS)) }
func (m *model) tail() string {
	return fmt.Sprintf("%-12.12s%-12.12s%-12.12s%-12.12s", m.num(flow.DFlows), m.num(flow.DOctets), m.num(flow.DPkts), strconv.FormatUint(uint64(m.duration()), 10))
}

func (m *model) record(format int) string {
	const (
		src, dst, in, out, sp, dp, prot = flow.SrcAddr, flow.DstAddr, flow.Input, flow.Output, flow.SrcPort, flow.DstPort, flow.Prot
		pkts, octets                    = flow.DPkts, flow.DOctets
		mmdd, ymd                       = "0102.15:04:05", "2006-01-02 15:04:05"
	)
	f := fmt.Sprintf
	bogus := m.u(pkts) == 0
	line0 := f("%04x %-15.15s  %04x %-15.15s   %02x %-4x %-4x  %-10d %-10d", m.u(in), m.ip(src), m.u(out), m.ip(dst), m.u(prot), m.u(sp), m.u(dp), m.u(pkts), m.u(octets))
	detail := ""
	if !bogus {
		detail = f("\n %s  %s  %5d.%03d %-3d %02x %02x\n", m.time(flow.First, mmdd), m.time(flow.Last, mmdd),
			m.duration()/1000, m.duration()%1000, m.u(octets)/m.u(pkts), m.u(flow.ToS), m.u(flow.TCPFlags))
	}
	counts := f("  %-10d  %-10d", m.u(octets), m.u(pkts))
	marked := func() string {
		return m.tos() + f("%-3.3s  %-10.10s  %-10.10s  %-10.10s", m.num(flow.MarkedToS), m.num(flow.ExtraPkts), m.num(octets), m.num(pkts))
	}
	ten := func() string {
		return m.as(flow.SrcAS) + m.as(flow.DstAS) + m.iface(in) + m.iface(out) + m.tail()
	}
	eleven := func() string { return m.port(sp) + m.port(dp) + m.prot() + m.tail() }
	twelve := func() string { return m.pfx18(src, flow.SrcMask) + m.as(flow.SrcAS) + m.iface(in) + m.tail() }
	thirteen := func() string { return m.pfx18(dst, flow.DstMask) + m.as(flow.DstAS) + m.iface(out) + m.tail() }
	switch format {
	case 0:
		return line0
	case 1:
		if bogus {
			return ""
		}
		return line0 + detail
	case 2:
		if m.u(pkts) != 2 || m.u(prot) != 6 || m.u(flow.TCPFlags) != 2 || m.u(octets) != 80 {
			return ""
		}
		return f("%02x  %-15.15s  %02x  %-15.15s %02x %-4x %-4x %-10d %-10d", m.u(in), m.ip(src), m.u(out), m.ip(dst), m.u(prot), m.u(sp), m.u(dp), m.u(pkts), m.u(octets)) + detail
	case 3:
		p, w := m.pick(4, 5), m.pick(7, 16)
		return f("%-15.15s  %-15.15s  %-*.*s  %-*.*s  %-*.*s", m.ip(src), m.ip(dst), p, p, m.name(prot, 4), w, w, m.name(sp, 15), w, w, m.name(dp, 15)) + counts
	case 4:
		if m.wide {
			return f("%04x %04x %-18.18s  %-18.18s  %-5.5s  %-16.16s  %-16.16s", m.u(in), m.u(out), m.pfx(src, flow.SrcMask), m.pfx(dst, flow.DstMask),
				m.name(prot, 4), m.name(flow.SrcAS, 17), m.name(flow.DstAS, 17)) + counts
		}
		return f("%-18.18s %-18.18s %-4.4s  %-5.5s  %-5.5s", m.pfx(src, flow.SrcMask), m.pfx(dst, flow.DstMask), m.name(prot, 4), m.name(flow.SrcAS, 17), m.name(flow.DstAS, 17)) + counts
	case 5:
		return f("%s %s %-5d %-15.15s %-5d %-5d %-15.15s %-5d %-3d %-2d %-10d %-10d", m.time(flow.First, mmdd), m.time(flow.Last, mmdd),
			m.u(in), m.ip(src), m.u(sp), m.u(out), m.ip(dst), m.u(dp), m.u(prot), m.u(flow.TCPFlags)&7, m.u(pkts), m.u(octets))
	case 6:
		return f(" %-15.15s  %-15.15s  %17d  %18d", m.ip(src), m.ip(dst), m.u(pkts), m.u(octets))
	case 7:
		return f("%-18.18s  %-18.18s  %-15.15s  %-5.5s  %-14.14s  %-14.14s", m.pfx(src, flow.SrcMask), m.pfx(dst, flow.DstMask), m.ip(flow.RouterSC), m.name(prot, 4), m.name(sp, 15), m.name(dp, 15)) + counts
	case 8:
		return f("%-18.18s  %-18.18s  %-15.15s  %-4d %-4d  %-5.5s  %-14.14s  %-14.14s", m.pfx(src, flow.SrcMask), m.pfx(dst, flow.DstMask), m.ip(flow.PeerNextHop),
			m.u(flow.InEncaps), m.u(flow.OutEncaps), m.name(prot, 4), m.name(sp, 15), m.name(dp, 15)) + counts
	case 9:
		w := m.pick(10, 15)
		return f("%-*.*s  %-*.*s  %-15.15s  %-15.15s", w, w, m.name(flow.SrcTag, 99), w, w, m.name(flow.DstTag, 99), m.ip(src), m.ip(dst)) + counts
	case 10:
		return ten()
	case 11:
		return eleven()
	case 12:
		return twelve()
	case 13:
		return thirteen()
	case 14:
		return m.pfx18(src, flow.SrcMask) + m.as(flow.SrcAS) + m.pfx18(dst, flow.DstMask) + m.as(flow.DstAS) + m.iface(in) + m.iface(out) + m.tail()
	case 15:
		return f("%-15.15s  %-15.15s  %-5.5s  ", m.ip(dst), m.ip(flow.RouterSC), m.num(out)) + marked()
	case 16:
		return f("%-15.15s  %-15.15s  %-15.15s  %-5.5s  %-5.5s  ", m.ip(src), m.ip(dst), m.ip(flow.RouterSC), m.num(in), m.num(out)) + marked()
	case 17:
		return f("%-15.15s  %-15.15s  %-15.15s  %-5.5s  %-5.5s  %-5.5s  %-5.5s  %-3.3s  ", m.ip(src), m.ip(dst), m.ip(flow.RouterSC), m.num(in), m.num(out),
			m.name(sp, 4), m.name(dp, 4), m.name(prot, 4)) + marked()
	case 18:
		return m.tos() + ten()
	case 19:
		return f("%-3.3s  ", m.num(prot)) + eleven()
	case 20:
		return m.tos() + twelve()
	case 21:
		return m.tos() + thirteen()
	case 22:
		w := m.pick(5, 16)
		return m.tos() + m.pfx18(src, flow.SrcMask) + f("%-*.*s  %-18.18s  ", w, w, m.pfx(dst, flow.DstMask), m.name(flow.SrcAS, 17)) + m.as(flow.DstAS) + m.iface(in) + m.iface(out) + m.tail()
	case 23:
		p, w := m.pick(3, 5), m.pick(5, 16)
		return m.tos() + m.pfx18(src, flow.SrcMask) + m.pfx18(dst, flow.DstMask) + f("%-*.*s  %-*.*s  %-*.*s  ", p, p, m.name(prot, 4), w, w, m.name(sp, 15), w, w, m.name(dp, 15)) +
			m.iface(in) + m.iface(out) + m.tail()
	case 24:
		if bogus {
			return ""
		}
		return f("%04x %-15.15s  %04x %-15.15s  %02x %-5d %-5d %-10d %-10d   %s  %s  %-15.15s %-15.15s %5d.%03d %-4d  %02x %02x  %-5.5s %-5.5s",
			m.u(in), m.ip(src), m.u(out), m.ip(dst), m.u(prot), m.u(sp), m.u(dp), m.u(pkts), m.u(octets), m.time(flow.First, ymd), m.time(flow.Last, ymd),
			m.ip(flow.ExAddr), m.ip(flow.RouterSC), m.duration()/1000, m.duration()%1000, m.u(octets)/m.u(pkts), m.u(flow.ToS), m.u(flow.TCPFlags), m.name(flow.SrcAS, 17), m.name(flow.DstAS, 17))
	}
	panic("no such format")
}

var utc = time.UTC

// table names the values it holds.
type table map[uint32]string

func (t table) Name(v uint32) (string, bool) { s, ok := t[v]; return s, ok }

// someNames names about every second small value, with names short and long.
func someNames() map[string]Names {
	t := table{}
	for v := range uint32(512) {
		if v&1 == 0 {
			t[v] = strings.Repeat(string(rune('a'+v%26)), int(v%24))
		}
	}
	return map[string]Names{"tcp-port": t, "ip-prot": t, "asn": t, "tag": t}
}

// fill puts random values in the fields of r, small ones as often as large ones.
func fill(l *flow.Layout, r flow.Record, rng *rand.Rand) {
	for f := range l.Fields.All() {
		v := rng.Uint64() >> rng.UintN(64)
		switch rng.UintN(8) {
		case 0:
			v = 0
		case 1:
			v = 1<<64 - 1
		case 2:
			_, width := l.Offset(f)
			digits := rng.UintN(10)
			v = 1
			for range digits % (3 * uint(width)) {
				v *= 10
			}
			v -= uint64(rng.UintN(2))
		}
		l.PutUint(r, f, v)
	}
	switch rng.UintN(8) {
	case 0: // what format 2 looks for
		l.PutUint(r, flow.Prot, 6)
		l.PutUint(r, flow.TCPFlags, 2)
		l.PutUint(r, flow.DPkts, 2)
		l.PutUint(r, flow.DOctets, 80)
	case 1: // a sane time
		l.PutUint(r, flow.UnixSecs, 1400000000+uint64(rng.UintN(1<<26)))
		l.PutUint(r, flow.UnixNsecs, uint64(rng.UintN(1e9)))
	}
}

// TestRows holds every format, on every record version that offers its fields,
// against package fmt.
func TestRows(t *testing.T) {
	loc := time.FixedZone("XYZ", 5*3600+1800)
	zone := cdate.LoadZone("XYZ-5:30", true)
	rng := rand.New(rand.NewPCG(1, 2))
	seen := 0
	for n := range formats {
		f, err := Lookup(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range flow.Versions() {
			l, err := flow.LayoutOf(v)
			if err != nil {
				t.Fatal(err)
			}
			if l.Missing(f.Needs()) != 0 {
				continue
			}
			seen++
			for _, o := range []Options{{}, {Wide: true}, {Names: someNames()}, {Wide: true, Names: someNames()}} {
				o.Zone = zone
				rows := f.Rows(l, o)
				r := make(flow.Record, l.Size)
				for range 300 {
					fill(l, r, rng)
					m := model{l: l, r: r, wide: o.Wide, names: o.Names, loc: loc}
					want := m.record(n)
					if want != "" {
						want += "\n"
					}
					got := string(rows.Append([]byte("before"), r))
					if diff := cmp.Diff("before"+want, got); diff != "" {
						t.Fatalf("format %d, version %v, wide %v, names %v: (-want +got)\n%s", n, v, o.Wide, o.Names != nil, diff)
					}
				}
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d pairs of format and version were tried", seen)
	}
}

// TestVersions pins which record versions a format works on.
func TestVersions(t *testing.T) {
	const flows = "1 5 6 7 1005"
	want := [len(formats)]string{
		flows + " 8.8 8.14", flows, flows, flows + " 8.8 8.14", "5 6 7 1005", flows, flows + " 8.5 8.7 8.8 8.13 8.14", "7", "6", "1005",
		"8.1 8.5 8.9 8.13", "8.2 8.10 8.14", "8.3 8.5 8.11 8.13", "8.4 8.5 8.12 8.13", "8.5 8.13", "8.6 8.7 8.8", "8.7 8.8", "8.8",
		"8.9 8.13", "8.10 8.14", "8.11 8.13", "8.12 8.13", "8.13", "8.14", "7",
	}
	for n := range formats {
		f, _ := Lookup(n)
		works := map[string]bool{}
		for v := range strings.FieldsSeq(want[n]) {
			works[v] = true
		}
		for _, v := range flow.Versions() {
			l, _ := flow.LayoutOf(v)
			if got := l.Missing(f.Needs()) == 0; got != works[v.String()] {
				t.Errorf("format %d works on version %v: %v, want %v (missing %v)", n, v, got, works[v.String()], l.Missing(f.Needs()))
			}
		}
	}
}

func TestDefault(t *testing.T) {
	want := map[string]int{"1": 3, "5": 3, "6": 8, "7": 7, "1005": 9}
	for m := range 14 {
		want[fmt.Sprintf("8.%d", m+1)] = m + 10
	}
	for _, v := range flow.Versions() {
		if got := Default(v); got != want[v.String()] {
			t.Errorf("version %v: format %d, want %d", v, got, want[v.String()])
		}
		f, err := Lookup(Default(v))
		if err != nil {
			t.Fatal(err)
		}
		if l, _ := flow.LayoutOf(v); l.Missing(f.Needs()) != 0 {
			t.Errorf("version %v: its default format lacks %v", v, l.Missing(f.Needs()))
		}
	}
}

func TestLookup(t *testing.T) {
	for _, n := range []int{-1, len(formats), 1 << 31} {
		if _, err := Lookup(n); err == nil || err.Error() != fmt.Sprintf("No such format, %d", n) {
			t.Errorf("format %d: %v", n, err)
		}
	}
}

func TestSymbols(t *testing.T) {
	want := map[int]string{3: "ip-prot tcp-port", 4: "ip-prot asn", 9: "tag", 7: "ip-prot tcp-port", 8: "ip-prot tcp-port",
		11: "tcp-port ip-prot", 17: "tcp-port ip-prot", 19: "tcp-port ip-prot", 23: "ip-prot tcp-port",
		10: "asn", 12: "asn", 13: "asn", 14: "asn", 18: "asn", 20: "asn", 21: "asn", 22: "asn", 24: "asn"}
	for n := range formats {
		f, _ := Lookup(n)
		if got := strings.Join(f.Symbols(), " "); got != want[n] {
			t.Errorf("format %d: %q, want %q", n, got, want[n])
		}
	}
}

// TestBogus: records without packets are reported where they are left out, and
// only there.
func TestBogus(t *testing.T) {
	for n := range formats {
		f, _ := Lookup(n)
		l, _ := flow.LayoutOf(flow.Version{Export: 7})
		if l.Missing(f.Needs()) != 0 {
			continue
		}
		complaints := 0
		rows := f.Rows(l, Options{Bogus: func() { complaints++ }})
		out := rows.Append(nil, make(flow.Record, l.Size))
		leftOut := n == 1 || n == 2 || n == 24
		if (len(out) == 0) != leftOut || (complaints == 1) != leftOut {
			t.Errorf("format %d: %d complaints, output %q", n, complaints, out)
		}
		if leftOut { // and without anyone to complain to
			if out := f.Rows(l, Options{}).Append(nil, make(flow.Record, l.Size)); len(out) != 0 {
				t.Errorf("format %d: %q", n, out)
			}
		}
	}
}

// TestClock goes through a change of clocks, midnights, and the ends of the 32-bit time.
func TestClock(t *testing.T) {
	zone := cdate.LoadZone("EST5EDT,M3.2.0,M11.1.0", true)
	c := clock{zone: zone}
	long, short := make([]byte, len(ymd)), make([]byte, len(mmdd))
	check := func(sec uint32, ms uint32) {
		t.Helper()
		tm := zone.Civil(int64(sec))
		clock := fmt.Sprintf("%02d:%02d:%02d.%03d", tm.Hour, tm.Min, tm.Sec, ms)
		c.putLong(long, sec, ms)
		if want := fmt.Sprintf("%04d-%02d-%02d ", tm.Year, tm.Month, tm.Day) + clock; string(long) != want {
			t.Fatalf("second %d: %q, want %q", sec, long, want)
		}
		c.putShort(short, sec, ms)
		if want := fmt.Sprintf("%02d%02d.", tm.Month, tm.Day) + clock; string(short) != want {
			t.Fatalf("second %d: %q, want %q", sec, short, want)
		}
	}
	for _, sec := range []uint32{0, 17999, 18000, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		check(sec, 999)
	}
	for sec := uint32(1394300000); sec < 1394400000; sec += 13 { // 2014-03-09
		check(sec, sec%1000)
	}
	for range 10000 {
		check(rand.Uint32(), rand.Uint32N(1000))
	}
}

func TestDigits(t *testing.T) {
	check := func(v uint32) {
		t.Helper()
		var p [16]byte
		if v < 1e8 {
			putLeft8(p[:], v)
			if want := fmt.Sprintf("%-8d", v); string(p[:8]) != want {
				t.Fatalf("putLeft8 %q, want %q", p[:8], want)
			}
			putRight8(p[:], v)
			if want := fmt.Sprintf("%8d", v); string(p[:8]) != want {
				t.Fatalf("putRight8 %q, want %q", p[:8], want)
			}
		}
		if v < 1<<16 {
			binary.LittleEndian.PutUint32(p[:], hex4(v))
			if want := fmt.Sprintf("%04x", v); string(p[:4]) != want {
				t.Fatalf("hex4 %q, want %q", p[:4], want)
			}
			putHexLeft4(p[:], v)
			if want := fmt.Sprintf("%-4x", v); string(p[:4]) != want {
				t.Fatalf("putHexLeft4 %q, want %q", p[:4], want)
			}
		}
		if v < 256 {
			putHex2(p[:], v)
			if want := fmt.Sprintf("%02x", v); string(p[:2]) != want {
				t.Fatalf("putHex2 %q, want %q", p[:2], want)
			}
		}
		if v < 100 {
			putDigits2(p[:], v)
			if want := fmt.Sprintf("%02d", v); string(p[:2]) != want {
				t.Fatalf("putDigits2 %q, want %q", p[:2], want)
			}
		}
		if v < 1000 {
			putDigits3(p[:], v)
			if want := fmt.Sprintf("%03d", v); string(p[:3]) != want {
				t.Fatalf("putDigits3 %q, want %q", p[:3], want)
			}
		}
		putAddr(p[:], v)
		if want := fmt.Sprintf("%d.%d.%d.%d", v>>24, v>>16&255, v>>8&255, v&255); strings.TrimRight(string(p[:len(want)+1]), " ") != want {
			t.Fatalf("putAddr %q, want %q", p, want)
		}
	}
	for v := range uint32(1 << 16) {
		check(v)
	}
	for v := uint32(1); v < 1e9; v *= 10 {
		check(v - 1)
		check(v)
	}
	for range 1 << 16 {
		check(rand.Uint32() >> rand.UintN(32))
	}
}

// TestOverflow: a value too wide for a column that is not cut moves the rest of
// the line.
func TestOverflow(t *testing.T) {
	l := flow.MustLayout(flow.Version{Export: 99}, flow.LittleEndian, "doctets dpkts input output srcaddr -8")
	p := &Rows{template: compile("{doctets %-3u}|{dpkts %3u}|{dpkts %03u}|{input %-2x}|{output %02x}|{srcaddr %-9.9s}|{output %-2.2s}|"), layout: l}
	for i := range p.columns {
		p.columns[i].hasten(p.blank, l)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	r := make(flow.Record, l.Size)
	for range 2000 {
		fill(l, r, rng)
		u := func(f flow.Field) uint64 { return l.Uint(r, f) }
		want := fmt.Sprintf("%-3d|%3d|%03d|%-2x|%02x|%-9.9s|%-2.2s|\n", u(flow.DOctets), u(flow.DPkts), u(flow.DPkts), u(flow.Input), u(flow.Output),
			l.Addr(r, flow.SrcAddr).String(), strconv.FormatUint(u(flow.Output), 10))
		if got := string(p.Append([]byte("x"), r)); got != "x"+want {
			t.Fatalf("got  %q\nwant %q", got[1:], want)
		}
	}
}

// TestTemplateFaults: what is wrong in a template is found when it is compiled.
func TestTemplateFaults(t *testing.T) {
	for _, line := range []string{"{srcaddr", "{srcaddr}", "{nothing %5u}", "{srcaddr %-15u}", "{dpkts %q}", "{dpkts %-5.4s}", "{dpkts %5s}", "{dpkts u}", "{dpkts %}",
		"{dpkts:3 %-5.5s}", "{prot:x %-5.5s}", "{srcaddr/nothing %-18.18s}", "{tcp_flags&x %-2u}", "{dpkts %5x}", "{dpkts %-u}"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q compiles", line)
				}
			}()
			compile(line)
		}()
	}
}

func TestRowsAllocateNothing(t *testing.T) {
	for n := range formats {
		f, _ := Lookup(n)
		for _, v := range flow.Versions() {
			l, _ := flow.LayoutOf(v)
			if l.Missing(f.Needs()) != 0 {
				continue
			}
			rows := f.Rows(l, Options{Names: someNames()})
			batch := sample(l, 64)
			buf := make([]byte, 0, 64<<10)
			if a := testing.AllocsPerRun(5, func() {
				buf = buf[:0]
				for r := range batch.All() {
					buf = rows.Append(buf, r)
				}
			}); a != 0 {
				t.Errorf("format %d, version %v: %v allocations in 64 records", n, v, a)
			}
		}
	}
}

// sample makes records that look like traffic: a few hosts, well-known and
// ephemeral ports, counters of all sizes, half an hour of time.
func sample(l *flow.Layout, n int) *flow.Batch {
	rng := rand.New(rand.NewPCG(5, 6))
	b := flow.NewBatch(l)
	for range n {
		r := flow.Record(b.Extend(1))
		clear(r)
		for f := range l.Fields.All() {
			l.PutUint(r, f, rng.Uint64N(200))
		}
		set := func(f flow.Field, v uint64) { l.PutUint(r, f, v) }
		first := 1e6 + rng.Uint64N(1800_000)
		set(flow.UnixSecs, 1700000000+rng.Uint64N(1800))
		set(flow.UnixNsecs, rng.Uint64N(1e9))
		set(flow.SysUptime, 3e6)
		set(flow.First, first)
		set(flow.Last, first+rng.Uint64N(60_000))
		set(flow.SrcAddr, 0x0A000000+rng.Uint64N(1<<16))
		set(flow.DstAddr, rng.Uint64())
		set(flow.SrcPort, 1024+rng.Uint64N(60000))
		set(flow.DstPort, []uint64{53, 80, 443, 8080}[rng.UintN(4)])
		set(flow.Prot, []uint64{6, 6, 17, 1}[rng.UintN(4)])
		pkts := 1 + rng.Uint64()>>(46+rng.UintN(18))
		set(flow.DPkts, pkts)
		set(flow.DOctets, pkts*(40+rng.Uint64N(1400)))
	}
	return b
}

func BenchmarkRows(b *testing.B) {
	for n := range formats {
		f, _ := Lookup(n)
		var l *flow.Layout
		for _, v := range append([]flow.Version{{Export: 5}}, flow.Versions()...) {
			if l, _ = flow.LayoutOf(v); l.Missing(f.Needs()) == 0 {
				break
			}
		}
		b.Run(fmt.Sprintf("format=%d/v=%v", n, l.Version), func(b *testing.B) {
			rows := f.Rows(l, Options{Zone: cdate.LoadZone("EST5EDT,M3.2.0,M11.1.0", true)})
			batch := sample(l, 1000)
			buf := make([]byte, 0, 1<<20)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i == batch.Len() {
					i, buf = 0, buf[:0]
				}
				buf = rows.Append(buf, batch.At(i))
				i++
			}
		})
	}
}
