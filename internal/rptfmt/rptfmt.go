package rptfmt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/sym"
	"flowtools/pkg/flow"
)

// Options are the options of flow-rptfmt.
type Options struct {
	HTML     bool
	Bare     bool   // no header, in text no line of names either
	Fields   string // columns shown, separated by commas; with "all" among them: all
	Max      int    // most lines; 0 or less: all
	Sort     string // + or - and a column
	Percent  bool   // values as percentages of their column
	Names    bool   // symbols for keys
	Patience int    // seconds after which to give up, 0: never
}

// Flags returns the options for a Spec.
func (o *Options) Flags() []cli.Flag {
	format := cli.Func('f', "format", "format", func(s string) error {
		switch s {
		case "ascii", "html":
			o.HTML = s == "html"
			return nil
		}
		return fmt.Errorf("unknown format %q, expecting ascii or html", s)
	}, "ascii (default) or html")
	format.Values = []string{"ascii", "html"}
	return []cli.Flag{
		integer('a', "alarm", "seconds", &o.Patience, "give up after so many seconds"),
		format,
		cli.Text('F', "fields", "names", &o.Fields, "columns to show, separated by commas (default all)"),
		{Letter: 'g', Hidden: true, Set: func(string) error { return nil }},
		cli.Bool('H', "no-header", &o.Bare, "leave out header and, in text, column names"),
		integer('m', "max-lines", "lines", &o.Max, "print at most so many lines (default 0: all)"),
		cli.Bool('n', "names", &o.Names, "names of ports, protocols, AS numbers and tags"),
		cli.Bool('p', "percent", &o.Percent, "percent of the column's total instead of values"),
		cli.Text('s', "sort", "±column", &o.Sort, "sort by a column, ascending (+) or descending (-)"),
	}
}

// integer is an option whose value is a whole number of any size and nothing
// else.
func integer(letter byte, long, arg string, p *int, help string) cli.Flag {
	return cli.Func(letter, long, arg, func(s string) error {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range n is the limit, and as good
			return fmt.Errorf("-%c: %q is not a whole number", letter, s)
		}
		*p = n
		return nil
	}, help)
}

// Spec returns the description of flow-rptfmt.
func Spec() *cli.Spec {
	o := &Options{Fields: "all"}
	return &cli.Spec{
		Name:    "flow-rptfmt",
		Summary: "format the text of flow-report for people",
		Usage: []string{
			"[-hHnp] [-a alarm] [-f format] [-F display_fields]",
			"[-m max_lines] [-s sort_field]",
		},
		Flags:       o.Flags(),
		Operands:    "[word ...]",
		MaxOperands: -1,
		UsageExit:   1,
		HelpStdout:  true,
		PyGetopt:    true,
		Description: `flow-rptfmt reads the text of one flow-report output from standard input and prints it with aligned columns, or as an HTML table. A summary-detail report becomes a page of totals, averages and distributions.

Words behind the options are ignored.`,
		Examples: []cli.Example{
			{Command: "flow-report -s site.cfg -S hosts < flows | flow-rptfmt -m 20 -s -octets", Text: "show the 20 lines with the most octets"},
			{Command: "flow-report -v TYPE=ip-protocol -v 'RPTOPT=-f html -p' < flows > page.html", Text: "an HTML page with percentages"},
		},
		Files:    []string{"SYSCONFDIR/sym/*.sym: names for -n"},
		SeeAlso:  []string{"flow-report(1)", "flow-rpt2rrd(1)"},
		ExitText: "1 for a bad option or value, a column to sort by that does not exist, and input that is no report; 0 otherwise.",
		Run:      o.Run,
	}
}

// Run formats standard input to standard output.
func (o *Options) Run(ctx context.Context, env *cli.Env) error {
	p, err := o.readReport(env.Stdin)
	if errors.Is(err, errAlarm) {
		_, err = env.Text().WriteString("flow-rptfmt exceeded CPU time, consider running report offline.\n")
		return err
	}
	if err != nil {
		return err
	}
	if o.Names {
		p.symbols = env.Symbols
	}
	p.out = env.Text()
	p.argv = append([]string{env.Arg0}, env.Argv[1:]...)
	return p.print()
}

var errAlarm = errors.New("took too long")

// readReport reads the report, for as long as the patience lasts. Reading
// cannot be called off, so it is left behind then: the program ends.
func (o *Options) readReport(in io.Reader) (*page, error) {
	limit := o.Max
	if o.Sort != "" || o.Percent {
		limit = 0
	}
	if o.Patience <= 0 {
		r, err := read(in, limit)
		return &page{Options: o, Report: r}, err
	}
	type result struct {
		r   *Report
		err error
	}
	done := make(chan result, 1)
	go func() {
		r, err := read(in, limit)
		done <- result{r, err}
	}()
	alarm := time.NewTimer(time.Duration(min(o.Patience, 1<<30)) * time.Second)
	defer alarm.Stop()
	select {
	case got := <-done:
		return &page{Options: o, Report: got.r}, got.err
	case <-alarm.C:
		return nil, errAlarm
	}
}

// symTable is the symbol table of a key column, "" if it has none.
func symTable(column string) string {
	for f := range flow.AllFields() {
		if info := f.Info(); info.Key == column {
			return info.Sym
		}
	}
	return ""
}

// addressColumns are sorted as text.
var addressColumns = []string{"ip-next-hop-address", "ip-source-address", "ip-destination-address", "ip-exporter-address"}

// shown is a column that is printed.
type shown struct {
	Column
	at     int // in the line
	width  int
	values []string // by line, where they are not those of the line
}

// find returns the position of a column.
func (p *page) find(name string) (int, bool) {
	i := slices.IndexFunc(p.Columns, func(c Column) bool { return c.Name == name })
	return i, i >= 0
}

// shown are the columns to show, in the order of the report.
func (p *page) shown() []*shown {
	var list []*shown
	names := strings.Split(p.Fields, ",")
	all := slices.Contains(names, "all")
	for i, c := range p.Columns {
		if all || slices.Contains(names, c.Name) {
			list = append(list, &shown{Column: c, at: i, width: len(c.Name)})
		}
	}
	return list
}

// value returns value i of a line.
func value(line string, i int) string {
	for range i {
		_, line, _ = strings.Cut(line, ",")
	}
	v, _, _ := strings.Cut(line, ",")
	return v
}

// sort puts the lines in order.
func (p *page) sort() error {
	if p.Sort == "" {
		return nil
	}
	sign, name := p.Sort[0], p.Sort[1:]
	if sign != '+' && sign != '-' {
		return nil
	}
	at, ok := p.find(name)
	if !ok {
		return fmt.Errorf("no column %q to sort by", name)
	}
	type line struct {
		key  string
		num  float64
		text string
	}
	lines := make([]line, len(p.Lines))
	whole, number := true, true
	for i, text := range p.Lines {
		l := line{key: value(text, at), text: text}
		var ok bool
		l.num, ok = parseNumber(l.key)
		number = number && ok
		whole = whole && digits(l.key)
		lines[i] = l
	}
	order := func(a, b line) int { return strings.Compare(a.key, b.key) }
	switch {
	case slices.Contains(addressColumns, name):
	case whole:
		order = func(a, b line) int { return compareDigits(a.key, b.key) }
	case number:
		order = func(a, b line) int { return compareFloats(a.num, b.num) }
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		if sign == '-' {
			return order(b, a)
		}
		return order(a, b)
	})
	for i := range lines {
		p.Lines[i] = lines[i].text
	}
	return nil
}

// parseNumber reads a number as flow-report writes it, -nan and inf too.
func parseNumber(s string) (f float64, ok bool) {
	f, rest := clib.Strtod(s)
	return f, rest == "" && s != ""
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// compareDigits compares whole numbers of any size.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// compareFloats puts NaN first.
func compareFloats(a, b float64) int {
	switch {
	case a < b || a != a && b == b:
		return -1
	case a > b || b != b && a == a:
		return 1
	}
	return 0
}

// each calls do with the values of every line in turn; fields is not kept.
func (p *page) each(do func(i int, fields []string)) {
	var fields []string
	for i, line := range p.Lines {
		fields = cells(fields[:0], line, len(p.Columns))
		do(i, fields)
	}
}

// percents replaces the values of the columns that are no keys.
func (p *page) percents(columns []*shown) {
	columns = slices.DeleteFunc(slices.Clone(columns), func(c *shown) bool { return c.Key })
	numbers := make([][]float64, len(columns))
	sums := make([]float64, len(columns))
	for j := range numbers {
		numbers[j] = make([]float64, len(p.Lines))
	}
	p.each(func(i int, fields []string) {
		for j, c := range columns {
			// What is no number counts as 0, -nan too.
			if v, _ := parseNumber(fields[c.at]); v == v {
				numbers[j][i] = v
				sums[j] += v
			}
		}
	})
	for j, c := range columns {
		c.values = make([]string, len(p.Lines))
		for i, v := range numbers[j] {
			share := 0.0
			if sums[j] != 0 {
				share = v / sums[j] * 100
			}
			c.values[i] = string(clib.AppendF(nil, share, 6))
		}
	}
}

// Namer returns the function that shows a value of a key column: by its symbol,
// where the column has a symbol table and that an entry.
func Namer(symbols func(file string) *sym.Table, column string) func(string) string {
	table := symTable(column)
	if table == "" {
		return func(s string) string { return s }
	}
	t := symbols(table + ".sym")
	return func(s string) string {
		if v, err := strconv.ParseUint(s, 10, 32); err == nil {
			if name, ok := t.Name(uint32(v)); ok {
				return name
			}
		}
		return s
	}
}

// names replaces the values of keys that have a symbol table.
func (p *page) names(columns []*shown) {
	columns = slices.DeleteFunc(slices.Clone(columns), func(c *shown) bool { return !c.Key })
	show := make([]func(string) string, len(columns))
	for j, c := range columns {
		show[j] = Namer(p.symbols, c.Name)
		c.values = make([]string, len(p.Lines))
	}
	p.each(func(i int, fields []string) {
		for j, c := range columns {
			c.values[i] = show[j](fields[c.at])
		}
	})
}

// measure sets the widths: of names and of all values read, as they were and as
// they are shown.
func (p *page) measure(columns []*shown) {
	p.each(func(i int, fields []string) {
		for _, c := range columns {
			c.width = max(c.width, len(fields[c.at]))
			if c.values != nil {
				c.width = max(c.width, len(c.values[i]))
			}
		}
	})
}

// flush returns the error of what was written to w.
func flush(w *bufio.Writer) error {
	_, err := w.Write(nil)
	return err
}
