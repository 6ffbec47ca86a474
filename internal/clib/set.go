package clib

import (
	"fmt"
	"iter"
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

// PutRange is Put for the numbers from first to last, none if last is below
// first. It sets 64 at a time: outside text may have any number of wide ranges.
func (s *Set) PutRange(first, last uint, in bool) {
	for i, word := range s.words(first, last) {
		if in {
			s.bits[i] |= word
		} else {
			s.bits[i] &^= word
		}
	}
}

// HasAny reports whether any number from first to last is in the set.
func (s *Set) HasAny(first, last uint) bool {
	for i, word := range s.words(first, last) {
		if s.bits[i]&word != 0 {
			return true
		}
	}
	return false
}

// words yields the indexes in bits that first to last fall into, with their part
// of each.
func (s *Set) words(first, last uint) iter.Seq2[uint, uint64] {
	return func(yield func(uint, uint64) bool) {
		if s.size == 0 || last < first || first >= uint(s.size) {
			return
		}
		last = min(last, uint(s.size)-1)
		for i := first >> 6; i <= last>>6; i++ {
			word := ^uint64(0)
			if i == first>>6 {
				word <<= first & 63
			}
			if i == last>>6 {
				word &= ^uint64(0) >> (63 - last&63)
			}
			if !yield(i, word) {
				return
			}
		}
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
		s.PutRange(0, uint(size), true)
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
		s.PutRange(from, max(from, to), in)
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
