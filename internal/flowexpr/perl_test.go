package flowexpr

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"flowtools/pkg/flow"
)

// The tests of this file run Perl itself on what we translate.

// sample is a record that all of a test's expressions see.
func sample(t testing.TB, set map[flow.Field]uint64) (*flow.Layout, flow.Record) {
	t.Helper()
	l, err := flow.LayoutOf(flow.Version{Export: 5})
	if err != nil {
		t.Fatal(err)
	}
	r := make(flow.Record, l.Size)
	for f, v := range set {
		l.PutUint(r, f, v)
	}
	return l, r
}

var tcpFlow = map[flow.Field]uint64{
	flow.UnixSecs: 1_700_000_000, flow.SysUptime: 500_000, flow.First: 400_000, flow.Last: 416_345, flow.ExAddr: 0xc0000201,
	flow.SrcAddr: 0x0a010203, flow.DstAddr: 0xc0a80001, flow.NextHop: 0x0afffffe, flow.Input: 3, flow.Output: 65535,
	flow.SrcPort: 40000, flow.DstPort: 80, flow.DPkts: 12, flow.DOctets: 4_000_000_000, flow.Prot: 6, flow.ToS: 0x10, flow.TCPFlags: 0x1b,
	flow.SrcAS: 65000, flow.DstAS: 0, flow.SrcMask: 24, flow.DstMask: 16, flow.EngineType: 1, flow.EngineID: 7,
}

// prelude declares our variables to Perl with the values they have for a record.
func prelude(t *testing.T, l *flow.Layout, r flow.Record) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("no strict; no warnings; use Socket;\n")
	var out bytes.Buffer
	for i := range variables {
		v := &variables[i]
		p, err := Compile(Source{Each: "print $" + v.name}, Options{Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		p.Use(l)
		out.Reset()
		if _, err := p.Match(r); err != nil {
			t.Fatal(err)
		}
		if v.proto != 0 && v.proto != l.Uint(r, flow.Prot) {
			continue // undefined
		}
		if v.text != nil {
			fmt.Fprintf(&b, "$%s = '%s';\n", v.name, out.String())
		} else {
			fmt.Fprintf(&b, "$%s = %s;\n", v.name, out.String())
		}
	}
	for name, c := range constants() {
		fmt.Fprintf(&b, "$%s = %d;\n", name, c)
	}
	return b.String()
}

// runPerl evaluates each expression as the original does, and returns what it
// printed followed by whether it was true.
func runPerl(t *testing.T, prelude string, expressions []string) []string {
	t.Helper()
	perl, err := exec.LookPath("perl")
	if err != nil {
		t.Skip("no perl here")
	}
	var b strings.Builder
	b.WriteString(prelude)
	for _, e := range expressions {
		fmt.Fprintf(&b, "$result = eval { %s\n};\nprint $@ ? \"error \" . ($@ =~ /^(Illegal \\w+.*?zero)/)[0] : $result ? 'true' : 'false', \"\\0\\n\";\n", e)
		b.WriteString("undef $a; undef $b; undef $n; undef $s;\n")
	}
	cmd := exec.Command(perl, "-")
	cmd.Stdin = strings.NewReader(b.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	list := strings.Split(string(out), "\x00\n")
	if len(list) != len(expressions)+1 {
		t.Fatalf("%d results of %d expressions\n%s", len(list)-1, len(expressions), stderr.String())
	}
	return list[:len(expressions)]
}

// runOurs is what we make of an expression, in the form of runPerl.
func runOurs(l *flow.Layout, r flow.Record, e string) (result, translation string) {
	var out bytes.Buffer
	p, err := Compile(Source{Each: e}, Options{Stdout: &out})
	if err != nil {
		return "refused: " + err.Error(), ""
	}
	p.Use(l)
	ok, err := p.Match(append(flow.Record(nil), r...))
	if err != nil {
		return out.String() + "error " + strings.TrimPrefix(err.Error(), "-e: "), p.Translation()
	}
	return out.String() + fmt.Sprint(ok), p.Translation()
}

// generator writes random expressions that we say we translate.
type generator struct{ *rand.Rand }

func (g generator) pick(words ...string) string { return words[g.IntN(len(words))] }

func (g generator) integer(depth int) string {
	if depth <= 0 || g.IntN(4) == 0 {
		if g.IntN(3) == 0 {
			return g.pick("0", "1", "2", "7", "53", "80", "255", "0x1b", "0xff00", "010", "65535", "4294967295", "1_000", "'12'")
		}
		return g.pick("$srcport", "$dstport", "$pkts", "$bytes", "$srcaddr", "$dstaddr", "$protocol", "$tos", "$tcp_flags", "$src_as",
			"$startime", "$TH_SYN", "$tcp", "$output_if")
	}
	d := depth - 1
	switch g.IntN(9) {
	case 0, 1:
		return "(" + g.integer(d) + g.pick(" + ", " - ", " * ") + g.integer(d) + ")"
	case 2:
		return "(" + g.integer(d) + " % " + g.pick("7", "256", "$srcport", "(3 - 10)", "$dst_as") + ")"
	case 3:
		return "(" + g.integer(d) + g.pick(" & ", " | ", " ^ ") + g.integer(d) + ")"
	case 4:
		return "((" + g.integer(d) + g.pick(" << ", " >> ") + g.pick("0", "1", "8", "24", "63", "64", "$src_mask") + ") & 0xffffff)"
	case 5:
		return "(" + g.pick("0x7fffffff & ~(", "-(", "+(", "1 + !(", "- -(") + g.integer(d) + "))"
	case 6:
		return "(" + g.truth(d) + " ? " + g.integer(d) + " : " + g.integer(d) + ")"
	case 7:
		return g.pick("int(", "abs(") + g.number(d) + ")"
	}
	return "length('' . " + g.text(d) + ")"
}

func (g generator) number(depth int) string {
	if depth <= 0 || g.IntN(2) == 0 {
		if g.IntN(5) == 0 {
			return g.pick("1.5", "1e3", "2.5e-3", ".25", "'1.5'", "$Bps", "$pps")
		}
		return g.integer(depth)
	}
	d := depth - 1
	switch g.IntN(3) {
	case 0:
		return "(" + g.number(d) + g.pick(" + ", " - ", " * ") + g.number(d) + ")"
	case 1:
		return "(" + g.number(d) + " / " + g.pick("$pkts", "4", "$src_as", "0.5", "$dst_as", "(1+"+g.integer(d)+")") + ")"
	}
	return "(-" + g.number(d) + ")"
}

func (g generator) text(depth int) string {
	if depth <= 0 || g.IntN(3) == 0 {
		return g.pick("$srcip", "$dstip", "$TCPFlags", "$localtime", "'10.1.2.3'", `"a$srcport/b\t"`, `"$protocol"`, "''", "'0'", `"x\x41\\"`, "q{a(b)}")
	}
	d := depth - 1
	switch g.IntN(4) {
	case 0:
		return "(" + g.text(d) + " . " + g.text(d) + ")"
	case 1:
		return "(" + g.truth(d) + " ? " + g.text(d) + " : " + g.text(d) + ")"
	case 2:
		return "sprintf('%s %d %x %5.2f|%-6s|%05d%%', " + g.text(d) + ", " + g.integer(0) + ", " + g.pick("$bytes", "255") + ", $pps, " + g.text(d) + ", $srcport)"
	}
	return "(" + g.text(d) + g.pick(" || ", " && ") + g.text(d) + ")"
}

func (g generator) truth(depth int) string {
	if depth <= 0 {
		return g.pick("$dstport == 80", "53 == $srcport", "$srcip eq '10.1.2.3'", "$tcp_flags & $TH_ACK", "$dstport", "defined $TCPFlags", "defined $ICMPCode", "$TCPFlags")
	}
	d := depth - 1
	switch g.IntN(9) {
	case 0, 1:
		return "(" + g.number(d) + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + g.number(d) + ")"
	case 2:
		return "(" + g.text(d) + g.pick(" eq ", " ne ", " lt ", " le ", " gt ", " ge ") + g.text(d) + ")"
	case 3:
		return "(" + g.text(d) + g.pick(" =~ ", " !~ ") + g.pick(`/^10\./`, `/push/i`, `m{/b}`, `/\d+\.3$/`, `m#^[^]x]+$#`, `/(SYN|FIN)\|/`, `"0"`) + ")"
	case 4:
		return "(" + g.truth(d) + g.pick(" && ", " || ", " and ", " or ", " xor ") + g.truth(d) + ")"
	case 5:
		return "(" + g.pick("!", "not ") + g.truth(d) + ")"
	case 6:
		return "(" + g.truth(d) + " ? " + g.truth(d) + " : " + g.truth(d) + ")"
	case 7:
		return g.integer(d)
	}
	return g.text(d)
}

// statements is a program with variables of its own.
func (g generator) statements() string {
	var list []string
	for range 1 + g.IntN(4) {
		list = append(list, g.pick(
			"$n = "+g.integer(1), "$n += $dstport", "$n -= 3", "$n *= 2", "$n++", "--$n", "$a = ($n & 255) | 0x10", "$n %= 1000", "$a = $n++ + 1", "$b = $n-- * 2",
			"$s = "+g.text(1), "$s .= 'z'", "print $n, '|'", `print "$s\n"`, `printf("%s %03d %.1f\n", $s, $n, $a)`, "print 'x' if "+g.truth(1), "print 'y' unless "+g.truth(1),
			"$dstport == 80 and print 'web'", "my $a = $n / 4", `print scalar($srcip), "-"`))
	}
	// Every variable is assigned to somewhere.
	return "$n += 0; $a += 0; $b += 0; $s .= ''; " + strings.Join(list, "; ") + g.pick("; ", "; $n > 5", "; $s", "; $a == $b", "; print $n; 0", " # done")
}

var decimals = regexp.MustCompile(`-?[0-9]{16,}|-?[0-9]\.[0-9]+e\+[0-9]+`)

// same compares results. Beyond 2**53 we may have a real where Perl still has an
// integer; and what was printed before an error does not matter.
func same(got, want string) bool {
	if _, failed, ok := strings.Cut(want, "error "); ok {
		return strings.HasSuffix(got, "error "+failed)
	}
	about := func(s string) string {
		return decimals.ReplaceAllStringFunc(s, func(n string) string {
			f, err := strconv.ParseFloat(n, 64)
			if err != nil {
				return n
			}
			return strconv.FormatFloat(f, 'g', 11, 64)
		})
	}
	return about(got) == about(want)
}

// TestAgainstPerl: what random expressions print and whether they are true is the
// same in Perl.
func TestAgainstPerl(t *testing.T) {
	icmp := maps.Clone(tcpFlow)
	icmp[flow.Prot], icmp[flow.DstPort], icmp[flow.DstAS] = 1, 0x0303, 12
	for name, set := range map[string]map[flow.Field]uint64{"tcp": tcpFlow, "icmp": icmp} {
		t.Run(name, func(t *testing.T) { againstPerl(t, set, generator{rand.New(rand.NewPCG(1, 2))}) })
	}
}

func againstPerl(t *testing.T, set map[flow.Field]uint64, g generator) {
	l, r := sample(t, set)
	var expressions []string
	for range 1000 {
		e := ""
		switch g.IntN(6) {
		case 0:
			e = g.truth(4)
		case 1:
			e = "print " + g.integer(3) + "; 0"
		case 2:
			e = "print " + g.number(3) + ", \"\\n\""
		case 3:
			e = "print STDOUT " + g.text(3) + "; $pkts"
		case 4:
			e = "print \"<$srcip:${dstport}> \", " + g.truth(3) + " ? 'yes' : 'no'; " + g.truth(2)
		default:
			e = g.statements()
		}
		expressions = append(expressions, "$tos; "+e) // which makes it Perl for sure
	}
	want := runPerl(t, prelude(t, l, r), expressions)
	refused := 0
	for i, e := range expressions {
		got, translation := runOurs(l, r, e)
		switch {
		case strings.HasPrefix(got, "refused"), strings.HasSuffix(got, errRange.Error()):
			refused++
			t.Logf("%s\n%s", e, got)
		case !same(got, want[i]):
			t.Fatalf("%s\n got %q\nperl %q\n%s", e, got, want[i], translation)
		}
	}
	if refused > len(expressions)/10 {
		t.Errorf("%d of %d refused", refused, len(expressions))
	}
}
