package flow

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Order is the byte order of the fields of a layout.
type Order uint8

// Byte orders. Records in batches are little-endian, NetFlow PDUs big-endian.
const (
	LittleEndian Order = 1
	BigEndian    Order = 2
)

// String returns "little" or "big".
func (o Order) String() string {
	if o == BigEndian {
		return "big"
	}
	return "little"
}

// Layout says where the fields of one kind of fixed size record lie.
// Layouts are immutable and shared.
type Layout struct {
	Version Version
	Size    int      // octets of a record, 28 at least
	Fields  FieldSet // the fields offered to tools
	Order   Order

	slots [NumFields]slot // by field; hidden fields have none
	spans []span          // every multi-octet value in record order, hidden ones included
	swap  *Plan           // conversion to the other byte order, in place
}

// slot locates a field for Uint: load 8 octets at base, shift, mask. Records
// are never shorter than 8 octets, so base is the field's offset or less.
type slot struct {
	mask  uint64
	base  uint16
	shift uint8
	off   uint16
	width uint8
}

// span is a field as it lies in a record.
type span struct {
	field  Field
	off    int
	width  int
	hidden bool
	mode   spanMode
}

type spanMode uint8

const (
	swapped spanMode = iota // follows the stream's byte order
	fixed                   // little-endian always
	low16                   // low half swapped, upper half cleared
)

// MustLayout builds a layout from its description (see layoutLines for the
// grammar). It panics on a faulty description, which is a programming error.
func MustLayout(v Version, order Order, line string) *Layout {
	l := &Layout{Version: v, Order: order}
	off := 0
	for word := range strings.FieldsSeq(line) {
		if pad, ok := strings.CutPrefix(word, "-"); ok {
			n, err := strconv.Atoi(pad)
			if err != nil {
				panic(fmt.Sprintf("flow: layout %v: bad padding %q", v, word))
			}
			off += n
			continue
		}
		s := span{off: off}
		word, s.hidden = strings.CutPrefix(word, "~")
		word, mode, marked := strings.Cut(word, "!")
		if marked {
			s.mode = fixed
			if mode == "16" {
				s.mode = low16
			}
		}
		f, ok := fieldNamed(word)
		if !ok {
			panic(fmt.Sprintf("flow: layout %v: unknown field %q", v, word))
		}
		s.field, s.width = f, int(fields[f].Width)
		l.spans = append(l.spans, s)
		off += s.width
	}
	l.Size = off
	for _, s := range l.spans {
		if s.hidden {
			continue
		}
		base := min(s.off, l.Size-8)
		l.Fields |= s.field.Set()
		l.slots[s.field] = slot{
			mask: 1<<(8*s.width) - 1, base: uint16(base), shift: uint8(8 * (s.off - base)),
			off: uint16(s.off), width: uint8(s.width),
		}
	}
	l.swap = swapPlan(l)
	return l
}

// Missing returns the fields of need that l does not offer.
func (l *Layout) Missing(need FieldSet) FieldSet { return need &^ l.Fields }

// Uint returns field f of r, a record of l in little-endian order; 0 where l
// has no such field.
func (l *Layout) Uint(r Record, f Field) uint64 {
	s := &l.slots[f]
	return binary.LittleEndian.Uint64(r[s.base:]) >> (s.shift & 63) & s.mask
}

// PutUint sets field f of r to the low bits of v; without effect where l has no
// such field.
func (l *Layout) PutUint(r Record, f Field, v uint64) {
	s := &l.slots[f]
	p := r[s.base:]
	x := binary.LittleEndian.Uint64(p)
	sh := s.shift & 63
	binary.LittleEndian.PutUint64(p, x&^(s.mask<<sh)|v&s.mask<<sh)
}

// Addr returns an address field as a netip.Addr, for the edges of the program.
func (l *Layout) Addr(r Record, f Field) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(l.Uint(r, f)))
	return netip.AddrFrom4(b)
}

// Offset returns the offset and width in octets of field f, width 0 where l
// does not offer it.
func (l *Layout) Offset(f Field) (off, width int) {
	return int(l.slots[f].off), int(l.slots[f].width)
}

// SwapOrder converts whole records between little-endian and big-endian order,
// in place. It is its own inverse but for the fields that streams convert
// incompletely (see layoutLines).
func (l *Layout) SwapOrder(records []byte) {
	l.swap.run(records, records, len(records)/l.Size)
}

// Record is one record: Size octets of some Layout, in little-endian order.
// Records handed out by a Batch alias its slab.
type Record []byte
