package flowexpr

import (
	"strconv"
	"sync"

	"flowtools/internal/clib"
	"flowtools/internal/dumper"
	"flowtools/pkg/flow"
)

// source gives the value of a variable for the current record.
type (
	numberOf func(l *flow.Layout, r flow.Record) uint64
	ratioOf  func(l *flow.Layout, r flow.Record) float64
	textOf   func(s *state, dst []byte) []byte
)

// variable is a fact of a flow. Exactly one of the three sources is set, or, for a
// number that is a field of the record, none.
type variable struct {
	name    string
	field   flow.Field // the field it is, or the address that a text spells
	number  numberOf
	ratio   ratioOf
	text    textOf
	max     uint64 // of a number that is not a field
	proto   uint64 // undefined for other protocols; 0: always defined
	doc     string
	address bool // text is the dotted quad of field
}

// plain reports whether the variable is a field of the record, and so can be set.
func (v *variable) plain() bool { return v.number == nil && v.ratio == nil && v.text == nil }

// guard is the condition in expr-lang under which the variable is defined, "" for always.
func (v *variable) guard() string {
	if v.proto == 0 {
		return ""
	}
	return "protocol == " + strconv.Itoa(int(v.proto))
}

// limit is the largest value of a number.
func (v *variable) limit() uint64 {
	if v.number != nil {
		return v.max
	}
	return 1<<(8*v.field.Info().Width) - 1
}

const max32 = 1<<32 - 1

func start(l *flow.Layout, r flow.Record) uint64 { return uint64(dumper.Start(l, r)) }
func end(l *flow.Layout, r flow.Record) uint64   { return uint64(dumper.End(l, r)) }

// icmp returns a number of dstport where the flow is ICMP, else 0: undefined is 0
// in a number's place.
func icmp(part func(dstport uint64) uint64) numberOf {
	return func(l *flow.Layout, r flow.Record) uint64 {
		if l.Uint(r, flow.Prot) != dumper.ICMP {
			return 0
		}
		return part(l.Uint(r, flow.DstPort))
	}
}

// per returns a counter divided by the whole seconds of the flow, at least one.
func per(f flow.Field) ratioOf {
	return func(l *flow.Layout, r flow.Record) float64 {
		return float64(l.Uint(r, f)) / float64(max(l.Duration(r)/1000, 1))
	}
}

// dotted is the text of an address.
func dotted(f flow.Field) textOf {
	return func(s *state, dst []byte) []byte { return clib.AppendIPv4(dst, uint32(s.layout.Uint(s.rec, f))) }
}

func localtime(s *state, dst []byte) []byte {
	return s.clock.AppendDate(dst, dumper.Start(s.layout, s.rec))
}

func tcpFlags(s *state, dst []byte) []byte {
	if s.layout.Uint(s.rec, flow.Prot) != dumper.TCP {
		return dst
	}
	return dumper.AppendFlags(dst, s.layout.Uint(s.rec, flow.TCPFlags))
}

func icmpName(s *state, dst []byte) []byte {
	if s.layout.Uint(s.rec, flow.Prot) != dumper.ICMP {
		return dst
	}
	return append(dst, dumper.ICMPName(s.layout.Uint(s.rec, flow.DstPort))...)
}

// variables are all there are, in the order of the manual.
var variables = [...]variable{
	{name: "startime", number: start, max: max32, doc: "start of the flow, seconds since 1970 UTC (spelled so)"},
	{name: "start_msecs", number: func(l *flow.Layout, r flow.Record) uint64 { return l.Millis(r, flow.First) % 1000 }, max: 999, doc: "milliseconds within that second"},
	{name: "endtime", number: end, max: max32, doc: "end of the flow, seconds since 1970 UTC"},
	{name: "end_msecs", number: func(l *flow.Layout, r flow.Record) uint64 { return l.Millis(r, flow.Last) % 1000 }, max: 999, doc: "milliseconds within that second"},
	{name: "unix_secs", number: start, max: max32, doc: "the same as startime"},
	{name: "localtime", text: localtime, doc: "start of the flow in local time, as 2011/12/31 23:54:42"},
	{name: "exporter", field: flow.ExAddr, doc: "address of the exporter, a number"},
	{name: "exporterip", field: flow.ExAddr, text: dotted(flow.ExAddr), address: true, doc: "address of the exporter, a string"},
	{name: "srcaddr", field: flow.SrcAddr, doc: "source address, a number"},
	{name: "srcip", field: flow.SrcAddr, text: dotted(flow.SrcAddr), address: true, doc: "source address, a string"},
	{name: "dstaddr", field: flow.DstAddr, doc: "destination address, a number"},
	{name: "dstip", field: flow.DstAddr, text: dotted(flow.DstAddr), address: true, doc: "destination address, a string"},
	{name: "nexthop", field: flow.NextHop, doc: "address of the next hop, a number"},
	{name: "nexthopip", field: flow.NextHop, text: dotted(flow.NextHop), address: true, doc: "address of the next hop, a string"},
	{name: "input_if", field: flow.Input, doc: "input interface"},
	{name: "output_if", field: flow.Output, doc: "output interface"},
	{name: "srcport", field: flow.SrcPort, doc: "source port"},
	{name: "dstport", field: flow.DstPort, doc: "destination port; ICMP: type * 256 + code"},
	{name: "ICMPType", number: icmp(func(p uint64) uint64 { return p >> 8 }), max: 255, proto: dumper.ICMP, doc: "ICMP type; undefined if not ICMP"},
	{name: "ICMPCode", number: icmp(func(p uint64) uint64 { return p & 255 }), max: 255, proto: dumper.ICMP, doc: "ICMP code; undefined if not ICMP"},
	{name: "ICMPTypeCode", text: icmpName, proto: dumper.ICMP, doc: "name of ICMP code, else type: HOST_UNREACH; undefined if not ICMP"},
	{name: "pkts", field: flow.DPkts, doc: "packets"},
	{name: "bytes", field: flow.DOctets, doc: "octets"},
	{name: "Bps", ratio: per(flow.DOctets), doc: "octets a second, of the flow's whole seconds, at least one"},
	{name: "pps", ratio: per(flow.DPkts), doc: "packets a second, likewise"},
	{name: "protocol", field: flow.Prot, doc: "IP protocol"},
	{name: "tos", field: flow.ToS, doc: "type of service"},
	{name: "tcp_flags", field: flow.TCPFlags, doc: "OR of the TCP flags, a number"},
	{name: "TCPFlags", text: tcpFlags, proto: dumper.TCP, doc: "their names, as PUSH|SYN|FIN|ACK; undefined if not TCP"},
	{name: "src_as", field: flow.SrcAS, doc: "source AS"},
	{name: "dst_as", field: flow.DstAS, doc: "destination AS"},
	{name: "src_mask", field: flow.SrcMask, doc: "source prefix length"},
	{name: "dst_mask", field: flow.DstMask, doc: "destination prefix length"},
	{name: "engine_type", field: flow.EngineType, doc: "kind of switching engine"},
	{name: "engine_id", field: flow.EngineID, doc: "slot of the engine"},
}

// variableNamed finds a variable.
func variableNamed(name string) *variable {
	for i := range variables {
		if variables[i].name == name {
			return &variables[i]
		}
	}
	return nil
}

// constants are the named numbers.
var constants = sync.OnceValue(func() map[string]int {
	m := make(map[string]int)
	for _, c := range dumper.Constants() {
		m[c.Name] = c.Value
	}
	return m
})
