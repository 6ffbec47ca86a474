package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// SpoofPort is the source port of the first destination that is sent to with a
// source address of choice; each further one has the next port.
const SpoofPort = 7999

// Sender sends datagrams to one destination. It is for one goroutine.
type Sender struct {
	conn *net.UDPConn
	raw  *spoofer

	// Retries counts the sends repeated because the system had no buffers.
	Retries uint64
}

// Dial opens the socket for a sender's address. The TTL counts for multicast
// groups only, where 0 keeps datagrams on the host. Errors read bind(): REASON
// or connect(): REASON.
func Dial(a Address) (*Sender, error) {
	d := net.Dialer{}
	if !a.Local.IsUnspecified() {
		d.LocalAddr = &net.UDPAddr{IP: a.Local.AsSlice(), Zone: a.Local.Zone()}
	}
	network := "udp4"
	if a.Remote.Is6() {
		network = "udp6"
	}
	c, err := d.DialContext(context.Background(), network, netip.AddrPortFrom(a.Remote, a.Port).String())
	if err != nil {
		return nil, socketError(err, "")
	}
	conn := c.(*net.UDPConn)
	if a.Multicast() {
		if a.Remote.Is6() {
			err = ipv6.NewPacketConn(conn).SetMulticastHopLimit(int(a.TTL))
		} else {
			err = ipv4.NewPacketConn(conn).SetMulticastTTL(int(a.TTL))
		}
		if err != nil {
			conn.Close()
			return nil, fmt.Errorf("setsockopt(IP_MULTICAST_TTL): %w", reason(err))
		}
	}
	return &Sender{conn: conn}, nil
}

// Send sends one datagram, waiting while the system has no buffers. That nobody
// listened to an earlier datagram is no error, but may cost this one (the system
// reports it in its place). src is the source address for a spoofing Sender; it
// is ignored by others.
func (s *Sender) Send(datagram []byte, src netip.Addr) error {
	for {
		var err error
		if s.raw != nil {
			err = s.raw.send(datagram, src)
		} else {
			_, err = s.conn.Write(datagram)
		}
		switch {
		case err == nil, errors.Is(err, syscall.ECONNREFUSED):
			return nil
		case errors.Is(err, syscall.ENOBUFS):
			s.Retries++
			time.Sleep(100 * time.Microsecond)
		default:
			return reason(err)
		}
	}
}

// Close closes the socket.
func (s *Sender) Close() error {
	if s.raw != nil {
		return s.raw.conn.Close()
	}
	return s.conn.Close()
}
