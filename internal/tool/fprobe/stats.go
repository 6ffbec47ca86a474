package fprobe

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"flowtools/internal/probe"
	"flowtools/internal/sym"
)

// printStats prints what was counted, for people.
func (s *sensor) printStats() error {
	m := s.meter
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			fmt.Fprintf(w, "%v\t", c)
		}
		fmt.Fprintln(w)
	}
	row("packets", m.Packets)
	row("octets", m.Octets)
	row("counted", m.Counted)
	row("fragments", m.Fragments)
	row("fragmented packets complete", m.Joined)
	row("fragmented packets incomplete", m.Incomplete)
	row("left out by sampling", m.Skipped)
	row("ignored, not IP", m.NotIP)
	row("ignored, IPv6", m.ForeignIPv6)
	row("ignored, truncated", m.Truncated)
	total := uint64(0)
	for r := probe.ReasonIdle; r < probe.NumReasons; r++ {
		row("flows ended: "+r.String(), m.Ended[r])
		total += m.Ended[r]
	}
	row("flows", total)
	w.Flush()
	b.WriteByte('\n')
	row("protocol", "flows", "packets", "octets")
	names, err := sym.Open(s.env.LookupEnv, sym.IPProt)
	if err != nil {
		names = nil // numbers do
	}
	for n := range m.Protocols {
		if p := m.Protocols[n]; p.Flows > 0 {
			name := strconv.Itoa(n)
			if names != nil {
				if text, ok := names.Name(uint32(n)); ok {
					name = text
				}
			}
			row(name, p.Flows, p.Packets, p.Octets)
		}
	}
	w.Flush()
	_, err = io.WriteString(s.env.Stderr, b.String())
	return err
}
