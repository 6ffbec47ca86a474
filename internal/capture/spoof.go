package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// spoofer sends datagrams with IP and UDP headers of its own making.
type spoofer struct {
	conn   *ipv4.RawConn
	remote netip.AddrPort
	local  netip.Addr // the source unless the caller has another
	port   uint16
	ttl    int
	buf    []byte
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
	s := &spoofer{remote: netip.AddrPortFrom(a.Remote, a.Port), local: a.Local, port: port, ttl: int(a.TTL)}
	if s.ttl == 0 && !a.Multicast() {
		s.ttl = 255
	}
	if s.local.IsUnspecified() {
		// Left to the kernel, the address would not be in the checksum.
		c, err := (&net.Dialer{}).DialContext(context.Background(), "udp4", s.remote.String())
		if err != nil {
			return nil, socketError(err, "")
		}
		s.local = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		c.Close()
	}
	pc, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "ip4:"+protoRaw, "0.0.0.0")
	if err != nil {
		return nil, socketError(err, "")
	}
	if s.conn, err = ipv4.NewRawConn(pc); err != nil {
		pc.Close()
		return nil, fmt.Errorf("setsockopt(IP_HDRINCL): %w", reason(err))
	}
	return &Sender{raw: s}, nil
}

const (
	ipHeader  = 20
	udpHeader = 8
	protoUDP  = 17
)

func (s *spoofer) send(datagram []byte, src netip.Addr) error {
	if !src.Is4() || src.IsUnspecified() {
		src = s.local
	}
	if len(datagram) > 1<<16-1-ipHeader-udpHeader {
		return errors.New("message too long")
	}
	s.buf = appendUDP(s.buf[:0], src, s.remote, s.port, datagram)
	h := &ipv4.Header{
		Version: ipv4.Version, Len: ipHeader, TotalLen: ipHeader + len(s.buf), TTL: s.ttl, Protocol: protoUDP,
		Src: src.AsSlice(), Dst: s.remote.Addr().AsSlice(),
	}
	return s.conn.WriteTo(h, s.buf, nil)
}

// appendUDP appends a UDP header with its checksum, and the datagram.
func appendUDP(b []byte, src netip.Addr, dst netip.AddrPort, port uint16, datagram []byte) []byte {
	be := binary.BigEndian
	n := udpHeader + len(datagram)
	b = be.AppendUint16(b, port)
	b = be.AppendUint16(b, dst.Port())
	b = be.AppendUint16(b, uint16(n))
	b = be.AppendUint16(b, 0)
	b = append(b, datagram...)

	sum := uint64(protoUDP) + uint64(n) // of the pseudo header
	for _, a := range [2]netip.Addr{src, dst.Addr()} {
		q := a.As4()
		sum += uint64(be.Uint16(q[:])) + uint64(be.Uint16(q[2:]))
	}
	rest := b
	for ; len(rest) >= 2; rest = rest[2:] {
		sum += uint64(be.Uint16(rest))
	}
	if len(rest) == 1 {
		sum += uint64(rest[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xFFFF + sum>>16
	}
	if sum = ^sum & 0xFFFF; sum == 0 {
		sum = 0xFFFF // 0 says that there is none
	}
	be.PutUint16(b[6:], uint16(sum))
	return b
}
