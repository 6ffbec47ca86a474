package clib

import (
	"math"
	"strconv"
)

const hexDigits = "0123456789abcdef"

// decimal octets as text, with their lengths: one copy per octet of an address.
var octets = func() (t [256]struct {
	text [3]byte
	n    uint8
}) {
	for i := range t {
		t[i].n = uint8(len(strconv.AppendUint(t[i].text[:0], uint64(i), 10)))
	}
	return t
}()

// AppendIPv4 appends the dotted quad of a (first octet in the high bits).
func AppendIPv4(dst []byte, a uint32) []byte {
	dst = appendOctet(dst, byte(a>>24))
	dst = append(dst, '.')
	dst = appendOctet(dst, byte(a>>16))
	dst = append(dst, '.')
	dst = appendOctet(dst, byte(a>>8))
	dst = append(dst, '.')
	return appendOctet(dst, byte(a))
}

func appendOctet(dst []byte, b byte) []byte {
	o := &octets[b]
	return append(dst, o.text[:o.n]...)
}

// AppendPrefix appends a as ADDR/LEN with its trailing zero octets left out (the
// first always stays): 10.0.5.0 and 24 give 10.0.5/24. The address is not
// masked.
//
// Compat: a mask length above 32 prints as 0.
func AppendPrefix(dst []byte, a uint32, masklen uint8) []byte {
	dst = appendOctet(dst, byte(a>>24))
	for a <<= 8; a != 0; a <<= 8 {
		dst = append(dst, '.')
		dst = appendOctet(dst, byte(a>>24))
	}
	dst = append(dst, '/')
	if masklen > 32 {
		masklen = 0
	}
	return appendOctet(dst, masklen)
}

const blanks = "                                                                "

func appendBlanks(dst []byte, n int) []byte {
	for n > len(blanks) {
		dst = append(dst, blanks...)
		n -= len(blanks)
	}
	if n > 0 {
		dst = append(dst, blanks[:n]...)
	}
	return dst
}

// Pad fills dst[start:] with blanks on the right to width bytes: %-Ws round
// whatever was appended since start.
func Pad(dst []byte, start, width int) []byte {
	return appendBlanks(dst, width-(len(dst)-start))
}

// PadCut is Pad after cutting dst[start:] to cut bytes: %-W.Cs.
func PadCut(dst []byte, start, width, cut int) []byte {
	if len(dst)-start > cut {
		dst = dst[:start+cut]
	}
	return Pad(dst, start, width)
}

// Right moves dst[start:] to the right end of width bytes: %Ws.
func Right(dst []byte, start, width int) []byte {
	return right(dst, start, width, ' ')
}

func right(dst []byte, start, width int, fill byte) []byte {
	n := len(dst) - start
	gap := width - n
	if gap <= 0 {
		return dst
	}
	dst = appendBlanks(dst, gap)
	copy(dst[start+gap:], dst[start:start+n])
	for i := start; i < start+gap; i++ {
		dst[i] = fill
	}
	return dst
}

// AppendString is %-W.Cs: s cut to cut bytes and padded on the right to width.
func AppendString(dst []byte, s string, width, cut int) []byte {
	if len(s) > cut {
		s = s[:cut]
	}
	return appendBlanks(append(dst, s...), width-len(s))
}

// AppendUint is %-Wu: decimal, padded with blanks on the right, never cut.
func AppendUint(dst []byte, v uint64, width int) []byte {
	start := len(dst)
	return Pad(strconv.AppendUint(dst, v, 10), start, width)
}

// AppendUintRight is %Wu: decimal, padded with blanks on the left.
func AppendUintRight(dst []byte, v uint64, width int) []byte {
	return appendDigits(dst, v, width, ' ')
}

// AppendUintZero is %0Wu: decimal, padded with zeros on the left.
func AppendUintZero(dst []byte, v uint64, width int) []byte {
	return appendDigits(dst, v, width, '0')
}

func appendDigits(dst []byte, v uint64, width int, fill byte) []byte {
	if v < 100 && width == 2 { // the fields of dates and times
		if v < 10 {
			return append(dst, fill, byte('0'+v))
		}
		return append(dst, byte('0'+v/10), byte('0'+v%10))
	}
	start := len(dst)
	return right(strconv.AppendUint(dst, v, 10), start, width, fill)
}

// AppendHex is %0Wx: lower-case hexadecimal with zeros on the left to width
// digits (width 0 or 1: none).
func AppendHex(dst []byte, v uint64, width int) []byte {
	n := 1
	for x := v >> 4; x != 0; x >>= 4 {
		n++
	}
	for n = max(n, width); n > 0; n-- {
		d := byte('0')
		if n <= 16 {
			d = hexDigits[v>>(4*(n-1))&15]
		}
		dst = append(dst, d)
	}
	return dst
}

// AppendHexLeft is %-Wx: hexadecimal padded with blanks on the right.
func AppendHexLeft(dst []byte, v uint64, width int) []byte {
	start := len(dst)
	return Pad(AppendHex(dst, v, 0), start, width)
}

// AppendF is %.*f: f with prec digits behind the point, inf and -inf.
//
// Compat: every NaN prints as -nan, which is what 0/0 gives on the x86 machines
// whose output is the standard; the sign of a computed NaN differs elsewhere.
func AppendF(dst []byte, f float64, prec int) []byte {
	switch {
	case f != f:
		return append(dst, "-nan"...)
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, f, 'f', prec, 64)
}
