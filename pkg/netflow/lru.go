package netflow

// lru is a bounded map that forgets the least useful entry when it is full. It
// has two parts: a new entry is on probation and moves to the kept part once it
// has been looked up promoteAfter times, so that a flood of keys seen once or
// twice evicts only its like. Within a part the entry not used for longest goes
// first.
type lru[K comparable, V any] struct {
	limit int
	index map[K]int32
	nodes []node[K, V]
	part  [2]ring
	free  int32 // unused node, linked by next; -1 for none
}

type node[K comparable, V any] struct {
	key        K
	prev, next int32
	uses       uint8
	part       uint8
	value      V
}

// ring is a doubly linked list of nodes, newest first.
type ring struct {
	first, last int32
	n           int
}

const (
	probation = iota
	kept

	promoteAfter = 4
)

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	empty := ring{first: -1, last: -1}
	return &lru[K, V]{limit: max(limit, 1), index: make(map[K]int32), part: [2]ring{empty, empty}, free: -1}
}

// get returns the value of key and marks it as used now; nil when there is none.
// The pointer is valid until the next call of add.
func (c *lru[K, V]) get(key K) *V {
	i, ok := c.index[key]
	if !ok {
		return nil
	}
	n := &c.nodes[i]
	if n.uses < promoteAfter {
		n.uses++
	}
	part := n.part
	if n.uses >= promoteAfter {
		part = kept
	}
	if n.part != part || c.part[part].first != i {
		c.unlink(i)
		c.link(i, part)
	}
	// Leave a fifth of the room to newcomers.
	if keep := c.limit - c.limit/5; part == kept && c.part[kept].n > keep {
		old := c.part[kept].last
		c.unlink(old)
		c.nodes[old].uses = 0
		c.link(old, probation)
	}
	return &c.nodes[i].value
}

// add enters a key that is not in the map, evicting another when it is full.
func (c *lru[K, V]) add(key K, value V) *V {
	if len(c.index) >= c.limit {
		c.evict()
	}
	i := c.free
	if i >= 0 {
		c.free = c.nodes[i].next
	} else {
		i = int32(len(c.nodes))
		c.nodes = append(c.nodes, node[K, V]{})
	}
	c.nodes[i] = node[K, V]{key: key, value: value}
	c.index[key] = i
	c.link(i, probation)
	return &c.nodes[i].value
}

func (c *lru[K, V]) evict() {
	i := c.part[probation].last
	if i < 0 {
		i = c.part[kept].last
	}
	c.unlink(i)
	delete(c.index, c.nodes[i].key)
	c.nodes[i] = node[K, V]{next: c.free}
	c.free = i
}

// all calls f with every value, in no particular order.
func (c *lru[K, V]) all(f func(*V)) {
	for _, r := range c.part {
		for i := r.first; i >= 0; i = c.nodes[i].next {
			f(&c.nodes[i].value)
		}
	}
}

func (c *lru[K, V]) link(i int32, part uint8) {
	r := &c.part[part]
	n := &c.nodes[i]
	n.part, n.prev, n.next = part, -1, r.first
	if r.first >= 0 {
		c.nodes[r.first].prev = i
	} else {
		r.last = i
	}
	r.first = i
	r.n++
}

func (c *lru[K, V]) unlink(i int32) {
	n := &c.nodes[i]
	r := &c.part[n.part]
	if n.prev >= 0 {
		c.nodes[n.prev].next = n.next
	} else {
		r.first = n.next
	}
	if n.next >= 0 {
		c.nodes[n.next].prev = n.prev
	} else {
		r.last = n.prev
	}
	r.n--
}
