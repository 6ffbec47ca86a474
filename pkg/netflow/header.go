package netflow

import (
	"encoding/binary"

	"flowtools/pkg/flow"
)

// Header is the header of a PDU.
type Header struct {
	Version    flow.Version // with the aggregation method for version 8
	Count      int          // records, as the header says
	SysUptime  uint32       // ms since the exporter started, when the PDU was sent
	UnixSecs   uint32       // s since 1970 UTC, when the PDU was sent
	UnixNsecs  uint32       // ns within that second
	Sequence   uint32       // flows exported before this PDU; 0 in version 1
	EngineType uint8        // 0 in version 1
	EngineID   uint8        // 0 in version 1
	Sampling   uint16       // versions 5, 6, 7: mode and interval as sent, meaningful in version 5 only
}

// Size returns the octets of the header itself, 0 for a version without PDU form.
func (h *Header) Size() int {
	if p := lookup(h.Version); p != nil {
		return headSizes[p.head]
	}
	return 0
}

// Length returns the octets of the whole PDU that h announces, 0 for a version
// without PDU form.
func (h *Header) Length() int {
	if p := lookup(h.Version); p != nil {
		return headSizes[p.head] + h.Count*p.layout.Size
	}
	return 0
}

// Reason says why a datagram is not used. The values are small and dense, fit
// to index counters of length NumReasons. As an error it costs no allocation.
type Reason uint8

// The reasons, in the order in which they are checked.
const (
	TooShort       Reason = iota // fewer octets than version and count, or a version 8 header, need
	UnknownVersion               // not 1, 5, 6, 7 or 8
	BadAggVersion                // version 8: aggregation version neither 2 nor 0
	BadAggMethod                 // version 8: aggregation method not 1..14
	TooManyRecords               // more records than a PDU of the version holds
	WrongLength                  // header and records do not make up the datagram
	WrongExporter                // not from the one exporter that is wanted
	NoTranslation                // version 8 where another is kept, or the other way round
	OtherMethod                  // another aggregation method than the one that is kept
	NumReasons     = int(OtherMethod) + 1
)

var reasons = [NumReasons]struct{ label, text string }{
	TooShort:       {"short", "datagram too short"},
	UnknownVersion: {"version", "unknown PDU version"},
	BadAggVersion:  {"agg_version", "unknown aggregation version"},
	BadAggMethod:   {"agg_method", "unknown aggregation method"},
	TooManyRecords: {"count", "more records than a PDU can hold"},
	WrongLength:    {"length", "length does not match the record count"},
	WrongExporter:  {"exporter", "not from the configured exporter"},
	NoTranslation:  {"translation", "no translation between version 8 and others"},
	OtherMethod:    {"method", "another aggregation method is being kept"},
}

// Error returns the reason in words.
func (r Reason) Error() string { return "netflow: " + reasons[r].text }

// Label returns a short name of the reason, for metrics.
func (r Reason) Label() string { return reasons[r].label }

// Parse checks a datagram and returns its header. Octets past MaxDatagram are
// ignored. The error is a Reason from TooShort to WrongLength; the header then
// holds what had been read: the version from UnknownVersion on, the count from
// TooManyRecords on.
func Parse(datagram []byte) (Header, error) {
	var h Header
	if len(datagram) > MaxDatagram {
		datagram = datagram[:MaxDatagram]
	}
	if len(datagram) < 4 {
		return h, TooShort
	}
	be := binary.BigEndian
	h.Version.Export = be.Uint16(datagram)
	switch h.Version.Export {
	case 1, 5, 6, 7:
	case 8:
		if len(datagram) < 24 {
			return h, TooShort
		}
		h.Version.Agg = datagram[22]
		if v := datagram[23]; v != flow.AggVersion && v != 0 { // some Juniper routers send 0
			return h, BadAggVersion
		}
		if h.Version.Agg < 1 || h.Version.Agg > 14 {
			return h, BadAggMethod
		}
	default:
		return h, UnknownVersion
	}
	h.Count = int(be.Uint16(datagram[2:]))
	p := lookup(h.Version)
	if h.Count > p.max {
		return h, TooManyRecords
	}
	if n := h.Length(); len(datagram) != n && !(p.padded && len(datagram) > n) {
		return h, WrongLength
	}
	h.SysUptime = be.Uint32(datagram[4:])
	h.UnixSecs = be.Uint32(datagram[8:])
	h.UnixNsecs = be.Uint32(datagram[12:])
	if p.head != head1 {
		h.Sequence = be.Uint32(datagram[16:])
		h.EngineType, h.EngineID = datagram[20], datagram[21]
	}
	if p.head == head5 {
		h.Sampling = be.Uint16(datagram[22:])
	}
	return h, nil
}

// Put writes h to the start of pdu, which must have room for h.Size() octets.
// A version without PDU form writes nothing.
func (h *Header) Put(pdu []byte) {
	p := lookup(h.Version)
	if p == nil {
		return
	}
	be := binary.BigEndian
	be.PutUint16(pdu, h.Version.Export)
	be.PutUint16(pdu[2:], uint16(h.Count))
	be.PutUint32(pdu[4:], h.SysUptime)
	be.PutUint32(pdu[8:], h.UnixSecs)
	be.PutUint32(pdu[12:], h.UnixNsecs)
	if p.head == head1 {
		return
	}
	be.PutUint32(pdu[16:], h.Sequence)
	pdu[20], pdu[21] = h.EngineType, h.EngineID
	switch p.head {
	case head5:
		be.PutUint16(pdu[22:], h.Sampling)
	case head8:
		pdu[22], pdu[23] = h.Version.Agg, flow.AggVersion
		be.PutUint32(pdu[24:], 0)
	}
}
