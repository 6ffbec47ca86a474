package flow

import "iter"

// SlabSize is the usual capacity of a batch in octets: it fits a level 2 cache
// with room for what the records are turned into.
const SlabSize = 64 << 10

// Batch is a run of records of one layout in one slab of memory. The zero
// Batch with a Layout is empty and ready for use. A Batch is not safe for
// concurrent use.
type Batch struct {
	Layout *Layout
	data   []byte
}

// NewBatch returns an empty batch with room for the records that fit SlabSize.
func NewBatch(l *Layout) *Batch {
	return &Batch{Layout: l, data: make([]byte, 0, SlabSize/l.Size*l.Size)}
}

// Len returns the number of records.
func (b *Batch) Len() int { return len(b.data) / b.Layout.Size }

// At returns record i, aliasing the slab. It panics if i is out of range.
func (b *Batch) At(i int) Record {
	n := b.Layout.Size
	return b.data[i*n : i*n+n : i*n+n]
}

// All yields the records in order, aliasing the slab.
func (b *Batch) All() iter.Seq[Record] {
	return func(yield func(Record) bool) {
		n := b.Layout.Size
		for rest := b.data; len(rest) >= n; rest = rest[n:] {
			if !yield(rest[:n:n]) {
				return
			}
		}
	}
}

// Bytes returns the records as one slice that aliases the slab.
func (b *Batch) Bytes() []byte { return b.data }

// SetBytes makes records the content of the batch without copying; whole
// records only, anything after them is left out.
func (b *Batch) SetBytes(records []byte) {
	n := b.Layout.Size
	b.data = records[:len(records)/n*n]
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() { b.data = b.data[:0] }

// Append copies r, a record of the batch's layout, to the end.
func (b *Batch) Append(r Record) { b.data = append(b.data, r[:b.Layout.Size]...) }

// Extend adds n records of undefined content and returns their memory, for
// decoders to fill.
func (b *Batch) Extend(n int) []byte {
	old, need := len(b.data), n*b.Layout.Size
	if cap(b.data)-old < need {
		grown := make([]byte, old, max(2*cap(b.data), old+need))
		copy(grown, b.data)
		b.data = grown
	}
	b.data = b.data[:old+need]
	return b.data[old:]
}

// Truncate drops all but the first n records.
func (b *Batch) Truncate(n int) { b.data = b.data[:n*b.Layout.Size] }

// Keep drops the records for which pass is false, in place and in order. Runs
// of kept records are moved with one copy.
func (b *Batch) Keep(pass func(Record) bool) {
	n := b.Layout.Size
	data, end := b.data, 0
	for i := 0; i+n <= len(data); {
		if !pass(data[i : i+n : i+n]) {
			i += n
			continue
		}
		start := i
		for i += n; i+n <= len(data) && pass(data[i:i+n:i+n]); i += n {
		}
		if start != end {
			copy(data[end:], data[start:i])
		}
		end += i - start
		i += n // the record that ended the run
	}
	b.data = data[:end]
}
