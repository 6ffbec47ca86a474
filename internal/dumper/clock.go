package dumper

import (
	"flowtools/internal/cdate"
	"flowtools/internal/clib"
)

// Clock writes local times. It keeps the text of the day last shown: the flows of
// a stream lie close together. It is not safe for concurrent use.
type Clock struct {
	zone *cdate.Zone
	day  int64
	date [11]byte // "2011/12/31 "
	name [11]byte // "Sat Dec 31 "
	year [5]byte  // " 2011"
}

// NewClock returns a clock of a zone, UTC for nil.
func NewClock(zone *cdate.Zone) *Clock {
	if zone == nil {
		zone = cdate.UTC()
	}
	return &Clock{zone: zone, day: -1 << 62}
}

const daySeconds = 86400

// at finds the day of a time and returns the second of it.
func (c *Clock) at(sec uint32) int {
	off, _, _ := c.zone.Offset(int64(sec))
	local := int64(sec) + int64(off)
	day := local / daySeconds
	if local < 0 && local%daySeconds != 0 {
		day-- // zones west of Greenwich begin in 1969
	}
	if day != c.day {
		c.turn(day, sec)
	}
	return int(local - day*daySeconds)
}

// turn begins a day.
func (c *Clock) turn(day int64, sec uint32) {
	t := c.zone.Civil(int64(sec))
	c.day = day
	date := clib.AppendUintZero(c.date[:0], uint64(t.Year), 4)
	date = clib.AppendUintZero(append(date, '/'), uint64(t.Month), 2)
	_ = append(clib.AppendUintZero(append(date, '/'), uint64(t.Day), 2), ' ')
	var scratch [32]byte
	text := cdate.AppendCtime(scratch[:0], &t) // "Sat Dec 31 23:54:42 2011"
	copy(c.name[:], text)
	copy(c.year[:], text[len(text)-len(c.year):])
}

// AppendDate appends 2011/12/31 23:54:42.
func (c *Clock) AppendDate(dst []byte, sec uint32) []byte {
	s := c.at(sec)
	return appendClock(append(dst, c.date[:]...), s)
}

// AppendCtime appends Sat Dec 31 23:54:42 2011, the day padded with a blank.
func (c *Clock) AppendCtime(dst []byte, sec uint32) []byte {
	s := c.at(sec)
	return append(appendClock(append(dst, c.name[:]...), s), c.year[:]...)
}

// appendClock appends HH:MM:SS.
func appendClock(dst []byte, s int) []byte {
	h, m := s/3600, s/60%60
	s %= 60
	return append(dst, byte('0'+h/10), byte('0'+h%10), ':', byte('0'+m/10), byte('0'+m%10), ':', byte('0'+s/10), byte('0'+s%10))
}
