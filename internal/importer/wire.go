package importer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// Wire reads NetFlow PDUs back to back and translates them, each from its own
// version, to the output's.
//
// Compat: the end of the input always counts as failure.
func Wire(in io.Reader, o *Options) (Source, error) {
	d, err := netflow.NewDecoder(o.Layout.Version, netflow.Exact)
	if err != nil {
		return nil, end(1, "%w", err)
	}
	return &wireSource{in: bufio.NewReaderSize(in, bufferSize), decoder: d, out: o.Layout.Version, warn: o.Warn, tracker: netflow.NewTracker(maxEngines)}, nil
}

const (
	leadSize   = 24   // octets read before anything is looked at
	maxEngines = 4096 // sequences followed at once
)

type wireSource struct {
	in      *bufio.Reader
	decoder *netflow.Decoder
	out     flow.Version
	warn    func(format string, args ...any)
	tracker *netflow.Tracker
}

func (s *wireSource) Read(b *flow.Batch) error {
	return fill(b, s.in, func() error { return s.pdu(b) })
}

func (s *wireSource) pdu(b *flow.Batch) error {
	lead, err := s.in.Peek(leadSize)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return &End{Status: 255}
		}
		return end(255, "read(): %w", err)
	}
	be := binary.BigEndian
	h := netflow.Header{Version: flow.Version{Export: be.Uint16(lead)}, Count: int(be.Uint16(lead[2:]))}
	if h.Version.Export == 8 {
		h.Version.Agg = lead[22]
		if v := lead[23]; v != flow.AggVersion && v != 0 {
			return end(1, "Unrecognized PDU version: 8, aggregation version %d", v)
		}
	}
	_, most, err := netflow.WireLayout(h.Version)
	if err != nil {
		return end(1, "Unrecognized PDU version: %v", h.Version)
	}
	size := h.Length()
	if h.Count > most {
		// The original reads such a PDU before it refuses it.
		if _, err := s.in.Discard(size); err != nil {
			return short(size)
		}
		return end(255, "ftpdu_verify(): failed.")
	}
	pdu, err := s.in.Peek(size)
	if err != nil {
		return short(size)
	}
	if h, err = netflow.Parse(pdu); err != nil {
		return end(255, "%w\nftpdu_verify(): failed.", err)
	}
	if err := s.decoder.Accepts(h.Version); err != nil {
		return end(1, "Unexpected PDU: oagg=%d agg=%d over=%d ver=%d", s.out.Agg, h.Version.Agg, s.out.Export, h.Version.Export)
	}
	if t := s.tracker.Track(netflow.Key{}, &h); t.Mismatch {
		s.warn("sequence: engine %d/%d: expected %d, received %d, lost %d", h.EngineType, h.EngineID, t.Expected, h.Sequence, t.Distance)
	}
	if err := s.decoder.Decode(b, &h, pdu, 0); err != nil {
		return end(1, "%w", err)
	}
	_, err = s.in.Discard(size)
	return err
}

// short is the end within a PDU of size octets.
func short(size int) error {
	return end(1, "fread(): failed - expecting to read %d bytes.", size-leadSize)
}
