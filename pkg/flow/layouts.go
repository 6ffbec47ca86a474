package flow

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Version is a record version: the export version and, for version 8, the
// aggregation method 1..14 (0 otherwise).
type Version struct {
	Export uint16
	Agg    uint8
}

// String returns "5" or "8.3".
func (v Version) String() string {
	if v.Export == 8 {
		return fmt.Sprintf("8.%d", v.Agg)
	}
	return strconv.Itoa(int(v.Export))
}

// AggVersion is the only version of the aggregation schemes of record version 8.
const AggVersion = 2

// The record layouts of stream version 3, one line a version: field names in
// order at their natural widths; "-n" is n octets of padding, carried through
// and never swapped; "~name" lies in the record but is not offered as a field;
// "name!" is stored in little-endian order in either kind of stream; "name!16"
// has only its low half swapped, the upper one cleared.
//
// Compat: 8.3, 8.11 and 8.12 have exaddr before sysuptime; 8.10 hides its
// interfaces; 8.12 dst_as, 1005 exaddr and the tags have incomplete byte order
// conversions (stream-format.md section 5; goldens stream/v1005-be-tags).
const (
	head     = "unix_secs unix_nsecs sysuptime exaddr "
	headSwap = "unix_secs unix_nsecs exaddr sysuptime "
	basic    = "srcaddr dstaddr nexthop input output dpkts doctets first last srcport dstport prot tos tcp_flags "
	routed   = head + basic + "-1 engine_type engine_id src_mask dst_mask src_as dst_as "
	counts   = "dflows dpkts doctets first last "
	catalyst = "dpkts doctets first last "
)

var layoutLines = []struct {
	Version
	name, line string
}{
	{Version{1, 0}, "", head + basic + "-1 -4"},
	{Version{5, 0}, "", routed},
	{Version{6, 0}, "", routed + "in_encaps out_encaps -2 peer_nexthop"},
	{Version{7, 0}, "", routed + "router_sc"},
	{Version{8, 1}, "AS", head + counts + "src_as dst_as input output engine_type engine_id -2"},
	{Version{8, 2}, "Protocol Port", head + counts + "prot -3 srcport dstport engine_type engine_id -2"},
	{Version{8, 3}, "Source Prefix", headSwap + counts + "srcaddr src_mask -1 src_as input engine_type engine_id"},
	{Version{8, 4}, "Destination Prefix", head + counts + "dstaddr dst_mask -1 engine_type engine_id dst_as output"},
	{Version{8, 5}, "Prefix", head + counts + "srcaddr dstaddr dst_mask src_mask engine_type engine_id src_as dst_as input output"},
	{Version{8, 6}, "Destination", head + catalyst + "dstaddr extra_pkts router_sc output -2 tos marked_tos engine_type engine_id"},
	{Version{8, 7}, "Source Destination", head + catalyst + "dstaddr srcaddr extra_pkts router_sc output input tos marked_tos engine_type engine_id"},
	{Version{8, 8}, "Full Flow", head + catalyst + "dstaddr srcaddr extra_pkts router_sc dstport srcport output input tos marked_tos engine_type engine_id prot -3"},
	{Version{8, 9}, "ToS AS", head + counts + "src_as dst_as input output engine_type engine_id tos -1"},
	{Version{8, 10}, "ToS Proto Port", head + counts + "srcport dstport ~input ~output engine_type engine_id prot tos"},
	{Version{8, 11}, "ToS Source Prefix", headSwap + counts + "srcaddr src_mask tos src_as input engine_type engine_id"},
	{Version{8, 12}, "ToS Destination Prefix", headSwap + counts + "dstaddr output dst_as! dst_mask tos engine_type engine_id"},
	{Version{8, 13}, "ToS Prefix", head + counts + "srcaddr dstaddr src_as dst_as input output dst_mask src_mask engine_type engine_id tos -3"},
	{Version{8, 14}, "ToS Prefix Port", head + counts + "srcaddr dstaddr srcport dstport input output dst_mask src_mask engine_type engine_id tos prot -2"},
	{Version{1005, 0}, "", strings.Replace(routed, "exaddr", "exaddr!", 1) + "src_tag!16 dst_tag!16"},
}

var layouts = sync.OnceValue(func() map[Version]*Layout {
	m := make(map[Version]*Layout, len(layoutLines))
	for _, l := range layoutLines {
		m[l.Version] = MustLayout(l.Version, LittleEndian, l.line)
	}
	return m
})

// VersionError is the error for a record version that is not supported.
type VersionError struct {
	Part  string // what of it: "d_version" (export), "agg_version" or "agg_method"
	Value uint16
}

// Error returns the text that scripts know.
func (e *VersionError) Error() string { return fmt.Sprintf("Unsupported %s %d", e.Part, e.Value) }

// LayoutOf returns the record layout of a version, shared and read-only. The
// error is a [*VersionError]. The aggregation method of versions other than 8
// does not matter.
func LayoutOf(v Version) (*Layout, error) {
	if v.Export != 8 {
		v.Agg = 0
	}
	if l := layouts()[v]; l != nil {
		return l, nil
	}
	if v.Export == 8 {
		return nil, &VersionError{"agg_method", uint16(v.Agg)}
	}
	return nil, &VersionError{"d_version", v.Export}
}

// Versions returns every record version, in ascending order.
func Versions() []Version {
	vs := make([]Version, len(layoutLines))
	for i, l := range layoutLines {
		vs[i] = l.Version
	}
	return vs
}

// AggName returns the name of aggregation method 1..14 of version 8, "" for others.
func AggName(method uint8) string {
	for _, l := range layoutLines {
		if l.Export == 8 && l.Agg == method {
			return l.name
		}
	}
	return ""
}
