package rptfmt

import (
	"bufio"
	"fmt"
	"strings"

	"flowtools/internal/clib"
	"flowtools/internal/sym"
)

// page is a report about to be printed.
type page struct {
	*Options
	*Report
	out     *bufio.Writer
	argv    []string
	symbols func(file string) *sym.Table
}

func (p *page) print() error {
	var summary []byte
	if p.Detail != nil {
		var err error
		if summary, err = p.summary(); err != nil {
			return err
		}
		if p.Sort != "" {
			return fmt.Errorf("a summary cannot be sorted (by %s)", p.Sort)
		}
	}
	if err := p.sort(); err != nil {
		return err
	}
	columns := p.shown()
	if p.Percent {
		p.percents(columns)
	}
	if p.Names {
		p.names(columns)
	}
	if p.HTML {
		p.html(columns, summary)
	} else {
		p.measure(columns)
		p.text(columns, summary)
	}
	return flush(p.out)
}

// limit is how many lines are printed; cut tells that there are more.
//
// Compat: a limit equal to the number of lines cuts, too.
func (p *page) limit() (n int, cut bool) {
	if p.Max > 0 && len(p.Lines) >= p.Max {
		return p.Max, true
	}
	return len(p.Lines), false
}

func (p *page) text(columns []*shown, summary []byte) {
	if !p.Bare {
		for _, line := range p.Header {
			p.out.WriteString(line + "\n")
		}
		p.out.WriteString("#  " + repr(p.argv) + "\n")
		if p.Detail == nil {
			row := p.padded(nil, columns, func(c *shown) string { return c.Name })
			p.out.Write(append(row, '\n'))
		}
	}
	if p.Detail != nil {
		p.out.Write(append(summary, '\n'))
		return
	}
	n, cut := p.limit()
	var fields []string
	var row []byte
	for i, line := range p.Lines[:n] {
		fields = cells(fields[:0], line, len(p.Columns))
		row = p.padded(row[:0], columns, func(c *shown) string { return c.value(fields, i) })
		if cut && i == n-1 {
			// Compat: the line at which it stops has one more blank.
			row = append(row, ' ')
		}
		p.out.Write(append(row, '\n'))
	}
	if !cut {
		p.out.WriteByte('\n')
	}
}

// value returns what line i shows in c.
func (c *shown) value(fields []string, i int) string {
	if c.values != nil {
		return c.values[i]
	}
	return fields[c.at]
}

func (p *page) padded(row []byte, columns []*shown, text func(*shown) string) []byte {
	for i, c := range columns {
		if i > 0 {
			row = append(row, ' ')
		}
		start := len(row)
		row = append(row, text(c)...)
		row = clib.Pad(row, start, c.width)
	}
	return row
}

func (p *page) html(columns []*shown, summary []byte) {
	w := p.out
	if !p.Bare {
		w.WriteString("<pre>\n")
		for _, line := range p.Header {
			w.WriteString(line + "\n")
		}
		w.WriteString("</pre>\n")
	}
	w.WriteString("<table border cellspacing=0 cellpadding=5>\n<tr>\n")
	for _, c := range columns {
		w.WriteString(" <th> " + c.Name + " </th>\n")
	}
	w.WriteString("</tr>\n")
	if p.Detail != nil {
		w.WriteString("<pre>\n")
		w.Write(summary)
		w.WriteString("</pre>\n")
	}
	n, cut := p.limit()
	var fields []string
	for i, line := range p.Lines[:n] {
		fields = cells(fields[:0], line, len(p.Columns))
		w.WriteString("<tr>\n")
		for _, c := range columns {
			w.WriteString("  <td> " + c.value(fields, i) + " </td>\n")
		}
		if !cut || i < n-1 { // Compat: the line at which it stops lacks its end
			w.WriteString("</tr>\n")
		}
	}
	w.WriteString("</table>\n")
}

// labels are the lines at the head of a summary: of the totals, and of the
// averages.
//
// Compat: what is called packets a second is the packet size, and flows a second
// the flow size.
var (
	totalLabels = []struct{ label, name string }{
		{"Ignores", "ignores"},
		{"Total Flows", "flows"},
		{"Total Octets", "octets"},
		{"Total Packets", "packets"},
		{"Total Duration (ms)", "duration"},
	}
	detailLabels = []struct{ label, name string }{
		{"Real Time", "time_real"},
		{"Average Flow Time", "aflowtime"},
		{"Average Packets/Second", "aps"},
		{"Average Flows/Second", "afs"},
		{"Average Packets/Flow", "apf"},
		{"Flows/Second", "fps"},
		{"Flows/Second (real)", "fps_real"},
	}
)

// groups are the distributions of a summary: rows of 15 and 11 values.
var groups = []struct {
	title  string
	bounds [2]string
	lead   [2]string // before the values
	wide   int       // values from this one on have two blanks behind them
	last   string    // behind the very last
}{
	{"Average IP packet size distribution:", [2]string{
		"   1-32   64   96  128  160  192  224  256  288  320  352  384  416  448  480",
		"    512  544  576 1024 1536 2048 2560 3072 3584 4096 4608",
	}, [2]string{"   ", "   "}, 26, " "},
	{"Packets per flow distribution:", [2]string{
		"      1    2    4    8   12   16   20   24   28   32   36   40   44   48   52",
		"     60  100  200  300  400  500  600  700  800  900 >900",
	}, [2]string{"   ", "    "}, 26, " "},
	{"Octets per flow distribution:", [2]string{
		"     32   64  128  256  512 1280 2048 2816 3584 4352 5120 5888 6656 7424 8192",
		"   8960 9728 10496 11264 12032 12800 13568 14336 15104 15872 >15872",
	}, [2]string{"   ", "   "}, 16, "  "},
	{"Flow Time Distribution (ms):", [2]string{
		"    10    50  100  200  500 1000 2000 3000 4000 5000 6000 7000 8000 9000 10000",
		"  12000 14000 16000 18000 20000 22000 24000 26000 28000 30000 >30000",
	}, [2]string{"   ", "   "}, 15, " "},
}

// The shape of a summary.
const (
	firstRow = 15
	perGroup = 26
	scalars  = 7 // columns before the distributions
)

// summary formats a summary-detail report.
func (p *page) summary() ([]byte, error) {
	if len(p.Values) < scalars+len(groups)*perGroup {
		return nil, fmt.Errorf("a summary with %d values", len(p.Values))
	}
	var b []byte
	line := func(label, value string) {
		start := len(b)
		b = append(append(b, label...), ':')
		b = clib.Pad(b, start, 25)
		b = append(append(b, value...), '\n')
	}
	if p.Totals != nil {
		for _, l := range totalLabels {
			line(l.label, p.Totals[l.name])
		}
	}
	for _, l := range detailLabels {
		line(l.label, p.Detail[l.name])
	}
	b = append(b, '\n')
	values := p.Values[scalars:]
	for g := range groups {
		group := &groups[g]
		b = append(append(b, group.title...), "\n\n"...)
		for i, v := range values[:perGroup] {
			switch i {
			case 0, firstRow:
				row := i / firstRow
				b = append(append(b, group.bounds[row]...), '\n')
				b = append(b, group.lead[row]...)
			}
			f, ok := parseNumber(v)
			if !ok {
				return nil, fmt.Errorf("%q in a summary is not a number", v)
			}
			b = appendShare(b, f)
			switch {
			case i == perGroup-1:
				b = append(b, group.last...)
			case i >= group.wide:
				b = append(b, "  "...)
			default:
				b = append(b, ' ')
			}
			if i == firstRow-1 || i == perGroup-1 {
				b = append(b, "\n\n"...)
			}
		}
		values = values[perGroup:]
	}
	b = b[:len(b)-1] // the last empty line is that of the text
	return b, nil
}

// appendShare appends a value with three decimals, its first character left out.
//
// Compat: so 1 is .000, and what is no number an.
func appendShare(b []byte, f float64) []byte {
	start := len(b)
	if f != f {
		b = append(b, "nan"...)
	} else {
		b = clib.AppendF(b, f, 3)
	}
	return append(b[:start], b[start+1:]...)
}

// repr is a list of words as Python writes it.
func repr(words []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, w := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		quote := byte('\'')
		if strings.Contains(w, "'") && !strings.Contains(w, `"`) {
			quote = '"'
		}
		b.WriteByte(quote)
		for j := range len(w) {
			switch c := w[j]; {
			case c == quote || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c == '\n':
				b.WriteString(`\n`)
			case c == '\r':
				b.WriteString(`\r`)
			case c == '\t':
				b.WriteString(`\t`)
			case c < ' ' || c > '~':
				fmt.Fprintf(&b, `\x%02x`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte(quote)
	}
	b.WriteByte(']')
	return b.String()
}
