package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"flowtools/internal/daemon"
	"flowtools/pkg/netflow"
)

// ReceiveBuffer is the receive buffer asked for each socket, in octets, and
// logged; LargeBuffer is what is asked for then, and had as far as privilege or
// net.core.rmem_max go.
const (
	ReceiveBuffer = 4 << 20
	LargeBuffer   = 64 << 20
)

// Sizes of what lies between socket and consumer.
const (
	burstSize  = 64  // datagrams received with one call
	burstLimit = 512 // bursts in use at most: 64 MiB, made when they are needed
)

// Datagram is one UDP datagram.
type Datagram struct {
	Src, Dst netip.Addr // as in the IP header
	Data     []byte     // at most netflow.MaxDatagram octets of it
}

// Burst is a run of datagrams of one socket, in order of arrival.
type Burst struct {
	Datagrams []Datagram
	Port      uint16     // local port
	Dropped   uint32     // datagrams that the kernel has dropped on this socket so far, mod 2^32
	Remote    netip.Addr // the only exporter wanted on this socket; unspecified or zero is any
	Socket    int        // which of several sockets it is

	owner *Listener
	buf   *buffers
}

// buffers is the memory of a received burst.
type buffers struct {
	receiver
	store [burstSize]Datagram
	data  [burstSize][netflow.MaxDatagram]byte
}

// NewBurst returns a burst that did not come from a socket, for tests.
func NewBurst(port uint16, datagrams ...Datagram) *Burst {
	return &Burst{Datagrams: datagrams, Port: port}
}

// Release gives the burst back to its Listener. The datagrams are then invalid.
func (b *Burst) Release() {
	if b.owner != nil {
		b.owner.free <- b
	}
}

// Listener receives the datagrams of one UDP socket.
type Listener struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	addr netip.AddrPort
	from netip.Addr // the only exporter wanted
	id   int        // among several sockets
	free chan *Burst
	made int
	stop chan struct{}
	once sync.Once
}

// Listen opens the socket for a receiver's address. The receive buffer that the
// system accepts is logged first. Errors read bind(ADDRESS): REASON.
func Listen(a Address, warn func(format string, args ...any)) (*Listener, error) {
	bind := a.Bind()
	network := "udp4"
	switch {
	case bind.Addr().Is6() && bind.Addr().IsUnspecified():
		network = "udp" // both families
	case bind.Addr().Is6():
		network = "udp6"
	}
	var setup error
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		setup = prepare(c, bind.Addr().Is6(), a.Multicast(), warn)
		return setup
	}}
	pc, err := lc.ListenPacket(context.Background(), network, bind.String())
	switch {
	case setup != nil:
		return nil, setup
	case err != nil:
		return nil, socketError(err, bind.Addr().String())
	}
	conn := pc.(*net.UDPConn)
	l, err := newListener(conn, a)
	if err == nil && a.Multicast() {
		err = join(conn, a)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

// newListener makes a Listener of a bound socket.
func newListener(conn *net.UDPConn, a Address) (*Listener, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &Listener{
		conn: conn, raw: raw, from: a.Exporter(), free: make(chan *Burst, burstLimit), stop: make(chan struct{}),
		addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), // with port 0 the system chose one
	}, nil
}

// prepare sets the options of a socket that is not bound yet.
func prepare(c syscall.RawConn, six, multicast bool, warn func(string, ...any)) error {
	accepted, granted, err := daemon.ReceiveBuffer(c, ReceiveBuffer)
	if err != nil {
		return err
	}
	warn("setsockopt(size=%d)", accepted)
	if _, more, err := daemon.ReceiveBuffer(c, LargeBuffer); err == nil {
		granted = more
	}
	if granted != accepted {
		warn("receive buffer: the system grants %d octets (net.core.rmem_max)", granted)
	}
	failed := c.Control(func(fd uintptr) { err = enable(int(fd), six, multicast) })
	return errors.Join(failed, err)
}

// join makes the socket a member of the group that is the remote address of a:
// of its local address's datagrams alone in 232/8.
func join(conn *net.UDPConn, a Address) error {
	group := &net.UDPAddr{IP: a.Remote.AsSlice()}
	source := &net.UDPAddr{IP: a.Local.AsSlice()}
	var err error
	switch {
	case a.Remote.Is6():
		err = ipv6.NewPacketConn(conn).JoinGroup(nil, group)
	case a.Remote.As4()[0] == 232:
		err = ipv4.NewPacketConn(conn).JoinSourceSpecificGroup(nil, group, source)
	default:
		err = ipv4.NewPacketConn(conn).JoinGroup(nil, group)
	}
	if err != nil {
		return fmt.Errorf("setsockopt(%v): %w", a.Remote, reason(err))
	}
	return nil
}

// reason strips what package net puts round a system error.
func reason(err error) error {
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		return call.Err
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// socketError words an error of opening a socket as CALL(about): REASON.
func socketError(err error, about string) error {
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		return fmt.Errorf("%s(%s): %w", call.Syscall, about, call.Err)
	}
	return fmt.Errorf("socket(%s): %w", about, reason(err))
}

// Close closes the socket at once; it is for a Listener that was never started,
// and harmless after one has ended.
func (l *Listener) Close() error { return l.conn.Close() }

// Addr returns the address that the socket is bound to.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Start begins to receive. Bursts come out of the channel until Stop, and then
// those that had arrived before, the last one perhaps without datagrams; it is then closed, and so is the socket. While
// nobody takes them, or all bursts are in use, it is the kernel's buffer that
// fills. end stops the Listener and waits for it, throwing away what is left.
func (l *Listener) Start() (bursts <-chan *Burst, end func()) {
	out := make(chan *Burst, burstLimit/2)
	go func() {
		defer close(out)
		defer l.conn.Close()
		l.run(out)
	}()
	return out, func() {
		l.Stop()
		for b := range out {
			b.Release()
		}
	}
}

func (l *Listener) run(out chan<- *Burst) {
	for {
		b := l.burst()
		stopped := false
		select {
		case <-l.stop:
			stopped = true
		default:
		}
		err := b.receive(l, !stopped)
		if len(b.Datagrams) > 0 {
			out <- b
			continue
		}
		if stopped {
			// What was dropped behind the last datagram comes with no other one.
			if n, ok := dropCount(l.raw); ok && n != 0 {
				b.Dropped = n
				out <- b
			} else {
				l.free <- b
			}
			return
		}
		l.free <- b
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // by Stop
		default:
			// An error of the network, which concerns no datagram of ours.
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// Stop makes the Listener deliver what has arrived and end.
func (l *Listener) Stop() {
	l.once.Do(func() {
		close(l.stop)
		// A deadline in the past wakes a receiver that waits.
		_ = l.conn.SetReadDeadline(time.Unix(1, 0))
	})
}

// burst returns an empty burst, waiting for one to be released when all are in
// use.
func (l *Listener) burst() *Burst {
	var b *Burst
	select {
	case b = <-l.free:
	default:
		if l.made < burstLimit {
			l.made++
			b = &Burst{owner: l, Port: l.addr.Port(), Remote: l.from, Socket: l.id, buf: new(buffers)}
			b.buf.init()
		} else {
			b = <-l.free
		}
	}
	b.Datagrams = b.buf.store[:0]
	return b
}
