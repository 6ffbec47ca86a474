package emit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/probe"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

var be = binary.BigEndian

const ms = int64(time.Millisecond)

// clock is a wall clock for tests.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

var wall = time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)

func newClock() *clock { return &clock{now: wall} }

// flowAt is a flow between two times, in ns before (negative) or after wall.
func flowAt(n int, first, last time.Duration) *probe.Flow {
	return &probe.Flow{
		Key:     probe.Key{Version: 4, Proto: 17, Src: probe.Addr{0, uint64(n)}, Dst: probe.Addr{0, 0x0a000001}, Ports: 1000<<16 | 53},
		Packets: 3, Octets: 300, First: wall.Add(first).UnixNano(), Last: wall.Add(last).UnixNano(), In: 7, Out: 8, ToS: 1, TCPFlags: 2,
	}
}

// receiver is a collector that keeps what it gets.
type receiver struct {
	conn *net.UDPConn
	*Collector
}

func newReceiver(t *testing.T, kind string) *receiver {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c, err := ParseCollector(conn.LocalAddr().String() + "/127.0.0.1/" + kind)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Bind(netip.Addr{}), c.Open()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &receiver{conn, c}
}

// all returns the datagrams that have arrived.
func (r *receiver) all(t *testing.T) (list [][]byte) {
	t.Helper()
	buf := make([]byte, 65536)
	for {
		r.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := r.conn.Read(buf)
		if err != nil {
			return list
		}
		list = append(list, bytes.Clone(buf[:n]))
	}
}

func newEmitter(t *testing.T, c Config) *Emitter {
	t.Helper()
	if c.Now == nil {
		c.Now = newClock().Now
	}
	if c.Warn == nil {
		c.Warn = func(s string) { t.Error(s) }
	}
	e, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestVersions checks full datagrams, sizes and sequence numbers of the old versions.
func TestVersions(t *testing.T) {
	for _, c := range []struct{ version, max, header, record int }{{1, 24, 16, 48}, {5, 30, 24, 48}, {7, 27, 24, 52}} {
		r := newReceiver(t, "m")
		e := newEmitter(t, Config{Version: c.version, Collectors: []*Collector{r.Collector}, Sample: 100})
		n := 2*c.max + 1
		for i := range n {
			e.Flow(flowAt(i, -time.Minute, -time.Second), wall.UnixNano())
		}
		e.Flush(wall.UnixNano())
		e.Close()
		got := r.all(t)
		if len(got) != 3 {
			t.Fatalf("version %d: %d datagrams", c.version, len(got))
		}
		sequence := uint32(0)
		for i, d := range got {
			count := []int{c.max, c.max, 1}[i]
			h, err := netflow.Parse(d)
			if err != nil || len(d) != c.header+count*c.record {
				t.Errorf("version %d: datagram of %d octets: %v", c.version, len(d), err)
			}
			want := netflow.Header{Version: flow.Version{Export: uint16(c.version)}, Count: count, SysUptime: 1 << 20 * 1000, UnixSecs: uint32(wall.Unix()), UnixNsecs: 123456000}
			if c.version != 1 {
				want.Sequence = sequence
			}
			if c.version == 5 {
				want.Sampling = 1<<14 | 100
			}
			if d := cmp.Diff(want, h); d != "" {
				t.Errorf("version %d: %s", c.version, d)
			}
			sequence += uint32(count)
		}
		if e.Flows.Load() != uint64(n) || e.Datagrams.Load() != 3 || e.Errors.Load() != 0 || e.Queued.Load() != 0 {
			t.Errorf("counters: %d flows, %d datagrams, %d errors, %d waiting", e.Flows.Load(), e.Datagrams.Load(), e.Errors.Load(), e.Queued.Load())
		}
	}
}

// TestTypes mixes mirrors and collectors that take turns: each has sequence numbers of its own.
func TestTypes(t *testing.T) {
	m1, m2, r1, r2, r3 := newReceiver(t, "m"), newReceiver(t, ""), newReceiver(t, "r"), newReceiver(t, "r"), newReceiver(t, "r")
	e := newEmitter(t, Config{Version: 5, Collectors: []*Collector{r1.Collector, m1.Collector, r2.Collector, m2.Collector, r3.Collector}})
	for i := range 7 * 30 {
		e.Flow(flowAt(i, 0, 0), wall.UnixNano())
	}
	e.Close()
	for i, c := range []struct {
		r    *receiver
		want []int // first flows
	}{{m1, []int{0, 30, 60, 90, 120, 150, 180}}, {m2, []int{0, 30, 60, 90, 120, 150, 180}}, {r1, []int{0, 90, 180}}, {r2, []int{30, 120}}, {r3, []int{60, 150}}} {
		var got []int
		for j, d := range c.r.all(t) {
			got = append(got, int(be.Uint32(d[24:])))
			if seq := be.Uint32(d[16:]); seq != uint32(30*j) {
				t.Errorf("collector %d, datagram %d: sequence %d", i, j, seq)
			}
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("collector %d: %s", i, d)
		}
	}
}

// TestQuiet sends a datagram that is not full after 5 seconds without flows.
func TestQuiet(t *testing.T) {
	r := newReceiver(t, "m")
	e := newEmitter(t, Config{Version: 5, Collectors: []*Collector{r.Collector}})
	now := wall.UnixNano()
	e.Flow(flowAt(1, 0, 0), now)
	e.Tick(now + 4*second)
	e.Flow(flowAt(2, 0, 0), now+4*second)
	e.Tick(now + 8*second)
	if got := r.all(t); len(got) != 0 {
		t.Errorf("%d datagrams too early", len(got))
	}
	e.Tick(now + 9*second)
	e.Tick(now + 20*second)
	if got := r.all(t); len(got) != 1 || be.Uint16(got[0][2:]) != 2 {
		t.Errorf("got %x", got)
	}
	e.Close()
}

// TestTimes checks that a collector computes the true times, whatever they are.
func TestTimes(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name    string
		offline bool
		later   time.Duration // wall clock since the start
		flows   [][2]time.Duration
		clock   time.Duration // of the packets
		uptime  int64         // ms, 0: not checked
		now     time.Duration
	}{
		{name: "live", later: time.Hour, flows: [][2]time.Duration{{time.Hour - time.Minute, time.Hour}}, clock: time.Hour, uptime: 1<<20*1000 + 3600_000, now: time.Hour},
		{name: "live, older than the process", flows: [][2]time.Duration{{-day, 0}}, uptime: 1 << 20 * 1000},
		{name: "live, older than the base", flows: [][2]time.Duration{{-13 * day, 0}, {-time.Hour, 0}}, uptime: 13 * 86400_000},
		{name: "live, 49 days on: a new base", later: 49 * day, flows: [][2]time.Duration{{49*day - time.Minute, 49 * day}}, uptime: 1 << 20 * 1000, now: 49 * day},
		{name: "a recent file", offline: true, flows: [][2]time.Duration{{-2 * day, -2*day + time.Second}}, clock: -2*day + time.Minute, uptime: 1 << 20 * 1000},
		{name: "an old file", offline: true, flows: [][2]time.Duration{{-3000 * day, -3000*day + time.Second}, {-3000*day + 2*time.Second, -3000*day + 3*time.Second}},
			clock: -3000*day + time.Minute, uptime: 60_000, now: -3000*day + time.Minute},
		{name: "a file from the future", offline: true, flows: [][2]time.Duration{{3000 * day, 3000*day + time.Second}}, clock: 3000*day + time.Minute, uptime: 60_000, now: 3000*day + time.Minute},
		{name: "flows far apart do not share a datagram", offline: true, flows: [][2]time.Duration{{-3000 * day, -3000 * day}, {-2900 * day, -2900 * day}}, clock: -2900 * day},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newClock()
			var out bytes.Buffer
			stream, err := ftfile.NewWriter(&out, ftfile.NewHeader(flow.Version{Export: 5}, ftfile.FlagStreaming))
			if err != nil {
				t.Fatal(err)
			}
			e := newEmitter(t, Config{Version: 5, Now: w.Now, Offline: c.offline, Stream: stream, Exporter: 0x7f000001})
			w.add(c.later)
			for i, f := range c.flows {
				e.Flow(flowAt(i, f[0], f[1]), wall.Add(c.clock).UnixNano())
			}
			e.Flush(wall.Add(c.clock).UnixNano())
			if err := errors.Join(e.Err(), stream.Close()); err != nil {
				t.Fatal(err)
			}
			r, err := ftfile.NewReader(&out)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for b := range r.Batches() {
				l := b.Layout
				for rec := range b.All() {
					want := c.flows[n]
					for j, f := range []flow.Field{flow.First, flow.Last} {
						if got, want := int64(l.Millis(rec, f)), wall.Add(want[j]).UnixNano()/ms; got != want {
							t.Errorf("flow %d, %v: %d, want %d", n, f, got, want)
						}
					}
					if up := int64(l.Uint(rec, flow.SysUptime)); c.uptime != 0 && up != c.uptime {
						t.Errorf("flow %d: uptime %d, want %d", n, up, c.uptime)
					}
					if now := int64(l.Uint(rec, flow.UnixSecs)); c.uptime != 0 && now != wall.Add(c.now).Unix() {
						t.Errorf("flow %d: sent at %d, want %d", n, now, wall.Add(c.now).Unix())
					}
					if l.Uint(rec, flow.ExAddr) != 0x7f000001 || l.Uint(rec, flow.Input) != 7 || l.Uint(rec, flow.DOctets) != 300 {
						t.Errorf("record % x", rec)
					}
					n++
				}
			}
			if n != len(c.flows) {
				t.Errorf("%d records, want %d", n, len(c.flows))
			}
		})
	}
}

// TestLongFlow has a flow that lasts longer than uptime can say.
func TestLongFlow(t *testing.T) {
	r := newReceiver(t, "m")
	e := newEmitter(t, Config{Version: 5, Offline: true, Collectors: []*Collector{r.Collector}})
	e.Flow(flowAt(1, -100*24*time.Hour, 0), wall.UnixNano())
	e.Flush(wall.UnixNano())
	e.Close()
	got := r.all(t)
	if len(got) != 1 {
		t.Fatalf("%d datagrams", len(got))
	}
	last := int64(be.Uint32(got[0][8:]))*1000 + int64(be.Uint32(got[0][12:]))/1e6 - int64(be.Uint32(got[0][4:])) + int64(be.Uint32(got[0][24+28:]))
	if first := be.Uint32(got[0][24+24:]); first != 0 || last != wall.UnixNano()/ms {
		t.Errorf("first %d, last %d, want 0, %d", first, last, wall.UnixNano()/ms)
	}
}

// TestTemplates sends IPFIX to two collectors that take turns: each gets the templates first.
func TestTemplates(t *testing.T) {
	r1, r2 := newReceiver(t, "r"), newReceiver(t, "r")
	e := newEmitter(t, Config{Version: 10, Collectors: []*Collector{r1.Collector, r2.Collector}})
	for i := range 200 {
		e.Flow(flowAt(i, 0, 0), wall.UnixNano())
	}
	e.Flush(wall.UnixNano())
	e.Close()
	total := 0
	for _, r := range []*receiver{r1, r2} {
		list := r.all(t)
		for i, d := range list {
			if set := be.Uint16(d[16:]); len(d) > 1472 || (set == 2) != (i == 0) {
				t.Errorf("datagram %d of %d octets starts with set %d", i, len(d), set)
			}
		}
		total += len(list)
	}
	if total < 5 {
		t.Errorf("%d datagrams", total)
	}
}

// TestRefused counts datagrams that nobody takes and says so once.
func TestRefused(t *testing.T) {
	r := newReceiver(t, "m")
	r.conn.Close()
	var said []string
	w := newClock()
	e := newEmitter(t, Config{Version: 5, Now: w.Now, Collectors: []*Collector{r.Collector}, Warn: func(s string) { said = append(said, s) }})
	for i := range 30 * 20 {
		e.Flow(flowAt(i, 0, 0), wall.UnixNano())
	}
	e.Close()
	if e.Datagrams.Load() != 20 || e.Errors.Load() == 0 {
		t.Errorf("%d datagrams, %d errors", e.Datagrams.Load(), e.Errors.Load())
	}
	if len(said) == 0 || len(said) > 2 || !strings.Contains(said[0], "1 datagrams not delivered, the last one to 127.0.0.1:") || !strings.Contains(said[0], "refused") {
		t.Errorf("%q", said)
	}
}

// TestPace sends no faster than it is told to.
func TestPace(t *testing.T) {
	r := newReceiver(t, "m")
	e := newEmitter(t, Config{Version: 5, Collectors: []*Collector{r.Collector}, PaceBytes: 1464, PacePause: 20 * time.Millisecond})
	begin := time.Now()
	for i := range 30 * 5 {
		e.Flow(flowAt(i, 0, 0), wall.UnixNano())
	}
	e.Close()
	if d := time.Since(begin); d < 100*time.Millisecond {
		t.Errorf("5 datagrams in %v", d)
	}
	if n := len(r.all(t)); n != 5 {
		t.Errorf("%d datagrams", n)
	}
}

type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no room")
	}
	return len(p), nil
}

func TestStreamError(t *testing.T) {
	stream, err := ftfile.NewWriter(&full{room: 1000}, ftfile.NewHeader(flow.Version{Export: 5}, ftfile.FlagStreaming))
	if err != nil {
		t.Fatal(err)
	}
	e := newEmitter(t, Config{Version: 5, Stream: stream, Live: true})
	for i := range 60 {
		e.Flow(flowAt(i, 0, 0), wall.UnixNano())
	}
	if e.Err() == nil || !strings.Contains(e.Err().Error(), "no room") {
		t.Errorf("error %v", e.Err())
	}
}

func TestParseCollector(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"127.0.0.1:2055", "127.0.0.1:2055/0.0.0.0/m"},
		{"127.0.0.1:2055/127.0.0.2", "127.0.0.1:2055/127.0.0.2/m"},
		{"127.0.0.1:2055//r", "127.0.0.1:2055/0.0.0.0/r"},
		{"127.0.0.1:2055/127.0.0.3/m", "127.0.0.1:2055/127.0.0.3/m"},
		{"[::1]:2055//r", "[::1]:2055/::/r"},
		{"localhost:ntp", "127.0.0.1:123/0.0.0.0/m"},
		{"127.0.0.1", "error"},
		{"127.0.0.1:", "error"},
		{":2055", "error"},
		{"127.0.0.1:99999", "error"},
		{"127.0.0.1:0", "error"},
		{"127.0.0.1:nosuchservice", "error"},
		{"127.0.0.1:2055//x", "error"},
		{"127.0.0.1:2055/nonsense", "Illegal source address"},
		{"127.0.0.1:2055/::1", "Illegal source address"},
	} {
		got := "error"
		if p, err := ParseCollector(c.in); err == nil {
			if err := p.Bind(netip.Addr{}); err != nil {
				got = err.Error()
			} else {
				got = p.String()
			}
		}
		if got != c.want && !(c.in == "localhost:ntp" && got == "[::1]:123/::/m") {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
	c, err := ParseCollector("127.0.0.1:2055")
	if err != nil {
		t.Fatal(err)
	}
	if c.Bind(netip.MustParseAddr("192.0.2.1")); c.Open() == nil || !strings.HasPrefix(fmt.Sprint(c.Open()), "bind(): ") {
		t.Errorf("bound to an address that is not ours: %v", c.Open())
	}
}

func BenchmarkFlow(b *testing.B) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	c, err := ParseCollector(conn.LocalAddr().String())
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Open(); err != nil {
		b.Fatal(err)
	}
	e, err := New(Config{Version: 5, Collectors: []*Collector{c}, Now: time.Now, Warn: func(string) {}})
	if err != nil {
		b.Fatal(err)
	}
	f := flowAt(1, 0, 0)
	b.ReportAllocs()
	for b.Loop() {
		e.Flow(f, wall.UnixNano())
	}
	e.Close()
}
