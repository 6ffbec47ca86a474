package netflow

import "flowtools/pkg/flow"

// Decoder turns PDUs into stream records of one version, translating between
// versions where that is possible. It is not safe for concurrent use.
type Decoder struct {
	layout *flow.Layout
	mode   Mode
	plans  [len(pduLines)]*flow.Plan // by kind; nil where there is no translation
	base   flow.Record               // what the fields of the PDU header become
}

// NewDecoder returns a decoder into records of version out. The error names a
// version that no record has.
func NewDecoder(out flow.Version, m Mode) (*Decoder, error) {
	l, err := flow.LayoutOf(out)
	if err != nil {
		return nil, err
	}
	d := &Decoder{layout: l, mode: m, base: make(flow.Record, l.Size)}
	for i, p := range pdus() {
		except, ok := dropped(l.Version, p.layout.Version, m)
		if !ok {
			continue
		}
		// Compat: the encapsulations and the peer of version 6 are not taken in
		// either mode (goldens flow-receive/v6-and-v7-fields, flow-import/wire-v6-fields).
		except |= flow.Fields(flow.InEncaps, flow.OutEncaps, flow.PeerNextHop)
		d.plans[i] = flow.NewPlan(l, p.layout, except)
	}
	return d, nil
}

// Layout returns the layout of the records that d makes.
func (d *Decoder) Layout() *flow.Layout { return d.layout }

// Accepts returns nil when PDUs of version v, which Parse returned, can be
// decoded into the records of d, otherwise NoTranslation or OtherMethod.
func (d *Decoder) Accepts(v flow.Version) error {
	switch k := kindOf(v); {
	case k >= 0 && d.plans[k] != nil:
		return nil
	case v.Export == 8 && d.layout.Version.Export == 8:
		return OtherMethod
	}
	return NoTranslation
}

// Decode appends the records of a datagram to dst, a batch of d.Layout(). The
// header must be what Parse returned for the same datagram; exaddr is the
// address that the datagram came from. The error is that of Accepts, and dst is
// then unchanged.
func (d *Decoder) Decode(dst *flow.Batch, h *Header, datagram []byte, exaddr uint32) error {
	if err := d.Accepts(h.Version); err != nil {
		return err
	}
	k := kindOf(h.Version)
	l, b := d.layout, d.base
	l.PutUint(b, flow.UnixSecs, uint64(h.UnixSecs))
	l.PutUint(b, flow.UnixNsecs, uint64(h.UnixNsecs))
	l.PutUint(b, flow.SysUptime, uint64(h.SysUptime))
	l.PutUint(b, flow.ExAddr, uint64(exaddr))
	et, eid := h.EngineType, h.EngineID
	if d.mode == Compat && h.Version.Export > 5 {
		// Compat: goldens flow-receive/v6-and-v7-fields, v8.*-fields.
		et, eid = eid, 0
	}
	l.PutUint(b, flow.EngineType, uint64(et))
	l.PutUint(b, flow.EngineID, uint64(eid))
	d.plans[k].Run(dst.Extend(h.Count), datagram[headSizes[pdus()[k].head]:], h.Count, b)
	return nil
}
