package xlate

import (
	"bytes"
	"slices"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// The supported conversions of tag-xlate-mask.md, by target.
var supported = map[uint16][]uint16{
	1:    {1, 5, 6, 7, 1005},
	5:    {1, 5, 6, 7, 1005},
	6:    {1, 5, 6, 7, 1005},
	7:    {1, 5, 6, 7, 1005},
	1005: {5, 1005},
}

// Over all pairs of versions: unsupported ones are refused, the same version
// passes untouched, and otherwise common fields arrive and the others are 0.
func TestConvert(t *testing.T) {
	for _, from := range flow.Versions() {
		src := flowtest.Layout(from.Export, from.Agg)
		for _, to := range flow.Versions() {
			want := from == to || slices.Contains(supported[from.Export], to.Export)
			c, err := NewConverter(src, to)
			if (err == nil) != want {
				t.Errorf("%v to %v: error %v", from, to, err)
			}
			if err != nil {
				continue
			}
			in := flowtest.Random(src, 50, 7)
			out := c.Batch(in)
			if from == to {
				if !bytes.Equal(in.Bytes(), out.Bytes()) {
					t.Errorf("%v to itself changes", from)
				}
				continue
			}
			if out.Layout != c.Layout() || out.Layout.Version != to || out.Len() != in.Len() {
				t.Fatalf("%v to %v: batch of %d %v records", from, to, out.Len(), out.Layout.Version)
			}
			for i := range in.Len() {
				built := make(flow.Record, out.Layout.Size)
				for f := range (src.Fields & out.Layout.Fields).All() {
					if f == flow.Output && from.Export == 1 && to.Export != 1005 {
						continue
					}
					out.Layout.PutUint(built, f, src.Uint(in.At(i), f))
				}
				if !bytes.Equal(built, out.At(i)) {
					t.Fatalf("%v to %v:\n%x\nwant\n%x", from, to, out.At(i), built)
				}
			}
		}
	}
}

// There and back keeps the fields that both versions have.
func TestConvertThereAndBack(t *testing.T) {
	for _, pair := range [][2]uint16{{5, 6}, {6, 7}, {5, 7}, {5, 1005}, {5, 1}, {7, 1}, {6, 1}} {
		a, b := flowtest.Layout(pair[0], 0), flowtest.Layout(pair[1], 0)
		there, err := NewConverter(a, b.Version)
		if err != nil {
			t.Fatal(err)
		}
		back, err := NewConverter(b, a.Version)
		if err != nil {
			t.Fatal(err)
		}
		in := flowtest.Random(a, 100, 9)
		out := back.Batch(there.Batch(in))
		for i := range in.Len() {
			for f := range a.Fields.All() {
				want := a.Uint(in.At(i), f)
				if !b.Fields.Has(f) || f == flow.Output && b.Version.Export == 1 {
					want = 0
				}
				if got := a.Uint(out.At(i), f); got != want {
					t.Fatalf("%v over %v: %v is %d, want %d", a.Version, b.Version, f, got, want)
				}
			}
		}
	}
}

func BenchmarkConvert(b *testing.B) {
	for _, to := range []uint16{1, 7, 1005} {
		v := flow.Version{Export: to}
		b.Run("5-to-"+v.String(), func(b *testing.B) {
			in := flowtest.Traffic(flowtest.Layout(5, 0), 1000, 1)
			c, err := NewConverter(in.Layout, v)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				c.Batch(in)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*in.Len()), "ns/record")
		})
	}
}
