package probe

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"flowtools/internal/pcap"
	"flowtools/internal/pcap/pcaptest"
)

// recorder notes the flows that end.
type recorder struct {
	lines []string
	flows []Flow
	times []int64
}

func (r *recorder) Flow(f *Flow, now int64) {
	r.flows = append(r.flows, *f)
	r.times = append(r.times, now)
	r.lines = append(r.lines, fmt.Sprintf("%d: %v>%v %d/%d/%d %dp %do %.1f-%.1f %s", now/second, text(f, f.Src), text(f, f.Dst),
		f.Proto, f.Ports>>16, f.Ports&0xffff, f.Packets, f.Octets, float64(f.First)/1e9, float64(f.Last)/1e9, f.Reason))
}

func (r *recorder) Tick(int64) {}

func text(f *Flow, a Addr) netip.Addr {
	var b [16]byte
	be.PutUint64(b[:], a[0])
	be.PutUint64(b[8:], a[1])
	if f.Version == 4 {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.AddrFrom16(b)
}

var usual = Options{Skip: -1, Idle: 60, Active: 300, Fragment: 30, Scan: 5}

// at gives a packet of UDP, TCP or a fragment a time in seconds.
type at struct {
	t float64
	p pcaptest.Packet
}

func udp(src string, sport, n int) pcaptest.Packet {
	return pcaptest.Packet{Src: src, Dst: "10.9.9.9", Proto: 17, Payload: pcaptest.UDP(sport, 53, n)}
}

func tcp(src, dst string, sport, dport int, flags uint8) pcaptest.Packet {
	return pcaptest.Packet{Src: src, Dst: dst, Proto: 6, Payload: pcaptest.TCP(sport, dport, flags, 0)}
}

// meterOver counts packets and returns what ended, what is left at the end included.
func meterOver(o Options, list ...at) ([]string, *Meter) {
	var r recorder
	m := NewMeter(o, &r)
	for _, a := range list {
		data := a.p.Frame().Ethernet()
		m.Packet(&pcap.Packet{Data: data, Len: len(data), Time: int64(a.t * 1e9), Link: pcap.Ethernet})
	}
	m.Flush()
	return r.lines, m
}

// every makes a packet each second.
func every(p pcaptest.Packet, from, to float64) (list []at) {
	for t := from; t <= to; t++ {
		list = append(list, at{t, p})
	}
	return list
}

func TestLifetimes(t *testing.T) {
	short := usual
	short.Scan, short.Active = 1, 5
	for _, c := range []struct {
		name string
		o    Options
		list []at
		want []string
	}{
		{"idle is more than 60 s", usual, []at{{1000, udp("10.0.0.2", 1, 0)}, {1005, udp("10.0.0.1", 1, 0)}, {1060.9, udp("10.0.0.2", 1, 0)}, {1065, udp("10.0.0.1", 1, 0)}, {1126.5, udp("10.0.0.3", 1, 0)}}, []string{
			"1125: 10.0.0.2>10.9.9.9 17/1/53 2p 56o 1000.0-1060.9 idle",
			"1126: 10.0.0.1>10.9.9.9 17/1/53 2p 56o 1005.0-1065.0 forced",
			"1126: 10.0.0.3>10.9.9.9 17/1/53 1p 28o 1126.5-1126.5 forced",
		}},
		{"a flow busy each second is cut after 7 packets that span 6 s", short, every(udp("10.0.0.1", 1, 0), 1000, 1012), []string{
			"1007: 10.0.0.1>10.9.9.9 17/1/53 7p 196o 1000.0-1006.0 active",
			"1012: 10.0.0.1>10.9.9.9 17/1/53 6p 168o 1007.0-1012.0 forced",
		}},
		{"scans are 5 s apart", usual, []at{{1000.5, udp("10.0.0.1", 1, 0)}, {1068, udp("10.0.0.1", 1, 0)}}, []string{
			"1065: 10.0.0.1>10.9.9.9 17/1/53 1p 28o 1000.5-1000.5 idle",
			"1068: 10.0.0.1>10.9.9.9 17/1/53 1p 28o 1068.0-1068.0 forced",
		}},
		{"years between packets", usual, []at{{1000, udp("10.0.0.1", 1, 0)}, {1e9, udp("10.0.0.1", 1, 0)}}, []string{
			"1065: 10.0.0.1>10.9.9.9 17/1/53 1p 28o 1000.0-1000.0 idle",
			"1000000000: 10.0.0.1>10.9.9.9 17/1/53 1p 28o 1000000000.0-1000000000.0 forced",
		}},
		{"order by first packet, then key", usual, []at{{1003, udp("10.0.0.9", 7, 0)}, {1003, udp("10.0.0.9", 6, 0)}, {1003, udp("10.0.0.8", 9, 0)}, {1002.5, udp("10.0.0.10", 1, 0)}}, []string{
			"1003: 10.0.0.10>10.9.9.9 17/1/53 1p 28o 1002.5-1002.5 forced",
			"1003: 10.0.0.8>10.9.9.9 17/9/53 1p 28o 1003.0-1003.0 forced",
			"1003: 10.0.0.9>10.9.9.9 17/6/53 1p 28o 1003.0-1003.0 forced",
			"1003: 10.0.0.9>10.9.9.9 17/7/53 1p 28o 1003.0-1003.0 forced",
		}},
		{"times out of order", usual, []at{{1001.5, udp("10.0.0.1", 1, 0)}, {1000.5, udp("10.0.0.1", 1, 0)}, {1001, udp("10.0.0.1", 1, 0)}}, []string{
			"1001: 10.0.0.1>10.9.9.9 17/1/53 3p 84o 1000.5-1001.5 forced",
		}},
		{"the clock set back", usual, []at{{5000, udp("10.0.0.1", 1, 0)}, {1000, udp("10.0.0.1", 1, 0)}, {1070, udp("10.0.0.2", 1, 0)}}, []string{
			"5000: 10.0.0.1>10.9.9.9 17/1/53 1p 28o 5000.0-5000.0 forced",
			"1065: 10.0.0.1>10.9.9.9 17/1/53 1p 28o 1000.0-1000.0 idle",
			"1070: 10.0.0.2>10.9.9.9 17/1/53 1p 28o 1070.0-1070.0 forced",
		}},
		{"FIN ends nothing", usual, []at{{1000, tcp("10.0.0.1", "10.0.0.2", 5, 80, 2)}, {1001, tcp("10.0.0.1", "10.0.0.2", 5, 80, 0x11)}, {1010, tcp("10.0.0.1", "10.0.0.2", 5, 80, 2)}}, []string{
			"1010: 10.0.0.1>10.0.0.2 6/5/80 3p 120o 1000.0-1010.0 forced",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := meterOver(c.o, c.list...)
			if d := gocmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestEndOfFlow(t *testing.T) {
	o := usual
	o.End = true
	ab := func(t float64, flags uint8) at { return at{t, tcp("10.0.0.1", "10.0.0.2", 5, 80, flags)} }
	ba := func(t float64, flags uint8) at { return at{t, tcp("10.0.0.2", "10.0.0.1", 80, 5, flags)} }
	for _, c := range []struct {
		name string
		list []at
		want []string
	}{
		{"FIN both ways", []at{ab(1000, 2), ba(1000, 0x12), ab(1001, 0x11), ba(1001.2, 0x11), ab(1001.3, 0x10), {1003, udp("10.0.0.3", 1, 0)}}, []string{
			"1003: 10.0.0.1>10.0.0.2 6/5/80 3p 120o 1000.0-1001.3 end",
			"1003: 10.0.0.2>10.0.0.1 6/80/5 2p 80o 1000.0-1001.2 end",
			"1003: 10.0.0.3>10.9.9.9 17/1/53 1p 28o 1003.0-1003.0 forced",
		}},
		{"FIN one way", []at{ab(1000, 2), ba(1000, 0x12), ab(1001, 0x11), {1009, udp("10.0.0.3", 1, 0)}}, []string{
			"1009: 10.0.0.1>10.0.0.2 6/5/80 2p 80o 1000.0-1001.0 forced",
			"1009: 10.0.0.2>10.0.0.1 6/80/5 1p 40o 1000.0-1000.0 forced",
			"1009: 10.0.0.3>10.9.9.9 17/1/53 1p 28o 1009.0-1009.0 forced",
		}},
		{"RST, then the ports are used again", []at{ab(1000, 2), ba(1000.5, 0x14), ab(1001, 2), {1004, udp("10.0.0.3", 1, 0)}}, []string{
			"1001: 10.0.0.1>10.0.0.2 6/5/80 1p 40o 1000.0-1000.0 end",
			"1002: 10.0.0.2>10.0.0.1 6/80/5 1p 40o 1000.5-1000.5 end",
			"1004: 10.0.0.1>10.0.0.2 6/5/80 1p 40o 1001.0-1001.0 forced",
			"1004: 10.0.0.3>10.9.9.9 17/1/53 1p 28o 1004.0-1004.0 forced",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := meterOver(o, c.list...)
			if d := gocmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestFragments(t *testing.T) {
	whole := udp("10.0.0.1", 7, 56).Payload // 64 octets
	part := func(id uint32, from, to int, more bool) pcaptest.Packet {
		p := udp("10.0.0.1", 7, 0)
		p.ID, p.Offset, p.More, p.Payload = id, from, more, whole[from:to]
		return p
	}
	v6 := func(p pcaptest.Packet) pcaptest.Packet { p.Src, p.Dst = "2001:db8::1", "2001:db8::2"; return p }
	later := func(t float64) at { return at{t, udp("10.0.0.2", 1, 0)} }
	both := usual
	both.IPv6 = true
	for _, c := range []struct {
		name string
		list []at
		want []string
	}{
		{"in order", []at{{1000, part(1, 0, 32, true)}, {1001, part(1, 32, 64, false)}}, []string{
			"1001: 10.0.0.1>10.9.9.9 17/7/53 2p 104o 1000.0-1001.0 forced",
		}},
		{"last one first", []at{{1000, part(1, 32, 64, false)}, {1001, part(1, 8, 32, true)}, {1002, part(1, 0, 8, true)}, {1003, udp("10.0.0.1", 7, 0)}}, []string{
			"1003: 10.0.0.1>10.9.9.9 17/7/53 4p 152o 1000.0-1003.0 forced",
		}},
		{"two packets at once", []at{{1000, part(1, 0, 32, true)}, {1000, part(2, 0, 32, true)}, {1001, part(2, 32, 64, false)}, {1001, part(1, 32, 64, false)}}, []string{
			"1001: 10.0.0.1>10.9.9.9 17/7/53 4p 208o 1000.0-1001.0 forced",
		}},
		{"the end is missing: after 30 s to its flow, after 60 more out", []at{{1000, part(1, 0, 32, true)}, later(1095), later(1096), later(1101)}, []string{
			"1100: 10.0.0.1>10.9.9.9 17/7/53 1p 52o 1000.0-1000.0 idle",
			"1101: 10.0.0.2>10.9.9.9 17/1/53 3p 84o 1095.0-1101.0 forced",
		}},
		{"the start is missing", []at{{1000, part(1, 32, 64, false)}, {1001, udp("10.0.0.1", 7, 0)}}, []string{
			"1001: 10.0.0.1>10.9.9.9 17/0/0 1p 52o 1000.0-1000.0 forced",
			"1001: 10.0.0.1>10.9.9.9 17/7/53 1p 28o 1001.0-1001.0 forced",
		}},
		{"at the end", []at{{1000, part(1, 0, 32, true)}, {1001, udp("10.0.0.1", 7, 0)}}, []string{
			"1001: 10.0.0.1>10.9.9.9 17/7/53 2p 80o 1000.0-1001.0 forced",
		}},
		{"IPv6", []at{{1000, v6(part(0x10001, 32, 64, false))}, {1001, v6(part(0x10001, 0, 32, true))}, {1002, v6(part(1, 0, 32, true))}}, []string{
			"1002: 2001:db8::1>2001:db8::2 17/7/53 3p 240o 1000.0-1002.0 forced",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, m := meterOver(both, c.list...)
			if d := gocmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if m.sets.count != 0 || m.flows.count != 0 {
				t.Errorf("%d sets, %d flows left", m.sets.count, m.flows.count)
			}
		})
	}
}

// TestFragmentFlood has more sets than are kept.
func TestFragmentFlood(t *testing.T) {
	o := usual
	o.MaxFlows = 10
	var list []at
	for i := range 50 {
		p := udp("10.0.0.1", 7, 0)
		p.ID, p.More = uint32(i), true
		list = append(list, at{1000, p})
	}
	got, m := meterOver(o, list...)
	if want := []string{"1000: 10.0.0.1>10.9.9.9 17/7/53 50p 1400o 1000.0-1000.0 forced"}; !slices.Equal(got, want) || m.Incomplete != 50 {
		t.Errorf("%q, %d incomplete", got, m.Incomplete)
	}
}

func TestMemoryLimit(t *testing.T) {
	o := usual
	o.MaxFlows = 2
	got, _ := meterOver(o, at{1000, udp("10.0.0.1", 1, 0)}, at{1001, udp("10.0.0.2", 1, 0)}, at{1002, udp("10.0.0.1", 1, 0)}, at{1003, udp("10.0.0.3", 1, 0)})
	want := []string{
		"1003: 10.0.0.2>10.9.9.9 17/1/53 1p 28o 1001.0-1001.0 resources",
		"1003: 10.0.0.1>10.9.9.9 17/1/53 2p 56o 1000.0-1002.0 forced",
		"1003: 10.0.0.3>10.9.9.9 17/1/53 1p 28o 1003.0-1003.0 forced",
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNarrowCounters(t *testing.T) {
	for _, narrow := range []bool{true, false} {
		o := usual
		o.Narrow, o.Wire = narrow, true
		var r recorder
		m := NewMeter(o, &r)
		data := udp("10.0.0.1", 1, 0).Frame().Ethernet()
		for i := range 3 {
			m.Packet(&pcap.Packet{Data: data, Len: 1 << 31, Time: int64(1000+i) * second, Link: pcap.Ethernet})
		}
		m.Flush()
		want := []string{"1002: 10.0.0.1>10.9.9.9 17/1/53 3p 6442450944o 1000.0-1002.0 forced"}
		if narrow {
			want = []string{
				"1001: 10.0.0.1>10.9.9.9 17/1/53 1p 2147483648o 1000.0-1000.0 active",
				"1002: 10.0.0.1>10.9.9.9 17/1/53 1p 2147483648o 1001.0-1001.0 active",
				"1002: 10.0.0.1>10.9.9.9 17/1/53 1p 2147483648o 1002.0-1002.0 forced",
			}
		}
		if d := gocmp.Diff(want, r.lines); d != "" {
			t.Error(d)
		}
	}
}

func TestKeys(t *testing.T) {
	base := udp("10.0.0.1", 1, 0)
	tos := base
	tos.TOS = 9
	frames := [][]byte{base.Frame().Ethernet(), tos.Frame().Ethernet(), base.Frame().Tag(pcaptest.VLAN, 5).Ethernet(), base.Frame().Tag(pcaptest.VLAN, 0).Ethernet(),
		append([]byte{9}, base.Frame().Ethernet()[1:]...)}
	for _, c := range []struct {
		keys Keys
		want int
	}{{0, 1}, {KeyTOS, 2}, {KeyVLAN, 3}, {KeyMAC, 2}, {KeyIf, 2}, {KeyTOS | KeyVLAN | KeyMAC | KeyIf, 10}} {
		o := usual
		o.Keys = c.keys
		var r recorder
		m := NewMeter(o, &r)
		for i := range uint32(2) {
			for _, data := range frames {
				m.Packet(&pcap.Packet{Data: data, Len: len(data), Time: 1000 * second, Link: pcap.Ethernet, IfIndex: i + 1})
			}
		}
		m.Flush()
		if len(r.flows) != c.want {
			t.Errorf("keys %b: %d flows, want %d", c.keys, len(r.flows), c.want)
		}
	}
}

func TestSamplingAndInterfaces(t *testing.T) {
	o := usual
	o.Sample = 3
	o.Interface = func(p *pcap.Packet) (uint32, uint32) {
		if p.Dir == pcap.Out {
			return 0, p.IfIndex
		}
		return p.IfIndex, 0
	}
	var r recorder
	m := NewMeter(o, &r)
	for i := range 10 {
		data := udp("10.0.0.1", 1+i/6, 0).Frame().Ethernet()
		m.Packet(&pcap.Packet{Data: data, Len: len(data), Time: 1000 * second, Link: pcap.Ethernet, IfIndex: 4, Dir: []pcap.Direction{pcap.In, pcap.Out}[i/6]})
	}
	m.Flush()
	if len(r.flows) != 2 || r.flows[0].Packets != 2 || r.flows[1].Packets != 1 || m.Skipped != 7 || m.Packets != 10 || m.Counted != 3 {
		t.Errorf("%q, %d skipped of %d", r.lines, m.Skipped, m.Packets)
	}
	if f := r.flows[0]; f.In != 4 || f.Out != 0 || f.Outgoing {
		t.Errorf("incoming: %+v", f)
	}
	if f := r.flows[1]; f.In != 0 || f.Out != 4 || !f.Outgoing {
		t.Errorf("outgoing: %+v", f)
	}
}

func TestTick(t *testing.T) {
	var r recorder
	m := NewMeter(usual, &r)
	m.Tick(1000 * second)
	data := udp("10.0.0.1", 1, 0).Frame().Ethernet()
	m.Packet(&pcap.Packet{Data: data, Len: len(data), Time: 999_900 * second / 1000, Link: pcap.Ethernet}) // a little late out of the ring
	m.Tick(1064 * second)
	if len(r.lines) != 0 {
		t.Errorf("too early: %q", r.lines)
	}
	m.Tick(1066 * second)
	if want := "1065: 10.0.0.1>10.9.9.9 17/1/53 1p 28o 999.9-999.9 idle"; len(r.lines) != 1 || r.lines[0] != want {
		t.Errorf("%q, want %q", r.lines, want)
	}
}

// model is what the specification says, in as few words as possible: a map, scanned in full every so often.
type model struct {
	o     Options
	flows map[Key]*modelFlow
	now   int64 // seconds
	next  int64
	lines []string
}

type modelFlow struct {
	key             Key
	packets, octets uint64
	first, last     int64
	seen            int64
}

func (m *model) packet(t int64, key Key, octets int) {
	if m.flows == nil {
		m.flows, m.next = map[Key]*modelFlow{}, t+m.o.Scan
	}
	for ; m.next <= t; m.next += m.o.Scan {
		m.now = m.next
		m.end(func(f *modelFlow) Reason {
			switch {
			case m.now-f.seen > m.o.Idle:
				return ReasonIdle
			case f.last-f.first > m.o.Active:
				return ReasonActive
			}
			return ReasonNone
		})
	}
	m.now = t
	f := m.flows[key]
	if f == nil {
		f = &modelFlow{key: key, first: t}
		m.flows[key] = f
	}
	f.packets++
	f.octets += uint64(octets)
	f.last, f.seen = t, t
}

func (m *model) end(why func(*modelFlow) Reason) {
	var ended []*modelFlow
	reasons := map[*modelFlow]Reason{}
	for _, f := range m.flows {
		if r := why(f); r != ReasonNone {
			ended = append(ended, f)
			reasons[f] = r
			delete(m.flows, f.key)
		}
	}
	slices.SortFunc(ended, func(a, b *modelFlow) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.key.Src[1], b.key.Src[1]), cmp.Compare(a.key.Ports, b.key.Ports))
	})
	for _, f := range ended {
		m.lines = append(m.lines, fmt.Sprintf("%d: %d %d %d %d %d-%d %s", m.now, f.key.Src[1], f.key.Ports>>16, f.packets, f.octets, f.first, f.last, reasons[f]))
	}
}

// TestAgainstModel compares random traffic, with pauses, with the model.
func TestAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := usual
		o.Idle, o.Active, o.Scan = 1+r.Int64N(20), 1+r.Int64N(40), 1+r.Int64N(7)
		o.Bulk, o.Seed = 100, seed
		var rec recorder
		m, want := NewMeter(o, &rec), &model{o: o}
		now := int64(1_700_000_000)
		hosts := 1 + r.IntN(60)
		for range 5000 {
			switch r.IntN(400) {
			case 0:
				now += r.Int64N(100)
			case 1:
				now += r.Int64N(100000)
			default:
				now += r.Int64N(40) / 38
			}
			host := 1 + r.IntN(hosts)
			p := udp(fmt.Sprintf("10.0.%d.%d", host/250, host%250), 1+r.IntN(3), r.IntN(50))
			data := p.Frame().Ethernet()
			m.Packet(&pcap.Packet{Data: data, Len: len(data), Time: now * second, Link: pcap.Ethernet})
			key := Key{Src: addrOf(p.Src), Dst: addrOf(p.Dst), Version: 4, Proto: 17, Ports: be.Uint32(p.Payload)}
			want.packet(now, key, 20+len(p.Payload))
		}
		m.Flush()
		want.end(func(*modelFlow) Reason { return ReasonForced })
		var got []string
		for i, f := range rec.flows {
			got = append(got, fmt.Sprintf("%d: %d %d %d %d %d-%d %s", rec.times[i]/second, f.Src[1], f.Ports>>16, f.Packets, f.Octets, f.First/second, f.Last/second, f.Reason))
		}
		if d := gocmp.Diff(want.lines, got); d != "" {
			t.Fatalf("seed %d: %.3000s", seed, d)
		}
		if len(got) < 20 {
			t.Errorf("seed %d: only %d flows", seed, len(got))
		}
	}
}

// TestTable compares the hash table with a map, and its order with a list.
func TestTable(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	tab := newTable(64, 99)
	index := map[Key]uint32{}
	var order []uint32
	forget := func(i uint32) { order = slices.DeleteFunc(order, func(x uint32) bool { return x == i }) }
	for step := range 20000 {
		key := Key{Src: Addr{0, uint64(r.IntN(3000))}, Ports: uint32(r.IntN(2)), Version: 4 + uint8(r.IntN(2))*2, VLAN: uint16(r.IntN(2)), Tagged: true}
		i, h := tab.find(&key)
		if want := index[key]; i != want {
			t.Fatalf("step %d: found %d, want %d", step, i, want)
		}
		switch {
		case i == 0:
			i = tab.insert(&key, h)
			index[key] = i
			order = append(order, i)
		case r.IntN(2) == 0:
			tab.remove(i)
			delete(index, key)
			forget(i)
		default:
			tab.touch(i, tab.at(i), int64(step))
			forget(i)
			order = append(order, i)
		}
	}
	if tab.count != len(index) || tab.count < 1000 {
		t.Errorf("%d entries, want %d", tab.count, len(index))
	}
	var got []uint32
	for i := tab.oldest; i != 0; i = tab.at(i).newer {
		got = append(got, i)
	}
	if !slices.Equal(got, order) {
		t.Error("the order is not that of the last touch")
	}
}

// TestSeed shows that the result does not depend on the hash.
func TestSeed(t *testing.T) {
	run := func(seed uint64) []string {
		o := usual
		o.Seed, o.IPv6 = seed, true
		var r recorder
		m := NewMeter(o, &r)
		for i, data := range pcaptest.Frames(pcap.Ethernet, 4000) {
			m.Packet(&pcap.Packet{Data: data, Len: len(data), Time: 1000*second + int64(i)*second/20, Link: pcap.Ethernet})
		}
		m.Flush()
		return r.lines
	}
	a, b := run(1), run(0xdeadbeef12345678)
	if d := gocmp.Diff(a, b); d != "" || len(a) < 500 {
		t.Errorf("%d flows, %.2000s", len(a), d)
	}
}

// packets are those of the demo capture, in memory.
func packets(tb testing.TB) []pcap.Packet {
	in, err := os.Open("../../testdata/demo.pcap")
	if err != nil {
		tb.Fatal(err)
	}
	defer in.Close()
	f, err := pcap.NewFile(in)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var list []pcap.Packet
	var p pcap.Packet
	for f.Next(&p) == nil {
		p.Data = slices.Clone(p.Data)
		list = append(list, p)
	}
	return list
}

func TestDemoCapture(t *testing.T) {
	var r recorder
	o := usual
	o.IPv6 = true
	m := NewMeter(o, &r)
	octets := uint64(0)
	for _, p := range packets(t) {
		m.Packet(&p)
		if ether := be.Uint16(p.Data[12:]); ether == pcaptest.IPv4 {
			octets += uint64(be.Uint16(p.Data[16:]))
		} else if ether == pcaptest.IPv6 {
			octets += uint64(be.Uint16(p.Data[18:])) + 40
		}
	}
	m.Flush()
	sum := Protocol{}
	for _, p := range m.Protocols {
		sum.Flows += p.Flows
		sum.Packets += p.Packets
		sum.Octets += p.Octets
	}
	if sum.Packets != m.Counted || sum.Octets != octets || sum.Flows != uint64(len(r.flows)) || m.Counted+m.NotIP != m.Packets {
		t.Errorf("flows hold %+v, counters are %+v, octets %d", sum, m.Counters, octets)
	}
	if !strings.Contains(strings.Join(r.lines, "\n"), "10.20.0.11>10.20.0.1 17/") {
		t.Error("no DNS query of 10.20.0.11")
	}
}

func TestPacketAllocatesNothing(t *testing.T) {
	list := packets(t)
	m := NewMeter(Options{Skip: -1, IPv6: true, Idle: 60, Active: 300, Fragment: 30, Scan: 5, End: true}, nobody{})
	for i := range list {
		m.Packet(&list[i])
	}
	if n := testing.AllocsPerRun(20, func() {
		for i := range list {
			list[i].Time = m.now
			m.Packet(&list[i])
		}
	}); n != 0 {
		t.Errorf("%v allocations in %d packets", n, len(list))
	}
}

func FuzzMeter(f *testing.F) {
	for i, data := range pcaptest.Frames(pcap.Ethernet, 20) {
		f.Add(data, data, int64(i)*second*30, uint8(i))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, pause int64, bits uint8) {
		var r recorder
		o := Options{Skip: -1, IPv6: bits&1 != 0, End: bits&2 != 0, Narrow: bits&4 != 0, Keys: Keys(bits >> 4), MaxFlows: int(bits>>3) & 1, Idle: 10, Active: 20, Fragment: 5, Scan: 1}
		m := NewMeter(o, &r)
		now := int64(1000) * second
		for i := range 6 {
			data := a
			if i%2 == 1 {
				data = b
			}
			m.Packet(&pcap.Packet{Data: data, Len: len(data), Time: now, Link: pcap.Ethernet})
			now += pause % (1 << 50)
		}
		m.Flush()
		sum := uint64(0)
		for _, x := range r.flows {
			sum += x.Packets
		}
		if sum != m.Counted || m.Size() != 0 {
			t.Errorf("%d packets in flows, %d counted, %d flows left", sum, m.Counted, m.Size())
		}
	})
}

type nobody struct{}

func (nobody) Flow(*Flow, int64) {}
func (nobody) Tick(int64)        {}

// BenchmarkPacket counts the packets of a capture in memory, over and over.
func BenchmarkPacket(b *testing.B) {
	list := packets(b)
	m := NewMeter(Options{Skip: -1, IPv6: true, Idle: 60, Active: 300, Fragment: 30, Scan: 5}, nobody{})
	span := list[len(list)-1].Time - list[0].Time + second
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p := &list[i]
		m.Packet(p)
		p.Time += span
		if i++; i == len(list) {
			i = 0
		}
	}
}

// BenchmarkManyFlows spreads packets over a table of half a million flows.
func BenchmarkManyFlows(b *testing.B) {
	const flows = 500_000
	m := NewMeter(Options{Skip: -1, Idle: 60, Active: 300, Fragment: 30, Scan: 5, Bulk: 10000, Seed: 7}, nobody{})
	data := udp("10.0.0.1", 1, 20).Frame().Ethernet()
	p := pcap.Packet{Data: data, Len: len(data), Time: 1000 * second, Link: pcap.Ethernet}
	next := uint32(0)
	packet := func() {
		next = next*1664525 + 1013904223
		be.PutUint32(data[26:], next>>8%flows)
		p.Time += 1000 // a million a second
		m.Packet(&p)
	}
	for range 2 * flows {
		packet()
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		packet()
	}
}
