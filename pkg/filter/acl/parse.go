package acl

import (
	"fmt"
	"io"
)

// Problem is a place in a file that does not fit the grammar, or a line that
// was left out. Problems do not keep the rest from being used.
type Problem struct {
	Line    int    // from 1
	Token   string // the word that does not fit; "" at the end of the file, a line feed at the end of a line
	BadByte bool   // Token is a byte that begins no word; what follows is as if the file ended there
	Want    string // what was expected; "" for a bad byte where a line may begin, which is no syntax error
	Kept    bool   // the words before it made a statement, which counts
	Other   string // with a list of the other kind: its name (Token and Want are "")
}

// String describes p for people, without the name of the file.
func (p Problem) String() string {
	if p.Other != "" {
		return fmt.Sprintf("line %d: list %s is of the other kind, line ignored", p.Line, p.Other)
	}
	what := fmt.Sprintf("%q", p.Token)
	switch p.Token {
	case "":
		what = "end of file"
	case "\n":
		what = "end of line"
	}
	if p.Want == "" {
		return fmt.Sprintf("line %d: unexpected %s", p.Line, what)
	}
	return fmt.Sprintf("line %d: unexpected %s, expected %s", p.Line, what, p.Want)
}

// protoName holds the protocols of extended lines.
var protoName = map[int16]string{anyProto: "ip", 1: "icmp", 2: "igmp", 6: "tcp", 17: "udp"}

func protoNamed(t token) (int16, bool) {
	for p, name := range protoName {
		if t.is(name) {
			return p, true
		}
	}
	return 0, false
}

// Parse reads a file of access lists. Nothing in it is fatal: problems go to
// report in file order, and the error is that of reading r.
//
// Compat: at the first word that does not fit reading stops, unless the last
// piece of 8192 bytes was a full one; then it starts anew behind that word.
func Parse(r io.Reader, report func(Problem)) (*File, error) {
	p := &parser{
		scan: newScanner(r), report: report,
		file: &File{byName: map[string]*List{}},
	}
	for p.scan.full && p.scan.err == nil {
		p.lines()
	}
	return p.file, p.scan.err
}

type parser struct {
	scan   *scanner
	report func(Problem)
	file   *File
	tok    token // the word at hand
}

func (p *parser) advance() { p.tok = p.scan.next() }

// word takes the keyword if it is the one at hand.
func (p *parser) word(w string) bool {
	if !p.tok.is(w) {
		return false
	}
	p.advance()
	return true
}

// lines reads lines until a word does not fit or the file ends.
func (p *parser) lines() {
	for first := true; ; first = false {
		p.advance()
		switch {
		case p.tok.kind == newline:
			continue
		case p.tok.kind == comment:
			p.advance()
			if p.tok.kind == newline {
				continue
			}
			p.fail("end of line", false)
		case p.tok.kind == endOfFile && !first:
		case p.tok.kind == badByte && !first:
			p.report(Problem{Line: p.tok.line, Token: p.tok.text, BadByte: true})
		default:
			want, complete := p.statement()
			if complete && p.tok.kind == newline {
				continue
			}
			p.fail(want, complete)
		}
		return
	}
}

func (p *parser) fail(want string, kept bool) {
	if p.scan.err != nil {
		return // the file did not end here
	}
	p.report(Problem{Line: p.tok.line, Token: p.tok.text, BadByte: p.tok.kind == badByte, Want: want, Kept: kept})
}

// statement reads one statement up to the first word that is not part of it,
// and adds its line to a list if it is complete. Want says what could have
// stood at that word.
func (p *parser) statement() (want string, complete bool) {
	var list string
	numbered, kind := false, Standard
	switch {
	case p.word("access-list"):
		if p.tok.kind != number {
			return "the number of a list", false
		}
		list, numbered = p.tok.text, true
		p.advance()
	case p.word("ip"):
		if !p.word("access-list") {
			return "access-list", false
		}
		switch {
		case p.word("standard"):
		case p.word("extended"):
			kind = Extended
		default:
			return "standard or extended", false
		}
		if p.tok.kind != name {
			return "the name of a list", false
		}
		list = p.tok.text
		p.advance()
	default:
		return "access-list, ip access-list or a comment", false
	}

	var ln line
	switch {
	case p.word("permit"):
		ln.permit = true
	case p.word("deny"):
	default:
		return "permit or deny", false
	}
	if numbered {
		// The body tells the kind: addresses begin a standard one.
		if _, ok := protoNamed(p.tok); ok {
			kind = Extended
		}
	}
	if kind == Extended {
		want, complete = p.extended(&ln)
	} else if want, complete = p.standard(&ln); !complete && numbered {
		want += ", ip, tcp, udp, icmp or igmp"
	}
	if complete {
		p.add(list, kind, ln)
	}
	return want, complete
}

// add appends a line to its list.
func (p *parser) add(list string, kind Kind, ln line) {
	l := p.file.byName[list]
	if l == nil {
		l = &List{Name: list, Kind: kind}
		p.file.byName[list] = l
		p.file.lists = append(p.file.lists, l)
	}
	if l.Kind != kind {
		p.report(Problem{Line: p.tok.line, Other: list})
		return
	}
	l.lines = append(l.lines, ln)
}

// standard reads the body of a standard line.
func (p *parser) standard(ln *line) (want string, complete bool) {
	switch {
	case p.word("any"):
		ln.src = pattern{0, 1<<32 - 1}
		return "end of line", true
	case p.word("host"):
		if p.tok.kind != address {
			return "an address", false
		}
		ln.src = pattern{p.tok.addr, 0}
		p.advance()
		return "end of line", true
	case p.tok.kind == address:
		ln.src = pattern{p.tok.addr, 0}
		if p.advance(); p.tok.kind != address {
			return "a mask or end of line", true
		}
		ln.src.wild = p.tok.addr
		p.advance()
		return "end of line", true
	}
	return "any, host or an address", false
}

// where reads the address part of an extended line; want is "" when it is there.
func (p *parser) where(at *pattern) (want string) {
	switch {
	case p.word("any"):
		*at = pattern{0, 1<<32 - 1}
		return ""
	case p.word("host"):
		if p.tok.kind != address {
			return "an address"
		}
		*at = pattern{p.tok.addr, 0}
		p.advance()
		return ""
	case p.tok.kind == address:
		at.addr = p.tok.addr
		if p.advance(); p.tok.kind != address {
			return "a mask"
		}
		at.wild = p.tok.addr
		p.advance()
		return ""
	}
	return "any, host or an address with its mask"
}

// port reads an optional port part and says whether there is one.
func (p *parser) port() (want string, present bool) {
	values := 1
	switch {
	case p.word("lt"), p.word("gt"), p.word("eq"), p.word("neq"):
	case p.word("range"):
		values = 2
	default:
		return "", false
	}
	for range values {
		if !p.value() {
			return "a port", true
		}
	}
	return "", true
}

// value takes a number or name.
func (p *parser) value() bool {
	if p.tok.kind != number && p.tok.kind != name {
		return false
	}
	p.advance()
	return true
}

// extended reads the body of an extended line.
func (p *parser) extended(ln *line) (want string, complete bool) {
	proto, ok := protoNamed(p.tok)
	if !ok {
		return "ip, tcp, udp, icmp or igmp", false
	}
	p.advance()
	ln.proto = proto
	ports := proto == 6 || proto == 17
	more := false // the line says more than protocol and addresses
	for _, at := range []*pattern{&ln.src, &ln.dst} {
		if want := p.where(at); want != "" {
			return want, false
		}
		if ports {
			want, present := p.port()
			if want != "" {
				return want, false
			}
			more = more || present
		}
	}
	end := "precedence, tos, log or end of line"
	switch {
	case proto == 6 && p.word("established"):
		more = true
	case proto == 6:
		end = "a port, established, " + end
	case proto == 17:
		end = "a port, " + end
	case proto != anyProto && p.value():
		more = true
	case proto != anyProto:
		end = "a type, " + end
	}
	for _, option := range []string{"precedence", "tos"} {
		if p.word(option) {
			more = true
			if !p.value() {
				return "a value of " + option, false
			}
			end = "log or end of line"
		}
	}
	if p.word("log") {
		more = true
		end = "end of line"
	}
	ln.never = more && proto != anyProto
	return end, true
}
