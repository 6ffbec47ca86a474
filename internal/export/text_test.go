package export

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// mixed has numbers of every length.
func mixed(l *flow.Layout, n int) *flow.Batch {
	rnd := rand.New(rand.NewPCG(1, uint64(l.Size)))
	b := flowtest.Random(l, n, 1)
	for r := range b.All() {
		for f := range l.Fields.All() {
			l.PutUint(r, f, rnd.Uint64()>>rnd.IntN(64))
		}
	}
	return b
}

func fieldsOf(l *flow.Layout) []flow.Field {
	return (&Options{Layout: l, Mask: AllFields}).Fields()
}

// naive is what Text.Append has to come to, by fmt.
func naive(b *flow.Batch, fields []flow.Field, s Style) string {
	var out strings.Builder
	for r := range b.All() {
		var values []string
		for _, f := range fields {
			v := fmt.Sprint(b.Layout.Uint(r, f))
			if f.Info().Kind == flow.Addr {
				v = s.Quote + b.Layout.Addr(r, f).String() + s.Quote
			}
			if s.Names {
				v = fmt.Sprintf("%q:%s", f, v)
			}
			values = append(values, v)
		}
		out.WriteString(s.Open + strings.Join(values, s.Sep) + s.Close)
	}
	return out.String()
}

func TestText(t *testing.T) {
	styles := map[string]Style{
		"csv":    {Sep: ",", Close: "\n"},
		"insert": {Open: "(", Sep: ",", Quote: "'", Close: "),"},
		"json":   {Open: "{", Sep: ",", Quote: `"`, Names: true, Close: "}\n"},
		"bare":   {},
	}
	for _, v := range flow.Versions() {
		l := flowtest.Layout(v.Export, v.Agg)
		b := mixed(l, 300)
		for i := 1; i < b.Len(); i += 3 { // PDUs of one and two records
			copy(b.At(i)[:exportHead], b.At(i-1))
		}
		for name, s := range styles {
			for _, fields := range [][]flow.Field{fieldsOf(l), {flow.ExAddr}, {flow.DPkts}, {flow.UnixSecs, flow.ExAddr}, nil} {
				got := string(NewText(l, fields, s).Append(nil, b))
				if diff := cmp.Diff(naive(b, fields, s), got); diff != "" {
					t.Fatalf("%v %s %v: (-want +got)\n%s", v, name, fields, diff)
				}
			}
		}
	}
}

func TestPutUint(t *testing.T) {
	makeOctets()
	p := make([]byte, 16)
	check := func(v uint32) {
		if got, want := string(p[:putUint(p, 0, v)]), strconv.FormatUint(uint64(v), 10); got != want {
			t.Errorf("putUint(%d) = %q", v, got)
		}
	}
	for i := range 32 {
		for d := range uint32(3) {
			check(1<<i + d - 1)
		}
	}
	for power := uint32(1); power < 4e9/10; power *= 10 {
		for d := range uint32(3) {
			check(power*10 + d - 1)
		}
	}
	for v := range uint32(100_000) {
		check(v)
		check(v * 42949)
	}
	check(1<<32 - 1)
}

func TestTextAllocatesNothing(t *testing.T) {
	l := flowtest.Layout(5, 0)
	b := mixed(l, 1000)
	text := NewText(l, fieldsOf(l), Style{Sep: ",", Close: "\n"})
	buf := text.Append(nil, b)
	if n := testing.AllocsPerRun(10, func() { buf = text.Append(buf[:0], b) }); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkText(b *testing.B) {
	for name, s := range map[string]Style{
		"csv":  {Sep: ",", Close: "\n"},
		"json": {Open: "{", Sep: ",", Quote: `"`, Names: true, Close: "}\n"},
	} {
		b.Run(name, func(b *testing.B) {
			l := flowtest.Layout(5, 0)
			batch := flowtest.Traffic(l, 1000, 1)
			text := NewText(l, fieldsOf(l), s)
			buf := text.Append(nil, batch)
			b.SetBytes(int64(l.Size))
			b.ReportAllocs()
			for i := 0; i < b.N; i += batch.Len() {
				buf = text.Append(buf[:0], batch)
			}
		})
	}
}
