//go:build !linux

package capture

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// receiver has room for the control messages of one datagram: elsewhere than on
// Linux a burst is one datagram.
type receiver struct{ control [128]byte }

// enable sets the options that a receiver needs before it is bound: multicast
// receivers share their port, and datagrams come with their destination.
func enable(fd int, t traits) error {
	if t.multicast {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if t.shared {
		return errors.New("only Linux divides datagrams among sockets")
	}
	if t.six {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVDSTADDR, 1)
}

func (b *buffers) init() {}

// receive fills the burst with one datagram, if there is one. With wait it
// blocks until there is.
func (b *Burst) receive(l *Listener, wait bool) error {
	var n, control int
	var from unix.Sockaddr
	var failed error
	call := func(fd uintptr) bool {
		n, control, _, from, failed = unix.Recvmsg(int(fd), b.buf.data[0][:], b.buf.control[:], unix.MSG_DONTWAIT)
		return failed != unix.EAGAIN
	}
	var err error
	if wait {
		err = l.raw.Read(call)
	} else {
		err = l.raw.Control(func(fd uintptr) { call(fd) })
	}
	if err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	d := Datagram{Dst: l.addr.Addr(), Data: b.buf.data[0][:n]}
	switch from := from.(type) {
	case *unix.SockaddrInet4:
		d.Src = netip.AddrFrom4(from.Addr)
	case *unix.SockaddrInet6:
		d.Src = netip.AddrFrom16(from.Addr).Unmap()
	}
	messages, err := unix.ParseSocketControlMessage(b.buf.control[:control])
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVDSTADDR && len(m.Data) >= 4:
			d.Dst = netip.AddrFrom4([4]byte(m.Data[:4]))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16:
			d.Dst = netip.AddrFrom16([16]byte(m.Data[:16])).Unmap()
		}
	}
	b.Datagrams = append(b.Datagrams, d)
	return err
}

// dropCount is known on Linux only.
func dropCount(syscall.RawConn) (n uint32, ok bool) { return 0, false }
