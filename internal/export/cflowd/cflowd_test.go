package cflowd_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"flowtools/internal/export"
	"flowtools/internal/export/cflowd"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/flowtest"
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
		if got := cflowd.MaskOf(l); got != want[v] {
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
		mask, err := cflowd.FromFields(set)
		if mask != tt.mask && !tt.bad || (err != nil) != tt.bad {
			t.Errorf("FromFields(%s) = %#x, %v", tt.names, mask, err)
		}
	}
}

func TestTarget(t *testing.T) {
	exporttest.Run(t, exporttest.Target{
		Open:    cflowd.Open,
		Options: func(testing.TB) export.Options { return export.Options{} },
		Fixed:   true, // a mask for other formats means other fields here
		Keeps: func(l *flow.Layout) (set flow.FieldSet) {
			for _, c := range cflowd.Columns {
				if cflowd.MaskOf(l)>>c.Bit&1 != 0 && !c.Time {
					set |= c.Field.Set()
				}
			}
			return set
		},
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, out []byte) []string {
			var rows []string
			for len(out) > 0 {
				index := binary.BigEndian.Uint32(out)
				if index != cflowd.MaskOf(o.Layout) {
					t.Fatalf("index word %#x", index)
				}
				out = out[4:]
				r := make(flow.Record, o.Layout.Size)
				for _, c := range cflowd.Columns {
					if index>>c.Bit&1 == 0 {
						continue
					}
					var v uint64
					for _, b := range out[:c.Width] {
						v = v<<8 | uint64(b)
					}
					out = out[c.Width:]
					o.Layout.PutUint(r, c.Field, v)
				}
				rows = append(rows, exporttest.Row(o.Layout, r, fields))
			}
			return rows
		},
	})
}

func TestTimes(t *testing.T) {
	l := flowtest.Layout(5, 0)
	b := flow.NewBatch(l)
	clear(b.Extend(1))
	for f, v := range map[flow.Field]uint64{
		flow.UnixSecs: 1000, flow.UnixNsecs: 999e6, flow.SysUptime: 5000, flow.First: 3001, flow.Last: 9000,
	} {
		l.PutUint(b.At(0), f, v)
	}
	var out bytes.Buffer
	sink, err := cflowd.Open(t.Context(), &export.Options{Layout: l, Mask: export.Mask{Bits: 0xC00}, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
	want := []byte{0, 0, 0x0C, 0, 0, 0, 0x03, 0xE7, 0, 0, 0x03, 0xEC} // 999 (999.0 s), 1004
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("got % x, want % x", out.Bytes(), want)
	}
}
