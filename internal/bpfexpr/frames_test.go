package bpfexpr

import (
	"encoding/binary"
	"math/rand/v2"

	"flowtools/internal/pcap"
)

// frame is a generated packet: the network layer and what its ethertype is.
type frame struct {
	ether uint16
	data  []byte
}

func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func transport(r *rand.Rand) (proto byte, data []byte) {
	port := func() []byte { return be16(pick(r, 53, 80, 443, 1, 15, 20, 22, 65535)) }
	proto = pick[byte](r, 6, 6, 17, 17, 132, 1, 2, 47, 50, 51, 58, 89, 103)
	switch proto {
	case 6:
		return proto, join(port(), port(), be16(0), be16(r.IntN(9)), be16(1), be16(2), []byte{byte(r.IntN(11)+5) << 4, byte(r.IntN(256))}, be16(0), be16(0), be16(0), make([]byte, 64))
	case 1, 58:
		return proto, join([]byte{pick[byte](r, 0, 3, 8, 128, 129, 135), byte(r.IntN(3))}, make([]byte, 64))
	}
	return proto, join(port(), port(), make([]byte, 64))
}

var (
	v4addrs = [][]byte{{10, 1, 2, 3}, {10, 1, 9, 9}, {192, 168, 7, 1}, {127, 0, 0, 1}, {224, 0, 0, 5}, {1, 2, 3, 4}, {0, 0, 0, 10}}
	v6addrs = [][]byte{
		{0xfe, 0x80, 15: 1}, {0x20, 0x01, 0x0d, 0xb8, 15: 7}, {0x20, 0x01, 0x0d, 0xb8, 0x80, 15: 7}, {0xff, 2, 15: 1}, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 15: 9},
	}
)

func packet(r *rand.Rand) frame {
	proto, data := transport(r)
	switch r.IntN(9) {
	case 0:
		return frame{etherARP, join(be16(1), be16(0x0800), []byte{6, 4}, be16(1), make([]byte, 6), pick(r, v4addrs...), make([]byte, 6), pick(r, v4addrs...), make([]byte, 40))}
	case 1:
		return frame{pick[uint16](r, etherRARP, 0x9000, 0x6003, 0x88cc, 300, 40), join([]byte{pick[byte](r, 0x42, 0xaa, 0xe0), 3}, make([]byte, 80))}
	case 2, 3, 4:
		next := proto
		var ext []byte
		switch r.IntN(4) {
		case 0:
			next, ext = 44, join([]byte{proto, 0}, be16(pick(r, 0, 1, 8)), be16(0), be16(7))
		case 1:
			next, ext = 0, []byte{proto, 0, 1, 4, 0, 0, 0, 0}
		}
		return frame{etherIPv6, join([]byte{0x60, 0, 0, 0}, be16(len(ext)+len(data)), []byte{next, 64}, pick(r, v6addrs...), pick(r, v6addrs...), ext, data)}
	}
	options := make([]byte, 4*pick(r, 0, 0, 0, 1, 10))
	fragment := pick(r, 0, 0, 0, 0x4000, 0x2000, 0x0007)
	return frame{etherIPv4, join([]byte{0x45 + byte(len(options)/4), byte(r.IntN(256))}, be16(20+len(options)+len(data)), be16(r.IntN(65536)), be16(fragment), []byte{64, proto}, be16(0),
		pick(r, v4addrs...), pick(r, v4addrs...), options, data)}
}

// encapsulate puts VLAN tags, MPLS labels or PPPoE round some packets.
func encapsulate(r *rand.Rand, f frame) frame {
	switch r.IntN(8) {
	case 0, 1:
		tag := func(f frame) frame {
			return frame{pick[uint16](r, 0x8100, 0x88a8, 0x9100), join(be16(r.IntN(8)<<13|pick(r, 1, 5, 100)), be16(int(f.ether)), f.data)}
		}
		f = tag(f)
		if r.IntN(2) == 0 {
			f = tag(f)
		}
	case 2:
		last := byte(1)
		for range r.IntN(3) + 1 {
			f = frame{etherMPLS, join([]byte{0, byte(r.IntN(3)), 0x70 | last, 64}, f.data)}
			last = 0
		}
	case 3:
		ppp := map[uint16]int{etherIPv4: 0x21, etherIPv6: 0x57}[f.ether]
		f = frame{etherPPPoES, join([]byte{0x11, 0}, be16(pick(r, 1, 7)), be16(len(f.data)+2), be16(ppp), f.data)}
	}
	return f
}

// link puts a link header in front.
func link(r *rand.Rand, t pcap.LinkType, f frame) []byte {
	mac := func() []byte {
		return pick(r, []byte{2, 0, 0, 0, 0, 1}, []byte{1, 0, 0x5e, 0, 0, 1}, []byte{255, 255, 255, 255, 255, 255}, []byte{1, 2, 3, 4, 5, 6})
	}
	family := map[uint16]uint32{etherIPv4: 2, etherIPv6: 10}[f.ether]
	ppp := map[uint16]int{etherIPv4: 0x21, etherIPv6: 0x57, etherMPLS: 0x281}[f.ether]
	wifi := func() []byte {
		kind := pick[byte](r, 0x08, 0x08, 0x88, 0x80, 0xd4)
		h := join([]byte{kind, pick[byte](r, 0, 1, 2)}, make([]byte, 22))
		if kind == 0x88 {
			h = append(h, 0, 0)
		}
		return h
	}
	snap := join([]byte{0xaa, 0xaa, 3, 0, 0, 0}, be16(int(f.ether)))
	var head []byte
	switch t {
	case pcap.Ethernet:
		head = join(mac(), mac(), be16(int(f.ether)))
	case pcap.LinuxSLL:
		head = join(be16(pick(r, 0, 3, 4)), be16(1), be16(6), mac(), be16(0), be16(int(f.ether)))
	case pcap.LinuxSLL2:
		head = join(be16(int(f.ether)), be16(0), be16(0), be16(3), be16(1), []byte{pick[byte](r, 0, 3, 4), 6}, mac(), be16(0))
	case pcap.Raw, pcap.RawIPv4, pcap.RawIPv6:
	case pcap.Null, pcap.Enc:
		head = binary.LittleEndian.AppendUint32(nil, family)
		if t == pcap.Enc {
			head = append(head, make([]byte, 8)...)
		}
	case pcap.Loop:
		head = binary.BigEndian.AppendUint32(nil, family)
	case pcap.PPP, pcap.PPPSerial:
		head = join([]byte{0xff, 3}, be16(ppp))
	case pcap.CHDLC:
		head = join([]byte{0x0f, 0}, be16(int(f.ether)))
	case pcap.PPPEther:
		head = join([]byte{0x11, 0, 0, 1}, be16(len(f.data)), be16(ppp))
	case pcap.TokenRing:
		head = join(make([]byte, 14), snap)
	case pcap.FDDI:
		head = join(make([]byte, 13), snap)
	case pcap.AppleIP1394:
		head = join(make([]byte, 16), be16(int(f.ether)))
	case pcap.ARCNet, pcap.ARCNetLinux:
		number := map[uint16]byte{etherIPv4: 0xd4, etherIPv6: 0xc4, etherARP: 0xd5, etherRARP: 0xd6}[f.ether]
		if head = []byte{1, 2, number, 0, 0, 0}; t == pcap.ARCNetLinux {
			head = []byte{1, 2, 0, 0, number, 0, 0, 0}
		}
	case pcap.PFLog:
		head = join([]byte{pick[byte](r, 61, 48), byte(family)}, make([]byte, 62))
		head = head[:(int(head[0])+3)&^3]
	case pcap.Wifi:
		head = join(wifi(), snap)
	case pcap.Radiotap:
		w := wifi()
		rt := [][]byte{
			{0, 0, 8, 0, 0, 0, 0, 0},
			{0, 0, 12, 0, 2, 0, 0, 0, 0x20, 0, 0, 0},
			{0, 0, 20, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0},
			{0, 0, 16, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0x20, 0, 0, 0}, // more presence words: libpcap does not look for padding
		}[r.IntN(4)]
		if w[0]&0x0c == 8 && (len(rt) == 12 || len(rt) == 20) {
			w = append(w, make([]byte, -len(w)&3)...)
		}
		head = join(rt, w, snap)
	default:
		head = make([]byte, 16) // SLIP
	}
	return join(head, f.data)
}

// frames returns n generated frames, the same for the same link type.
func frames(t pcap.LinkType, n int) [][]byte {
	r := rand.New(rand.NewPCG(uint64(t), 7))
	list := make([][]byte, n)
	only := map[pcap.LinkType]uint16{pcap.RawIPv4: etherIPv4, pcap.RawIPv6: etherIPv6}[t]
	for i := range list {
		f := encapsulate(r, packet(r))
		for only != 0 && f.ether != only {
			f = packet(r)
		}
		list[i] = link(r, t, f)
	}
	return list
}
