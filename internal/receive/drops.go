package receive

import "flowtools/internal/capture"

// kernelDrops counts the datagrams that the system dropped because the receive
// buffer of a socket was full.
type kernelDrops struct {
	total    uint64
	told     uint64
	bySocket map[int]uint32 // what each socket said last
}

// see takes what the socket of a burst says, which counts modulo 2^32.
func (k *kernelDrops) see(b *capture.Burst) {
	last := k.bySocket[b.Socket]
	if b.Dropped == last || b.Dropped == 0 { // 0 may be no word of it
		return
	}
	if k.bySocket == nil {
		k.bySocket = map[int]uint32{}
	}
	k.bySocket[b.Socket] = b.Dropped
	k.total += uint64(b.Dropped - last)
}

// tell logs drops since the last call, with what can be done about them.
func (k *kernelDrops) tell(warn func(format string, args ...any)) {
	if k.total == k.told {
		return
	}
	warn("the system dropped %d datagrams (%d since the start): raise net.core.rmem_max", k.total-k.told, k.total)
	k.told = k.total
}
