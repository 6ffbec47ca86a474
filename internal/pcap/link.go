// Package pcap brings packets in: capture files (pcap and pcapng, compressed or not) and, on Linux, live interfaces through
// a memory-mapped AF_PACKET ring. It knows link types by number, name and shape; what is behind the link header is the business of
// internal/probe and internal/bpfexpr.
package pcap

import "fmt"

// LinkType is a kind of link layer header, numbered as in capture files (the LINKTYPE_ values of tcpdump.org).
type LinkType uint16

// Link types with a header we can walk.
const (
	Null        LinkType = 0
	Ethernet    LinkType = 1
	TokenRing   LinkType = 6
	ARCNet      LinkType = 7
	SLIP        LinkType = 8
	PPP         LinkType = 9
	FDDI        LinkType = 10
	PPPSerial   LinkType = 50
	PPPEther    LinkType = 51
	Raw         LinkType = 101
	CHDLC       LinkType = 104
	Wifi        LinkType = 105
	Loop        LinkType = 108
	Enc         LinkType = 109
	LinuxSLL    LinkType = 113
	PFLog       LinkType = 117
	Radiotap    LinkType = 127
	ARCNetLinux LinkType = 129
	AppleIP1394 LinkType = 138
	RawIPv4     LinkType = 228
	RawIPv6     LinkType = 229
	LinuxSLL2   LinkType = 276

	rawLinuxDLT LinkType = 12 // DLT_RAW, from programs that do not know LINKTYPE_RAW
	rawOpenBSD  LinkType = 14
)

// Shape is how a link header says what it carries.
type Shape uint8

// Shapes of link headers.
const (
	ShapeEtherType  Shape = iota // 16-bit ethertype at Proto
	ShapePPP                     // 16-bit PPP protocol number at Proto
	ShapeFamilyHost              // 32-bit address family at Proto, byte order of the recording host
	ShapeFamilyNet               // 32-bit address family at Proto, network byte order
	ShapeARCNet                  // 8-bit ARCnet protocol at Proto
	ShapeRaw                     // nothing: the version nibble of the IP header at Payload
	ShapeWifi                    // 802.11 frame
	ShapeRadiotap                // radiotap header, then an 802.11 frame
	ShapePFLog                   // 8-bit length at 0, address family at 1
)

// Link describes one link type.
type Link struct {
	Type    LinkType
	DLT     int    // what libpcap calls it on Linux
	Name    string // libpcap's name, as in `datalink: EN10MB (1)`
	Skip    int    // octets fprobe 1.1 skips to find the IP header
	Shape   Shape
	Proto   int // offset of the protocol number
	Payload int // offset of what follows the header, where that is fixed
}

var links = []Link{
	{Null, 0, "NULL", 4, ShapeFamilyHost, 0, 4},
	{Ethernet, 1, "EN10MB", 14, ShapeEtherType, 12, 14},
	{TokenRing, 6, "IEEE802", 22, ShapeEtherType, 20, 22},
	{ARCNet, 7, "ARCNET", 6, ShapeARCNet, 2, 6},
	{SLIP, 8, "SLIP", 16, ShapeRaw, 0, 16},
	{PPP, 9, "PPP", 4, ShapePPP, 2, 4},
	{FDDI, 10, "FDDI", 21, ShapeEtherType, 19, 21},
	{PPPSerial, 50, "PPP_SERIAL", 4, ShapePPP, 2, 4},
	{PPPEther, 51, "PPP_ETHER", 8, ShapePPP, 6, 8},
	{Raw, 12, "RAW", 0, ShapeRaw, 0, 0},
	{CHDLC, 104, "C_HDLC", 4, ShapeEtherType, 2, 4},
	{Wifi, 105, "IEEE802_11", 32, ShapeWifi, 0, 0},
	{Loop, 108, "LOOP", 4, ShapeFamilyNet, 0, 4},
	{Enc, 109, "ENC", 12, ShapeFamilyHost, 0, 12},
	{LinuxSLL, 113, "LINUX_SLL", 16, ShapeEtherType, 14, 16},
	{PFLog, 117, "PFLOG", 28, ShapePFLog, 1, 0},
	{Radiotap, 127, "IEEE802_11_RADIO", 96, ShapeRadiotap, 0, 0},
	{ARCNetLinux, 129, "ARCNET_LINUX", 8, ShapeARCNet, 4, 8},
	{AppleIP1394, 138, "APPLE_IP_OVER_IEEE1394", 18, ShapeEtherType, 16, 18},
	{RawIPv4, 228, "IPV4", 0, ShapeRaw, 0, 0},
	{RawIPv6, 229, "IPV6", 0, ShapeRaw, 0, 0},
	{LinuxSLL2, 276, "LINUX_SLL2", 20, ShapeEtherType, 0, 20},
}

// Links returns every known link type, in ascending order.
func Links() []Link { return append([]Link(nil), links...) }

// LinkOf returns the description of a link type.
func LinkOf(t LinkType) (*Link, error) {
	if t == rawLinuxDLT || t == rawOpenBSD {
		t = Raw
	}
	for i := range links {
		if links[i].Type == t {
			return &links[i], nil
		}
	}
	return nil, fmt.Errorf("unknown link type %d", t)
}

// String returns libpcap's name, or the number.
func (t LinkType) String() string {
	if l, err := LinkOf(t); err == nil {
		return l.Name
	}
	return fmt.Sprintf("link type %d", uint16(t))
}

// Direction is which way a packet went, as the recording host saw it.
type Direction uint8

// Directions.
const (
	Unknown Direction = iota
	In
	Out
)

// Packet is one captured frame. Data belongs to the reader and is valid until its next call.
type Packet struct {
	Data    []byte    // captured octets from the link header on
	Len     int       // octets on the wire, >= len(Data) but in damaged files
	Time    int64     // nanoseconds since 1970 UTC
	Link    LinkType  // what Data starts with
	IfIndex uint32    // kernel index live, 1 + interface number in pcapng files, 0 where nothing tells
	Dir     Direction // from the packet socket or the file
}
