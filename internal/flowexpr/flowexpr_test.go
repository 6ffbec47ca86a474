package flowexpr

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cdate"
	"flowtools/pkg/flow"
)

// TestTranslations: what Perl becomes in expr-lang.
func TestTranslations(t *testing.T) {
	for _, c := range []struct{ perl, want string }{
		{"53 == $srcport || 53 == $dstport", "((53 == srcport) || (53 == dstport))"},
		{"$tcp_flags & $TH_SYN", "(bitand(tcp_flags, TH_SYN) != 0)"},
		{"$srcip eq '10.0.0.1' and not $dstip =~ m{^10/}i", `((srcip == "10.0.0.1") && not (dstip matches "(?i)^10/"))`},
		{"$bytes / $pkts > 1_000", "((bytes / nonzero(real(pkts))) > 1000)"},
		{"$bytes > 0x10 unless $protocol == $udp", "((protocol == udp) || (bytes > 16))"},
		{"1 if $dstport == 80;", "((dstport == 80) && (1 != 0))"},
		{"$n++ < 3", "((set_n((get_n() + 1)) - 1) < 3)"},
		{"use Socket qw(inet_aton); $srcaddr == unpack('N', inet_aton('10.1.2.0'))", "(srcaddr == 167838208)"},
		{"($srcaddr & ~0xff) == unpack('N', inet_aton('10.1.2.0'))", "(bitand(srcaddr, (-256)) == 167838208)"},
		{"$srcaddr >> 24 == unpack 'N', pack('C4', 0, 0, 0, 10)", "(shr(srcaddr, 24) == 10)"},
		{`print "$srcip\n"; 0`, `(print(srcip) && print("\n")); (0 != 0)`},
		{`print STDERR $bytes`, `(warn(itoa(bytes)))`},
		{"$Cflow::srcport == ${dstport} # both", "(srcport == dstport)"},
		{"$srcport < 1024 ? $dstport : $dstport > 1023", `truth(((srcport < 1024) ? itoa(dstport) : ((dstport > 1023) ? "1" : "")))`},
		{"$TCPFlags || $srcport == 1", "(truth(TCPFlags) || (srcport == 1))"},
		{"my $x = $srcport % 2; !$x", "set_x(mod(srcport, 2)); not (get_x() != 0)"},
		{"within($srcip, '10.0.0.0/8') xor $tos", `(within(srcip, "10.0.0.0/8") != (tos != 0))`},
		{"$dstport = 53", "(set_dstport(53) != 0)"},
		{"exit 2 if $pkts lt '5'", `((itoa(pkts) < "5") && exit(2))`},
		{"$t .= $srcip; $t", `set_t((get_t() + srcip)); truth(get_t())`},
		{"$srcport * $dstport > $Bps * 8", "((srcport * dstport) > (Bps * real(8)))"},
		{"defined($ICMPType) && !defined $srcip", "((protocol == 1) && not true)"},
		{"scalar(localtime($startime)) =~ /^Mon /", `(ctime(startime) matches "^Mon ")`},
	} {
		p, err := Compile(Source{Each: c.perl}, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.perl, err)
			continue
		}
		if diff := cmp.Diff("-e: "+c.want+"\n", p.Translation()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.perl, diff)
		}
	}
}

// TestRefused: what is not translated is named.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"foreach (1..3) { $n++ }", "column 1: Perl's loop foreach is not available here"},
		{"$n++ while $n < 5", "column 6: Perl's loop while is not available here"},
		{"if ($srcport == 1) { 1 }", "column 1: Perl's block if (...) {...} (write EXPR if COND) is not available here"},
		{"$count{$srcip}++", "column 1: Perl's hash element $count{...} is not available here"},
		{"$x[0] == $srcport", "column 1: Perl's array element $x[...] is not available here"},
		{"@x = $srcport", "column 1: Perl's array @x is not available here"},
		{"%x && $srcport", "column 1: Perl's hash %x is not available here"},
		{"print 'a' if $srcport .. $dstport", "column 23: Perl's range operator .. is not available here"},
		{"$srcip x 3", "column 8: Perl's repetition operator x is not available here"},
		{"$srcport <=> 3", "column 10: Perl's comparison <=> is not available here"},
		{"$srcip =~ s/a/b/", "column 11: Perl's s/// (it changes its variable) is not available here"},
		{"$srcip =~ tr/a/b/", "column 11: Perl's tr/// (it changes its variable) is not available here"},
		{"$srcip =~ /a/g", "column 11: Perl's flag g of a pattern is not available here"},
		{"$srcip =~ /$x/", "column 11: Perl's variable in a pattern is not available here: $x"},
		{"$srcip =~ /(.)\\1/", "column 11: error parsing regexp: invalid escape sequence: `\\1` (Perl's look-around and back references are not available here)"},
		{"/10/ && $srcip", "column 1: Perl's match of $_ (write $variable =~ /.../) is not available here"},
		{"$_ eq 'x'", "column 1: Perl's special variable $_ is not available here"},
		{"$1 == $srcport", "column 1: Perl's special variable $1 is not available here"},
		{"$srcport == `ls`", "column 13: Perl's command in backquotes is not available here"},
		{"$srcport == <STDIN>", "column 13: Perl's input operator <> is not available here"},
		{"use POSIX; $srcport", "column 1: Perl's module is not available here"},
		{"use Socket $srcport", "column 1: Perl's module is not available here"},
		{" # $srcport", "the expression is empty"},
		{";; # $srcport", "the expression is empty"},
		{"use Socket;", "the expression is empty"},
		{"sub x { $srcport }", "column 1: Perl's subroutine is not available here"},
		{"return $srcport", "column 1: Perl's return (the value of the last statement counts) is not available here"},
		{"system('x'), $srcport", "column 1: Perl's function system() is not available here"},
		{"lookup $srcport", "column 1: Perl's word lookup is not available here"},
		{"-e $srcport", "column 1: Perl's file test -e is not available here"},
		{"\\$srcport", "column 1: Perl's reference \\ is not available here"},
		{"$srcip == '10.0.0.1'", "column 1: a string stands where a number is needed: use eq, ne, lt, gt or =~ for strings, and the variable without \"ip\" for the number of an address"},
		{"$srcaddr == '10.0.0.1'", `column 13: the string "10.0.0.1" stands where a number is needed: use eq, ne, lt, gt or =~ for strings`},
		{"$srcaddr == 10.0.0.1", "column 13: 10.0.0.1 without quotes is a version, not an address"},
		{"$dstprot == 5", "column 1: there is no variable $dstprot; did you mean $dstport?"},
		{"$elephant == 5", "column 1: there is no variable $elephant, and nothing is assigned to it"},
		{"print $raw", "column 7: the flow as a record, $raw, is not available here: write records with -r or -R"},
		{"$srcip = '10.0.0.1'", "column 1: $srcip cannot be assigned to: it is made of other variables"},
		{"$TH_SYN = 1", "column 1: $TH_SYN is a constant"},
		{"$srcport + 1 = 2", "column 14: only a variable can be assigned to"},
		{"$n = 1; $n = 'x'", "column 4: $n is assigned both strings and numbers"},
		{"1 < $srcport < 5", "column 14: < behind < needs parentheses or &&"},
		{"$srcport ==", "column 12: the expression ends too early"},
		{"($srcport == 1", `column 15: ")" is missing`},
		{"$srcport == 1)", `column 14: unexpected ")"`},
		{"$srcip eq 'x", "column 11: the string has no end"},
		{"$srcip =~ /x", "column 11: the pattern has no end"},
		{"dstport == $srcport", "column 1: dstport needs a $ before it"},
		{"$srcport == 5\n&& $srcip = 3", "line 2 column 11: only a variable can be assigned to"},
		{"print $srcip, localtime($startime)", "column 15: Perl's localtime in a list is not available here: write scalar(localtime(...))"},
		{"printf $srcip, 1", "column 1: the format of sprintf has to be a string without variables"},
		{"printf('%s %s', $srcip)", "column 1: the format of sprintf has more than its arguments"},
		{"printf('%*d', 3, $srcport)", "column 15: %* of a format is not available here"},
		{`print "@srcip $srcip"`, `column 8: Perl's array @srcip in a string is not available here`},
		{`print "$srcip[0]"`, `column 8: Perl's element of $srcip in a string (write \ before the bracket) is not available here`},
		{`~$srcaddr + 1`, "column 11: + on a number of 64 bits is not available here: cut it with & first"},
		{"$srcport == 08", "column 14: \"8\" is no octal digit"},
		{"$srcport => 1", "column 10: Perl's pair => is not available here"},

		{"dstport == 'x'", "column 9: invalid operation: == (mismatched types int and string)"},
		{"dstprt == 53", "column 1: unknown name dstprt"},
		{"within(lan, '10.0.0.0/8')", "column 8: unknown name lan"},
		{"srcport > 0 ? true : itoa(x) == '1'", "column 27: unknown name x"},
		{"within(srcport, '10.0.0.0/8')", "column 8: cannot use int as argument (type string) to call function "},
		{"within(srcip)", "column 1: not enough arguments to call function"},
		{"now().Year() == dstport", "column 1: unknown name now"},
		{"[1, 2]", "the result is []interface {}, neither true nor false"},
		{"within(srcip, '10/8')", `"10/8" is no prefix such as 10.0.0.0/8`},
		{"srcip matches '('", "column 7: error parsing regexp: missing closing ): `(`"},
	} {
		_, err := Compile(Source{Each: c.text}, Options{})
		if err == nil {
			t.Errorf("%s: accepted", c.text)
			continue
		}
		if diff := cmp.Diff("-e: "+c.want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.text, diff)
		}
	}
}

// TestLimits: no text is too long, too deep or too wide for an answer.
func TestLimits(t *testing.T) {
	for name, text := range map[string]string{
		"long":      "$srcport" + strings.Repeat(" ", maxText),
		"deep":      strings.Repeat("(", 5000) + "$srcport" + strings.Repeat(")", 5000),
		"nots":      strings.Repeat("!", 5000) + "$srcport",
		"wide":      "$srcport" + strings.Repeat("+1", 8000),
		"scalars":   manyScalars(),
		"deep expr": strings.Repeat("(", 8000) + "srcport",
		"wide expr": "srcport" + strings.Repeat("+1", 8000),
		"width":     "printf('%99999d', $srcport)",
		"pattern":   "$srcip =~ /((((x{100}){100}){100}){100})/",
	} {
		if _, err := Compile(Source{Each: text}, Options{}); err == nil && name != "wide expr" {
			t.Errorf("%s: accepted", name)
		}
	}
	// A text of the user's does not grow without bound.
	p, err := Compile(Source{Init: "$s = '0123456789'", Each: "$s .= $s"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, r := sample(t, nil)
	if err := p.Begin(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if _, err = p.Match(r); err != nil {
			break
		}
	}
	if err == nil || err.Error() != "-e: $s is beyond 2**62, or longer than a megabyte" {
		t.Errorf("error %v", err)
	}
}

func manyScalars() string {
	var b strings.Builder
	for i := range maxScalars + 1 {
		b.WriteString("$x" + strings.Repeat("y", i) + " = 1; ")
	}
	return b.String()
}

// TestRun: the three expressions work on the same variables, and exit ends all.
func TestRun(t *testing.T) {
	var out, msg bytes.Buffer
	p, err := Compile(Source{
		Init: `$left = 2; $sum = 0; print "begin $srcport\n"`,
		Each: `exit(3) if $left-- == 0; $sum += $bytes; print STDERR $dstip . "\n"; $left`,
		Last: `printf "%d octets, %s\n", $sum, $srcip`,
	}, Options{Stdout: &out, Stderr: &msg})
	if err != nil {
		t.Fatal(err)
	}
	l, r := sample(t, tcpFlow)
	p.Use(l)
	if err := p.Begin(); err != nil {
		t.Fatal(err)
	}
	var got []any
	for range 3 {
		ok, err := p.Match(r)
		got = append(got, ok)
		var exit *Exit
		if errors.As(err, &exit) {
			got = append(got, exit.Code)
		}
	}
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{true, false, false, 3}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("begin 0\n8000000000 octets, 0.0.0.0\n", out.String()); diff != "" {
		t.Error(diff)
	}
	if msg.String() != "192.168.0.1\n192.168.0.1\n" {
		t.Errorf("messages %q", msg.String())
	}
}

// TestSets: assignments change the record, cut to its field.
func TestSets(t *testing.T) {
	l, r := sample(t, tcpFlow)
	p, err := Compile(Source{Each: "$srcaddr &= ~0xff; $dstport = 65536 + 53; $tos++; $src_as = '7'; $dstport == 53 && $srcip eq '10.1.2.0'"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.Use(l)
	ok, err := p.Match(r)
	if err != nil || !ok || !p.Sets() {
		t.Errorf("%v, %v, sets %v", ok, err, p.Sets())
	}
	for f, want := range map[flow.Field]uint64{flow.SrcAddr: 0x0a010200, flow.DstPort: 53, flow.ToS: 0x11, flow.SrcAS: 7, flow.DPkts: 12} {
		if got := l.Uint(r, f); got != want {
			t.Errorf("%v is %#x, want %#x", f, got, want)
		}
	}
}

// TestVariables: every variable of a record, seen from Perl and from expr-lang.
func TestVariables(t *testing.T) {
	zone := cdate.LoadZone("XYZ-3:30", true)
	udp := map[flow.Field]uint64{flow.Prot: 17, flow.DstPort: 0x0303, flow.First: 999, flow.Last: 5_000, flow.DPkts: 10, flow.DOctets: 90, flow.TCPFlags: 2}
	icmp := map[flow.Field]uint64{flow.Prot: 1, flow.DstPort: 0x0301}
	for _, c := range []struct {
		set        map[flow.Field]uint64
		name, want string
	}{
		{tcpFlow, "startime", "1699999900"}, {tcpFlow, "start_msecs", "0"}, {tcpFlow, "endtime", "1699999916"}, {tcpFlow, "end_msecs", "345"},
		{tcpFlow, "unix_secs", "1699999900"}, {tcpFlow, "localtime", "2023/11/15 01:41:40"},
		{tcpFlow, "exporter", "3221225985"}, {tcpFlow, "exporterip", "192.0.2.1"}, {tcpFlow, "srcaddr", "167838211"}, {tcpFlow, "srcip", "10.1.2.3"},
		{tcpFlow, "dstaddr", "3232235521"}, {tcpFlow, "dstip", "192.168.0.1"}, {tcpFlow, "nexthop", "184549374"}, {tcpFlow, "nexthopip", "10.255.255.254"},
		{tcpFlow, "input_if", "3"}, {tcpFlow, "output_if", "65535"}, {tcpFlow, "srcport", "40000"}, {tcpFlow, "dstport", "80"},
		{tcpFlow, "ICMPType", ""}, {tcpFlow, "ICMPCode", ""}, {tcpFlow, "ICMPTypeCode", ""}, {tcpFlow, "pkts", "12"}, {tcpFlow, "bytes", "4000000000"},
		{tcpFlow, "Bps", "250000000"}, {tcpFlow, "pps", "0.75"}, {tcpFlow, "protocol", "6"}, {tcpFlow, "tos", "16"}, {tcpFlow, "tcp_flags", "27"},
		{tcpFlow, "TCPFlags", "PUSH|SYN|FIN|ACK"}, {tcpFlow, "src_as", "65000"}, {tcpFlow, "dst_as", "0"}, {tcpFlow, "src_mask", "24"},
		{tcpFlow, "dst_mask", "16"}, {tcpFlow, "engine_type", "1"}, {tcpFlow, "engine_id", "7"},
		{udp, "TCPFlags", ""}, {udp, "ICMPTypeCode", ""}, {udp, "Bps", "22.5"}, {udp, "pps", "2.5"}, {udp, "start_msecs", "999"},
		{icmp, "ICMPType", "3"}, {icmp, "ICMPCode", "1"}, {icmp, "ICMPTypeCode", "HOST_UNREACH"}, {icmp, "Bps", "0"},
		{icmp, "ICMP_HOST_UNREACH", "1"}, {icmp, "TH_PUSH", "8"}, {icmp, "udp", "17"}, {icmp, "ICMP_TIME_EXCEEDED", "11"},
	} {
		l, r := sample(t, c.set)
		var out bytes.Buffer
		p, err := Compile(Source{Each: "print $" + c.name}, Options{Stdout: &out, Zone: zone})
		if err != nil {
			t.Error(err)
			continue
		}
		p.Use(l)
		if _, err := p.Match(r); err != nil || out.String() != c.want {
			t.Errorf("$%s: %q, %v, want %q", c.name, out.String(), err, c.want)
		}
	}
	for i := range variables {
		v := &variables[i]
		sources := 0
		for _, set := range []bool{v.number != nil, v.ratio != nil, v.text != nil} {
			if set {
				sources++
			}
		}
		if v.doc == "" || sources > 1 || v.number != nil && v.max == 0 || v.plain() && v.field.Info().Name == "" {
			t.Errorf("row of %s: %+v", v.name, v)
		}
	}
}

// TestPredicates: expressions in both languages agree with Go on random records.
func TestPredicates(t *testing.T) {
	type rec struct {
		l *flow.Layout
		r flow.Record
	}
	u := func(f flow.Field) func(rec) uint64 { return func(x rec) uint64 { return x.l.Uint(x.r, f) } }
	srcport, dstport, bytes, pkts, flags, prot := u(flow.SrcPort), u(flow.DstPort), u(flow.DOctets), u(flow.DPkts), u(flow.TCPFlags), u(flow.Prot)
	srcip := func(x rec) string { return x.l.Addr(x.r, flow.SrcAddr).String() }
	net := netip.MustParsePrefix("10.0.0.0/9")
	for _, c := range []struct {
		perl, native string
		want         func(rec) bool
	}{
		{"53 == $srcport || 53 == $dstport", "srcport == 53 or dstport == 53", func(x rec) bool { return srcport(x) == 53 || dstport(x) == 53 }},
		{"!($srcport == 53 && $bytes > 100)", "not (srcport == 53 and bytes > 100)", func(x rec) bool { return !(srcport(x) == 53 && bytes(x) > 100) }},
		{"$tcp == $protocol && ($tcp_flags & ($TH_SYN|$TH_ACK)) == $TH_SYN", "protocol == tcp && bitand(tcp_flags, 0x12) == TH_SYN",
			func(x rec) bool { return prot(x) == 6 && flags(x)&0x12 == 2 }},
		{"$bytes / ($pkts + 1) >= 40", "bytes / (pkts + 1) >= 40", func(x rec) bool { return float64(bytes(x))/float64(pkts(x)+1) >= 40 }},
		{"$srcip eq '10.0.0.1' or $srcip =~ /^10\\.128\\./", `srcip == "10.0.0.1" || srcip matches "^10\\.128\\."`,
			func(x rec) bool { return srcip(x) == "10.0.0.1" || strings.HasPrefix(srcip(x), "10.128.") }},
		{"within($srcip, '10.0.0.0/9')", "within(srcip, '10.0.0.0/9')", func(x rec) bool { return net.Contains(x.l.Addr(x.r, flow.SrcAddr)) }},
		{"($srcaddr & 0xff800000) == 10 << 24", "bitand(srcaddr, 0xff800000) == 10 * 16777216", func(x rec) bool { return net.Contains(x.l.Addr(x.r, flow.SrcAddr)) }},
		{"$dstport >= 50 and $dstport <= 60", "dstport in 50..60", func(x rec) bool { return dstport(x) >= 50 && dstport(x) <= 60 }},
		{"$dstport == 53 || $dstport == 80 || $dstport == 443", "dstport in [53, 80, 443]", func(x rec) bool { p := dstport(x); return p == 53 || p == 80 || p == 443 }},
		{"$srcip eq '10.0.0.1' || $srcip eq '10.0.0.2'", "srcip in ['10.0.0.1', '10.0.0.2', 'x']", func(x rec) bool { return srcip(x) == "10.0.0.1" || srcip(x) == "10.0.0.2" }},
		{"$TCPFlags =~ /SYN/", "TCPFlags contains 'SYN'", func(x rec) bool { return prot(x) == 6 && flags(x)&2 != 0 }},
		{"$srcport < $dstport ? $srcport < 54 : $dstport < 54", "srcport < dstport ? srcport < 54 : dstport < 54", func(x rec) bool { return min(srcport(x), dstport(x)) < 54 }},
		{"$Bps > 1e2 xor $srcport", "(Bps > 1e2) != (srcport != 0)", func(x rec) bool {
			return float64(bytes(x))/float64(max(x.l.Duration(x.r)/1000, 1)) > 100 != (srcport(x) != 0)
		}},
		{"$srcport && $dstport", "srcport != 0 && dstport != 0", func(x rec) bool { return srcport(x) != 0 && dstport(x) != 0 }},
		{"-$srcport < -53", "-srcport < -53", func(x rec) bool { return srcport(x) > 53 }},
		{"length($srcip) == 8", "len(srcip) == 8 and srcip startsWith '1' || srcip endsWith '@' || len(srcip) == 8", func(x rec) bool { return len(srcip(x)) == 8 }},
	} {
		programs := make(map[string]*Program)
		for _, text := range []string{c.perl, c.native} {
			p, err := Compile(Source{Each: text}, Options{})
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			programs[text] = p
		}
		rnd := rand.New(rand.NewPCG(3, 4))
		for _, v := range []flow.Version{{Export: 5}, {Export: 1}, {Export: 6}, {Export: 7}} {
			l, err := flow.LayoutOf(v)
			if err != nil {
				t.Fatal(err)
			}
			for range 300 {
				r := make(flow.Record, l.Size)
				for f := range l.Fields.All() {
					l.PutUint(r, f, rnd.Uint64()>>(8*rnd.IntN(8)))
				}
				pick := func(f flow.Field, vs ...uint64) { l.PutUint(r, f, vs[rnd.IntN(len(vs))]) }
				pick(flow.SrcPort, 0, 53, 80, 1024, rnd.Uint64())
				pick(flow.DstPort, 0, 53, 54, 443, rnd.Uint64())
				pick(flow.Prot, 1, 6, 17)
				pick(flow.SrcAddr, 0x0a000001, 0x0a000002, 0x0a800001, rnd.Uint64())
				want := c.want(rec{l, r})
				for text, p := range programs {
					p.Use(l)
					if got, err := p.Match(r); err != nil || got != want {
						t.Fatalf("%s: %v, %v, want %v for record %x of version %v", text, got, err, want, r, v)
					}
				}
			}
		}
	}
}

func TestIsPerl(t *testing.T) {
	for text, want := range map[string]bool{
		"$srcport == 5": true, "srcport == 5": false, "print 'x'": true, "1": false, "": false, `srcip matches "^10$"`: false,
		`"$srcip" eq 'x'`: true, `srcip == '$x'`: false, "exit": true, "$env.srcport == 1": false, "${srcport}": true, "any([srcport], # == 5)": false,
	} {
		if isPerl(text) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}

// TestDoesNotAllocate: the usual expressions cost nothing but time.
func TestDoesNotAllocate(t *testing.T) {
	l, r := sample(t, tcpFlow)
	for _, e := range benchmarks {
		if e.allocates {
			continue
		}
		p, err := Compile(Source{Each: e.text}, Options{Stdout: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		p.Use(l)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := p.Match(r); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", e.text, n)
		}
	}
}

var benchmarks = []struct {
	name, text string
	allocates  bool
}{
	{"port", "53 == $srcport || 53 == $dstport", false},
	{"flags", "$tcp == $protocol && ($tcp_flags & ($TH_SYN|$TH_ACK)) == $TH_SYN && $bytes > 1000", false},
	{"address", "$srcip eq '10.0.0.1' || $dstip eq '192.168.0.2'", false},
	{"regexp", `$srcip =~ /^10\.1\.[345]\./`, false},
	{"prefix", "within($srcip, '10.0.0.0/8')", false},
	{"ratio", "$bytes / $pkts > 1400", false},
	{"time", "$endtime - $startime > 60", false},
	{"counter", "$n++ < 5", false},
	{"native", "dstport in [53, 80, 443] and srcip in ['10.0.0.1']", false},
	{"machine", "$srcport < $dstport ? $srcport == 53 : $dstport == 53", false},
	{"print", `print "$srcip $bytes\n"`, false},
	{"concat", `"$srcip:$srcport" eq '10.0.0.1:53'`, true},
}

func BenchmarkMatch(b *testing.B) {
	l, r := sample(b, tcpFlow)
	for _, e := range benchmarks {
		b.Run(e.name, func(b *testing.B) {
			p, err := Compile(Source{Each: e.text}, Options{Stdout: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			p.Use(l)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Match(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(Source{Each: benchmarks[0].text}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestManual: the examples of the manual are what they say.
func TestManual(t *testing.T) {
	for _, r := range native {
		if isPerl(r.text) {
			t.Errorf("%s is Perl", r.text)
		}
		if _, err := Compile(Source{Each: r.text}, Options{}); err != nil {
			t.Error(err)
		}
	}
	translated := 0
	for _, r := range idioms {
		if !isPerl(r.text) {
			continue // a list of literals
		}
		translated++
		if _, err := Compile(Source{Each: r.text}, Options{}); err != nil {
			t.Error(err)
		}
	}
	if translated < 10 {
		t.Errorf("%d idioms", translated)
	}
	for _, page := range []string{Notes(), Markdown()} {
		for i := range variables {
			if !strings.Contains(page, variables[i].name) || !strings.Contains(page, strings.ReplaceAll(variables[i].doc, "|", "")) && !strings.Contains(variables[i].doc, "|") {
				t.Errorf("%s is not in the manual", variables[i].name)
			}
		}
	}
}
