// Package lpm finds the longest prefix that holds an IPv4 address: the prefix
// tables of filter, tag and mask files.
package lpm

import (
	"encoding/binary"
	"net/netip"

	"github.com/gaissmai/bart"
)

// Table maps prefixes to values. The zero Table is empty. Look-ups may run
// concurrently with each other.
type Table[V any] struct{ t bart.Fast[V] }

// prefix clears the host bits of addr; lengths above 32 are 32.
func prefix(addr uint32, length uint8) netip.Prefix {
	p, _ := ip(addr).Prefix(int(min(length, 32))) // no error: 0..32
	return p
}

func ip(addr uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], addr)
	return netip.AddrFrom4(a)
}

// Insert adds a prefix, whose host bits do not count. It reports false, and
// changes nothing, when the prefix is there already.
func (t *Table[V]) Insert(addr uint32, length uint8, v V) bool {
	p := prefix(addr, length)
	if _, there := t.t.Get(p); there {
		return false
	}
	t.t.Insert(p, v)
	return true
}

// Get returns the value of exactly that prefix.
func (t *Table[V]) Get(addr uint32, length uint8) (v V, ok bool) {
	return t.t.Get(prefix(addr, length))
}

// Lookup returns the value of the longest prefix that holds addr.
func (t *Table[V]) Lookup(addr uint32) (v V, ok bool) { return t.t.Lookup(ip(addr)) }

// Len returns the number of prefixes.
func (t *Table[V]) Len() int { return t.t.Size4() }
