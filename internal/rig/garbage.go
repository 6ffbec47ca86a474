//go:build linux

package rig

import (
	"encoding/binary"
	"math/rand/v2"
)

// wireSizes are the octets of header and record, and the most records, of each
// PDU version (netflow-wire.md, sections 1 and 2); version 8 is by method below.
var wireSizes = map[uint16][3]int{1: {16, 48, 24}, 5: {24, 48, 30}, 6: {24, 52, 27}, 7: {24, 52, 27}}

// methodSizes are the octets of a record and the most records of version 8, by
// aggregation method.
var methodSizes = [15][2]int{
	{}, {28, 51}, {28, 51}, {32, 44}, {32, 44}, {40, 35}, {32, 44}, {40, 35}, {44, 32},
	{32, 44}, {32, 44}, {32, 44}, {32, 44}, {40, 35}, {40, 35},
}

// seen is the most of a datagram that is looked at.
const seen = 2048

// fate is what is to become of a datagram at a collector that keeps version 5.
type fate struct {
	flows  int    // when it is taken
	reason string // when it is refused: the label of the reason in the metrics
}

// judge is an opinion of our own on datagrams, by the specification and not by
// the package under test.
func judge(d []byte) fate {
	if len(d) > seen {
		d = d[:seen]
	}
	if len(d) < 4 {
		return fate{reason: "short"}
	}
	be := binary.BigEndian
	version, count := be.Uint16(d), int(be.Uint16(d[2:]))
	header, record, most := 28, 0, 0
	padded := false
	if version == 8 {
		switch {
		case len(d) < 24:
			return fate{reason: "short"}
		case d[23] != 2 && d[23] != 0:
			return fate{reason: "agg_version"}
		case d[22] < 1 || d[22] > 14:
			return fate{reason: "agg_method"}
		}
		m := methodSizes[d[22]]
		record, most = m[0], m[1]
		padded = d[22] >= 6 && d[22] <= 8
	} else if s, ok := wireSizes[version]; ok {
		header, record, most = s[0], s[1], s[2]
	} else {
		return fate{reason: "version"}
	}
	if count > most {
		return fate{reason: "count"}
	}
	if want := header + count*record; len(d) != want && !(padded && len(d) > want) {
		return fate{reason: "length"}
	}
	if version == 8 {
		return fate{reason: "translation"}
	}
	return fate{flows: count}
}

// garbage makes datagrams that no exporter sends: random octets, and PDUs of all
// versions that are right, or wrong in one way or another.
type garbage struct{ *rand.Rand }

// put makes the next one in b and returns its length.
func (g garbage) put(b []byte) int {
	if g.IntN(8) == 0 { // nothing but noise
		n := g.IntN(len(b) + 1)
		g.fill(b[:n])
		return n
	}
	be := binary.BigEndian
	version := [...]uint16{1, 5, 5, 6, 7, 8, 8}[g.IntN(7)]
	header, record, most, method := 28, 0, 0, byte(0)
	if version == 8 {
		method = byte(1 + g.IntN(14))
		record, most = methodSizes[method][0], methodSizes[method][1]
	} else {
		s := wireSizes[version]
		header, record, most = s[0], s[1], s[2]
	}
	count := g.IntN(most + 1)
	n := header + count*record
	g.fill(b[:n])
	be.PutUint16(b, version)
	be.PutUint16(b[2:], uint16(count))
	if version == 8 {
		b[22], b[23] = method, 2
	}
	switch g.IntN(7) {
	case 0: // as it should be
	case 1: // cut
		n = g.IntN(n + 1)
	case 2: // too long, maybe by far
		n = min(n+1+g.IntN(1000), len(b))
	case 3: // another count
		be.PutUint16(b[2:], uint16(g.Uint32()>>g.IntN(16)))
	case 4: // another version
		be.PutUint16(b, uint16(g.Uint32()>>g.IntN(16)))
	case 5: // bits turned over
		for range 1 + g.IntN(16) {
			b[g.IntN(min(n, 32))] ^= 1 << g.IntN(8)
		}
	case 6: // the edges
		be.PutUint16(b[2:], uint16([...]int{0, 1, most, most + 1, 255, 256, 32767, 32768, 65535}[g.IntN(9)]))
	}
	return n
}

func (g garbage) fill(b []byte) {
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, g.Uint64())
		b = b[8:]
	}
	for i := range b {
		b[i] = byte(g.Uint32())
	}
}
