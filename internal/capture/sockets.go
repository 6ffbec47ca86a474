package capture

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Sockets are the sockets of one collector, at least one.
type Sockets struct {
	list []*Listener
}

// OpenSockets takes over the sockets in inherited, which a service manager has
// bound (nil entries, which are no UDP sockets, are an error), or opens each of
// the given number for each address where there are none: the system divides the
// datagrams to an address among its sockets by their source. A multicast group
// has one socket, because every one would get everything. The first address says
// whose datagrams an inherited socket takes.
func OpenSockets(inherited []net.PacketConn, addrs []Address, each int, warn func(format string, args ...any)) (*Sockets, error) {
	s := &Sockets{}
	var errs []error
	add := func(l *Listener, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		l.id = len(s.list)
		s.list = append(s.list, l)
	}
	for i, pc := range inherited {
		conn, ok := pc.(*net.UDPConn)
		if !ok {
			errs = append(errs, fmt.Errorf("inherited descriptor %d is no UDP socket", 3+i))
			continue
		}
		add(adopt(conn, addrs[0], warn))
	}
	if len(inherited) == 0 {
		for _, a := range addrs {
			shared := each > 1 && !a.Multicast()
			l, err := Listen(a, shared, warn)
			add(l, err)
			for i := 1; i < each && shared && err == nil; i++ {
				a.Port = l.Addr().Port() // had it been 0
				add(Listen(a, shared, warn))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// adopt makes a Listener of a socket bound by somebody else.
func adopt(conn *net.UDPConn, a Address, warn func(format string, args ...any)) (*Listener, error) {
	l, err := newListener(conn, a)
	if err == nil {
		err = prepare(l.raw, traits{six: l.addr.Addr().Is6()}, warn)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

// Addr returns the address that the first socket is bound to.
func (s *Sockets) Addr() netip.AddrPort { return s.list[0].Addr() }

// Start begins to receive. Bursts come out of the channel until Stop, and then
// those that had arrived before, the last ones perhaps without datagrams; it is
// then closed, and so are the sockets. While nobody takes them, or all bursts are
// in use, it is the kernel's buffers that fill. end stops the sockets and waits
// for them, throwing away what is left.
func (s *Sockets) Start() (bursts <-chan *Burst, end func()) {
	out := make(chan *Burst, burstLimit/2)
	shared := newPool(len(s.list))
	var all sync.WaitGroup
	for _, l := range s.list {
		l.pool = shared
		all.Go(func() { l.run(out) })
	}
	go func() {
		all.Wait()
		close(out)
	}()
	return out, func() {
		s.Stop()
		for b := range out {
			b.Release()
		}
	}
}

// Stop makes all sockets deliver what has arrived and end.
func (s *Sockets) Stop() {
	for _, l := range s.list {
		l.Stop()
	}
}

// Close closes the sockets at once; see [Listener.Close].
func (s *Sockets) Close() {
	for _, l := range s.list {
		l.Close()
	}
}
