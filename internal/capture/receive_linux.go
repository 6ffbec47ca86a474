package capture

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlSize has room for the control messages of one datagram: its
// destination (IPv4, IPv6) and the count of those dropped.
const controlSize = 128

// receiver holds what recvmmsg(2) needs for a burst. It points into itself and
// into the burst, and is made once.
type receiver struct {
	messages [burstSize]mmsghdr
	names    [burstSize]unix.RawSockaddrInet6
	vectors  [burstSize]unix.Iovec
	control  [burstSize][controlSize]byte
	dropped  uint32

	call   func(fd uintptr) bool // recvmmsg; false when nothing is there
	poll   func(fd uintptr)
	n      int           // of the last call
	failed syscall.Errno // of the last call
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// enable sets the options that a receiver needs before it is bound: multicast
// receivers share their port, datagrams come with their destination and with
// the number of those that were dropped.
func enable(fd int, t traits) error {
	if t.multicast {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return err
		}
	}
	if t.shared {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	// Counting drops is not worth failing for.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	if t.six {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

func (b *buffers) init() {
	r := &b.receiver
	for i := range r.messages {
		r.vectors[i].Base = &b.data[i][0]
		r.vectors[i].SetLen(len(b.data[i]))
		h := &r.messages[i].header
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.vectors[i]
		h.SetIovlen(1)
		h.Control = &r.control[i][0]
	}
	r.call = func(fd uintptr) bool {
		for {
			n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.messages)), burstSize, unix.MSG_DONTWAIT, 0, 0)
			switch errno {
			case 0:
				r.n = int(n)
				return true
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				return false
			}
			r.failed = errno
			return true
		}
	}
	r.poll = func(fd uintptr) { r.call(fd) }
}

// receive fills the burst with what has arrived. With wait it blocks until
// there is at least one datagram.
func (b *Burst) receive(l *Listener, wait bool) error {
	r := &b.buf.receiver
	for i := range r.messages {
		h := &r.messages[i].header
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
		h.Flags = 0
	}
	r.n, r.failed, r.dropped = 0, 0, 0 // no message says that none was dropped
	var err error
	if wait {
		err = l.raw.Read(r.call)
	} else {
		err = l.raw.Control(r.poll)
	}
	if err != nil {
		return err
	}
	for i := range r.n {
		m := &r.messages[i]
		d := Datagram{Src: sourceAddr(&r.names[i]), Dst: l.addr.Addr(), Data: b.buf.data[i][:m.length]}
		r.options(&d, r.control[i][:m.header.Controllen])
		b.Datagrams = append(b.Datagrams, d)
	}
	b.Dropped = r.dropped
	if r.failed != 0 {
		return r.failed
	}
	return nil
}

// sourceAddr returns the address in a socket name of either family.
func sourceAddr(name *unix.RawSockaddrInet6) netip.Addr {
	if name.Family == unix.AF_INET {
		four := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrFrom4(four.Addr)
	}
	return netip.AddrFrom16(name.Addr).Unmap()
}

// options reads the control messages of one datagram.
func (r *receiver) options(d *Datagram, control []byte) {
	const head = unix.SizeofCmsghdr
	ne := binary.NativeEndian
	for len(control) >= head {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		size := int(h.Len)
		if size < head || size > len(control) {
			return
		}
		data := control[head:size]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			d.Dst = netip.AddrFrom4([4]byte(data[8:12])) // behind ifindex and the local address
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			d.Dst = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			r.dropped = ne.Uint32(data)
		}
		control = control[min((size+cmsgAlign-1)&^(cmsgAlign-1), len(control)):]
	}
}

const cmsgAlign = int(unsafe.Sizeof(uintptr(0)))

// dropCount asks the socket how many datagrams it has dropped, mod 2^32.
func dropCount(c syscall.RawConn) (n uint32, ok bool) {
	const drops = 8 // SK_MEMINFO_DROPS
	var info [drops + 1]uint32
	err := c.Control(func(fd uintptr) {
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		ok = errno == 0 && size == uint32(unsafe.Sizeof(info))
	})
	return info[drops], ok && err == nil
}
