// Package csv is the target of flow-export -f2: ASCII, a record a line.
package csv

import (
	"context"
	"io"

	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

// Open writes the heading.
func Open(_ context.Context, o *export.Options) (export.Sink, error) {
	fields := o.Fields()
	heading := []byte("#:")
	for i, f := range fields {
		if i > 0 {
			heading = append(heading, ',')
		}
		heading = append(heading, name(f)...)
	}
	if _, err := o.Out.Write(append(heading, '\n')); err != nil {
		return nil, err
	}
	if len(fields) == 0 {
		return nothing{}, nil
	}
	return &sink{out: o.Out, text: export.NewText(o.Layout, Order(fields), export.Style{Sep: ",", Close: "\n"})}, nil
}

// name is the heading of a field.
//
// Compat: peer_nexthop is headed nexthop (golden csv-v6).
func name(f flow.Field) string {
	if h := f.Info().Heading; h != "" {
		return h
	}
	return f.String()
}

// Order returns fields, which are in mask order, in the order of their values.
//
// Compat: the value of marked_tos stands before that of extra_pkts, although
// the heading has them the other way round (goldens csv-v8.6 to csv-v8.8).
func Order(fields []flow.Field) []flow.Field {
	out := append([]flow.Field(nil), fields...)
	for i := 1; i < len(out); i++ {
		if out[i-1] == flow.ExtraPkts && out[i] == flow.MarkedToS {
			out[i-1], out[i] = out[i], out[i-1]
		}
	}
	return out
}

type sink struct {
	out  io.Writer
	text *export.Text
	buf  []byte
}

func (s *sink) Write(b *flow.Batch) error {
	s.buf = s.text.Append(s.buf[:0], b)
	_, err := s.out.Write(s.buf)
	return err
}

func (s *sink) Close() error { return nil }
func (s *sink) Abort()       {}

// nothing is the sink when no field is left: no lines at all.
type nothing struct{}

func (nothing) Write(*flow.Batch) error { return nil }
func (nothing) Close() error            { return nil }
func (nothing) Abort()                  {}
