package flow

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Plan is a compiled set of moves from records of one layout to records of
// another: byte order conversion, PDU decoding and encoding, version
// conversion. A plan is immutable and may be shared.
type Plan struct {
	dstSize, srcSize int
	copied           FieldSet
	ops              []op
}

// op moves one word of 1 to 8 octets of every record.
type op struct {
	kind     opKind
	dst, src uint16
	dstWidth uint8 // used by resize
	srcWidth uint8
	flip     bool // resize: source and destination differ in byte order
	dstBig   bool // resize: the destination is big-endian
}

type opKind uint8

const (
	copy1 opKind = iota
	copy2
	copy4
	copy8
	swap2   // one 16-bit value
	swap4   // one 32-bit value
	swap2x2 // two 16-bit values
	swap4x2 // two 32-bit values
	swap2x4 // four 16-bit values
	keepLow // 32-bit value: low half swapped, upper cleared
	resize  // widths differ
)

// move is an op before neighbours are joined.
type move struct {
	dst, src int
	dw, sw   int
	flip     bool
	low16    bool
	dstBig   bool
}

// NewPlan compiles the move of every field that both layouts offer, less those
// in except, from records of src to records of dst. Widths may differ: values
// are widened with zeros or cut to their low bits.
func NewPlan(dst, src *Layout, except FieldSet) *Plan {
	p := &Plan{dstSize: dst.Size, srcSize: src.Size, copied: dst.Fields & src.Fields &^ except}
	var moves []move
	for f := range p.copied.All() {
		d, s := dst.slots[f], src.slots[f]
		moves = append(moves, move{
			dst: int(d.off), src: int(s.off), dw: int(d.width), sw: int(s.width),
			flip: dst.Order != src.Order, dstBig: dst.Order == BigEndian,
		})
	}
	p.ops = compile(moves)
	return p
}

// swapPlan converts records of l to the other byte order, in place.
func swapPlan(l *Layout) *Plan {
	p := &Plan{dstSize: l.Size, srcSize: l.Size}
	var moves []move
	for _, s := range l.spans {
		if s.width == 1 || s.mode == fixed {
			continue
		}
		moves = append(moves, move{dst: s.off, src: s.off, dw: s.width, sw: s.width, flip: true, low16: s.mode == low16})
	}
	p.ops = compile(moves)
	return p
}

// compile sorts moves by destination and joins neighbours into wider words.
func compile(moves []move) []op {
	slices.SortFunc(moves, func(a, b move) int { return a.dst - b.dst })
	var ops []op
	for i := 0; i < len(moves); {
		kind, n := widest(moves[i:])
		m := moves[i]
		ops = append(ops, op{
			kind: kind, dst: uint16(m.dst), src: uint16(m.src),
			dstWidth: uint8(m.dw), srcWidth: uint8(m.sw), flip: m.flip, dstBig: m.dstBig,
		})
		i += n
	}
	return ops
}

// widest returns the op for the longest run at the start of moves that fits one
// word, and the number of moves it covers.
func widest(moves []move) (opKind, int) {
	m := moves[0]
	if m.low16 {
		return keepLow, 1
	}
	if m.dw != m.sw {
		return resize, 1
	}
	flip := m.flip && m.dw > 1
	n, octets := 1, m.dw // moves in the run, octets covered
	for n < len(moves) {
		next, prev := moves[n], moves[n-1]
		if next.low16 || next.dw != next.sw ||
			next.dst != prev.dst+prev.dw || next.src != prev.src+prev.sw ||
			(next.flip && next.dw > 1) != flip || flip && next.dw != m.dw || octets+next.dw > 8 {
			break
		}
		octets += next.dw
		n++
	}
	for ; n > 1; n-- { // shrink to a word size that exists
		if kind, ok := wordKind(flip, m.dw, octets); ok {
			return kind, n
		}
		octets -= moves[n-1].dw
	}
	if kind, ok := wordKind(flip, m.dw, octets); ok {
		return kind, 1
	}
	return resize, 1
}

// words are the words that an op can move: so many octets of values of a width,
// which does not matter where their order stays.
var words = []struct {
	kind          opKind
	flip          bool
	width, octets int
}{
	{copy1, false, 0, 1}, {copy2, false, 0, 2}, {copy4, false, 0, 4}, {copy8, false, 0, 8},
	{swap2, true, 2, 2}, {swap4, true, 4, 4}, {swap2x2, true, 2, 4}, {swap4x2, true, 4, 8}, {swap2x4, true, 2, 8},
}

func wordKind(flip bool, width, octets int) (opKind, bool) {
	for _, w := range words {
		if w.flip == flip && w.octets == octets && (!flip || w.width == width) {
			return w.kind, true
		}
	}
	return 0, false
}

// Fields returns the fields that the plan moves.
func (p *Plan) Fields() FieldSet { return p.copied }

// Run moves n records from src to dst, which must hold them whole. Octets of
// dst that no field is moved to start as those of base, one record long, or
// zero when base is nil. src and dst must not overlap.
func (p *Plan) Run(dst, src []byte, n int, base Record) {
	if base == nil {
		clear(dst[:n*p.dstSize])
	} else {
		for i := range n {
			copy(dst[i*p.dstSize:(i+1)*p.dstSize], base)
		}
	}
	p.run(dst, src, n)
}

// run works column by column: the op is chosen once per column, not per value.
func (p *Plan) run(dst, src []byte, n int) {
	le := binary.LittleEndian
	ds, ss := p.dstSize, p.srcSize
	if n == 0 {
		return
	}
	_, _ = dst[n*ds-1], src[n*ss-1]
	for i := range p.ops {
		o := &p.ops[i]
		d, s := int(o.dst), int(o.src)
		switch o.kind {
		case copy1:
			for range n {
				dst[d] = src[s]
				d, s = d+ds, s+ss
			}
		case copy2:
			for range n {
				le.PutUint16(dst[d:], le.Uint16(src[s:]))
				d, s = d+ds, s+ss
			}
		case copy4:
			for range n {
				le.PutUint32(dst[d:], le.Uint32(src[s:]))
				d, s = d+ds, s+ss
			}
		case copy8:
			for range n {
				le.PutUint64(dst[d:], le.Uint64(src[s:]))
				d, s = d+ds, s+ss
			}
		case swap2:
			for range n {
				le.PutUint16(dst[d:], bits.ReverseBytes16(le.Uint16(src[s:])))
				d, s = d+ds, s+ss
			}
		case swap4:
			for range n {
				le.PutUint32(dst[d:], bits.ReverseBytes32(le.Uint32(src[s:])))
				d, s = d+ds, s+ss
			}
		case swap2x2:
			for range n {
				le.PutUint32(dst[d:], bits.RotateLeft32(bits.ReverseBytes32(le.Uint32(src[s:])), 16))
				d, s = d+ds, s+ss
			}
		case swap4x2:
			for range n {
				le.PutUint64(dst[d:], bits.RotateLeft64(bits.ReverseBytes64(le.Uint64(src[s:])), 32))
				d, s = d+ds, s+ss
			}
		case swap2x4:
			const even = 0x00ff00ff00ff00ff
			for range n {
				x := le.Uint64(src[s:])
				le.PutUint64(dst[d:], x&even<<8|x>>8&even)
				d, s = d+ds, s+ss
			}
		case keepLow:
			for range n {
				le.PutUint32(dst[d:], uint32(bits.ReverseBytes16(le.Uint16(src[s:]))))
				d, s = d+ds, s+ss
			}
		case resize:
			for range n {
				o.resize(dst[d:], src[s:])
				d, s = d+ds, s+ss
			}
		}
	}
}

// resize moves one value between fields of different widths.
func (o *op) resize(dst, src []byte) {
	srcBig := o.dstBig != o.flip
	var v uint64
	for i := range int(o.srcWidth) {
		if srcBig {
			v = v<<8 | uint64(src[i])
		} else {
			v |= uint64(src[i]) << (8 * i)
		}
	}
	for i := range int(o.dstWidth) {
		if o.dstBig {
			dst[int(o.dstWidth)-1-i] = byte(v)
		} else {
			dst[i] = byte(v)
		}
		v >>= 8
	}
}
