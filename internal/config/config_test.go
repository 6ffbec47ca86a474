package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flowtools/internal/clib"
	"github.com/google/go-cmp/cmp"
)

const (
	inA Section = 1 << iota
	inB
)

// trace collects what the rows of a test grammar saw.
type trace struct{ seen []string }

func (t *trace) add(format string, args ...any) {
	t.seen = append(t.seen, fmt.Sprintf(format, args...))
}

var testGrammar = Grammar[trace]{
	{Name: "a", Opens: inA, Run: func(t *trace, l *Line) { t.add("a %s", l.Word("name")) }},
	{Name: "b", Opens: inB, Run: func(t *trace, l *Line) { t.add("b %s", l.Word("name")) }},
	{Name: "anywhere", Run: func(t *trace, l *Line) { t.add("anywhere") }},
	{Name: "in-a", In: inA, Run: func(t *trace, l *Line) { t.add("in-a") }},
	{Name: "both", In: inA | inB, Run: func(t *trace, l *Line) { t.add("both") }},
	{Name: "twin", In: inA, Run: func(t *trace, l *Line) { t.add("twin of a") }},
	{Name: "twin", In: inB, Run: func(t *trace, l *Line) { t.add("twin of b %s", l.Word("value")) }},
	{Name: "words", Run: func(t *trace, l *Line) {
		for l.More() {
			t.add("%q", l.Word("word"))
		}
	}},
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       string // what the rows saw, joined by blanks
		err        string
	}{
		{"empty", "", "", ""},
		{"blank lines", "\n \t\n\n", "", ""},
		{"comments", "#a\n  # b\n#", "", ""},
		{"sections", "a x\nin-a\nboth\ntwin\nb y\nboth\ntwin 5\nanywhere\na z", "a x|in-a|both|twin of a|b y|both|twin of b 5|anywhere|a z", ""},
		{"case", "A x\nIN-a\nBoTh", "a x|in-a|both", ""},
		{"blanks and tabs", "\t words\ta  b\t\t\"c d\"  \t\nanywhere \t", `"a"|"b"|"\"c"|"d\""|anywhere`, ""},
		{"not blanks", "words a\vb \fc", `"a\vb"|"\fc"`, ""},
		{"CR is a character", "words a\r\nwords b", `"a\r"|"b"`, ""},
		{"CR alone", "\r\n", "", "f line 1: Unexpected \"\\r\". Expecting a, b, anywhere, words."},
		{"unknown", "\nfoo 1", "", "f line 2: Unexpected \"foo\". Expecting a, b, anywhere, words."},
		{"wrong section", "b x\nin-a", "b x", "f line 2: Unexpected \"in-a\". Expecting a, b, anywhere, both, twin, words."},
		{"no section", "both", "", "f line 1: Unexpected \"both\". Expecting a, b, anywhere, words."},
		{"extra word", "# c\na x y", "a x", "f line 2: Unexpected \"y\". Expecting the end of the line."},
		{"comment behind words", "a x # y", "a x", "f line 1: Unexpected \"#\". Expecting the end of the line."},
		{"missing word", "a\n", "a ", "f line 1: Expecting name."},
		{"variables", "@KIND x@N\nwords @A_x @{B:-c d} @{N}@@N @@ #@", `a x7|"1_x"|"c"|"d"|"77"|"#"`, ""},
		{"variables in comments", "# see @{foo", "", "f line 1: missing } behind @{."},
		{"lone @ in comments", "# me@host", "", ""},
		{"NUL", "words a\x00b\nanywhere", `"a\x00b"|anywhere`, ""},
	} {
		var got trace
		opt := Options{Vars: Vars{"KIND": "a", "N": "7", "A": "1"}}
		err := testGrammar.Parse("f", []byte(c.text), opt, &got)
		if msg := errText(err); msg != c.err {
			t.Errorf("%s: error %q, want %q", c.name, msg, c.err)
		}
		if d := cmp.Diff(c.want, strings.Join(got.seen, "|")); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		var place *Error
		if err != nil && (!errors.As(err, &place) || place.File != "f") {
			t.Errorf("%s: %#v", c.name, err)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParseNoVars(t *testing.T) {
	var got trace
	if err := testGrammar.Parse("f", []byte("words @A @{ @"), Options{NoVars: true, Vars: Vars{"A": "1"}}, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{`"@A"`, `"@{"`, `"@"`}, got.seen); d != "" {
		t.Error(d)
	}
}

func TestMaxLine(t *testing.T) {
	var warned []string
	opt := Options{MaxLine: ReportMaxLine, Vars: Vars{"LONG": strings.Repeat("x", 1016)}, Warn: func(err error) { warned = append(warned, err.Error()) }}
	for _, c := range []struct {
		text string
		want int // rows run
		warn bool
	}{
		{"words @LONG\nanywhere\n", 2, false}, // 1022 bytes
		{"words @{LONG}y\nanywhere\n", 0, true},
		{"anywhere\n# " + strings.Repeat("c", 1021) + "\nfoo", 1, true},
		{"anywhere\n# " + strings.Repeat("c", 1020) + "\nanywhere", 2, false},
	} {
		var got trace
		warned = nil
		if err := testGrammar.Parse("f", []byte(c.text), opt, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.seen) != c.want || (len(warned) == 1) != c.warn {
			t.Errorf("%.20q: %d rows, %v", c.text, len(got.seen), warned)
		}
	}
	var got trace
	if err := testGrammar.Parse("f", []byte("words "+strings.Repeat("x", 5000)), Options{}, &got); err != nil || len(got.seen) != 1 {
		t.Errorf("no limit: %v, %d rows", err, len(got.seen))
	}
}

func TestExpand(t *testing.T) {
	vars := Vars{"P": "17", "E": "", "A1": "one", "AT": "@P", "p": "low"}
	for _, c := range []struct{ line, want string }{
		{"", ""}, {"no reference", "no reference"}, {"@P", "17"}, {"@P.", "17."}, {"x@Py", "x"}, {"@A1_x", "one_x"}, {"@p", "low"},
		{"@{P}y", "17y"}, {"@{X}", ""}, {"@{X:-}", ""}, {"@{X:-a b}", "a b"}, {"@{P:-9}", "17"}, {"@{X:-@P}", "@P"}, {"@AT", "@P"},
		{"@", ""}, {"@@P", "17"}, {"@{}", ""}, {"@{:-d}", "d"}, {"a@ b", "a b"}, {"@-P", "-P"}, {"@{X:-:-}", ":-"}, {"@{P}}", "17}"}, {"@P@{P}@P", "171717"},
		{"@\xc3\xa9", "\xc3\xa9"},
	} {
		if got, err := vars.Expand(c.line); err != nil || got != c.want {
			t.Errorf("%q: %q, %v, want %q", c.line, got, err, c.want)
		}
	}
	for _, line := range []string{"@{", "@{P", "@{P:-x", "@{A_B}", "@{P-1}", "@{P:17}", "@{P:=1}", "@{P:}", "@{ P}", "ok @{P} @{", "# @{x"} {
		if got, err := vars.Expand(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
	if got, err := Vars(nil).Expand("a@P"); err != nil || got != "a" {
		t.Errorf("no variables: %q, %v", got, err)
	}
	big := Vars{"B": strings.Repeat("x", 1<<20)}
	if _, err := big.Expand(strings.Repeat("@B ", 20)); err == nil {
		t.Error("a line of 20 MiB passed")
	}
}

func TestVarsSet(t *testing.T) {
	var v Vars
	for _, text := range []string{"A=1", "B=x=y", "A=2", "a b=c d"} {
		if err := v.Set(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
	if d := cmp.Diff(Vars{"A": "2", "B": "x=y", "a b": "c d"}, v); d != "" {
		t.Error(d)
	}
	for _, text := range []string{"", "FOO", "FOO=", "=x", "="} {
		if v.Set(text) == nil {
			t.Errorf("%q passed", text)
		}
	}
}

// value runs one reader over the words of a line and returns what it made of them
// and the error of the load.
func value[T any](t *testing.T, words string, opt Options, read func(l *Line) T) (v T, err error) {
	t.Helper()
	g := Grammar[T]{{Name: "k", Run: func(v *T, l *Line) { *v = read(l) }}}
	err = g.Parse("f", []byte("k"+words), opt, &v)
	return v, err
}

func TestNumberWords(t *testing.T) {
	for _, c := range []struct {
		word string
		bits int
		uint uint64
		dec  uint64
		real float64
	}{
		{"17", 32, 17, 17, 17}, {"0x50", 16, 80, 0, 80}, {"0120", 16, 80, 120, 120}, {"080", 16, 0, 80, 80}, {"-1", 16, 65535, 65535, -1},
		{"-1", 32, 1<<32 - 1, 1<<32 - 1, -1}, {"65536", 16, 0, 0, 65536}, {"440", 8, 184, 184, 440}, {"0x1e0", 8, 0xe0, 0, 480},
		{"word", 32, 0, 0, 0}, {"5x", 32, 5, 5, 5}, {"6\r", 32, 6, 6, 6}, {"1.5e1", 32, 1, 1, 15}, {"0x1p4", 32, 1, 0, 16},
		{"4294967296", 32, 0, 0, 4294967296}, {"99999999999999999999", 64, 1<<64 - 1, 1<<64 - 1, 1e20}, {"1,2", 32, 1, 1, 1},
	} {
		if got, err := value(t, " "+c.word, Options{}, func(l *Line) uint64 { return l.Uint("n", c.bits) }); got != c.uint || err != nil {
			t.Errorf("UINT %q %d: %d, %v, want %d", c.word, c.bits, got, err, c.uint)
		}
		if got, err := value(t, " "+c.word, Options{}, func(l *Line) uint64 { return l.Dec("n", c.bits) }); got != c.dec || err != nil {
			t.Errorf("DEC %q %d: %d, %v, want %d", c.word, c.bits, got, err, c.dec)
		}
		if got, err := value(t, " "+c.word, Options{}, func(l *Line) float64 { return l.Real("n") }); got != c.real || err != nil {
			t.Errorf("REAL %q: %v, %v, want %v", c.word, got, err, c.real)
		}
	}
	for name, read := range map[string]func(l *Line) uint64{
		"UINT": func(l *Line) uint64 { return l.Uint("a number", 32) },
		"DEC":  func(l *Line) uint64 { return l.Dec("a number", 32) },
		"REAL": func(l *Line) uint64 { return uint64(l.Real("a number")) },
		"SYM":  func(l *Line) uint64 { return uint64(l.Symbol("a number", nil)) },
		"IPV4": func(l *Line) uint64 { return uint64(l.IPv4("a number")) },
		"Tail": func(l *Line) uint64 { return uint64(len(l.Tail("a number"))) },
		"Set":  func(l *Line) uint64 { l.Set("a number", 9).Has(1); return 0 },
		"List": func(l *Line) uint64 { s, _ := l.List("a number", 9, nil); return uint64(len(s)) },
		"Ref":  func(l *Line) uint64 { return uint64(len(l.Ref("a number").Name)) },
		"PREFIX": func(l *Line) uint64 {
			a, n := l.Prefix("a number")
			return uint64(a) + uint64(n)
		},
	} {
		got, err := value(t, " ", Options{}, read)
		if want := "f line 1: Expecting a number."; got != 0 || errText(err) != want {
			t.Errorf("%s without a word: %d, %v", name, got, err)
		}
	}
}

func TestAddressWords(t *testing.T) {
	opt := Options{Resolve: func(name string) (uint32, bool) { return 0x7F000001, name == "localhost" }}
	for _, c := range []struct {
		word string
		addr uint32
		len  uint8
		ok   bool
	}{
		{"10.1.2.3", 0x0A010203, 32, true}, {"10", 0x0A000000, 8, true}, {"99.10.0.0.1", 0x0A000001, 32, true}, {"10..1", 0x0A000100, 32, true},
		{"localhost", 0x7F000001, 32, true}, {"nohost", 0, 0, false}, {"10.0.0.x", 0, 0, false}, {"10,1", 0, 0, false}, {"-1", 0, 0, false}, {"10.1\r", 0, 0, false},
	} {
		addr, err := value(t, " "+c.word, opt, func(l *Line) uint32 { return l.IPv4("a") })
		if (err == nil) != c.ok || c.ok && addr != c.addr {
			t.Errorf("IPV4 %q: %#x, %v", c.word, addr, err)
		}
		type prefix struct {
			addr uint32
			len  uint8
		}
		p, err := value(t, " "+c.word, opt, func(l *Line) (p prefix) { p.addr, p.len = l.Prefix("p"); return p })
		if (err == nil) != c.ok || c.ok && p != (prefix{c.addr, c.len}) {
			t.Errorf("PREFIX %q: %v, %v", c.word, p, err)
		}
		p, err = value(t, " "+c.word+"/8bits", opt, func(l *Line) (p prefix) { p.addr, p.len = l.Prefix("p"); return p })
		if (err == nil) != c.ok || c.ok && p != (prefix{c.addr, 8}) {
			t.Errorf("PREFIX %q/8bits: %v, %v", c.word, p, err)
		}
	}
}

func TestList(t *testing.T) {
	symbols := func(name string) (uint32, bool) {
		v, ok := map[string]uint32{"tcp": 6, "udp": 17, "icmp": 1, "ipv6": 41, "big": 70000}[name]
		return v, ok
	}
	for _, c := range []struct {
		word    string
		want    string
		negated bool
	}{
		{"6", "[{6 6}]", false}, {"6,17", "[{6 6} {17 17}]", false}, {"5-7", "[{5 7}]", false}, {"!6", "[{6 6}]", true}, {"!", "[]", true},
		{"17-6", "[{17 17}]", false}, {",6", "[{0 0} {6 6}]", false}, {"-6", "[{0 6}]", false}, {":foo", "[{0 0}]", false}, {"6-", "[{6 6}]", false},
		{"6,", "[{6 6}]", false}, {"6,,7", "[{6 6} {0 0} {7 7}]", false}, {"1-5-17", "[{1 5} {17 17}]", false}, {"1--3", "[{1 1} {3 3}]", false}, {"1,-3", "[{1 1} {0 3}]", false},
		{"tcp,udp", "[{6 6} {17 17}]", false}, {"tcp-udp", "[{6 17}]", false}, {"0x10-020", "[{16 16}]", false}, {"!tcp-7", "[{6 7}]", true}, {"6,!7", "[{6 6} {0 0}]", false},
		{"8x,9", "[{8 8} {9 9}]", false}, {"255", "[{255 255}]", false}, {"6\r", "[{6 6}]", false},
	} {
		type list struct {
			spans   []Span
			negated bool
		}
		got, err := value(t, " "+c.word, Options{}, func(l *Line) (v list) { v.spans, v.negated = l.List("list", 255, symbols); return v })
		if s := fmt.Sprint(got.spans); err != nil || s != c.want || got.negated != c.negated {
			t.Errorf("%q: %s %v, %v, want %s", c.word, s, got.negated, err, c.want)
		}
	}
	for word, want := range map[string]string{
		"256": `"256" in list "256" is above 255.`, "1-256": `"256" in list "1-256" is above 255.`, "1,99999999999999999999": `"99999999999999999999" in list "1,99999999999999999999" is above 255.`,
		"ipv6-icmpx": `Unknown symbol "icmpx".`, "ftp-data": `Unknown symbol "ftp".`, "big": `"big" in list "big" is above 255.`, "6 7": `Unexpected "7". Expecting the end of the line.`,
		"4294967297": `"4294967297" in list "4294967297" is above 255.`,
	} {
		_, err := value(t, " "+word, Options{}, func(l *Line) int { s, _ := l.List("list", 255, symbols); return len(s) })
		if got := errText(err); got != "f line 1: "+want {
			t.Errorf("%q: %s", word, got)
		}
	}
	if _, err := value(t, " tcp", Options{}, func(l *Line) int { l.List("list", 255, nil); return 0 }); err == nil {
		t.Error("a symbol without a table passed")
	}
}

func TestSymbolAndSet(t *testing.T) {
	symbols := func(name string) (uint32, bool) { return 7, name == "a-b,c" }
	for word, want := range map[string]uint32{"a-b,c": 7, "1,2": 1, "-1": 1<<32 - 1, "0x10": 16, "_x": 0} {
		if got, err := value(t, " "+word, Options{}, func(l *Line) uint32 { return l.Symbol("tag", symbols) }); got != want || err != nil {
			t.Errorf("%q: %d, %v", word, got, err)
		}
	}
	if _, err := value(t, " other", Options{}, func(l *Line) uint32 { return l.Symbol("tag", symbols) }); errText(err) != `f line 1: Unknown symbol "other".` {
		t.Errorf("unknown symbol: %v", err)
	}
	if s, err := value(t, " !1-3", Options{}, func(l *Line) *clib.Set { return l.Set("list", 65536) }); err != nil || s.Has(2) || !s.Has(4) {
		t.Errorf("set: %v", err)
	}
	if s, err := value(t, " -5", Options{}, func(l *Line) *clib.Set { return l.Set("list", 65536) }); err == nil || s.Has(5) {
		t.Errorf("bad set: %v", err)
	}
}

func TestRestOfLine(t *testing.T) {
	for _, c := range []struct {
		text, raw, tail string
		rawOK, tailOK   bool
	}{
		{" May 31, 2013 ", "May 31, 2013 ", "May 31, 2013 ", true, true},
		{"  two", " two", "two", true, true},
		{" ", "", "", true, false},
		{"\t\t", "\t", "", true, false},
		{"", "", "", false, false},
		{"\tx", "x", "x", true, true},
	} {
		raw, err := value(t, c.text, Options{}, func(l *Line) string { return l.Raw("path") })
		if raw != c.raw || (err == nil) != c.rawOK {
			t.Errorf("Raw of %q: %q, %v", c.text, raw, err)
		}
		tail, err := value(t, c.text, Options{}, func(l *Line) string { return l.Tail("date") })
		if tail != c.tail || (err == nil) != c.tailOK {
			t.Errorf("Tail of %q: %q, %v", c.text, tail, err)
		}
	}
}

func TestChoices(t *testing.T) {
	oneOf := func(l *Line) int { return l.OneOf("lt", "gt", "eq") }
	for word, want := range map[string]int{"lt": 0, "GT": 1, "Eq": 2} {
		if got, err := value(t, " "+word, Options{}, oneOf); got != want || err != nil {
			t.Errorf("%q: %d, %v", word, got, err)
		}
	}
	if got, err := value(t, " ne", Options{}, oneOf); got != 0 || errText(err) != `f line 1: Unexpected "ne". Expecting lt, gt or eq.` {
		t.Errorf("%d, %v", got, err)
	}
	if _, err := value(t, "", Options{}, oneOf); errText(err) != "f line 1: Expecting lt, gt or eq." {
		t.Errorf("%v", err)
	}
	choose := func(l *Line) float64 {
		return Choose(l, "a constant", func(w string) (float64, bool) { return 3.14, w == "pi" })
	}
	if got, err := value(t, " PI", Options{}, choose); got != 3.14 || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := value(t, " tau", Options{}, choose); got != 0 || errText(err) != `f line 1: Unexpected "tau". Expecting a constant.` {
		t.Errorf("%v, %v", got, err)
	}
}

// TestLatch: the first failure stays, and readers behind it give zero values.
func TestLatch(t *testing.T) {
	_, err := value(t, " x 5 6", Options{}, func(l *Line) int {
		l.Failf("First.")
		if l.Word("w") != "" || l.Uint("n", 32) != 0 || l.Tail("t") != "" || l.Raw("r") != "" || l.IPv4("a") != 0 || l.More() || !l.Failed() {
			t.Error("a reader went on")
		}
		if s := l.Set("s", 10); s == nil || s.Has(5) {
			t.Error("Set behind a failure")
		}
		l.Unexpected("x", "")
		l.Fail(errors.New("second"))
		return 0
	})
	if errText(err) != "f line 1: First." {
		t.Error(err)
	}
	sentinel := errors.New("from below")
	if _, err := value(t, "", Options{}, func(l *Line) int { l.Fail(sentinel); return 0 }); !errors.Is(err, sentinel) {
		t.Error(err)
	}
	if _, err := value(t, " w", Options{}, func(l *Line) int { l.Unexpected(l.Word(""), ""); return 0 }); errText(err) != `f line 1: Unexpected "w".` {
		t.Error(err)
	}
	var warned error
	if _, err := value(t, "", Options{Warn: func(err error) { warned = err }}, func(l *Line) int { l.Warnf("Set as %d.", 5); return 0 }); err != nil || errText(warned) != "f line 1: Set as 5." {
		t.Error(err, warned)
	}
}

func TestNames(t *testing.T) {
	type thing struct{ n int }
	type state struct{ names Names[thing] }
	g := Grammar[state]{{Name: "thing", Run: func(s *state, l *Line) {
		name, v := s.names.Define(l, "thing")
		v.n = len(name)
	}}}
	var s state
	if err := g.Parse("f", []byte("thing One\nthing three\nthing a,b"), Options{}, &s); err != nil {
		t.Fatal(err)
	}
	if v, ok := s.names.Find("ONE"); !ok || v.n != 3 {
		t.Errorf("ONE: %v, %v", v, ok)
	}
	if _, ok := s.names.Find(""); ok {
		t.Error("the empty name is there")
	}
	var order []int
	for _, v := range s.names.All() {
		order = append(order, v.n)
	}
	if d := cmp.Diff([]int{3, 5, 3}, order); d != "" {
		t.Error(d)
	}
	if err := g.Parse("f", []byte("\nthing THREE"), Options{}, &s); errText(err) != `f line 2: The thing "THREE" is defined twice.` {
		t.Error(err)
	}
	if err := g.Parse("f", []byte("thing"), Options{}, &s); errText(err) != "f line 1: Expecting thing name." {
		t.Error(err)
	}
}

func TestNamesGet(t *testing.T) {
	type state struct{ names Names[int] }
	g := Grammar[state]{{Name: "thing", Run: func(s *state, l *Line) { s.names.Define(l, "thing") }}}
	var s state
	if _, err := s.names.Get("f", "thing", "x"); errText(err) != `f: no thing "x", it has none` {
		t.Error(err)
	}
	if err := g.Parse("f", []byte("thing One\nthing two"), Options{}, &s); err != nil {
		t.Fatal(err)
	}
	if v, err := s.names.Get("f", "thing", "ONE"); err != nil || v != s.names.All()[0] {
		t.Error(v, err)
	}
	if _, err := s.names.Get("f", "thing", "x"); errText(err) != `f: no thing "x", only One, two` {
		t.Error(err)
	}
}

func TestClock(t *testing.T) {
	for word, want := range map[string]int64{
		"11": 39600, "11:39": 41940, "11:39:60": 42000, "35:00": 126000, "-1:00": -3600, "1:2:": 3720, ":": 0, "::5": 5, "1x:2y": 3720,
	} {
		if got, err := value(t, " "+word, Options{}, func(l *Line) int64 { return l.Clock("time") }); got != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", word, got, err, want)
		}
	}
	for _, word := range []string{"1:2:3:4", "1:2:3:", ""} {
		if _, err := value(t, " "+word, Options{}, func(l *Line) int64 { return l.Clock("time") }); err == nil {
			t.Errorf("%q passed", word)
		}
	}
}

func TestInclude(t *testing.T) {
	type state struct {
		filters Include[string]
		loads   []string
		used    []string
	}
	g := Grammar[state]{
		{Name: "include-filter", Run: func(s *state, l *Line) { s.filters.Directive(l) }},
		{Name: "filter", Run: func(s *state, l *Line) {
			v := s.filters.Use(l, func(path string) (string, error) {
				s.loads = append(s.loads, path)
				if path == "bad" {
					return "", &Error{Pos: Pos{path, 7}, Msg: "Broken."}
				}
				return "<" + path + ">", nil
			})
			s.used = append(s.used, v+l.Word("name"))
		}},
	}
	for _, c := range []struct{ text, loads, used, err string }{
		{"filter a\nfilter b", "builtin", "<builtin>a <builtin>b", ""},
		{"include-filter x\nfilter a\nfilter b", "x", "<x>a <x>b", ""},
		{"filter a\ninclude-filter x\nfilter b", "builtin", "<builtin>a <builtin>b", ""},
		{"include-filter bad", "", "", ""}, // never needed
		{"include-filter bad\nfilter a", "bad", "", "bad line 7: Broken."},
		{"include-filter", "", "", "f line 1: Expecting file name."},
		{"include-filter x\ninclude-filter y", "", "", "f line 2: The file is included already: x."},
		{"include-filter x y", "", "", `f line 1: Unexpected "y". Expecting the end of the line.`},
	} {
		s := state{filters: NewInclude[string]("builtin")}
		err := g.Parse("f", []byte(c.text), Options{}, &s)
		if got := errText(err); got != c.err || strings.Join(s.loads, " ") != c.loads || err == nil && strings.Join(s.used, " ") != c.used {
			t.Errorf("%q: loads %v, used %v, %v", c.text, s.loads, s.used, err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.cfg")
	if err := os.WriteFile(path, []byte("a x\nnope"), 0o644); err != nil {
		t.Fatal(err)
	}
	load := func(path string) (*trace, error) {
		return Load(path, Options{}, func(path string, text []byte, opt Options) (*trace, error) {
			got := new(trace)
			return got, testGrammar.Parse(path, text, opt, got)
		})
	}
	_, err := load(path)
	if want := path + ` line 2: Unexpected "nope".`; !strings.HasPrefix(errText(err), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := load(dir); err == nil {
		t.Error("a directory passed")
	}
	if _, err := load("/dev/zero"); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("/dev/zero: %v", err)
	}
	// A pipe is read to its end.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		for range 3 {
			fmt.Fprintln(w, "anywhere")
		}
	}()
	if got, err := load(fmt.Sprintf("/dev/fd/%d", r.Fd())); err != nil || len(got.seen) != 3 {
		t.Errorf("pipe: %v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"a x\nin-a\n# @{X}\nwords @V @{V:-d e} !1-3,tcp 10/8 0x1p3", "list !6,-3-x\nprefix 10.1/33\nraw \t rest", "sym tcp\nreal nan\nuint -1", "@{V",
		"tail  May 31\nset 5-,7\nipv4 a.b\nsym x",
	} {
		f.Add(s, "tcp")
	}
	opt := Options{Resolve: func(string) (uint32, bool) { return 1, true }}
	g := append(Grammar[trace]{
		{Name: "list", Run: func(s *trace, l *Line) {
			spans, _ := l.List("list", 300, func(n string) (uint32, bool) { return uint32(len(n)), n != "x" })
			for _, p := range spans {
				if !l.Failed() && (p.First > p.Last || p.Last > 300) {
					panic(fmt.Sprint(p))
				}
			}
		}},
		{Name: "prefix", Run: func(s *trace, l *Line) {
			if _, n := l.Prefix("prefix"); n > 32 {
				panic(n)
			}
		}},
		{Name: "ipv4", Run: func(s *trace, l *Line) { l.IPv4("address") }},
		{Name: "set", Run: func(s *trace, l *Line) { l.Set("list", 300).Has(5) }},
		{Name: "real", Run: func(s *trace, l *Line) { l.Real("number") }},
		{Name: "uint", Run: func(s *trace, l *Line) { l.Uint("number", 16) }},
		{Name: "sym", Run: func(s *trace, l *Line) { l.Symbol("tag", nil) }},
		{Name: "raw", Run: func(s *trace, l *Line) { l.Raw("rest") }},
		{Name: "tail", Run: func(s *trace, l *Line) { l.Tail("rest") }},
	}, testGrammar...)
	f.Fuzz(func(t *testing.T, text, v string) {
		opt.Vars = Vars{"V": v, "X": text}
		var a, b trace
		err := g.Parse("f", []byte(text), opt, &a)
		// Reading is repeatable, and every error has a place in the file.
		if again := g.Parse("f", []byte(text), opt, &b); errText(again) != errText(err) || !cmp.Equal(a.seen, b.seen) {
			t.Fatalf("%v, again %v", err, again)
		}
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Line > strings.Count(text, "\n")+1) {
			t.Fatalf("%#v", err)
		}
	})
}
