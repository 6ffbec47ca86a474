// Package print writes flow records as text: the numbered formats of flow-print,
// each a row of a table of column templates, and the block of lines that
// describes a stream header.
package print

import (
	"encoding/binary"
	"fmt"

	"flowtools/internal/cdate"
	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// Format is one of the numbered formats.
type Format struct{ row *format }

// Lookup returns format n.
func Lookup(n int) (Format, error) {
	if n < 0 || n >= len(formats) {
		return Format{}, fmt.Errorf("No such format, %d", n)
	}
	return Format{&formats[n]}, nil
}

// layout returns one of the two pages of a format.
func (f *format) layout(wide bool) page {
	if wide && f.wide.line != "" {
		return f.wide
	}
	return f.page
}

// Needs returns the fields that records must have to be printed in f, wide or not.
func (f Format) Needs() flow.FieldSet {
	return f.row.also | compile(f.row.line).needs | compile(f.row.layout(true).line).needs
}

// Symbols returns the names of the symbol tables that f can use.
func (f Format) Symbols() []string { return compile(f.row.line).symbols }

// Names gives values names.
type Names interface {
	// Name returns the name of v, false if it has none.
	Name(v uint32) (string, bool)
}

// Options are the choices there are with every format.
type Options struct {
	Wide  bool
	Zone  *cdate.Zone      // nil: UTC
	Names map[string]Names // by symbol table; values without a name in them print as numbers
	Bogus func()           // called for a record that is left out because it has no packets; may be nil
}

// Rows writes records of one layout in one format. It is not safe for concurrent
// use.
type Rows struct {
	template
	heading string
	layout  *flow.Layout
	skip    skip
	bogus   func()
	clock   clock
}

// Rows returns the writer of records of layout l, which must have the fields that
// f needs.
func (f Format) Rows(l *flow.Layout, o Options) *Rows {
	p := f.row.layout(o.Wide)
	r := &Rows{template: compile(p.line), heading: p.heading + "\n", layout: l, skip: f.row.skip, bogus: o.Bogus}
	if r.clock.zone = o.Zone; o.Zone == nil {
		r.clock.zone = cdate.UTC()
	}
	for i := range r.columns {
		c := &r.columns[i]
		if c.render == name || c.render == tag {
			c.names = o.Names[c.field.Info().Sym]
			if c.names == nil && c.render == name {
				c.render = decimal
			}
		}
		c.hasten(r.blank, l)
	}
	return r
}

// Heading returns the lines above the records.
func (p *Rows) Heading() string { return p.heading }

// Append appends the lines of one record to dst; nothing if the format leaves the
// record out. It allocates only to grow dst.
func (p *Rows) Append(dst []byte, r flow.Record) []byte {
	if p.skip != none && p.leaveOut(r) {
		return dst
	}
	base := len(dst) // where the row's offsets count from
	dst = append(dst, p.blank...)
	for i := range p.columns {
		c := &p.columns[i]
		v := p.layout.Uint(r, c.field)
		if c.value != plain {
			v = p.derive(c, r, v)
		}
		cell := dst[base+c.off:]
		switch c.render {
		case decimal8:
			if v < c.limit {
				putLeft8(cell, uint32(v))
				continue
			}
		case octet:
			binary.LittleEndian.PutUint32(cell, octets[v&255].text)
			continue
		case right7:
			if v < c.limit {
				putRight(cell[:c.width], uint32(v))
				continue
			}
		case right8:
			if v < c.limit {
				putRight8(cell[c.width-8:], uint32(v))
				continue
			}
		case zero3:
			putDigits3(cell, uint32(v))
			continue
		case hexLeft4:
			putHexLeft4(cell, uint32(v))
			continue
		case hex4Digit:
			binary.LittleEndian.PutUint32(cell, hex4(uint32(v)))
			continue
		case hex2:
			putHex2(cell, uint32(v))
			continue
		case addr16:
			putAddr(cell, uint32(v))
			continue
		case short:
			p.clock.putShort(cell, flow.Seconds(v), uint32(v%1000))
			continue
		case long:
			p.clock.putLong(cell, flow.Seconds(v), uint32(v%1000))
			continue
		case name, tag:
			if c.names == nil {
				break
			}
			if s, ok := c.names.Name(uint32(v)); ok {
				if c.max > 0 {
					s = s[:min(len(s), c.max)]
				}
				copy(cell[:c.width], s)
				continue
			}
			if c.render == name && v < c.limit {
				putLeft8(cell, uint32(v))
				continue
			}
		}
		dst, base = c.put(dst, base, v, p.layout.Uint(r, c.mask))
	}
	return dst
}

// put writes a value the plain way: text first, then cut or pushed into place.
func (c *column) put(dst []byte, base int, v, mask uint64) ([]byte, int) {
	var scratch [32]byte
	text := scratch[:0]
	switch c.render {
	case hexLeft, hexZero:
		width := 0
		if c.render == hexZero {
			width = c.width
		}
		text = clib.AppendHex(text, v, width)
	case addr, addr16:
		text = clib.AppendIPv4(text, uint32(v))
	case prefix:
		text = clib.AppendPrefix(text, uint32(v), uint8(mask))
	case tag:
		text = clib.AppendHex(append(text, "0x"...), v, 8)
	case right, right7, right8:
		text = clib.AppendUintRight(text, v, 0)
	default:
		text = clib.AppendUint(text, v, 0)
	}
	if c.cut && len(text) > c.width {
		text = text[:c.width]
	}
	at := base + c.off
	if more := len(text) - c.width; more > 0 {
		dst = append(dst, scratch[:more]...)
		copy(dst[at+len(text):], dst[at+c.width:len(dst)-more])
		base += more
	} else if right <= c.render && c.render <= right8 {
		for ; more < 0; more++ {
			dst[at] = c.fill
			at++
		}
	}
	copy(dst[at:], text)
	return dst, base
}

// derive returns the value of a column that does not show a field as it is.
func (p *Rows) derive(c *column, r flow.Record, v uint64) uint64 {
	switch c.value {
	case masked:
		return v & c.bits
	case moment:
		return p.layout.Millis(r, c.field)
	case duration:
		return uint64(p.layout.Duration(r))
	case active:
		return uint64(p.layout.Duration(r) / 1000)
	case activeMS:
		return uint64(p.layout.Duration(r) % 1000)
	}
	pkts := p.layout.Uint(r, flow.DPkts)
	if pkts == 0 {
		return 0 // such records are left out where this is shown
	}
	return p.layout.Uint(r, flow.DOctets) / pkts
}

// leaveOut reports whether the format shows nothing of r.
func (p *Rows) leaveOut(r flow.Record) bool {
	l := p.layout
	pkts := l.Uint(r, flow.DPkts)
	if pkts == 0 {
		if p.bogus != nil {
			p.bogus()
		}
		return true
	}
	// Compat: "single-packet SYN flows" are those of exactly two packets and 80 octets.
	return p.skip == noSYN &&
		(l.Uint(r, flow.Prot) != 6 || l.Uint(r, flow.TCPFlags) != 2 || pkts != 2 || l.Uint(r, flow.DOctets) != pkts*40)
}
