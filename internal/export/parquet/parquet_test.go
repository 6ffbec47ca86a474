package parquet_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	pq "github.com/parquet-go/parquet-go"

	"flowtools/internal/export"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/parquet"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

func TestTarget(t *testing.T) {
	exporttest.Run(t, exporttest.Target{
		Open:    parquet.Open,
		Options: func(testing.TB) export.Options { return export.Options{} },
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, out []byte) []string {
			f, err := pq.OpenFile(bytes.NewReader(out), int64(len(out)))
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range f.Schema().Columns() {
				names = append(names, strings.Join(c, "."))
			}
			if got := strings.Join(names, ","); got != export.List(fields) {
				t.Fatalf("columns %s, want %s", got, export.List(fields))
			}
			var rows []string
			r := pq.NewReader(f)
			defer r.Close()
			buf := make([]pq.Row, 100)
			for {
				n, err := r.ReadRows(buf)
				for _, row := range buf[:n] {
					values := make([]string, len(row))
					for i, v := range row {
						if fields[i].Info().Kind == flow.Addr {
							values[i] = string(v.ByteArray())
						} else {
							values[i] = fmt.Sprint(v.Uint32())
						}
					}
					rows = append(rows, strings.Join(values, ","))
				}
				if err != nil {
					break
				}
			}
			return rows
		},
	})
}

func BenchmarkParquet(b *testing.B) {
	l := flowtest.Layout(5, 0)
	batch := flowtest.Traffic(l, 300000, 1)
	small := &flow.Batch{Layout: l}
	n := 0
	count := &counter{}
	sink, err := parquet.Open(b.Context(), &export.Options{Layout: l, Mask: export.AllFields, Out: count})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(l.Size))
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i += 1000 {
		small.SetBytes(batch.Bytes()[n*l.Size : (n+1000)*l.Size])
		n = (n + 1000) % 300000
		if err := sink.Write(small); err != nil {
			b.Fatal(err)
		}
	}
	if err := sink.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(count.n)/float64(b.N), "octets/row")
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
