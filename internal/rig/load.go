//go:build linux

package rig

import (
	"context"
	"errors"
	"net/netip"
	"sort"
	"sync"
	"time"
)

// Load is NetFlow version 5 that goes to a collector: full PDUs of numbered
// flows, from as many exporters and engines as it says.
type Load struct {
	To      netip.AddrPort
	Rate    float64 // flows a second; 0 is as fast as it goes
	Flows   uint64  // to send in all, rounded up to whole PDUs; 0 is until the context ends
	Engines []Engine
	Segment bool // see NewSocket
	Wait    bool // for room in the receiver's queue, rather than overrun it
	Traffic *Traffic

	// Every so many PDUs of an engine, one is left out, as if it had been lost on
	// the way; 0 is none. Skipped counts the flows of those.
	Gap     uint64
	Skipped uint64

	queue *Queue // of Wait

	mu    sync.Mutex
	marks []mark
	sent  uint64
	late  time.Duration
	began time.Time
	ended time.Time
}

// mark says how many PDUs had been handed to the system at a time.
type mark struct {
	at   time.Time
	pdus uint64
}

// Exporters returns engines of n source addresses from 127.1.0.1 on, each with
// several engines.
func Exporters(n, engines int) []Engine {
	list := make([]Engine, 0, n*engines)
	for i := range n {
		for id := range engines {
			list = append(list, Engine{Source: loopback(0x10001 + i), Type: uint8(id >> 8), ID: uint8(id)})
		}
	}
	return list
}

// loopback returns the address 127.0.0.0 + n.
func loopback(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
}

// tick is about how much of the load goes out at a time.
const tick = time.Millisecond

// Run sends until all is sent or ctx ends. A load that fell behind its rate, for
// want of processor time, catches up.
func (l *Load) Run(ctx context.Context) error {
	s, err := NewSocket(l.To, l.Segment)
	if err != nil {
		return err
	}
	defer s.Close()
	if l.Wait && l.queue == nil {
		if l.queue, err = NewQueue(l.To.Port()); err != nil {
			return err
		}
		defer l.queue.Close()
	}
	if len(l.Engines) == 0 {
		l.Engines = []Engine{{}}
	}
	pdus := (l.Flows + PDUFlows - 1) / PDUFlows
	perSecond := l.Rate / PDUFlows
	chunk := uint64(maxBatch)
	if l.Rate > 0 {
		chunk = min(max(uint64(perSecond*tick.Seconds()), 1), maxBatch)
	}
	now := time.Now()
	l.mu.Lock()
	l.began = now
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.ended = time.Now()
		l.mu.Unlock()
	}()
	sent, engine := uint64(0), 0
	for pdus == 0 || sent < pdus {
		if ctx.Err() != nil {
			break
		}
		n := chunk
		if pdus > 0 {
			n = min(n, pdus-sent)
		}
		if l.Rate > 0 {
			due := l.began.Add(time.Duration(float64(sent+n) / perSecond * 1e9))
			if wait := due.Sub(now); wait > 0 {
				time.Sleep(wait)
				now = time.Now()
				continue
			} else if l.late < -wait {
				l.late = -wait
			}
		}
		if l.queue != nil {
			if err := l.queue.Await(ctx); errors.Is(err, errNotBound) {
				break // the collector has ended
			} else if err != nil {
				return err
			}
		}
		e := &l.Engines[engine]
		if engine++; engine == len(l.Engines) {
			engine = 0
		}
		for range n {
			if l.Gap > 0 && e.Next > 0 && uint64(e.Next/PDUFlows)%l.Gap == 0 {
				e.Next += PDUFlows
				l.Skipped += PDUFlows
			}
			l.Traffic.Put(s.Slot(), e, now)
			if err := s.Add(pduSize, e.Source); err != nil {
				return err
			}
		}
		if err := s.Flush(); err != nil {
			return err
		}
		sent += n
		now = time.Now()
		l.mark(now, s.Datagrams)
	}
	return nil
}

// mark notes what has been sent, once a tick.
func (l *Load) mark(now time.Time, pdus uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = pdus
	if n := len(l.marks); n > 1 && now.Sub(l.marks[n-2].at) < tick {
		l.marks[n-1] = mark{now, pdus}
		return
	}
	l.marks = append(l.marks, mark{now, pdus})
}

// Sent returns how many flows the system has taken so far.
func (l *Load) Sent() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent * PDUFlows
}

// SentBy returns a number of flows that had been sent by a time, at least.
func (l *Load) SentBy(t time.Time) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].at.After(t) })
	if i == 0 {
		return 0
	}
	return l.marks[i-1].pdus * PDUFlows
}

// TimeOf returns about when the flow with a number in a load of one engine was
// sent.
func (l *Load) TimeOf(number uint64) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := sort.Search(len(l.marks), func(i int) bool { return l.marks[i].pdus*PDUFlows > number })
	if i == len(l.marks) {
		return l.ended
	}
	return l.marks[i].at
}

// Pace returns the flows a second that were sent, and how far the load was ever
// behind its rate.
func (l *Load) Pace() (rate float64, late time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.sent*PDUFlows) / l.ended.Sub(l.began).Seconds(), l.late
}
