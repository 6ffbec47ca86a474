package capture

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// spoofer makes the IP and UDP headers of datagrams.
type spoofer struct {
	remote netip.AddrPort
	local  netip.Addr         // the source unless the caller has another
	port   uint16             // source port
	to     unix.SockaddrInet4 // remote; the port means nothing to a raw socket
	buf    []byte             // IP header, which stays but for length and source, and the rest
}

// protoRaw is IPPROTO_RAW: a socket that sends only.
const protoRaw = "255"

// Spoof opens a raw socket for a sender's address. Datagrams get the source
// address that Send is given or, if that is not an IPv4 address, LOCALIP or, if
// that is 0, the address that the system would use; and the source port given.
// TTL 0 is 255, for multicast groups 0.
func Spoof(a Address, port uint16) (*Sender, error) {
	if !a.Remote.Is4() {
		return nil, fmt.Errorf("%v: only IPv4 source addresses can be chosen", a.Remote)
	}
	s := &spoofer{remote: netip.AddrPortFrom(a.Remote, a.Port), local: a.Local, port: port}
	s.to.Addr = a.Remote.As4()
	if s.local.IsUnspecified() {
		// Left to the kernel, the address would not be in the checksum.
		c, err := (&net.Dialer{}).DialContext(context.Background(), "udp4", s.remote.String())
		if err != nil {
			return nil, socketError(err, "")
		}
		s.local = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		c.Close()
	}
	h := ipv4.Header{
		Version: ipv4.Version, Len: ipHeader, TTL: int(a.TTL), Protocol: protoUDP,
		Src: s.local.AsSlice(), Dst: a.Remote.AsSlice(),
	}
	if h.TTL == 0 && !a.Multicast() {
		h.TTL = 255
	}
	var err error
	if s.buf, err = h.Marshal(); err != nil {
		return nil, err
	}
	pc, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "ip4:"+protoRaw, "0.0.0.0")
	if err != nil {
		return nil, socketError(err, "")
	}
	if _, err = ipv4.NewRawConn(pc); err != nil { // sets IP_HDRINCL
		pc.Close()
		return nil, fmt.Errorf("setsockopt(IP_HDRINCL): %w", reason(err))
	}
	to, err := newSender(pc.(*net.IPConn), s)
	if err == nil && a.Multicast() {
		// Out by the interface of LOCALIP, as a bound socket does. An address
		// that is nobody's says nothing about interfaces.
		_ = to.raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInet4Addr(int(fd), unix.IPPROTO_IP, unix.IP_MULTICAST_IF, s.local.As4())
		})
	}
	return to, err
}

const (
	ipHeader  = 20
	udpHeader = 8
	protoUDP  = 17
)

// packet returns the whole IP packet for a datagram, until the next call. The
// kernel fills in identification and checksum of the IP header.
func (s *spoofer) packet(datagram []byte, src netip.Addr) ([]byte, error) {
	if !src.Is4() || src.IsUnspecified() {
		src = s.local
	}
	if len(datagram) > 1<<16-1-ipHeader-udpHeader {
		return nil, unix.EMSGSIZE
	}
	s.buf = appendUDP(s.buf[:ipHeader], src, s.remote, s.port, datagram)
	putLength(s.buf[2:], uint16(len(s.buf)))
	from := src.As4()
	copy(s.buf[12:], from[:])
	return s.buf, nil
}

// putLength writes the length of a packet into its IP header, in the order that
// raw sockets of the system want.
func putLength(b []byte, n uint16) {
	switch runtime.GOOS {
	case "darwin", "ios", "dragonfly", "netbsd":
		binary.NativeEndian.PutUint16(b, n)
	default:
		binary.BigEndian.PutUint16(b, n)
	}
}

// appendUDP appends a UDP header with its checksum, and the datagram.
func appendUDP(b []byte, src netip.Addr, dst netip.AddrPort, port uint16, datagram []byte) []byte {
	be := binary.BigEndian
	start, n := len(b), udpHeader+len(datagram)
	b = be.AppendUint16(b, port)
	b = be.AppendUint16(b, dst.Port())
	b = be.AppendUint16(b, uint16(n))
	b = be.AppendUint16(b, 0)
	b = append(b, datagram...)

	sum := uint64(protoUDP) + uint64(n) // of the pseudo header
	for _, a := range [2]netip.Addr{src, dst.Addr()} {
		q := a.As4()
		sum += uint64(be.Uint32(q[:]))
	}
	// A sum of 32-bit words folds to that of their halves.
	rest := b[start:]
	for ; len(rest) >= 4; rest = rest[4:] {
		sum += uint64(be.Uint32(rest))
	}
	var last [4]byte
	copy(last[:], rest)
	sum += uint64(be.Uint32(last[:]))
	for sum>>16 != 0 {
		sum = sum&0xFFFF + sum>>16
	}
	if sum = ^sum & 0xFFFF; sum == 0 {
		sum = 0xFFFF // 0 says that there is none
	}
	be.PutUint16(b[start+6:], uint16(sum))
	return b
}
