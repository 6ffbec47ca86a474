package capture

import (
	"errors"
	"fmt"
	"time"

	"flowtools/internal/cdate"
	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/pkg/netflow"
)

// StatFlag is -S: the minutes between lines of statistics.
func StatFlag(p *int) cli.Flag {
	return cli.Func('S', "statistics", "minutes", func(s string) error {
		if *p = int(clib.Atoi(s)); *p < 0 || *p > 60 {
			return errors.New("Stat interval must be between 0 and 60.")
		}
		return nil
	}, "log statistics of every exporter at each minute of the hour that is a multiple of this (0 is never)")
}

// Statistics decides when the statistics are due and prints them.
type Statistics struct {
	minutes int
	zone    *cdate.Zone
	next    time.Time
}

// NewStatistics makes statistics due at every local minute that is a multiple of
// minutes; 0 is never.
func NewStatistics(minutes int, zone *cdate.Zone, now time.Time) *Statistics {
	s := &Statistics{minutes: minutes, zone: zone}
	s.schedule(now)
	return s
}

// schedule sets the next time after the minute of now.
//
// Compat: an interval that does not divide 60 ends with the hour: with 7 the
// lines come at 49, 56, 3, 7, 14.
func (s *Statistics) schedule(now time.Time) {
	if s.minutes == 0 {
		return
	}
	t := s.zone.Civil(now.Unix())
	next := (t.Min + s.minutes - t.Min%s.minutes) % 60
	wait := next - t.Min
	if wait <= 0 {
		wait += 60
	}
	s.next = now.Truncate(time.Second).Add(time.Duration(wait*60-t.Sec) * time.Second)
}

// Due reports whether the statistics are due, which they are once each time. A
// clock that is set is followed.
func (s *Statistics) Due(now time.Time) bool {
	if s.minutes == 0 {
		return false
	}
	due := !now.Before(s.next)
	if due || s.next.Sub(now) > time.Hour {
		s.schedule(now)
	}
	return due
}

// statLines is how many exporters get a line: more than that are not real.
const statLines = 1000

// Print logs a line for each exporter, the last to become known first. more
// adds to a line; it may be nil.
func (in *Intake) Print(now time.Time, more func(e *netflow.Exporter) string) {
	all := in.Tracker.Exporters()
	for i := range all {
		if i == statLines {
			in.warn("STAT: now=%d %d more exporters", now.Unix(), len(all)-i)
			return
		}
		e := &all[i]
		line := fmt.Sprintf("STAT: now=%d startup=%d src_ip=%v dst_ip=%v d_ver=%d pkts=%d flows=%d lost=%d reset=%d",
			now.Unix(), in.started.Unix(), e.Src(), e.Dst(), e.Version(), e.Packets, e.Flows, e.Lost, e.Resets)
		if more != nil {
			line += more(e)
		}
		in.warn("%s", line)
	}
}
