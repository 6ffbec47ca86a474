package print

import (
	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// A page is one layout of a format: what stands above the records and the
// template of a record. A template is the text of the lines, with columns in
// braces, `{VALUE VERB}`; the last newline is implied.
//
// Values: a field by its flow-tools name; `ADDR/MASK`, a prefix; `FIELD:N`, with
// names asked for the name of the value cut to N bytes (0: uncut) from the field's
// symbol table; `FIELD&N`, some bits; start, end (the flow's absolute times);
// duration, active and active_ms (its whole seconds and the rest) and bpp
// (octets per packet).
//
// Verbs are printf's: d u x for numbers; s with width and cut for addresses,
// prefixes, names and numbers written as strings; for times, one of the stamps
// of clock.go.
type page struct{ heading, line string }

// format is one row of the table of formats. Missing wide pages are the narrow one.
type format struct {
	title string // for help
	page
	wide page
	also flow.FieldSet // fields needed though no column shows them
	skip skip
}

// skip says which records a format leaves out.
type skip uint8

const (
	none  skip = iota
	empty      // those without packets, with a complaint
	noSYN      // the empty ones, and all but two-packet TCP flows of bare SYNs
)

const (
	mmdd = "MMDD.HH:MM:SS.mmm"
	ymd  = "YYYY-MM-DD HH:MM:SS.mmm"

	// The second line of formats 1 and 2.
	detail     = "\n {start " + mmdd + "}  {end " + mmdd + "}  {active %5u}.{active_ms %03u} {bpp %-3u} {tos %02x} {tcp_flags %02x}\n"
	detailHead = "\n StartTime          EndTime             Active   B/Pk Ts Fl\n"
	line0      = "{input %04x} {srcaddr %-15.15s}  {output %04x} {dstaddr %-15.15s}   {prot %02x} {srcport %-4x} {dstport %-4x}  {dpkts %-10u} {doctets %-10u}"
	counts     = "  {doctets %-10u}  {dpkts %-10u}"

	// Column kinds of the formats for version 8.
	srcPfx  = "{srcaddr/src_mask %-18.18s}  "
	dstPfx  = "{dstaddr/dst_mask %-18.18s}  "
	srcAS   = "{src_as:17 %-5.5s}  "
	dstAS   = "{dst_as:17 %-5.5s}  "
	srcASw  = "{src_as:17 %-16.16s}  "
	dstASw  = "{dst_as:17 %-16.16s}  "
	input   = "{input %-7.7s}"
	output  = "{output %-7.7s}"
	in5     = "{input %-5.5s}  "
	out5    = "{output %-5.5s}  "
	srcIP   = "{srcaddr %-15.15s}  "
	dstIP   = "{dstaddr %-15.15s}  "
	routing = "{router_sc %-15.15s}  "
	ports   = "{srcport:15 %-7.7s}  {dstport:15 %-7.7s}  {prot:4 %-5.5s}  "
	portsw  = "{srcport:15 %-16.16s}  {dstport:15 %-16.16s}  {prot:4 %-5.5s}  "
	tos     = "{tos %-3.3s}  "
	marked  = tos + "{marked_tos %-3.3s}  {extra_pkts %-10.10s}  {doctets %-10.10s}  {dpkts %-10.10s}"
	tail    = "{dflows %-12.12s}{doctets %-12.12s}{dpkts %-12.12s}{duration %-12.12s}"

	flowsHead = "flows       octets      packets     duration"
)

// formats is the table of flow-print's formats, by number.
//
// Compat: formats 13 and 21 call the output interface "input"; the narrow heading
// of 4 and the wide one of 9 do not stand over their columns; 19 shows the
// protocol under ToS; 22 has its columns in an order other than its heading's.
var formats = [...]format{
	0: {title: "one line, numbers in hexadecimal", page: page{"Sif  SrcIPaddress     Dif  DstIPaddress      Pr SrcP DstP  Pkts       Octets", line0}},
	1: {title: "two lines with times, flags and octets per packet", page: page{"Sif  SrcIPaddress     DIf  DstIPaddress      Pr SrcP DstP  Pkts  Octets" + detailHead, line0 + detail}, skip: empty},
	2: {title: "two lines, bare SYN flows only", page: page{"Sif SrcIPaddress     DIf DstIPaddress    Pr SrcP DstP Pkts       Octets" + detailHead,
		"{input %02x}  {srcaddr %-15.15s}  {output %02x}  {dstaddr %-15.15s} {prot %02x} {srcport %-4x} {dstport %-4x} {dpkts %-10u} {doctets %-10u}" + detail},
		skip: noSYN},
	3: {title: "one line: addresses, ports, counters", page: page{"srcIP            dstIP            prot  srcPort  dstPort  octets      packets",
		srcIP + dstIP + "{prot:4 %-4.4s}  {srcport:15 %-7.7s}  {dstport:15 %-7.7s}" + counts},
		wide: page{"srcIP            dstIP            prot   srcPort           dstPort           octets      packets",
			srcIP + dstIP + "{prot:4 %-5.5s}  {srcport:15 %-16.16s}  {dstport:15 %-16.16s}" + counts}},
	4: {title: "prefixes and AS numbers", page: page{"srcIP              dstIP              prot  srcAS  dstAS  octets      packets",
		"{srcaddr/src_mask %-18.18s} {dstaddr/dst_mask %-18.18s} {prot:4 %-4.4s}  {src_as:17 %-5.5s}  {dst_as:17 %-5.5s}" + counts},
		wide: page{"Sif  Dif  srcIP               dstIP               prot   srcAS             dstAS             octets      packets",
			"{input %04x} {output %04x} " + srcPfx + dstPfx + "{prot:4 %-5.5s}  {src_as:17 %-16.16s}  {dst_as:17 %-16.16s}" + counts}},
	5: {title: "one line with start and end", page: page{"Start             End               Sif   SrcIPaddress    SrcP  DIf   DstIPaddress    DstP    P Fl Pkts       Octets\n",
		"{start " + mmdd + "} {end " + mmdd + "} {input %-5u} {srcaddr %-15.15s} {srcport %-5u} {output %-5u} {dstaddr %-15.15s} {dstport %-5u} " +
			"{prot %-3u} {tcp_flags&7 %-2d} {dpkts %-10u} {doctets %-10u}"}},
	6: {title: "addresses and counters", page: page{"   Source           Destination              Packets               Bytes",
		" " + srcIP + dstIP + "{dpkts %17u}  {doctets %18u}"}},
	7: {title: "version 7: prefixes and shortcut router", page: page{"srcIP               dstIP               router_sc        prot   srcPort         dstPort         octets      packets",
		srcPfx + dstPfx + routing + "{prot:4 %-5.5s}  {srcport:15 %-14.14s}  {dstport:15 %-14.14s}" + counts}},
	8: {title: "version 6: prefixes, peer and encapsulation", page: page{"srcIP               dstIP               peer_nexthop     encap i/o  prot   srcPort         dstPort         octets      packets",
		srcPfx + dstPfx + "{peer_nexthop %-15.15s}  {in_encaps %-4d} {out_encaps %-4d}  {prot:4 %-5.5s}  {srcport:15 %-14.14s}  {dstport:15 %-14.14s}" + counts}},
	9: {title: "version 1005: tags", page: page{"srcTag      dstTag      srcIP            dstIP            octets      packets",
		"{src_tag:0 %-10.10s}  {dst_tag:0 %-10.10s}  {srcaddr %-15.15s}  {dstaddr %-15.15s}" + counts},
		wide: page{"srcTag             dstTag             srcIP            dstIP            octets      packets",
			"{src_tag:0 %-15.15s}  {dst_tag:0 %-15.15s}  {srcaddr %-15.15s}  {dstaddr %-15.15s}" + counts}},
	10: {title: "AS (8.1)", page: page{"srcAS  dstAS  in     out    " + flowsHead, srcAS + dstAS + input + output + tail},
		wide: page{"srcAS             dstAS             in     out    " + flowsHead, srcASw + dstASw + input + output + tail}},
	11: {title: "protocol and ports (8.2)", page: page{"srcPort  dstPort  prot   " + flowsHead, ports + tail},
		wide: page{"srcPort           dstPort           prot   " + flowsHead, portsw + tail}},
	12: {title: "source prefix (8.3)", page: page{"src/mask            srcAS  input  " + flowsHead, srcPfx + srcAS + input + tail},
		wide: page{"srcPrefix           srcAS             input  " + flowsHead, srcPfx + srcASw + input + tail}},
	13: {title: "destination prefix (8.4)", page: page{"dst/mask            dstAS  input  " + flowsHead, dstPfx + dstAS + output + tail},
		wide: page{"dstPrefix           dstAS             input  " + flowsHead, dstPfx + dstASw + output + tail}},
	14: {title: "prefixes (8.5)", page: page{"srcPrefix           srcAS  dstPrefix           dstAS  input  output " + flowsHead, srcPfx + srcAS + dstPfx + dstAS + input + output + tail},
		wide: page{"srcPrefix           srcAS             dstPrefix           dstAS             input  output " + flowsHead,
			srcPfx + srcASw + dstPfx + dstASw + input + output + tail}},
	15: {title: "destination (8.6)", page: page{"dstIP            router_sc        Dif    ToS  mToS xpackets    octets      packets", dstIP + routing + out5 + marked}},
	16: {title: "source and destination (8.7)", page: page{"srcIP            dstIP            router_sc        Sif    Dif    ToS  mToS xpackets    octets      packets",
		srcIP + dstIP + routing + in5 + out5 + marked}},
	17: {title: "full flow (8.8)", page: page{"srcIP            dstIP            router_sc        Sif    Dif    SrcP   DstP   prot ToS  mToS xpackets    octets      packets",
		srcIP + dstIP + routing + in5 + out5 + "{srcport:4 %-5.5s}  {dstport:4 %-5.5s}  {prot:4 %-3.3s}  " + marked}},
	18: {title: "ToS and AS (8.9)", page: page{"ToS  srcAS  dstAS  in     out    " + flowsHead, tos + srcAS + dstAS + input + output + tail},
		wide: page{"ToS  srcAS             dstAS             in     out    " + flowsHead, tos + srcASw + dstASw + input + output + tail}},
	19: {title: "ToS, protocol and ports (8.10)", page: page{"ToS  srcPort  dstPort  prot   " + flowsHead, "{prot %-3.3s}  " + ports + tail},
		wide: page{"ToS  srcPort           dstPort           prot   " + flowsHead, "{prot %-3.3s}  " + portsw + tail}, also: flow.Fields(flow.ToS)},
	20: {title: "ToS and source prefix (8.11)", page: page{"ToS  srcPrefix           srcAS  input  " + flowsHead, tos + srcPfx + srcAS + input + tail},
		wide: page{"ToS  srcPrefix           srcAS             input  " + flowsHead, tos + srcPfx + srcASw + input + tail}},
	21: {title: "ToS and destination prefix (8.12)", page: page{"ToS  dst/mask            dstAS  input  " + flowsHead, tos + dstPfx + dstAS + output + tail},
		wide: page{"ToS  dstPrefix           dstAS             input  " + flowsHead, tos + dstPfx + dstASw + output + tail}},
	22: {title: "ToS and prefixes (8.13)", page: page{"ToS  srcPrefix           srcAS  dstPrefix           dstAS  input  output " + flowsHead,
		tos + srcPfx + "{dstaddr/dst_mask %-5.5s}  {src_as:17 %-18.18s}  " + dstAS + input + output + tail},
		wide: page{"ToS  srcPrefix           srcAS             dstPrefix           dstAS             input  output " + flowsHead,
			tos + srcPfx + "{dstaddr/dst_mask %-16.16s}  {src_as:17 %-18.18s}  " + dstASw + input + output + tail}},
	23: {title: "ToS, prefixes and ports (8.14)", page: page{"ToS  srcPrefix           dstPrefix           Pr   SrcP   DstP    input  output " + flowsHead,
		tos + srcPfx + dstPfx + "{prot:4 %-3.3s}  {srcport:15 %-5.5s}  {dstport:15 %-5.5s}  " + input + output + tail},
		wide: page{"ToS  srcPrefix           dstPrefix           Pr     SrcP              DstP              input  output " + flowsHead,
			tos + srcPfx + dstPfx + "{prot:4 %-5.5s}  {srcport:15 %-16.16s}  {dstport:15 %-16.16s}  " + input + output + tail}},
	24: {title: "version 7: everything on one line", page: page{"#Sif SrcIPaddress     DIf  DstIPaddress     Pr SrcP  DstP  Pkts       Octets       StartDate  StartTime     EndDate    EndTime       " +
		"ExporterAddr    RouterSrc          Active B/Pk  Ts Fl  SrcAS DstAS\n",
		"{input %04x} {srcaddr %-15.15s}  {output %04x} {dstaddr %-15.15s}  {prot %02x} {srcport %-5u} {dstport %-5u} {dpkts %-10u} {doctets %-10u}   " +
			"{start " + ymd + "}  {end " + ymd + "}  {exaddr %-15.15s} {router_sc %-15.15s} {active %5u}.{active_ms %03u} {bpp %-4u}  " +
			"{tos %02x} {tcp_flags %02x}  {src_as:17 %-5.5s} {dst_as:17 %-5.5s}"},
		skip: empty},
}

// Default returns the number of the format that records of version v are
// printed in when none is asked for.
func Default(v flow.Version) int {
	switch v.Export {
	case 6:
		return 8
	case 7:
		return 7
	case 8:
		return int(v.Agg) + 9
	case 1005:
		return 9
	}
	return 3
}

// Help returns the list of formats for help and manual page.
func Help() string {
	b := []byte("Formats:\n\n")
	for n := range formats {
		b = clib.AppendUintRight(b, uint64(n), 4)
		b = append(append(append(b, "  "...), formats[n].title...), '\n')
	}
	return string(b)
}
