package stat

import (
	"fmt"

	"flowtools/internal/clib"
	"flowtools/pkg/flow"
	"flowtools/pkg/report"
)

// A layout is the look of the keyed reports of one kind. Label columns are
// padded to their width and two blanks follow each.
type layout struct {
	heading string // label part of the heading; "": the report's title, cut and padded to the label's width
	width   int    // of a label column
	wide    int    // of a label column with -w
	counts  bool   // wide goes for the rows of counts only, not for the heading and percentages
	blanks  bool   // without -w packets are padded to 20, as if more came
}

var (
	dense    = &layout{width: 10, wide: 15, blanks: true}
	number   = &layout{width: 10, wide: 15, counts: true}
	tagPair  = &layout{heading: "Src Tag   Dst Tag     ", width: 10, wide: 10}
	addr     = &layout{heading: "IPaddr         ", width: 15, wide: 15}
	addrPair = &layout{heading: "src IPaddr     dst IPaddr       ", width: 15, wide: 15, blanks: true}
	asPair   = &layout{heading: "src AS          dst AS            ", width: 16, wide: 16, blanks: true}
	ifPair   = &layout{heading: "in   out    ", width: 5, wide: 5, blanks: true}
	pfx      = &layout{heading: "Source Prefix     ", width: 18, wide: 18}
	pfxPair  = &layout{heading: "Source Prefix     Destination Prefix  ", width: 18, wide: 18}
)

// format is one row of the table of formats.
type format struct {
	name  string // Name: in the report information
	typ   string // report type of the engine
	look  *layout
	title string // of the label column, where the layout has none
	sym   string // symbol table for -n
	cut   int    // octets of a name before the column cuts it, 0: all

	options report.Options
	ports   bool        // TCP and UDP only
	double  bool        // records count twice in the totals
	bogus   bool        // records without packets are complained about
	page    func() page // of the reports that are not keyed
}

const mask = report.PrefixMask

// formats is the table of flow-stat's formats, by number.
//
// Compat: 25 is headed "Source Prefix"; 1 to 3 look numbers up among the tags.
var formats = [...]format{
	0:  {name: "Overall Summary", typ: "summary-detail", bogus: true, page: func() page { return &summary{} }},
	1:  {name: "Average packet size distribution", typ: "packet-size", look: number, title: "Pkt Size", sym: "tag", bogus: true},
	2:  {name: "Packets per flow distribution", typ: "packets", look: number, title: "Packets", sym: "tag"},
	3:  {name: "Octets per flow distribution", typ: "octets", look: number, title: "Octets", sym: "tag"},
	4:  {name: "Bandwidth per flow distribution", page: func() page { return unimplemented{} }},
	5:  {name: "UDP/TCP destination port", typ: "ip-destination-port", look: dense, title: "port", sym: "tcp-port", cut: 15, ports: true},
	6:  {name: "UDP/TCP source port", typ: "ip-source-port", look: dense, title: "port", sym: "tcp-port", cut: 15, ports: true},
	7:  {name: "UDP/TCP port", typ: "ip-port", look: dense, title: "port", sym: "tcp-port", cut: 15, ports: true, double: true},
	8:  {name: "Destination IP", typ: "ip-destination-address", look: addr},
	9:  {name: "Source IP", typ: "ip-source-address", look: addr},
	10: {name: "Source/Destination IP", typ: "ip-source/destination-address", look: addrPair},
	11: {name: "Source or Destination IP", typ: "ip-address", look: addr},
	12: {name: "IP protocol", typ: "ip-protocol", look: dense, title: "protocol", sym: "ip-prot", cut: 15},
	13: {name: "octets for flow duration plot data", page: func() page { return newPlot(flow.DOctets) }},
	14: {name: "packets for flow duration plot data", page: func() page { return newPlot(flow.DPkts) }},
	15: {name: "short summary", typ: "summary-counters", page: func() page { return short{} }},
	16: {name: "IP Next Hop", typ: "ip-next-hop-address", look: addr},
	17: {name: "Input interface", typ: "input-interface", look: dense, title: "interface"},
	18: {name: "Output interface", typ: "output-interface", look: dense, title: "interface"},
	19: {name: "Source AS", typ: "source-as", look: dense, title: "src AS", sym: "asn", cut: 15},
	20: {name: "Destination AS", typ: "destination-as", look: dense, title: "dst AS", sym: "asn", cut: 15},
	21: {name: "Source/Destination AS", typ: "source/destination-as", look: asPair, sym: "asn", cut: 17},
	22: {name: "IP ToS", typ: "ip-tos", look: dense, title: "ToS"},
	23: {name: "Input/Output Interface", typ: "input/output-interface", look: ifPair},
	24: {name: "Source Prefix", typ: "ip-source-address", look: pfx, options: report.Options{Source: mask}},
	25: {name: "Destination Prefix", typ: "ip-destination-address", look: pfx, options: report.Options{Destination: mask}},
	26: {name: "Source/Destination Prefix", typ: "ip-source/destination-address", look: pfxPair, options: report.Options{Source: mask, Destination: mask}},
	27: {name: "Exporter IP", typ: "ip-exporter-address", look: addr},
	28: {name: "Engine Id", typ: "engine-id", look: dense, title: "engine_id"},
	29: {name: "Engine Type", typ: "engine-type", look: dense, title: "engine_type"},
	30: {name: "Source Tag", typ: "source-tag", look: number, title: "Src Tag", sym: "tag"},
	31: {name: "Destination Tag", typ: "destination-tag", look: number, title: "Dst Tag", sym: "tag"},
	32: {name: "Source/Destination Tag", typ: "source/destination-tag", look: tagPair, sym: "tag"},
}

// Format is one of the numbered formats.
type Format struct{ row *format }

// Lookup returns format n.
func Lookup(n int) (Format, error) {
	if n < 0 || n >= len(formats) {
		return Format{}, fmt.Errorf("No such format, %d", n)
	}
	return Format{&formats[n]}, nil
}

// Count is the number of formats; they are numbered from 0.
const Count = len(formats)

// Name returns what the report information calls the format.
func (f Format) Name() string { return f.row.name }

// Symbols returns the name of the symbol table that f can use, "" for none.
func (f Format) Symbols() string { return f.row.sym }

// Needs returns the fields that records must have.
func (f Format) Needs() flow.FieldSet {
	var need flow.FieldSet
	switch {
	case f.row.typ != "":
		need = report.TypeNamed(f.row.typ).Needs(&f.row.options)
	case f.row.page != nil:
		need = f.row.page().needs()
	}
	if f.row.ports {
		need |= flow.Prot.Set()
	}
	return need
}

// List returns the list of formats that the second -h prints.
func List() string {
	b := []byte("Formats:\n")
	for n := range formats {
		b = clib.AppendUint(append(b, "  "...), uint64(n), 2)
		b = append(append(append(b, ' '), formats[n].name...), '\n')
	}
	return string(b)
}
