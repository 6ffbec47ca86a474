// Package dscan finds host scans, port scans and unusually large flows in a
// stream of flows.
package dscan

import (
	"fmt"
	"math/bits"
	"slices"

	"flowtools/internal/cdate"
	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// numBuckets is the number of buckets that sources are kept in; a source's is the
// exclusive or of the halves of its address.
const numBuckets = 1 << 16

// Limits of what is watched.
const (
	knownPorts = 1024 // ports below are counted for port scans
	agerEvery  = 1000 // flows between runs of the ager
	agerWork   = 500  // roughly what one run of it looks at
)

// Flags of a source that was reported.
const (
	hostScan = 1
	portScan = 2
)

// Config says what to look for; the zero values of the triggers are off.
type Config struct {
	Depth  uint32 // destinations of one source that make a host scan
	Ports  uint32 // low ports on one destination that make a port scan
	MaxAge uint32 // flows after which a destination is forgotten; 0 never
	Octets uint32 // report flows with more octets
	Pkts   uint32 // report flows with more packets
	Millis uint32 // report flows that lasted longer

	Input, Output *clib.Set // interfaces; nil is all
	NoMulticast   bool      // -m
	NoWebReplies  bool      // -w
	NoWebRequests bool      // -W
	Debug         int
}

// Detector watches the flows of one layout.
type Detector struct {
	Config
	layout *flow.Layout
	zone   *cdate.Zone
	warn   func(format string, args ...any)

	suppress [2]suppressList // by source, by destination
	buckets  [numBuckets]*source
	flows    uint32 // seen in this run
	cursor   int    // bucket the ager continues at
	titled   bool   // the heading of dumps was printed
}

// source is a host that sends. Sources of a bucket are linked, newest first.
type source struct {
	next  *source
	addr  uint32
	depth int // destinations, as far as counted: see ReadState
	flags uint8
	dests []dest
	index map[uint32]int // of dests by address; nil for short lists
}

// dest is a host that a source sent to.
type dest struct {
	addr  uint32
	seen  uint32 // number of the last flow
	ports *portSet
}

// portSet holds ports below 1024.
type portSet [knownPorts / 64]uint64

func (p *portSet) put(port uint64) { p[port/64] |= 1 << (port % 64) }

func (p *portSet) len() (n int) {
	if p != nil {
		for _, w := range p {
			n += bits.OnesCount64(w)
		}
	}
	return n
}

// New returns a detector that reports through warn. Layout may be nil as long
// as no flow comes.
func New(c Config, layout *flow.Layout, zone *cdate.Zone, warn func(string, ...any)) *Detector {
	return &Detector{Config: c, layout: layout, zone: zone, warn: warn}
}

// SetLayout sets the layout of the flows to come.
func (d *Detector) SetLayout(l *flow.Layout) { d.layout = l }

func bucket(addr uint32) uint32 { return addr>>16 ^ addr&0xffff }

// Flow looks at one flow.
func (d *Detector) Flow(r flow.Record) {
	d.flows++
	l := d.layout
	src, dst := uint32(l.Uint(r, flow.SrcAddr)), uint32(l.Uint(r, flow.DstAddr))
	port := l.Uint(r, flow.DstPort)
	switch h := bucket(src); {
	case !d.wanted(r, src, dst, port):
		return
	case d.suppress[0].has(h, src):
		return
	case d.suppress[1].has(h, dst): // Compat: looked for in the bucket of the source
		return
	}
	d.triggers(r)
	if d.source(r, src, dst, port) && d.MaxAge != 0 && d.flows%agerEvery == 0 {
		d.age()
	}
}

// wanted applies the options that leave flows out.
func (d *Detector) wanted(r flow.Record, src, dst uint32, dport uint64) bool {
	l := d.layout
	switch tcp, sport := l.Uint(r, flow.Prot) == 6, l.Uint(r, flow.SrcPort); {
	case d.Input != nil && !d.Input.Has(uint(l.Uint(r, flow.Input))):
		return false
	case d.Output != nil && !d.Output.Has(uint(l.Uint(r, flow.Output))):
		return false
	case d.NoMulticast && (src>>28 == 0xe || dst>>28 == 0xe):
		return false
	case d.NoWebReplies && tcp && sport == 80 && dport >= knownPorts:
		return false
	case d.NoWebRequests && tcp && dport == 80 && sport >= knownPorts:
		return false
	}
	return true
}

// triggers dumps a flow once for each limit it exceeds.
func (d *Detector) triggers(r flow.Record) {
	l := d.layout
	for _, t := range [...]struct{ value, limit uint32 }{
		{uint32(l.Uint(r, flow.DOctets)), d.Octets}, {uint32(l.Uint(r, flow.DPkts)), d.Pkts}, {l.Duration(r), d.Millis},
	} {
		if t.limit != 0 && t.value > t.limit {
			d.dump(r)
		}
	}
}

// source brings the record of the flow's source up to date; true when the ager
// may run.
//
// Compat: a source is reported once, a port scan is not reported by the first
// flow to a destination, and depth is compared as one octet, so that limits
// above 255 never report a host scan.
func (d *Detector) source(r flow.Record, src, dst uint32, port uint64) bool {
	s := d.find(src)
	if s == nil {
		s = &source{addr: src}
		s.append(dst, d.flows, port)
		d.link(s)
		return true
	}
	if s.flags != 0 {
		return false
	}
	to := s.to(dst)
	if to == nil {
		if uint32(uint8(s.depth)) >= d.Depth {
			d.warn("host scan: ip=%s ts=%s", address(src), d.stamps(r))
			s.dests, s.index, s.depth, s.flags = nil, nil, 0, hostScan
			return true
		}
		s.append(dst, d.flows, port)
		return true
	}
	to.seen = d.flows
	if port < knownPorts {
		to.port(port)
		if uint32(to.ports.len()) >= d.Ports {
			d.warn("port scan: src=%s dst=%s ts=%s", address(src), address(dst), d.stamps(r))
			to.ports, s.flags = nil, portScan
		}
	}
	return false
}

// indexed is the length from which a list of destinations is not searched one
// by one: only a -D above it lets one grow that long.
const indexed = 256

// to returns the destination with an address, the first if a state file has it
// twice; nil if there is none.
func (s *source) to(addr uint32) *dest {
	if len(s.dests) < indexed {
		for i := range s.dests {
			if s.dests[i].addr == addr {
				return &s.dests[i]
			}
		}
		return nil
	}
	if s.index == nil {
		s.index = make(map[uint32]int, 2*len(s.dests))
		for i := len(s.dests) - 1; i >= 0; i-- {
			s.index[s.dests[i].addr] = i
		}
	}
	if i, ok := s.index[addr]; ok {
		return &s.dests[i]
	}
	return nil
}

func (s *source) append(dst, seen uint32, port uint64) {
	if s.index != nil {
		s.index[dst] = len(s.dests)
	}
	s.dests = append(s.dests, dest{addr: dst, seen: seen})
	s.depth++
	if port < knownPorts {
		s.dests[len(s.dests)-1].port(port)
	}
}

func (t *dest) port(port uint64) {
	if t.ports == nil {
		t.ports = new(portSet)
	}
	t.ports.put(port)
}

func (d *Detector) find(addr uint32) *source {
	for s := d.buckets[bucket(addr)]; s != nil; s = s.next {
		if s.addr == addr {
			return s
		}
	}
	return nil
}

// link puts s at the front of its bucket.
func (d *Detector) link(s *source) {
	b := &d.buckets[bucket(s.addr)]
	s.next = *b
	*b = s
}

// age forgets destinations not seen for long, some buckets at a time.
//
// Compat: a run that stops for its share of work does its last bucket again the
// next time.
func (d *Detector) age() {
	work := 0
	for ; d.cursor < numBuckets; d.cursor++ {
		for p := &d.buckets[d.cursor]; *p != nil; {
			s := *p
			work += 2 + len(s.dests)
			s.index = nil // made again when it is needed
			s.dests = slices.DeleteFunc(s.dests, func(to dest) bool {
				old := d.flows-to.seen > d.MaxAge
				if old {
					s.depth--
					if d.Debug > 5 {
						d.warn("ager: remove max=%d i32=%d", d.MaxAge, d.flows-to.seen)
					}
				}
				return old
			})
			if s.depth == 0 {
				if d.Debug > 5 {
					d.warn("ager: remove record")
				}
				*p = s.next
				continue
			}
			p = &s.next
		}
		if work++; work > agerWork {
			if d.Debug > 2 {
				d.warn("hash run: work=%d", work)
				d.warn("hash run: bucket=%d", d.cursor)
			}
			return
		}
	}
	d.cursor = 0
	d.warn("ager: reset hash run")
}

func address(a uint32) string { return string(clib.AppendIPv4(nil, a)) }

// stamps is the time of a flow's first packet: SECONDS start=STAMP.
func (d *Detector) stamps(r flow.Record) string {
	ms := d.layout.Millis(r, flow.First)
	return fmt.Sprintf("%d start=%s", flow.Seconds(ms), d.stamp(ms))
}

// stamp is MMDD.HH:MM:SS. and the milliseconds padded on the right.
func (d *Detector) stamp(ms uint64) string {
	t := d.zone.Civil(int64(flow.Seconds(ms)))
	return fmt.Sprintf("%02d%02d.%02d:%02d:%02d.%-3d ", t.Month, t.Day, t.Hour, t.Min, t.Sec, ms%1000)
}

// dump reports a flow that exceeds a limit.
func (d *Detector) dump(r flow.Record) {
	if !d.titled {
		d.titled = true
		d.warn("Start             End                Sif SrcIPaddress      SrcP  DIf DstIPaddress      DstP   P Fl       Pkts     Octets")
	}
	l := d.layout
	d.warn("%s", d.stamp(l.Millis(r, flow.First)))
	d.warn("%s", d.stamp(l.Millis(r, flow.Last)))
	v := func(f flow.Field) uint64 { return l.Uint(r, f) }
	d.warn("%4d %-15.15s %6d %4d %-15.15s %6d %3d %2d %10d %10d",
		v(flow.Input), address(uint32(v(flow.SrcAddr))), v(flow.SrcPort), v(flow.Output), address(uint32(v(flow.DstAddr))), v(flow.DstPort),
		v(flow.Prot), v(flow.TCPFlags)&7, v(flow.DPkts), v(flow.DOctets))
}
