package wire_test

import (
	"slices"
	"testing"

	"flowtools/internal/export"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/wire"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

func versions() []flow.Version {
	return slices.DeleteFunc(flow.Versions(), func(v flow.Version) bool { return v.Export == 1005 })
}

func TestTarget(t *testing.T) {
	exporttest.Run(t, exporttest.Target{
		Open:     wire.Open,
		Options:  func(testing.TB) export.Options { return export.Options{} },
		Versions: versions(),
		Fixed:    true,
		Keeps: func(l *flow.Layout) flow.FieldSet {
			// The decoder leaves the extras of version 6 out.
			return l.Fields &^ flow.Fields(flow.ExAddr, flow.InEncaps, flow.OutEncaps, flow.PeerNextHop)
		},
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, out []byte) []string {
			d, err := netflow.NewDecoder(o.Layout.Version, netflow.Exact)
			if err != nil {
				t.Fatal(err)
			}
			b := flow.NewBatch(o.Layout)
			for len(out) > 0 {
				h := netflow.Header{Version: o.Layout.Version, Count: int(out[2])<<8 | int(out[3])}
				pdu := out[:h.Length()]
				if h, err = netflow.Parse(pdu); err != nil {
					t.Fatal(err)
				}
				if err := d.Decode(b, &h, pdu, 0); err != nil {
					t.Fatal(err)
				}
				out = out[len(pdu):]
			}
			var rows []string
			for r := range b.All() {
				rows = append(rows, exporttest.Row(o.Layout, r, fields))
			}
			return rows
		},
	})
}

func TestNoForm(t *testing.T) {
	if _, err := wire.Open(t.Context(), &export.Options{Layout: flowtest.Layout(1005, 0)}); err == nil {
		t.Error("version 1005 was accepted")
	}
}

func TestAllocations(t *testing.T) {
	l := flowtest.Layout(5, 0)
	sink, err := wire.Open(t.Context(), &export.Options{Layout: l, Out: discard{}})
	if err != nil {
		t.Fatal(err)
	}
	b := flowtest.Traffic(l, 1000, 1)
	write := func() {
		if err := sink.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if n := testing.AllocsPerRun(10, write); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
