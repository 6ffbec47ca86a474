package print

import "flowtools/internal/cdate"

// clock writes local times. It keeps the text of the day last shown: the flows
// of a stream lie close together.
type clock struct {
	zone *cdate.Zone
	day  uint64   // shifted local day number of date, 0 for none yet
	date [11]byte // "YYYY-MM-DD "
}

// dayShift makes local day numbers positive: zones west of Greenwich begin in 1969.
const dayShift = 1000

// stamp finds the day of a time, updates the date text if need be and returns
// the second of the day.
func (c *clock) stamp(sec uint32) (clock uint32) {
	off, _, _ := c.zone.Offset(int64(sec))
	local := uint64(int64(sec) + int64(off) + dayShift*86400)
	day := local / 86400
	if day != c.day {
		c.day = day
		t := c.zone.Civil(int64(sec))
		putDigits2(c.date[0:], uint32(t.Year/100))
		putDigits2(c.date[2:], uint32(t.Year%100))
		c.date[4] = '-'
		putDigits2(c.date[5:], uint32(t.Month))
		c.date[7] = '-'
		putDigits2(c.date[8:], uint32(t.Day))
		c.date[10] = ' '
	}
	return uint32(local - day*86400)
}

// putShort writes MMDD.HH:MM:SS.mmm.
func (c *clock) putShort(p []byte, sec, ms uint32) {
	s := c.stamp(sec)
	p = p[:len(mmdd)]
	p[0], p[1], p[2], p[3], p[4] = c.date[5], c.date[6], c.date[8], c.date[9], '.'
	putTime(p[5:], s, ms)
}

// putLong writes YYYY-MM-DD HH:MM:SS.mmm.
func (c *clock) putLong(p []byte, sec, ms uint32) {
	s := c.stamp(sec)
	p = p[:len(ymd)]
	copy(p, c.date[:])
	putTime(p[11:], s, ms)
}

// putTime writes HH:MM:SS.mmm for second s of a day.
func putTime(p []byte, s, ms uint32) {
	p = p[:12]
	h := s / 3600
	s -= h * 3600
	m := s / 60
	putDigits2(p, h)
	p[2] = ':'
	putDigits2(p[3:], m)
	p[5] = ':'
	putDigits2(p[6:], s-m*60)
	p[8] = '.'
	putDigits3(p[9:], ms)
}
