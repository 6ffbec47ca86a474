package flowfanout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fake is a sender with room for some datagrams.
type fake struct {
	mu     sync.Mutex
	room   int   // datagrams that still fit
	full   error // when there is none; EAGAIN or ENOBUFS
	broken error // of every send
	got    []string
	closed bool
}

func (f *fake) Try(datagram []byte, src netip.Addr) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.broken != nil:
		return f.broken
	case f.room == 0:
		return f.full
	}
	f.room--
	f.got = append(f.got, string(datagram)+" "+src.String())
	return nil
}

// give makes room while something is sent.
func (f *fake) give(room int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = room
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// transcript collects messages.
type transcript struct{ lines []string }

func (tr *transcript) warn(format string, args ...any) {
	tr.lines = append(tr.lines, fmt.Sprintf(format, args...))
}

func (tr *transcript) take() string {
	s := strings.Join(tr.lines, "\n")
	tr.lines = nil
	return s
}

func newFan(to ...*fake) (*fan, *transcript, *clock) {
	tr, c := &transcript{}, &clock{time.Unix(1_700_000_000, 0)}
	f := &fan{now: c.now, warn: tr.warn}
	for _, s := range to {
		f.add("", s, false)
	}
	return f, tr, c
}

var (
	exporter = netip.MustParseAddr("192.0.2.1")
	nowhere  = netip.Addr{}
)

const endless = 1 << 30

func TestFanSources(t *testing.T) {
	a, b := &fake{room: endless}, &fake{room: endless}
	f, _, _ := newFan(a)
	f.add("", b, true)
	f.send([]byte("one"), exporter)
	f.send([]byte("two"), nowhere)
	if d := cmp.Diff([]string{"one 192.0.2.1", "two invalid IP"}, a.got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"one invalid IP", "two invalid IP"}, b.got); d != "" {
		t.Error(d)
	}
	f.close()
	if !a.closed || !b.closed {
		t.Error("not closed")
	}
}

// TestFanOrder: each PDU goes to all destinations before the next one.
func TestFanOrder(t *testing.T) {
	var order []string
	f, _, _ := newFan()
	for i := range 3 {
		f.add("", recorder{i, &order}, false)
	}
	n := 0
	f.pause = func() { n++ }
	f.send([]byte("one"), exporter)
	f.send([]byte("two"), exporter)
	if d := cmp.Diff([]string{"one 0", "one 1", "one 2", "two 0", "two 1", "two 2"}, order); d != "" {
		t.Error(d)
	}
	if n != 6 {
		t.Errorf("%d pauses, want one after each datagram", n)
	}
}

type recorder struct {
	j     int
	order *[]string
}

func (r recorder) Try(datagram []byte, _ netip.Addr) error {
	*r.order = append(*r.order, fmt.Sprintf("%s %d", datagram, r.j))
	return nil
}

func (r recorder) Close() error { return nil }

// TestFanSlow: a destination without room does not hold up the others, gets
// what it missed in order, and loses what is too much.
func TestFanSlow(t *testing.T) {
	for name, full := range map[string]error{"EAGAIN": syscall.EAGAIN, "ENOBUFS": syscall.ENOBUFS} {
		t.Run(name, func(t *testing.T) {
			slow, fast := &fake{full: full, room: 2}, &fake{room: endless}
			f, tr, _ := newFan(slow, fast)
			const extra = 100
			var all []string
			for i := range window + extra {
				pdu := fmt.Sprint(i)
				all = append(all, pdu+" "+exporter.String())
				f.send([]byte(pdu), exporter)
				if len(fast.got) != i+1 {
					t.Fatalf("%d datagrams after %d", len(fast.got), i+1)
				}
			}
			if len(slow.got) != 2 {
				t.Errorf("%d datagrams in the room for 2", len(slow.got))
			}
			tries := uint32(window + extra - 2)
			if f.flush() {
				t.Error("everything sent")
			}
			if want := map[string]uint32{"EAGAIN": 0, "ENOBUFS": tries + 1}[name]; f.nobufs != want {
				t.Errorf("nobufs %d, want %d", f.nobufs, want)
			}
			slow.room = 10
			if f.flush() {
				t.Error("everything sent")
			}
			slow.room = endless
			if !f.flush() {
				t.Error("not everything sent")
			}
			want := append(all[:2:2], all[extra:]...)
			if d := cmp.Diff(want, slow.got); d != "" {
				t.Error(d)
			}
			f.report()
			if got, want := tr.take(), fmt.Sprintf("send(j=0): %d datagrams not sent, the destination does not keep up", extra-2); got != want {
				t.Errorf("%q, want %q", got, want)
			}
			f.report()
			f.abandon()
			f.report()
			if got := tr.take(); got != "" {
				t.Errorf("lost again: %s", got)
			}
			slow.room = 0
			f.send([]byte("last"), exporter)
			f.abandon()
			f.report()
			if got, want := tr.take(), "send(j=0): 1 datagrams not sent, the destination does not keep up"; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			if !f.flush() {
				t.Error("abandoned PDUs wait")
			}
		})
	}
}

// TestFanModel drives destinations at random and compares with queues of their own.
func TestFanModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const destinations = 4
	var senders [destinations]*fake
	var queues [destinations][]string // not sent yet
	var want [destinations][]string
	for j := range senders {
		senders[j] = &fake{full: []error{syscall.EAGAIN, syscall.ENOBUFS}[j%2]}
	}
	f, tr, _ := newFan(senders[:]...)
	drain := func() {
		for j, s := range senders {
			n := min(s.room, len(queues[j]))
			want[j] = append(want[j], queues[j][:n]...)
			queues[j] = queues[j][n:]
		}
	}
	lost := 0
	for i := range 40_000 {
		for _, s := range senders {
			if rnd.IntN(50) == 0 {
				s.room = rnd.IntN(60)
			}
		}
		if rnd.IntN(3000) == 0 {
			senders[rnd.IntN(destinations)].room = 2 * window
		}
		if rnd.IntN(10) > 0 {
			for j := range queues {
				queues[j] = append(queues[j], fmt.Sprint(i, " ", exporter))
				if n := len(queues[j]) - window; n > 0 {
					queues[j] = queues[j][n:]
					lost += n
				}
			}
			drain()
			f.send([]byte(fmt.Sprint(i)), exporter)
		} else {
			drain()
			all := f.flush()
			if none := !slices.ContainsFunc(queues[:], func(q []string) bool { return len(q) > 0 }); all != none {
				t.Fatalf("flush %v, nothing waits: %v", all, none)
			}
		}
	}
	for j, s := range senders {
		if d := cmp.Diff(want[j], s.got); d != "" {
			t.Fatalf("destination %d: %s", j, d)
		}
	}
	f.report()
	sum := 0
	for _, line := range strings.Split(tr.take(), "\n") {
		var j, n int
		if _, err := fmt.Sscanf(line, "send(j=%d): %d datagrams not sent", &j, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sum += n
	}
	if sum == 0 || sum != lost {
		t.Errorf("%d datagrams lost, want %d", sum, lost)
	}
}

// TestFanErrors: other errors cost the datagram, concern no other destination,
// and do not flood the log.
func TestFanErrors(t *testing.T) {
	bad, good := &fake{broken: syscall.ENETUNREACH, room: endless}, &fake{room: endless}
	f, tr, c := newFan(good, bad)
	for i := range 5 {
		f.send([]byte(fmt.Sprint(i)), exporter)
	}
	if got, want := tr.take(), "send(j=1): network is unreachable"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c.t = c.t.Add(1500 * time.Millisecond)
	f.send([]byte("5"), exporter)
	if got, want := tr.take(), "send(j=1): 4 more errors\nsend(j=1): network is unreachable"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	c.t = c.t.Add(-time.Hour) // a clock that was set back silences nothing
	bad.broken = errors.New("odd")
	f.send([]byte("6"), exporter)
	if got, want := tr.take(), "send(j=1): odd"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	bad.broken = nil
	f.send([]byte("7"), exporter)
	if len(good.got) != 8 || len(bad.got) != 1 || !f.flush() {
		t.Errorf("%d and %d datagrams", len(good.got), len(bad.got))
	}
}

// discard takes everything.
type discard struct{}

func (discard) Try([]byte, netip.Addr) error { return nil }
func (discard) Close() error                 { return nil }
