// Package cflowd is the target of flow-export -f0 and the record format of
// flow-import -f0: binary records, each led by an index word whose bits say
// which fields follow, all big-endian and without padding.
package cflowd

import (
	"fmt"

	"flowtools/pkg/flow"
)

// Bit is the number of a field in the index word.
type Bit uint8

// Column is one field of the format.
type Column struct {
	Bit   Bit
	Width int        // octets
	Field flow.Field // First and Last stand for the start and end time
	Time  bool       // unix seconds computed from the field
}

// Bits of the fields that readers and writers treat specially.
const (
	Start Bit = 10
	End   Bit = 11
)

// Columns are the fields in the order of their bits, which is that of the
// record.
var Columns = [...]Column{
	{Bit: 0, Width: 4, Field: flow.ExAddr},
	{Bit: 1, Width: 4, Field: flow.SrcAddr},
	{Bit: 2, Width: 4, Field: flow.DstAddr},
	{Bit: 3, Width: 2, Field: flow.Input},
	{Bit: 4, Width: 2, Field: flow.Output},
	{Bit: 5, Width: 2, Field: flow.SrcPort},
	{Bit: 6, Width: 2, Field: flow.DstPort},
	{Bit: 7, Width: 4, Field: flow.DPkts},
	{Bit: 8, Width: 4, Field: flow.DOctets},
	{Bit: 9, Width: 4, Field: flow.NextHop},
	{Bit: Start, Width: 4, Field: flow.First, Time: true},
	{Bit: End, Width: 4, Field: flow.Last, Time: true},
	{Bit: 12, Width: 1, Field: flow.Prot},
	{Bit: 13, Width: 1, Field: flow.ToS},
	{Bit: 14, Width: 2, Field: flow.SrcAS},
	{Bit: 15, Width: 2, Field: flow.DstAS},
	{Bit: 16, Width: 1, Field: flow.SrcMask},
	{Bit: 17, Width: 1, Field: flow.DstMask},
	{Bit: 18, Width: 1, Field: flow.TCPFlags},
	{Bit: 19, Width: 1, Field: flow.InEncaps},
	{Bit: 20, Width: 1, Field: flow.OutEncaps},
	{Bit: 21, Width: 4, Field: flow.PeerNextHop},
	{Bit: 22, Width: 1, Field: flow.EngineType},
	{Bit: 23, Width: 1, Field: flow.EngineID},
}

// MaskOf returns the fields of the format that records of l have.
//
// Compat: the protocol is missing for 8.2, 8.8, 8.10 and 8.14 (goldens
// flow-export/cflowd-v8.*).
func MaskOf(l *flow.Layout) uint32 {
	var mask uint32
	for _, c := range Columns {
		if l.Fields.Has(c.Field) {
			mask |= 1 << c.Bit
		}
	}
	if l.Version.Export == 8 {
		mask &^= 1 << 12
	}
	return mask
}

// FromFields turns a list of field names into a mask of the format.
//
// Compat: first and last are refused even when all that a time needs is named,
// so no list of names can select the times (goldens cflowd-names-*).
func FromFields(set flow.FieldSet) (uint32, error) {
	var mask uint32
	rest := set
	for _, c := range Columns {
		need := c.Field.Set()
		if c.Time {
			need |= flow.TimeFields
		}
		if set&need != need {
			continue
		}
		mask |= 1 << c.Bit
		if c.Time {
			need = flow.TimeFields
		}
		rest &^= need
	}
	if rest != 0 {
		return 0, fmt.Errorf("xfields contains fields after conversion to cflow mask 0x%x\nftxfield_tocflow(): failed", uint64(rest))
	}
	return mask, nil
}
