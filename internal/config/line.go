package config

import (
	"strings"

	"flowtools/internal/clib"
)

// A Line hands the words behind a keyword to its row. The first failure is
// latched: every later call returns zero values, and the load ends with it.
type Line struct {
	Pos
	text string // what is left, behind the one blank or tab that ended the last word
	more bool   // such a blank was there, so text may be looked at
	err  error
	opt  *Options
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// next takes the next word; ok is false at the end of the line.
func (l *Line) next() (word string, ok bool) {
	i := 0
	for i < len(l.text) && blank(l.text[i]) {
		i++
	}
	start := i
	for i < len(l.text) && !blank(l.text[i]) {
		i++
	}
	word = l.text[start:i]
	l.more = i < len(l.text)
	if l.more {
		i++
	}
	l.text = l.text[i:]
	return word, word != ""
}

func (l *Line) unexpected(word, want string) error {
	if want == "" {
		return l.Errorf("Unexpected %q.", word)
	}
	return l.Errorf("Unexpected %q. Expecting %s.", word, want)
}

// Fail latches err as it is, for errors that carry a place of their own.
func (l *Line) Fail(err error) {
	if l.err == nil {
		l.err = err
	}
}

// Failf latches an error at this line.
func (l *Line) Failf(format string, args ...any) { l.Fail(l.Errorf(format, args...)) }

// Failed reports whether the line has failed.
func (l *Line) Failed() bool { return l.err != nil }

// Unexpected fails over a word; want says what would have been right.
func (l *Line) Unexpected(word, want string) { l.Fail(l.unexpected(word, want)) }

// Warnf passes a warning at this line on; the load goes on.
func (l *Line) Warnf(format string, args ...any) {
	if l.opt.Warn != nil {
		l.opt.Warn(l.Errorf(format, args...))
	}
}

// More reports whether another word follows.
func (l *Line) More() bool {
	return l.err == nil && strings.Trim(l.text, " \t") != ""
}

// Word takes the next word; want names it in the error when there is none.
func (l *Line) Word(want string) string {
	if l.err != nil {
		return ""
	}
	word, ok := l.next()
	if !ok {
		l.Failf("Expecting %s.", want)
	}
	return word
}

// Ref takes a name to be resolved when the whole file is read.
func (l *Line) Ref(want string) Ref { return Ref{l.Pos, l.Word(want)} }

// OneOf takes one of some fixed words, without regard to case, and returns its
// index (0 behind a failure).
func (l *Line) OneOf(words ...string) int {
	list := words[0]
	for i, w := range words[1:] {
		if i == len(words)-2 {
			list += " or " + w
		} else {
			list += ", " + w
		}
	}
	word := l.Word(list)
	for i, w := range words {
		if clib.EqualFold(w, word) {
			return i
		}
	}
	l.Unexpected(word, list)
	return 0
}

// Choose takes a word that find knows; find gets it in lower case. want says in
// the error what is known.
func Choose[T any](l *Line, want string, find func(word string) (T, bool)) T {
	word := l.Word(want)
	if l.err == nil {
		if v, ok := find(clib.Fold(word)); ok {
			return v
		}
		l.Unexpected(word, want)
	}
	var zero T
	return zero
}

// Tail takes the rest of the line from its next word on; there must be one.
func (l *Line) Tail(want string) string {
	if l.err != nil {
		return ""
	}
	text := strings.TrimLeft(l.text, " \t")
	if text == "" {
		l.Failf("Expecting %s.", want)
	}
	l.text, l.more = "", false
	return text
}

// Raw takes everything behind the one blank or tab that ended the last word,
// further blanks and all; it fails if the line ended with that word.
func (l *Line) Raw(want string) string {
	if l.err != nil {
		return ""
	}
	if !l.more {
		l.Failf("Expecting %s.", want)
	}
	text := l.text
	l.text, l.more = "", false
	return text
}

// Uint takes a UINT, a number in C notation, cut to bits.
func (l *Line) Uint(want string, bits int) uint64 {
	return cut(clib.Uint(l.Word(want)), bits)
}

// Dec takes a DEC, the leading decimal digits of a word, cut to bits (a negative
// number wraps).
func (l *Line) Dec(want string, bits int) uint64 {
	return cut(uint64(clib.Atoi(l.Word(want))), bits)
}

func cut(v uint64, bits int) uint64 {
	if bits < 64 {
		v &= 1<<bits - 1
	}
	return v
}

// Real takes a REAL; no number is 0.
func (l *Line) Real(want string) float64 {
	f, _ := clib.Strtod(l.Word(want))
	return f
}

// Clock takes H[:M[:S]], each part a DEC of any size, as seconds.
func (l *Line) Clock(want string) (sec int64) {
	word := l.Word(want)
	parts := strings.Split(word, ":")
	if len(parts) > 3 {
		l.Unexpected(word, want)
		return 0
	}
	unit := int64(3600)
	for _, p := range parts {
		sec += int64(clib.Atoi(p)) * unit
		unit /= 60
	}
	return sec
}

// IPv4 takes an address or host name.
func (l *Line) IPv4(want string) uint32 {
	word := l.Word(want)
	if l.err != nil {
		return 0
	}
	a, ok := clib.Addr(word, l.opt.Resolve)
	l.checkAddr(word, word, ok)
	return a
}

// Prefix takes a PREFIX; the address keeps its host bits.
func (l *Line) Prefix(want string) (addr uint32, length uint8) {
	word := l.Word(want)
	if l.err != nil {
		return 0, 0
	}
	addr, length, ok := clib.Prefix(word, l.opt.Resolve)
	host, _, _ := strings.Cut(word, "/")
	l.checkAddr(word, host, ok)
	return addr, length
}

// checkAddr refuses what would be read as garbage: unknown hosts and characters
// that are no digits.
func (l *Line) checkAddr(word, host string, known bool) {
	if !known {
		l.Failf("Unknown host %q.", host)
		return
	}
	for i := range len(host) {
		if c := host[i]; clib.IsAlpha(c) {
			return // a host name that was found
		} else if c != '.' && !clib.IsDigit(c) {
			l.Unexpected(word, "an address")
			return
		}
	}
}

// Symbols finds the value of a name (sym.Table.Value).
type Symbols func(name string) (uint32, bool)

// Symbol takes a UINT of 32 bits, or a symbol if the word begins with a letter.
func (l *Line) Symbol(want string, symbols Symbols) uint32 {
	return uint32(l.number(l.Word(want), symbols))
}

// number is the value of a UINT or a symbol.
func (l *Line) number(word string, symbols Symbols) uint64 {
	if word == "" || !clib.IsAlpha(word[0]) {
		return clib.Uint(word)
	}
	if symbols != nil {
		if v, ok := symbols(word); ok {
			return uint64(v)
		}
	}
	l.Failf("Unknown symbol %q.", word)
	return 0
}

// A Span is the numbers from First to Last, both included.
type Span struct{ First, Last uint32 }

// List takes a LIST over 0..maximum: UINTs or symbols A and ranges A-B separated by
// commas, in the order written; negated tells of a leading !.
//
// Compat: elements are cut at commas and hyphens before symbols are looked up, an
// element without digits is 0 ("-6" is 0-6), and a range with B below A is A.
func (l *Line) List(want string, maximum uint32, symbols Symbols) (spans []Span, negated bool) {
	word := l.Word(want)
	text := strings.TrimPrefix(word, "!")
	element := func() (v uint32, sep byte) {
		e := text
		if i := strings.IndexAny(text, ",-"); i >= 0 {
			e, sep, text = text[:i], text[i], text[i+1:]
		} else {
			text = ""
		}
		n := l.number(e, symbols)
		if n > uint64(maximum) {
			l.Failf("%q in list %q is above %d.", e, word, maximum)
		}
		return uint32(n), sep
	}
	for text != "" && l.err == nil {
		first, sep := element()
		last := first
		if sep == '-' {
			last, _ = element()
		}
		spans = append(spans, Span{first, max(first, last)})
	}
	return spans, strings.HasPrefix(word, "!")
}

// Set takes a number list of the kind options use (clib.ParseSet); it is never
// nil.
func (l *Line) Set(want string, size int) *clib.Set {
	word := l.Word(want)
	if l.err == nil {
		s, err := clib.ParseSet(word, size)
		if err == nil {
			return s
		}
		l.Failf("%v", err)
	}
	return clib.NewSet(size)
}
