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
type Table[V any] struct {
	index  index
	values []V
}

// index maps prefixes to places in values. It is not generic so that bart's code
// is compiled here: elsewhere its look-up is not inlined and allocates.
type index struct{ t bart.Fast[uint32] }

func (x *index) insert(p netip.Prefix, i uint32)        { x.t.Insert(p, i) }
func (x *index) get(p netip.Prefix) (i uint32, ok bool) { return x.t.Get(p) }
func (x *index) lookup(addr uint32) (i uint32, ok bool) { return x.t.Lookup(ip(addr)) }

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
	if _, there := t.index.get(p); there {
		return false
	}
	t.index.insert(p, uint32(len(t.values)))
	t.values = append(t.values, v)
	return true
}

// Get returns the value of exactly that prefix.
func (t *Table[V]) Get(addr uint32, length uint8) (v V, ok bool) {
	if i, ok := t.index.get(prefix(addr, length)); ok {
		return t.values[i], true
	}
	return v, false
}

// Lookup returns the value of the longest prefix that holds addr. It does not
// allocate.
func (t *Table[V]) Lookup(addr uint32) (v V, ok bool) {
	if i, ok := t.index.lookup(addr); ok {
		return t.values[i], true
	}
	return v, false
}

// Len returns the number of prefixes.
func (t *Table[V]) Len() int { return len(t.values) }
