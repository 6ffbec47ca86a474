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
// bound (nil entries, which are no UDP sockets, are an error), or opens one for
// each address where there are none. The first address says whose datagrams an
// inherited socket takes.
func OpenSockets(inherited []net.PacketConn, addrs []Address, warn func(format string, args ...any)) (*Sockets, error) {
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
			add(Listen(a, warn))
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
		err = prepare(l.raw, l.addr.Addr().Is6(), false, warn)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

// Addr returns the address that the first socket is bound to.
func (s *Sockets) Addr() netip.AddrPort { return s.list[0].Addr() }

// Start begins to receive on all sockets; see [Listener.Start].
func (s *Sockets) Start() (bursts <-chan *Burst, end func()) {
	if len(s.list) == 1 {
		return s.list[0].Start()
	}
	out := make(chan *Burst, burstLimit/2)
	var (
		all  sync.WaitGroup
		ends []func()
	)
	for _, l := range s.list {
		in, end := l.Start()
		ends = append(ends, end)
		all.Go(func() {
			for b := range in {
				out <- b
			}
		})
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
		for _, end := range ends {
			end()
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
