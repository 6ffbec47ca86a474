package dumper

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cdate"
	"flowtools/pkg/flow"
)

// record makes a record of version v from the fields given.
func record(t testing.TB, v uint16, set map[flow.Field]uint64) (*flow.Layout, flow.Record) {
	t.Helper()
	l, err := flow.LayoutOf(flow.Version{Export: v})
	if err != nil {
		t.Fatal(err)
	}
	r := make(flow.Record, l.Size)
	for f, n := range set {
		l.PutUint(r, f, n)
	}
	return l, r
}

// dns is the flow of the manual's sample.
var dns = map[flow.Field]uint64{
	flow.UnixSecs: 1325394000, flow.UnixNsecs: 999_999_999, flow.SysUptime: 3_600_000, flow.First: 3_282_000, flow.Last: 3_282_999,
	flow.ExAddr: 0xc000020c, flow.SrcAddr: 0x9e2b8048, flow.DstAddr: 0xc0000225, flow.NextHop: 0xc0000225, flow.Input: 9, flow.Output: 1,
	flow.SrcPort: 53, flow.DstPort: 34095, flow.DPkts: 1, flow.DOctets: 130, flow.Prot: 17, flow.TCPFlags: 0, flow.SrcAS: 702, flow.SrcMask: 16, flow.DstMask: 25,
}

const dnsLong = `FLOW
  index:          0xc7ffff
  router:         192.0.2.12
  src IP:         158.43.128.72
  dst IP:         192.0.2.37
  input ifIndex:  9
  output ifIndex: 1
  src port:       53
  dst port:       34095
  pkts:           1
  bytes:          130
  IP nexthop:     192.0.2.37
  start time:     Sat Dec 31 23:54:42 2011
  end time:       Sat Dec 31 23:54:43 2011
  protocol:       17
  tos:            0x0
  src AS:         702
  dst AS:         0
  src masklen:    16
  dst masklen:    25
  TCP flags:      0x0
  engine type:    0
  engine id:      0

`

func TestLong(t *testing.T) {
	zone := cdate.LoadZone("XYZ5", true) // 2012-01-01 04:54:42 UTC
	l, r := record(t, 5, dns)
	if diff := cmp.Diff(dnsLong, string(Long.Rows(l, zone).Append(nil, r))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Version 1 has neither AS nor prefix lengths nor engine.
	l, r = record(t, 1, dns)
	want := strings.NewReplacer("702", "0", "masklen:    16", "masklen:    0", "masklen:    25", "masklen:    0").Replace(dnsLong)
	if diff := cmp.Diff(want, string(Long.Rows(l, zone).Append(nil, r))); diff != "" {
		t.Errorf("version 1 (-want +got)\n%s", diff)
	}
	for _, c := range []struct {
		field flow.Field
		value uint64
		line  string
	}{
		{flow.ToS, 0xb8, "  tos:            0xb8\n"},
		{flow.TCPFlags, 0x1b, "  TCP flags:      0x1b\n"}, // UDP: no names
		{flow.EngineType, 255, "  engine type:    255\n"},
		{flow.EngineID, 7, "  engine id:      7\n"},
		{flow.DOctets, 4294967295, "  bytes:          4294967295\n"},
		{flow.Prot, 6, "  protocol:       6\n"},
	} {
		l, r := record(t, 7, dns)
		l.PutUint(r, c.field, c.value)
		if got := string(Long.Rows(l, zone).Append(nil, r)); !strings.Contains(got, "\n"+c.line) || strings.Count(got, "\n") != 24 {
			t.Errorf("no line %q in\n%s", c.line, got)
		}
	}
	// TCP.
	for flags, want := range map[uint64]string{0: "0x0", 0x1b: "0x1b (PUSH|SYN|FIN|ACK)", 0xff: "0xff (URG|PUSH|SYN|RST|FIN|ACK)", 0x40: "0x40"} {
		l, r := record(t, 6, dns)
		l.PutUint(r, flow.Prot, TCP)
		l.PutUint(r, flow.TCPFlags, flags)
		if got := string(Long.Rows(l, zone).Append(nil, r)); !strings.Contains(got, "\n  TCP flags:      "+want+"\n") {
			t.Errorf("flags %#x in\n%s", flags, got)
		}
	}
}

func TestShort(t *testing.T) {
	const lead = "2012/01/01 04:54:42 158.43.128.72.53 -> 192.0.2.37."
	const oldLead = "2012/01/01 04:54:42   158.43.128.72.53         192.0.2.37."
	for _, c := range []struct {
		prot, dstport, flags uint64
		short, old           string
	}{
		{17, 34095, 0, lead + "34095 17 1 130", oldLead + "34095 17          1        130"},
		{17, 34095, 2, lead + "34095 17 1 130", ""},
		{6, 80, 0x18, lead + "80 6(PUSH|ACK) 1 130", oldLead + "80     6          1        130"},
		{6, 80, 0, lead + "80 6 1 130", ""},
		{6, 80, 0xc0, lead + "80 6 1 130", ""},
		{6, 80, 0x3f, lead + "80 6(URG|PUSH|SYN|RST|FIN|ACK) 1 130", ""},
		{1, 0x0800, 0, lead + "2048 1(ECHO) 1 130", oldLead + "2048   1          1        130"},
		{1, 0x0801, 0x10, lead + "2049 1(ECHO) 1 130", ""},
		{1, 0, 0, lead + "0 1(ECHOREPLY) 1 130", ""},
		{1, 0x0301, 0, lead + "769 1(HOST_UNREACH) 1 130", ""},
		{1, 0x030f, 0, lead + "783 1(PREC_CUTOFF) 1 130", ""},
		{1, 0x0310, 0, lead + "784 1(DEST_UNREACH) 1 130", ""},
		{1, 0x0503, 0, lead + "1283 1(REDIRECT_HOSTTOS) 1 130", ""},
		{1, 0x0b01, 0, lead + "2817 1(EXC_FRAGTIME) 1 130", ""},
		{1, 0x0b02, 0, lead + "2818 1(TIME_EXCEEDED) 1 130", ""},
		{1, 0x1200, 0, lead + "4608 1(ADDRESSREPLY) 1 130", ""},
		{1, 0x1300, 0, lead + "4864 1 1 130", ""},
		{1, 0x0100, 0, lead + "256 1 1 130", ""},
		{47, 0, 0, lead + "0 47 1 130", ""},
		{255, 0, 0, lead + "0 255 1 130", oldLead + "0     255          1        130"},
	} {
		l, r := record(t, 5, dns)
		l.PutUint(r, flow.Prot, c.prot)
		l.PutUint(r, flow.DstPort, c.dstport)
		l.PutUint(r, flow.TCPFlags, c.flags)
		if diff := cmp.Diff(c.short+"\n", string(Short.Rows(l, nil).Append(nil, r))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if c.old == "" {
			continue
		}
		if diff := cmp.Diff(c.old+"\n", string(Old.Rows(l, nil).Append(nil, r))); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

// TestAgainstPrintf: random records as printf would show them.
func TestAgainstPrintf(t *testing.T) {
	zone := time.FixedZone("X", -(3*3600 + 1800))
	czone := cdate.LoadZone("XXX3:30", true)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, v := range []uint16{1, 5, 6, 7} {
		l, err := flow.LayoutOf(flow.Version{Export: v})
		if err != nil {
			t.Fatal(err)
		}
		short, old, long := Short.Rows(l, czone), Old.Rows(l, czone), Long.Rows(l, czone)
		for range 2000 {
			r := make(flow.Record, l.Size)
			for i := range r {
				r[i] = byte(rnd.Uint32())
			}
			if rnd.IntN(3) > 0 {
				l.PutUint(r, flow.UnixSecs, 1_700_000_000+rnd.Uint64N(1e6))
				l.PutUint(r, flow.SysUptime, l.Uint(r, flow.First))
			}
			u := func(f flow.Field) uint64 { return l.Uint(r, f) }
			begin, end := time.Unix(int64(Start(l, r)), 0).In(zone), time.Unix(int64(End(l, r)), 0).In(zone)
			src, dst := l.Addr(r, flow.SrcAddr), l.Addr(r, flow.DstAddr)
			date := begin.Format("2006/01/02 15:04:05")
			symbol := ""
			switch names := string(AppendFlags(nil, u(flow.TCPFlags))); {
			case u(flow.Prot) == TCP && names != "":
				symbol = "(" + names + ")"
			case u(flow.Prot) == ICMP && ICMPName(u(flow.DstPort)) != "":
				symbol = "(" + ICMPName(u(flow.DstPort)) + ")"
			}
			want := fmt.Sprintf("%s %s.%d -> %s.%d %d%s %d %d\n", date, src, u(flow.SrcPort), dst, u(flow.DstPort), u(flow.Prot), symbol, u(flow.DPkts), u(flow.DOctets))
			if got := string(short.Append(nil, r)); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			want = fmt.Sprintf("%s %15.15s.%-5d %15.15s.%-5d %2d %10d %10d\n", date, src, u(flow.SrcPort), dst, u(flow.DstPort), u(flow.Prot), u(flow.DPkts), u(flow.DOctets))
			if got := string(old.Append(nil, r)); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			got := string(long.Append(nil, r))
			for _, line := range []string{
				fmt.Sprintf("\n  %-15s %s\n", "start time:", begin.Format(time.ANSIC)), fmt.Sprintf("\n  %-15s %s\n", "end time:", end.Format(time.ANSIC)),
				fmt.Sprintf("\n  %-15s %#x\n", "tos:", u(flow.ToS)), fmt.Sprintf("\n  %-15s %d\n", "output ifIndex:", u(flow.Output)),
				fmt.Sprintf("\n  %-15s %s\n", "IP nexthop:", l.Addr(r, flow.NextHop)), fmt.Sprintf("\n  %-15s %d\n", "dst AS:", u(flow.DstAS)),
			} {
				if !strings.Contains(got, line) {
					t.Fatalf("no %q in\n%s", line, got)
				}
			}
		}
	}
}

func TestSupports(t *testing.T) {
	for _, v := range flow.Versions() {
		err := Supports(v)
		switch v.Export {
		case 1, 5, 6, 7:
			if err != nil {
				t.Error(err)
			}
		default:
			if err == nil || err.Error() != "unsupported export version "+v.String() {
				t.Errorf("%v: %v", v, err)
			}
		}
	}
}

func TestConstants(t *testing.T) {
	want := map[string]int{"TH_FIN": 1, "TH_SYN": 2, "TH_RST": 4, "TH_PUSH": 8, "TH_ACK": 16, "TH_URG": 32, "tcp": 6, "udp": 17, "icmp": 1,
		"ICMP_ECHO": 8, "ICMP_HOST_UNREACH": 1, "ICMP_EXC_TTL": 0, "ICMP_ADDRESSREPLY": 18}
	got := make(map[string]int)
	for _, c := range Constants() {
		if _, twice := got[c.Name]; twice {
			t.Errorf("%s stands twice", c.Name)
		}
		got[c.Name] = c.Value
	}
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s is %d, %v, want %d", name, g, ok, v)
		}
	}
}

func TestDoesNotAllocate(t *testing.T) {
	l, r := record(t, 5, dns)
	buf := make([]byte, 0, 4096)
	for _, f := range []Format{Long, Short, Old} {
		rows := f.Rows(l, nil)
		if n := testing.AllocsPerRun(100, func() { buf = rows.Append(buf[:0], r) }); n != 0 {
			t.Errorf("format %d: %v allocations", f, n)
		}
	}
}

func BenchmarkRows(b *testing.B) {
	l, r := record(b, 5, dns)
	l.PutUint(r, flow.Prot, TCP)
	l.PutUint(r, flow.TCPFlags, 0x1b)
	buf := make([]byte, 0, 4096)
	for name, f := range map[string]Format{"long": Long, "short": Short, "old": Old} {
		b.Run(name, func(b *testing.B) {
			rows := f.Rows(l, nil)
			b.ReportAllocs()
			for b.Loop() {
				buf = rows.Append(buf[:0], r)
			}
		})
	}
}
