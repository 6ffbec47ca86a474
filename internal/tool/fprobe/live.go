package fprobe

import (
	"context"
	"net"
	"strings"

	"flowtools/internal/pcap"
)

// openLive opens the captures, which deliver nothing before start.
func (s *sensor) openLive() error {
	names := s.set.interfaces
	if len(names) == 0 {
		name, err := pcap.DefaultInterface()
		if err != nil {
			return err
		}
		names = []string{name}
	}
	for _, name := range names {
		l, err := pcap.OpenLive(pcap.Config{
			Interface: name, Promiscuous: !s.set.noPromisc, Ring: int(s.set.num['B']) * 1024, Outgoing: s.set.noPromisc,
		})
		if err != nil {
			return err
		}
		s.lives = append(s.lives, l)
		p, err := s.filter(l.Link(), true)
		if err != nil {
			return err
		}
		if p == nil {
			err = l.Start(nil, int(s.set.num['S']))
		} else {
			err = l.Start(p.Raw(), 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// live counts packets until the context ends.
func (s *sensor) live(ctx context.Context) error {
	signals, stop := catch()
	defer stop()
	budget := int(s.set.num['q'])
	var p pcap.Packet
	s.meter.Tick(s.clock())
	last := s.meter.Now()
	for ctx.Err() == nil {
		busy := false
		for _, l := range s.lives {
			for n := 0; n < budget && l.Next(&p); n++ {
				s.meter.Packet(&p)
				busy = true
			}
		}
		if now := s.clock(); now-last >= tick.Nanoseconds() || now < last {
			last = now
			s.meter.Tick(now)
			if err := s.step(signals); err != nil {
				return err
			}
			s.service.Alive(s.env.Now())
		}
		if !busy {
			if err := pcap.Wait(s.lives, tick); err != nil {
				return s.fatal(err)
			}
		}
	}
	return nil
}

// drops logs what the kernel could not deliver.
func (s *sensor) drops() {
	for _, l := range s.lives {
		if st, err := l.Stats(); err == nil && st.Dropped > 0 {
			s.log.warning("%s: %d of %d packets dropped by the kernel", l.Name(), st.Dropped, st.Received)
		}
	}
}

// report logs the counters.
func (s *sensor) report() {
	m := s.meter
	for _, l := range s.lives {
		if st, err := l.Stats(); err == nil {
			s.log.info("%s: received %d, dropped %d, ring full %d times", l.Name(), st.Received, st.Dropped, st.Freezes)
		}
	}
	s.log.info("packets: %d, counted %d, not IP %d, IPv6 ignored %d, truncated %d, sampled out %d, fragments %d",
		m.Packets, m.Counted, m.NotIP, m.ForeignIPv6, m.Truncated, m.Skipped, m.Fragments)
	s.log.info("flows: active %d, ended idle %d, active %d, end %d, forced %d, resources %d",
		m.Size(), m.Ended[1], m.Ended[2], m.Ended[3], m.Ended[4], m.Ended[5])
	e := s.emitter
	s.log.info("export: datagrams %d, octets %d, errors %d, waiting %d", e.Datagrams.Load(), e.Octets.Load(), e.Errors.Load(), e.Queued.Load())
}

// named returns the index that -X gives an interface, 0 without a rule for it.
func (s *sensor) named(p *pcap.Packet) uint32 {
	if n, ok := s.names[p.IfIndex]; ok {
		return n
	}
	n := uint32(0)
	if i, err := net.InterfaceByIndex(int(p.IfIndex)); err == nil {
		n = s.set.index(i.Name)
	}
	if len(s.names) < 1<<16 {
		s.names[p.IfIndex] = n
	}
	return n
}

// index applies the rules to a name: prefix, then a unit number.
func (s *settings) index(name string) uint32 {
	for _, r := range s.nameRules {
		unit, ok := strings.CutPrefix(name, r.prefix)
		if !ok {
			continue
		}
		if n, err := number("unit", unit, 0, 65535, ""); err == nil {
			return r.base + uint32(n)
		}
	}
	return 0
}
