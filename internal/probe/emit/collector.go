package emit

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"flowtools/internal/probe/ipfix"
)

// Collector is one destination of datagrams.
type Collector struct {
	Host, Port string         // as given
	Local      string         // address the socket is bound to, as given
	RoundRobin bool           // gets its share of the datagrams; else all of them
	To         netip.AddrPort // resolved
	From       netip.Addr     // the zero Addr: any

	conn     *net.UDPConn
	sequence uint32
	session  ipfix.Session
}

// ParseCollector reads `host:port[/[local][/type]]`; host may be an IPv6 address in brackets, port a service, type m or r.
func ParseCollector(s string) (*Collector, error) {
	target, rest, _ := strings.Cut(s, "/")
	local, kind, _ := strings.Cut(rest, "/")
	c := &Collector{Local: local}
	host, port, err := net.SplitHostPort(target)
	switch {
	case err != nil:
		return nil, err
	case host == "" || port == "":
		return nil, errors.New("no host or no port")
	}
	switch kind {
	case "", "m":
	case "r":
		c.RoundRobin = true
	default:
		return nil, fmt.Errorf("unknown type %q: m is mirror, r is round robin", kind)
	}
	c.Host, c.Port = host, port
	if n, err := strconv.ParseUint(port, 10, 64); err == nil && (n > 65535 || n == 0) {
		return nil, fmt.Errorf("port %s is not between 1 and 65535", port)
	}
	to, err := net.ResolveUDPAddr("udp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	ap := to.AddrPort()
	c.To = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	return c, nil
}

// ErrSource is an address that no socket can be bound to.
var ErrSource = errors.New("Illegal source address")

// Bind sets the address that the socket is bound to: the collector's own, or else the given one for all, which may be any
// address of the other IP version and is not used then.
func (c *Collector) Bind(all netip.Addr) error {
	if c.Local == "" {
		if all.IsValid() && all.Is4() == c.To.Addr().Is4() {
			c.From = all
		}
		return nil
	}
	a, err := netip.ParseAddr(c.Local)
	if err != nil || a.Unmap().Is4() != c.To.Addr().Is4() {
		return ErrSource
	}
	c.From = a.Unmap()
	return nil
}

// Open makes the socket.
func (c *Collector) Open() error {
	var local *net.UDPAddr
	if c.From.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.From, 0))
	}
	conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(c.To))
	var op *net.OpError
	if errors.As(err, &op) {
		var sys syscall.Errno
		if errors.As(op.Err, &sys) {
			if strings.Contains(op.Err.Error(), "bind") {
				return fmt.Errorf("bind(): %w", sys)
			}
			return fmt.Errorf("connect(): %w", sys)
		}
	}
	c.conn = conn
	return err
}

// Close closes the socket.
func (c *Collector) Close() {
	if c.conn != nil {
		c.conn.Close()
	}
}

// String is how the start-up log shows a collector: address:port/local/type.
func (c *Collector) String() string {
	from, kind := c.From, "m"
	if c.RoundRobin {
		kind = "r"
	}
	if !from.IsValid() {
		if from = netip.IPv4Unspecified(); c.To.Addr().Is6() {
			from = netip.IPv6Unspecified()
		}
	}
	return fmt.Sprintf("%s/%s/%s", c.To, from, kind)
}

// write sends one datagram. A refusal that the system reports is that of an earlier one: this one is tried again.
func (c *Collector) write(msg []byte) error {
	_, err := c.conn.Write(msg)
	if errors.Is(err, syscall.ECONNREFUSED) {
		if _, again := c.conn.Write(msg); again == nil {
			return err // counted, since somebody did not get one
		}
	}
	return err
}

func errorText(n int, c *Collector, err error) string {
	var sys syscall.Errno
	if errors.As(err, &sys) {
		err = sys
	}
	return fmt.Sprintf("%d datagrams not delivered, the last one to %s: %v", n, c.To, err)
}
