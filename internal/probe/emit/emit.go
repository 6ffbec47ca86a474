// Package emit sends ended flows on: as NetFlow or IPFIX datagrams to collectors, and as records of a flow stream.
package emit

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"flowtools/internal/probe"
	"flowtools/internal/probe/ipfix"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

const (
	second = int64(time.Second)

	// quiet is how long a datagram that is not full waits for more flows.
	quiet = 5 * second

	// uptimeAtStart is the uptime that is claimed at the start: flows older than the process must not go negative.
	uptimeAtStart = 1 << 20 * second

	uptimeLimit = math.MaxUint32 * int64(time.Millisecond)

	queueLength = 1024 // datagrams between the flow table and the sockets
)

// Config says where flows go and how.
type Config struct {
	Version    int // 1, 5, 7, 9 or 10
	Collectors []*Collector
	PaceBytes  int64         // -t: after so many octets
	PacePause  time.Duration // sleep so long
	Keys       probe.Keys
	Cisco      bool
	Sample     int
	Offline    bool // the clock of the packets is that of the export where that is long ago

	Stream   *ftfile.Writer // nil: none
	Exporter uint32         // exporter address in its records
	Live     bool           // the stream's reader waits: flush often

	Now  func() time.Time // the wall clock
	Warn func(text string)
}

// Counters are what was sent; the fields may be read while the Emitter works.
type Counters struct {
	Flows     atomic.Uint64 // taken
	Datagrams atomic.Uint64 // sent or tried, each collector counting
	Octets    atomic.Uint64
	Errors    atomic.Uint64 // of them failed
	Queued    atomic.Int64  // datagrams waiting
}

// Emitter is a probe.Sink. Its methods are for one goroutine; the sockets have one of their own.
type Emitter struct {
	Counters
	cfg    Config
	start  int64 // ns
	base   int64 // ms since 1970, where uptime is 0
	limit  int
	cost   int // of the group
	group  []probe.Flow
	oldest int64 // among them
	newest int64
	latest int64 // when the last one came

	format  *ipfix.Format
	encoder *netflow.Encoder
	batch   *flow.Batch // for the encoder
	stream  *flow.Batch
	err     error

	queue chan *datagram
	spare chan *datagram
	done  sync.WaitGroup
}

// datagram is an encoded group, but for what differs between collectors.
type datagram struct {
	buf   [2048]byte
	at    int // where the data (or, for NetFlow 1, 5 and 7, the header) starts
	end   int
	flows int
	head  ipfix.Header
}

// New starts an emitter. Close ends it.
func New(c Config) (*Emitter, error) {
	e := &Emitter{cfg: c, start: c.Now().UnixNano(), limit: 30}
	e.base = (e.start - uptimeAtStart) / int64(time.Millisecond)
	switch c.Version {
	case 9, 10:
		e.format = ipfix.New(ipfix.Config{Version: uint16(c.Version), Keys: c.Keys, Cisco: c.Cisco, Sample: c.Sample, Start: e.start})
		e.limit = e.format.Limit()
	default:
		enc, err := netflow.NewEncoder(flow.Version{Export: uint16(c.Version)}, netflow.Exact, e.encoded)
		if err != nil {
			return nil, err
		}
		e.encoder, e.limit = enc, enc.MaxRecords()
		e.batch = flow.NewBatch(enc.Layout())
	}
	if c.Stream != nil {
		e.stream = flow.NewBatch(c.Stream.Layout())
	}
	if len(c.Collectors) > 0 {
		e.queue, e.spare = make(chan *datagram, queueLength), make(chan *datagram, queueLength+2)
		e.done.Add(1)
		go e.send()
	}
	return e, nil
}

// Err returns the first error of the stream, which ends the program.
func (e *Emitter) Err() error { return e.err }

// Flow takes a flow that ended.
func (e *Emitter) Flow(f *probe.Flow, now int64) {
	e.Flows.Add(1)
	cost := 1
	if e.format != nil {
		cost = e.format.Cost(f)
	}
	first := max(f.First, f.Last-uptimeLimit+second) // longer than uptime can say
	if len(e.group) > 0 && (e.cost+cost > e.limit || max(e.newest, f.Last)-min(e.oldest, first) > uptimeLimit-second) {
		e.flush(now)
	}
	if len(e.group) == 0 {
		e.oldest, e.newest = first, f.Last
	}
	e.group = append(e.group, *f)
	e.group[len(e.group)-1].First = first
	e.oldest, e.newest = min(e.oldest, first), max(e.newest, f.Last)
	e.cost += cost
	e.latest = now
	if e.cost == e.limit {
		e.flush(now)
	}
}

// Tick sends a datagram that has waited long enough for more flows.
func (e *Emitter) Tick(now int64) {
	if len(e.group) > 0 && now-e.latest >= quiet {
		e.flush(e.latest + quiet)
	}
}

// Flush sends what waits.
func (e *Emitter) Flush(now int64) {
	if len(e.group) > 0 {
		e.flush(now)
	}
}

// Close waits until everything is sent. The stream stays open.
func (e *Emitter) Close() {
	if e.queue != nil {
		close(e.queue)
		e.done.Wait()
		e.queue = nil
	}
}

// stamp picks the export time of the group and the time that its uptime counts from. clock is that of the packets.
//
// The base stays, so that uptime grows steadily, until uptime would leave its 32 bits. Flows from before it get a base of their
// own, and, from a file, an export time of their own: a collector then computes their true times.
func (e *Emitter) stamp(clock int64) (now, base int64) {
	const ms = int64(time.Millisecond)
	now = e.cfg.Now().UnixNano() / 1000 * 1000
	if now/ms-e.base >= uptimeLimit/ms {
		e.base = (now - uptimeAtStart) / ms
	}
	base = e.base
	last := max(now, e.newest)/ms - base
	if e.oldest/ms >= base && last < uptimeLimit/ms {
		return now, base
	}
	base = e.oldest / ms
	if e.cfg.Offline || max(now, e.newest)/ms-base >= uptimeLimit/ms {
		now = max(min(clock, base*ms+uptimeLimit-second), e.newest)
	}
	return now, base
}

func (e *Emitter) flush(clock int64) {
	now, base := e.stamp(clock)
	if e.stream != nil && e.err == nil {
		e.records(e.stream, now, base)
		e.err = e.cfg.Stream.Write(e.stream)
		if e.cfg.Live && e.err == nil {
			e.err = e.cfg.Stream.Flush()
		}
	}
	if e.queue != nil {
		e.encode(now, base)
	}
	e.group, e.cost = e.group[:0], 0
}

// records fills a batch with the IPv4 flows of the group.
func (e *Emitter) records(b *flow.Batch, now, base int64) {
	b.Reset()
	l := b.Layout
	for i := range e.group {
		f := &e.group[i]
		if f.Version != 4 {
			continue
		}
		r := flow.Record(b.Extend(1))
		clear(r)
		l.PutUint(r, flow.UnixSecs, uint64(now/second))
		l.PutUint(r, flow.UnixNsecs, uint64(now%second))
		l.PutUint(r, flow.SysUptime, uint64(now/1e6-base))
		l.PutUint(r, flow.ExAddr, uint64(e.cfg.Exporter))
		l.PutUint(r, flow.SrcAddr, f.Src[1])
		l.PutUint(r, flow.DstAddr, f.Dst[1])
		l.PutUint(r, flow.Input, uint64(f.In))
		l.PutUint(r, flow.Output, uint64(f.Out))
		l.PutUint(r, flow.DPkts, f.Packets)
		l.PutUint(r, flow.DOctets, f.Octets)
		l.PutUint(r, flow.First, uint64(f.First/1e6-base))
		l.PutUint(r, flow.Last, uint64(f.Last/1e6-base))
		l.PutUint(r, flow.SrcPort, uint64(f.Ports>>16))
		l.PutUint(r, flow.DstPort, uint64(f.Ports&0xffff))
		l.PutUint(r, flow.Prot, uint64(f.Proto))
		l.PutUint(r, flow.ToS, uint64(f.ToS))
		l.PutUint(r, flow.TCPFlags, uint64(f.TCPFlags))
	}
}

// encode makes one datagram of the group and queues it.
func (e *Emitter) encode(now, base int64) {
	if e.format == nil {
		e.records(e.batch, now, base)
		// One group is one datagram; encoded never fails.
		_ = e.encoder.Write(e.batch)
		_ = e.encoder.Flush()
		return
	}
	d := e.blank()
	d.at = e.format.Reserve()
	d.end = len(e.format.Append(d.buf[:d.at], e.group, base))
	d.flows, d.head = len(e.group), ipfix.Header{Now: now, Base: base}
	e.put(d)
}

// Offsets in the header of NetFlow 5.
const (
	sequenceAt     = 16
	samplingAt     = 22
	samplingMode   = 1 << 14 // systematic
	maxSampling    = 1<<14 - 1
	unsequenced    = 1
	sampledVersion = 5
)

// encoded takes a datagram from the encoder.
func (e *Emitter) encoded(pdu []byte) error {
	d := e.blank()
	d.at, d.end, d.flows = 0, copy(d.buf[:], pdu), e.encoder.Sent()
	if e.cfg.Version == sampledVersion && e.cfg.Sample > 1 {
		v := samplingMode | min(e.cfg.Sample, maxSampling)
		d.buf[samplingAt], d.buf[samplingAt+1] = byte(v>>8), byte(v)
	}
	e.put(d)
	return nil
}

func (e *Emitter) blank() *datagram {
	select {
	case d := <-e.spare:
		return d
	default:
		return new(datagram)
	}
}

func (e *Emitter) put(d *datagram) {
	e.Queued.Add(1)
	e.queue <- d
}

// send is the goroutine of the sockets.
func (e *Emitter) send() {
	defer e.done.Done()
	var mirrors, robins []*Collector
	for _, c := range e.cfg.Collectors {
		if c.RoundRobin {
			robins = append(robins, c)
		} else {
			mirrors = append(mirrors, c)
		}
	}
	turn, sent := 0, int64(0)
	failures := complaints{now: e.cfg.Now, warn: e.cfg.Warn}
	for d := range e.queue {
		e.Queued.Add(-1)
		for _, c := range mirrors {
			sent += e.sendTo(c, d, &failures)
		}
		if len(robins) > 0 {
			sent += e.sendTo(robins[turn%len(robins)], d, &failures)
			turn++
		}
		select {
		case e.spare <- d:
		default:
		}
		if b := e.cfg.PaceBytes; b > 0 && sent >= b {
			time.Sleep(time.Duration(sent/b) * e.cfg.PacePause)
			sent %= b
		}
	}
	failures.report()
}

func (e *Emitter) sendTo(c *Collector, d *datagram, failures *complaints) int64 {
	var msg []byte
	if e.format != nil {
		msg = e.format.Finish(&c.session, d.buf[:d.end], d.at, d.flows, d.head)
	} else {
		msg = d.buf[d.at:d.end]
		if e.cfg.Version != unsequenced {
			msg[sequenceAt], msg[sequenceAt+1], msg[sequenceAt+2], msg[sequenceAt+3] =
				byte(c.sequence>>24), byte(c.sequence>>16), byte(c.sequence>>8), byte(c.sequence)
			c.sequence += uint32(d.flows)
		}
	}
	e.Datagrams.Add(1)
	e.Octets.Add(uint64(len(msg)))
	if err := c.write(msg); err != nil {
		e.Errors.Add(1)
		failures.add(c, err)
	}
	return int64(len(msg))
}

// complaints collects send errors for one message a minute.
type complaints struct {
	now    func() time.Time
	warn   func(string)
	count  int
	last   error
	whom   *Collector
	logged time.Time
}

func (p *complaints) add(c *Collector, err error) {
	p.count, p.last, p.whom = p.count+1, err, c
	if p.logged.IsZero() || p.now().Sub(p.logged) >= time.Minute {
		p.report()
	}
}

func (p *complaints) report() {
	if p.count == 0 {
		return
	}
	p.warn(errorText(p.count, p.whom, p.last))
	p.count, p.logged = 0, p.now()
}
