package export

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"sync"

	"flowtools/pkg/flow"
)

// Style is how records look as text.
type Style struct {
	Open  string // before the first value of a record
	Close string // after the last one
	Sep   string // between two values
	Quote string // before and after an address
	Names bool   // "name": before each value, as JSON has it
}

// Text turns records into text by a table compiled for the fields. It is
// immutable.
type Text struct {
	layout  *flow.Layout
	cells   []cell
	head    int // leading cells that lie in the first exportHead octets
	tail    string
	longest int // octets of the longest record
}

// cell is one value and the text before it.
type cell struct {
	lead  string
	field flow.Field
	addr  bool
	octet bool // value below 256
}

// NewText compiles the table for the given fields, all of them fields of l.
func NewText(l *flow.Layout, fields []flow.Field, s Style) *Text {
	makeOctets()
	t := &Text{layout: l, tail: s.Close, longest: len(s.Open) + len(s.Close)}
	lead := s.Open
	for _, f := range fields {
		if s.Names {
			lead += strconv.Quote(f.String()) + ":"
		}
		_, width := l.Offset(f)
		c := cell{field: f, addr: f.Info().Kind == flow.Addr, octet: width == 1}
		if c.addr {
			lead += s.Quote
		}
		c.lead = lead
		t.cells = append(t.cells, c)
		if off, _ := l.Offset(f); off < exportHead && t.head == len(t.cells)-1 {
			t.head++
		}
		t.longest += len(lead) + longestValue
		lead = s.Sep
		if c.addr {
			lead = s.Quote + s.Sep
		}
	}
	switch n := len(t.cells); {
	case n == 0:
		t.tail = s.Open + t.tail
	case t.cells[n-1].addr:
		t.tail = s.Quote + t.tail
	}
	t.longest += len(t.tail) + slack
	return t
}

// exportHead is the size of what every record starts with: time, uptime and
// address of the exporter. The records of one PDU have it in common, so its
// text is copied from record to record.
const exportHead = 16

const (
	longestValue = 15 // an address; numbers have 10 digits at most
	slack        = 8  // values are stored in words that may reach past their end
)

// Append appends the records of b.
func (t *Text) Append(dst []byte, b *flow.Batch) []byte {
	var lo, hi uint64   // the export head of the record before
	start, end := 0, -1 // its text
	for r := range b.All() {
		if cap(dst)-len(dst) < t.longest {
			dst = slices.Grow(dst, max(t.longest, len(dst)))
		}
		p := dst[:cap(dst)]
		at := len(dst)
		l, h := binary.LittleEndian.Uint64(r), binary.LittleEndian.Uint64(r[8:])
		if l == lo && h == hi && end >= 0 {
			copy(p[at:], p[start:end])
			start, end = at, at+end-start
		} else {
			lo, hi = l, h
			start, end = at, t.put(p, at, r, t.cells[:t.head])
		}
		at = t.put(p, end, r, t.cells[t.head:])
		at += copy(p[at:], t.tail)
		dst = dst[:at]
	}
	return dst
}

// put writes values of r to p, which has room for them, and returns the place
// after them.
func (t *Text) put(p []byte, at int, r flow.Record, cells []cell) int {
	for i := range cells {
		c := &cells[i]
		if len(c.lead) == 1 {
			p[at] = c.lead[0]
			at++
		} else {
			at += copy(p[at:], c.lead)
		}
		v := uint32(t.layout.Uint(r, c.field))
		switch {
		case c.addr:
			at = putAddr(p, at, v)
		case c.octet:
			at = putOctet(p, at, byte(v))
		default:
			at = putUint(p, at, v)
		}
	}
	return at
}

// octets holds the text of every octet with a dot behind it, and its length. It
// is made with the first Text.
var octets [256]struct {
	text uint32
	n    uint8 // without the dot
}

var makeOctets = sync.OnceFunc(func() {
	for i := range octets {
		text := append(strconv.AppendUint(nil, uint64(i), 10), "....."...)
		octets[i].text = binary.LittleEndian.Uint32(text)
		octets[i].n = uint8(len(text) - 5)
	}
})

func putOctet(p []byte, at int, v byte) int {
	o := &octets[v]
	binary.LittleEndian.PutUint32(p[at:], o.text)
	return at + int(o.n)
}

func putAddr(p []byte, at int, v uint32) int {
	at = putOctet(p, at, byte(v>>24)) + 1
	at = putOctet(p, at, byte(v>>16)) + 1
	at = putOctet(p, at, byte(v>>8)) + 1
	return putOctet(p, at, byte(v))
}

// putUint writes v in decimal and returns the place after it. The digits are
// made side by side in one word: flows mix lengths so much that branches on
// them would cost more.
func putUint(p []byte, at int, v uint32) int {
	if v < 256 {
		return putOctet(p, at, byte(v))
	}
	if v < 1e8 {
		d := digits(v)
		zeros := bits.TrailingZeros64(d) &^ 7
		binary.LittleEndian.PutUint64(p[at:], (d|ascii)>>(zeros&63))
		return at + 8 - zeros>>3
	}
	at = putOctet(p, at, byte(v/1e8))
	binary.LittleEndian.PutUint64(p[at:], digits(v%1e8)|ascii)
	return at + 8
}

const ascii = 0x3030303030303030

// digits returns the 8 decimal digits of v < 1e8, one an octet, the first one
// lowest.
func digits(v uint32) uint64 {
	x := uint64(v/1e4) | uint64(v%1e4)<<32
	hi := x * 10486 >> 20 & 0x7f_0000_007f // hundreds of both halves
	x = hi | (x-hi*100)<<16
	hi = x * 103 >> 10 & 0xf_000f_000f_000f // tens of the four quarters
	return hi | (x-hi*10)<<8
}
