package print

import (
	"encoding/binary"
	"math/bits"
)

// Numbers are written by arithmetic on whole words, eight digits at a time,
// rather than digit by digit: the count of digits of a counter is as good as
// random, and a loop over it costs more in mispredicted branches than all the
// rest of a row.

// digits8 returns the eight decimal digits of v < 10^8, as numbers, the most
// significant one in the lowest octet.
func digits8(v uint32) uint64 {
	x := uint64(v/10000) | uint64(v%10000)<<32
	hundreds := x * 10486 >> 20 & 0x7F_0000_007F // x/100, both halves at once
	x = hundreds | (x-100*hundreds)<<16
	tens := x * 103 >> 10 & 0x000F_000F_000F_000F // x/10, all four at once
	return tens | (x-10*tens)<<8
}

const (
	zeros8  = 0x3030303030303030
	blanks8 = uint64(0x2020202020202020)
	blanks7 = uint64(0x2020202020202000)
)

// putLeft8 writes v < 10^8 and blanks up to eight octets.
func putLeft8(p []byte, v uint32) {
	x := digits8(v)
	lead := bits.TrailingZeros64(x|1<<56) &^ 7 // in bits; the last digit stays
	binary.LittleEndian.PutUint64(p, (x|zeros8)>>(lead&63)|blanks7<<((56-lead)&63))
}

// textRight8 returns v < 10^8 as text behind blanks.
func textRight8(v uint32) uint64 {
	x := digits8(v)
	lead := bits.TrailingZeros64(x|1<<56) &^ 7
	return x | blanks8 | (zeros8^blanks8)<<(lead&63)
}

// putRight8 writes v < 10^8 behind blanks, eight octets in all.
func putRight8(p []byte, v uint32) { binary.LittleEndian.PutUint64(p, textRight8(v)) }

// putRight writes v on the right of p, which has less than eight octets and room
// for it, behind blanks.
func putRight(p []byte, v uint32) {
	x := textRight8(v) >> (64 - 8*len(p)&63)
	for i := range p {
		p[i] = byte(x)
		x >>= 8
	}
}

// putDigits2 writes v < 100 in two digits.
func putDigits2(p []byte, v uint32) {
	t := v * 103 >> 10
	binary.LittleEndian.PutUint16(p, uint16(0x3030|t|(v-10*t)<<8))
}

// putDigits3 writes v < 1000 in three digits.
func putDigits3(p []byte, v uint32) {
	h := v * 5243 >> 19
	p[0] = byte('0' + h)
	putDigits2(p[1:3], v-100*h)
}

// hex4 returns the four hexadecimal digits of v, as text, the most significant
// one in the lowest octet.
func hex4(v uint32) uint32 {
	x := (v | v<<8) & 0x00FF00FF
	x = bits.ReverseBytes32((x | x<<4) & 0x0F0F0F0F)
	letters := (x + 0x06060606) >> 4 & 0x01010101
	return x + 0x30303030 + letters*('a'-10-'0')
}

// putHexLeft4 writes v < 2^16 and blanks up to four octets.
func putHexLeft4(p []byte, v uint32) {
	lead := bits.LeadingZeros16(uint16(v)|1) &^ 3 * 2
	binary.LittleEndian.PutUint32(p, hex4(v)>>lead|uint32(0x20202020<<(32-lead)))
}

// putHex2 writes v < 256 in two digits.
func putHex2(p []byte, v uint32) { binary.LittleEndian.PutUint16(p, uint16(hex4(v)>>16)) }

// octets holds the decimal texts of an octet, padded with blanks and with a dot
// behind.
var octets = func() (t [256]struct {
	text, dotted uint32
	len          int
}) {
	for i := range t {
		var b [8]byte
		putLeft8(b[:], uint32(i))
		o := &t[i]
		o.text = binary.LittleEndian.Uint32(b[:])
		o.len = 1
		for o.len < 3 && b[o.len] != ' ' {
			o.len++
		}
		b[o.len] = '.'
		o.dotted = binary.LittleEndian.Uint32(b[:])
	}
	return t
}()

// putAddr writes the dotted quad of a. It may set octets behind it, up to 16 in
// all, to blanks.
func putAddr(p []byte, a uint32) {
	p = p[:16]
	o := &octets[a>>24]
	binary.LittleEndian.PutUint32(p, o.dotted)
	n := o.len + 1
	o = &octets[a>>16&255]
	binary.LittleEndian.PutUint32(p[n:], o.dotted)
	n += o.len + 1
	o = &octets[a>>8&255]
	binary.LittleEndian.PutUint32(p[n:], o.dotted)
	n += o.len + 1
	binary.LittleEndian.PutUint32(p[n:], octets[a&255].text)
}
