package clib

import (
	"math"
	"strconv"
	"strings"
)

// Strtod is strtod: white space, a sign, then a decimal number with exponent, a
// hexadecimal one with binary exponent, inf, infinity or nan (with any (...)
// behind it). Overflow is infinite, underflow 0. rest is what follows, or s if
// there is no number (0).
func Strtod(s string) (f float64, rest string) {
	i := 0
	for i < len(s) && IsSpace(s[i]) {
		i++
	}
	start := i
	neg := false
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	sign := func(f float64) float64 {
		if neg {
			return -f
		}
		return f
	}
	text := s[i:]
	switch {
	case foldPrefix(text, "infinity"):
		return sign(math.Inf(1)), text[8:]
	case foldPrefix(text, "inf"):
		return sign(math.Inf(1)), text[3:]
	case foldPrefix(text, "nan"):
		return math.NaN(), nanTail(text[3:])
	}
	n, hex := floatLen(text)
	if n == 0 {
		return 0, s
	}
	number := s[start : i+n]
	if hex && !strings.ContainsAny(number, "pP") {
		number += "p0" // C's exponent is optional
	}
	// The only error left is one of range, which comes with the value C gives.
	f, _ = strconv.ParseFloat(number, 64)
	return f, text[n:]
}

func foldPrefix(s, prefix string) bool {
	return len(s) >= len(prefix) && EqualFold(s[:len(prefix)], prefix)
}

// nanTail steps over the (...) of a NaN: letters, digits and underscores.
func nanTail(s string) string {
	if !strings.HasPrefix(s, "(") {
		return s
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == ')':
			return s[i+1:]
		case !IsAlpha(c) && !IsDigit(c) && c != '_':
			return s
		}
	}
	return s
}

// floatLen is the length of the unsigned number at the start of s, 0 if none.
func floatLen(s string) (n int, hex bool) {
	base, exp := uint64(10), byte('e')
	i := 0
	if len(s) > 2 && s[0] == '0' && s[1]|0x20 == 'x' &&
		(digit(s[2]) < 16 || s[2] == '.' && len(s) > 3 && digit(s[3]) < 16) {
		base, exp, i, hex = 16, 'p', 2, true
	}
	digits := 0
	for dot := false; i < len(s); i++ {
		if s[i] == '.' && !dot {
			dot = true
		} else if digit(s[i]) < base {
			digits++
		} else {
			break
		}
	}
	if digits == 0 {
		return 0, false
	}
	if i < len(s) && s[i]|0x20 == exp {
		e := i + 1
		if e < len(s) && (s[e] == '-' || s[e] == '+') {
			e++
		}
		if e < len(s) && IsDigit(s[e]) {
			for i = e; i < len(s) && IsDigit(s[i]); i++ {
			}
		}
	}
	return i, hex
}
