//go:build linux

package rig

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// PDUFlows is how many flows each PDU has: as many as version 5 allows.
const PDUFlows = 30

// pduSize is the length of a full version 5 PDU, and where its parts are.
const (
	pduSize    = 1464
	pduHeader  = 24
	wireRecord = 48
	wireOctets = 20 // dOctets within a record: the number of the flow
)

// ringPDUs is how many PDUs of traffic there are before they repeat: far more
// than the window of zlib, and few enough for the second level cache.
const ringPDUs = 256

// V5 is the version of all traffic.
var V5 = flow.Version{Export: 5}

// Traffic is a ring of version 5 PDUs that look like a router's. A flow is told
// by its number in the stream of its engine, which takes the place of dOctets;
// the number also says which flow of the ring it is.
type Traffic struct {
	pdus   [][]byte
	layout *flow.Layout
	want   []byte // the ring as records
	mask   []byte // of one record: 0 where Put decides what it holds
	octets int    // offset of doctets
}

// NewTraffic makes the ring; the same seed gives the same one.
func NewTraffic(seed uint64) (*Traffic, error) {
	l, err := flow.LayoutOf(V5)
	if err != nil {
		return nil, err
	}
	records := flowtest.Traffic(l, ringPDUs*PDUFlows, seed)
	t := &Traffic{layout: l, want: append([]byte(nil), records.Bytes()...), mask: make([]byte, l.Size)}
	enc, err := netflow.NewEncoder(V5, netflow.Compat, func(pdu []byte) error {
		t.pdus = append(t.pdus, append([]byte(nil), pdu...))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := enc.Write(records); err != nil {
		return nil, err
	}
	if err := enc.Flush(); err != nil {
		return nil, err
	}
	for i, p := range t.pdus {
		if len(p) != pduSize {
			return nil, fmt.Errorf("PDU %d of the ring has %d octets", i, len(p))
		}
	}
	if len(t.pdus) != ringPDUs {
		return nil, fmt.Errorf("%d PDUs in the ring", len(t.pdus))
	}
	for i := range t.mask {
		t.mask[i] = 0xFF
	}
	for _, f := range []flow.Field{flow.UnixSecs, flow.UnixNsecs, flow.SysUptime, flow.ExAddr, flow.DOctets, flow.EngineType, flow.EngineID} {
		off, width := l.Offset(f)
		clear(t.mask[off : off+width])
	}
	t.octets, _ = l.Offset(flow.DOctets)
	return t, nil
}

// Engine is one stream of numbered flows: an exporter and one of its engines.
type Engine struct {
	Source netip.Addr // zero: the system's choice
	Type   uint8
	ID     uint8
	Next   uint32 // number of its next flow, which is also its sequence number
}

// Put makes the next PDU of e in pdu, as sent at now.
func (t *Traffic) Put(pdu []byte, e *Engine, now time.Time) []byte {
	pdu = pdu[:pduSize]
	copy(pdu, t.pdus[e.Next/PDUFlows%ringPDUs])
	be := binary.BigEndian
	ns := now.UnixNano()
	be.PutUint32(pdu[4:], uint32(ns/1e6))
	be.PutUint32(pdu[8:], uint32(ns/1e9))
	be.PutUint32(pdu[12:], uint32(ns%1e9))
	be.PutUint32(pdu[16:], e.Next)
	pdu[20], pdu[21] = e.Type, e.ID
	for i := range uint32(PDUFlows) {
		be.PutUint32(pdu[pduHeader+wireRecord*i+wireOctets:], e.Next+i)
	}
	e.Next += PDUFlows
	return pdu
}

// Number returns the number of a flow, and whether the flow is as it was sent.
func (t *Traffic) Number(r flow.Record) (n uint32, ok bool) {
	n = binary.LittleEndian.Uint32(r[t.octets:])
	size := t.layout.Size
	want := t.want[int(n%(ringPDUs*PDUFlows))*size:][:size]
	le := binary.LittleEndian
	diff := uint64(0)
	for i := 0; i < size; i += 8 {
		diff |= (le.Uint64(r[i:]) ^ le.Uint64(want[i:])) & le.Uint64(t.mask[i:])
	}
	return n, diff == 0
}
