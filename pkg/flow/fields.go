package flow

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// Field names one value of a flow record. Its number is the field's bit in the
// masks of flow-export -m and flow-import -m; the gaps (11, 14, 15) have no field.
type Field uint8

// The fields of all record versions, in mask bit order. Units: seconds and
// nanoseconds of the exporter's clock, milliseconds of its uptime, packets,
// octets, ifIndex numbers, prefix lengths in bits.
const (
	UnixSecs    Field = 0  // export time, seconds since 1970 UTC
	UnixNsecs   Field = 1  // export time, nanoseconds within the second
	SysUptime   Field = 2  // exporter uptime at export, ms
	ExAddr      Field = 3  // exporter address
	DFlows      Field = 4  // flows aggregated in the record (version 8)
	DPkts       Field = 5  // packets
	DOctets     Field = 6  // octets of the IP packets
	First       Field = 7  // uptime at the first packet, ms
	Last        Field = 8  // uptime at the last packet, ms
	EngineType  Field = 9  // kind of switching engine
	EngineID    Field = 10 // slot of the engine
	SrcAddr     Field = 12 // source address
	DstAddr     Field = 13 // destination address
	NextHop     Field = 16 // next hop router
	Input       Field = 17 // ifIndex of the input interface
	Output      Field = 18 // ifIndex of the output interface
	SrcPort     Field = 19 // source port
	DstPort     Field = 20 // destination port, or ICMP type*256+code
	Prot        Field = 21 // IP protocol
	ToS         Field = 22 // IP type of service
	TCPFlags    Field = 23 // OR of the TCP flags seen
	SrcMask     Field = 24 // source prefix length
	DstMask     Field = 25 // destination prefix length
	SrcAS       Field = 26 // source AS
	DstAS       Field = 27 // destination AS
	InEncaps    Field = 28 // input encapsulation size (version 6)
	OutEncaps   Field = 29 // output encapsulation size (version 6)
	PeerNextHop Field = 30 // next hop of the peer (version 6)
	RouterSC    Field = 31 // address of the shortcut router (Catalyst)
	ExtraPkts   Field = 32 // packets beyond the compact counter (Catalyst)
	MarkedToS   Field = 33 // ToS of the marked packets (Catalyst)
	SrcTag      Field = 34 // source tag (version 1005)
	DstTag      Field = 35 // destination tag (version 1005)

	NumFields = 36
)

// Kind says what a field's number means, and so how it is printed and matched.
type Kind uint8

// The kinds of fields.
const (
	Count   Kind = iota // packets, octets, flows
	Addr                // IPv4 address
	Port                // TCP or UDP port
	Proto               // IP protocol
	ASN                 // autonomous system
	IfIndex             // SNMP interface index
	MaskLen             // prefix length in bits
	ToSByte             // type of service
	Flags               // TCP flags
	Time                // clock or uptime
	Tag                 // flow-tag value
	Opaque              // engine numbers, encapsulations
)

// Info is the registry row of a field: everything that tools know of it by table.
type Info struct {
	Name    string // flow-tools name: -m lists, CSV heading, SQL column
	Kind    Kind
	Width   uint8  // octets in the records of versions 1 to 1005
	Match   string // short word of flow-nfilter's match lines, "" where it cannot be matched by itself
	Long    string // long word of flow-nfilter's match lines
	Key     string // key name in flow-report
	Sym     string // symbol table for names, "" for none
	Heading string // CSV heading where it differs from Name
	SQL     string // portable column type, unsigned ranges included
	Element uint16 // IPFIX information element (IANA), 0 for none
	Doc     string
}

var fields = [NumFields]Info{
	UnixSecs:    {Name: "unix_secs", Kind: Time, Width: 4, SQL: "BIGINT", Element: 150, Doc: "export time, seconds since 1970 UTC"},
	UnixNsecs:   {Name: "unix_nsecs", Kind: Time, Width: 4, SQL: "BIGINT", Doc: "export time, nanoseconds within the second"},
	SysUptime:   {Name: "sysuptime", Kind: Time, Width: 4, SQL: "BIGINT", Doc: "exporter uptime at export, milliseconds"},
	ExAddr:      {Name: "exaddr", Kind: Addr, Width: 4, Match: "exporter-ip-addr", Long: "ip-exporter-address", Key: "ip-exporter-address", SQL: "VARCHAR(15)", Element: 130, Doc: "exporter address"},
	DFlows:      {Name: "dflows", Kind: Count, Width: 4, Match: "flows", SQL: "BIGINT", Element: 3, Doc: "flows aggregated in the record"},
	DPkts:       {Name: "dpkts", Kind: Count, Width: 4, Match: "packets", SQL: "BIGINT", Element: 2, Doc: "packets"},
	DOctets:     {Name: "doctets", Kind: Count, Width: 4, Match: "octets", SQL: "BIGINT", Element: 1, Doc: "octets"},
	First:       {Name: "first", Kind: Time, Width: 4, Key: "First", SQL: "BIGINT", Element: 22, Doc: "exporter uptime at the first packet, milliseconds"},
	Last:        {Name: "last", Kind: Time, Width: 4, Key: "Last", SQL: "BIGINT", Element: 21, Doc: "exporter uptime at the last packet, milliseconds"},
	EngineType:  {Name: "engine_type", Kind: Opaque, Width: 1, Match: "engine-type", Key: "engine-type", SQL: "SMALLINT", Element: 38, Doc: "kind of switching engine"},
	EngineID:    {Name: "engine_id", Kind: Opaque, Width: 1, Match: "engine-id", Key: "engine-id", SQL: "SMALLINT", Element: 39, Doc: "slot of the engine"},
	SrcAddr:     {Name: "srcaddr", Kind: Addr, Width: 4, Match: "src-ip-addr", Long: "ip-source-address", Key: "ip-source-address", SQL: "VARCHAR(15)", Element: 8, Doc: "source address"},
	DstAddr:     {Name: "dstaddr", Kind: Addr, Width: 4, Match: "dst-ip-addr", Long: "ip-destination-address", Key: "ip-destination-address", SQL: "VARCHAR(15)", Element: 12, Doc: "destination address"},
	NextHop:     {Name: "nexthop", Kind: Addr, Width: 4, Match: "nexthop-ip-addr", Long: "ip-nexthop-address", Key: "ip-next-hop-address", SQL: "VARCHAR(15)", Element: 15, Doc: "next hop router"},
	Input:       {Name: "input", Kind: IfIndex, Width: 2, Match: "src-ifindex", Long: "input-interface", Key: "input-interface", SQL: "INTEGER", Element: 10, Doc: "input interface"},
	Output:      {Name: "output", Kind: IfIndex, Width: 2, Match: "dst-ifindex", Long: "output-interface", Key: "output-interface", SQL: "INTEGER", Element: 14, Doc: "output interface"},
	SrcPort:     {Name: "srcport", Kind: Port, Width: 2, Match: "src-ip-port", Long: "ip-source-port", Key: "ip-source-port", Sym: "tcp-port", SQL: "INTEGER", Element: 7, Doc: "source port"},
	DstPort:     {Name: "dstport", Kind: Port, Width: 2, Match: "dst-ip-port", Long: "ip-destination-port", Key: "ip-destination-port", Sym: "tcp-port", SQL: "INTEGER", Element: 11, Doc: "destination port"},
	Prot:        {Name: "prot", Kind: Proto, Width: 1, Match: "ip-protocol", Key: "ip-protocol", Sym: "ip-prot", SQL: "SMALLINT", Element: 4, Doc: "IP protocol"},
	ToS:         {Name: "tos", Kind: ToSByte, Width: 1, Match: "ip-tos", Key: "ip-tos", SQL: "SMALLINT", Element: 5, Doc: "IP type of service"},
	TCPFlags:    {Name: "tcp_flags", Kind: Flags, Width: 1, Match: "ip-tcp-flags", SQL: "SMALLINT", Element: 6, Doc: "OR of the TCP flags"},
	SrcMask:     {Name: "src_mask", Kind: MaskLen, Width: 1, Match: "src-ip-addr-prefix-len", Long: "ip-source-address-prefix-len", SQL: "SMALLINT", Element: 9, Doc: "source prefix length"},
	DstMask:     {Name: "dst_mask", Kind: MaskLen, Width: 1, Match: "dst-ip-addr-prefix-len", Long: "ip-destination-address-prefix-len", SQL: "SMALLINT", Element: 13, Doc: "destination prefix length"},
	SrcAS:       {Name: "src_as", Kind: ASN, Width: 2, Match: "src-as", Long: "source-as", Key: "source-as", Sym: "asn", SQL: "INTEGER", Element: 16, Doc: "source AS"},
	DstAS:       {Name: "dst_as", Kind: ASN, Width: 2, Match: "dst-as", Long: "destination-as", Key: "destination-as", Sym: "asn", SQL: "INTEGER", Element: 17, Doc: "destination AS"},
	InEncaps:    {Name: "in_encaps", Kind: Opaque, Width: 1, SQL: "SMALLINT", Doc: "input encapsulation"},
	OutEncaps:   {Name: "out_encaps", Kind: Opaque, Width: 1, SQL: "SMALLINT", Doc: "output encapsulation"},
	PeerNextHop: {Name: "peer_nexthop", Kind: Addr, Width: 4, Heading: "nexthop", SQL: "VARCHAR(15)", Doc: "next hop of the peer"},
	RouterSC:    {Name: "router_sc", Kind: Addr, Width: 4, Match: "shortcut-ip-addr", Long: "ip-shortcut-address", SQL: "VARCHAR(15)", Doc: "shortcut router"},
	ExtraPkts:   {Name: "extra_pkts", Kind: Count, Width: 4, Match: "extra-packets", SQL: "BIGINT", Doc: "extra packets"},
	MarkedToS:   {Name: "marked_tos", Kind: ToSByte, Width: 1, Match: "ip-marked-tos", SQL: "SMALLINT", Doc: "ToS of marked packets"},
	SrcTag:      {Name: "src_tag", Kind: Tag, Width: 4, Match: "src-tag", Long: "source-tag", Key: "source-tag", Sym: "tag", SQL: "BIGINT", Doc: "source tag"},
	DstTag:      {Name: "dst_tag", Kind: Tag, Width: 4, Match: "dst-tag", Long: "destination-tag", Key: "destination-tag", Sym: "tag", SQL: "BIGINT", Doc: "destination tag"},
}

// Info returns the registry row of f, shared and read-only: the zero Info for a
// number below NumFields without a field. It panics for others.
func (f Field) Info() *Info { return &fields[f] }

// String returns the flow-tools name of f.
func (f Field) String() string { return fields[f].Name }

// Set returns the set that holds f alone.
func (f Field) Set() FieldSet { return 1 << f }

// AllFields yields every field in bit order.
func AllFields() iter.Seq[Field] { return KnownFields.All() }

// FieldSet is a set of fields; its bits are the mask bits of flow-export -m.
type FieldSet uint64

// KnownFields holds every field of the registry.
const KnownFields = FieldSet(1<<NumFields-1) &^ (1<<11 | 1<<14 | 1<<15)

// TimeFields are the fields that the absolute time of a flow is computed from.
const TimeFields = FieldSet(1<<UnixSecs | 1<<UnixNsecs | 1<<SysUptime)

// Fields returns the set of the given fields.
func Fields(fs ...Field) (s FieldSet) {
	for _, f := range fs {
		s |= f.Set()
	}
	return s
}

// Has reports whether f is in s.
func (s FieldSet) Has(f Field) bool { return s>>f&1 != 0 }

// Len returns the number of fields in s.
func (s FieldSet) Len() int { return bits.OnesCount64(uint64(s)) }

// All yields the fields of s in bit order; bits without a field are passed over.
func (s FieldSet) All() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for rest := s & KnownFields; rest != 0; rest &= rest - 1 {
			if !yield(Field(bits.TrailingZeros64(uint64(rest)))) {
				return
			}
		}
	}
}

// String returns the names of the fields in bit order, separated by commas.
func (s FieldSet) String() string {
	var b strings.Builder
	for f := range s.All() {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// ParseFields reads a comma separated list of field names in ascending bit
// order, in any letter case. The error names the first field that is not
// known, repeated, or below one already given.
func ParseFields(list string) (FieldSet, error) {
	var set FieldSet
	for name := range strings.SplitSeq(list, ",") {
		f, ok := fieldNamed(name)
		switch {
		case !ok:
			return 0, fmt.Errorf("Unrecognized field: %s", name)
		case set.Has(f):
			return 0, fmt.Errorf("Duplicate field: %s", name)
		case set>>f != 0:
			return 0, fmt.Errorf("Out of order field: %s", name)
		}
		set |= f.Set()
	}
	return set, nil
}

func fieldNamed(name string) (Field, bool) {
	for f := range AllFields() {
		if strings.EqualFold(fields[f].Name, name) {
			return f, true
		}
	}
	return 0, false
}
