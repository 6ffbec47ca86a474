package flowfanout

import (
	"errors"
	"net/netip"
	"syscall"
	"time"

	"flowtools/pkg/netflow"
)

// window is how many PDUs a destination can be behind: 6 MiB for all together,
// and what arrives in 30 ms when it is 4,000,000 flows a second.
const window = 4096

// fan sends PDUs to destinations and waits for none of them. The last PDUs are
// kept, and each destination has its place in them: one that has no room for a
// datagram gets it later, and one that has fallen behind by more than the window
// loses what it has not got. The order of a destination's PDUs is kept.
type fan struct {
	now   func() time.Time
	warn  func(format string, args ...any)
	pause func() // after each datagram; nil is none

	to     []*destination
	ring   []packet // PDU n is at n mod window
	next   uint64   // number of the next PDU
	nobufs uint32   // sends to be repeated because the system had no buffers, mod 2^32
}

// packet is a PDU to be sent.
type packet struct {
	src  netip.Addr // exporter
	size int
	pdu  [netflow.MaxPDU]byte
}

// destination is a place in the PDUs of a fan.
type destination struct {
	sender
	name   string    // as typed
	own    bool      // its source address is its own also when others could be chosen
	next   uint64    // first PDU that was not sent
	sent   uint64    // PDUs
	lost   uint64    // PDUs that were passed over
	told   uint64    // of them, at the last report
	errors uint64    // PDUs that the system refused to send
	failed time.Time // last report of an error
	held   int       // errors not reported since
}

// sender is a capture.Sender.
type sender interface {
	// Try sends a datagram, from src if that can be chosen. EAGAIN and ENOBUFS
	// say that it was not sent and may be later.
	Try(datagram []byte, src netip.Addr) error
	Close() error
}

func (f *fan) add(name string, to sender, own bool) {
	f.to = append(f.to, &destination{name: name, sender: to, own: own, next: f.next})
}

// send sends a PDU of an exporter to all destinations, in their order.
func (f *fan) send(pdu []byte, exporter netip.Addr) {
	if f.ring == nil {
		f.ring = make([]packet, window)
	}
	p := &f.ring[f.next%window]
	p.src, p.size = exporter, copy(p.pdu[:], pdu)
	f.next++
	f.flush()
}

// flush sends what destinations have not got yet, and reports whether they now
// have everything.
func (f *fan) flush() bool {
	all := true
	for j, d := range f.to {
		if !f.serve(j, d) {
			all = false
		}
	}
	return all
}

// serve sends to a destination until it has everything or has no room.
func (f *fan) serve(j int, d *destination) (all bool) {
	for d.next < f.next {
		if behind := f.next - d.next; behind > window {
			d.lost += behind - window
			d.next = f.next - window
		}
		p := &f.ring[d.next%window]
		src := p.src
		if d.own {
			src = netip.Addr{}
		}
		switch err := d.Try(p.pdu[:p.size], src); {
		case err == nil:
			d.sent++
		case errors.Is(err, syscall.EAGAIN):
			return false
		case errors.Is(err, syscall.ENOBUFS):
			f.nobufs++
			return false
		default:
			d.errors++
			f.complain(j, d, err)
		}
		d.next++
		if f.pause != nil {
			f.pause()
		}
	}
	return true
}

// complain reports an error of a destination, the first at once and then one a
// second.
func (f *fan) complain(j int, d *destination, err error) {
	now := f.now()
	if age := now.Sub(d.failed); age >= 0 && age < time.Second {
		d.held++
		return
	}
	if d.held > 0 {
		f.warn("send(j=%d): %d more errors", j, d.held)
	}
	f.warn("send(j=%d): %v", j, err)
	d.failed, d.held = now, 0
}

// report reports what destinations have lost since the last report.
func (f *fan) report() {
	for j, d := range f.to {
		if d.lost > d.told {
			f.warn("send(j=%d): %d datagrams not sent, the destination does not keep up", j, d.lost-d.told)
			d.told = d.lost
		}
	}
}

// abandon gives up what destinations have not got.
func (f *fan) abandon() {
	for _, d := range f.to {
		d.lost += f.next - d.next
		d.next = f.next
	}
}

func (f *fan) close() {
	for _, d := range f.to {
		d.Close()
	}
}
