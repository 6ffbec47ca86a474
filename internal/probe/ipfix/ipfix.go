// Package ipfix encodes flows as NetFlow version 9 (RFC 3954) and IPFIX (RFC 7011) messages: one template for IPv4, one for
// IPv6, and an options template that tells when the exporter started and how it samples.
package ipfix

import (
	"encoding/binary"

	"flowtools/internal/probe"
)

// Set numbers.
const (
	v9Templates    = 0
	v9Options      = 1
	ipfixTemplates = 2
	ipfixOptions   = 3

	templateIPv4    = 256
	templateIPv6    = 257
	templateOptions = 258
)

// maxMessage keeps messages within one Ethernet frame, also through a tunnel or two.
const maxMessage = 1400

const (
	v9Header    = 20
	ipfixHeader = 16
	setHeader   = 4
)

// value is where the value of an element comes from.
type value uint8

const (
	srcAddr value = iota
	dstAddr
	input
	output
	packets
	octets
	first
	last
	srcPort
	dstPort
	proto
	tos
	tcpFlags
	icmpType
	direction
	endReason
	srcMAC
	dstMAC
	vlan
	startTime
	sampleMode
	sampleRate
)

// field is one element of a template.
type field struct {
	element uint16
	size    uint16
	from    value
}

// fields of a flow, by format and IP version; the conditional ones are added by New.
func fields(v9, ip6 bool) []field {
	src, dst, icmp, addr := uint16(8), uint16(12), uint16(32), uint16(4)
	if ip6 {
		src, dst, icmp, addr = 27, 28, 139, 16
	}
	times := [2]field{{152, 8, first}, {153, 8, last}}
	if v9 {
		times = [2]field{{22, 4, first}, {21, 4, last}}
	}
	return []field{
		{src, addr, srcAddr}, {dst, addr, dstAddr}, {10, 4, input}, {14, 4, output}, {2, 8, packets}, {1, 8, octets}, times[0], times[1],
		{7, 2, srcPort}, {11, 2, dstPort}, {4, 1, proto}, {5, 1, tos}, {6, 1, tcpFlags}, {icmp, 2, icmpType}, {61, 1, direction}, {136, 1, endReason},
	}
}

// Config says what a Format tells about its flows.
type Config struct {
	Version uint16 // 9 or 10
	Keys    probe.Keys
	Cisco   bool   // ports of ICMP flows hold type * 256 + code as destination
	Sample  int    // one packet in this many was counted
	Domain  uint32 // source or observation domain
	Start   int64  // of the exporter, ns since 1970
}

// Format encodes messages. It is immutable but for the buffers its methods are given.
type Format struct {
	Config
	head      int
	templates [2][]field // IPv4, IPv6
	sizes     [2]int
	preamble  []byte // template sets, options template and its data, as sent now and then
	records   int    // in the preamble, as version 9 counts them: templates and data
	data      int    // of them data records, as IPFIX counts them
}

// New returns the format of a configuration.
func New(c Config) *Format {
	f := &Format{Config: c, head: ipfixHeader}
	v9 := c.Version == 9
	if v9 {
		f.head = v9Header
	}
	for i := range f.templates {
		t := fields(v9, i == 1)
		if c.Keys&probe.KeyMAC != 0 {
			t = append(t, field{56, 6, srcMAC}, field{80, 6, dstMAC})
		}
		if c.Keys&probe.KeyVLAN != 0 {
			t = append(t, field{58, 2, vlan})
		}
		f.templates[i] = t
		for _, e := range t {
			f.sizes[i] += int(e.size)
		}
	}
	f.makePreamble(v9)
	return f
}

// options are the fields of the options record, after the scope.
var options = []field{{160, 8, startTime}, {34, 4, sampleRate}, {35, 1, sampleMode}}

func (f *Format) makePreamble(v9 bool) {
	b := make([]byte, 0, 256)
	put16 := func(vs ...uint16) {
		for _, v := range vs {
			b = binary.BigEndian.AppendUint16(b, v)
		}
	}
	set := func(id uint16, body func()) {
		start := len(b)
		put16(id, 0)
		body()
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
		binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	}
	list := func(fields []field) {
		for _, e := range fields {
			put16(e.element, e.size)
		}
	}
	templates, optionsSet := uint16(ipfixTemplates), uint16(ipfixOptions)
	if v9 {
		templates, optionsSet = v9Templates, v9Options
	}
	set(templates, func() {
		for i, t := range f.templates {
			put16(templateIPv4+uint16(i), uint16(len(t)))
			list(t)
		}
	})
	set(optionsSet, func() {
		put16(templateOptions)
		if v9 {
			put16(4, uint16(4*len(options)), 1, 4) // lengths of scope and options; the scope is the system
		} else {
			put16(uint16(1+len(options)), 1, 149, 4) // fields, of them scope; the scope is the observation domain
		}
		list(options)
	})
	set(templateOptions, func() {
		b = binary.BigEndian.AppendUint32(b, f.Domain)
		for _, e := range options {
			b = f.put(b, e, nil, 0)
		}
	})
	f.preamble, f.records, f.data = b, len(f.templates)+2, 1
}

// room is what a message has for data sets when templates are in it.
func (f *Format) room() int { return maxMessage - f.head - len(f.preamble) - 2*(setHeader+3) }

// Cost is how many octets of Limit a flow takes.
func (f *Format) Cost(fl *probe.Flow) int { return f.sizes[kind(fl)] }

// Limit is how many octets of flows fit a message.
func (f *Format) Limit() int { return f.room() }

func kind(fl *probe.Flow) int {
	if fl.Version == 6 {
		return 1
	}
	return 0
}

// Reserve is how much Finish needs in front of the data.
func (f *Format) Reserve() int { return f.head + len(f.preamble) }

// Append adds the data sets of some flows to b. base is the time that version 9 counts uptime from, ms since 1970.
func (f *Format) Append(b []byte, flows []probe.Flow, base int64) []byte {
	for i := range f.templates {
		start := len(b)
		for j := range flows {
			fl := &flows[j]
			if kind(fl) != i {
				continue
			}
			if len(b) == start {
				b = binary.BigEndian.AppendUint32(b, uint32(templateIPv4+i)<<16)
			}
			for _, e := range f.templates[i] {
				b = f.put(b, e, fl, base)
			}
		}
		if len(b) == start {
			continue
		}
		for (len(b)-start)%4 != 0 {
			b = append(b, 0)
		}
		binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	}
	return b
}

// put appends the value of one field.
func (f *Format) put(b []byte, e field, fl *probe.Flow, base int64) []byte {
	var v uint64
	switch e.from {
	case srcAddr, dstAddr:
		a := fl.Src
		if e.from == dstAddr {
			a = fl.Dst
		}
		if e.size == 16 {
			b = binary.BigEndian.AppendUint64(b, a[0])
			return binary.BigEndian.AppendUint64(b, a[1])
		}
		v = a[1]
	case srcMAC:
		return append(b, fl.MACs[6:]...)
	case dstMAC:
		return append(b, fl.MACs[:6]...)
	case input:
		v = uint64(fl.In)
	case output:
		v = uint64(fl.Out)
	case packets:
		v = fl.Packets
	case octets:
		v = fl.Octets
	case first, last:
		t := fl.First
		if e.from == last {
			t = fl.Last
		}
		if v = uint64(t / 1e6); e.size == 4 {
			v = uint64(t/1e6 - base)
		}
	case srcPort:
		v = uint64(fl.Ports >> 16)
	case dstPort:
		v = uint64(fl.Ports & 0xffff)
	case proto:
		v = uint64(fl.Proto)
	case tos:
		v = uint64(fl.ToS)
	case tcpFlags:
		v = uint64(fl.TCPFlags)
	case icmpType:
		if fl.Proto == 1 || fl.Proto == 58 {
			if v = uint64(fl.Ports & 0xffff); !f.Cisco {
				v = uint64(fl.Ports>>16<<8&0xff00 | fl.Ports&0xff)
			}
		}
	case direction:
		if fl.Outgoing {
			v = 1
		}
	case endReason:
		v = uint64(fl.Reason)
	case vlan:
		v = uint64(fl.VLAN)
	case startTime:
		v = uint64(f.Start / 1e6)
	case sampleRate:
		v = uint64(max(f.Sample, 1))
	case sampleMode:
		v = 1 // systematic
	}
	for shift := 8 * (int(e.size) - 1); shift >= 0; shift -= 8 {
		b = append(b, byte(v>>shift))
	}
	return b
}

// Session is what one collector has been sent. Templates go to it again after a number of messages or some time.
type Session struct {
	sequence uint32
	messages int
	told     int64 // ns since 1970
}

// How often templates are repeated.
const (
	repeatMessages = 20
	repeatTime     = 60_000_000_000 // ns
)

// Header is what a message says of its time.
type Header struct {
	Now  int64 // ns since 1970
	Base int64 // ms since 1970, what version 9 counts uptime from
}

// Finish completes a message for a collector: data are the data sets of flows records in buf, behind at least Reserve octets of
// room. It returns the message, which lies in buf.
func (f *Format) Finish(s *Session, buf []byte, data, flows int, h Header) []byte {
	records, count := flows, uint32(flows)
	start := data
	if s.messages%repeatMessages == 0 || h.Now-s.told >= repeatTime || h.Now < s.told {
		s.told, s.messages = h.Now, 0
		start -= len(f.preamble)
		copy(buf[start:], f.preamble)
		records += f.records
		count += uint32(f.data)
	}
	s.messages++
	start -= f.head
	msg := buf[start:]
	put16, put32 := binary.BigEndian.PutUint16, binary.BigEndian.PutUint32
	put16(msg, f.Version)
	if f.Version == 9 {
		put16(msg[2:], uint16(records))
		put32(msg[4:], uint32(h.Now/1e6-h.Base))
		put32(msg[8:], uint32(h.Now/1e9))
		put32(msg[12:], s.sequence)
		put32(msg[16:], f.Domain)
		s.sequence++
		return msg
	}
	put16(msg[2:], uint16(len(msg)))
	put32(msg[4:], uint32(h.Now/1e9))
	put32(msg[8:], s.sequence)
	put32(msg[12:], f.Domain)
	s.sequence += count
	return msg
}
