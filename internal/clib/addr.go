package clib

import "strings"

// A Resolver finds the first IPv4 address of a host name. Package
// clib/resolve has the one that asks the system; tests bring their own.
type Resolver func(name string) (addr uint32, ok bool)

// IPv4 reads an address the arithmetic way, up to a blank, a tab or the end:
// groups separated by dots, each taken modulo 256 with every byte counting as
// byte-'0'. Fewer than four groups fill up from the left (10.1 is 10.1.0.0), of
// more the last four count, and an empty text is 0.0.0.0.
func IPv4(s string) uint32 {
	var a uint32
	var octet byte
	groups := 1
	for i := 0; i < len(s) && s[i] != ' ' && s[i] != '\t'; i++ {
		if s[i] == '.' {
			a = a<<8 | uint32(octet)
			octet = 0
			groups++
			continue
		}
		octet = octet*10 + s[i] - '0'
	}
	a = a<<8 | uint32(octet)
	if groups < 4 {
		a <<= 8 * (4 - groups)
	}
	return a
}

// Addr reads an address or a host name. A text with an ASCII letter in it is
// looked up first; ok is false when that fails (or resolve is nil), and addr is
// then the arithmetic value of the letters: options and CSV use it, configuration
// files refuse it.
func Addr(s string, resolve Resolver) (addr uint32, ok bool) {
	if hasAlpha(s) {
		if resolve != nil {
			if a, ok := resolve(s); ok {
				return a, true
			}
		}
		return IPv4(s), false
	}
	return IPv4(s), true
}

func hasAlpha(s string) bool {
	for i := 0; i < len(s); i++ {
		if IsAlpha(s[i]) {
			return true
		}
	}
	return false
}

// Prefix reads ADDR/LEN. LEN is the low 8 bits of atoi, and 32 if above that
// (none: 0). Without a slash the length follows the address class when the host
// part is zero, otherwise it is 32. ok is that of Addr; the address is not
// masked.
func Prefix(s string, resolve Resolver) (addr uint32, length uint8, ok bool) {
	host, bits, slash := strings.Cut(s, "/")
	addr, ok = Addr(host, resolve)
	if !slash {
		return addr, classLen(addr), ok
	}
	return addr, min(uint8(Atoi(bits)), 32), ok
}

// classLen is the length of an address written without one.
//
// Compat: a class D address with nothing behind its 4 bits has length 28.
func classLen(a uint32) uint8 {
	switch {
	case a>>31 == 0 && a<<8 == 0:
		return 8
	case a>>30 == 2 && a<<16 == 0:
		return 16
	case a>>29 == 6 && a<<24 == 0:
		return 24
	case a == 0xE0000000:
		return 28
	}
	return 32
}
