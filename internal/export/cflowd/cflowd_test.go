package cflowd

import (
	"testing"

	"flowtools/pkg/flow"
)

// TestMaskOf compares the masks with the published table.
func TestMaskOf(t *testing.T) {
	want := map[flow.Version]uint32{
		{Export: 1}: 0x43FFF, {Export: 5}: 0xC7FFFF, {Export: 7}: 0xC7FFFF, {Export: 1005}: 0xC7FFFF, {Export: 6}: 0xFFFFFF,
		{Export: 8, Agg: 1}: 0xC0CD99, {Export: 8, Agg: 2}: 0xC00DE1, {Export: 8, Agg: 3}: 0xC14D8B, {Export: 8, Agg: 4}: 0xC28D95,
		{Export: 8, Agg: 5}: 0xC3CD9F, {Export: 8, Agg: 6}: 0xC02D95, {Export: 8, Agg: 7}: 0xC02D9F, {Export: 8, Agg: 8}: 0xC02DFF,
		{Export: 8, Agg: 9}: 0xC0ED99, {Export: 8, Agg: 10}: 0xC02DE1, {Export: 8, Agg: 11}: 0xC16D8B, {Export: 8, Agg: 12}: 0xC2AD95,
		{Export: 8, Agg: 13}: 0xC3ED9F, {Export: 8, Agg: 14}: 0xC32DFF,
	}
	if len(want) != len(flow.Versions()) {
		t.Errorf("%d versions in the table, %d there are", len(want), len(flow.Versions()))
	}
	for _, v := range flow.Versions() {
		l, err := flow.LayoutOf(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := MaskOf(l); got != want[v] {
			t.Errorf("version %v: mask %#x, want %#x", v, got, want[v])
		}
	}
}

func TestFromFields(t *testing.T) {
	tests := []struct {
		names string
		mask  uint32
		bad   bool
	}{
		{names: "exaddr,srcaddr,prot", mask: 0x1003},
		{names: "dpkts,doctets,engine_type,engine_id", mask: 0xC00180},
		{names: "unix_secs", bad: true},
		{names: "dflows", bad: true},
		{names: "first,srcaddr", bad: true},
		{names: "unix_secs,unix_nsecs,sysuptime,first", bad: true},
		{names: "src_tag", bad: true},
	}
	for _, tt := range tests {
		set, err := flow.ParseFields(tt.names)
		if err != nil {
			t.Fatal(err)
		}
		mask, err := FromFields(set)
		if mask != tt.mask && !tt.bad || (err != nil) != tt.bad {
			t.Errorf("FromFields(%s) = %#x, %v", tt.names, mask, err)
		}
	}
}
