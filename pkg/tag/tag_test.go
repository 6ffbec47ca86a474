package tag

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
	act := "tag-action a\ntype src-as\n"
	for _, c := range []struct{ name, text, want string }{
		{"first word", "hello", `F line 1: Unexpected "hello". Expecting tag-action, tag-definition.`},
		{"match first", "tag-action a\nmatch 1 set-src 1", "F line 2: Must set type first. Expecting type."},
		{"type twice", act + "type as", `F line 3: The type of tag-action "a" is set already: src-as.`},
		{"action twice", act + "tag-action A", `F line 3: The tag-action "A" is defined twice.`},
		{"definition twice", "tag-definition a\ntag-definition A", `F line 2: The tag-definition "A" is defined twice.`},
		{"no operation", act + "match 1", "F line 3: Expecting set-src, set-dst, or-src or or-dst."},
		{"operation", act + "match 1 add-src 2", `F line 3: Unexpected "add-src". Expecting set-src, set-dst, or-src or or-dst.`},
		{"no tag", act + "match 1 set-src", "F line 3: Expecting a tag."},
		{"extra word", act + "match 1 set-src 2 3", `F line 3: Unexpected "3". Expecting the end of the line.`},
		{"any", "tag-action a\ntype any\nmatch all set-src 1", `F line 3: Unexpected "all". Expecting any.`},
		{"second set", act + "match 1 set-src 1\nmatch 1 set-src 2", "F line 4: Only one set per source/destination per match. Expecting one set or several ors for a value and tag."},
		{"set after or", act + "match 1 or-dst 1\nmatch 65537 set-dst 2", "F line 4: Only one set per source/destination per match. Expecting one set or several ors for a value and tag."},
		{"or after set", "tag-action a\ntype prefix\nmatch 10/8 set-src 1\nmatch 10.0/8 or-source 2", "F line 4: Only one set per source/destination per match. Expecting one set or several ors for a value and tag."},
		{"no term", "tag-definition d\naction a", "F line 2: Must start term. Expecting term."},
		{"word behind term", "tag-definition d\nterm x", `F line 2: Unexpected "x". Expecting the end of the line.`},
		{"second filter", "tag-definition d\nterm\ninput-filter 1\ninput-filter 2", "F line 4: The term has an input-filter already."},
		{"second exporter", "tag-definition d\nterm\nexporter 1\nexporter 2", "F line 4: The term has an exporter already."},
		{"interface out of range", "tag-definition d\nterm\noutput-filter 65536", `F line 3: list "65536": 65536 is not in 0..65535`},
		{"no such action", "tag-definition d\nterm\naction x", `F line 3: Unexpected "x". Expecting the name of a tag-action.`},
		{"action without type", "tag-action a\ntag-definition d\nterm\naction a", `F line 4: tag-action "a" has no type.`},
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
	want := `F line 2: Unexpected "ip-address". Expecting a type: src-prefix, dst-prefix, prefix, `
	if _, err := Parse("F", []byte("tag-action a\ntype ip-address"), Options{}); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v", err)
	}
}

func TestDefinition(t *testing.T) {
	f, err := Parse("F", []byte("tag-definition One\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := f.Definition("one"); err != nil || d.Name() != "One" {
		t.Errorf("%v %v", d, err)
	}
	if _, err := f.Definition(""); err == nil || err.Error() != `F: no tag-definition "", only One` {
		t.Errorf("error %v", err)
	}
}

// The term of a definition stays open for the lines before the next definition's first term.
func TestTermCarriesOver(t *testing.T) {
	f, err := Parse("F", []byte("tag-action a\ntype any\nmatch any or-src 1\ntag-action b\ntype any\nmatch any or-src 2\n"+
		"tag-definition one\nterm\naction a\ntag-definition two\naction b\nterm\naction b\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := flowtest.Layout(1005, 0)
	for name, want := range map[string]uint64{"one": 3, "two": 2} {
		d, err := f.Definition(name)
		if err != nil {
			t.Fatal(err)
		}
		r := make(flow.Record, l.Size)
		d.Compile(l)(r)
		if got := l.Uint(r, flow.SrcTag); got != want {
			t.Errorf("%s: tag %d, want %d", name, got, want)
		}
	}
}

// what the words of the spec's table look up.
var lookups = map[string]struct {
	kind   string
	fields []flow.Field
	prot   uint64
}{
	"src-prefix": {"prefix", []flow.Field{flow.SrcAddr}, 0}, "destination-prefix": {"prefix", []flow.Field{flow.DstAddr}, 0},
	"prefix": {"prefix", []flow.Field{flow.SrcAddr, flow.DstAddr}, 0},
	"src-as": {"16", []flow.Field{flow.SrcAS}, 0}, "dst-as": {"16", []flow.Field{flow.DstAS}, 0}, "as": {"16", []flow.Field{flow.SrcAS, flow.DstAS}, 0},
	"source-ip-address": {"address", []flow.Field{flow.SrcAddr}, 0}, "dst-ip": {"address", []flow.Field{flow.DstAddr}, 0},
	"ip": {"address", []flow.Field{flow.SrcAddr, flow.DstAddr}, 0}, "next-hop": {"address", []flow.Field{flow.NextHop}, 0},
	"exporter":     {"address", []flow.Field{flow.ExAddr}, 0},
	"tcp-src-port": {"16", []flow.Field{flow.SrcPort}, 6}, "tcp-destination-port": {"16", []flow.Field{flow.DstPort}, 6},
	"tcp-port":        {"16", []flow.Field{flow.SrcPort, flow.DstPort}, 6},
	"udp-source-port": {"16", []flow.Field{flow.SrcPort}, 17}, "udp-dst-port": {"16", []flow.Field{flow.DstPort}, 17},
	"udp-port": {"16", []flow.Field{flow.SrcPort, flow.DstPort}, 17}, "tos": {"8", []flow.Field{flow.ToS}, 0},
	"input-interface": {"16", []flow.Field{flow.Input}, 0}, "output-interface": {"16", []flow.Field{flow.Output}, 0},
	"interface": {"16", []flow.Field{flow.Input, flow.Output}, 0}, "any": {"any", []flow.Field{flow.Prot}, 0},
}

var types = []string{"src-prefix", "destination-prefix", "prefix", "src-as", "dst-as", "as", "source-ip-address", "dst-ip", "ip", "next-hop", "exporter",
	"tcp-src-port", "tcp-destination-port", "tcp-port", "udp-source-port", "udp-dst-port", "udp-port", "tos", "input-interface", "output-interface", "interface", "any"}

type tags struct{ src, dst uint32 }

// modelEntry is a value of an action with its operations in file order.
type modelEntry struct {
	addr   uint64
	length int // of a prefix
	ops    []func(*tags)
}

type modelAction struct {
	typ     string
	entries []*modelEntry
}

func (a *modelAction) run(l *flow.Layout, r flow.Record, t *tags) {
	how := lookups[a.typ]
	if how.prot != 0 && l.Uint(r, flow.Prot) != how.prot {
		return
	}
	for _, f := range how.fields {
		v := l.Uint(r, f)
		var best *modelEntry
		for _, e := range a.entries {
			switch how.kind {
			case "any":
				best = e
			case "prefix":
				if (v^e.addr)>>(32-e.length) == 0 && (best == nil || e.length > best.length) {
					best = e
				}
			default:
				if v == e.addr {
					best = e
				}
			}
		}
		if best != nil {
			for _, op := range best.ops {
				op(t)
			}
		}
	}
}

var pool = []uint64{0, 1, 2, 6, 7, 17, 80, 255}

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

func dotted(a uint64) string { return fmt.Sprintf("%d.%d.%d.%d", a>>24, a>>16&255, a>>8&255, a&255) }

func (a *modelAction) write(rnd *rand.Rand, text *strings.Builder) {
	how := lookups[a.typ]
	seen := map[string]bool{}
	for range rnd.IntN(10) {
		e := &modelEntry{addr: pick(rnd, pool)}
		word := fmt.Sprint(e.addr)
		switch how.kind {
		case "any":
			word = "any"
		case "address":
			e.addr = 0x0a000000 + e.addr
			word = dotted(e.addr)
		case "prefix":
			e.length = rnd.IntN(33)
			e.addr = (0x0a000000 + e.addr) &^ (1<<(32-e.length) - 1)
			word = fmt.Sprintf("%s/%d", dotted(e.addr), e.length)
		}
		if seen[word] {
			continue
		}
		seen[word] = true
		operation := func(name string, do func(*tags)) {
			e.ops = append(e.ops, do)
			fmt.Fprintf(text, "match %s %s ", word, name)
		}
		value := func() (v uint32) {
			v = rnd.Uint32() >> rnd.IntN(32)
			fmt.Fprintf(text, "%#x\n", v)
			return v
		}
		switch rnd.IntN(3) {
		case 0:
			var v uint32
			operation("set-src", func(t *tags) { t.src = v })
			v = value()
		case 1:
			for range 2 {
				var v uint32
				operation("or-source", func(t *tags) { t.src |= v })
				v = value()
			}
		}
		switch rnd.IntN(3) {
		case 0:
			var v uint32
			operation("set-destination", func(t *tags) { t.dst = v })
			v = value()
		case 1:
			var v uint32
			operation("or-dst", func(t *tags) { t.dst |= v })
			v = value()
		}
		if len(e.ops) > 0 { // else there is no line of it
			a.entries = append(a.entries, e)
		}
	}
}

// Compiled definitions change tags as their text read plainly does.
func TestAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	l := flowtest.Layout(1005, 0)
	changed := 0
	for range 300 {
		var text strings.Builder
		var actions []*modelAction
		for i := range 4 {
			a := &modelAction{typ: pick(rnd, types)}
			fmt.Fprintf(&text, "tag-action a%d\ntype %s\n", i, a.typ)
			a.write(rnd, &text)
			actions = append(actions, a)
		}
		text.WriteString("tag-definition d\n")
		var terms []func(r flow.Record, t *tags)
		for range rnd.IntN(4) {
			text.WriteString("term\n")
			applies := func(flow.Record) bool { return true }
			and := func(more func(flow.Record) bool) {
				before := applies
				applies = func(r flow.Record) bool { return before(r) && more(r) }
			}
			if rnd.IntN(3) == 0 {
				text.WriteString("input-filter 1-7,80\n")
				and(func(r flow.Record) bool { v := l.Uint(r, flow.Input); return v >= 1 && v <= 7 || v == 80 })
			}
			if rnd.IntN(3) == 0 {
				text.WriteString("output-filter !1,255\n")
				and(func(r flow.Record) bool { v := l.Uint(r, flow.Output); return v != 1 && v != 255 })
			}
			if rnd.IntN(4) == 0 {
				text.WriteString("exporter 10.0.0.1\n")
				and(func(r flow.Record) bool { return l.Uint(r, flow.ExAddr) == 0x0a000001 })
			}
			var run []*modelAction
			for range rnd.IntN(4) {
				i := rnd.IntN(len(actions))
				fmt.Fprintf(&text, "action A%d\n", i)
				run = append(run, actions[i])
			}
			terms = append(terms, func(r flow.Record, t *tags) {
				if applies(r) {
					for _, a := range run {
						a.run(l, r, t)
					}
				}
			})
		}
		file, err := Parse("model", []byte(text.String()), Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text.String())
		}
		d, err := file.Definition("d")
		if err != nil {
			t.Fatal(err)
		}
		set := d.Compile(l)
		b := flowtest.Random(l, 40, rnd.Uint64())
		for r := range b.All() {
			for f := range l.Fields.All() {
				switch {
				case rnd.IntN(5) == 0:
				case f.Info().Kind == flow.Addr:
					l.PutUint(r, f, 0x0a000000+pick(rnd, pool))
				case f.Info().Kind != flow.Tag:
					l.PutUint(r, f, pick(rnd, pool))
				}
			}
			want := tags{uint32(l.Uint(r, flow.SrcTag)), uint32(l.Uint(r, flow.DstTag))}
			before := want
			for _, term := range terms {
				term(r, &want)
			}
			whole := append(flow.Record(nil), r...)
			l.PutUint(whole, flow.SrcTag, uint64(want.src))
			l.PutUint(whole, flow.DstTag, uint64(want.dst))
			set(r)
			if string(r) != string(whole) {
				t.Fatalf("%x\nwant %x\n%s", r, whole, text.String())
			}
			if want != before {
				changed++
			}
		}
	}
	if changed < 1000 {
		t.Errorf("only %d records changed: the test does not discriminate", changed)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("tag-action a\ntype prefix\nmatch 10/8 set-src 0x10\nmatch 10/8 or-dst 1\ntag-definition d\nterm\ninput-filter !1-5\nexporter 10.1\naction a\n")
	f.Add("tag-action a\ntype any\nmatch any set-src 1\ntag-definition d\nterm\naction a\ntag-definition e\naction a\nterm\noutput-filter 1--3")
	f.Add("tag-action a\ntype tcp-port\nmatch @{P:-80} or-source 99999999999\n")
	b := flowtest.Random(flowtest.Layout(1005, 0), 4, 1)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("F", []byte(text), Options{Vars: map[string]string{"x": "6"}, Warn: func(error) {}})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "F line ") {
				t.Errorf("no place in %q", err)
			}
			return
		}
		for _, d := range file.definitions.All() {
			set := d.Compile(b.Layout)
			for r := range b.All() {
				set(r)
			}
		}
	})
}

func BenchmarkTag(b *testing.B) {
	var text strings.Builder
	text.WriteString("tag-action nets\ntype prefix\n")
	for i := range 200 {
		fmt.Fprintf(&text, "match 10.0.%d.0/24 set-src %d\nmatch 192.%d/16 set-dst %d\n", i, i, i, i)
	}
	text.WriteString("tag-action ports\ntype tcp-port\nmatch 80 or-dst 0x10000\nmatch 443 or-dst 0x20000\n" +
		"tag-definition nets\nterm\naction nets\ntag-definition ports\nterm\naction ports\ntag-definition both\nterm\ninput-filter 1-7\naction nets\naction ports\n")
	file, err := Parse("F", []byte(text.String()), Options{})
	if err != nil {
		b.Fatal(err)
	}
	batch := flowtest.Traffic(flowtest.Layout(1005, 0), 1000, 1)
	for _, d := range file.definitions.All() {
		b.Run(d.name, func(b *testing.B) {
			set := d.Compile(batch.Layout)
			b.ReportAllocs()
			for b.Loop() {
				for r := range batch.All() {
					set(r)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/record")
		})
	}
}
