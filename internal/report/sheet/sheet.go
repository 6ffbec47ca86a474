// Package sheet writes reports for people and programs: an aligned table with
// units, one JSON document, or CSV lines. flow-report and flow-stat give their
// reports as sheets of typed values; nothing here is the text of the original.
package sheet

import (
	"bufio"
	"fmt"

	"flowtools/internal/cdate"
	"flowtools/internal/cli"
)

// Kind is what a value means, and so how a table shows it.
type Kind uint8

// The kinds of values. JSON and CSV have all but Text as plain numbers.
const (
	Text     Kind = iota
	Number        // a name in digits: ports, interfaces, indexes
	Count         // thousands are set apart
	Octets        // octets, with units of 1000
	Millis        // milliseconds, as a duration
	BitRate       // bits a second
	PackRate      // packets a second
	Ratio         // a fraction with decimals
	Percent       // of 100
	Time          // seconds since 1970
)

// Value is one cell or fact. Its kind says which field counts: Text S, the kinds
// from BitRate to Percent F, others U; with Float set F counts for those, too.
type Value struct {
	Kind  Kind
	Float bool
	U     uint64
	F     float64
	S     string
}

// String returns a value of kind Text.
func String(s string) Value { return Value{S: s} }

// Uint returns a value of a kind of whole numbers.
func Uint(k Kind, v uint64) Value { return Value{Kind: k, U: v} }

// Float returns a value with decimals.
func Float(k Kind, v float64) Value { return Value{Kind: k, F: v, Float: true} }

// Fact is a value that belongs to a whole sheet.
type Fact struct {
	Name  string // lower case words
	Value Value
}

// Head is what comes before the rows of a sheet.
type Head struct {
	Name    string // of the report
	Type    string // of the report, when it differs
	Facts   []Fact
	Columns []string
}

// Form is a way to write sheets. The nil *Form is none.
type Form struct {
	name string
	make func(w *bufio.Writer, z *cdate.Zone) writer
}

// The forms.
var (
	Table = &Form{"table", newTable}
	JSON  = &Form{"json", newJSON}
	CSV   = &Form{"csv", newCSV}
)

// String returns the name of the form.
func (f *Form) String() string { return f.name }

// Flags are the options --table, --json and --csv; the last one given sets *p.
func Flags(p **Form) []cli.Flag {
	flag := func(f *Form, help string) cli.Flag {
		return cli.Func(0, f.name, "", func(string) error { *p = f; return nil }, help)
	}
	return []cli.Flag{
		flag(Table, "print an aligned table with units, for people"),
		flag(JSON, "print one JSON document"),
		flag(CSV, "print comma separated values under a line of names"),
	}
}

// writer is a form at work.
type writer interface {
	open() error
	begin(h *Head) error
	row(values []Value) error
	end() error
	close() error
}

// Writer writes a document of sheets: Begin, Row for each row, End, any number
// of times, then Close. The first error is kept and returned by all later calls.
type Writer struct {
	w       writer
	columns int
	opened  bool
	err     error
}

// Writer returns a writer of sheets in this form to w, which it does not flush.
// Tables show times in zone z.
func (f *Form) Writer(w *bufio.Writer, z *cdate.Zone) *Writer { return &Writer{w: f.make(w, z)} }

func (w *Writer) do(f func() error) error {
	if w.err == nil && !w.opened {
		w.opened = true
		w.err = w.w.open()
	}
	if w.err == nil {
		w.err = f()
	}
	return w.err
}

// Begin starts a sheet.
func (w *Writer) Begin(h *Head) error {
	w.columns = len(h.Columns)
	return w.do(func() error { return w.w.begin(h) })
}

// Row writes a row; there is a value for each column. values is not kept.
func (w *Writer) Row(values []Value) error {
	return w.do(func() error {
		if len(values) != w.columns {
			return fmt.Errorf("sheet: %d values for %d columns", len(values), w.columns)
		}
		return w.w.row(values)
	})
}

// End ends the sheet.
func (w *Writer) End() error { return w.do(w.w.end) }

// Close ends the document.
func (w *Writer) Close() error { return w.do(w.w.close) }
