package netflow

import (
	"cmp"
	"container/heap"
	"net/netip"
	"slices"
)

// DefaultExporters is a limit for NewTracker that takes about 40 MiB when full,
// with as many engines.
const DefaultExporters = 1 << 17

// Key tells exporters apart. All methods of version 8 are one exporter; the
// source port and the engine are not part of it.
type Key struct {
	src, dst [16]byte
	version  uint16
	port     uint16
}

// NewKey returns the key of datagrams of export version version from src to
// port of dst. IPv4 addresses and their IPv6-mapped form are the same.
func NewKey(src, dst netip.Addr, version, port uint16) Key {
	return Key{src.As16(), dst.As16(), version, port}
}

// Src returns the address of the exporter.
func (k *Key) Src() netip.Addr { return netip.AddrFrom16(k.src).Unmap() }

// Dst returns the local address that it sends to.
func (k *Key) Dst() netip.Addr { return netip.AddrFrom16(k.dst).Unmap() }

// Version returns the export version.
func (k *Key) Version() uint16 { return k.version }

// Port returns the local port that it sends to.
func (k *Key) Port() uint16 { return k.port }

// Exporter holds the counts of one exporter since it became known, modulo 2^32.
type Exporter struct {
	Key
	Packets uint32 // PDUs accepted
	Flows   uint32 // flows in them
	Lost    uint32 // flows lost, by sequence number
	Resets  uint32 // jumps of the sequence number
	Dropped uint32 // flows that a filter denied; counted by the caller

	serial uint64 // order of becoming known
}

// Tracker follows the exporters and, for each engine of each exporter, the
// sequence number that should come next. Its memory is bounded: beyond the
// limit it forgets exporters, those first that were heard of only a few times,
// so that datagrams with forged source addresses cannot push out real
// exporters. An exporter that was forgotten is new when it is heard of again.
// A Tracker is not safe for concurrent use.
type Tracker struct {
	exporters *lru[Key, Exporter]
	engines   *lru[engineKey, uint32] // value: the sequence number expected
	serial    uint64
}

// engineKey names an engine of an exporter by serial: engines of an exporter
// that was forgotten are never asked for again and age out.
type engineKey struct {
	serial uint64
	engine uint16
}

// NewTracker returns a Tracker of at most limit exporters and as many engines.
func NewTracker(limit int) *Tracker {
	return &Tracker{exporters: newLRU[Key, Exporter](limit), engines: newLRU[engineKey, uint32](limit)}
}

// Result is what a PDU means for its exporter.
type Result struct {
	Exporter *Exporter // valid until the next call of Track
	New      bool      // not known before
	Mismatch bool      // the sequence number was not the one expected
	Expected uint32    // after a Mismatch: what was expected
	Distance uint32    // after a Mismatch: the flows between, as the messages say
	Lost     uint32    // flows to count as lost
	Reset    bool      // to count as a reset of the sequence
}

// resetDistance is the gap from which on a jump is no loss but a reset.
const resetDistance = 1000

// Track enters an accepted PDU into the books: exporter, counts, sequence.
//
// Compat: across the wrap at 2^32 the distance is one less than the truth, and
// a late PDU looks like a reset (goldens flow-receive/seq-wrap, seq-backwards).
func (t *Tracker) Track(k Key, h *Header) Result {
	e := t.exporters.get(k)
	fresh := e == nil
	if fresh {
		t.serial++
		e = t.exporters.add(k, Exporter{Key: k, serial: t.serial})
	}
	e.Packets++
	e.Flows += uint32(h.Count)
	r := Result{Exporter: e, New: fresh}
	if h.Version.Export == 1 {
		return r
	}
	engine := engineKey{e.serial, uint16(h.EngineType)<<8 | uint16(h.EngineID)}
	next := t.engines.get(engine)
	if next == nil {
		t.engines.add(engine, h.Sequence+uint32(h.Count))
		return r
	}
	if expected := *next; h.Sequence != expected {
		r.Mismatch, r.Expected = true, expected
		r.Distance = h.Sequence - expected
		if h.Sequence < expected {
			r.Distance--
		}
		if r.Distance < resetDistance {
			r.Lost = r.Distance
			e.Lost += r.Distance
		} else {
			r.Reset = true
			e.Resets++
		}
	}
	*next = h.Sequence + uint32(h.Count)
	return r
}

// Len returns the number of exporters known.
func (t *Tracker) Len() int { return len(t.exporters.index) }

// Exporters returns a copy of the books, the exporter that became known last
// coming first.
func (t *Tracker) Exporters() []Exporter {
	list := make([]Exporter, 0, t.Len())
	t.exporters.all(func(e *Exporter) { list = append(list, *e) })
	slices.SortFunc(list, func(a, b Exporter) int { return cmp.Compare(b.serial, a.serial) })
	return list
}

// Busiest returns a copy of the books of the n exporters with the most flows,
// those first; of equal ones that which became known last. It is cheap however
// many there are.
func (t *Tracker) Busiest(n int) []Exporter {
	if n <= 0 {
		return nil
	}
	top := make(busyHeap, 0, min(n, t.Len()))
	t.exporters.all(func(e *Exporter) {
		switch {
		case len(top) < n:
			heap.Push(&top, e)
		case busier(e, top[0]) < 0:
			top[0] = e
			heap.Fix(&top, 0)
		}
	})
	slices.SortFunc(top, busier)
	list := make([]Exporter, len(top))
	for i, e := range top {
		list[i] = *e
	}
	return list
}

// busier is negative when a has more flows than b.
func busier(a, b *Exporter) int {
	return cmp.Or(cmp.Compare(b.Flows, a.Flows), cmp.Compare(b.serial, a.serial))
}

// busyHeap has the least busy exporter on top.
type busyHeap []*Exporter

func (h busyHeap) Len() int           { return len(h) }
func (h busyHeap) Less(i, j int) bool { return busier(h[i], h[j]) > 0 }
func (h busyHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *busyHeap) Push(e any)        { *h = append(*h, e.(*Exporter)) }
func (h *busyHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}
