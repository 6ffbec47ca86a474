package probe

import (
	"bytes"
	"cmp"
	"math/bits"
)

// Addr is an IP address as two big-endian words; IPv4 is in the low half of the second.
type Addr [2]uint64

// Key is what makes packets one flow. The parts after Proto are zero unless they are part of the key (see Keys).
type Key struct {
	Src, Dst Addr
	Ports    uint32 // source << 16 | destination; in the table of fragments the packet's identifier
	Version  uint8  // 4 or 6
	Proto    uint8
	TOS      uint8
	Tagged   bool
	VLAN     uint16
	MACs     [12]byte // destination, source
	If       uint32
}

// Flow is one flow, or one set of fragments on its way to become part of a flow.
type Flow struct {
	Key
	Packets, Octets uint64
	First, Last     int64  // ns since 1970, capture time of the earliest and latest packet
	In, Out         uint32 // interfaces, from the first packet
	ToS             uint8  // of the first packet
	TCPFlags        uint8  // of all packets
	Outgoing        bool   // the first packet left the host
	Reason          Reason // why the flow ended, once it has

	state        uint8
	proto        uint8  // fragments: what is under the headers, once the first one was seen
	seen         int64  // whole seconds of the clock when the last packet came
	ports        uint32 // fragments: the ports, once the first one was seen
	sum, end     uint32 // fragments: octets of payload so far; where the payload ends, 0 before the last one was seen
	hash         uint32
	next         uint32 // in the hash chain, or in the list of free entries
	older, newer uint32 // by seen
	age          uint32 // how often the entry was used
}

// State bits.
const (
	inUse    = 1 << iota
	overdue  // on the list of flows active for too long
	finSeen  // -E
	finished // -E: on the list of flows that end soon
)

// Reason is why a flow ended, numbered as IPFIX element 136.
type Reason uint8

// The reasons.
const (
	ReasonNone      Reason = 0
	ReasonIdle      Reason = 1 // no packet for the idle lifetime
	ReasonActive    Reason = 2 // the active lifetime, or a counter that would pass 32 bits
	ReasonEnd       Reason = 3 // FIN or RST
	ReasonForced    Reason = 4 // end of input, shutdown, SIGHUP
	ReasonResources Reason = 5 // the memory limit
	NumReasons             = 6
)

var reasonNames = [NumReasons]string{"none", "idle", "active", "end", "forced", "resources"}

// String returns a word for logs and metrics.
func (r Reason) String() string { return reasonNames[r%NumReasons] }

// table is a hash table of flows that also keeps them in the order they were last touched. Entries live in chunks that never
// move; 0 is no entry.
type table struct {
	chunks  [][]Flow
	shift   uint   // log2 of the entries in a chunk
	free    uint32 // list of unused entries
	used    uint32 // entries handed out so far, in use or free
	count   int
	buckets []uint32
	seed    uint64
	oldest  uint32
	newest  uint32
}

const minBuckets = 1024

// newTable makes a table that grows by about bulk entries at a time.
func newTable(bulk int, seed uint64) *table {
	bulk = max(min(bulk, 1<<20), 64)
	return &table{shift: uint(bits.Len(uint(bulk - 1))), buckets: make([]uint32, minBuckets), seed: seed, used: 1}
}

func (t *table) at(i uint32) *Flow { return &t.chunks[i>>t.shift][i&(1<<t.shift-1)] }

// hash mixes the words of a key. The seed keeps outsiders from making chains long.
func (t *table) hashOf(k *Key) uint32 {
	mix := func(a, b uint64) uint64 {
		hi, lo := bits.Mul64(a, b)
		return hi ^ lo
	}
	h := mix(k.Src[1]^t.seed, k.Dst[1]^0x9e37_79b9_7f4a_7c15)
	h = mix(h^uint64(k.Ports)<<16^uint64(k.Proto)<<8^uint64(k.Version), 0xa076_1d64_78bd_642f^t.seed)
	if k.Version == 6 {
		h = mix(h^k.Src[0], k.Dst[0]^0xe703_7ed1_a0b4_28db)
	}
	if k.If != 0 || k.Tagged || k.TOS != 0 || k.MACs != [12]byte{} {
		h = mix(h^uint64(k.If)<<32^uint64(k.VLAN)<<8^uint64(k.TOS), 0x8ebc_6af0_9c88_c6e3^t.seed)
		h = mix(h^be.Uint64(k.MACs[:]), uint64(be.Uint32(k.MACs[8:]))^0x5899_65cc_7537_4cc3)
	}
	return uint32(h ^ h>>32)
}

// find returns the entry of a key, 0 if there is none, and the key's hash.
func (t *table) find(k *Key) (uint32, uint32) {
	h := t.hashOf(k)
	for i := t.buckets[h&uint32(len(t.buckets)-1)]; i != 0; {
		f := t.at(i)
		if f.hash == h && f.Key == *k {
			return i, h
		}
		i = f.next
	}
	return 0, h
}

// insert adds an entry for a key that is not there.
func (t *table) insert(k *Key, h uint32) uint32 {
	i := t.free
	if i != 0 {
		t.free = t.at(i).next
	} else {
		i = t.used
		t.used++
		if int(i>>t.shift) == len(t.chunks) {
			t.chunks = append(t.chunks, make([]Flow, 1<<t.shift))
		}
	}
	if t.count >= len(t.buckets) {
		t.grow()
	}
	f := t.at(i)
	*f = Flow{Key: *k, hash: h, state: inUse, age: f.age + 1}
	slot := &t.buckets[h&uint32(len(t.buckets)-1)]
	f.next, *slot = *slot, i
	t.count++
	t.link(i, f)
	return i
}

func (t *table) grow() {
	old := t.buckets
	t.buckets = make([]uint32, 2*len(old))
	for _, i := range old {
		for i != 0 {
			f := t.at(i)
			next := f.next
			slot := &t.buckets[f.hash&uint32(len(t.buckets)-1)]
			f.next, *slot = *slot, i
			i = next
		}
	}
}

// remove frees an entry. Its content stays until the next insert.
func (t *table) remove(i uint32) {
	f := t.at(i)
	for p := &t.buckets[f.hash&uint32(len(t.buckets)-1)]; ; p = &t.at(*p).next {
		if *p == i {
			*p = f.next
			break
		}
	}
	t.unlink(f)
	f.state = 0
	f.next, t.free = t.free, i
	t.count--
}

func (t *table) link(i uint32, f *Flow) {
	f.older, f.newer = t.newest, 0
	if t.newest != 0 {
		t.at(t.newest).newer = i
	} else {
		t.oldest = i
	}
	t.newest = i
}

func (t *table) unlink(f *Flow) {
	if f.older != 0 {
		t.at(f.older).newer = f.newer
	} else {
		t.oldest = f.newer
	}
	if f.newer != 0 {
		t.at(f.newer).older = f.older
	} else {
		t.newest = f.older
	}
}

// touch notes that an entry had a packet in a second of the clock. The order is by whole seconds, which is all that lifetimes
// look at: a busy flow is moved once a second.
func (t *table) touch(i uint32, f *Flow, second int64) {
	if f.seen == second {
		return
	}
	f.seen = second
	if t.newest != i {
		t.unlink(f)
		t.link(i, f)
	}
}

// compare orders flows for export: by first packet, then by key.
func compare(a, b *Flow) int {
	if c := cmp.Compare(a.First, b.First); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Src[0], b.Src[0]), cmp.Compare(a.Src[1], b.Src[1]),
		cmp.Compare(a.Dst[0], b.Dst[0]), cmp.Compare(a.Dst[1], b.Dst[1]),
		cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.Ports, b.Ports),
		cmp.Compare(a.TOS, b.TOS), cmp.Compare(a.VLAN, b.VLAN), cmp.Compare(a.If, b.If), bytes.Compare(a.MACs[:], b.MACs[:]),
	)
}
