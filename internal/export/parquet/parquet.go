// Package parquet is the target of flow-export -f parquet: an Apache Parquet
// file on standard output, compressed with zstd.
package parquet

import (
	"context"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"flowtools/internal/clib"
	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

// rowGroup is the number of records in a row group. It bounds the memory of
// writer and readers: a group of version 5 takes about 30 MB before it is
// compressed.
const rowGroup = 256 << 10

// dictionaryLimit is where a column gives up its dictionary within a row group
// and goes on in plain.
const dictionaryLimit = 1 << 20

// Schema returns the columns for fields, in their order: unsigned integers of
// the width that the layout has, addresses as strings.
func Schema(l *flow.Layout, fields []flow.Field) *parquet.Schema {
	g := parquet.Group{}
	for _, f := range fields {
		g[f.String()] = node(l, f)
	}
	return parquet.NewSchema("flow", ordered{g, fields})
}

func node(l *flow.Layout, f flow.Field) parquet.Node {
	_, width := l.Offset(f)
	n := parquet.Uint(8 * width)
	e := encoding.Encoding(&parquet.RLEDictionary)
	switch {
	case f.Info().Kind == flow.Addr:
		n = parquet.String()
	case f.Info().Kind == flow.Time || f == flow.DOctets:
		e = &parquet.DeltaBinaryPacked
	}
	return parquet.Compressed(parquet.Encoded(n, e), &parquet.Zstd)
}

// ordered is a group whose columns keep the order of the fields.
type ordered struct {
	parquet.Group
	fields []flow.Field
}

func (o ordered) Fields() []parquet.Field {
	place := map[string]int{}
	for i, f := range o.fields {
		place[f.String()] = i
	}
	fs := o.Group.Fields()
	slices.SortFunc(fs, func(a, b parquet.Field) int { return place[a.Name()] - place[b.Name()] })
	return fs
}

// Open writes nothing yet.
func Open(_ context.Context, o *export.Options) (export.Sink, error) {
	fields := o.Fields()
	s := &sink{layout: o.Layout, fields: fields}
	s.w = parquet.NewGenericWriter[any](o.Out, Schema(o.Layout, fields),
		parquet.DictionaryMaxBytes(dictionaryLimit),
		parquet.KeyValueMetadata("flowtools.version", o.Layout.Version.String()))
	return s, nil
}

type sink struct {
	w      *parquet.GenericWriter[any]
	layout *flow.Layout
	fields []flow.Field
	rows   int // in the row group
	values []parquet.Value
	text   []byte
}

func (s *sink) Write(b *flow.Batch) error {
	n := b.Len()
	s.values = slices.Grow(s.values[:0], n)[:n]
	for i, c := range s.w.ColumnWriters() {
		f := s.fields[i]
		if f.Info().Kind == flow.Addr {
			s.addresses(b, f)
		} else {
			for j := range n {
				s.values[j] = parquet.Int32Value(int32(s.layout.Uint(b.At(j), f)))
			}
		}
		if _, err := c.WriteRowValues(s.values); err != nil {
			return err
		}
	}
	if s.rows += n; s.rows >= rowGroup {
		s.rows = 0
		return s.w.Flush()
	}
	return nil
}

// addresses makes the values of an address column, whose text stays in s.text.
func (s *sink) addresses(b *flow.Batch, f flow.Field) {
	s.text = slices.Grow(s.text[:0], 16*b.Len()+64)
	for j := range s.values {
		at := len(s.text)
		s.text = clib.AppendIPv4(s.text, uint32(s.layout.Uint(b.At(j), f)))
		s.values[j] = parquet.ByteArrayValue(s.text[at:])
	}
}

// Close writes the last row group and the footer.
func (s *sink) Close() error { return s.w.Close() }

func (s *sink) Abort() {}
