package flowexpr

import (
	"fmt"
	"strings"

	"flowtools/internal/dumper"
)

// This file is the manual of the language: as notes of flowdumper's manual page
// and as a page of its own, both made of the tables below and those the
// translation itself uses.

const introduction = `The expressions of -e, -I and -E are in expr-lang, or in Perl when a $variable is in them (or when they begin with a word that only Perl has there, such as print). ` +
	`Perl is translated to expr-lang, type by type; -V shows the result. What is not translated is an error that names it: no expression means something else than it does in Perl.`

const variablesText = `The variables of a flow; Perl writes a $ before them. Fields that the records do not have are 0. In -I and -E, where there is no flow, all are 0 or empty.`

const constantsText = `Named numbers, likewise:`

const nativeText = `Of expr-lang there is everything but now(), with the variables as int, float64 and string. What Perl does not have:`

var native = [...]struct{ text, doc string }{
	{`dstport in [53, 853]`, "one of a list"},
	{`srcport in 1..1023`, "a range"},
	{`srcip in ["10.0.0.1", "10.0.0.2"]`, "one of a list of addresses"},
	{`within(srcip, "10.0.0.0/8")`, "an address in a prefix; this one in Perl, too"},
	{`bitand(tcp_flags, TH_SYN) != 0`, "bits"},
	{`srcip startsWith "10." and not (localtime contains " 00:")`, "texts: also endsWith, matches and =="},
	{`any([srcport, dstport], # < 1024)`, "any, all, none and one of a list"},
}

const perlText = `Perl that is translated, with the precedences and the meaning it has there:`

var idioms = [...]struct{ text, doc string }{
	{`53 == $srcport || 53 == $dstport`, "== != < <= > >= on numbers; && || ! and or not xor; ?: and parentheses"},
	{`$srcip eq '10.0.0.1'`, "eq ne lt le gt ge on strings"},
	{`$srcip =~ /^10\.1\./`, "=~ and !~ with /.../ or m{...}, flags i m s; patterns without variables, look-around and back references"},
	{`$bytes / $pkts > 1400`, "+ - * / % ** . and & | ^ ~ << >>"},
	{`0x1b, 0b11, 017, 1_000, 1.5e3`, "numbers; 'strings', \"strings with $variables\", q() and qq()"},
	{`$bytes > 1e6 unless $dstport == 80`, "EXPR if COND, EXPR unless COND (true when COND is, as in Perl)"},
	{`$n++ < 10`, "variables of your own, from -I to -E: = ++ -- += -= *= /= %= **= .= &= |= ^= <<= >>=; my and our may stand before them"},
	{`$dstport = 80; $srcaddr &= ~0xff`, "assignment to a field of the flow, for -R and the printed formats"},
	{`print "$srcip $bytes\n"`, "print and printf, also to STDERR, in a statement or behind && and the like; sprintf"},
	{`scalar(localtime($endtime))`, "int, abs, length, defined, exit; localtime where it is a string"},
	{`$srcaddr >> 8 == unpack('N', inet_aton('10.1.2.0')) >> 8`, "unpack of inet_aton or of pack('C4', ...), as the number of an address; use Socket may stand before them"},
	{`$ok = $pkts > 1; $ok && $tos`, "statements, separated by ;: the last one decides"},
}

const missingText = `Perl that is refused: arrays, hashes and their elements; foreach, for, while, blocks and subroutines; s/// and tr///; $_ and the other special variables; ranges, x and <=>; ` +
	`other modules; every other function. For hashes that add up by address or port see flow-stat(1) and flow-report(1).`

const differences = `What differs: a string in the place of a number is an error, where Perl takes its leading digits, as is a variable that nothing assigns to. A variable of your own holds ` +
	`numbers or strings, not both; an undefined value or a false comparison stored in one is 0. Whole numbers are exact to 2**63 (Perl: 2**64), and those beyond 2**53 that a division or a product made ` +
	`cannot be operands of % and of operators on bits. What print wrote before a division by zero stays written.`

// Notes is the section of a manual page on expressions.
func Notes() string {
	var b strings.Builder
	b.WriteString(introduction + "\n\n" + variablesText + "\n\n")
	for i := range variables {
		fmt.Fprintf(&b, "  %-13s %s\n", variables[i].name, variables[i].doc)
	}
	b.WriteString("\n" + constantsText + "\n\n" + constantNames() + "\n" + nativeText + "\n\n")
	for _, r := range native {
		fmt.Fprintf(&b, "  %s\n      %s\n", r.text, r.doc)
	}
	b.WriteString("\n" + perlText + "\n\n")
	for _, r := range idioms {
		b.WriteString("  " + r.text + "\n")
		for _, line := range wrap(r.doc) {
			b.WriteString("      " + line + "\n")
		}
	}
	b.WriteString("\n" + missingText + "\n\n" + differences + "\n")
	return b.String()
}

// wrap breaks a text into lines for Notes.
func wrap(s string) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(s) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) > 68:
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}

// constantNames lists the named numbers.
func constantNames() string {
	var words []string
	for _, c := range dumper.Constants() {
		words = append(words, fmt.Sprintf("%s=%d", c.Name, c.Value))
	}
	return "  " + strings.Join(wrap(strings.Join(words, " ")), "\n  ") + "\n"
}

// Markdown is the manual of the language as a page, below a heading.
func Markdown() string {
	var b strings.Builder
	b.WriteString(introduction + "\n\n### Variables\n\n" + variablesText + "\n\n| variable | |\n|---|---|\n")
	for i := range variables {
		fmt.Fprintf(&b, "| `%s` | %s |\n", variables[i].name, cell(variables[i].doc))
	}
	b.WriteString("\n" + constantsText + "\n\n```\n" + strings.ReplaceAll(constantNames(), "  ", "") + "```\n")
	section := func(title, text string, rows []struct{ text, doc string }) {
		b.WriteString("\n### " + title + "\n\n" + text + "\n\n| | |\n|---|---|\n")
		for _, r := range rows {
			fmt.Fprintf(&b, "| `%s` | %s |\n", cell(r.text), cell(r.doc))
		}
	}
	section("expr-lang", nativeText, native[:])
	section("Perl", perlText, idioms[:])
	b.WriteString("\n" + missingText + "\n\n" + differences + "\n\n")
	b.WriteString("How some expressions are translated:\n\n| Perl | expr-lang |\n|---|---|\n")
	for _, r := range idioms {
		if p, err := Compile(Source{Each: r.text}, Options{}); err == nil {
			_, native, _ := strings.Cut(strings.TrimSpace(p.Translation()), ": ")
			fmt.Fprintf(&b, "| `%s` | `%s` |\n", cell(r.text), cell(native))
		}
	}
	return b.String()
}

// cell escapes a text for a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
