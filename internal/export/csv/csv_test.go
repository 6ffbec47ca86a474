package csv_test

import (
	"strings"
	"testing"

	"flowtools/internal/export"
	"flowtools/internal/export/csv"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

func TestTarget(t *testing.T) {
	exporttest.Run(t, exporttest.Target{
		Open:    csv.Open,
		Options: func(testing.TB) export.Options { return export.Options{} },
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, out []byte) []string {
			lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
			order := csv.Order(fields)
			var rows []string
			for _, line := range lines[1:] {
				values := map[flow.Field]string{}
				for i, v := range strings.Split(line, ",") {
					values[order[i]] = v
				}
				row := make([]string, len(fields))
				for i, f := range fields {
					row[i] = values[f]
				}
				rows = append(rows, strings.Join(row, ","))
			}
			return rows
		},
	})
}

// TestQuirks pins what the heading and the values do not agree on.
func TestQuirks(t *testing.T) {
	tests := []struct {
		name string
		v    flow.Version
		mask string
		want string
	}{
		{"two columns nexthop", flow.Version{Export: 6}, "nexthop,peer_nexthop", "#:nexthop,nexthop\n0.0.0.1,0.0.0.2\n"},
		{"marked tos first", flow.Version{Export: 8, Agg: 8}, "extra_pkts,marked_tos", "#:extra_pkts,marked_tos\n4,3\n"},
		{"extra packets alone", flow.Version{Export: 8, Agg: 8}, "extra_pkts", "#:extra_pkts\n3\n"},
		{"nothing", flow.Version{Export: 5}, "extra_pkts", "#:\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			l := flowtest.Layout(tt.v.Export, tt.v.Agg)
			mask, err := export.ParseMask(tt.mask)
			if err != nil {
				t.Fatal(err)
			}
			sink, err := csv.Open(t.Context(), &export.Options{Layout: l, Mask: mask, Out: &out})
			if err != nil {
				t.Fatal(err)
			}
			b := flow.NewBatch(l)
			clear(b.Extend(1))
			for f, v := range map[flow.Field]uint64{flow.NextHop: 1, flow.PeerNextHop: 2, flow.ExtraPkts: 3, flow.MarkedToS: 4} {
				l.PutUint(b.At(0), f, v)
			}
			if err := sink.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := sink.Close(); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
		})
	}
}

// BenchmarkCSV is the whole way of a record of version 5 into text.
func BenchmarkCSV(b *testing.B) {
	l := flowtest.Layout(5, 0)
	batch := flowtest.Traffic(l, 1000, 1)
	sink, err := csv.Open(b.Context(), &export.Options{Layout: l, Mask: export.AllFields, Out: discard{}})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(l.Size))
	b.ReportAllocs()
	for i := 0; i < b.N; i += batch.Len() {
		if err := sink.Write(batch); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
