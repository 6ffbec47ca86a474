package capture

import (
	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// Stage changes the flows of a batch in place, or drops some.
type Stage func(b *flow.Batch)

// MaskFlag is -m of flow-send and flow-fanout: a privacy mask.
func MaskFlag(p **uint32) cli.Flag {
	return cli.Func('m', "mask", "a.b.c.d", func(s string) error {
		v := clib.IPv4(s)
		*p = &v
		return nil
	}, "privacy: AND source and destination addresses with this mask; flows to multicast groups are left alone")
}

// Mask returns the stage that ANDs both addresses of every flow with a mask,
// except where the destination is a multicast group (224/4). Records of version
// 8 are never masked: the stage is then nil.
func Mask(l *flow.Layout, mask uint32) Stage {
	if l.Version.Export == 8 {
		return nil
	}
	return func(b *flow.Batch) {
		// All allocates here, once Mask is inlined in another package.
		for i := range b.Len() {
			r := b.At(i)
			dst := l.Uint(r, flow.DstAddr)
			if dst>>28 == 0xE {
				continue
			}
			l.PutUint(r, flow.DstAddr, dst&uint64(mask))
			l.PutUint(r, flow.SrcAddr, l.Uint(r, flow.SrcAddr)&uint64(mask))
		}
	}
}
