package report

import (
	"math/bits"
	"math/rand/v2"
)

// table holds entries by key, in order of first appearance. An entry is a run
// of words, the packed key first and the counters behind it, in chunks that
// never move; a slot of the open hash is the key's hash and the entry's number.
type table struct {
	keyWords int
	stride   int // words of an entry
	n        int // entries
	seed     uint64
	slots    []uint64 // hash<<32 | number+1; 0 is free
	chunks   [][]uint64
	touched  uint64 // keeps reads ahead from being optimized away
}

const (
	chunkBits = 10
	chunkLen  = 1 << chunkBits // entries of a chunk
	minSlots  = 1 << 10
)

func newTable(keyWords, counters int) *table {
	return &table{keyWords: keyWords, stride: keyWords + counters, seed: rand.Uint64() | 1}
}

// reset empties the table and keeps its memory.
func (t *table) reset() {
	clear(t.slots)
	t.n = 0
}

// entry returns the words of entry i.
func (t *table) entry(i uint32) []uint64 {
	c := t.chunks[i>>chunkBits]
	at := int(i&(chunkLen-1)) * t.stride
	return c[at : at+t.stride : at+t.stride]
}

// mix folds the product of a word with a constant to 64 bits.
func mix(w uint64) uint64 {
	hi, lo := bits.Mul64(w, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

// hash sets hashes to those of the keys. The seed keeps chosen keys from
// colliding on purpose; hash values never show.
func (t *table) hash(keys []uint64, hashes []uint32) {
	seed := t.seed
	switch kw := t.keyWords; kw {
	case 1:
		for i, w := range keys[:len(hashes)] {
			hashes[i] = uint32(mix(w ^ seed))
		}
	default:
		for i := range hashes {
			h := seed
			for _, w := range keys[i*kw : i*kw+kw] {
				h = mix(w ^ h)
			}
			hashes[i] = uint32(h)
		}
	}
}

// find sets at[i] to the number of the entry of key i, which is made where
// there is none. keys holds len(at) packed keys one after another, hashes is
// room for as many. Entries get their numbers in the order of the keys.
//
// The work is done in passes, each over the whole block, so that cache misses
// overlap: slots first, then the entries they name, and only then comparing.
func (t *table) find(keys []uint64, at []uint32, hashes []uint32) {
	if 4*(t.n+len(at)) > 3*len(t.slots) {
		t.grow(t.n + len(at))
	}
	kw := t.keyWords
	slots := t.slots
	mask := uint32(len(slots) - 1)
	hashes = hashes[:len(at)]
	t.hash(keys, hashes)
	var touched uint64
	for _, h := range hashes {
		touched |= slots[h&mask]
	}
	for i, h := range hashes {
		number := uint32(0)
		for s := h & mask; ; s = (s + 1) & mask {
			if v := slots[s]; v == 0 || uint32(v>>32) == h {
				number = uint32(v)
				break
			}
		}
		at[i] = number
		if number != 0 {
			e := t.entry(number - 1)
			touched |= e[0] | e[len(e)-1]
		}
	}
	t.touched = touched
	for i, number := range at {
		key := keys[i*kw : i*kw+kw : i*kw+kw]
		if number != 0 && t.holds(number-1, key) {
			at[i] = number - 1
			continue
		}
		at[i] = t.lookup(key, hashes[i])
	}
}

// holds reports whether entry i has the key.
func (t *table) holds(i uint32, key []uint64) bool {
	e := t.entry(i)[:len(key)]
	for j, w := range key {
		if e[j] != w {
			return false
		}
	}
	return true
}

// lookup returns the number of the entry of one key, which it makes if needed.
func (t *table) lookup(key []uint64, h uint32) uint32 {
	mask := uint32(len(t.slots) - 1)
	for s := h & mask; ; s = (s + 1) & mask {
		v := t.slots[s]
		if v == 0 {
			return t.insert(key, h, s)
		}
		if uint32(v>>32) == h && t.holds(uint32(v)-1, key) {
			return uint32(v) - 1
		}
	}
}

// insert makes an entry for key at a free slot.
func (t *table) insert(key []uint64, h, slot uint32) uint32 {
	number := uint32(t.n)
	t.n++
	if int(number>>chunkBits) == len(t.chunks) {
		t.chunks = append(t.chunks, make([]uint64, chunkLen*t.stride))
	}
	t.slots[slot] = uint64(h)<<32 | uint64(number+1)
	e := t.entry(number)
	clear(e[copy(e, key):])
	return number
}

// grow makes room for n entries.
func (t *table) grow(n int) {
	size := max(minSlots, len(t.slots))
	for 4*n > 3*size {
		size *= 2
	}
	old := t.slots
	t.slots = make([]uint64, size)
	mask := uint32(size - 1)
	for _, v := range old {
		if v == 0 {
			continue
		}
		s := uint32(v>>32) & mask
		for t.slots[s] != 0 {
			s = (s + 1) & mask
		}
		t.slots[s] = v
	}
}
