// Package wire is the target of flow-export -f4: NetFlow PDUs back to back.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"

	"flowtools/internal/export"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// Open writes nothing yet. Version 1005 has no PDU form.
func Open(_ context.Context, o *export.Options) (export.Sink, error) {
	s := &sink{out: o.Out}
	var err error
	s.encoder, err = netflow.NewEncoder(o.Layout.Version, netflow.Exact, func(pdu []byte) error {
		s.buf = append(s.buf, pdu...)
		return nil
	})
	if err != nil {
		return nil, failed(err)
	}
	return s, nil
}

func failed(err error) error { return fmt.Errorf("%w\n%w", err, errors.New("fwrite(): failed")) }

type sink struct {
	out     io.Writer
	encoder *netflow.Encoder
	buf     []byte // PDUs complete but not written
}

func (s *sink) Write(b *flow.Batch) error {
	if err := s.encoder.Write(b); err != nil {
		return failed(err)
	}
	return s.drain()
}

func (s *sink) drain() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.out.Write(s.buf)
	s.buf = s.buf[:0]
	if err != nil {
		return failed(err)
	}
	return nil
}

// Close writes the last PDU.
func (s *sink) Close() error {
	if err := s.encoder.Flush(); err != nil {
		return failed(err)
	}
	return s.drain()
}

func (s *sink) Abort() {}
