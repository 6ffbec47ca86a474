// Package probe is the sensor: it turns packets into flows and flows into NetFlow, IPFIX or flow-tools records.
//
// A Meter reads the headers of each packet, keeps the table of flows, and hands flows that ended to a Sink, in an order that
// depends on the packets alone. It has one clock, the time stamps of the packets, which in live capture is moved on by the wall
// clock when no packets come.
package probe

import (
	"slices"
	"time"

	"flowtools/internal/pcap"
)

// Keys are parts of the key beyond the usual five.
type Keys uint8

// Additional parts.
const (
	KeyTOS Keys = 1 << iota
	KeyVLAN
	KeyMAC
	KeyIf
)

// Options say how a Meter counts. Lifetimes are in whole seconds.
type Options struct {
	Skip   int  // octets of link header to skip literally; negative: walk the headers
	Wire   bool // count octets of whole frames
	IPv6   bool // track IPv6
	Keys   Keys
	ICMP   ICMPPorts
	SCTP   bool // SCTP has ports
	Narrow bool // counters have 32 bits where the flows go
	Sample int  // count one packet in this many
	End    bool // TCP flows end with FIN and RST

	Idle     int64 // lifetime without packets
	Active   int64 // lifetime with packets
	Fragment int64 // lifetime of incomplete sets of fragments without packets
	Scan     int64 // between scans

	MaxFlows int    // 0: no limit
	Bulk     int    // entries to allocate at a time
	Seed     uint64 // of the hash; any value

	// Interface returns the input and output interface of a flow by its first packet; nil: 0 and 0.
	Interface func(p *pcap.Packet) (in, out uint32)
}

// Sink takes flows that ended.
type Sink interface {
	// Flow takes one flow, valid during the call. now is the clock, in ns since 1970.
	Flow(f *Flow, now int64)
	// Tick tells the time now and then, at least at every scan.
	Tick(now int64)
}

const (
	maxFragments = 1 << 14 // sets of fragments; more let the oldest go on incomplete
	closeDelay   = 2       // seconds between the end of a TCP connection and that of its flow
	narrowLimit  = 1<<32 - 1
	second       = int64(time.Second)
)

// Counters are what a Meter has seen so far. Packets is the sum of Counted, Skipped and the ignored ones.
type Counters struct {
	Packets, Octets uint64 // all packets; octets on the wire
	Counted         uint64 // packets that became part of flows
	Skipped         uint64 // left out by sampling
	NotIP           uint64 // other protocols, or damaged
	Truncated       uint64 // too little captured to tell
	ForeignIPv6     uint64 // IPv6 where it is not tracked
	Fragments       uint64 // among Counted
	Joined          uint64 // sets of fragments that were complete
	Incomplete      uint64 // sets that were not
	Steps           uint64 // times the clock was set back
	Ended           [NumReasons]uint64
	Protocols       [256]Protocol // flows that ended
	Active          int           // flows and sets in the tables now
}

// Protocol is the sum over the flows of a protocol.
type Protocol struct{ Flows, Packets, Octets uint64 }

// Meter counts packets into flows. It is for one goroutine.
type Meter struct {
	opt      Options
	walk     walker
	sink     Sink
	flows    *table
	sets     *table // of fragments
	maxSets  int
	now      int64 // the clock, 0 before the first packet
	next     int64 // the next scan
	sampled  int
	due      []uint32 // flows active for too long, for the next scan
	closing  []closing
	batch    []*Flow // flows that end in this scan
	batchIdx []uint32
	h        headers
	Counters
}

// closing is a flow that ends soon; age tells whether the entry is still the same flow.
type closing struct {
	i, age uint32
	at     int64 // second
}

// NewMeter returns a meter without flows.
func NewMeter(o Options, sink Sink) *Meter {
	if o.Sample < 1 {
		o.Sample = 1
	}
	o.Scan = max(o.Scan, 1)
	m := &Meter{
		opt: o, sink: sink,
		walk:    walker{literal: o.Skip, ipv6: o.IPv6, wire: o.Wire, icmp: o.ICMP, sctp: o.SCTP},
		flows:   newTable(o.Bulk, o.Seed),
		sets:    newTable(256, o.Seed),
		maxSets: maxFragments,
	}
	if o.MaxFlows > 0 {
		m.maxSets = min(m.maxSets, o.MaxFlows)
	}
	return m
}

// Now returns the clock in ns since 1970, 0 before the first packet.
func (m *Meter) Now() int64 { return m.now }

// Size returns the number of flows and sets of fragments in the tables.
func (m *Meter) Size() int { return m.flows.count + m.sets.count }

// Packet counts one packet.
func (m *Meter) Packet(p *pcap.Packet) {
	m.advance(p.Time)
	m.Packets++
	m.Octets += uint64(p.Len)
	if m.opt.Sample > 1 {
		if m.sampled++; m.sampled < m.opt.Sample {
			m.Skipped++
			return
		}
		m.sampled = 0
	}
	h := &m.h
	switch m.walk.parse(p, h) {
	case notIP:
		m.NotIP++
		return
	case isTrimmed:
		m.Truncated++
		return
	case isForeign:
		m.ForeignIPv6++
		return
	}
	m.Counted++
	key := Key{Src: h.src, Dst: h.dst, Version: h.version, Proto: h.proto, Ports: h.ports}
	if keys := m.opt.Keys; keys != 0 {
		if keys&KeyTOS != 0 {
			key.TOS = h.tos
		}
		if keys&KeyVLAN != 0 {
			key.Tagged, key.VLAN = h.tagged, h.vlan
		}
		if keys&KeyMAC != 0 {
			key.MACs = h.macs
		}
		if keys&KeyIf != 0 {
			key.If = p.IfIndex
		}
	}
	if h.fragment {
		m.fragmentOf(p, h, &key)
		return
	}
	m.count(p, h, &key)
}

// count adds a whole packet to its flow.
func (m *Meter) count(p *pcap.Packet, h *headers, key *Key) {
	i, hash := m.flows.find(key)
	if i != 0 {
		f := m.flows.at(i)
		switch {
		case m.opt.Narrow && (f.Octets+h.octets > narrowLimit || f.Packets == narrowLimit):
			m.end(i, ReasonActive)
			i = 0
		case f.state&finished != 0 && h.tcpFlags&(tcpSYN|tcpACK|tcpRST) == tcpSYN:
			m.end(i, ReasonEnd) // the ports are used again
			i = 0
		}
	}
	if i == 0 {
		i = m.start(p, h, key, hash)
	}
	f := m.flows.at(i)
	f.Packets++
	f.Octets += h.octets
	f.TCPFlags |= h.tcpFlags
	m.seen(i, f, p.Time, p.Time)
	if m.opt.End && h.proto == protoTCP && h.tcpFlags&(tcpFIN|tcpRST) != 0 {
		m.closes(i, f, h.tcpFlags)
	}
}

const (
	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpACK = 0x10
)

// start makes a new flow.
func (m *Meter) start(p *pcap.Packet, h *headers, key *Key, hash uint32) uint32 {
	if m.opt.MaxFlows > 0 && m.flows.count >= m.opt.MaxFlows {
		m.end(m.flows.oldest, ReasonResources)
	}
	i := m.flows.insert(key, hash)
	f := m.flows.at(i)
	f.First, f.Last = p.Time, p.Time
	f.ToS, f.Outgoing = h.tos, p.Dir == pcap.Out
	if m.opt.Interface != nil {
		f.In, f.Out = m.opt.Interface(p)
	}
	return i
}

// seen notes packets between two times, and a flow that has become too old.
func (m *Meter) seen(i uint32, f *Flow, first, last int64) {
	f.First, f.Last = min(f.First, first), max(f.Last, last)
	m.flows.touch(i, f, m.now/second)
	if f.state&overdue == 0 && f.Last/second-f.First/second > m.opt.Active {
		f.state |= overdue
		m.due = append(m.due, i)
	}
}

// closes notes the end of a TCP connection: RST, or FIN when the other direction had one too.
func (m *Meter) closes(i uint32, f *Flow, flags uint8) {
	back := f.Key
	back.Src, back.Dst = f.Dst, f.Src
	back.Ports = f.Ports<<16 | f.Ports>>16
	if m.opt.Keys&KeyMAC != 0 {
		copy(back.MACs[:6], f.MACs[6:])
		copy(back.MACs[6:], f.MACs[:6])
	}
	j, _ := m.flows.find(&back)
	f.state |= finSeen
	if flags&tcpRST == 0 && (j == 0 || m.flows.at(j).state&finSeen == 0) {
		return
	}
	for _, k := range [2]uint32{i, j} {
		if k == 0 {
			continue
		}
		if g := m.flows.at(k); g.state&finished == 0 {
			g.state |= finished
			m.closing = append(m.closing, closing{k, g.age, m.now/second + closeDelay})
		}
	}
}

// fragmentOf adds a fragment to its set.
func (m *Meter) fragmentOf(p *pcap.Packet, h *headers, key *Key) {
	m.Fragments++
	set := *key
	set.Ports, set.Proto = h.id, h.fragProto
	i, hash := m.sets.find(&set)
	if i != 0 {
		if f := m.sets.at(i); m.opt.Narrow && f.Octets+h.octets > narrowLimit {
			m.join(i, false)
			i = 0
		}
	}
	if i == 0 {
		if m.sets.count >= m.maxSets {
			m.join(m.sets.oldest, false)
		}
		i = m.sets.insert(&set, hash)
		f := m.sets.at(i)
		f.First, f.Last, f.ToS, f.Outgoing, f.proto = p.Time, p.Time, h.tos, p.Dir == pcap.Out, h.proto
		if m.opt.Interface != nil {
			f.In, f.Out = m.opt.Interface(p)
		}
	}
	f := m.sets.at(i)
	f.Packets++
	f.Octets += h.octets
	f.TCPFlags |= h.tcpFlags
	f.First, f.Last = min(f.First, p.Time), max(f.Last, p.Time)
	f.sum += h.payload
	if h.offset == 0 {
		f.ports, f.proto = h.ports, h.proto
	}
	if !h.more {
		f.end = h.offset + h.payload
	}
	m.sets.touch(i, f, m.now/second)
	if f.end != 0 && f.sum >= f.end {
		m.join(i, true)
	}
}

// join makes a set of fragments part of the flow of its ports, 0 and 0 if the first fragment is missing.
func (m *Meter) join(i uint32, complete bool) {
	if complete {
		m.Joined++
	} else {
		m.Incomplete++
	}
	set := *m.sets.at(i)
	m.sets.remove(i)
	key := set.Key
	key.Ports, key.Proto = set.ports, set.proto
	j, hash := m.flows.find(&key)
	if j != 0 {
		if f := m.flows.at(j); m.opt.Narrow && (f.Octets+set.Octets > narrowLimit || f.Packets+set.Packets > narrowLimit) {
			m.end(j, ReasonActive)
			j = 0
		}
	}
	if j == 0 {
		if m.opt.MaxFlows > 0 && m.flows.count >= m.opt.MaxFlows {
			m.end(m.flows.oldest, ReasonResources)
		}
		j = m.flows.insert(&key, hash)
		f := m.flows.at(j)
		f.First, f.Last, f.ToS, f.Outgoing, f.In, f.Out = set.First, set.Last, set.ToS, set.Outgoing, set.In, set.Out
	}
	f := m.flows.at(j)
	f.Packets += set.Packets
	f.Octets += set.Octets
	f.TCPFlags |= set.TCPFlags
	m.seen(j, f, set.First, set.Last)
}

// Tick moves the clock on without a packet, and tells the sink.
func (m *Meter) Tick(now int64) {
	m.advance(now)
	m.sink.Tick(m.now)
	m.Active = m.Size()
}

// advance moves the clock, and does the scans that have become due.
//
// A clock set back for more than the idle lifetime (another file, or somebody set it) ends all flows and starts anew:
// otherwise nothing would end before the old time is reached again.
func (m *Meter) advance(to int64) {
	if m.now == 0 {
		m.restart(to)
		return
	}
	if to <= m.now {
		if to/second < m.now/second-m.opt.Idle-1 {
			m.Steps++
			m.Flush()
			m.restart(to)
		}
		return
	}
	for to >= m.next || len(m.closing) > 0 {
		if len(m.closing) > 0 && m.closing[0].at*second < m.next {
			if at := m.closing[0].at * second; at <= to {
				m.now = max(m.now, at)
				m.closed()
				continue
			}
		}
		m.skip(to)
		if to < m.next {
			break
		}
		m.now = m.next
		m.next += m.opt.Scan * second
		m.scan()
	}
	m.now = to
}

// skip leaves out scans, of those due until a time, that would find nothing: input may have gaps of years.
func (m *Meter) skip(to int64) {
	if len(m.due) > 0 {
		return
	}
	event := to
	if i := m.flows.oldest; i != 0 {
		event = min(event, (m.flows.at(i).seen+m.opt.Idle+1)*second)
	}
	if i := m.sets.oldest; i != 0 {
		event = min(event, (m.sets.at(i).seen+m.opt.Fragment+1)*second)
	}
	if step := m.opt.Scan * second; event > m.next {
		m.next += (event - m.next) / step * step // the last scan before it, so that one more comes
	}
}

func (m *Meter) restart(at int64) {
	m.now = at
	m.next = at/second*second + m.opt.Scan*second
}

// closed ends the flows whose connection has been over for long enough.
func (m *Meter) closed() {
	now, n := m.now/second, 0
	for n < len(m.closing) && m.closing[n].at <= now {
		if c := m.closing[n]; m.flows.at(c.i).state&finished != 0 && m.flows.at(c.i).age == c.age {
			m.mark(c.i, ReasonEnd)
		}
		n++
	}
	m.closing = append(m.closing[:0], m.closing[n:]...)
	m.release()
}

// scan ends the flows whose lifetime is over.
func (m *Meter) scan() {
	now := m.now / second
	for i := m.sets.oldest; i != 0 && now-m.sets.at(i).seen > m.opt.Fragment; i = m.sets.oldest {
		m.join(i, false)
	}
	for i := m.flows.oldest; i != 0; {
		f := m.flows.at(i)
		if now-f.seen <= m.opt.Idle {
			break
		}
		next := f.newer
		m.mark(i, ReasonIdle)
		i = next
	}
	for _, i := range m.due {
		if m.flows.at(i).state&overdue != 0 {
			m.mark(i, ReasonActive)
		}
	}
	m.due = m.due[:0]
	m.release()
	m.sink.Tick(m.now)
	m.Active = m.Size()
}

// Flush ends all flows, after incomplete sets of fragments have become part of theirs.
func (m *Meter) Flush() {
	for m.sets.oldest != 0 {
		m.join(m.sets.oldest, false)
	}
	for i := m.flows.oldest; i != 0; i = m.flows.at(i).newer {
		m.mark(i, ReasonForced)
	}
	m.due, m.closing = m.due[:0], m.closing[:0]
	m.release()
	m.Active = 0
}

// mark puts a flow on the list of those that end now.
func (m *Meter) mark(i uint32, why Reason) {
	f := m.flows.at(i)
	if f.Reason != ReasonNone {
		return
	}
	f.Reason = why
	m.batch = append(m.batch, f)
	m.batchIdx = append(m.batchIdx, i)
}

// release hands out the flows that end now, in order, and frees them.
func (m *Meter) release() {
	if len(m.batch) == 0 {
		return
	}
	slices.SortFunc(m.batch, compare)
	for _, f := range m.batch {
		m.deliver(f)
	}
	for _, i := range m.batchIdx {
		m.flows.remove(i)
	}
	m.batch, m.batchIdx = m.batch[:0], m.batchIdx[:0]
	if cap(m.batch) > 1<<16 && m.flows.count < 1<<12 {
		m.batch, m.batchIdx = nil, nil
	}
}

// end ends one flow at once.
func (m *Meter) end(i uint32, why Reason) {
	f := m.flows.at(i)
	f.Reason = why
	m.deliver(f)
	m.flows.remove(i)
}

func (m *Meter) deliver(f *Flow) {
	m.Ended[f.Reason]++
	p := &m.Protocols[f.Proto]
	p.Flows++
	p.Packets += f.Packets
	p.Octets += f.Octets
	m.sink.Flow(f, m.now)
}
