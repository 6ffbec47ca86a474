//go:build linux

package rig

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"flowtools/internal/capture/capturetest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

func TestMain(m *testing.M) {
	Main()
	Isolate()
	os.Exit(m.Run())
}

// short are the scenarios that are enough for go test -short, which is for the
// race detector: those in which most happens at once.
var short = []string{"rotation", "signals", "clients"}

// TestScenarios runs every scenario in its light form.
func TestScenarios(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	traffic := ring(t)
	for _, s := range Scenarios() {
		t.Run(s.Name, func(t *testing.T) {
			if testing.Short() && !slices.Contains(short, s.Name) {
				t.Skip("not with -short")
			}
			if s.Name == "overload" && os.Getenv("FT_RIG") != "1" {
				t.Skip("hard on its neighbours: with FT_RIG=1, or scripts/reliability")
			}
			if s.Name != "overload" {
				t.Parallel()
			}
			p := Program{Name: "flow-capture", Path: self}
			b := &Bench{Capture: p, Self: p, Dir: t.TempDir(), Traffic: traffic, Seed: rand.Uint64(), Say: t.Logf}
			t.Logf("seed %d", b.Seed)
			switch err := s.Execute(t.Context(), b); {
			case errors.Is(err, ErrSkip):
				t.Skip(err)
			case err != nil:
				t.Fatal(err)
			}
			for _, f := range b.Figures {
				t.Logf("%s: %s", f.What, f.Value)
			}
			if len(b.Failures) > 0 {
				t.Fail() // said as they happened
			}
		})
	}
}

func ring(t testing.TB) *Traffic {
	t.Helper()
	traffic, err := NewTraffic(1)
	if err != nil {
		t.Fatal(err)
	}
	return traffic
}

// listen opens a socket with as much of a receive buffer as anybody may have.
func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	in, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	if err := in.SetReadBuffer(212992); err != nil {
		t.Fatal(err)
	}
	return in
}

// TestTraffic: what Put makes is decoded into flows that Number knows.
func TestTraffic(t *testing.T) {
	traffic := ring(t)
	e := Engine{Type: 3, ID: 4, Next: ringPDUs*PDUFlows - 60}
	dec, err := netflow.NewDecoder(V5, netflow.Compat)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 123_456_789)
	batch := flow.NewBatch(dec.Layout())
	for range 5 { // round the ring
		first := e.Next
		pdu := traffic.Put(make([]byte, slotSize), &e, now)
		h, err := netflow.Parse(pdu)
		if err != nil {
			t.Fatal(err)
		}
		if h.Count != 30 || h.Sequence != first || h.EngineType != 3 || h.EngineID != 4 || h.UnixSecs != 1_700_000_000 || h.UnixNsecs != 123_456_789 {
			t.Errorf("%+v", h)
		}
		batch.Reset()
		if err := dec.Decode(batch, &h, pdu, 0x7F000001); err != nil {
			t.Fatal(err)
		}
		for i := range batch.Len() {
			if n, ok := traffic.Number(batch.At(i)); n != first+uint32(i) || !ok {
				t.Errorf("flow %d is %d, %v", first+uint32(i), n, ok)
			}
		}
		batch.At(7)[17]++ // srcaddr, or whatever is there
		if _, ok := traffic.Number(batch.At(7)); ok {
			t.Error("a flow that was altered goes unnoticed")
		}
	}
}

// TestSocket: what is added arrives, in order and from where it says, with and
// without segmentation.
func TestSocket(t *testing.T) {
	for _, segment := range []bool{false, true} {
		in := listen(t)
		if err := in.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		s, err := NewSocket(in.LocalAddr().(*net.UDPAddr).AddrPort(), segment)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		type datagram struct {
			length int
			source netip.Addr
		}
		var sent []datagram
		for i := range 2 * maxBatch {
			// Runs of one length and source, and of several; empty ones.
			d := datagram{length: []int{1464, 1464, 100, 2048, 0}[i/7%5]}
			if i/11%2 == 1 {
				d.source = loopback(0x50000 + i/3)
			}
			if d.length >= 2 {
				binary.BigEndian.PutUint16(s.Slot(), uint16(i))
			}
			if err := s.Add(d.length, d.source); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, d)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		if s.Datagrams != uint64(len(sent)) || s.Refused != 0 {
			t.Errorf("segment %v: %d sent, %d refused", segment, s.Datagrams, s.Refused)
		}
		buf := make([]byte, 4096)
		for i, want := range sent {
			n, from, err := in.ReadFromUDPAddrPort(buf)
			if err != nil {
				t.Fatal(err)
			}
			if !want.source.IsValid() {
				want.source = netip.MustParseAddr("127.0.0.1")
			}
			if got := (datagram{n, from.Addr()}); got != want {
				t.Errorf("segment %v: datagram %d: %v, want %v", segment, i, got, want)
			}
			if n >= 2 && int(binary.BigEndian.Uint16(buf)) != i {
				t.Errorf("segment %v: datagram %d is number %d", segment, i, binary.BigEndian.Uint16(buf))
			}
		}
	}
}

// TestLoad: the flows come numbered, at about the rate asked for, from all
// engines; gaps are where they are said to be.
func TestLoad(t *testing.T) {
	in := listen(t)
	to := in.LocalAddr().(*net.UDPAddr).AddrPort()
	q, err := NewQueue(to.Port())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	q.limit, q.skip = 32<<10, 0
	l := &Load{To: to, Flows: 30 * 1000, Engines: Exporters(3, 2), Wait: true, queue: q, Traffic: ring(t), Gap: 10}
	done := make(chan error, 1)
	go func() { done <- l.Run(context.Background()) }()
	next := map[Stream]uint32{}
	missing := uint64(0)
	buf := make([]byte, 4096)
	for range 1000 {
		n, from, err := in.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatal(err)
		}
		h, err := netflow.Parse(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		e := Engine{Source: from.Addr(), Type: h.EngineType, ID: h.EngineID}
		missing += uint64(h.Sequence - next[e.Stream()])
		next[e.Stream()] = h.Sequence + uint32(h.Count)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(next) != 6 || l.Sent() != 30*1000 || missing != l.Skipped || missing == 0 {
		t.Errorf("%d engines, %d sent, %d missing, %d skipped", len(next), l.Sent(), missing, l.Skipped)
	}
	for i := range l.Engines {
		if e := &l.Engines[i]; next[e.Stream()] != e.Next {
			t.Errorf("%v: %d, want %d", e, next[e.Stream()], e.Next)
		}
	}
	if n := l.SentBy(time.Now()); n != l.Sent() {
		t.Errorf("%d sent by now, of %d", n, l.Sent())
	}
	if n := l.SentBy(l.began.Add(-time.Second)); n != 0 {
		t.Errorf("%d sent before the beginning", n)
	}
	if st, err := q.State(); err != nil || st.Octets != 0 || st.Drops != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestQueue: drops are seen.
func TestQueue(t *testing.T) {
	in := listen(t)
	to := in.LocalAddr().(*net.UDPAddr).AddrPort()
	q, err := NewQueue(to.Port())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := in.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	l := &Load{To: to, Flows: 30 * 1000, Segment: true, Traffic: ring(t)}
	if err := l.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	st, err := q.State()
	if err != nil || st.Octets == 0 || st.Drops == 0 || st.Drops >= 1000 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := in.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	received := uint64(0)
	for ; ; received++ {
		if _, _, err := in.ReadFromUDPAddrPort(buf); err != nil {
			break
		}
	}
	if received+st.Drops != 1000 {
		t.Errorf("%d received, %d dropped, 1000 sent", received, st.Drops)
	}
	in.Close()
	if _, err := q.State(); !errors.Is(err, errNotBound) {
		t.Errorf("closed: %v", err)
	}
}

// TestAudit: the audit finds what is wrong with files.
func TestAudit(t *testing.T) {
	traffic := ring(t)
	dec, err := netflow.NewDecoder(V5, netflow.Compat)
	if err != nil {
		t.Fatal(err)
	}
	e := Engine{Source: netip.MustParseAddr("127.1.0.1"), Type: 1, ID: 2}
	// batch returns the flows of the PDUs with the given numbers.
	batch := func(pdus ...uint32) *flow.Batch {
		b := flow.NewBatch(dec.Layout())
		for _, n := range pdus {
			x := e
			x.Next = n * PDUFlows
			pdu := traffic.Put(make([]byte, slotSize), &x, time.Unix(1_700_000_000, 0))
			h, err := netflow.Parse(pdu)
			if err == nil {
				err = dec.Decode(b, &h, pdu, 0x7F010001)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return b
	}
	write := func(dir, name string, b *flow.Batch, change func(h *ftfile.Header)) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		h := ftfile.NewHeader(V5, 0)
		h.Mark(ftfile.TagFlows, ftfile.TagLost)
		w, err := ftfile.NewWriter(f, h, ftfile.Level(1))
		if err == nil {
			err = w.Write(b)
		}
		h.Flags |= ftfile.FlagDone
		h.Flows, h.Lost = uint32(b.Len()), 5
		if change != nil {
			change(h)
		}
		if err == nil {
			err = w.Finish(h)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const one, two, three = "ft-v05.2026-11-23.120000+0000", "ft-v05.2026-11-23.130000+0000", "tmp-v05.2026-11-23.140000+0000"
	for _, tc := range []struct {
		name     string
		make     func(dir string)
		problems string
		missing  uint64 // of 5 PDUs
		double   uint64
		altered  uint64
		open     int
	}{
		{name: "all well", make: func(dir string) {
			write(dir, one, batch(0, 1, 2), nil)
			write(dir, two, batch(3, 4), nil)
		}},
		{name: "in the order of names or not", make: func(dir string) {
			write(dir, two, batch(0, 1, 2), nil)
			write(dir, one, batch(4, 3), nil)
		}},
		{name: "missing", make: func(dir string) {
			write(dir, one, batch(1), nil)
			write(dir, two, batch(3), nil)
		}, missing: 90},
		{name: "double", make: func(dir string) {
			write(dir, one, batch(0, 1, 2, 2), nil)
			write(dir, two, batch(2, 3, 4), nil)
		}, double: 60},
		{name: "altered", make: func(dir string) {
			b := batch(0, 1, 2, 3, 4)
			b.At(33)[20] ^= 1
			write(dir, one, b, nil)
		}, missing: 1, altered: 1},
		{name: "open", make: func(dir string) {
			write(dir, one, batch(0, 1, 2), nil)
			write(dir, three, batch(3, 4), func(h *ftfile.Header) { h.Flags = 0 })
		}, open: 1},
		{name: "not complete by its header", make: func(dir string) {
			write(dir, one, batch(0, 1, 2, 3, 4), func(h *ftfile.Header) { h.Flags = 0 })
		}, problems: one + ": its header says that it is not complete", open: 1},
		{name: "wrong count", make: func(dir string) {
			write(dir, one, batch(0, 1, 2, 3, 4), func(h *ftfile.Header) { h.Flows-- })
		}, problems: one + ": 150 flows, its header says 149"},
		{name: "cut", make: func(dir string) {
			write(dir, one, batch(0, 1, 2, 3, 4), nil)
			info, err := os.Stat(filepath.Join(dir, one))
			if err == nil {
				err = os.Truncate(filepath.Join(dir, one), info.Size()-1)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, problems: one + ": "},
		{name: "no header", make: func(dir string) {
			write(dir, one, batch(0, 1, 2, 3, 4), nil)
			if err := os.WriteFile(filepath.Join(dir, two), []byte("nonsense"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, problems: two + ": ftiheader_read(): Warning, bad magic number", open: 1},
		{name: "strange name", make: func(dir string) {
			write(dir, "ft-v05.;rm", batch(0, 1, 2, 3, 4), nil)
		}, problems: "ft-v05.;rm is no name of a capture file"},
	} {
		dir := t.TempDir()
		tc.make(dir)
		a, err := Inspect(dir, traffic)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		n := a.Of(&e)
		if got := strings.Join(a.Problems, "; "); !strings.HasPrefix(got, tc.problems) || tc.problems == "" && got != "" {
			t.Errorf("%s: problems %q, want %q", tc.name, got, tc.problems)
		}
		if m := n.Missing(150); m != tc.missing || n.Double != tc.double || a.Altered != tc.altered || a.Open() != tc.open {
			t.Errorf("%s: %d missing, %d double, %d altered, %d open", tc.name, m, n.Double, a.Altered, a.Open())
		}
	}
}

// TestJudge: our opinion on garbage is the one of the package under test.
func TestJudge(t *testing.T) {
	g := garbage{rand.New(rand.NewPCG(1, 2))}
	buf := make([]byte, slotSize)
	fates := map[string]int{}
	for range 200_000 {
		d := buf[:g.put(buf)]
		f := judge(d)
		h, err := netflow.Parse(d)
		got := fate{flows: h.Count}
		if err != nil {
			got = fate{reason: err.(netflow.Reason).Label()}
		} else if h.Version.Export == 8 {
			got = fate{reason: "translation"}
		}
		if got != f {
			t.Fatalf("%+v, the package says %+v: % x", f, got, d[:min(len(d), 32)])
		}
		fates[f.reason]++
	}
	for _, reason := range []string{"", "short", "version", "agg_version", "agg_method", "count", "length", "translation"} {
		if fates[reason] < 200 {
			t.Errorf("%q: %d of 200000", reason, fates[reason])
		}
	}
}

// TestCalls: the reading of system calls finds what is not allowed.
func TestCalls(t *testing.T) {
	harmless := `12 execve("/bin/flow-capture", ["flow-capture", "-D"], 0x1) = 0
12 openat(AT_FDCWD, "/etc/hosts", O_RDONLY|O_CLOEXEC) = 3
12 readlinkat(AT_FDCWD, "/proc/self/exe", "/bin/flow-capture", 128) = 17
12 openat(AT_FDCWD, "/dev/null", O_RDWR) = 3
12 openat(AT_FDCWD, "tmp-v05.x", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0644) = 5
13 renameat(AT_FDCWD, "tmp-v05.x", AT_FDCWD, "ft-v05.x") = 0
13 execve("../program", ["../program", "ft-v05.x"], 0x1) = 0
13 openat(AT_FDCWD, "../program.log", O_WRONLY|O_CREAT|O_APPEND, 0666) = 3
13 execve("/usr/bin/date", ["date"], 0x1) = 0
`
	for _, tc := range []struct{ more, want string }{
		{"", ""},
		{"12 openat(AT_FDCWD, \"/etc/x\", O_WRONLY|O_CREAT, 0644) = 5\n", "it changes /etc/x"},
		{"12 openat(AT_FDCWD, \"../x\", O_RDWR, 0644) = 5\n", "it changes /work/x"},
		{"14 renameat(AT_FDCWD, \"tmp-v05.y\", AT_FDCWD, \"../../etc/y\") = 0\n", "it changes /etc/y"},
		{"14 mkdirat(AT_FDCWD, \"/work/other\", 0755) = 0\n", "it changes /work/other"},
		{"14 unlinkat(AT_FDCWD, \"/work/w2/x\", 0) = 0\n", "it changes /work/w2/x"},
		{"14 execve(\"/bin/sh\", [\"sh\", \"-c\", \"x\"], 0x1) = 0\n", "it runs execve(\"/bin/sh\""},
	} {
		name := filepath.Join(t.TempDir(), "calls")
		if err := os.WriteFile(name, []byte(harmless+tc.more), 0o644); err != nil {
			t.Fatal(err)
		}
		b := &Bench{Capture: Program{Path: "/bin/flow-capture"}, Say: func(string, ...any) {}}
		if _, err := b.calls(name, "/work/w"); err != nil {
			t.Fatal(err)
		}
		got := strings.Join(b.Failures, "; ")
		if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%q: %q, want %q", tc.more, got, tc.want)
		}
	}
}

func TestNfcapdFlows(t *testing.T) {
	log := NewTranscript()
	log.take(strings.NewReader("x\nIdent: 'none' Flows: 12, Packets: 3\nIdent: 'none' Flows: 30, Packets: 3\n"))
	if n, err := nfcapdFlows(log); n != 42 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func BenchmarkLoad(b *testing.B) {
	traffic := ring(b)
	for _, segment := range []bool{false, true} {
		b.Run(fmt.Sprintf("segment=%v", segment), func(b *testing.B) {
			port := capturetest.FreePort(b)
			l := &Load{
				To:    netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)), // nobody listens
				Flows: uint64(b.N) * PDUFlows, Segment: segment, Traffic: traffic,
			}
			b.ReportAllocs()
			b.ResetTimer()
			if err := l.Run(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkNumber is what the audit costs for each flow.
func BenchmarkNumber(b *testing.B) {
	traffic := ring(b)
	records := bytes.Clone(traffic.want)
	size := traffic.layout.Size
	for i := range len(records) / size {
		binary.LittleEndian.PutUint32(records[i*size+traffic.octets:], uint32(i))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := traffic.Number(records[i : i+size]); !ok {
			b.Fatal("altered")
		}
		if i += size; i == len(records) {
			i = 0
		}
	}
}
