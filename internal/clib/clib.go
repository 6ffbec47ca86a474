// Package clib reproduces the behaviour of the C library that shows in the
// suite's options, files and output: number scanning, number lists, IPv4
// words, and printf-like appending. Nothing here allocates per record, and
// nothing fails where C does not: junk reads as far as it makes sense.
package clib

import "math"

// IsSpace is isspace(3) in the C locale.
func IsSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// IsAlpha reports whether c is an ASCII letter.
func IsAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// IsDigit reports whether c is an ASCII digit.
func IsDigit(c byte) bool { return '0' <= c && c <= '9' }

func toLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// EqualFold is strcasecmp(a, b) == 0: ASCII letters compare without case, all
// other bytes as they are.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if toLower(a[i]) != toLower(b[i]) {
			return false
		}
	}
	return true
}

// Fold lowers the ASCII letters of s: the map key that goes with EqualFold.
func Fold(s string) string {
	for i := 0; i < len(s); i++ {
		if toLower(s[i]) != s[i] {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = toLower(b[i])
			}
			return string(b)
		}
	}
	return s
}

// digit is the value of c as a digit in any base up to 36, or 99.
func digit(c byte) uint64 {
	switch {
	case IsDigit(c):
		return uint64(c - '0')
	case IsAlpha(c):
		return uint64(c|0x20-'a') + 10
	}
	return 99
}

// scanInt reads the subject of strtol and strtoul: white space, a sign, the
// prefix of base 0 or 16, digits. It returns the magnitude (all ones when it
// does not fit 64 bits), and the text behind the number; without a digit n is 0
// and rest is s itself.
func scanInt(s string, base int) (n uint64, neg, overflow bool, rest string) {
	i := 0
	for i < len(s) && IsSpace(s[i]) {
		i++
	}
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	if base == 0 || base == 16 {
		// 0x counts only when a hexadecimal digit follows; otherwise the 0 is the number.
		if i+2 < len(s) && s[i] == '0' && s[i+1]|0x20 == 'x' && digit(s[i+2]) < 16 {
			i += 2
			base = 16
		} else if base == 0 {
			base = 10
			if i < len(s) && s[i] == '0' {
				base = 8
			}
		}
	}
	start, b := i, uint64(base)
	limit := math.MaxUint64 / b
	for ; i < len(s); i++ {
		d := digit(s[i])
		if d >= b {
			break
		}
		if overflow || n > limit || n*b > math.MaxUint64-d {
			overflow, n = true, math.MaxUint64
			continue
		}
		n = n*b + d
	}
	if i == start {
		return 0, false, false, s
	}
	return n, neg, overflow, s[i:]
}

// Strtoul is the 64-bit strtoul: base 0 takes 0x and leading 0 prefixes.
// Overflow is all ones, whatever the sign; a negative number is the two's
// complement. rest is what follows the number, or s if there is none (0).
func Strtoul(s string, base int) (v uint64, rest string) {
	n, neg, overflow, rest := scanInt(s, base)
	if neg && !overflow {
		n = -n
	}
	return n, rest
}

// Strtol is the 64-bit strtol; a number too large gives the nearest limit.
func Strtol(s string, base int) (v int64, rest string) {
	n, neg, _, rest := scanInt(s, base)
	switch {
	case neg && n >= 1<<63:
		return math.MinInt64, rest
	case neg:
		return -int64(n), rest
	case n > math.MaxInt64:
		return math.MaxInt64, rest
	}
	return int64(n), rest
}

// Atoi is glibc's atoi on a 64-bit machine: the low 32 bits of strtol base 10.
func Atoi(s string) int32 {
	v, _ := Strtol(s, 10)
	return int32(v)
}

// Uint is strtoul with base 0, the notation of most numbers in files and lists.
func Uint(s string) uint64 {
	v, _ := Strtoul(s, 0)
	return v
}

// ScanUint is sscanf "%u": ok is false when there is no number, and a caller
// keeps the value it had.
func ScanUint(s string) (v uint32, ok bool) {
	n, rest := Strtoul(s, 10)
	return uint32(n), len(rest) != len(s)
}

// ScanVersion is sscanf "%u.%u", the argument of every -V. fields is the number
// of values read: 0 no number at all, 1 for N, 2 for N.M. N and M come back as
// the 32 bits scanned; most tools cut them to 16 and 8.
func ScanVersion(s string) (n, m uint32, fields int) {
	v, rest := Strtoul(s, 10)
	if len(rest) == len(s) {
		return 0, 0, 0
	}
	if len(rest) > 0 && rest[0] == '.' {
		if m, ok := ScanUint(rest[1:]); ok {
			return uint32(v), m, 2
		}
	}
	return uint32(v), 0, 1
}

// ScanSize reads the argument of -E: a number in C notation, then b (512), K, M
// or G (powers of 1024) or nothing; text after the unit is ignored and an empty
// text is 0. ok is false for another unit, for overflow and for -1; other
// negative numbers wrap to huge ones.
func ScanSize(s string) (v uint64, ok bool) {
	n, rest := Strtoul(s, 0)
	if n == math.MaxUint64 {
		return 0, false // both strtoul's overflow and a plain -1
	}
	if len(rest) == 0 {
		return n, true
	}
	var unit uint64
	switch rest[0] {
	case 'b':
		unit = 512
	case 'K':
		unit = 1 << 10
	case 'M':
		unit = 1 << 20
	case 'G':
		unit = 1 << 30
	default:
		return 0, false
	}
	if n > math.MaxUint64/unit && int64(n) > 0 {
		return 0, false
	}
	return n * unit, true
}
