package netflow

import (
	"encoding/binary"
	"fmt"
	"slices"

	"flowtools/pkg/flow"
)

// Encoder packs stream records of one version into PDUs. Records are taken in
// order; a PDU ends when it is full or when the next record differs in what the
// header says: export time, uptime and, but in version 1, the engine. An
// Encoder is not safe for concurrent use.
type Encoder struct {
	layout *flow.Layout
	pdu    *pdu
	plan   *flow.Plan
	emit   func(pdu []byte) error

	head  Header // of the PDU under construction; Count records are in buf
	wants bool   // the engine is part of the header
	same  []window
	buf   [MaxPDU]byte

	sequence map[uint16]uint32 // by engine: flows encoded so far
	sent     int               // records in the last PDU handed out
}

// NewEncoder returns an encoder of records of version v that hands every PDU to
// emit. The octets are valid during the call and may be changed by it (a sender
// may rewrite the header with Header.Put); an error of emit ends the call that
// caused it, with the PDU counted as sent. The error of NewEncoder names a
// version without PDU form, such as 1005.
func NewEncoder(v flow.Version, m Mode, emit func(pdu []byte) error) (*Encoder, error) {
	p := lookup(v)
	if p == nil {
		return nil, fmt.Errorf("version %v has no PDU form", v)
	}
	l, err := flow.LayoutOf(p.layout.Version)
	if err != nil {
		return nil, err
	}
	var except flow.FieldSet
	if m == Compat && l.Version == (flow.Version{Export: 8, Agg: 8}) {
		except = flow.Prot.Set() // Compat: golden flow-fanout/v8.5-to-v8.8-bytes
	}
	e := &Encoder{
		layout: l, pdu: p, plan: flow.NewPlan(p.layout, l, except), emit: emit,
		wants: p.head != head1, sequence: make(map[uint16]uint32),
	}
	heads := flow.TimeFields
	if e.wants {
		heads |= flow.Fields(flow.EngineType, flow.EngineID)
	}
	e.same = windows(l, heads)
	return e, nil
}

// window is up to 8 octets of a record.
type window struct {
	at   int
	mask uint64
}

// windows covers the fields of set, so that records can be compared in a few words.
func windows(l *flow.Layout, set flow.FieldSet) []window {
	type span struct{ off, width int }
	var spans []span
	for f := range set.All() {
		off, width := l.Offset(f)
		spans = append(spans, span{off, width})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.off - b.off })
	var ws []window
	for _, s := range spans {
		if n := len(ws); n == 0 || s.off+s.width > ws[n-1].at+8 {
			ws = append(ws, window{at: min(s.off, l.Size-8)})
		}
		w := &ws[len(ws)-1]
		w.mask |= (1<<(8*s.width) - 1) << (8 * (s.off - w.at))
	}
	return ws
}

// sameHead reports whether two records say the same in the header of a PDU.
func (e *Encoder) sameHead(a, b flow.Record) bool {
	for i := range e.same {
		w := &e.same[i]
		if (binary.LittleEndian.Uint64(a[w.at:])^binary.LittleEndian.Uint64(b[w.at:]))&w.mask != 0 {
			return false
		}
	}
	return true
}

// Layout returns the layout of the records that e takes.
func (e *Encoder) Layout() *flow.Layout { return e.layout }

// MaxRecords returns the number of records in a full PDU.
func (e *Encoder) MaxRecords() int { return e.pdu.max }

// Pending returns the number of records that wait for their PDU to be complete.
func (e *Encoder) Pending() int { return e.head.Count }

// Sent returns the number of records in the PDU that was handed out last, 0
// before the first.
func (e *Encoder) Sent() int { return e.sent }

// SetSequence makes seq the sequence number of the next PDU of an engine; it
// starts at 0 and counts records. Version 1 has no sequence numbers.
func (e *Encoder) SetSequence(engineType, engineID uint8, seq uint32) {
	e.sequence[uint16(engineType)<<8|uint16(engineID)] = seq
}

// headOf returns the part of the header that comes from a record.
func (e *Encoder) headOf(r flow.Record) Header {
	l := e.layout
	h := Header{
		Version:   l.Version,
		UnixSecs:  uint32(l.Uint(r, flow.UnixSecs)),
		UnixNsecs: uint32(l.Uint(r, flow.UnixNsecs)),
		SysUptime: uint32(l.Uint(r, flow.SysUptime)),
	}
	if e.wants {
		h.EngineType = uint8(l.Uint(r, flow.EngineType))
		h.EngineID = uint8(l.Uint(r, flow.EngineID))
	}
	return h
}

// Write encodes the records of a batch of e.Layout(). A full PDU is handed out
// at once, one that is not stays behind for more records or Flush. After an
// error of emit the rest of the batch has not been encoded.
func (e *Encoder) Write(b *flow.Batch) error {
	size := e.layout.Size
	for data := b.Bytes(); len(data) >= size; {
		h := e.headOf(data[:size])
		if h.Count = e.head.Count; h.Count > 0 && h != e.head {
			if err := e.Flush(); err != nil {
				return err
			}
			h.Count = 0
		}
		// The run of records that go into this PDU with the first one.
		n, room := 1, min(e.pdu.max-h.Count, len(data)/size)
		for n < room && e.sameHead(data[:size], data[n*size:n*size+size]) {
			n++
		}
		at := headSizes[e.pdu.head] + h.Count*e.pdu.layout.Size
		e.plan.Run(e.buf[at:], data, n, nil)
		h.Count += n
		e.head = h
		data = data[n*size:]
		if h.Count == e.pdu.max {
			if err := e.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Flush hands out the PDU under construction, if it has any records.
func (e *Encoder) Flush() error {
	if e.head.Count == 0 {
		return nil
	}
	h := e.head
	e.head.Count = 0
	e.sent = h.Count
	if e.wants {
		engine := uint16(h.EngineType)<<8 | uint16(h.EngineID)
		h.Sequence = e.sequence[engine]
		e.sequence[engine] = h.Sequence + uint32(h.Count)
	}
	h.Put(e.buf[:])
	return e.emit(e.buf[:h.Length()])
}
