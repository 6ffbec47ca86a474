// Package jsonl is the target of flow-export -f json: one JSON object a line,
// numbers as numbers and addresses as strings.
package jsonl

import (
	"context"
	"io"

	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

// Open writes nothing yet.
func Open(_ context.Context, o *export.Options) (export.Sink, error) {
	style := export.Style{Open: "{", Sep: ",", Quote: `"`, Names: true, Close: "}\n"}
	return &sink{out: o.Out, text: export.NewText(o.Layout, o.Fields(), style)}, nil
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
