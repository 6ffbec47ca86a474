package acl

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"flowtools/pkg/flow"
)

// parse reads text and returns the lists in their normal form and the problems.
func parse(t *testing.T, text string) (lists string, problems []string) {
	t.Helper()
	f, err := Parse(strings.NewReader(text), func(p Problem) { problems = append(problems, p.String()) })
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := f.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String(), problems
}

func TestParse(t *testing.T) {
	const never = "! the line above never matches\n"
	for _, c := range []struct {
		name, text, lists string
		problems          []string
	}{
		{"empty", "", "", []string{"line 1: unexpected end of file, expected access-list, ip access-list or a comment"}},
		{"comment only", "! nothing\n", "", nil},
		{"blank lines and tabs", "\n\n \t\n!\n!x\n\taccess-list\t1\tdeny any \r\n", "access-list 1 deny any\n", nil},
		{"any, host, address, mask", "access-list 1 permit any\naccess-list 1 deny host 10.0.0.1\naccess-list 1 permit 10.0.0.2\naccess-list 1 permit 10.0.0.0 0.0.0.255\n",
			"access-list 1 permit any\naccess-list 1 deny host 10.0.0.1\naccess-list 1 permit host 10.0.0.2\naccess-list 1 permit 10.0.0.0 0.0.0.255\n", nil},
		{"lists need not stand together", "access-list 1 permit any\naccess-list 01 deny any\naccess-list 1 deny any\n",
			"access-list 1 permit any\naccess-list 1 deny any\naccess-list 01 deny any\n", nil},
		{"no last newline", "access-list 1 permit host 10.0.0.1", "access-list 1 permit host 10.0.0.1\n",
			[]string{"line 1: unexpected end of file, expected end of line"}},
		{"trailing comment", "access-list 1 permit any ! note\naccess-list 2 permit any\n", "access-list 1 permit any\n",
			[]string{`line 1: unexpected "! note", expected end of line`}},
		{"prefix", "access-list 1 permit 10.0.0.1/8\n", "access-list 1 permit host 10.0.0.1\n",
			[]string{`line 1: unexpected "/", expected a mask or end of line`}},
		{"host with mask", "access-list 1 permit host 10.0.0.1 0.0.0.255\n", "access-list 1 permit host 10.0.0.1\n",
			[]string{`line 1: unexpected "0.0.0.255", expected end of line`}},
		{"five octets", "access-list 1 permit 10.0.0.1.9\n", "access-list 1 permit host 10.0.0.1\n",
			[]string{`line 1: unexpected ".", expected a mask or end of line`}},
		{"three octets", "access-list 1 permit 10.0.0\n", "",
			[]string{`line 1: unexpected "10", expected any, host or an address, ip, tcp, udp, icmp or igmp`}},
		{"octets wrap", "access-list 1 permit host 266.256.512.257\n", "access-list 1 permit host 10.0.0.1\n", nil},
		{"hash at line start", "access-list 1 permit any\n# note\naccess-list 2 permit any\n", "access-list 1 permit any\n",
			[]string{`line 2: unexpected "#"`}},
		{"hash at file start", "# note\naccess-list 2 permit any\n", "",
			[]string{`line 1: unexpected "#", expected access-list, ip access-list or a comment`}},
		{"upper case", "access-list 1 PERMIT any\n", "", []string{`line 1: unexpected "PERMIT", expected permit or deny`}},
		{"run together", "access-list1permit any\n", "access-list 1 permit any\n", nil},
		{"partial keyword", "access-lis 1 permit any\n", "", []string{`line 1: unexpected "access", expected access-list, ip access-list or a comment`}},
		{"number as name", "ip access-list standard 1 permit any\n", "", []string{`line 1: unexpected "1", expected the name of a list`}},
		{"keyword as name", "ip access-list standard log permit any\n", "", []string{`line 1: unexpected "log", expected the name of a list`}},
		{"name that begins with a keyword", "ip access-list standard logs permit any\n", "ip access-list standard logs permit any\n", nil},
		{"hyphen in name", "ip access-list standard my-list permit any\n", "", []string{`line 1: unexpected "-", expected permit or deny`}},
		{"neither kind", "ip access-list extensive a permit any\n", "", []string{`line 1: unexpected "extensive", expected standard or extended`}},
		{"ip alone", "ip route\n", "", []string{`line 1: unexpected "route", expected access-list`}},
		{"extended body in a standard list", "ip access-list standard a permit tcp any any\n", "",
			[]string{`line 1: unexpected "tcp", expected any, host or an address`}},
		{"standard body in an extended list", "ip access-list extended a permit host 10.0.0.1\n", "",
			[]string{`line 1: unexpected "host", expected ip, tcp, udp, icmp or igmp`}},
		{"extended", "access-list 101 permit tcp 10.0.0.0 0.255.255.255 any\nip access-list extended e deny ip any host 10.0.0.1\n",
			"access-list 101 permit tcp 10.0.0.0 0.255.255.255 any\nip access-list extended e deny ip any host 10.0.0.1\n", nil},
		{"extended bare address", "access-list 101 permit ip 10.0.0.1 any\n", "", []string{`line 1: unexpected "any", expected a mask`}},
		{"extended one address", "access-list 101 permit ip host 10.0.0.1\n", "",
			[]string{"line 1: unexpected end of line, expected any, host or an address with its mask"}},
		{"ports", "access-list 1 permit tcp any eq 80 any range 1 www established\naccess-list 1 permit udp any any neq 1\naccess-list 1 permit udp any lt domain any\n",
			"access-list 1 permit tcp any any\n" + never + "access-list 1 permit udp any any\n" + never + "access-list 1 permit udp any any\n" + never, nil},
		{"ip options are ignored", "access-list 1 permit ip any any precedence 1 tos max log\naccess-list 1 permit ip any any log\n",
			"access-list 1 permit ip any any\naccess-list 1 permit ip any any\n", nil},
		{"options", "access-list 1 permit icmp any any 8\naccess-list 1 deny icmp any any echo log\naccess-list 1 permit igmp any any tos 1\naccess-list 1 permit tcp any any log\n",
			"access-list 1 permit icmp any any\n" + never + "access-list 1 deny icmp any any\n" + never + "access-list 1 permit igmp any any\n" + never + "access-list 1 permit tcp any any\n" + never, nil},
		{"port without value", "access-list 1 permit tcp any any eq\n", "", []string{"line 1: unexpected end of line, expected a port"}},
		{"range with one value", "access-list 1 permit tcp any any range 1\n", "", []string{"line 1: unexpected end of line, expected a port"}},
		{"option without value", "access-list 1 permit ip any any tos\n", "", []string{"line 1: unexpected end of line, expected a value of tos"}},
		{"options out of order", "access-list 1 permit ip any any tos 1 precedence 2\n", "access-list 1 permit ip any any\n",
			[]string{`line 1: unexpected "precedence", expected log or end of line`}},
		{"udp established", "access-list 1 permit udp any any established\naccess-list 1 permit ip any any\n", "access-list 1 permit udp any any\n",
			[]string{`line 1: unexpected "established", expected a port, precedence, tos, log or end of line`}},
		{"word after a port", "access-list 1 permit tcp any any eq 80 syn\n", "access-list 1 permit tcp any any\n" + never,
			[]string{`line 1: unexpected "syn", expected a port, established, precedence, tos, log or end of line`}},
		{"hyphenated icmp type", "access-list 1 permit icmp any any echo-reply\n", "access-list 1 permit icmp any any\n" + never,
			[]string{`line 1: unexpected "-", expected precedence, tos, log or end of line`}},
		{"icmp-type", "access-list 1 permit icmp any any icmp-type 8\n", "access-list 1 permit icmp any any\n",
			[]string{`line 1: unexpected "icmp-type", expected a type, precedence, tos, log or end of line`}},
		{"two rules in a line", "access-list 1 permit any access-list 1 deny any\n", "access-list 1 permit any\n",
			[]string{`line 1: unexpected "access-list", expected end of line`}},
		{"kinds mixed", "access-list 1 permit any\naccess-list 1 permit ip any any\naccess-list 1 deny any\n", "access-list 1 permit any\naccess-list 1 deny any\n",
			[]string{"line 2: list 1 is of the other kind, line ignored"}},
		{"comment at the end of the file", "access-list 1 permit any\n! note", "access-list 1 permit any\n", []string{"line 2: unexpected end of file, expected end of line"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lists, problems := parse(t, c.text)
			if d := cmp.Diff(c.lists, lists); d != "" {
				t.Error("lists", d)
			}
			if d := cmp.Diff(c.problems, problems); d != "" {
				t.Error("problems", d)
			}
		})
	}
}

// Reading goes on after an error while full pieces of 8192 bytes come in.
func TestParsePieces(t *testing.T) {
	const rule = "access-list 1 permit host 10.0.0.%d\n"
	pad := func(n int) string { return strings.Repeat("!\n", n/2) }
	bad := "access-list 1 bad\n"
	for _, c := range []struct {
		name, text, lists string
		problems          int
	}{
		{"short file", bad + fmt.Sprintf(rule, 1) + pad(8000), "", 1},
		{"long file", bad + fmt.Sprintf(rule, 1) + pad(12000) + fmt.Sprintf(rule, 2) + bad + fmt.Sprintf(rule, 3),
			fmt.Sprintf(rule+rule, 1, 2), 2},
		{"two pieces and more", bad + fmt.Sprintf(rule, 1) + pad(9000) + bad + fmt.Sprintf(rule, 2) + pad(9000) + bad + fmt.Sprintf(rule, 3),
			fmt.Sprintf(rule+rule, 1, 2), 3},
		{"every word is an error", "10 20 x any\n" + fmt.Sprintf(rule, 1) + pad(12000), fmt.Sprintf(rule, 1), 4},
		{"bad byte", "#\n" + fmt.Sprintf(rule, 1) + "#\n" + fmt.Sprintf(rule, 2) + pad(12000), fmt.Sprintf(rule+rule, 1, 2), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
				var problems int
				f, err := Parse(r, func(Problem) { problems++ })
				if err != nil {
					t.Fatal(err)
				}
				var b strings.Builder
				f.WriteTo(&b)
				if d := cmp.Diff(c.lists, b.String()); d != "" || problems != c.problems {
					t.Errorf("%d problems, want %d\n%s", problems, c.problems, d)
				}
			}
		})
	}
}

func TestReadError(t *testing.T) {
	broken := errors.New("broken")
	_, err := Parse(io.MultiReader(strings.NewReader("access-list 1 per"), iotest.ErrReader(broken)), func(p Problem) { t.Error(p) })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// endless repeats its byte.
type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

// A device does not fill the memory, nor keep the parser for ever.
func TestEndless(t *testing.T) {
	for _, b := range []byte("1a! \n") {
		if _, err := Parse(endless(b), func(Problem) {}); !errors.Is(err, errTooLarge) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

// random lists as text, with a model of what they mean written down beside it.
type model struct {
	text  strings.Builder
	rules []func(proto int, src, dst uint32) (hit, permit bool)
}

func (m *model) permits(proto int, src, dst uint32) bool {
	for _, r := range m.rules {
		if hit, permit := r(proto, src, dst); hit {
			return permit
		}
	}
	return false
}

var (
	someAddrs = []uint32{0, 1, 0x0a000001, 0x0a000002, 0x0a00004d, 0x80920001, 0xffffffff}
	someWilds = []uint32{0, 1, 0xff, 0xffffff, 0xff0000fe, 0xffffffff}
)

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

func dotted(a uint32) string { return fmt.Sprintf("%d.%d.%d.%d", a>>24, a>>16&255, a>>8&255, a&255) }

// where makes an address part; strict parts do not match with bits under the wildcards.
func (m *model) where(rnd *rand.Rand, strict bool) func(uint32) bool {
	switch rnd.IntN(4) {
	case 0:
		m.text.WriteString(" any")
		return func(uint32) bool { return true }
	case 1:
		a := pick(rnd, someAddrs)
		fmt.Fprintf(&m.text, " host %s", dotted(a))
		return func(x uint32) bool { return x == a }
	}
	a, w := pick(rnd, someAddrs), pick(rnd, someWilds)
	fmt.Fprintf(&m.text, " %s %s", dotted(a), dotted(w))
	return func(x uint32) bool {
		for bit := range 32 {
			if w>>bit&1 == 0 && (x^a)>>bit&1 != 0 || strict && w>>bit&1 == 1 && a>>bit&1 == 1 {
				return false
			}
		}
		return true
	}
}

func (m *model) rule(rnd *rand.Rand, extended bool) {
	action := pick(rnd, []string{"permit", "deny"})
	fmt.Fprintf(&m.text, "access-list 7 %s", action)
	defer m.text.WriteString("\n")
	if !extended {
		src := m.where(rnd, false)
		m.rules = append(m.rules, func(_ int, a, _ uint32) (bool, bool) { return src(a), action == "permit" })
		return
	}
	protos := map[string]int{"ip": -1, "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17}
	word := pick(rnd, []string{"ip", "icmp", "igmp", "tcp", "udp"})
	m.text.WriteString(" " + word)
	src, dst := m.where(rnd, true), m.where(rnd, true)
	more := rnd.IntN(6) == 0
	if more {
		m.text.WriteString(" log")
	}
	m.rules = append(m.rules, func(proto int, a, b uint32) (bool, bool) {
		protoHit := word == "ip" || proto == protos[word] && !more
		return protoHit && src(a) && dst(b), action == "permit"
	})
}

// Compiled lists decide as a plain reading of their lines does, for every
// layout that has the addresses.
func TestAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		extended := rnd.IntN(2) == 0
		var m model
		for range 1 + rnd.IntN(8) {
			m.rule(rnd, extended)
		}
		f, err := Parse(strings.NewReader(m.text.String()), func(p Problem) { t.Fatalf("%v in\n%s", p, m.text.String()) })
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range flow.Versions() {
			l, err := flow.LayoutOf(v)
			if err != nil {
				t.Fatal(err)
			}
			if l.Missing(flow.Fields(flow.SrcAddr, flow.DstAddr)) != 0 {
				continue
			}
			match := func(r flow.Record) bool { return f.Find("7", Extended).MatchFlow(l)(r) }
			if !extended {
				match = f.Find("7", Standard).Match(l, flow.SrcAddr)
			}
			r := make(flow.Record, l.Size)
			for range 20 {
				src, dst, proto := pick(rnd, someAddrs), pick(rnd, someAddrs), pick(rnd, []int{0, 1, 2, 6, 17, 255})
				l.PutUint(r, flow.SrcAddr, uint64(src))
				l.PutUint(r, flow.DstAddr, uint64(dst))
				if l.Fields.Has(flow.Prot) {
					l.PutUint(r, flow.Prot, uint64(proto))
				} else {
					proto = 1000 // only ip lines match
				}
				if got, want := match(r), m.permits(proto, src, dst); got != want {
					t.Fatalf("version %v proto %d %s %s: %v, want %v by\n%s", v, proto, dotted(src), dotted(dst), got, want, m.text.String())
				}
			}
		}
	}
}

// Kinds are part of a list's identity.
func TestFind(t *testing.T) {
	f, err := Parse(strings.NewReader("access-list 1 permit any\naccess-list 2 permit ip any any\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		kind  Kind
		found bool
	}{{"1", Standard, true}, {"1", Extended, false}, {"2", Extended, true}, {"2", Standard, false}, {"01", Standard, false}} {
		if got := f.Find(c.name, c.kind) != nil; got != c.found {
			t.Errorf("Find(%q, %v): %v", c.name, c.kind, got)
		}
	}
}

// What is read writes itself in a form that reads the same. Nothing panics.
func FuzzParse(f *testing.F) {
	f.Add("access-list 1 permit any\n! x\nip access-list standard a deny 10.0.0.0 0.0.0.255\n")
	f.Add("access-list 101 permit tcp host 10.0.0.1 eq 80 any range 1 www established precedence 3 tos 4 log\n")
	f.Add("access-list 101 permit icmp any any echo-reply\n# x\naccess-list1permit 10.0.0")
	f.Add(strings.Repeat("access-list 1 bad\naccess-list 1 deny host 1.2.3.4\n", 300))
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(strings.NewReader(text), func(Problem) {})
		if err != nil {
			t.Fatal(err)
		}
		var first, second strings.Builder
		if len(a.Lists()) == 0 {
			return
		}
		a.WriteTo(&first)
		b, err := Parse(strings.NewReader(first.String()), func(p Problem) { t.Fatalf("%v in\n%s", p, first.String()) })
		if err != nil {
			t.Fatal(err)
		}
		b.WriteTo(&second)
		if d := cmp.Diff(strings.ReplaceAll(first.String(), "! the line above never matches\n", ""), second.String()); d != "" {
			t.Error(d)
		}
		for _, l := range a.Lists() {
			layout, _ := flow.LayoutOf(flow.Version{Export: 5})
			r := make(flow.Record, layout.Size)
			if l.Kind == Extended {
				l.MatchFlow(layout)(r)
			} else {
				l.Match(layout, flow.SrcAddr)(r)
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	const text = `
access-list 1 deny 172.16.0.0 0.15.255.255
access-list 1 deny 192.168.0.0 0.0.255.255
access-list 1 permit 10.0.0.0 0.255.255.255
access-list 1 permit any
access-list 101 deny icmp any any
access-list 101 permit tcp 10.0.0.0 0.255.255.255 any
access-list 101 deny udp any host 10.0.0.1
access-list 101 permit ip any any
`
	f, err := Parse(strings.NewReader(text), nil)
	if err != nil {
		b.Fatal(err)
	}
	l, _ := flow.LayoutOf(flow.Version{Export: 5})
	rnd := rand.New(rand.NewPCG(1, 2))
	batch := flow.NewBatch(l)
	r := make(flow.Record, l.Size)
	for range 1000 {
		l.PutUint(r, flow.SrcAddr, uint64(pick(rnd, []uint32{10, 172, 192, 8}))<<24|uint64(rnd.IntN(1<<24)))
		l.PutUint(r, flow.DstAddr, uint64(rnd.Uint32()))
		l.PutUint(r, flow.Prot, uint64(pick(rnd, []int{1, 6, 17})))
		batch.Append(r)
	}
	for _, c := range []struct {
		name  string
		match func(flow.Record) bool
	}{
		{"standard", f.Find("1", Standard).Match(l, flow.SrcAddr)},
		{"extended", f.Find("101", Extended).MatchFlow(l)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				for r := range batch.All() {
					if c.match(r) {
						n++
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/record")
		})
	}
}
