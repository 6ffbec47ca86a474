package netflow

import (
	"fmt"
	"sync"

	"flowtools/pkg/flow"
)

// MaxDatagram is how many octets of a datagram are looked at; a longer one
// counts as this long.
const MaxDatagram = 2048

// MaxPDU is the size in octets of the largest PDU, a full version 5 one.
const MaxPDU = 1464

// MaxRecords is the largest number of records in one PDU of any version.
const MaxRecords = 51

// headKind is the shape of a PDU header.
type headKind uint8

const (
	head1 headKind = iota // version 1: no sequence, no engine
	head5                 // versions 5, 6, 7
	head8                 // version 8
)

var headSizes = [...]int{head1: 16, head5: 24, head8: 28}

const (
	basic    = "srcaddr dstaddr nexthop input output dpkts doctets first last srcport dstport "
	routed   = basic + "-1 tcp_flags prot tos src_as dst_as src_mask dst_mask "
	counts   = "dflows dpkts doctets first last "
	catalyst = "dpkts doctets first last "
)

// pduLines describes every PDU: header, most records, the records as a layout
// line (flow.MustLayout has the grammar).
var pduLines = [...]struct {
	flow.Version
	head   headKind
	max    int
	padded bool // more octets than the records need are accepted
	line   string
}{
	{flow.Version{Export: 1}, head1, 24, false, basic + "-2 prot tos tcp_flags -7"},
	{flow.Version{Export: 5}, head5, 30, false, routed + "-2"},
	{flow.Version{Export: 6}, head5, 27, false, routed + "in_encaps out_encaps peer_nexthop"},
	{flow.Version{Export: 7}, head5, 27, false, routed + "-2 router_sc"},
	{flow.Version{Export: 8, Agg: 1}, head8, 51, false, counts + "src_as dst_as input output"},
	{flow.Version{Export: 8, Agg: 2}, head8, 51, false, counts + "prot -3 srcport dstport"},
	{flow.Version{Export: 8, Agg: 3}, head8, 44, false, counts + "srcaddr src_mask -1 src_as input -2"},
	{flow.Version{Export: 8, Agg: 4}, head8, 44, false, counts + "dstaddr dst_mask -1 dst_as output -2"},
	{flow.Version{Export: 8, Agg: 5}, head8, 35, false, counts + "srcaddr dstaddr dst_mask src_mask -2 src_as dst_as input output"},
	{flow.Version{Export: 8, Agg: 6}, head8, 44, true, "dstaddr " + catalyst + "output tos marked_tos extra_pkts router_sc"},
	{flow.Version{Export: 8, Agg: 7}, head8, 35, true, "dstaddr srcaddr " + catalyst + "output input tos marked_tos -2 extra_pkts router_sc"},
	{flow.Version{Export: 8, Agg: 8}, head8, 32, true, "dstaddr srcaddr dstport srcport " + catalyst + "output input tos prot marked_tos -1 extra_pkts router_sc"},
	{flow.Version{Export: 8, Agg: 9}, head8, 44, false, counts + "src_as dst_as input output tos -3"},
	{flow.Version{Export: 8, Agg: 10}, head8, 44, false, counts + "prot tos -2 srcport dstport input output"},
	{flow.Version{Export: 8, Agg: 11}, head8, 44, false, counts + "srcaddr src_mask tos src_as input -2"},
	{flow.Version{Export: 8, Agg: 12}, head8, 44, false, counts + "dstaddr dst_mask tos dst_as output -2"},
	{flow.Version{Export: 8, Agg: 13}, head8, 35, false, counts + "srcaddr dstaddr dst_mask src_mask tos -1 src_as dst_as input output"},
	{flow.Version{Export: 8, Agg: 14}, head8, 35, false, counts + "srcaddr dstaddr dst_mask src_mask tos prot srcport dstport input output"},
}

// pdu is one row of pduLines, compiled.
type pdu struct {
	layout *flow.Layout // of a record on the wire, big-endian
	head   headKind
	max    int
	padded bool
}

var pdus = sync.OnceValue(func() *[len(pduLines)]pdu {
	var ps [len(pduLines)]pdu
	for i, l := range pduLines {
		ps[i] = pdu{flow.MustLayout(l.Version, flow.BigEndian, l.line), l.head, l.max, l.padded}
	}
	return &ps
})

// kindOf returns the row of a version in pduLines, -1 for one that has no PDU.
func kindOf(v flow.Version) int {
	switch {
	case v.Export == 1:
		return 0
	case v.Export >= 5 && v.Export <= 7:
		return int(v.Export) - 4
	case v.Export == 8 && v.Agg >= 1 && v.Agg <= 14:
		return int(v.Agg) + 3
	}
	return -1
}

// lookup is kindOf and the row itself; nil for a version that has no PDU.
func lookup(v flow.Version) *pdu {
	k := kindOf(v)
	if k < 0 {
		return nil
	}
	return &pdus()[k]
}

// WireLayout returns the layout of a record of version v on the wire and the
// most records that a PDU holds. The error names a version without PDU form,
// such as 1005.
func WireLayout(v flow.Version) (l *flow.Layout, maxRecords int, err error) {
	p := lookup(v)
	if p == nil {
		return nil, 0, fmt.Errorf("version %v has no PDU form", v)
	}
	return p.layout, p.max, nil
}

// Mode chooses between what the original tools do with some fields and what
// the fields say.
type Mode uint8

const (
	// Compat is what collectors and senders of the original do (netflow-wire.md
	// section 7): in versions 6, 7 and 8 the engine id of the header lands in
	// engine_type and engine_id becomes 0; version 1 loses output on its way to
	// versions 5, 6 and 7; 8.8 is sent with prot 0.
	Compat Mode = iota
	// Exact keeps those values where they belong.
	Exact
)
