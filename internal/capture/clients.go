package capture

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// Sizes of what lies between flows and a client.
const (
	clientBlock = 32768 // octets sent at once, in whole records
	clientQueue = 256   // blocks that may wait: 8 MiB
)

// ClientsConfig says how TCP clients are served.
type ClientsConfig struct {
	streamio.Output         // byte order and comment
	Max             int     // clients at a time
	Access          *Access // nil lets everybody in
	Now             func() time.Time
	Warn            func(format string, args ...any)
}

// Clients sends flows to TCP clients (-c), each of which gets a stream of its
// own: a header, then all flows from then on. A client that does not keep up is
// dropped; none is ever waited for. All methods but Stats belong to one
// goroutine; those of a nil *Clients do nothing.
type Clients struct {
	ClientsConfig
	addr     netip.AddrPort
	socket   int           // bound, not listening; -1 when it is elsewhere
	patience time.Duration // of Close
	listen   net.Listener
	layout   *flow.Layout
	limits   struct{ rejected, refused limiter }
	served   sync.WaitGroup // the goroutines of accepting and of clients
	here     atomic.Int32   // len(clients)
	stats    struct{ connected, rejected, killed, octets atomic.Uint64 }

	mu      sync.Mutex
	clients []*client
	start   time.Time // of the open file
	closing bool
}

// ClientStats counts clients and what was sent to them.
type ClientStats struct {
	Here      int    // now
	Connected uint64 // were let in
	Rejected  uint64 // too many, or not allowed
	Killed    uint64 // gone, or too slow
	Octets    uint64 // handed to the system
}

// client is one TCP client.
type client struct {
	conn  net.Conn
	addr  netip.Addr
	since time.Time
	block []byte // being filled
	queue chan []byte
	free  chan []byte // blocks sent
	gone  bool
}

// ReserveClients takes the TCP port of the same number as a UDP socket's, without
// answering yet. Clients may connect to any address of this host. Errors read
// bind(tcp ADDRESS): REASON.
func ReserveClients(udp netip.AddrPort, c ClientsConfig) (*Clients, error) {
	addr := netip.AddrPortFrom(netip.IPv4Unspecified(), udp.Port())
	if udp.Addr().Is6() {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), udp.Port())
	}
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
	if addr.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	failed := func(call string, err error) error { return fmt.Errorf("%s(tcp %v): %w", call, addr, err) }
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, failed("socket", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil && family == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		unix.Close(fd)
		return nil, failed("bind", err)
	}
	return &Clients{ClientsConfig: c, addr: addr, socket: fd, patience: 2 * time.Second}, nil
}

// Opened says when the file that is open now was opened: the start of the
// streams of clients that connect from now on.
func (c *Clients) Opened(start time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	c.start = start
	c.mu.Unlock()
}

// Serve begins to answer clients, the layout of the flows being known.
func (c *Clients) Serve(l *flow.Layout) error {
	if c == nil {
		return nil
	}
	fd := c.socket
	c.socket, c.layout = -1, l
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		unix.Close(fd)
		return fmt.Errorf("listen(tcp %v): %w", c.addr, err)
	}
	file := os.NewFile(uintptr(fd), "clients")
	defer file.Close()
	var err error
	if c.listen, err = net.FileListener(file); err != nil {
		return fmt.Errorf("listen(tcp %v): %w", c.addr, reason(err))
	}
	c.served.Go(c.accept)
	return nil
}

// Addr returns the address that clients connect to.
func (c *Clients) Addr() net.Addr { return c.listen.Addr() }

func (c *Clients) accept() {
	for {
		conn, err := c.listen.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			c.Warn("accept(): %v", reason(err))
			time.Sleep(time.Second) // no descriptors: others will be closed
		default:
			c.admit(conn)
		}
	}
}

// admit decides on a client.
func (c *Clients) admit(conn net.Conn) {
	remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	reject := func(l *limiter, format string) {
		c.stats.rejected.Add(1)
		if held, ok := l.allow(c.Now()); ok {
			if held > 0 {
				c.Warn("%d messages like the next one held back", held)
			}
			c.Warn(format, remote)
		}
		conn.Close()
	}
	if int(c.here.Load()) >= c.Max {
		reject(&c.limits.rejected, "Maximum clients exceeded, rejecting connection from %v")
		return
	}
	if c.Access != nil && !c.Access.Permits(local, remote) {
		reject(&c.limits.refused, "client %v refused by libwrap")
		return
	}
	k := &client{
		conn: conn, addr: remote, since: c.Now(),
		queue: make(chan []byte, clientQueue), free: make(chan []byte, clientQueue),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	head, err := c.header()
	if err != nil || c.closing {
		conn.Close()
		return
	}
	k.queue <- head
	c.clients = append(c.clients, k)
	c.here.Add(1)
	c.stats.connected.Add(1)
	c.Warn("client connect: ip=%v time=%d", k.addr, k.since.Unix())
	c.served.Go(func() { c.send(k) })
	c.served.Go(func() { c.watch(k) })
}

// header makes the header of a stream that begins now.
//
// Compat: it has times and the name of this host but no counts (golden
// flow-capture/client-stream).
func (c *Clients) header() ([]byte, error) {
	h := ftfile.NewHeader(c.layout.Version, 0)
	h.Start = uint32(c.start.Unix())
	h.Hostname = Hostname()
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagHostname)
	c.Apply(h)
	return h.Append(nil)
}

// Write sends flows to all clients.
//
// Compat: in blocks of 32768 octets, so that a client gets nothing until one is
// full.
func (c *Clients) Write(b *flow.Batch) {
	if c == nil || c.here.Load() == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 0; i < len(c.clients); i++ {
		if k := c.clients[i]; !c.put(k, b.Bytes()) {
			c.kill(k)
			i--
		}
	}
}

// put adds records to the block of a client; false when too many blocks wait.
func (c *Clients) put(k *client, records []byte) bool {
	for len(records) > 0 {
		if k.block == nil {
			select {
			case k.block = <-k.free:
			default:
				k.block = make([]byte, 0, clientBlock/c.layout.Size*c.layout.Size)
			}
		}
		n := min(cap(k.block)-len(k.block), len(records))
		old := len(k.block)
		k.block = append(k.block, records[:n]...)
		if c.Order == flow.BigEndian {
			c.layout.SwapOrder(k.block[old:])
		}
		records = records[n:]
		if len(k.block) == cap(k.block) && !k.flush() {
			return false
		}
	}
	return true
}

// flush queues the block being filled.
func (k *client) flush() bool {
	if len(k.block) == 0 {
		return true
	}
	select {
	case k.queue <- k.block:
		k.block = nil
		return true
	default:
		return false
	}
}

// kill drops a client that is gone or does not keep up. The caller holds the lock.
func (c *Clients) kill(k *client) {
	if k.gone {
		return
	}
	k.gone = true
	close(k.queue)
	k.conn.Close()
	c.clients = slices.DeleteFunc(c.clients, func(other *client) bool { return other == k })
	c.here.Add(-1)
	if c.closing {
		return
	}
	c.stats.killed.Add(1)
	c.Warn("Killed client: ip=%v, dtime=%d", k.addr, int64(c.Now().Sub(k.since)/time.Second))
}

// lost is kill for the goroutines of a client.
func (c *Clients) lost(k *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kill(k)
}

// send writes what is queued for a client.
func (c *Clients) send(k *client) {
	defer k.conn.Close()
	for block := range k.queue {
		n, err := k.conn.Write(block)
		c.stats.octets.Add(uint64(n))
		if err != nil {
			c.lost(k)
			return
		}
		if cap(block) < clientBlock/2 {
			continue // the header
		}
		select {
		case k.free <- block[:0]:
		default:
		}
	}
}

// watch notices that a client is gone before there is something to send. What
// it sends is thrown away: unread it would cost the client the end of its
// stream. One that has only ended its own half still listens.
func (c *Clients) watch(k *client) {
	if _, err := io.Copy(io.Discard, k.conn); err != nil {
		c.lost(k)
	}
}

// Close sends the clients what is left and lets them go. It does not wait long.
func (c *Clients) Close() {
	if c == nil {
		return
	}
	if c.socket >= 0 {
		unix.Close(c.socket)
		c.socket = -1
	}
	if c.listen == nil {
		return
	}
	c.listen.Close()
	c.mu.Lock()
	c.closing = true
	clients := c.clients
	c.clients = nil
	for _, k := range clients {
		k.gone = true
		k.flush()
		close(k.queue) // ends sending, which closes the connection, which ends watching
	}
	c.here.Store(0)
	c.mu.Unlock()
	patience := time.AfterFunc(c.patience, func() {
		for _, k := range clients {
			k.conn.Close()
		}
	})
	defer patience.Stop()
	c.served.Wait()
}

// Stats counts clients; it is safe for concurrent use.
func (c *Clients) Stats() ClientStats {
	if c == nil {
		return ClientStats{}
	}
	s := &c.stats
	return ClientStats{int(c.here.Load()), s.connected.Load(), s.rejected.Load(), s.killed.Load(), s.octets.Load()}
}
