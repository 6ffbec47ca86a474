package report

import "flowtools/pkg/flow"

// plan fills packed keys: keys go into 64-bit words, none across two, so that
// the value of a key with its prefix length is one number to sort by.
type plan struct {
	words int
	steps []step
}

// step fills one key.
type step struct {
	key    Key
	slot   keySlot
	format AddrFormat
	length flow.Field // of the prefix
	noLen  bool       // the prefix length is 0, whatever the record says
}

// keySlot is where a key lies in an entry.
type keySlot struct {
	word  uint8
	shift uint8
	bits  uint8 // prefix length included
}

// lengthBits is the width of a prefix length, kept as it is in the record:
// lengths above 32 make entries of their own.
const lengthBits = 8

// compile lays out the keys of an entry. The result has two plans with the same
// layout if alternate is not nil.
func (r *Report) compile(keys []Key, alternate *Key) []plan {
	o, t := &r.Options, r.Type
	// Compat: of ip-address every entry has a length if either side does.
	either := alternate != nil && (o.Source != Address || o.Destination != Address)
	borrow := t.borrow && o.Destination != Address

	var p plan
	var used []uint8
	for _, k := range keys {
		s := step{key: k, format: o.Format(k.side), length: flow.SrcMask}
		if k.side == Destination {
			s.length = flow.DstMask
		}
		width := uint8(k.bits)
		switch {
		case borrow && k.side == Source:
			// Compat: the destination's length replaces the source's.
			s.length = flow.DstMask
			s.format = max(s.format, PrefixLen)
			width += lengthBits
		case borrow && k.side == Destination:
			s.format, s.noLen = PrefixLen, true
			width += lengthBits
		case k.side != Neither && (s.format != Address || either):
			s.noLen = s.format == Address
			s.format = max(s.format, PrefixLen)
			width += lengthBits
		}
		word := 0
		for word < len(used) && used[word]+width > 64 {
			word++
		}
		if word == len(used) {
			used = append(used, 0)
		}
		s.slot = keySlot{uint8(word), used[word], width}
		used[word] += width
		p.steps = append(p.steps, s)
	}
	p.words = len(used)
	if alternate == nil {
		return []plan{p}
	}
	second := p.steps[0]
	second.key, second.length = *alternate, flow.DstMask
	if second.slot.bits > uint8(alternate.bits) {
		second.format = o.Format(alternate.side)
		second.noLen = second.format == Address
		second.format = max(second.format, PrefixLen)
	}
	return []plan{p, {words: p.words, steps: []step{second}}}
}

// run writes the packed keys of the block's records to dst, stride words apart.
func (p *plan) run(b *block, l *flow.Layout, dst []uint64, stride int) {
	for i := range b.n {
		clear(dst[i*stride : i*stride+p.words])
	}
	for i := range p.steps {
		p.steps[i].run(b, l, dst[p.steps[i].slot.word:], stride)
	}
}

func (s *step) run(b *block, l *flow.Layout, dst []uint64, stride int) {
	recs := b.rec[:b.n]
	f, shift, at := s.key.field, s.slot.shift&63, 0
	switch {
	case s.key.derived != plain:
		s.derive(b, l, dst, stride)
	case s.format == Address:
		for _, rec := range recs {
			dst[at] |= l.Uint(rec, f) << shift
			at += stride
		}
	default:
		for _, rec := range recs {
			addr, length := uint32(l.Uint(rec, f)), uint8(0)
			if !s.noLen {
				length = uint8(l.Uint(rec, s.length))
			}
			if s.format == PrefixMask {
				addr &= flow.Netmask(length)
			}
			dst[at] |= (uint64(addr)<<lengthBits | uint64(length)) << shift
			at += stride
		}
	}
}

// derive writes a key that is the only one of its type.
func (s *step) derive(b *block, l *flow.Layout, dst []uint64, stride int) {
	for i, rec := range b.rec[:b.n] {
		var v uint64
		switch s.key.derived {
		case packetSize:
			if b.packets[i] != 0 { // see dropEmpty
				v = uint64(uint32(b.octets[i] / b.packets[i]))
			}
		case octetCount:
			v = b.octets[i]
		case packetCount:
			v = b.packets[i]
		case bitRate:
			v = truncate(b.bps[i])
		case packetRate:
			v = truncate(b.pps[i])
		case class:
			v = addrClass(uint32(l.Uint(rec, s.key.field)))
		case lifetime:
			v = uint64(b.duration[i])
		}
		dst[i*stride] = v
	}
}

// truncate converts a rate as x86-64 compilers of C do: from 2^64 on it is 0.
func truncate(v float64) uint64 {
	if v >= 1<<64 {
		return 0
	}
	return uint64(v)
}

// addrClass is the key of ip-destination-address-type.
func addrClass(addr uint32) uint64 {
	switch {
	case addr>>31 == 0:
		return 0 // A
	case addr>>30 == 2:
		return 1 // B
	case addr>>29 == 6:
		return 2 // C
	case addr>>24 == 232:
		return 4 // source specific multicast
	case addr>>28 == 14:
		return 3 // multicast
	}
	return 5 // reserved
}
