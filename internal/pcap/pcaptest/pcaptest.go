// Package pcaptest makes packets for tests: by hand, and at random in every encapsulation the sensor knows.
package pcaptest

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"flowtools/internal/pcap"
)

// Ethertypes.
const (
	IPv4   = 0x0800
	ARP    = 0x0806
	RARP   = 0x8035
	VLAN   = 0x8100
	QinQ   = 0x88a8
	IPv6   = 0x86dd
	MPLS   = 0x8847
	PPPoE  = 0x8864
	Length = 300 // an 802.3 length
)

// B16 is a number of two octets in network order.
func B16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// Join concatenates.
func Join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Frame is a packet above the link: an ethertype and what follows it.
type Frame struct {
	Ether uint16
	Data  []byte
}

// Tag puts a VLAN tag in front.
func (f Frame) Tag(tpid uint16, tci int) Frame {
	return Frame{tpid, Join(B16(tci), B16(int(f.Ether)), f.Data)}
}

// Label puts an MPLS label in front.
func (f Frame) Label(label uint32, last bool) Frame {
	word := label<<12 | 64
	if last {
		word |= 1 << 8
	}
	return Frame{MPLS, Join(binary.BigEndian.AppendUint32(nil, word), f.Data)}
}

var pppNumbers = map[uint16]int{IPv4: 0x21, IPv6: 0x57, MPLS: 0x281}

// Session puts PPPoE and PPP headers in front.
func (f Frame) Session(id int) Frame {
	return Frame{PPPoE, Join([]byte{0x11, 0}, B16(id), B16(len(f.Data)+2), B16(pppNumbers[f.Ether]), f.Data)}
}

// Packet is an IP packet; the addresses tell the version. The zero values of the other fields are good.
type Packet struct {
	Src, Dst string
	Proto    uint8
	TOS      uint8
	ID       uint32
	Offset   int // of a fragment, in octets
	More     bool
	Options  []byte // IPv4
	Headers  []byte // IPv6: extension headers, the last naming Proto; Next is the first one's number
	Next     uint8
	Payload  []byte
	Total    int // other than the true length
}

// Frame is the packet with its ethertype.
func (p Packet) Frame() Frame {
	src, dst := netip.MustParseAddr(p.Src), netip.MustParseAddr(p.Dst)
	if src.Is4() {
		where := p.Offset / 8
		if p.More {
			where |= 0x2000
		}
		total := 20 + len(p.Options) + len(p.Payload)
		if p.Total != 0 {
			total = p.Total
		}
		return Frame{IPv4, Join([]byte{0x45 + byte(len(p.Options)/4), p.TOS}, B16(total), B16(int(p.ID)), B16(where),
			[]byte{64, p.Proto}, B16(0), src.AsSlice(), dst.AsSlice(), p.Options, p.Payload)}
	}
	next, headers := p.Next, p.Headers
	if len(headers) == 0 {
		next = p.Proto
	}
	if p.Offset > 0 || p.More {
		where := p.Offset
		if p.More {
			where |= 1
		}
		headers = Join(headers, []byte{p.Proto, 0}, B16(where), binary.BigEndian.AppendUint32(nil, p.ID))
		if len(p.Headers) == 0 {
			next = 44
		}
	}
	return Frame{IPv6, Join([]byte{0x60 | p.TOS>>4, p.TOS << 4, 0, 0}, B16(len(headers)+len(p.Payload)), []byte{next, 64},
		src.AsSlice(), dst.AsSlice(), headers, p.Payload)}
}

// UDP is a UDP header and n octets.
func UDP(src, dst, n int) []byte {
	return Join(B16(src), B16(dst), B16(8+n), B16(0), make([]byte, n))
}

// TCP is a TCP header and n octets.
func TCP(src, dst int, flags uint8, n int) []byte {
	return Join(B16(src), B16(dst), make([]byte, 8), []byte{0x50, flags}, make([]byte, 6+n))
}

// Ethernet puts an Ethernet header in front.
func (f Frame) Ethernet() []byte {
	return Join([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, B16(int(f.Ether)), f.Data)
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// transport is a header of a random protocol with few different ports, and room behind it.
func transport(r *rand.Rand) (proto byte, data []byte) {
	port := func() []byte { return B16(pick(r, 53, 80, 443, 1, 15, 20, 22, 65535)) }
	proto = pick[byte](r, 6, 6, 17, 17, 132, 1, 2, 47, 50, 51, 58, 89, 103)
	switch proto {
	case 6:
		return proto, Join(port(), port(), B16(0), B16(r.IntN(9)), B16(1), B16(2), []byte{byte(r.IntN(11)+5) << 4, byte(r.IntN(256))}, B16(0), B16(0), B16(0), make([]byte, 64))
	case 1, 58:
		return proto, Join([]byte{pick[byte](r, 0, 3, 8, 128, 129, 135), byte(r.IntN(3))}, make([]byte, 64))
	}
	return proto, Join(port(), port(), make([]byte, 64))
}

var (
	addrs4 = []string{"10.1.2.3", "10.1.9.9", "192.168.7.1", "127.0.0.1", "224.0.0.5", "1.2.3.4", "0.0.0.10"}
	addrs6 = []string{"fe80::1", "2001:db8::7", "2001:db8:8000::7", "ff02::1", "2001:db8:0:1::9"}
)

// random is a packet of few different hosts and ports, sometimes not IP.
func random(r *rand.Rand) Frame {
	proto, data := transport(r)
	addr := func(list []string) []byte { return netip.MustParseAddr(pick(r, list...)).AsSlice() }
	switch r.IntN(9) {
	case 0:
		return Frame{ARP, Join(B16(1), B16(IPv4), []byte{6, 4}, B16(1), make([]byte, 6), addr(addrs4), make([]byte, 6), addr(addrs4), make([]byte, 40))}
	case 1:
		return Frame{pick[uint16](r, RARP, 0x9000, 0x6003, 0x88cc, Length, 40), Join([]byte{pick[byte](r, 0x42, 0xaa, 0xe0), 3}, make([]byte, 80))}
	case 2, 3, 4:
		p := Packet{Src: pick(r, addrs6...), Dst: pick(r, addrs6...), Proto: proto, Payload: data}
		switch r.IntN(4) {
		case 0:
			p.ID, p.Offset, p.More = 7, 8*pick(r, 0, 0, 1), r.IntN(2) == 0
		case 1:
			p.Next, p.Headers = 0, []byte{proto, 0, 1, 4, 0, 0, 0, 0}
		}
		return p.Frame()
	}
	p := Packet{Src: pick(r, addrs4...), Dst: pick(r, addrs4...), Proto: proto, TOS: uint8(r.IntN(256)), ID: uint32(r.IntN(65536)),
		Options: make([]byte, 4*pick(r, 0, 0, 0, 1, 10)), Payload: data}
	switch r.IntN(6) {
	case 0:
		p.More = true
	case 1:
		p.Offset = 56
	}
	return p.Frame()
}

// encapsulate puts VLAN tags, MPLS labels or PPPoE round some packets.
func encapsulate(r *rand.Rand, f Frame) Frame {
	switch r.IntN(8) {
	case 0, 1:
		for range r.IntN(2) + 1 {
			f = f.Tag(pick[uint16](r, VLAN, QinQ, 0x9100), r.IntN(8)<<13|pick(r, 1, 5, 100))
		}
	case 2:
		last := true
		for range r.IntN(3) + 1 {
			f = f.Label(uint32(r.IntN(3)<<4|7), last)
			last = false
		}
	case 3:
		f = f.Session(pick(r, 1, 7))
	}
	return f
}

// Link puts a link header in front, with some variety where there is any.
func (f Frame) Link(t pcap.LinkType, r *rand.Rand) []byte {
	mac := func() []byte {
		return pick(r, []byte{2, 0, 0, 0, 0, 1}, []byte{1, 0, 0x5e, 0, 0, 1}, []byte{255, 255, 255, 255, 255, 255}, []byte{1, 2, 3, 4, 5, 6})
	}
	family := map[uint16]uint32{IPv4: 2, IPv6: 10}[f.Ether]
	ether := B16(int(f.Ether))
	ppp := B16(pppNumbers[f.Ether])
	snap := Join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, ether)
	wifi := func() []byte {
		kind := pick[byte](r, 0x08, 0x08, 0x88, 0x80, 0xd4)
		h := Join([]byte{kind, pick[byte](r, 0, 1, 2)}, make([]byte, 22))
		if kind == 0x88 {
			h = append(h, 0, 0)
		}
		return h
	}
	var head []byte
	switch t {
	case pcap.Ethernet:
		head = Join(mac(), mac(), ether)
	case pcap.LinuxSLL:
		head = Join(B16(pick(r, 0, 3, 4)), B16(1), B16(6), mac(), B16(0), ether)
	case pcap.LinuxSLL2:
		head = Join(ether, B16(0), B16(0), B16(3), B16(1), []byte{pick[byte](r, 0, 3, 4), 6}, mac(), B16(0))
	case pcap.Raw, pcap.RawIPv4, pcap.RawIPv6:
	case pcap.Null:
		head = binary.LittleEndian.AppendUint32(nil, family)
	case pcap.Enc:
		head = Join(binary.LittleEndian.AppendUint32(nil, family), make([]byte, 8))
	case pcap.Loop:
		head = binary.BigEndian.AppendUint32(nil, family)
	case pcap.PPP, pcap.PPPSerial:
		head = Join([]byte{0xff, 3}, ppp)
	case pcap.CHDLC:
		head = Join([]byte{0x0f, 0}, ether)
	case pcap.PPPEther:
		head = Join([]byte{0x11, 0, 0, 1}, B16(len(f.Data)), ppp)
	case pcap.TokenRing:
		head = Join(make([]byte, 14), snap)
	case pcap.FDDI:
		head = Join(make([]byte, 13), snap)
	case pcap.AppleIP1394:
		head = Join(make([]byte, 16), ether)
	case pcap.ARCNet, pcap.ARCNetLinux:
		number := map[uint16]byte{IPv4: 0xd4, IPv6: 0xc4, ARP: 0xd5, RARP: 0xd6}[f.Ether]
		if head = []byte{1, 2, number, 0, 0, 0}; t == pcap.ARCNetLinux {
			head = []byte{1, 2, 0, 0, number, 0, 0, 0}
		}
	case pcap.PFLog:
		head = Join([]byte{pick[byte](r, 61, 48), byte(family)}, make([]byte, 62))
		head = head[:(int(head[0])+3)&^3]
	case pcap.Wifi:
		head = Join(wifi(), snap)
	case pcap.Radiotap:
		w := wifi()
		radiotap := [][]byte{
			{0, 0, 8, 0, 0, 0, 0, 0},
			{0, 0, 12, 0, 2, 0, 0, 0, 0x20, 0, 0, 0},
			{0, 0, 20, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0},
			{0, 0, 16, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0x20, 0, 0, 0}, // more presence words: libpcap does not look for padding
		}[r.IntN(4)]
		if w[0]&0x0c == 8 && (len(radiotap) == 12 || len(radiotap) == 20) {
			w = append(w, make([]byte, -len(w)&3)...)
		}
		head = Join(radiotap, w, snap)
	default:
		head = make([]byte, 16) // SLIP
	}
	return Join(head, f.Data)
}

// Frames returns n random frames of a link type, always the same ones.
func Frames(t pcap.LinkType, n int) [][]byte {
	r := rand.New(rand.NewPCG(uint64(t), 7))
	only := map[pcap.LinkType]uint16{pcap.RawIPv4: IPv4, pcap.RawIPv6: IPv6}[t]
	list := make([][]byte, n)
	for i := range list {
		f := encapsulate(r, random(r))
		for only != 0 && f.Ether != only {
			f = random(r)
		}
		list[i] = f.Link(t, r)
	}
	return list
}
