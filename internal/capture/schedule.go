package capture

import (
	"time"

	"flowtools/internal/cdate"
)

// Schedule divides the local day into equal intervals, at whose ends files are
// rotated.
type Schedule struct {
	Files int // a day; 0 is one file for ever
	Zone  *cdate.Zone
}

// End returns the first end of an interval after now; ok is false when there is
// none.
//
// Compat: midnight is that of the offset in force now and a day has 86400 s, so
// intervals are off by the change on days when the clocks change
// (capture-receive-send-fanout.md, rotation).
func (s Schedule) End(now time.Time) (end time.Time, ok bool) {
	if s.Files <= 0 {
		return time.Time{}, false
	}
	sec := now.Unix()
	t := s.Zone.Civil(sec)
	midnight := time.Unix(sec-int64(t.Hour*3600+t.Min*60+t.Sec), 0)
	const day = 24 * time.Hour
	elapsed := now.Sub(midnight)
	// In whole numbers, so that no boundary is met twice.
	n := int64(elapsed) * int64(s.Files) / int64(day)
	for {
		n++
		end = midnight.Add(time.Duration(n * int64(day) / int64(s.Files)))
		if end.After(now) {
			return end, true
		}
	}
}
