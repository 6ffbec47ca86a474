package probe

import (
	"encoding/binary"

	"flowtools/internal/pcap"
)

// headers is what a frame says about the flow it belongs to.
type headers struct {
	src, dst  Addr
	version   uint8 // 4 or 6
	proto     uint8
	tos       uint8
	tcpFlags  uint8
	ports     uint32 // source << 16 | destination, 0 when not seen
	vlan      uint16 // identifier of the outermost tag
	tagged    bool
	macs      [12]byte // destination, source; zero where the link has none
	octets    uint64
	fragment  bool
	more      bool   // MF
	id        uint32 // of the fragmented packet
	fragProto uint8  // what the fragment header says, to tell sets apart
	offset    uint32 // of the fragment's payload
	payload   uint32 // its length
}

// verdict is what became of a frame.
type verdict uint8

const (
	isIP      verdict = iota
	notIP             // another protocol, or nonsense
	isTrimmed         // too little was captured to tell
	isForeign         // IPv6, where only IPv4 is wanted
)

// Protocol numbers that mean something to the sensor.
const (
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoICMP6    = 58
	protoDstOpts  = 60
	protoSCTP     = 132
)

const (
	ipv4Header = 20
	ipv6Header = 40

	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	etherVLAN   = 0x8100
	etherQinQ   = 0x88a8
	etherOld    = 0x9100
	etherMPLS   = 0x8847
	etherMPLSmc = 0x8848
	etherPPPoE  = 0x8864

	pppIPv4   = 0x0021
	pppIPv6   = 0x0057
	pppMPLS   = 0x0281
	pppMPLSmc = 0x0283
)

var be = binary.BigEndian

// walker finds the IP header in frames and reads it.
type walker struct {
	literal int // octets to skip, as fprobe -K does; -1: walk the headers
	ipv6    bool
	wire    bool // count octets of whole frames
	icmp    ICMPPorts
	sctp    bool
	link    *pcap.Link // of the frame before
}

// parse fills h from a frame.
func (w *walker) parse(p *pcap.Packet, h *headers) verdict {
	*h = headers{}
	data := p.Data
	if w.literal >= 0 {
		if len(data) < w.literal+ipv4Header {
			return isTrimmed
		}
		return w.byVersion(p, h, w.literal)
	}
	link := w.link
	if link == nil || link.Type != p.Link {
		var err error
		if link, err = pcap.LinkOf(p.Link); err != nil {
			return notIP
		}
		w.link = link
	}
	at := link.Payload
	if len(data) < at || len(data) < link.Proto+2 {
		return isTrimmed
	}
	switch link.Shape {
	case pcap.ShapeRaw:
		return w.byVersion(p, h, at)
	case pcap.ShapeEtherType:
		if link.Type == pcap.Ethernet {
			copy(h.macs[:], data)
		}
		return w.byEtherType(p, h, be.Uint16(data[link.Proto:]), at)
	case pcap.ShapePPP:
		return w.byPPP(p, h, link.Proto)
	case pcap.ShapeFamilyHost, pcap.ShapeFamilyNet:
		if len(data) < link.Proto+4 {
			return isTrimmed
		}
		return w.byFamily(p, h, be.Uint32(data[link.Proto:]), at)
	case pcap.ShapeARCNet:
		switch data[link.Proto] {
		case 0xd4, 0xf0:
			return w.ipv4(p, h, at)
		case 0xc4:
			return w.ip6(p, h, at)
		}
		return notIP
	case pcap.ShapePFLog:
		return w.byFamily(p, h, uint32(data[link.Proto]), (int(data[0])+3)&^3)
	case pcap.ShapeWifi:
		return w.byWifi(p, h, 0, false)
	case pcap.ShapeRadiotap:
		return w.byRadiotap(p, h)
	}
	return notIP
}

// byVersion takes the packet at an offset for IPv4 or IPv6 by its first octet.
func (w *walker) byVersion(p *pcap.Packet, h *headers, at int) verdict {
	if len(p.Data) <= at {
		return isTrimmed
	}
	switch p.Data[at] >> 4 {
	case 4:
		return w.ipv4(p, h, at)
	case 6:
		return w.ip6(p, h, at)
	}
	return notIP
}

// byEtherType steps over tags and labels. at is the offset behind the ethertype.
func (w *walker) byEtherType(p *pcap.Packet, h *headers, ether uint16, at int) verdict {
	data := p.Data
	for {
		switch ether {
		case etherIPv4:
			return w.ipv4(p, h, at)
		case etherIPv6:
			return w.ip6(p, h, at)
		case etherVLAN, etherQinQ, etherOld:
			if len(data) < at+4 {
				return isTrimmed
			}
			if !h.tagged {
				h.tagged, h.vlan = true, be.Uint16(data[at:])&0x0fff
			}
			ether = be.Uint16(data[at+2:])
			at += 4
		case etherMPLS, etherMPLSmc:
			return w.byLabels(p, h, at)
		case etherPPPoE:
			return w.byPPP(p, h, at+6)
		default:
			// The length of an 802.3 frame, then LLC and perhaps SNAP with an ethertype.
			if ether > 1500 || p.Link == pcap.LinuxSLL || p.Link == pcap.LinuxSLL2 {
				return notIP
			}
			if len(data) < at+8 {
				return isTrimmed
			}
			if be.Uint32(data[at:]) != 0xaaaa_0300 || be.Uint16(data[at+4:]) != 0 {
				return notIP
			}
			ether = be.Uint16(data[at+6:])
			at += 8
		}
	}
}

// byLabels steps over a stack of MPLS labels; nothing but the version tells what is under it.
func (w *walker) byLabels(p *pcap.Packet, h *headers, at int) verdict {
	for {
		if len(p.Data) < at+4 {
			return isTrimmed
		}
		last := p.Data[at+2]&1 != 0
		at += 4
		if last {
			return w.byVersion(p, h, at)
		}
	}
}

// byPPP reads a PPP protocol number, of one or two octets, perhaps behind address and control. at is where links that always
// have them expect the number of two octets.
func (w *walker) byPPP(p *pcap.Packet, h *headers, at int) verdict {
	data := p.Data
	if at == 2 && len(data) >= 2 && (data[0] != 0xff || data[1] != 0x03) {
		at = 0
	}
	if len(data) < at+2 {
		return isTrimmed
	}
	proto := be.Uint16(data[at:])
	at += 2
	if proto&0x0100 != 0 { // compressed: the first octet is odd
		proto >>= 8
		at--
	}
	switch proto {
	case pppIPv4:
		return w.ipv4(p, h, at)
	case pppIPv6:
		return w.ip6(p, h, at)
	case pppMPLS, pppMPLSmc:
		return w.byLabels(p, h, at)
	}
	return notIP
}

// byFamily goes by an address family, whose byte order depends on who wrote the file and whose numbers on the system.
func (w *walker) byFamily(p *pcap.Packet, h *headers, family uint32, at int) verdict {
	if family > 0xffff {
		family = family>>24 | family>>8&0xff00
	}
	switch family {
	case 2:
		return w.ipv4(p, h, at)
	case 10, 24, 28, 30:
		return w.ip6(p, h, at)
	}
	return notIP
}

func (w *walker) byRadiotap(p *pcap.Packet, h *headers) verdict {
	data := p.Data
	if len(data) < 8 {
		return isTrimmed
	}
	present := binary.LittleEndian.Uint32(data[4:])
	flags := 8
	if present&1 != 0 { // a 64-bit time stamp comes first
		flags = 16
	}
	padded := present&(1<<31) == 0 && present&2 != 0 && len(data) > flags && data[flags]&0x20 != 0
	return w.byWifi(p, h, int(binary.LittleEndian.Uint16(data[2:])), padded)
}

// byWifi reads an 802.11 header at an offset: only data frames with LLC and SNAP carry IP.
func (w *walker) byWifi(p *pcap.Packet, h *headers, at int, padded bool) verdict {
	data := p.Data
	if len(data) < at+2 {
		return isTrimmed
	}
	control, direction := data[at], data[at+1]
	if control&0x0c != 0x08 || control&0x40 != 0 || direction&0x40 != 0 {
		return notIP // no data, or protected
	}
	size := 24
	if direction&3 == 3 {
		size += 6
	}
	if control&0x80 != 0 {
		size += 2
	}
	if padded {
		size = (size + 3) &^ 3
	}
	at += size
	if len(data) < at+8 {
		return isTrimmed
	}
	if be.Uint32(data[at:]) != 0xaaaa_0300 || be.Uint16(data[at+4:]) != 0 {
		return notIP
	}
	return w.byEtherType(p, h, be.Uint16(data[at+6:]), at+8)
}

// ipv4 reads an IPv4 header.
func (w *walker) ipv4(p *pcap.Packet, h *headers, at int) verdict {
	if len(p.Data) < at+ipv4Header {
		return isTrimmed
	}
	ip := p.Data[at:]
	if ip[0]>>4 != 4 {
		return notIP
	}
	size := int(ip[0]&15) * 4
	total := int(be.Uint16(ip[2:]))
	if total == 0 {
		total = p.Len - at // segmentation offload: longer than the field can say
	}
	h.version, h.proto, h.tos = 4, ip[9], ip[1]
	h.src[1], h.dst[1] = uint64(be.Uint32(ip[12:])), uint64(be.Uint32(ip[16:]))
	h.octets = uint64(max(total, 0))
	if w.wire {
		h.octets = uint64(p.Len)
	}
	if where := be.Uint16(ip[6:]); where&0x3fff != 0 {
		h.fragment, h.more = true, where&0x2000 != 0
		h.offset = uint32(where&0x1fff) * 8
		h.id, h.fragProto = uint32(be.Uint16(ip[4:])), h.proto
		h.payload = uint32(max(total-size, 0))
	}
	if size < ipv4Header {
		return isIP // damaged: there is no telling where the payload is
	}
	// What follows the packet is padding.
	w.transport(h, ip[min(size, len(ip)):max(min(size, len(ip)), min(len(ip), total))])
	return isIP
}

// ip6 reads an IPv6 header and its extension headers.
func (w *walker) ip6(p *pcap.Packet, h *headers, at int) verdict {
	if !w.ipv6 {
		return isForeign
	}
	if len(p.Data) < at+ipv6Header {
		return isTrimmed
	}
	ip := p.Data[at:]
	if ip[0]>>4 != 6 {
		return notIP
	}
	total := ipv6Header + int(be.Uint16(ip[4:]))
	if total == ipv6Header && ip[6] == 0 {
		total = p.Len - at // a jumbogram, or segmentation offload
	}
	h.version, h.proto = 6, ip[6]
	h.tos = uint8(be.Uint16(ip) >> 4)
	h.src = Addr{be.Uint64(ip[8:]), be.Uint64(ip[16:])}
	h.dst = Addr{be.Uint64(ip[24:]), be.Uint64(ip[32:])}
	h.octets = uint64(max(total, 0))
	if w.wire {
		h.octets = uint64(p.Len)
	}
	rest := ip[ipv6Header:]
	if total < len(ip) {
		rest = ip[ipv6Header:max(total, ipv6Header)]
	}
	left := total - ipv6Header // as the header says, captured or not
	for {
		size := 8
		switch h.proto {
		case 0, protoRouting, protoDstOpts:
			if len(rest) >= 2 {
				size = int(rest[1])*8 + 8
			}
		case protoAH:
			if len(rest) >= 2 {
				size = int(rest[1])*4 + 8
			}
		case protoFragment:
		default:
			w.transport(h, rest)
			return isIP
		}
		if len(rest) < size {
			return isIP // cut short: the extension header stands for the protocol
		}
		if h.proto == protoFragment {
			where := be.Uint16(rest[2:])
			if h.fragment = where&0xfff9 != 0; h.fragment {
				h.more = where&1 != 0
				h.offset = uint32(where &^ 7)
				h.id, h.fragProto = be.Uint32(rest[4:]), rest[0]
				h.payload = uint32(max(left-size, 0))
			}
		}
		h.proto = rest[0]
		rest, left = rest[size:], left-size
		if h.fragment && h.offset > 0 {
			w.transport(h, rest) // what follows is no header
			return isIP
		}
	}
}

// transport reads ports and flags from the captured payload of a packet or fragment.
func (w *walker) transport(h *headers, data []byte) {
	if h.proto == protoTCP {
		if at := 13 - int(h.offset); at >= 0 && at < len(data) {
			h.tcpFlags = data[at]
		}
	}
	if h.offset > 0 || len(data) < 8 {
		return
	}
	switch h.proto {
	case protoTCP, protoUDP:
		h.ports = be.Uint32(data)
	case protoICMP, protoICMP6:
		h.ports = w.icmp.ports(data[0], data[1])
	case protoSCTP:
		if w.sctp {
			h.ports = be.Uint32(data)
		}
	}
}

// ICMPPorts is how type and code of ICMP stand in the port fields.
type ICMPPorts uint8

// The ways.
const (
	ICMPAsPorts ICMPPorts = iota // source port type, destination port code, as fprobe 1.1 has it
	ICMPCisco                    // destination port type * 256 + code, as everybody else has it
)

func (i ICMPPorts) ports(kind, code uint8) uint32 {
	if i == ICMPCisco {
		return uint32(kind)<<8 | uint32(code)
	}
	return uint32(kind)<<16 | uint32(code)
}
