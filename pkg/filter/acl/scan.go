package acl

import (
	"errors"
	"io"
)

// pieceSize is how much of the file is taken at a time.
//
// Compat: it shows. After a syntax error reading goes on only while the last
// piece taken was a full one (flow-filter.md, Errors; goldens acl-long-*).
const pieceSize = 8192

// maxFile bounds a file: a device would go on for ever.
const maxFile = 16 << 20

var errTooLarge = errors.New("file too large")

// kind is the kind of a token.
type kind uint8

const (
	endOfFile kind = iota
	badByte        // a byte no token begins with; reads as the end of the file
	newline
	comment
	keyword
	address
	number
	name
)

// token is one word of a file. Text is as written; comments are cut.
type token struct {
	kind kind
	text string
	addr uint32 // of an address
	line int    // it stands on, from 1
}

// is reports whether t is the keyword word.
func (t token) is(word string) bool { return t.kind == keyword && t.text == word }

// keywords in lower case only. Those with a hyphen are not found here: no name
// has one, see word.
var keywords = map[string]bool{
	"permit": true, "deny": true, "host": true, "any": true, "ip": true, "tcp": true, "udp": true, "icmp": true, "igmp": true,
	"precedence": true, "tos": true, "log": true, "lt": true, "gt": true, "eq": true, "neq": true, "range": true,
	"established": true, "extended": true, "standard": true,
}

// hyphenated keywords continue the name before their hyphen.
var hyphenated = map[string]string{"access": "-list", "icmp": "-type"}

// scanner splits a file into tokens, looking no further ahead than the longest
// match needs.
type scanner struct {
	r    io.Reader
	buf  []byte // taken from r and not yet consumed
	room []byte // what buf is a part of
	line int
	size int   // of what was taken
	full bool  // the last piece was a full one
	err  error // of reading
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, line: 1, full: true}
}

// at returns the byte i places ahead, and false behind the end of the file.
func (s *scanner) at(i int) (byte, bool) {
	for i >= len(s.buf) {
		if !s.full {
			return 0, false
		}
		s.take()
	}
	return s.buf[i], true
}

// take reads the next piece.
func (s *scanner) take() {
	kept := copy(s.room, s.buf)
	if need := kept + pieceSize; need > len(s.room) {
		grown := make([]byte, max(need, 2*len(s.room)))
		copy(grown, s.room[:kept])
		s.room = grown
	}
	n, err := io.ReadFull(s.r, s.room[kept:kept+pieceSize])
	s.buf = s.room[:kept+n]
	s.full = n == pieceSize
	if s.size += n; s.size > maxFile {
		s.full, s.err = false, errTooLarge
		return
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		s.err = err
	}
}

// run returns the length of the run of bytes in class from i on.
func (s *scanner) run(i int, class func(byte) bool) int {
	n := 0
	for {
		if c, ok := s.at(i + n); !ok || !class(c) {
			return n
		}
		n++
	}
}

func (s *scanner) token(k kind, n int) token {
	t := token{kind: k, text: string(s.buf[:n]), line: s.line}
	s.buf = s.buf[n:]
	return t
}

// next returns the next token.
func (s *scanner) next() token {
	for {
		c, ok := s.at(0)
		switch {
		case !ok:
			return token{kind: endOfFile, line: s.line}
		case isBlank(c):
			s.buf = s.buf[1:]
		case c == '\n':
			t := s.token(newline, 1)
			s.line++
			return t
		case c == '!':
			return s.comment()
		case isDigit(c):
			return s.digits()
		case isLetter(c):
			return s.word()
		default:
			return s.token(badByte, 1)
		}
	}
}

// comment consumes the rest of the line, however long, and keeps its start.
func (s *scanner) comment() token {
	t := token{kind: comment, line: s.line}
	var text [80]byte
	n := 0
	for {
		c, ok := s.at(0)
		if !ok || c == '\n' {
			t.text = string(text[:n])
			return t
		}
		if n < len(text) {
			text[n] = c
			n++
		}
		s.buf = s.buf[1:]
	}
}

// digits reads an address or, where four groups are not there, a number.
func (s *scanner) digits() token {
	first := s.run(0, isDigit)
	n, addr := first, uint32(octet(s.buf[:first]))
	for range 3 {
		if c, ok := s.at(n); !ok || c != '.' {
			return s.token(number, first)
		}
		d := s.run(n+1, isDigit)
		if d == 0 {
			return s.token(number, first)
		}
		addr = addr<<8 | uint32(octet(s.buf[n+1:n+1+d]))
		n += 1 + d
	}
	t := s.token(address, n)
	t.addr = addr
	return t
}

// octet is the value of digits modulo 256.
func octet(digits []byte) (v byte) {
	for _, d := range digits {
		v = v*10 + d - '0'
	}
	return v
}

// word reads a name or a keyword.
func (s *scanner) word() token {
	n := s.run(0, isWord)
	if tail, ok := hyphenated[string(s.buf[:n])]; ok && s.follows(n, tail) {
		return s.token(keyword, n+len(tail))
	}
	if keywords[string(s.buf[:n])] {
		return s.token(keyword, n)
	}
	return s.token(name, n)
}

// follows reports whether text stands i places ahead.
func (s *scanner) follows(i int, text string) bool {
	for k := range len(text) {
		if c, ok := s.at(i + k); !ok || c != text[k] {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool  { return c == ' ' || c == '\t' || c == '\r' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }
