package flowexpr

import (
	"math"
	"strconv"
	"strings"
)

// This file reads what Perl's literals are made of: strings, numbers, patterns.

// literal is a number: an integer of 64 bits, signed or not, or a real.
type literal struct {
	bits uint64
	real float64
	kind kind // integer, wide or real
}

// single reads a string to its closing quote without interpolation.
func (p *parser) single(closing byte) string {
	var b strings.Builder
	start := p.pos - 1
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == closing:
			return b.String()
		case c == '\\' && (p.peek() == closing || p.peek() == '\\'):
			c = p.src[p.pos]
			p.pos++
		}
		b.WriteByte(c)
	}
	p.fail(start, "the string has no end")
	return ""
}

var escapes = map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'f': '\f', 'a': '\a', 'e': 0x1b, '0': 0}

// double reads a string to its closing quote, with variables in it.
func (p *parser) double(pos int, closing byte) *node {
	n := &node{op: opConcat, pos: pos}
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			n.args = append(n.args, &node{op: opString, pos: pos, text: b.String()})
			b.Reset()
		}
	}
	for p.err == nil {
		if p.pos >= len(p.src) {
			p.fail(pos, "the string has no end")
			return n
		}
		c, at := p.src[p.pos], p.pos
		p.pos++
		switch {
		case c == closing:
			flush()
			if len(n.args) == 0 {
				return &node{op: opString, pos: pos}
			}
			if len(n.args) == 1 && n.args[0].op == opString {
				return n.args[0]
			}
			return n
		case c == '\\':
			p.escape(&b, at)
		case c == '$':
			name, end := variableAt(p.src, at)
			if name == "" {
				p.refuse(at, "special variable "+special(p.src[at:]))
				return n
			}
			if rest := p.src[end:]; strings.HasPrefix(rest, "[") || strings.HasPrefix(rest, "{") ||
				strings.HasPrefix(rest, "->[") || strings.HasPrefix(rest, "->{") {
				p.refuse(at, "element of $"+name+" in a string (write \\ before the bracket)")
				return n
			}
			flush()
			if p.terms++; p.terms > maxTerms {
				p.fail(at, "more than %d operands", maxTerms)
			}
			n.args = append(n.args, &node{op: opVar, pos: at, text: name})
			p.pos = end
		case c == '@' && (isNameStart(p.peek()) || p.peek() == '{'):
			p.refuse(at, "array "+firstWord(p.src[at:])+" in a string")
		default:
			b.WriteByte(c)
		}
	}
	return n
}

// escape reads what follows a backslash in a string.
func (p *parser) escape(b *strings.Builder, at int) {
	if p.pos >= len(p.src) {
		return // the caller sees the end
	}
	c := p.peek()
	p.pos++
	if to, ok := escapes[c]; ok && !(c == '0' && isDigit(p.peek())) {
		b.WriteByte(to)
		return
	}
	switch {
	case c == 'x':
		digits := ""
		if p.peek() == '{' {
			end := strings.IndexByte(p.src[p.pos:], '}')
			if end < 0 {
				p.fail(at, "\\x{ has no end")
				return
			}
			digits = p.src[p.pos+1 : p.pos+end]
			p.pos += end + 1
		} else {
			for len(digits) < 2 && strings.IndexByte("0123456789abcdefABCDEF", p.peek()) >= 0 && p.peek() != 0 {
				digits += string(p.peek())
				p.pos++
			}
		}
		v, err := strconv.ParseUint("0"+digits, 16, 8)
		if err != nil {
			p.fail(at, "\\x{%s} is no octet", digits)
			return
		}
		b.WriteByte(byte(v))
	case isName(c):
		p.refuse(at, "escape \\"+string(rune(c))+" in a string")
	default:
		b.WriteByte(c)
	}
}

// number reads a literal.
func (p *parser) number() literal {
	start := p.pos
	s := p.src[start:]
	digits := func(i int, set string) int {
		for i < len(s) && strings.IndexByte(set, s[i]) >= 0 {
			i++
		}
		return i
	}
	end, base := 0, 10
	switch {
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X"):
		end, base = digits(2, "0123456789abcdefABCDEF_"), 16
	case len(s) > 2 && (s[:2] == "0b" || s[:2] == "0B"):
		end, base = digits(2, "01_"), 2
	case len(s) > 1 && s[0] == '0' && (isDigit(s[1]) || s[1] == '_'):
		end, base = digits(1, "01234567_"), 8
		if end < len(s) && isDigit(s[end]) {
			p.fail(start+end, "%q is no octal digit", s[end:end+1])
			return literal{}
		}
	default:
		end = digits(0, "0123456789_")
		if end+1 < len(s) && s[end] == '.' && s[end+1] != '.' || end+1 == len(s) && s[end] == '.' {
			end = digits(end+1, "0123456789_")
			base = 0
			if end+1 < len(s) && s[end] == '.' && isDigit(s[end+1]) {
				p.fail(start, "%s without quotes is a version, not an address", s[:digits(end, "0123456789.")])
				return literal{}
			}
		}
		if end < len(s) && s[end]|0x20 == 'e' {
			i := end + 1
			if i < len(s) && (s[i] == '+' || s[i] == '-') {
				i++
			}
			if j := digits(i, "0123456789"); j > i {
				end, base = j, 0
			}
		}
	}
	p.pos = start + end
	text := strings.ReplaceAll(s[:end], "_", "")
	switch base {
	case 16, 2:
		text = text[2:]
	case 10:
		if v, err := strconv.ParseUint(text, 10, 64); err == nil {
			return integerLiteral(v)
		}
		fallthrough
	case 0:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil && !math.IsInf(v, 0) {
			p.fail(start, "%q is no number", text)
		}
		return literal{real: v, kind: real}
	}
	v, err := strconv.ParseUint(text, base, 64)
	if err != nil {
		p.fail(start, "%q is no number of 64 bits", s[:end])
	}
	return integerLiteral(v)
}

func integerLiteral(v uint64) literal {
	if v > math.MaxInt64 {
		return literal{bits: v, kind: wide}
	}
	return literal{bits: v, kind: integer}
}

// quoteLike are the words that quote what follows them.
var quoteLike = []string{"q", "qq", "qw", "m", "qr", "s", "tr", "y"}

var closers = map[byte]byte{'(': ')', '[': ']', '{': '}', '<': '>'}

// delimiter skips the quote behind a quoteLike word; ok is false where there is none.
func (p *parser) delimiter() (closing byte, ok bool) {
	save := p.pos
	if p.peek() != '#' { // a comment only after a blank
		p.space()
	}
	c := p.peek()
	if c == 0 || c == ',' || c == ';' || c == ')' || c == '=' && p.at(1) == '>' || isName(c) {
		p.pos = save
		return 0, false
	}
	p.pos++
	if closing, ok := closers[c]; ok {
		return closing, true
	}
	return c, true
}

// pattern reads the right side of =~.
func (p *parser) pattern() *node {
	p.space()
	pos := p.pos
	n := &node{op: opMatch, pos: pos}
	closing := byte('/')
	switch word := p.peekWord(); {
	case p.peek() == '/':
		p.pos++
	case p.peek() == '"' || p.peek() == '\'':
		closing = p.peek()
		p.pos++
	case word == "m":
		p.pos++
		var ok bool
		if closing, ok = p.delimiter(); !ok {
			p.unexpected()
			return n
		}
	case word == "s" || word == "tr" || word == "y":
		p.refuse(pos, word+"/// (it changes its variable)")
		return n
	default:
		p.refuse(pos, "pattern "+firstWord(p.src[pos:])+" that is no /.../")
		return n
	}
	text := p.raw(pos, closing)
	flags := ""
	if closing != '"' && closing != '\'' {
		end := nameEnd(p.src, p.pos)
		flags = p.src[p.pos:end]
		p.pos = end
	}
	if p.err != nil {
		return n
	}
	re, err := translatePattern(text, flags)
	if err != nil {
		p.fail(pos, "%v", err)
	}
	n.text = re
	return n
}

// raw reads a pattern to its end; the escape of a delimiter is resolved.
func (p *parser) raw(pos int, closing byte) string {
	var b strings.Builder
	opening, nested := byte(0), 0
	for o, c := range closers {
		if c == closing {
			opening = o
		}
	}
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == '\\' && p.pos < len(p.src):
			next := p.src[p.pos]
			p.pos++
			if next != closing || opening != 0 {
				b.WriteByte(c)
			}
			b.WriteByte(next)
			continue
		case c == closing && nested == 0:
			return b.String()
		case c == closing:
			nested--
		case c == opening && opening != 0:
			nested++
		}
		b.WriteByte(c)
	}
	p.fail(pos, "the pattern has no end")
	return ""
}
