// Package exporttest is the test that every target of flow-export passes.
package exporttest

import (
	"bytes"
	"errors"
	"strconv"
	"testing"

	"flowtools/internal/export"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// Target is a target under test.
type Target struct {
	Open export.Opener

	// Options returns options for a new, empty destination; layout, mask and
	// output are filled in.
	Options func(t testing.TB) export.Options

	// Read returns what the destination holds as rows of text: the values of
	// fields, separated by commas, addresses as dotted quads. out is what the
	// target wrote to its output.
	Read func(t testing.TB, o *export.Options, fields []flow.Field, out []byte) []string

	Versions  []flow.Version                     // that the target takes; nil: every one
	Transient bool                               // what is aborted leaves nothing: a database
	Fixed     bool                               // the mask has no effect
	Keeps     func(l *flow.Layout) flow.FieldSet // fields that come through; nil: all
}

// Row is the text of a record that Read returns.
func Row(l *flow.Layout, r flow.Record, fields []flow.Field) string {
	row := make([]byte, 0, 12*len(fields))
	for i, f := range fields {
		if i > 0 {
			row = append(row, ',')
		}
		if f.Info().Kind == flow.Addr {
			row = l.Addr(r, f).AppendTo(row)
		} else {
			row = strconv.AppendUint(row, l.Uint(r, f), 10)
		}
	}
	return string(row)
}

// Run runs the test.
func Run(t *testing.T, target Target) {
	versions := target.Versions
	if versions == nil {
		versions = flow.Versions()
	}
	for _, v := range versions {
		t.Run("v"+v.String(), func(t *testing.T) { target.version(t, v) })
	}
	t.Run("abort", func(t *testing.T) { target.abort(t) })
	if !target.Transient {
		t.Run("output fails", func(t *testing.T) { target.outputFails(t) })
	}
}

func (target *Target) version(t *testing.T, v flow.Version) {
	l := flowtest.Layout(v.Export, v.Agg)
	masks := []export.Mask{export.AllFields, {Bits: uint64(l.Fields &^ flow.Fields(flow.SrcAddr, flow.DPkts, flow.ToS))}, {Bits: uint64(flow.DstAddr.Set() | flow.DOctets.Set())}}
	if target.Fixed {
		masks = masks[:1]
	}
	for i, mask := range masks {
		sizes := [][]int{{3, 1, 1200}}
		if i == 0 {
			sizes = append(sizes, nil, []int{1})
		}
		for _, batches := range sizes {
			o := target.Options(t)
			o.Layout, o.Mask = l, mask
			fields := o.Fields()
			if target.Keeps != nil {
				o := o
				o.Mask.Bits &= uint64(target.Keeps(l))
				fields = o.Fields()
			}
			var (
				out  bytes.Buffer
				want []string
			)
			o.Out = &out
			sink, err := target.Open(t.Context(), &o)
			if err != nil {
				t.Fatal(err)
			}
			for i, n := range batches {
				b := flowtest.Random(l, n, uint64(i))
				for r := range b.All() {
					if len(fields) > 0 {
						want = append(want, Row(l, r, fields))
					}
				}
				if err := sink.Write(b); err != nil {
					t.Fatal(err)
				}
				clear(b.Bytes()) // it is ours again
			}
			if err := sink.Close(); err != nil {
				t.Fatal(err)
			}
			sink.Abort() // without effect now
			if len(fields) == 0 {
				continue
			}
			same(t, target.Read(t, &o, fields, out.Bytes()), want)
		}
	}
}

// abort gives up in the middle.
func (target *Target) abort(t *testing.T) {
	l := flowtest.Layout(5, 0)
	o := target.Options(t)
	o.Layout, o.Mask, o.Out = l, export.AllFields, &bytes.Buffer{}
	o.DB.Create = true
	// What a first export left stays.
	first := flowtest.Random(l, 5, 1)
	sink, err := target.Open(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Write(first); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	if sink, err = target.Open(t.Context(), &o); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := sink.Write(flowtest.Random(l, 1000, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	sink.Abort()
	sink.Abort()
	if !target.Transient {
		return
	}
	fields := o.Fields()
	var want []string
	for r := range first.All() {
		want = append(want, Row(l, r, fields))
	}
	same(t, target.Read(t, &o, fields, nil), want)
}

// same compares rows and shows the first that differ.
func same(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("row %d is\n%s, want\n%s", i, got[i], want[i])
		}
	}
}

var errFull = errors.New("no space left on device")

// full is an output that takes n octets.
type full struct{ n int }

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.n {
		n := f.n
		f.n = 0
		return n, errFull
	}
	f.n -= len(p)
	return len(p), nil
}

// outputFails checks that no failed write goes unnoticed.
func (target *Target) outputFails(t *testing.T) {
	l := flowtest.Layout(5, 0)
	if target.Versions != nil {
		v := target.Versions[0]
		l = flowtest.Layout(v.Export, v.Agg)
	}
	for _, room := range []int{0, 10, 500, 5000} {
		o := target.Options(t)
		o.Layout, o.Mask, o.Out = l, export.AllFields, &full{room}
		sink, err := target.Open(t.Context(), &o)
		if err == nil {
			for i := 0; i < 3 && err == nil; i++ {
				err = sink.Write(flowtest.Random(l, 500, uint64(i)))
			}
			if err == nil {
				err = sink.Close()
			}
			sink.Abort()
		}
		if !errors.Is(err, errFull) {
			t.Errorf("after %d octets: %v", room, err)
		}
	}
}
