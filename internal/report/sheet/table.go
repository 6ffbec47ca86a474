package sheet

import (
	"bufio"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"flowtools/internal/cdate"
)

// tableWriter draws each sheet when it is complete: widths need all rows.
type tableWriter struct {
	w      *bufio.Writer
	zone   *cdate.Zone
	head   *Head
	rows   [][]string
	left   []bool // columns of text
	sheets int
}

func newTable(w *bufio.Writer, z *cdate.Zone) writer { return &tableWriter{w: w, zone: z} }

func (t *tableWriter) open() error { return nil }

func (t *tableWriter) begin(h *Head) error {
	t.head, t.rows = h, nil
	t.left = make([]bool, len(h.Columns))
	return nil
}

func (t *tableWriter) row(values []Value) error {
	cells := make([]string, len(values))
	for i := range values {
		cells[i] = values[i].show(t.zone)
		t.left[i] = t.left[i] || values[i].Kind == Text
	}
	t.rows = append(t.rows, cells)
	return nil
}

func (t *tableWriter) end() error {
	if t.sheets > 0 {
		t.w.WriteByte('\n') // a bufio.Writer keeps its error
	}
	t.sheets++
	title := t.head.Name
	if t.head.Type != "" {
		title += ": " + t.head.Type
	}
	t.w.WriteString(title + "\n")
	width := 0
	for i := range t.head.Facts {
		width = max(width, utf8.RuneCountInString(t.head.Facts[i].Name))
	}
	for i := range t.head.Facts {
		f := &t.head.Facts[i]
		pad := strings.Repeat(" ", width-utf8.RuneCountInString(f.Name))
		t.w.WriteString("  " + f.Name + pad + "  " + f.Value.show(t.zone) + "\n")
	}
	if len(t.head.Columns) == 0 {
		return t.flush()
	}
	t.w.WriteByte('\n')
	return t.draw()
}

// flush returns the error of the writes so far.
func (t *tableWriter) flush() error {
	_, err := t.w.Write(nil)
	return err
}

// draw renders heading and rows without any lines but the one below the heading.
func (t *tableWriter) draw() error {
	align := make([]tw.Align, len(t.left))
	for i, left := range t.left {
		align[i] = tw.AlignRight
		if left {
			align[i] = tw.AlignLeft
		}
	}
	cells := tw.CellConfig{
		Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone},
		Alignment:  tw.CellAlignment{PerColumn: align},
	}
	table := tablewriter.NewTable(t.w,
		tablewriter.WithConfig(tablewriter.Config{Header: cells, Row: cells, Behavior: tw.Behavior{TrimSpace: tw.Off}}),
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Borders: tw.BorderNone,
			Symbols: tw.NewSymbols(tw.StyleLight),
			Settings: tw.Settings{
				Lines:      tw.Lines{ShowTop: tw.Off, ShowBottom: tw.Off, ShowHeaderLine: tw.On, ShowFooterLine: tw.Off},
				Separators: tw.Separators{ShowHeader: tw.On, ShowFooter: tw.Off, BetweenRows: tw.Off, BetweenColumns: tw.Off},
			},
		})),
	)
	table.Header(t.head.Columns)
	if err := table.Bulk(t.rows); err != nil {
		return err
	}
	if err := table.Render(); err != nil {
		return err
	}
	return t.flush()
}

func (t *tableWriter) close() error { return nil }

// show returns a value as a table has it.
func (v *Value) show(z *cdate.Zone) string {
	f := v.F
	if !v.isFloat() {
		f = float64(v.U)
	}
	if v.Kind != Text && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return "-"
	}
	switch v.Kind {
	case Text:
		return v.S
	case Octets:
		return scaled(f, "B")
	case BitRate:
		return scaled(f, "bit/s")
	case PackRate:
		return scaled(f, "p/s")
	case Millis:
		return duration(f)
	case Ratio:
		return thousands(strconv.FormatFloat(f, 'f', 3, 64))
	case Percent:
		return strconv.FormatFloat(f, 'f', 2, 64) + " %"
	case Time:
		return z.Strftime("%Y-%m-%d %H:%M:%S", int64(v.U))
	case Count:
		if v.Float {
			return thousands(strconv.FormatFloat(f, 'f', 2, 64))
		}
		return thousands(strconv.FormatUint(v.U, 10))
	}
	if v.Float {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatUint(v.U, 10)
}

// thousands sets commas into the digits before the point.
func thousands(digits string) string {
	whole, rest, dotted := strings.Cut(digits, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	var b strings.Builder
	b.WriteString(sign)
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(whole[i])
	}
	if dotted {
		b.WriteString("." + rest)
	}
	return b.String()
}

// scaled shows a quantity with three significant digits and a prefix of 1000.
func scaled(v float64, unit string) string {
	const prefixes = "kMGTPEZY"
	if 0 < v && v < 0.01 {
		return strconv.FormatFloat(v, 'g', 3, 64) + " " + unit
	}
	if v < 999.5 {
		decimals := 0
		if v != math.Trunc(v) {
			decimals = digitsAfter(v)
		}
		return strconv.FormatFloat(v, 'f', decimals, 64) + " " + unit
	}
	i := -1
	for v >= 999.5 && i < len(prefixes)-1 {
		v /= 1000
		i++
	}
	return strconv.FormatFloat(v, 'f', digitsAfter(v), 64) + " " + prefixes[i:i+1] + unit
}

// digitsAfter is how many decimals make three digits of v.
func digitsAfter(v float64) int {
	switch {
	case v < 9.995:
		return 2
	case v < 99.95:
		return 1
	}
	return 0
}

// duration shows milliseconds with the two largest units that count.
func duration(ms float64) string {
	const day = 86400_000
	switch {
	case ms < 1000:
		return strconv.FormatFloat(ms, 'f', -1, 64) + " ms"
	case ms < 60_000:
		return strconv.FormatFloat(ms/1000, 'f', 2, 64) + " s"
	case ms >= 10000*day:
		return thousands(strconv.FormatFloat(ms/day, 'f', 0, 64)) + " d"
	case ms >= day:
		return strconv.Itoa(int(ms/day)) + "d" + strconv.Itoa(int(math.Mod(ms, day)/3600_000)) + "h"
	}
	d := time.Duration(ms) * time.Millisecond
	if d >= time.Hour {
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	}
	return d.Truncate(time.Second).String()
}
