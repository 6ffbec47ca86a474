package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
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
	burstLimit = 512 // bursts in use at most, and one for each socket: 64 MiB, made when they are needed
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

	pool *pool
	buf  *buffers
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

// Release gives the burst back to where it came from. The datagrams are then
// invalid.
func (b *Burst) Release() {
	if b.pool != nil {
		b.pool.free <- b
	}
}

// pool is the memory of the sockets of one collector.
type pool struct {
	free  chan *Burst
	made  atomic.Int32
	limit int32
}

func newPool(sockets int) *pool {
	limit := burstLimit + sockets
	return &pool{free: make(chan *Burst, limit), limit: int32(limit)}
}

// get returns a burst, waiting for one to be released when all are in use.
func (p *pool) get() *Burst {
	select {
	case b := <-p.free:
		return b
	default:
	}
	if p.made.Add(1) > p.limit {
		p.made.Add(-1)
		return <-p.free
	}
	b := &Burst{pool: p, buf: new(buffers)}
	b.buf.init()
	return b
}

// Listener receives the datagrams of one UDP socket.
type Listener struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	addr netip.AddrPort
	from netip.Addr // the only exporter wanted
	id   int        // among several sockets
	pool *pool      // set at the start
	stop chan struct{}
	once sync.Once
}

// Listen opens the socket for a receiver's address, which other sockets may have
// too if it is shared. The receive buffer that the system accepts is logged
// first. Errors read bind(ADDRESS): REASON.
func Listen(a Address, shared bool, warn func(format string, args ...any)) (*Listener, error) {
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
		setup = prepare(c, traits{six: bind.Addr().Is6(), multicast: a.Multicast(), shared: shared}, warn)
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
		conn: conn, raw: raw, from: a.Exporter(), stop: make(chan struct{}),
		addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), // with port 0 the system chose one
	}, nil
}

// traits are what the options of a socket depend on.
type traits struct {
	six       bool
	multicast bool
	shared    bool // other sockets have its address too
}

// prepare sets the options of a socket that is not bound yet.
func prepare(c syscall.RawConn, t traits, warn func(string, ...any)) error {
	accepted, granted, err := daemon.ReceiveBuffer(c, ReceiveBuffer)
	if err != nil {
		return err
	}
	warn("setsockopt(size=%d)", accepted)
	if _, more, err := daemon.ReceiveBuffer(c, LargeBuffer); err == nil {
		granted = more
	}
	switch {
	case granted < LargeBuffer:
		warn("receive buffer: the system grants %d of %d octets (net.core.rmem_max)", granted, LargeBuffer)
	case granted != accepted:
		warn("receive buffer: the system grants %d octets", granted)
	}
	failed := c.Control(func(fd uintptr) { err = enable(int(fd), t) })
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

// Start begins to receive on this socket alone; see [Sockets.Start].
func (l *Listener) Start() (bursts <-chan *Burst, end func()) {
	return (&Sockets{list: []*Listener{l}}).Start()
}

// run receives until Stop, and closes the socket.
func (l *Listener) run(out chan<- *Burst) {
	defer l.conn.Close()
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
				b.Release()
			}
			return
		}
		b.Release()
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

// burst returns an empty burst.
func (l *Listener) burst() *Burst {
	b := l.pool.get()
	b.Datagrams, b.Dropped = b.buf.store[:0], 0
	b.Port, b.Remote, b.Socket = l.addr.Port(), l.from, l.id
	return b
}
