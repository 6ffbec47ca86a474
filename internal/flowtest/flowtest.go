// Package flowtest makes flow records and streams for tests and benchmarks.
package flowtest

import (
	"bytes"
	"math/rand/v2"

	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// Random returns n records with every octet random, pads included.
func Random(l *flow.Layout, n int, seed uint64) *flow.Batch {
	b := &flow.Batch{Layout: l}
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	rng.Read(b.Extend(n))
	return b
}

// Traffic returns n records that look like a router's: few protocols and
// services, many hosts, times that advance, plausible counts.
func Traffic(l *flow.Layout, n int, seed uint64) *flow.Batch {
	b := &flow.Batch{Layout: l}
	clear(b.Extend(n))
	rng := rand.New(rand.NewPCG(seed, 1))
	services := [...]uint64{53, 80, 443, 443, 443, 22, 25, 123, 993, 3306, 8080}
	const boot, start = 86400000, 1700000000
	for i := range n {
		r := b.At(i)
		now := uint64(i / 30 * 20) // ms since the first export
		pkts := uint64(1 + rng.ExpFloat64()*12)
		lasted := uint64(rng.ExpFloat64() * 5000)
		prot := uint64(6)
		if rng.IntN(3) == 0 {
			prot = 17
		} else if rng.IntN(40) == 0 {
			prot = 1
		}
		flags := uint64(0)
		if prot == 6 {
			flags = 0x1b
		}
		for f, v := range map[flow.Field]uint64{
			flow.UnixSecs: start + now/1000, flow.UnixNsecs: now % 1000 * 1e6, flow.SysUptime: boot + now,
			flow.ExAddr: 0x0a0000fe, flow.DFlows: 1 + pkts/4, flow.DPkts: pkts, flow.DOctets: pkts * (40 + rng.Uint64N(1400)),
			flow.First: boot + now - lasted - 1000, flow.Last: boot + now - 1000,
			flow.SrcAddr: 0x0a000000 + rng.Uint64N(4000), flow.DstAddr: 0xc0000000 + rng.Uint64N(60000),
			flow.NextHop: 0x0a000001, flow.Input: rng.Uint64N(8), flow.Output: rng.Uint64N(8),
			flow.SrcPort: 1024 + rng.Uint64N(60000), flow.DstPort: services[rng.IntN(len(services))], flow.Prot: prot,
			flow.ToS: rng.Uint64N(2) * 0x10, flow.TCPFlags: flags, flow.SrcMask: 24, flow.DstMask: 16,
			flow.SrcAS: 64512 + rng.Uint64N(20), flow.DstAS: 1 + rng.Uint64N(3000), flow.EngineType: 0, flow.EngineID: 1,
			flow.RouterSC: 0x0a000002, flow.SrcTag: rng.Uint64N(10), flow.DstTag: rng.Uint64N(10),
		} {
			l.PutUint(r, f, v)
		}
	}
	return b
}

// Column returns a record for each of values, which field f has; all else is 0.
func Column(l *flow.Layout, f flow.Field, values ...uint64) *flow.Batch {
	b := &flow.Batch{Layout: l}
	clear(b.Extend(len(values)))
	for i, v := range values {
		l.PutUint(b.At(i), f, v)
	}
	return b
}

// Layout returns the layout of a record version and panics for unknown ones.
func Layout(export uint16, agg uint8) *flow.Layout {
	l, err := flow.LayoutOf(flow.Version{Export: export, Agg: agg})
	if err != nil {
		panic(err)
	}
	return l
}

// Stream encodes b as a stream with a streaming header.
func Stream(b *flow.Batch, opts ...ftfile.Option) []byte {
	var out bytes.Buffer
	w, err := ftfile.NewWriter(&out, ftfile.NewHeader(b.Layout.Version, ftfile.FlagStreaming), opts...)
	if err == nil {
		err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}
