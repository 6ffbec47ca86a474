package sheet

import (
	"bufio"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"flowtools/internal/cdate"
)

// number appends a value as programs read it; ok is false for what is none
// (0/0).
func (v *Value) number(dst []byte) (_ []byte, ok bool) {
	if !v.isFloat() {
		return strconv.AppendUint(dst, v.U, 10), true
	}
	if math.IsNaN(v.F) || math.IsInf(v.F, 0) {
		return dst, false
	}
	return strconv.AppendFloat(dst, v.F, 'f', -1, 64), true
}

func (v *Value) isFloat() bool {
	switch v.Kind {
	case BitRate, PackRate, Ratio, Percent:
		return true
	}
	return v.Float
}

// jsonWriter writes {"reports":[{"name":..,"facts":{..},"columns":[..],"rows":[{..}]}]},
// a line a row.
type jsonWriter struct {
	w      *bufio.Writer
	buf    []byte
	names  [][]byte // of the columns, quoted
	sheets int
	rows   int
}

func newJSON(w *bufio.Writer, _ *cdate.Zone) writer { return &jsonWriter{w: w} }

func quote(s string) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // strings always marshal
	}
	return b
}

// underscored is the name of a fact as programs read it.
func underscored(name string) string { return strings.ReplaceAll(name, " ", "_") }

func (j *jsonWriter) flush() error {
	_, err := j.w.Write(j.buf)
	j.buf = j.buf[:0]
	return err
}

func (j *jsonWriter) text(s string) { j.buf = append(j.buf, s...) }

func (j *jsonWriter) value(v *Value) {
	if v.Kind == Text {
		j.buf = append(j.buf, quote(v.S)...)
		return
	}
	var ok bool
	if j.buf, ok = v.number(j.buf); !ok {
		j.text("null")
	}
}

func (j *jsonWriter) open() error {
	j.text(`{"reports":[`)
	return j.flush()
}

func (j *jsonWriter) begin(h *Head) error {
	if j.sheets > 0 {
		j.text(",")
	}
	j.sheets++
	j.rows = 0
	j.text("\n{\"name\":")
	j.buf = append(j.buf, quote(h.Name)...)
	if h.Type != "" {
		j.text(`,"type":`)
		j.buf = append(j.buf, quote(h.Type)...)
	}
	j.text(`,"facts":{`)
	for i := range h.Facts {
		if i > 0 {
			j.text(",")
		}
		j.buf = append(append(j.buf, quote(underscored(h.Facts[i].Name))...), ':')
		j.value(&h.Facts[i].Value)
	}
	j.text(`},"columns":[`)
	j.names = j.names[:0]
	for i, name := range h.Columns {
		if i > 0 {
			j.text(",")
		}
		j.names = append(j.names, quote(name))
		j.buf = append(j.buf, j.names[i]...)
	}
	j.text(`],"rows":[`)
	return j.flush()
}

func (j *jsonWriter) row(values []Value) error {
	if j.rows > 0 {
		j.text(",")
	}
	j.rows++
	j.text("\n{")
	for i := range values {
		if i > 0 {
			j.text(",")
		}
		j.buf = append(append(j.buf, j.names[i]...), ':')
		j.value(&values[i])
	}
	j.text("}")
	return j.flush()
}

func (j *jsonWriter) end() error {
	if j.rows > 0 {
		j.text("\n")
	}
	j.text("]}")
	return j.flush()
}

func (j *jsonWriter) close() error {
	if j.sheets > 0 {
		j.text("\n")
	}
	j.text("]}\n")
	return j.flush()
}

// csvWriter writes a line of names and a line a row; an empty line parts sheets.
// What is no number is empty. The facts of a sheet are left out, unless they are
// all there is: then they are its one row.
type csvWriter struct {
	w      *bufio.Writer
	buf    []byte
	sheets int
}

func newCSV(w *bufio.Writer, _ *cdate.Zone) writer { return &csvWriter{w: w} }

func (c *csvWriter) field(s string) {
	if !strings.ContainsAny(s, ",\"\r\n") {
		c.buf = append(c.buf, s...)
		return
	}
	c.buf = append(c.buf, '"')
	c.buf = append(c.buf, strings.ReplaceAll(s, `"`, `""`)...)
	c.buf = append(c.buf, '"')
}

func (c *csvWriter) line() error {
	c.buf = append(c.buf, '\n')
	_, err := c.w.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

func (c *csvWriter) open() error { return nil }

func (c *csvWriter) begin(h *Head) error {
	if c.sheets > 0 {
		c.buf = append(c.buf, '\n')
	}
	c.sheets++
	if len(h.Columns) == 0 {
		return c.facts(h)
	}
	for i, name := range h.Columns {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.field(name)
	}
	return c.line()
}

func (c *csvWriter) facts(h *Head) error {
	values := make([]Value, len(h.Facts))
	for i := range h.Facts {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		c.field(underscored(h.Facts[i].Name))
		values[i] = h.Facts[i].Value
	}
	if err := c.line(); err != nil {
		return err
	}
	return c.row(values)
}

func (c *csvWriter) row(values []Value) error {
	for i := range values {
		if i > 0 {
			c.buf = append(c.buf, ',')
		}
		if v := &values[i]; v.Kind == Text {
			c.field(v.S)
		} else {
			c.buf, _ = v.number(c.buf)
		}
	}
	return c.line()
}

func (c *csvWriter) end() error   { return nil }
func (c *csvWriter) close() error { return nil }
