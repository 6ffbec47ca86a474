package pcap

import "golang.org/x/net/bpf"

// Any is the name of the capture over all interfaces.
const Any = "any"

// DefaultRing is the size of the kernel buffer when none is asked for.
const DefaultRing = 8 << 20

// MaxSnap is the length that stands for whole packets, as in libpcap.
const MaxSnap = 262144

// Config is what a live capture is opened with.
type Config struct {
	Interface   string // name, or Any
	Promiscuous bool   // ignored with Any
	Ring        int    // octets; 0: DefaultRing
	Outgoing    bool   // on loopback interfaces deliver outgoing packets too, that is every packet twice
}

// Stats are the packet socket's counters since the capture started.
type Stats struct {
	Received uint64 // packets that passed the filter, dropped ones included
	Dropped  uint64 // packets lost because the ring was full
	Freezes  uint64 // times the ring was full
}

// acceptAll is the filter of a capture without expression: it only cuts packets to the snap length.
func acceptAll(snap int) []bpf.RawInstruction {
	return []bpf.RawInstruction{{Op: 0x06, K: uint32(snap)}}
}
