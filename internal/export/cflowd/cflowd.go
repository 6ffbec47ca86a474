package cflowd

import (
	"context"
	"encoding/binary"
	"io"
	"slices"

	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

// Check refuses a list of names that the format cannot express.
func Check(o *export.Options) error {
	_, err := maskFor(o)
	return err
}

func maskFor(o *export.Options) (uint32, error) {
	if o.Mask.Names {
		return FromFields(flow.FieldSet(o.Mask.Bits))
	}
	return uint32(o.Mask.Bits), nil
}

// Open writes nothing yet: the format has no heading.
func Open(_ context.Context, o *export.Options) (export.Sink, error) {
	mask, err := maskFor(o)
	if err != nil {
		return nil, err
	}
	s := &sink{out: o.Out, layout: o.Layout, index: mask & MaskOf(o.Layout), size: 4}
	for _, c := range Columns {
		if s.index>>c.Bit&1 != 0 {
			s.columns = append(s.columns, c)
			s.size += c.Width
		}
	}
	return s, nil
}

type sink struct {
	out     io.Writer
	layout  *flow.Layout
	index   uint32
	columns []Column
	size    int // octets of a record
	buf     []byte
}

func (s *sink) Write(b *flow.Batch) error {
	l, be := s.layout, binary.BigEndian
	s.buf = slices.Grow(s.buf[:0], b.Len()*s.size)[:b.Len()*s.size]
	p := s.buf
	for r := range b.All() {
		be.PutUint32(p, s.index)
		p = p[4:]
		for i := range s.columns {
			c := &s.columns[i]
			v := uint32(l.Uint(r, c.Field))
			if c.Time {
				v = flow.Seconds(l.Millis(r, c.Field))
			}
			switch c.Width {
			case 1:
				p[0] = byte(v)
			case 2:
				be.PutUint16(p, uint16(v))
			default:
				be.PutUint32(p, v)
			}
			p = p[c.Width:]
		}
	}
	_, err := s.out.Write(s.buf)
	return err
}

func (s *sink) Close() error { return nil }
func (s *sink) Abort()       {}
