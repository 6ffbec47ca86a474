package dscan

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cdate"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// detector returns a detector for version 5 flows and what it reports.
func detector(c Config) (*Detector, *[]string) {
	var said []string
	d := New(c, flowtest.Layout(5, 0), cdate.UTC(), func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	return d, &said
}

func record(src, dst uint32, port uint64) flow.Record {
	l := flowtest.Layout(5, 0)
	r := make(flow.Record, l.Size)
	l.PutUint(r, flow.UnixSecs, 1500000000)
	l.PutUint(r, flow.SrcAddr, uint64(src))
	l.PutUint(r, flow.DstAddr, uint64(dst))
	l.PutUint(r, flow.DstPort, port)
	return r
}

// The alert comes with the flow that would make the list longer than allowed,
// once.
func TestHostScan(t *testing.T) {
	for _, depth := range []uint32{0, 1, 2, 50, 255} {
		d, said := detector(Config{Depth: depth, Ports: 64})
		first := 0
		for i := range 600 {
			d.Flow(record(1, uint32(1000+i), 5000))
			if first == 0 && len(*said) > 0 {
				first = i + 1
			}
		}
		if want := int(max(depth, 1)) + 1; first != want || len(*said) != 1 || !strings.HasPrefix((*said)[0], "host scan: ip=0.0.0.1 ts=1500000000 start=0714.02:40:00.0   ") {
			t.Errorf("depth %d: alert at flow %d, want %d: %q", depth, first, want, *said)
		}
	}
	d, said := detector(Config{Depth: 256, Ports: 64})
	for i := range 70000 {
		d.Flow(record(1, uint32(i), 5000))
	}
	if len(*said) != 0 {
		t.Errorf("depth 256: %q", *said)
	}
}

func TestPortScan(t *testing.T) {
	for _, ports := range []uint32{0, 1, 2, 64, 1024} {
		d, said := detector(Config{Depth: 200, Ports: ports})
		first := 0
		for i := range 1024 {
			d.Flow(record(1, 2, uint64(i)))
			if first == 0 && len(*said) > 0 {
				first = i + 1
			}
		}
		if want := int(max(ports, 2)); first != want || len(*said) != 1 {
			t.Errorf("ports %d: alert at flow %d, want %d: %q", ports, first, want, *said)
		}
	}
	d, said := detector(Config{Depth: 200, Ports: 3})
	for _, port := range []uint64{80, 80, 80, 1024, 9000, 443, 443} {
		d.Flow(record(1, 2, port))
	}
	if len(*said) != 0 {
		t.Errorf("two ports: %q", *said)
	}
}

func TestTriggers(t *testing.T) {
	d, said := detector(Config{Depth: 200, Ports: 64, Octets: 100, Pkts: 10, Millis: 1000})
	r := record(0x0a000001, 0x0a000002, 80)
	for f, v := range map[flow.Field]uint64{flow.DOctets: 101, flow.DPkts: 10, flow.Last: 1001, flow.TCPFlags: 0x1a, flow.Prot: 6, flow.SrcPort: 1234, flow.Input: 3} {
		d.layout.PutUint(r, f, v)
	}
	d.Flow(r)
	want := []string{
		"Start             End                Sif SrcIPaddress      SrcP  DIf DstIPaddress      DstP   P Fl       Pkts     Octets",
		"0714.02:40:00.0   ", "0714.02:40:01.1   ",
		"   3 10.0.0.1          1234    0 10.0.0.2            80   6  2         10        101",
	}
	want = append(want, want[1:]...)
	if diff := cmp.Diff(want, *said); diff != "" {
		t.Error(diff)
	}
}

// Whatever is not seen for long is forgotten, a bucket's share at a time.
func TestAger(t *testing.T) {
	d, said := detector(Config{Depth: 200, Ports: 64, MaxAge: 5000})
	for i := range 300 {
		d.Flow(record(uint32(i)<<16, 1, 5000))
	}
	for d.flows < 200000 { // the ager runs with flows that bring something new
		src := uint32(7) << 16
		if (d.flows+1)%agerEvery == 0 {
			src = 1<<31 | d.flows
		}
		d.Flow(record(src, 1, 5000))
	}
	left := 0
	for _, s := range d.buckets {
		for ; s != nil; s = s.next {
			left++
		}
	}
	// Of the first sources only the one that kept talking is left, and of the
	// later ones those that the run over the buckets has not come to again.
	if !cmp.Equal(*said, []string{"ager: reset hash run"}) || left < 2 || left > 250 || d.find(7<<16) == nil || d.find(8<<16) != nil {
		t.Errorf("%d sources left, %q", left, *said)
	}
}

// model is the detector as its specification words it, without any index.
type model struct {
	c       Config
	buckets map[uint32][]*modelSource // newest first
	n       uint32
	cursor  uint32
	said    []string
}

type modelSource struct {
	addr, depth, flags uint32
	dests              []*modelDest
}

type modelDest struct {
	addr, time uint32
	ports      map[uint64]bool
}

func (m *model) flow(src, dst uint32, port uint64) {
	m.n++
	b := (src >> 16) ^ (src & 0xffff)
	var s *modelSource
	for _, one := range m.buckets[b] {
		if one.addr == src {
			s = one
		}
	}
	enter := func() {
		d := &modelDest{dst, m.n, map[uint64]bool{}}
		if port < 1024 {
			d.ports[port] = true
		}
		s.dests = append(s.dests, d)
		s.depth++
	}
	switch {
	case s == nil:
		s = &modelSource{addr: src}
		m.buckets[b] = append([]*modelSource{s}, m.buckets[b]...)
		enter()
	case s.flags != 0:
		return
	default:
		for _, d := range s.dests {
			if d.addr != dst {
				continue
			}
			d.time = m.n
			if port < 1024 {
				d.ports[port] = true
				if len(d.ports) >= int(m.c.Ports) {
					m.said = append(m.said, fmt.Sprintf("port %x %x", src, dst))
					d.ports = map[uint64]bool{}
					s.flags = 2
				}
			}
			return
		}
		if s.depth%256 >= m.c.Depth {
			m.said = append(m.said, fmt.Sprintf("host %x", src))
			s.dests, s.depth, s.flags = nil, 0, 1
		} else {
			enter()
		}
	}
	if m.c.MaxAge != 0 && m.n%1000 == 0 {
		m.age()
	}
}

func (m *model) age() {
	for work := 0; ; m.cursor++ {
		if m.cursor > 65535 {
			m.cursor = 0
			m.said = append(m.said, "reset")
			return
		}
		var left []*modelSource
		for _, s := range m.buckets[m.cursor] {
			work += 2
			var dests []*modelDest
			for _, d := range s.dests {
				work++
				if m.n-d.time > m.c.MaxAge {
					s.depth--
				} else {
					dests = append(dests, d)
				}
			}
			if s.dests = dests; s.depth != 0 {
				left = append(left, s)
			}
		}
		m.buckets[m.cursor] = left
		if work++; work > 500 {
			return
		}
	}
}

// Random flows, with limits small and beyond what is ever reported: alerts and
// state are the model's.
func TestModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for _, c := range []Config{
		{Depth: 20, Ports: 5, MaxAge: 3000}, {Depth: 255, Ports: 30, MaxAge: 20000}, {Depth: 256, Ports: 64, MaxAge: 5000}, {Depth: 5000, Ports: 1000, MaxAge: 0},
	} {
		d, said := detector(c)
		m := model{c: c, buckets: map[uint32][]*modelSource{}}
		for i := range 60000 {
			if i%7000 == 0 { // a round over all buckets would take longer
				d.cursor, m.cursor = 0, 0
			}
			src, dst := rng.Uint32N(8)*rng.Uint32N(30), rng.Uint32N(3000)
			if rng.IntN(50) == 0 { // someone new: the ager's turn may come
				src = rng.Uint32()
			}
			port := rng.Uint64N(80) * rng.Uint64N(60)
			d.Flow(record(src, dst, port))
			m.flow(src, dst, port)
		}
		var got []string
		for _, line := range *said {
			var a, b [4]uint32
			switch {
			case strings.HasPrefix(line, "host scan"):
				fmt.Sscanf(line, "host scan: ip=%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3])
				line = fmt.Sprintf("host %x", a[0]<<24|a[1]<<16|a[2]<<8|a[3])
			case strings.HasPrefix(line, "port scan"):
				fmt.Sscanf(line, "port scan: src=%d.%d.%d.%d dst=%d.%d.%d.%d", &a[0], &a[1], &a[2], &a[3], &b[0], &b[1], &b[2], &b[3])
				line = fmt.Sprintf("port %x %x", a[0]<<24|a[1]<<16|a[2]<<8|a[3], b[0]<<24|b[1]<<16|b[2]<<8|b[3])
			case line == "ager: reset hash run":
				line = "reset"
			}
			got = append(got, line)
		}
		if diff := cmp.Diff(m.said, got); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
		var want, state strings.Builder
		for b := range uint32(65536) {
			for _, s := range m.buckets[b] {
				fmt.Fprintf(&want, "H %d %d %d %s\n", b, s.depth%256, s.flags, address(s.addr))
				for _, to := range s.dests {
					fmt.Fprintf(&want, "I  %d %s\n", to.time, address(to.addr))
					if ports := slices.Sorted(maps.Keys(to.ports)); len(ports) > 0 {
						fmt.Fprintf(&want, "P %d %s\n", len(ports), strings.Trim(fmt.Sprint(ports), "[]"))
					}
				}
			}
		}
		want.WriteString(".\n")
		if err := d.WriteState(&state); err != nil || state.String() != want.String() {
			t.Errorf("%+v: %v, states differ: %d octets, want %d", c, err, state.Len(), want.Len())
		}
	}
}

func TestSuppress(t *testing.T) {
	d, said := detector(Config{Depth: 1, Ports: 64})
	list := "# comment\n\n \t10.0.0.1 - - -\n10.0.0.1 6 1 2\n10.0.0.9 6 1\n- - - -\n10.0.0.3 6 80 \n"
	if err := d.ReadSuppress(0, strings.NewReader(list), nil); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"suppress parser: dup ip: 10.0.0.1 6 1 2\n", "suppress parser: syntax error: 10.0.0.9 6 1\n", "suppress parser: no src ip wildcard",
	}
	if diff := cmp.Diff(want, *said); diff != "" {
		t.Error(diff)
	}
	for _, src := range []uint32{0x0a000001, 0x0a000003, 0x0a000009} {
		for dst := range uint32(5) {
			d.Flow(record(src, dst, 80))
		}
	}
	if len(*said) != 4 || !strings.HasPrefix((*said)[3], "host scan: ip=10.0.0.9") {
		t.Errorf("%q", *said)
	}
}

const state = "H 1 2 0 0.0.0.1\nI  3 172.21.0.10\nP 3 1 2 1023\nI  4 172.21.0.99\nH 2 0 1 0.0.0.2\n.\n"

func TestState(t *testing.T) {
	d, said := detector(Config{})
	if err := d.ReadState(strings.NewReader(state)); err != nil || len(*said) != 0 {
		t.Fatal(err, *said)
	}
	var out bytes.Buffer
	if err := d.WriteState(&out); err != nil || out.String() != state {
		t.Errorf("%v\n%s", err, out.String())
	}
	for bad, want := range map[string]string{
		"X": "Unknown record type: X", " H": "Unknown record type:  ", "I 1 1.1.1.1\n.": "destination without a source",
		"H 65536 1 0 0.0.0.1\n.": "no bucket 65536", "H -1 1 0 0.0.0.1\n.": "no bucket -1",
		"H 1 1 0 0.0.0.1\nP 1 1\n.": "ports without a destination", "H 1 1": "unexpected EOF", "H " + strings.Repeat("9", 100): "word too long",
	} {
		d, _ := detector(Config{})
		if err := d.ReadState(strings.NewReader(bad)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// What was read is written, and read and written again: the same text.
func FuzzState(f *testing.F) {
	f.Add(state)
	f.Add("H 60000 300 9 1.2.3\nI -1 x\nP 2 5 99999\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		write := func(in string) string {
			d, _ := detector(Config{})
			if d.ReadState(strings.NewReader(in)) != nil {
				return ""
			}
			var out bytes.Buffer
			if err := d.WriteState(&out); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		once := write(text)
		if once == "" {
			return
		}
		if twice := write(write(once)); twice != once { // each reading reverses the buckets
			t.Errorf("%q\n%q", once, twice)
		}
	})
}

func FuzzSuppress(f *testing.F) {
	f.Add("192.168.66.6 - - -\n# x\n10 6 80 \n")
	f.Fuzz(func(t *testing.T, text string) {
		d, _ := detector(Config{Debug: 9})
		if err := d.ReadSuppress(1, strings.NewReader(text), nil); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkFlow(b *testing.B) {
	l := flowtest.Layout(5, 0)
	all := flowtest.Traffic(l, 20000, 1)
	d, _ := detector(Config{Depth: 200, Ports: 64, MaxAge: 90000})
	b.ReportAllocs()
	for b.Loop() {
		for r := range all.All() {
			d.Flow(r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20000, "ns/record")
}
