package cdate

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// parseTZif reads a compiled zone file (RFC 8536), nil if it is none. Leap second
// tables are not applied.
func parseTZif(data []byte) *Zone {
	block, rest, ok := cutBlock(data, 4)
	if !ok {
		return nil
	}
	var footer string
	if data[4] != 0 { // version 2 and up: the same again with 64-bit times, then a rule
		if block, rest, ok = cutBlock(rest, 8); !ok {
			return nil
		}
		if len(rest) < 2 || rest[0] != '\n' {
			return nil
		}
		text, _, ok := bytes.Cut(rest[1:], []byte{'\n'})
		if !ok {
			return nil
		}
		footer = string(text)
	}
	return block.zone(footer)
}

// A block is one data block of a zone file, its tables cut out and in bounds.
type block struct {
	width                       int // of a time
	times, index, types, abbrev []byte
}

const tzifHeader = 44

func cutBlock(b []byte, width int) (block, []byte, bool) {
	if len(b) < tzifHeader || string(b[:4]) != "TZif" {
		return block{}, nil, false
	}
	var n [6]int // isut, isstd, leap, time, type and character counts
	for i := range n {
		v := binary.BigEndian.Uint32(b[20+4*i:])
		if v > uint32(len(b)) {
			return block{}, nil, false
		}
		n[i] = int(v)
	}
	b = b[tzifHeader:]
	out := block{width: width}
	for _, cut := range []struct {
		into *[]byte
		size int
	}{
		{&out.times, n[3] * width}, {&out.index, n[3]}, {&out.types, n[4] * 6}, {&out.abbrev, n[5]},
		{nil, n[2] * (width + 4)}, {nil, n[1]}, {nil, n[0]},
	} {
		if cut.size > len(b) {
			return block{}, nil, false
		}
		if cut.into != nil {
			*cut.into = b[:cut.size]
		}
		b = b[cut.size:]
	}
	return out, b, n[4] > 0 && n[4] <= 256
}

func (b *block) typeAt(i int) span {
	t := b.types[6*i:]
	name := b.abbrev[min(int(t[5]), len(b.abbrev)):]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		name = name[:end]
	}
	return span{off: int(int32(binary.BigEndian.Uint32(t))), name: string(name), dst: t[4] != 0}
}

func (b *block) zone(footer string) *Zone {
	// Before the first change: the first type that is not daylight time.
	types := make([]span, len(b.types)/6)
	for i := range types {
		types[i] = b.typeAt(i)
	}
	first := types[0]
	if i := slices.IndexFunc(types, func(t span) bool { return !t.dst }); i >= 0 {
		first = types[i]
	}
	first.from, first.to = math.MinInt64, math.MaxInt64
	z := &Zone{spans: append(make([]span, 0, len(b.index)+2*(lastYear-2037)), first)}
	last := int64(math.MinInt64)
	for i, typ := range b.index {
		var sec int64
		if b.width == 8 {
			sec = int64(binary.BigEndian.Uint64(b.times[8*i:]))
		} else {
			sec = int64(int32(binary.BigEndian.Uint32(b.times[4*i:])))
		}
		if int(typ) >= len(types) || i > 0 && sec <= last {
			return nil
		}
		if sec > math.MinInt64 {
			z.add(sec, types[typ])
		}
		last = sec
	}
	if footer == "" || len(b.index) == 0 {
		return z
	}
	r := parsePOSIX(footer)
	year := yearOf(last)
	switch {
	case !r.dst:
		// The same offset as the last change: nothing is left to lay out.
	case year > lastYear:
		z.rules = r
		z.spans[len(z.spans)-1].to = last + 1
	default:
		z.rules = r
		z.extend(max(year, 1900), last)
	}
	return z
}
