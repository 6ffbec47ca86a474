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
	"golang.org/x/sys/unix"
)

// SpoofPort is the source port of the first destination that is sent to with a
// source address of choice; each further one has the next port.
const SpoofPort = 7999

// Sender sends datagrams to one destination. It is for one goroutine.
type Sender struct {
	conn  net.PacketConn
	raw   syscall.RawConn
	spoof *spoofer // nil: the system makes the headers

	// Retries counts the sends that Send repeated because the system had no
	// buffers.
	Retries uint64

	// Of the call in progress.
	out    []byte
	wait   bool
	failed error
	call   func(fd uintptr) bool
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
	return newSender(conn, nil)
}

// newSender makes a Sender of an open socket, which it closes when it fails.
func newSender(conn interface {
	net.PacketConn
	syscall.Conn
}, spoof *spoofer) (*Sender, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &Sender{conn: conn, raw: raw, spoof: spoof}
	s.call = func(fd uintptr) bool {
		for {
			if s.spoof != nil {
				s.failed = unix.Sendto(int(fd), s.out, 0, &s.spoof.to)
			} else {
				_, s.failed = unix.Write(int(fd), s.out)
			}
			if s.failed != unix.EINTR {
				return s.failed != unix.EAGAIN || !s.wait
			}
		}
	}
	return s, nil
}

// Send sends one datagram, waiting while the system has no room or no buffers.
// That nobody listened to an earlier datagram is no error, but may cost this one
// (the system reports it in its place). src is the source address for a spoofing
// Sender; it is ignored by others.
func (s *Sender) Send(datagram []byte, src netip.Addr) error {
	for {
		err := s.send(datagram, src, true)
		if !errors.Is(err, syscall.ENOBUFS) {
			return err
		}
		s.Retries++
		time.Sleep(100 * time.Microsecond)
	}
}

// Try is Send without waiting: the error is then EAGAIN or ENOBUFS, and the
// datagram was not sent. It does not allocate.
func (s *Sender) Try(datagram []byte, src netip.Addr) error { return s.send(datagram, src, false) }

func (s *Sender) send(datagram []byte, src netip.Addr, wait bool) error {
	s.out, s.wait, s.failed = datagram, wait, nil
	if s.spoof != nil {
		var err error
		if s.out, err = s.spoof.packet(datagram, src); err != nil {
			return err
		}
	}
	if err := s.raw.Write(s.call); err != nil {
		return reason(err)
	}
	if s.failed == unix.ECONNREFUSED {
		return nil
	}
	return s.failed
}

// Close closes the socket.
func (s *Sender) Close() error { return s.conn.Close() }
