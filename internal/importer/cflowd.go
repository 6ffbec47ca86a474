package importer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"flowtools/internal/export/cflowd"
	"flowtools/pkg/flow"
)

// Cflowd reads cflowd records, each with an index word of its own. Kept are the
// fields that an export of the output's version would write.
//
// Compat: the end of the input always counts as failure.
func Cflowd(in io.Reader, o *Options) (Source, error) {
	if o.Layout.Version.Export == 1005 {
		return nil, end(255, "Unsupported export version")
	}
	return &cflowdSource{in: bufio.NewReaderSize(in, bufferSize), layout: o.Layout, keep: cflowd.MaskOf(o.Layout)}, nil
}

type cflowdSource struct {
	in     *bufio.Reader
	layout *flow.Layout
	keep   uint32

	index   uint32 // of the record before
	known   bool
	columns []cflowd.Column // that index stands for
	size    int             // octets of such a record, index included
}

func (s *cflowdSource) Read(b *flow.Batch) error {
	return fill(b, s.in, func() error { return s.record(b) })
}

// setIndex prepares for records with the fields of index.
func (s *cflowdSource) setIndex(index uint32) {
	s.index, s.known = index, true
	s.columns, s.size = s.columns[:0], 4
	for _, c := range cflowd.Columns {
		if index>>c.Bit&1 != 0 {
			s.columns = append(s.columns, c)
			s.size += c.Width
		}
	}
}

func (s *cflowdSource) record(b *flow.Batch) error {
	p, err := s.in.Peek(4)
	if err != nil {
		return s.end(err)
	}
	be := binary.BigEndian
	if index := be.Uint32(p); !s.known || index != s.index {
		s.setIndex(index)
	}
	if p, err = s.in.Peek(s.size); err != nil {
		return s.end(err)
	}
	r := add(b)
	var start uint32
	at := 4
	for i := range s.columns {
		c := &s.columns[i]
		var v uint32
		switch c.Width {
		case 1:
			v = uint32(p[at])
		case 2:
			v = uint32(be.Uint16(p[at:]))
		default:
			v = be.Uint32(p[at:])
		}
		at += c.Width
		switch {
		case s.keep>>c.Bit&1 == 0:
		case c.Bit == cflowd.Start:
			start = v
			s.layout.PutUint(r, flow.UnixSecs, uint64(v))
		case c.Bit == cflowd.End && start != 0:
			s.layout.PutUint(r, flow.Last, uint64((v-start)*1000))
		case c.Bit == cflowd.End:
			s.layout.PutUint(r, flow.UnixSecs, uint64(v))
		default:
			s.layout.PutUint(r, c.Field, uint64(v))
		}
	}
	_, err = s.in.Discard(s.size)
	return err
}

// end ends the input; octets that are no whole record are dropped.
func (s *cflowdSource) end(err error) error {
	if errors.Is(err, io.EOF) {
		return &End{Status: 255}
	}
	return end(255, "read(): %w", err)
}
