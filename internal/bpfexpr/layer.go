package bpfexpr

import "flowtools/internal/pcap"

// Network protocols by ethertype, and transport protocols by number.
const (
	etherIPv4   = 0x0800
	etherARP    = 0x0806
	etherRARP   = 0x8035
	etherIPv6   = 0x86dd
	etherMPLS   = 0x8847
	etherPPPoED = 0x8863
	etherPPPoES = 0x8864

	pppMPLS = 0x0281

	maxLength8023 = 1500 // values up to it are lengths of 802.3 frames, not ethertypes

	ipv6Header   = 40
	ipv6Fragment = 44
)

// layer is where the headers lie at one point of an expression: vlan, mpls and pppoes move it on for all that follows.
type layer struct {
	kind  layerKind
	proto load  // the protocol number
	net   place // start of the network header
	wifi  place // byWifi: the frame control field
}

type layerKind uint8

const (
	byEtherType  layerKind = iota
	byPPP                  // protocol numbers of PPP
	byFamilyHost           // address families in the byte order of whoever recorded them
	byFamilyNet            // address families in network byte order
	byARCNet               // protocol numbers of ARCnet
	byNibble               // only the IP version
	byLabel                // behind an MPLS label
	byWifi                 // ethertype in a SNAP header of a data frame
)

// families are the address families of IPv6 on Linux and the BSDs.
var families = map[uint32][]uint32{etherIPv4: {2}, etherIPv6: {10, 24, 28, 30}}

var pppNumbers = map[uint32]uint32{etherIPv4: 0x21, etherIPv6: 0x57, etherMPLS: pppMPLS}

var arcnetNumbers = map[uint32][]uint32{etherIPv4: {0xd4, 0xf0}, etherIPv6: {0xc4}, etherARP: {0xd5, 0xf1}, etherRARP: {0xd6}}

// layerOf returns where the headers lie in frames of a link type, and the code that finds out where that depends on the frame.
func layerOf(link *pcap.Link, live bool) (layer, func(*gen)) {
	frame := place{}
	l := layer{net: place{off: uint32(link.Payload)}}
	field := func(size uint8) load { return at(frame, uint32(link.Proto), size) }
	switch link.Shape {
	case pcap.ShapeEtherType:
		l.proto = field(2)
		if live && link.Type == pcap.LinuxSLL {
			// The kernel runs the filter of a cooked socket on the network header.
			l.proto, l.net = load{place: place{off: extProtocol}, size: 4}, frame
		}
	case pcap.ShapePPP:
		l.kind, l.proto = byPPP, field(2)
	case pcap.ShapeFamilyHost:
		l.kind, l.proto = byFamilyHost, field(4)
	case pcap.ShapeFamilyNet:
		l.kind, l.proto = byFamilyNet, field(4)
	case pcap.ShapeARCNet:
		l.kind, l.proto = byARCNet, field(1)
	case pcap.ShapeRaw:
		l.kind = byNibble
	case pcap.ShapePFLog:
		l.kind, l.proto, l.net = byFamilyNet, field(1), place{base: inShifted, word: shiftWord}
		return l, func(g *gen) {
			g.emit(classLD|sizeB|modeABS, 0)
			g.emit(classALU|aluAdd, 3)
			g.emit(classALU|aluAnd, ^uint32(3))
			g.emit(classST, shiftWord)
		}
	case pcap.ShapeWifi, pcap.ShapeRadiotap:
		radiotap := link.Shape == pcap.ShapeRadiotap
		if l.kind = byWifi; radiotap {
			l.wifi = place{base: inShifted, word: shiftWord}
		}
		snap := place{base: inShifted, word: payloadWord}
		l.proto, l.net = at(snap, 6, 2), snap.plus(8)
		return l, func(g *gen) { wifiPrologue(g, l.wifi, radiotap) }
	}
	return l, nil
}

// wifiPrologue finds the end of an 802.11 header: 24 octets, 2 more in QoS data frames, 6 more with a fourth address; with a
// radiotap header before it perhaps padded to a multiple of 4.
func wifiPrologue(g *gen, control place, radiotap bool) {
	const (
		fourAddresses = 0x03
		dataFrame     = 0x08
		qosFrame      = 0x88
		typeAndQoS    = 0x8c
		hasTSFT       = 0x0100_0000 // in the first word of radiotap's presence bits, read in network order
		hasFlags      = 0x0200_0000
		hasMoreBits   = 0x0000_0080
		padded        = 0x20
	)
	when := func(c *cond, then func()) {
		var yes, end label
		g.cond(c, &yes, &end)
		g.place(&yes)
		then()
		g.st.aKnown = false
		g.goTo(&end)
		g.place(&end)
	}
	add := func(n uint32) func() {
		return func() {
			g.emit(classLD|modeMEM, payloadWord)
			g.emit(classALU|aluAdd, n)
			g.emit(classST, payloadWord)
		}
	}
	if radiotap { // its length is little-endian
		g.emit(classLD|sizeB|modeABS, 3)
		g.emit(classALU|aluLsh, 8)
		g.emit(classTAX, 0)
		g.emit(classLD|sizeB|modeABS, 2)
		g.emit(classALU|aluOr|srcX, 0)
		g.emit(classST, shiftWord)
	} else {
		g.emit(classLD|modeIMM, 0)
	}
	g.emit(classALU|aluAdd, 24)
	g.emit(classST, payloadWord)
	fc := at(control, 0, 1)
	when(equal(fc.and(typeAndQoS), qosFrame), add(2))
	when(and(equal(fc.and(0x0c), dataFrame), equal(at(control, 1, 1).and(fourAddresses), fourAddresses)), add(6))
	if !radiotap {
		return
	}
	present := at(place{}, 4, 4)
	flags := func(off uint32) *cond { return test(at(place{}, off, 1), jmpSET, padded) }
	pad := and(equal(fc.and(0x0c), dataFrame), test(present, jmpSET, hasFlags), not(test(present, jmpSET, hasMoreBits)),
		or(and(test(present, jmpSET, hasTSFT), flags(16)), and(not(test(present, jmpSET, hasTSFT)), flags(8))))
	when(pad, func() {
		// Only the 802.11 header is padded; what precedes it is no part of the count.
		g.emit(classLDX|modeMEM, shiftWord)
		g.emit(classLD|modeMEM, payloadWord)
		g.emit(classALU|aluSub|srcX, 0)
		g.emit(classALU|aluAdd, 3)
		g.emit(classALU|aluAnd, ^uint32(3))
		g.emit(classALU|aluAdd|srcX, 0)
		g.emit(classST, payloadWord)
		g.st.x = xreg{}
	})
}

// is returns the condition that the frame carries the network protocol of an ethertype.
func (l *layer) is(ether uint32) *cond {
	switch l.kind {
	case byPPP:
		if n, ok := pppNumbers[ether]; ok {
			ether = n
		}
	case byFamilyHost, byFamilyNet:
		var list []*cond
		for _, f := range families[ether] {
			list = append(list, equal(l.proto, f))
			if l.kind == byFamilyHost {
				list = append(list, equal(l.proto, f<<24))
			}
		}
		return anyOf(list)
	case byARCNet:
		var list []*cond
		for _, n := range arcnetNumbers[ether] {
			list = append(list, equal(l.proto, n))
		}
		return anyOf(list)
	case byNibble:
		return l.version(ether)
	case byLabel:
		return and(equal(at(l.net, ^uint32(1), 1).and(1), 1), l.version(ether)) // the last label of the stack
	case byWifi:
		return and(equal(at(l.wifi, 0, 1).and(0x0c), 0x08), equal(l.proto, ether))
	}
	return equal(l.proto, ether)
}

func anyOf(list []*cond) *cond {
	if len(list) == 0 {
		return constant(false)
	}
	return or(list...)
}

// version tells IPv4 from IPv6 by the first octet.
func (l *layer) version(ether uint32) *cond {
	switch ether {
	case etherIPv4:
		return equal(at(l.net, 0, 1).and(0xf0), 0x40)
	case etherIPv6:
		return equal(at(l.net, 0, 1).and(0xf0), 0x60)
	}
	return constant(false)
}

// tags reports whether VLAN tags and the like can follow.
func (l *layer) tags() bool { return l.kind == byEtherType || l.kind == byWifi }

// transport is where an IPv4 packet's payload starts.
func (l *layer) transport() place {
	return place{base: inIPv4, word: l.net.word, ip: l.net.off, late: l.net.base == inShifted}
}

// whole is the condition that an IPv4 packet is not a later fragment.
func (l *layer) whole() *cond { return not(test(at(l.net, 6, 2), jmpSET, 0x1fff)) }

func (l *layer) ipv4Proto(n uint32) *cond { return equal(at(l.net, 9, 1), n) }

// ipv6Proto looks at the next header, and behind a fragment header that follows directly.
func (l *layer) ipv6Proto(n uint32) *cond {
	next := at(l.net, 6, 1)
	return or(equal(next, n), and(equal(next, ipv6Fragment), equal(at(l.net, ipv6Header, 1), n)))
}
