package dumper

import (
	"fmt"
	"strconv"

	"flowtools/internal/cdate"
	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// Format is one of the layouts.
type Format uint8

// The layouts.
const (
	Long  Format = iota // a block of lines
	Short               // one line, single blanks
	Old                 // one line, fixed columns
)

// Supports reports whether records of version v can be shown, and be the input
// of expressions.
func Supports(v flow.Version) error {
	switch v.Export {
	case 1, 5, 6, 7:
		return nil
	}
	return fmt.Errorf("unsupported export version %v", v)
}

// Rows writes records of one layout in one format. It is not safe for concurrent use.
type Rows struct {
	layout *flow.Layout
	clock  *Clock
	write  func(p *Rows, dst []byte, r flow.Record) []byte
}

// Rows returns the writer of records of layout l with times in a zone, UTC for
// nil. Fields that the records do not have show as 0.
func (f Format) Rows(l *flow.Layout, zone *cdate.Zone) *Rows {
	write := [...]func(*Rows, []byte, flow.Record) []byte{Long: (*Rows).long, Short: (*Rows).short, Old: (*Rows).old}
	return &Rows{layout: l, clock: NewClock(zone), write: write[f]}
}

// Append appends the lines of one record to dst. It allocates only to grow dst.
func (p *Rows) Append(dst []byte, r flow.Record) []byte { return p.write(p, dst, r) }

// Start returns the second a flow began, End that of its last packet: seconds
// since 1970 UTC, cut.
func Start(l *flow.Layout, r flow.Record) uint32 { return flow.Seconds(l.Millis(r, flow.First)) }

// End is documented with Start.
func End(l *flow.Layout, r flow.Record) uint32 { return flow.Seconds(l.Millis(r, flow.Last)) }

func (p *Rows) date(dst []byte, r flow.Record) []byte {
	return p.clock.AppendDate(dst, Start(p.layout, r))
}

func (p *Rows) number(dst []byte, r flow.Record, f flow.Field) []byte {
	return strconv.AppendUint(dst, p.layout.Uint(r, f), 10)
}

func (p *Rows) addr(dst []byte, r flow.Record, f flow.Field) []byte {
	return clib.AppendIPv4(dst, uint32(p.layout.Uint(r, f)))
}

func (p *Rows) short(dst []byte, r flow.Record) []byte {
	l := p.layout
	dst = append(p.date(dst, r), ' ')
	dst = append(p.addr(dst, r, flow.SrcAddr), '.')
	dst = append(p.number(dst, r, flow.SrcPort), " -> "...)
	dst = append(p.addr(dst, r, flow.DstAddr), '.')
	dst = append(p.number(dst, r, flow.DstPort), ' ')
	prot := l.Uint(r, flow.Prot)
	dst = strconv.AppendUint(dst, prot, 10)
	switch prot {
	case TCP:
		dst = appendFlagNames(dst, "", l.Uint(r, flow.TCPFlags))
	case ICMP:
		dst = appendParen(dst, "", ICMPName(l.Uint(r, flow.DstPort)))
	}
	dst = p.number(append(dst, ' '), r, flow.DPkts)
	dst = p.number(append(dst, ' '), r, flow.DOctets)
	return append(dst, '\n')
}

// old is printf's `%s %15.15s.%-5hu %15.15s.%-5hu %2hu %10u %10u`.
func (p *Rows) old(dst []byte, r flow.Record) []byte {
	l := p.layout
	dst = p.date(dst, r)
	for _, end := range [...]struct{ addr, port flow.Field }{{flow.SrcAddr, flow.SrcPort}, {flow.DstAddr, flow.DstPort}} {
		dst = append(dst, ' ')
		start := len(dst)
		dst = clib.Right(p.addr(dst, r, end.addr), start, len("255.255.255.255"))
		dst = clib.AppendUint(append(dst, '.'), l.Uint(r, end.port), 5)
	}
	dst = clib.AppendUintRight(append(dst, ' '), l.Uint(r, flow.Prot), 2)
	dst = clib.AppendUintRight(append(dst, ' '), l.Uint(r, flow.DPkts), 10)
	dst = clib.AppendUintRight(append(dst, ' '), l.Uint(r, flow.DOctets), 10)
	return append(dst, '\n')
}

// render says how a line of the long format shows its field.
type render uint8

const (
	decimal render = iota
	dotted
	hex
	flags  // hex, with names for TCP
	ctime  // of an uptime
	always // nothing but the label
)

// separator stands behind each flow of the long format.
const separator = "\n"

// present is the mask of fields that cflowd's records have, which a flow began with there.
const present = "0xc7ffff"

// lines are the long format, labels with what stands before them.
var lines = [...]struct {
	label  string
	field  flow.Field
	render render
}{
	{"FLOW\n  index:          " + present, 0, always},
	{"\n  router:         ", flow.ExAddr, dotted},
	{"\n  src IP:         ", flow.SrcAddr, dotted},
	{"\n  dst IP:         ", flow.DstAddr, dotted},
	{"\n  input ifIndex:  ", flow.Input, decimal},
	{"\n  output ifIndex: ", flow.Output, decimal},
	{"\n  src port:       ", flow.SrcPort, decimal},
	{"\n  dst port:       ", flow.DstPort, decimal},
	{"\n  pkts:           ", flow.DPkts, decimal},
	{"\n  bytes:          ", flow.DOctets, decimal},
	{"\n  IP nexthop:     ", flow.NextHop, dotted},
	{"\n  start time:     ", flow.First, ctime},
	{"\n  end time:       ", flow.Last, ctime},
	{"\n  protocol:       ", flow.Prot, decimal},
	{"\n  tos:            ", flow.ToS, hex},
	{"\n  src AS:         ", flow.SrcAS, decimal},
	{"\n  dst AS:         ", flow.DstAS, decimal},
	{"\n  src masklen:    ", flow.SrcMask, decimal},
	{"\n  dst masklen:    ", flow.DstMask, decimal},
	{"\n  TCP flags:      ", flow.TCPFlags, flags},
	{"\n  engine type:    ", flow.EngineType, decimal},
	{"\n  engine id:      ", flow.EngineID, decimal},
}

func (p *Rows) long(dst []byte, r flow.Record) []byte {
	l := p.layout
	for i := range lines {
		line := &lines[i]
		dst = append(dst, line.label...)
		switch line.render {
		case decimal:
			dst = p.number(dst, r, line.field)
		case dotted:
			dst = p.addr(dst, r, line.field)
		case hex:
			dst = appendHex(dst, l.Uint(r, line.field))
		case flags:
			v := l.Uint(r, line.field)
			dst = appendHex(dst, v)
			if l.Uint(r, flow.Prot) == TCP {
				dst = appendFlagNames(dst, " ", v)
			}
		case ctime:
			dst = p.clock.AppendCtime(dst, flow.Seconds(l.Millis(r, line.field)))
		}
	}
	return append(dst, "\n"+separator...)
}
