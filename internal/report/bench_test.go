package report

import (
	"io"
	"testing"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// BenchmarkLines writes reports of 50,000 lines.
func BenchmarkLines(b *testing.B) {
	const lines = 50_000
	batch := flowtest.Traffic(flowtest.Layout(5, 0), lines, 1)
	for i := range lines {
		batch.Layout.PutUint(batch.At(i), flow.NextHop, uint64(i))
	}
	for _, c := range []struct{ name, output string }{
		{"plain", ""},
		{"sorted", "sort +octets"},
		{"rates", "fields +pps,+bps"},
		{"percent", "options +percent-total"},
	} {
		b.Run(c.name, func(b *testing.B) {
			f, err := Parse("bench.cfg", []byte("stat-report r\ntype ip-next-hop-address\noutput\n"+c.output+"\nstat-definition d\nreport r\n"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			d, err := f.Definition("d")
			if err != nil {
				b.Fatal(err)
			}
			r, err := d.New(&cli.Env{Stdout: io.Discard}, ftfile.NewHeader(batch.Layout.Version, 0), batch.Layout, nil)
			if err != nil {
				b.Fatal(err)
			}
			if err := r.Add(batch); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := r.writeAll(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/lines, "ns/line")
		})
	}
}
