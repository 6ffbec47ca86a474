package capture

import (
	"net/netip"
	"time"

	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// Intake takes datagrams to decoded flows: it checks them, keeps the books of
// exporters, sequence numbers and refusals, says what has to be said, and
// decodes into records of the output version, which is given or that of the
// first PDU accepted. It belongs to one goroutine.
type Intake struct {
	Remote netip.Addr // the only exporter accepted; the zero or an unspecified address is any
	ZeroAS *uint16    // put in place of AS 0 where the PDU has AS numbers
	Now    func() time.Time

	Tracker *netflow.Tracker
	Counts  Counts // since TakeCounts
	Totals  Totals // since the start

	warn     func(format string, args ...any)
	started  time.Time
	limits   [numTopics]limiter
	decoder  *netflow.Decoder
	batch    *flow.Batch
	exporter *netflow.Exporter
	header   netflow.Header
}

// Counts are what the header of a file says about the network.
type Counts struct {
	Corrupt uint32 // datagrams refused
	Lost    uint32 // flows missing, by sequence number
	Resets  uint32 // jumps of sequence numbers
}

// Totals count since the start.
type Totals struct {
	Datagrams uint64
	Flows     uint64
	Lost      uint64
	Resets    uint64
	Refused   [netflow.NumReasons]uint64
}

// topic is a kind of message that a remote sender can cause at will.
type topic int

const (
	topicNew topic = iota
	topicSequence
	topicInvalid
	topicUnexpected
	numTopics
)

// NewIntake returns an Intake that takes everything and has no output version
// yet. Messages go to warn, those that a sender could flood the log with at a
// limited rate.
func NewIntake(now func() time.Time, warn func(format string, args ...any)) *Intake {
	return &Intake{Now: now, Tracker: netflow.NewTracker(netflow.DefaultExporters), warn: warn, started: now()}
}

// Fix makes v the output version. The error is that of a version that no record
// has.
func (in *Intake) Fix(v flow.Version) error {
	d, err := netflow.NewDecoder(v, netflow.Compat)
	if err != nil {
		return err
	}
	in.decoder, in.batch = d, flow.NewBatch(d.Layout())
	return nil
}

// Layout returns the layout of the output version, nil while there is none.
func (in *Intake) Layout() *flow.Layout {
	if in.decoder == nil {
		return nil
	}
	return in.decoder.Layout()
}

// Accept checks a datagram that arrived on a port, and enters it into the books.
// It reports whether the datagram is to be used; the output version is known
// from the first one on.
func (in *Intake) Accept(d *Datagram, port uint16) bool {
	in.Totals.Datagrams++
	h, err := netflow.Parse(d.Data)
	if err == nil && in.Remote.IsValid() && !in.Remote.IsUnspecified() && in.Remote != d.Src {
		err = netflow.WrongExporter
	}
	if err == nil && in.decoder != nil {
		err = in.decoder.Accepts(h.Version)
	}
	if err == nil && in.decoder == nil {
		err = in.Fix(h.Version)
	}
	if err != nil {
		in.refuse(d, &h, err)
		return false
	}
	in.header = h
	in.track(d, port)
	return true
}

// refuse counts and reports a datagram that is not used.
func (in *Intake) refuse(d *Datagram, h *netflow.Header, err error) {
	in.Counts.Corrupt++
	reason, ok := err.(netflow.Reason)
	if !ok {
		reason = netflow.UnknownVersion
	}
	in.Totals.Refused[reason]++
	t := topicInvalid
	if reason >= netflow.WrongExporter {
		t = topicUnexpected
	}
	if !in.allow(t) {
		return
	}
	switch reason {
	case netflow.WrongExporter:
		in.warn("Unexpected PDU: src_ip=%v not configured", d.Src)
		return
	case netflow.NoTranslation:
		// Compat: the destination is shown, here and below (golden flow-receive/first-version-wins).
		in.warn("Unexpected PDU: src_ip=%v no v8 translation", d.Dst)
		return
	case netflow.OtherMethod:
		in.warn("Unexpected PDU: src_ip=%v multi v8 oagg=%d agg=%d over=%d ver=%d",
			d.Dst, in.Layout().Version.Agg, h.Version.Agg, flow.AggVersion, flow.AggVersion)
		return
	case netflow.TooShort:
		if len(d.Data) < 4 {
			in.warn("not enough bytes to decode the count and version.")
		}
	case netflow.UnknownVersion:
		in.warn("ftpdu version not set.")
	case netflow.TooManyRecords:
		if h.Version.Export == 5 {
			in.warn("too many pdus (%d) in record, max 30", h.Count)
		}
	case netflow.WrongLength:
		if h.Version.Export == 5 {
			// Compat: "expected" is the length received.
			in.warn("pdu received size was wrong.  expected %d got %d", len(d.Data), h.Length())
		}
	}
	in.warn("ftpdu_verify(): src_ip=%v failed.", d.Src)
}

// track enters an accepted PDU into the books.
func (in *Intake) track(d *Datagram, port uint16) {
	h := &in.header
	r := in.Tracker.Track(netflow.NewKey(d.Src, d.Dst, h.Version.Export, port), h)
	in.exporter = r.Exporter
	in.Totals.Flows += uint64(h.Count)
	in.Totals.Lost += uint64(r.Lost)
	in.Counts.Lost += r.Lost
	if r.Reset {
		in.Totals.Resets++
		in.Counts.Resets++
	}
	if r.New && in.allow(topicNew) {
		in.warn("New exporter: time=%d src_ip=%v dst_ip=%v d_version=%d", in.Now().Unix(), d.Src, d.Dst, h.Version.Export)
	}
	if r.Mismatch && in.allow(topicSequence) {
		in.warn("ftpdu_seq_check(): src_ip=%v dst_ip=%v d_version=%d expecting=%d received=%d lost=%d",
			d.Src, d.Dst, h.Version.Export, r.Expected, h.Sequence, r.Distance)
	}
}

// Flows decodes the datagram that Accept has just taken. The batch is valid
// until the next call and may be changed.
func (in *Intake) Flows(d *Datagram) *flow.Batch {
	in.batch.Reset()
	if err := in.decoder.Decode(in.batch, &in.header, d.Data, AddrNumber(d.Src)); err != nil {
		return in.batch // not after Accept
	}
	if in.ZeroAS != nil {
		in.substitute(*in.ZeroAS)
	}
	return in.batch
}

// substitute puts as in place of AS numbers that the exporter left 0.
func (in *Intake) substitute(as uint16) {
	wire, _, err := netflow.WireLayout(in.header.Version)
	if err != nil {
		return
	}
	l := in.batch.Layout
	for f := range (wire.Fields & l.Fields & flow.Fields(flow.SrcAS, flow.DstAS)).All() {
		for r := range in.batch.All() {
			if l.Uint(r, f) == 0 {
				l.PutUint(r, f, uint64(as))
			}
		}
	}
}

// Exporter returns the books of the exporter of the datagram that Accept has
// just taken, until the next call of Accept.
func (in *Intake) Exporter() *netflow.Exporter { return in.exporter }

// TakeCounts returns the counts since the last call.
func (in *Intake) TakeCounts() Counts {
	c := in.Counts
	in.Counts = Counts{}
	return c
}

// allow reports whether a message of a topic may be printed, telling how many
// were held back before it.
func (in *Intake) allow(t topic) bool {
	held, ok := in.limits[t].allow(in.Now())
	if ok && held > 0 {
		in.warn("%d messages like the next one held back", held)
	}
	return ok
}

// limiter lets a burst of messages through and then a steady rate.
type limiter struct {
	budget float64 // messages that may be printed now
	last   time.Time
	held   int
}

const (
	limitBurst = 500
	limitRate  = 50 // a second
)

func (l *limiter) allow(now time.Time) (held int, ok bool) {
	switch {
	case l.last.IsZero():
		l.budget = limitBurst
	case now.After(l.last):
		l.budget = min(limitBurst, l.budget+now.Sub(l.last).Seconds()*limitRate)
	}
	l.last = now
	if l.budget < 1 {
		l.held++
		return 0, false
	}
	l.budget--
	held, l.held = l.held, 0
	return held, true
}
