package clib

import (
	"fmt"
	"strings"
)

// A Set is a set of small numbers: the lists of ports, interfaces, AS numbers
// and protocols in options and tag files.
type Set struct {
	size int
	bits []uint64
}

// NewSet returns an empty set for numbers below size.
func NewSet(size int) *Set {
	return &Set{size: size, bits: make([]uint64, (size+63)/64)}
}

// Has reports whether v is in the set; nothing at or above its size is.
func (s *Set) Has(v uint) bool {
	return v>>6 < uint(len(s.bits)) && s.bits[v>>6]>>(v&63)&1 != 0
}

// Put adds v (in) or removes it; a number at or above the size is left out.
func (s *Set) Put(v uint, in bool) {
	switch {
	case v >= uint(s.size):
	case in:
		s.bits[v>>6] |= 1 << (v & 63)
	default:
		s.bits[v>>6] &^= 1 << (v & 63)
	}
}

func (s *Set) fill(in bool) {
	for v := range uint(s.size) {
		s.Put(v, in)
	}
}

// ParseSet reads a number list over the numbers below size: elements in C
// notation separated by commas, A-B ranges, and a leading ! that starts with
// everything and makes the elements remove. Junk behind a number is skipped, no
// digits are 0, a reversed range adds its first number. A number below 0 or not
// below size is an error.
//
// Compat: ! counts only at the start of the list ("!80,!443" leaves out 80 and
// 0), a run of separators counts as one, and 5-7-9 is 5-7 and 9.
func ParseSet(list string, size int) (*Set, error) {
	s := NewSet(size)
	text := strings.TrimLeft(list, " \t")
	in := !strings.HasPrefix(text, "!")
	if !in {
		s.fill(true)
		text = text[1:]
	}
	number := func() (uint, error) {
		v, rest := Strtol(text, 0)
		if v < 0 || v >= int64(size) {
			return 0, fmt.Errorf("list %q: %d is not in 0..%d", list, v, size-1)
		}
		text = rest[separator(rest):]
		return uint(v), nil
	}
	for text != "" {
		from, err := number()
		if err != nil {
			return nil, err
		}
		to := from
		if strings.HasPrefix(text, "-") {
			text = text[1:]
			if to, err = number(); err != nil {
				return nil, err
			}
		}
		s.Put(from, in)
		for v := from; v <= to; v++ {
			s.Put(v, in)
		}
		text = strings.TrimLeft(text, ",-")
	}
	return s, nil
}

// separator is the index of the next , or - in s, or its length.
func separator(s string) int {
	if i := strings.IndexAny(s, ",-"); i >= 0 {
		return i
	}
	return len(s)
}
