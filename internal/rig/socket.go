//go:build linux

package rig

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxBatch is how many datagrams go out with one call: as many full PDUs as one
// segmented send can hold.
const maxBatch = 44

// slotSize is the longest datagram of a Socket.
const slotSize = 2304

// Socket sends datagrams to one address, many at a time.
type Socket struct {
	fd      int
	to      unix.RawSockaddrInet4
	segment bool // let the kernel cut runs of equal datagrams out of one

	n        int // datagrams waiting
	data     [maxBatch][slotSize]byte
	length   [maxBatch]int
	source   [maxBatch]netip.Addr
	messages [maxBatch]mmsghdr
	vectors  [maxBatch]unix.Iovec
	control  [maxBatch][controlSpace]byte

	Datagrams uint64 // sent so far
	Refused   uint64 // that the system did not take
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// controlSpace has room for a source address and a segment size.
const controlSpace = 64

// NewSocket opens a socket that sends to an IPv4 address. With segment, runs of
// datagrams of one length and source are handed over as one (UDP_SEGMENT), which
// costs the sender far less; receivers see no difference.
func NewSocket(to netip.AddrPort, segment bool) (*Socket, error) {
	if !to.Addr().Is4() {
		return nil, fmt.Errorf("%v: not an IPv4 address", to)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket(): %w", err)
	}
	s := &Socket{fd: fd, segment: segment}
	s.to = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&s.to.Port))[:], to.Port())
	// More than the default, so that a batch always fits; the system may grant less.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20)
	return s, nil
}

// Close closes the socket.
func (s *Socket) Close() error { return unix.Close(s.fd) }

// Slot returns room for the next datagram; Add makes it one.
func (s *Socket) Slot() []byte { return s.data[s.n][:] }

// Add adds the datagram that is in the first length octets of the Slot, sending
// the batch when it is full. The source may be any address of this host, such
// as all of 127.0.0.0/8; the zero one is the system's choice.
func (s *Socket) Add(length int, source netip.Addr) error {
	s.length[s.n], s.source[s.n] = length, source
	if s.n++; s.n < maxBatch {
		return nil
	}
	return s.Flush()
}

// Flush sends what was added. That the system has no room for a datagram
// (ENOBUFS) is counted and no error.
func (s *Socket) Flush() error {
	count := 0
	for i := 0; i < s.n; {
		run := 1
		for total := s.length[i]; s.segment && i+run < s.n && s.length[i+run] == s.length[i] && s.source[i+run] == s.source[i] && s.length[i] > 0; run++ {
			if total += s.length[i]; total > maxSegmented {
				break
			}
		}
		s.message(count, i, run)
		count++
		i += run
	}
	sent := 0
	for sent < count {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.messages[sent])), uintptr(count-sent), 0, 0, 0)
		switch errno {
		case 0:
			for i := range int(n) {
				s.Datagrams += uint64(s.messages[sent+i].header.Iovlen)
			}
			sent += int(n)
		case unix.EINTR:
		case unix.ENOBUFS, unix.EAGAIN:
			s.Refused += uint64(s.messages[sent].header.Iovlen)
			sent++
		default:
			return fmt.Errorf("sendmmsg(): %w", errno)
		}
	}
	runtime.KeepAlive(s)
	s.n = 0
	return nil
}

// maxSegmented is the most that one segmented send can hold.
const maxSegmented = 65507

// message prepares message m: the run of datagrams from i on.
func (s *Socket) message(m, i, run int) {
	for j := i; j < i+run; j++ {
		s.vectors[j].Base = &s.data[j][0]
		s.vectors[j].SetLen(s.length[j])
	}
	h := &s.messages[m].header
	*h = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&s.to)), Namelen: unix.SizeofSockaddrInet4, Iov: &s.vectors[i]}
	h.SetIovlen(run)
	control := s.control[m][:0]
	if s.source[i].IsValid() {
		var info [unix.SizeofInet4Pktinfo]byte
		from := s.source[i].As4()
		copy(info[4:], from[:]) // behind the interface
		control = appendControl(control, unix.IPPROTO_IP, unix.IP_PKTINFO, info[:])
	}
	if run > 1 {
		control = appendControl(control, unix.SOL_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, uint16(s.length[i])))
	}
	if len(control) > 0 {
		h.Control = &s.control[m][0]
		h.SetControllen(len(control))
	}
}

// appendControl appends a control message.
func appendControl(b []byte, level, kind int, data []byte) []byte {
	start := len(b)
	b = b[:start+unix.CmsgSpace(len(data))]
	clear(b[start:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[start]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[start+unix.CmsgLen(0):], data)
	return b
}
