package flowfanout

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/capture"
	"flowtools/internal/capture/capturetest"
	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/receive"
	"flowtools/internal/receive/receivetest"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// within runs a function with the Env of a tool, and returns what it wrote to
// standard error.
func within(t testing.TB, f func(env *cli.Env)) string {
	t.Helper()
	var stderr bytes.Buffer
	s := &cli.Spec{Name: "flow-fanout", Run: func(_ context.Context, env *cli.Env) error { f(env); return nil }}
	vars := map[string]string{"TZ": "UTC"}
	env := &cli.Env{Stderr: &stderr, LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	if code := cli.Exec(context.Background(), s, env, []string{"flow-fanout"}); code != 0 {
		t.Fatalf("status %d: %s", code, &stderr)
	}
	return stderr.String()
}

// sink keeps the PDUs that it is sent.
type sink struct{ pdus [][]byte }

func (s *sink) Try(datagram []byte, _ netip.Addr) error {
	s.pdus = append(s.pdus, bytes.Clone(datagram))
	return nil
}

func (s *sink) Close() error { return nil }

func (s *sink) take() [][]byte {
	pdus := s.pdus
	s.pdus = nil
	return pdus
}

const port = 9991

var receiver = netip.MustParseAddr("127.0.0.1")

func datagram(pdu []byte) capture.Datagram {
	return capture.Datagram{Src: exporter, Dst: receiver, Data: pdu}
}

func burst(pdus ...[]byte) *capture.Burst {
	b := capture.NewBurst(port)
	for _, p := range pdus {
		b.Datagrams = append(b.Datagrams, datagram(p))
	}
	return b
}

// parse is netflow.Parse of a PDU that is all right.
func parse(t testing.TB, pdu []byte) netflow.Header {
	t.Helper()
	h, err := netflow.Parse(pdu)
	if err != nil {
		t.Fatalf("%v: % x", err, pdu)
	}
	return h
}

// decode returns the records of PDUs in version v.
func decode(t testing.TB, v flow.Version, m netflow.Mode, pdus ...[]byte) *flow.Batch {
	t.Helper()
	d, err := netflow.NewDecoder(v, m)
	if err != nil {
		t.Fatal(err)
	}
	b := flow.NewBatch(d.Layout())
	for _, p := range pdus {
		h := parse(t, p)
		if err := d.Decode(b, &h, p, capture.AddrNumber(exporter)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// exportVersions are the versions that have PDUs.
func exportVersions() (list []flow.Version) {
	for _, v := range flow.Versions() {
		if v.Export != 1005 {
			list = append(list, v)
		}
	}
	return list
}

// model is what becomes of the flows of a PDU, slowly.
type model struct {
	version flow.Version // of the output
	as      *uint16
	mask    *uint32
	pass    func(l *flow.Layout, r flow.Record) bool
}

func (m *model) records(t testing.TB, pdu []byte) (kept []flow.Record) {
	t.Helper()
	in := decode(t, parse(t, pdu).Version, netflow.Compat, pdu)
	out := decode(t, m.version, netflow.Compat, pdu)
	l := out.Layout
	for r := range out.All() {
		if m.as != nil {
			for _, f := range []flow.Field{flow.SrcAS, flow.DstAS} {
				if in.Layout.Fields.Has(f) && l.Fields.Has(f) && l.Uint(r, f) == 0 {
					l.PutUint(r, f, uint64(*m.as))
				}
			}
		}
		if dst := l.Uint(r, flow.DstAddr); m.mask != nil && l.Version.Export != 8 && (dst < 0xE0000000 || dst > 0xEFFFFFFF) {
			l.PutUint(r, flow.DstAddr, dst&uint64(*m.mask))
			l.PutUint(r, flow.SrcAddr, l.Uint(r, flow.SrcAddr)&uint64(*m.mask))
		}
		if m.pass == nil || m.pass(l, r) {
			kept = append(kept, bytes.Clone(r))
		}
	}
	return kept
}

const filterFile = `filter-primitive tcp
  type ip-protocol
  permit 6
filter-primitive udp
  type ip-protocol
  permit @{proto:-17}
filter-definition tcp
  match ip-protocol tcp
filter-definition var
  match ip-protocol udp
filter-primitive one
  type as
  permit 1
filter-definition as
  match source-as one
`

func filterAt(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "filter.cfg")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRelay takes random PDUs of every version to every version they can be
// translated to, with all that can happen to flows on the way.
func TestRelay(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	path := filterAt(t, filterFile)
	for _, from := range exportVersions() {
		for _, to := range exportVersions() {
			if from != to && (from.Export == 8 || to.Export == 8) {
				continue
			}
			as, mask := uint16(65001), uint32(0xFFFFFF00)
			o, m := &options{}, &model{version: to}
			if from != to || rnd.IntN(2) == 0 {
				o.version = &to
			}
			if rnd.IntN(2) == 0 {
				o.zeroAS, m.as = &as, &as
			}
			if rnd.IntN(2) == 0 {
				o.mask, m.mask = &mask, &mask
			}
			if flowtest.Layout(to.Export, to.Agg).Fields.Has(flow.Prot) && rnd.IntN(2) == 0 {
				o.rules.Filter = capture.Rule{File: path, Name: "tcp"}
				m.pass = func(l *flow.Layout, r flow.Record) bool { return l.Uint(r, flow.Prot) == 6 }
			}
			name := fmt.Sprintf("%v to %v, %+v", from, to, *o)
			log := within(t, func(env *cli.Env) { relayOne(t, name, env, o, m, from, rnd) })
			if n := strings.Count(log, "\n"); n != 1 || !strings.HasPrefix(log, "flow-fanout: New exporter: ") {
				t.Errorf("%s: %s", name, log)
			}
		}
	}
}

// unconnected returns a relay without sockets.
func unconnected(o *options, env *cli.Env) *relay {
	r := newRelay(o, env, nil)
	r.receiver = receive.New(env, program, nil, r.intake)
	return r
}

func relayOne(t *testing.T, name string, env *cli.Env, o *options, m *model, from flow.Version, rnd *rand.Rand) {
	r := unconnected(o, env)
	s := &sink{}
	r.fan.add("", s, false)
	if o.version != nil {
		if err := r.fix(*o.version); err != nil {
			t.Fatal(err)
		}
	}
	_, most, err := netflow.WireLayout(from)
	if err != nil {
		t.Fatal(err)
	}
	_, room, err := netflow.WireLayout(m.version)
	if err != nil {
		t.Fatal(err)
	}
	sequence := uint32(0)
	received := uint32(0)
	for _, n := range []int{1, 0, most, 3, most, rnd.IntN(most)} {
		pdu := capturetest.PDU(from, n, received)
		received += uint32(n)
		vary(pdu, from, rnd)
		if err := r.take(burst(pdu)); err != nil {
			t.Fatal(err)
		}
		want := m.records(t, pdu)
		got := s.take()
		if len(got) != (len(want)+room-1)/room {
			t.Errorf("%s: %d PDUs of %d flows", name, len(got), len(want))
		}
		for i, p := range got {
			h := parse(t, p)
			if h.Version != m.version || h.Count != min(room, len(want)-i*room) {
				t.Fatalf("%s: %d flows of version %v in PDU %d of %d flows", name, h.Count, h.Version, i, len(want))
			}
			if m.version.Export != 1 && h.Sequence != sequence {
				t.Errorf("%s: sequence %d, want %d", name, h.Sequence, sequence)
			}
			sequence += uint32(h.Count)
			b := decode(t, m.version, netflow.Exact, p)
			for j, r := range want[i*room:][:h.Count] {
				compare(t, name, b.Layout, b.At(j), r)
			}
		}
	}
}

// vary makes what rules look for frequent in a random PDU.
func vary(pdu []byte, v flow.Version, rnd *rand.Rand) {
	l, _, err := netflow.WireLayout(v)
	if err != nil {
		panic(err)
	}
	h, err := netflow.Parse(pdu)
	if err != nil {
		panic(err)
	}
	for i := range h.Count {
		r := flow.Record(pdu[h.Size()+i*l.Size:][:l.Size])
		for f, v := range map[flow.Field]uint64{flow.Prot: 6, flow.SrcAS: 0, flow.DstAS: 0, flow.DstAddr: 0xE0000001} {
			if rnd.IntN(2) == 0 && l.Fields.Has(f) {
				l.PutUint(r, f, v)
			}
		}
	}
}

// compare holds a record that was sent against the one before encoding.
func compare(t *testing.T, name string, l *flow.Layout, got, want flow.Record) {
	t.Helper()
	for f := range l.Fields.All() {
		switch {
		case f == flow.InEncaps || f == flow.OutEncaps || f == flow.PeerNextHop:
			continue
		case f == flow.Prot && l.Version == flow.Version{Export: 8, Agg: 8}:
			continue // sent as 0
		case (f == flow.Input || f == flow.Output) && l.Version == flow.Version{Export: 8, Agg: 10}:
			continue
		}
		if g, w := l.Uint(got, f), l.Uint(want, f); g != w {
			t.Fatalf("%s: %v is %#x, want %#x", name, f, g, w)
		}
	}
}

// TestBoundaries: flows of two PDUs never share one, whatever would fit.
func TestBoundaries(t *testing.T) {
	v5 := flow.Version{Export: 5}
	within(t, func(env *cli.Env) {
		r := unconnected(&options{}, env)
		s := &sink{}
		r.fan.add("", s, false)
		if err := r.take(burst(capturetest.PDU(v5, 1, 0), capturetest.PDU(v5, 1, 0), []byte("junk"), capturetest.PDU(v5, 0, 2), capturetest.PDU(v5, 30, 2))); err != nil {
			t.Fatal(err)
		}
		var counts []int
		for _, p := range s.take() {
			counts = append(counts, parse(t, p).Count)
		}
		if d := cmp.Diff([]int{1, 1, 30}, counts); d != "" {
			t.Error(d)
		}
	})
}

// TestRules: the filter is read with the first PDU, and with the next one after
// a HUP.
func TestRules(t *testing.T) {
	v5 := flow.Version{Export: 5}
	path := filterAt(t, filterFile)
	three := func(seq uint32) *capture.Burst { // protocols 6, 17, 6
		pdu := capturetest.PDU(v5, 3, seq)
		for i, p := range []byte{6, 17, 6} {
			pdu[24+48*i+38] = p
		}
		return burst(pdu)
	}
	log := within(t, func(env *cli.Env) {
		o := &options{version: &v5}
		if err := o.setVariable("proto=17"); err != nil {
			t.Fatal(err)
		}
		o.rules.Filter = capture.Rule{File: path, Name: "tcp"}
		r := unconnected(o, env)
		s := &sink{}
		r.fan.add("", s, false)
		if err := r.fix(v5); err != nil {
			t.Fatal(err)
		}
		r.signal(syscall.SIGHUP) // nothing to read again yet
		count := func(b *capture.Burst, want int) {
			t.Helper()
			if err := r.take(b); err != nil {
				t.Fatal(err)
			}
			got := 0
			for _, p := range s.take() {
				got += parse(t, p).Count
			}
			if got != want {
				t.Errorf("%d flows, want %d", got, want)
			}
		}
		count(three(0), 2)
		o.rules.Filter.Name = "var"
		count(three(3), 2)
		r.signal(syscall.SIGHUP)
		count(burst([]byte("junk")), 0)
		count(three(6), 1)
		if n := r.intake.Exporter().Dropped; n != 4 {
			t.Errorf("%d flows dropped, want 4", n)
		}
		if err := os.WriteFile(path, []byte("nonsense"), 0o644); err != nil {
			t.Fatal(err)
		}
		count(three(9), 1)
		r.signal(syscall.SIGHUP)
		if err := r.take(three(12)); err == nil || !strings.HasSuffix(err.Error(), "ftfil_load("+path+"): failed") {
			t.Errorf("a file that is no filter file: %v", err)
		}
	})
	var got []string
	for _, line := range strings.Split(log, "\n") {
		if line = strings.TrimPrefix(line, "flow-fanout: "); strings.HasPrefix(line, "SIG") || strings.HasPrefix(line, "Load") {
			got = append(got, line)
		}
	}
	if d := cmp.Diff([]string{"SIGHUP", "SIGHUP", "Loading filters.", "SIGHUP", "Loading filters."}, got); d != "" {
		t.Error(d)
	}
}

// listener passes bursts on until it is stopped, those it has got before
// included, like a capture.Listener; it ends with in.
func listener(in <-chan *capture.Burst, out chan<- *capture.Burst, stop <-chan struct{}) {
	for stopped := false; !stopped; {
		select {
		case b := <-in:
			out <- b
		case <-stop:
			stopped = true
		}
	}
	close(out)
	for range in {
	}
}

// run runs the loop of a relay in a bubble where time is free, and what drive
// does with it beside. It returns the messages, with the bubble's time since the
// start before each.
func run(t *testing.T, o *options, to []sender, drive func(bursts chan<- *capture.Burst, signals chan<- os.Signal, cancel context.CancelFunc)) (log string, took time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var lines strings.Builder
		within(t, func(env *cli.Env) {
			env.Log = func(text string) {
				fmt.Fprintf(&lines, "%v %s\n", time.Since(start), text)
			}
			signals := make(chan os.Signal)
			r := newRelay(o, env, signals)
			for _, s := range to {
				r.fan.add("", s, false)
			}
			if o.version != nil {
				if err := r.fix(*o.version); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			in, bursts := make(chan *capture.Burst), make(chan *capture.Burst)
			stopped, driven := make(chan struct{}), make(chan struct{})
			source := &receivetest.Source{Bursts: bursts, OnStop: func() { close(stopped) }}
			r.receiver = receive.New(env, program, source, r.intake)
			go listener(in, bursts, stopped)
			go func() {
				defer close(driven)
				drive(in, signals, cancel)
			}()
			err = r.loop(ctx, r.receiver.Start())
			took = time.Since(start)
			source.Stop()
			for range bursts {
			}
			<-driven
			close(in)
		})
		log = lines.String()
	})
	return log, took, err
}

// TestStatistics: the lines come at the minutes they should.
func TestStatistics(t *testing.T) {
	v5 := flow.Version{Export: 5}
	o := &options{stat: 7}
	o.rules.Filter = capture.Rule{File: filterAt(t, filterFile), Name: "tcp"}
	pdu := capturetest.PDU(v5, 3, 0)
	for i, p := range []byte{6, 17, 6} {
		pdu[24+48*i+38] = p
	}
	slow := &fake{full: syscall.ENOBUFS}
	log, _, err := run(t, o, []sender{slow}, func(bursts chan<- *capture.Burst, _ chan<- os.Signal, cancel context.CancelFunc) {
		time.Sleep(8 * time.Minute)
		bursts <- burst(pdu)
		time.Sleep(time.Millisecond / 2)
		slow.give(endless)
		bursts <- burst(pdu)
		time.Sleep(7 * time.Minute)
		cancel()
	})
	if err != nil {
		t.Fatal(err)
	}
	// The bubble begins at 2000-01-01 00:00:00 UTC.
	want := `8m0s New exporter: time=946685280 src_ip=192.0.2.1 dst_ip=127.0.0.1 d_version=5
8m0.0005s ftpdu_seq_check(): src_ip=192.0.2.1 dst_ip=127.0.0.1 d_version=5 expecting=3 received=0 lost=4294967292
14m0s STAT: now=946685640 startup=946684800 src_ip=192.0.2.1 dst_ip=127.0.0.1 d_ver=5 pkts=2 flows=6 lost=0 reset=1 filter_drops=2 send_nobufs=2
`
	if d := cmp.Diff(want, log); d != "" {
		t.Error(d)
	}
	if len(slow.got) != 2 {
		t.Errorf("%d datagrams", len(slow.got))
	}
}

// TestEnd: signals and a cancelled context end the loop at once when there is
// nothing to do.
func TestEnd(t *testing.T) {
	for _, tc := range []struct {
		signal os.Signal
		want   string
	}{{syscall.SIGTERM, "1s SIGTERM\n"}, {syscall.SIGQUIT, "1s SIGQUIT\n"}, {nil, ""}} {
		log, took, err := run(t, &options{}, []sender{&sink{}}, func(_ chan<- *capture.Burst, signals chan<- os.Signal, cancel context.CancelFunc) {
			time.Sleep(time.Second)
			if tc.signal != nil {
				signals <- tc.signal
			} else {
				cancel()
			}
		})
		if log != tc.want || took != time.Second || err != nil {
			t.Errorf("%v: after %v: %q, %v", tc.signal, took, log, err)
		}
	}
}

// TestEndWhileSlow: a destination that is behind gets some time to the end, and
// no more.
func TestEndWhileSlow(t *testing.T) {
	v5 := flow.Version{Export: 5}
	slow, recovers := &fake{full: syscall.EAGAIN}, &fake{full: syscall.EAGAIN}
	log, took, err := run(t, &options{}, []sender{slow, recovers}, func(bursts chan<- *capture.Burst, signals chan<- os.Signal, _ context.CancelFunc) {
		bursts <- burst(capturetest.PDU(v5, 2, 0), capturetest.PDU(v5, 2, 2))
		synctest.Wait()
		signals <- syscall.SIGTERM
		time.Sleep(time.Second)
		recovers.give(10)
	})
	want := `0s New exporter: time=946684800 src_ip=192.0.2.1 dst_ip=127.0.0.1 d_version=5
0s SIGTERM
2s send(j=0): 2 datagrams not sent, the destination does not keep up
`
	if log != want || took != grace || err != nil {
		t.Errorf("after %v: %s%v", took, log, err)
	}
	if len(slow.got) != 0 || len(recovers.got) != 2 {
		t.Errorf("%d and %d datagrams", len(slow.got), len(recovers.got))
	}
}

// TestDelay: -x comes after each datagram to each destination, and does not make
// the program deaf.
func TestDelay(t *testing.T) {
	v5 := flow.Version{Export: 5}
	a, b := &sink{}, &sink{}
	_, took, err := run(t, &options{delay: 250_000}, []sender{a, b}, func(bursts chan<- *capture.Burst, signals chan<- os.Signal, _ context.CancelFunc) {
		bursts <- burst(capturetest.PDU(v5, 2, 0), capturetest.PDU(v5, 2, 2), capturetest.PDU(v5, 2, 4))
		signals <- syscall.SIGTERM
	})
	if took != 1500*time.Millisecond || len(a.pdus) != 3 || len(b.pdus) != 3 || err != nil {
		t.Errorf("%d and %d datagrams in %v, %v", len(a.pdus), len(b.pdus), took, err)
	}
	log, took, err := run(t, &options{delay: 10_000_000}, []sender{a}, func(bursts chan<- *capture.Burst, signals chan<- os.Signal, _ context.CancelFunc) {
		bursts <- burst(capturetest.PDU(v5, 2, 0), capturetest.PDU(v5, 2, 2))
		time.Sleep(time.Second)
		signals <- syscall.SIGHUP
		signals <- syscall.SIGTERM
	})
	if took != time.Second+grace || len(a.pdus) != 4 || err != nil || !strings.HasSuffix(log, "\n1s SIGHUP\n1s SIGTERM\n") {
		t.Errorf("%d datagrams in %v, %v: %s", len(a.pdus), took, err, log)
	}
	_, took, err = run(t, &options{delay: 10_000_000}, []sender{a}, func(bursts chan<- *capture.Burst, _ chan<- os.Signal, cancel context.CancelFunc) {
		bursts <- burst(capturetest.PDU(v5, 2, 0))
		time.Sleep(time.Second)
		cancel()
	})
	if took != time.Second+grace || err != nil {
		t.Errorf("%v, %v", took, err)
	}
}

// TestLoopFails: rules that cannot be used end the loop.
func TestLoopFails(t *testing.T) {
	path := filterAt(t, filterFile)
	for _, tc := range []struct {
		rule    capture.Rule
		version uint16
		want    string
	}{
		{capture.Rule{File: "/no/such/file", Name: "tcp"}, 5, "ftfil_load(/no/such/file): failed"},
		{capture.Rule{File: path, Name: "none"}, 5, "ftfil_def_find(none): failed"},
		{capture.Rule{File: path, Name: "as"}, 1, "Filter references a field not in flow."},
	} {
		o := &options{}
		o.rules.Filter = tc.rule
		_, _, err := run(t, o, []sender{&sink{}}, func(bursts chan<- *capture.Burst, _ chan<- os.Signal, _ context.CancelFunc) {
			bursts <- burst(capturetest.PDU(flow.Version{Export: tc.version}, 2, 0))
		})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v", tc.rule, err)
		}
	}
}

// TestTakeAllocations: no memory is asked for per datagram.
func TestTakeAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates by itself")
	}
	for _, v := range []flow.Version{{Export: 1}, {Export: 5}, {Export: 7}, {Export: 8, Agg: 5}} {
		within(t, func(env *cli.Env) {
			r, b := loaded(t, env, v)
			if n := testing.AllocsPerRun(2*window/burstSize, func() {
				if err := r.take(b); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("version %v: %v allocations a burst", v, n)
			}
		})
	}
}

const burstSize = 64

// loaded returns a relay that has everything to do, and a burst of full PDUs for
// it.
func loaded(t testing.TB, env *cli.Env, v flow.Version) (*relay, *capture.Burst) {
	as, mask := uint16(65001), uint32(0xFFFFFF00)
	o := &options{zeroAS: &as, mask: &mask}
	_, most, err := netflow.WireLayout(v)
	if err != nil {
		t.Fatal(err)
	}
	if flowtest.Layout(v.Export, v.Agg).Fields.Has(flow.Prot) {
		o.rules.Filter = capture.Rule{File: filterAt(t, filterFile), Name: "tcp"}
	}
	r := unconnected(o, env)
	r.fan.add("", discard{}, false)
	r.fan.add("", discard{}, false)
	b := capture.NewBurst(port)
	rnd := rand.New(rand.NewPCG(5, 6))
	for i := range burstSize {
		pdu := capturetest.PDU(v, most, uint32(i*most))
		if v.Export != 1 {
			pdu[20] = 1 // one engine, but no sequence to complain of
			pdu[21] = byte(i)
			copy(pdu[16:20], []byte{0, 0, 0, 0})
		}
		vary(pdu, v, rnd)
		b.Datagrams = append(b.Datagrams, datagram(pdu))
	}
	// The same sequence numbers again and again are messages, at first.
	env.Log = func(string) {}
	for range 100 {
		if err := r.take(b); err != nil {
			t.Fatal(err)
		}
	}
	return r, b
}

func BenchmarkTake(b *testing.B) {
	v5 := flow.Version{Export: 5}
	for name, f := range map[string]func(*relay){
		"plain": func(r *relay) { r.privacy, r.pipeline, r.intake.ZeroAS = nil, nil, nil },
		"all":   func(*relay) {},
	} {
		b.Run(name, func(b *testing.B) {
			within(b, func(env *cli.Env) {
				r, burst := loaded(b, env, v5)
				f(r)
				b.ReportAllocs()
				b.ResetTimer()
				n := 0
				for b.Loop() {
					if err := r.take(burst); err != nil {
						b.Fatal(err)
					}
					n += burstSize * 30
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/flow")
			})
		})
	}
}
