package mask

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

func TestErrors(t *testing.T) {
	def := "mask-definition d\n"
	for _, c := range []struct{ name, text, want string }{
		{"no definition", "prefix 10/8 24", `F line 1: Unexpected "prefix". Expecting mask-definition.`},
		{"keyword", def + "mask 10/8 24", `F line 2: Unexpected "mask". Expecting mask-definition, prefix.`},
		{"no name", "mask-definition", "F line 1: Expecting mask-definition name."},
		{"two names", "mask-definition a b", `F line 1: Unexpected "b". Expecting the end of the line.`},
		{"definition twice", def + "mask-definition D", `F line 2: The mask-definition "D" is defined twice.`},
		{"no prefix", def + "prefix", "F line 2: Expecting a prefix."},
		{"no length", def + "prefix 10/8", "F line 2: Expecting a mask length."},
		{"extra word", def + "prefix 10/8 24 # ten", `F line 2: Unexpected "#". Expecting the end of the line.`},
		{"prefix twice", def + "prefix 10/8 24\nprefix 10.0.0.0/8 25", `F line 3: Only one match. The prefix is in mask-definition "d" already.`},
		{"variable", def + "prefix @NET 24", `F line 2: Unknown host "@NET".`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("F", []byte(c.text), Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(c.want, err.Error()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDefinition(t *testing.T) {
	f, err := Parse("F", []byte("# @{x is no variable here\nmask-definition a@B\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := f.Definition("A@b"); err != nil || d.Name() != "a@B" {
		t.Errorf("%v %v", d, err)
	}
	if _, err := f.Definition("x"); err == nil || err.Error() != `F: no mask-definition "x", only a@B` {
		t.Errorf("error %v", err)
	}
}

// In records of every version the length of the longest prefix replaces the
// one that is there, at the ends that have address and length; nothing else
// changes.
func TestAgainstScan(t *testing.T) {
	rnd := rand.New(rand.NewPCG(31, 32))
	type entry struct {
		addr   uint64
		length int
		value  uint64
	}
	for _, v := range flow.Versions() {
		l := flowtest.Layout(v.Export, v.Agg)
		for range 20 {
			var text strings.Builder
			text.WriteString("mask-definition d\n")
			var entries []entry
			seen := map[string]bool{}
			for range rnd.IntN(20) {
				e := entry{length: rnd.IntN(33), value: rnd.Uint64N(256)}
				e.addr = (0x0a000000 + rnd.Uint64N(1<<16)) &^ (1<<(32-e.length) - 1)
				word := fmt.Sprintf("%d.%d.%d.%d/%d", e.addr>>24, e.addr>>16&255, e.addr>>8&255, e.addr&255, e.length)
				if !seen[word] {
					seen[word] = true
					entries = append(entries, e)
					fmt.Fprintf(&text, "prefix %s %d\n", word, e.value+256) // cut to 8 bits
				}
			}
			f, err := Parse("F", []byte(text.String()), Options{})
			if err != nil {
				t.Fatal(err)
			}
			d, err := f.Definition("d")
			if err != nil {
				t.Fatal(err)
			}
			replace := d.Compile(l)
			b := flowtest.Random(l, 30, rnd.Uint64())
			for r := range b.All() {
				want := append(flow.Record(nil), r...)
				for _, end := range [][2]flow.Field{{flow.SrcAddr, flow.SrcMask}, {flow.DstAddr, flow.DstMask}} {
					if rnd.IntN(4) > 0 {
						a := 0x0a000000 + rnd.Uint64N(1<<16)
						l.PutUint(r, end[0], a)
						l.PutUint(want, end[0], a)
					}
					best := -1
					for _, e := range entries {
						if l.Fields.Has(end[0]) && (l.Uint(want, end[0])^e.addr)>>(32-e.length) == 0 && e.length > best {
							best = e.length
							l.PutUint(want, end[1], e.value)
						}
					}
				}
				replace(r)
				if string(r) != string(want) {
					t.Fatalf("version %v: %x\nwant %x\n%s", v, r, want, text.String())
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("mask-definition d\nprefix 10/8 24\nprefix 0/0 -1\nprefix 224 33x\n")
	f.Add("# @{x\nMASK-DEFINITION a@b\n\tprefix 1.2.3.4.5/99 256")
	b := flowtest.Random(flowtest.Layout(5, 0), 4, 1)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("F", []byte(text), Options{Warn: func(error) {}})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "F line ") {
				t.Errorf("no place in %q", err)
			}
			return
		}
		for _, d := range file.definitions.All() {
			replace := d.Compile(b.Layout)
			for r := range b.All() {
				replace(r)
			}
		}
	})
}

func BenchmarkMask(b *testing.B) {
	var text strings.Builder
	text.WriteString("mask-definition d\n")
	for i := range 200 {
		fmt.Fprintf(&text, "prefix 10.0.%d.0/24 25\nprefix 192.%d/16 17\n", i, i)
	}
	f, err := Parse("F", []byte(text.String()), Options{})
	if err != nil {
		b.Fatal(err)
	}
	batch := flowtest.Traffic(flowtest.Layout(5, 0), 1000, 1)
	replace := f.definitions.All()[0].Compile(batch.Layout)
	b.ReportAllocs()
	for b.Loop() {
		for r := range batch.All() {
			replace(r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/record")
}
