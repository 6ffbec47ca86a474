package print

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"flowtools/pkg/flow"
)

// value says where the number of a column comes from.
type value uint8

const (
	plain    value = iota // the field
	masked                // some bits of the field
	moment                // absolute time of the uptime in the field, ms
	duration              // last - first, ms
	active                // its whole seconds
	activeMS              // its milliseconds within the second
	bpp                   // octets per packet
)

// render says how a column is written.
type render uint8

const (
	decimal   render = iota // left, padded
	decimal8                // left, below 10^8 in one word
	octet                   // left, below 256
	right                   // decimal on the right, padded with fill
	right7                  // decimal on the right in less than eight octets
	right8                  // decimal on the right in eight octets or more, below 10^8 in one word
	zero3                   // three digits
	hexLeft                 // hexadecimal, left
	hexLeft4                // the same of 16 bits in one word
	hexZero                 // hexadecimal, padded with zeros
	hex2                    // two digits
	hex4Digit               // four digits
	addr                    // dotted quad
	addr16                  // dotted quad with room behind it
	prefix                  // address and mask
	short                   // MMDD.HH:MM:SS.mmm
	long                    // YYYY-MM-DD HH:MM:SS.mmm
	name                    // name of the value, or decimal
	tag                     // name of the value, or 0x%08x
)

// column is one column of a template.
type column struct {
	off    int // where it starts in the row
	width  int
	cut    bool // longer text is cut; otherwise it moves what follows
	value  value
	render render
	field  flow.Field
	mask   flow.Field // of a prefix
	bits   uint64     // masked: the bits shown
	fill   byte       // right: what stands before the number
	max    int        // name: octets of a name before the column cuts it
	limit  uint64     // values below are written word-wise: they fit the column, and the word
	names  Names      // name, tag: nil for numbers
}

// template is a compiled page: the row with blank columns, and the columns.
type template struct {
	blank   []byte
	columns []column
	needs   flow.FieldSet
	symbols []string // tables of the columns with names, in order of appearance
}

// compile reads the line of a page. A fault in it is a programming error, and
// panics; all pages are compiled by the tests.
func compile(line string) template {
	var t template
	rest := line + "\n"
	for {
		text, after, found := strings.Cut(rest, "{")
		t.blank = append(t.blank, text...)
		if !found {
			break
		}
		word, after, closed := strings.Cut(after, "}")
		if !closed {
			panic(fmt.Sprintf("print: open column in %q", line))
		}
		rest = after
		c, err := t.column(word)
		if err != nil {
			panic(fmt.Sprintf("print: column {%s}: %v", word, err))
		}
		c.off = len(t.blank)
		for range c.width {
			t.blank = append(t.blank, ' ')
		}
		t.columns = append(t.columns, c)
	}
	return t
}

// column reads what stands between braces.
func (t *template) column(word string) (c column, err error) {
	what, verb, ok := strings.Cut(word, " ")
	if !ok {
		return c, fmt.Errorf("no verb")
	}
	if err := t.source(&c, what); err != nil {
		return c, err
	}
	return c, c.format(verb)
}

// source reads the value of a column.
func (t *template) source(c *column, what string) error {
	need := func(fs ...flow.Field) { t.needs |= flow.Fields(fs...) }
	switch what {
	case "start", "end":
		c.value, c.field = moment, flow.First
		if what == "end" {
			c.field = flow.Last
		}
		t.needs |= flow.TimeFields | c.field.Set()
		return nil
	case "duration", "active", "active_ms":
		c.value = map[string]value{"duration": duration, "active": active, "active_ms": activeMS}[what]
		need(flow.First, flow.Last)
		return nil
	case "bpp":
		c.value = bpp
		need(flow.DPkts, flow.DOctets)
		return nil
	}
	field, octets, named := strings.Cut(what, ":")
	field, bits, some := strings.Cut(field, "&")
	field, mask, prefixed := strings.Cut(field, "/")
	var err error
	if c.field, err = fieldOf(field); err != nil {
		return err
	}
	need(c.field)
	switch {
	case named:
		if c.max, err = strconv.Atoi(octets); err != nil {
			return err
		}
		sym := c.field.Info().Sym
		if sym == "" {
			return fmt.Errorf("no names for %v", c.field)
		}
		t.symbols = appendNew(t.symbols, sym)
		c.render = name
		if c.field.Info().Kind == flow.Tag {
			c.render = tag
		}
	case some:
		c.value = masked
		c.bits, err = strconv.ParseUint(bits, 0, 64)
	case prefixed:
		c.mask, err = fieldOf(mask)
		need(c.mask)
		c.render = prefix
	case c.field.Info().Kind == flow.Addr:
		c.render = addr
	}
	return err
}

func fieldOf(word string) (flow.Field, error) {
	fs, err := flow.ParseFields(word)
	for f := range fs.All() {
		return f, err
	}
	return 0, err
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// format reads the verb of a column.
func (c *column) format(verb string) error {
	switch verb {
	case mmdd:
		c.render, c.width = short, len(mmdd)
		return nil
	case ymd:
		c.render, c.width = long, len(ymd)
		return nil
	}
	spec, ok := strings.CutPrefix(verb, "%")
	if !ok || spec == "" {
		return fmt.Errorf("no verb %q", verb)
	}
	conv := spec[len(spec)-1]
	spec = spec[:len(spec)-1]
	spec, left := strings.CutPrefix(spec, "-")
	c.fill = ' '
	if spec != "" && spec[0] == '0' {
		c.fill = '0'
	}
	width, cut, cuts := strings.Cut(spec, ".")
	var err error
	if c.width, err = strconv.Atoi(width); err != nil {
		return err
	}
	if c.cut = cuts; cuts && cut != width {
		return fmt.Errorf("cut is not width in %q", verb)
	}
	switch {
	case conv == 's' && left && cuts:
	case c.render != decimal || cuts:
		return fmt.Errorf("bad verb %q", verb)
	case (conv == 'u' || conv == 'd') && left:
	case conv == 'u' || conv == 'd':
		c.render = right
	case conv == 'x' && left:
		c.render = hexLeft
	case conv == 'x' && c.fill == '0':
		c.render = hexZero
	default:
		return fmt.Errorf("bad verb %q", verb)
	}
	return nil
}

// hasten picks the word-wise way of writing a column where it fits: where what
// it writes beyond the column are blanks in the row too, and the values are no
// wider than it takes.
func (c *column) hasten(row []byte, l *flow.Layout) {
	room := func(n int) bool {
		return c.off+n <= len(row) && len(bytes.TrimLeft(row[c.off:c.off+n], " ")) == 0
	}
	narrow := func(octets int) bool {
		_, width := l.Offset(c.field)
		return c.value == plain && width <= octets
	}
	c.limit = 1
	for range min(c.width, 8) {
		c.limit *= 10
	}
	switch {
	case c.render == decimal && c.width >= 3 && narrow(1) && room(4):
		c.render = octet
	case (c.render == decimal || c.render == name) && !room(8):
		c.limit = 0
	case c.render == decimal:
		c.render = decimal8
	case c.render == right && c.fill == ' ' && c.width < 8:
		c.render = right7
	case c.render == right && c.fill == ' ':
		c.render = right8
	case c.render == right && c.fill == '0' && c.width == 3 && c.value == activeMS:
		c.render = zero3
	case c.render == hexLeft && narrow(2) && room(4):
		c.render = hexLeft4
	case c.render == hexZero && c.width == 2 && narrow(1):
		c.render = hex2
	case c.render == hexZero && c.width == 4 && narrow(2):
		c.render = hex4Digit
	case c.render == addr && room(16):
		c.render = addr16
	}
}
