package capture

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"flowtools/internal/capture/capturetest"
	"flowtools/internal/flowtest"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// journal is a transcript of several goroutines.
type journal struct {
	mu sync.Mutex
	transcript
}

func (j *journal) warn(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.transcript.warn(format, args...)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

// await waits for a condition.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
	}
}

// newClients serves clients on a port of its own.
func newClients(t *testing.T, c ClientsConfig) (*Clients, *journal) {
	t.Helper()
	j := &journal{}
	c.Warn = j.warn
	if c.Now == nil {
		c.Now = time.Now
	}
	all, err := ReserveClients(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(capturetest.FreePort(t))), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(all.Close)
	return all, j
}

func connect(t *testing.T, c *Clients) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", c.addr.Port()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestClientStream(t *testing.T) {
	comment := "a comment"
	for _, tc := range []struct {
		v     flow.Version
		order flow.Order
	}{{v(5, 0), flow.LittleEndian}, {v(5, 0), flow.BigEndian}, {v(7, 0), flow.LittleEndian}, {v(8, 3), flow.BigEndian}} {
		c, j := newClients(t, ClientsConfig{Max: 2, Output: streamio.Output{Level: 6, Order: tc.order, Comment: &comment}})
		if conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", c.addr.Port())); err == nil {
			conn.Close()
			t.Error("answers before the version is known")
		}
		l := flowtest.Layout(tc.v.Export, tc.v.Agg)
		c.Opened(time.Unix(1_700_000_000, 0))
		if err := c.Serve(l); err != nil {
			t.Fatal(err)
		}
		b := flowtest.Random(l, 100, 1)
		c.Write(b) // nobody is there
		conn := connect(t, c)
		await(t, "client", func() bool { return c.Stats().Here == 1 })
		var want []byte
		block := clientBlock / l.Size * l.Size
		for seed := range uint64(20) {
			b := flowtest.Random(l, 70, seed)
			want = append(want, b.Bytes()...)
			before := bytes.Clone(b.Bytes())
			c.Write(b)
			if !bytes.Equal(before, b.Bytes()) {
				t.Fatal("the batch was changed")
			}
		}
		r, err := ftfile.NewReader(conn) // the header comes at once
		if err != nil {
			t.Fatal(err)
		}
		h := r.Header()
		if h.Order() != tc.order || h.Flags != 0 || h.Start != 1_700_000_000 || h.End != 0 || h.Comments != comment || h.Hostname != Hostname() ||
			h.Has(ftfile.TagFlows) || h.Has(ftfile.TagLost) {
			t.Errorf("%v: %+v", tc.v, h)
		}
		var got []byte
		for len(got) < len(want)/block*block { // full blocks without waiting for the end
			b := r.Next()
			if b == nil {
				t.Fatalf("%v: %v after %d octets", tc.v, r.Err(), len(got))
			}
			got = append(got, b.Bytes()...)
		}
		c.Close()
		for b := range r.Batches() {
			got = append(got, b.Bytes()...)
		}
		if r.Err() != nil {
			t.Errorf("%v: %v", tc.v, r.Err())
		}
		if d := len(want) - len(got); !bytes.Equal(want, got) {
			t.Errorf("%v, %v: %d octets are missing, or they differ", tc.v, tc.order, d)
		}
		if out := j.text(); !strings.HasPrefix(out, "client connect: ip=127.0.0.1 time=") || strings.Contains(out, "\n") {
			t.Errorf("log:\n%s", out)
		}
		if s := c.Stats(); s.Connected != 1 || s.Here != 0 || s.Killed != 0 || s.Octets != uint64(h.Size+len(want)) {
			t.Errorf("%+v", s)
		}
	}
}

func TestClientLimits(t *testing.T) {
	dir := t.TempDir()
	deny := filepath.Join(dir, "deny")
	access := &Access{Service: "flow-capture-client", Allow: filepath.Join(dir, "allow"), Deny: deny, Warn: t.Logf}
	c, j := newClients(t, ClientsConfig{Max: 2, Access: access})
	if err := c.Serve(flowtest.Layout(5, 0)); err != nil {
		t.Fatal(err)
	}
	ended := func(conn net.Conn) {
		t.Helper()
		if b, err := io.ReadAll(conn); err == nil && len(b) != 0 {
			t.Errorf("%d octets for one who was refused", len(b))
		}
	}
	connect(t, c)
	await(t, "first client", func() bool { return c.Stats().Here == 1 })
	if err := os.WriteFile(deny, []byte("flow-capture-client: 127.0.0.1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ended(connect(t, c))
	if err := os.Remove(deny); err != nil {
		t.Fatal(err)
	}
	second := connect(t, c)
	await(t, "second client", func() bool { return c.Stats().Here == 2 })
	ended(connect(t, c))
	// One that resets its connection makes room at once.
	if err := second.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	second.Close()
	await(t, "room", func() bool { return c.Stats().Here == 1 })
	connect(t, c)
	await(t, "third client", func() bool { return c.Stats().Here == 2 })
	var got []string
	for line := range strings.Lines(j.text()) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " time=")
		line, _, _ = strings.Cut(line, " dtime=")
		got = append(got, line)
	}
	want := []string{
		"client connect: ip=127.0.0.1", "client 127.0.0.1 refused by libwrap", "client connect: ip=127.0.0.1",
		"Maximum clients exceeded, rejecting connection from 127.0.0.1", "Killed client: ip=127.0.0.1,", "client connect: ip=127.0.0.1",
	}
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("log:\n%s", strings.Join(got, "\n"))
	}
	if s := c.Stats(); s.Rejected != 2 || s.Killed != 1 || s.Connected != 3 {
		t.Errorf("%+v", s)
	}
}

// TestClientSlow: one client never reads, one reads everything. The slow one is
// dropped once its queue is full and costs the other nothing.
func TestClientSlow(t *testing.T) {
	clock := time.Unix(1_700_000_000, 0)
	var mu sync.Mutex
	c, j := newClients(t, ClientsConfig{Max: 5, Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }})
	l := flowtest.Layout(5, 0)
	if err := c.Serve(l); err != nil {
		t.Fatal(err)
	}
	slow := connect(t, c)
	if err := slow.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	fast := connect(t, c)
	await(t, "clients", func() bool { return c.Stats().Here == 2 })
	mu.Lock()
	clock = clock.Add(77 * time.Second)
	mu.Unlock()
	total := make(chan int)
	go func() {
		n, _ := io.Copy(io.Discard, fast)
		total <- int(n)
	}()
	b := flowtest.Random(l, 512, 1)
	sent := 0
	for c.Stats().Killed == 0 {
		c.Write(b)
		sent += len(b.Bytes())
		// The reader has to have a chance on a busy machine.
		for c.Stats().Octets < uint64(sent/2) && c.Stats().Killed == 0 && sent > 2<<20 {
			time.Sleep(time.Millisecond)
		}
		if sent > 256<<20 {
			t.Fatal("no client was dropped")
		}
	}
	if out := j.text(); !strings.HasSuffix(out, "Killed client: ip=127.0.0.1, dtime=77") {
		t.Errorf("log:\n%s", out)
	}
	if c.Stats().Here != 1 {
		t.Fatalf("%+v", c.Stats())
	}
	c.Write(b)
	sent += len(b.Bytes())
	c.Close()
	head, err := c.header()
	if err != nil {
		t.Fatal(err)
	}
	if n := <-total; n != sent+len(head) {
		t.Errorf("the other client got %d of %d octets", n, sent+len(head))
	}
}

// TestClientCloseStuck: ending does not wait for a client that does not read.
func TestClientCloseStuck(t *testing.T) {
	c, _ := newClients(t, ClientsConfig{Max: 1})
	c.patience = 50 * time.Millisecond
	l := flowtest.Layout(5, 0)
	if err := c.Serve(l); err != nil {
		t.Fatal(err)
	}
	connect(t, c)
	await(t, "client", func() bool { return c.Stats().Here == 1 })
	b := flowtest.Random(l, 512, 1)
	for range clientQueue {
		c.Write(b)
	}
	done := make(chan bool)
	go func() { c.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("waits for ever")
	}
}

// TestClientHalfClosed: a client that has nothing to say still listens.
func TestClientHalfClosed(t *testing.T) {
	c, j := newClients(t, ClientsConfig{Max: 1})
	l := flowtest.Layout(5, 0)
	if err := c.Serve(l); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, c)
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	await(t, "client", func() bool { return c.Stats().Here == 1 })
	time.Sleep(20 * time.Millisecond)
	c.Write(flowtest.Random(l, 100, 1))
	c.Close()
	if b, err := io.ReadAll(conn); err != nil || len(b) < 6400 {
		t.Errorf("%d octets, %v: %s", len(b), err, j.text())
	}
}

// TestClientPort: a port that is taken is found at the start.
func TestClientPort(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		taken, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skip(err)
		}
		defer taken.Close()
		udp := taken.Addr().(*net.TCPAddr).AddrPort()
		_, err = ReserveClients(udp, ClientsConfig{})
		if err == nil || !strings.HasPrefix(err.Error(), "bind(tcp ") || !strings.HasSuffix(err.Error(), "address already in use") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	var none *Clients
	none.Opened(time.Time{})
	none.Write(nil)
	none.Close()
	if err := none.Serve(nil); err != nil || none.Stats() != (ClientStats{}) {
		t.Error(err)
	}
}

func BenchmarkClients(b *testing.B) {
	for _, n := range []int{0, 1, 4} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c, err := ReserveClients(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(capturetest.FreePort(b))),
				ClientsConfig{Max: n, Now: time.Now, Warn: func(string, ...any) {}})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			l := flowtest.Layout(5, 0)
			if err := c.Serve(l); err != nil {
				b.Fatal(err)
			}
			for range n {
				conn, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", c.addr.Port()))
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				go func() { _, _ = io.Copy(io.Discard, conn) }()
			}
			for c.Stats().Here < n {
				time.Sleep(time.Millisecond)
			}
			batch := flowtest.Random(l, 30, 1)
			b.ReportAllocs()
			sent := uint64(0)
			for b.Loop() {
				c.Write(batch)
				for sent += uint64(n * len(batch.Bytes())); sent > c.Stats().Octets+4<<20; { // as fast as it is read
					time.Sleep(20 * time.Microsecond)
				}
			}
			if c.Stats().Here != n {
				b.Fatal("clients were dropped")
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*30), "ns/record")
		})
	}
}
