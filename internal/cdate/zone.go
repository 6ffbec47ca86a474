// Package cdate is the calendar of the C library: time zones as TZ names them
// (zone files and POSIX rules, which package time does not read), broken-down
// local time, strftime, and the free-form date parser of the suite's options and
// filter files.
package cdate

import (
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync/atomic"
)

// A database is where zone files lie.
type database struct {
	dir       string
	localtime string // the file that an unset TZ means
}

var system = database{"/usr/share/zoneinfo", "/etc/localtime"}

// posixrules is the zone file with dates for daylight names without rules.
const posixrules = "posixrules"

// A span is a stretch of time with one offset.
type span struct {
	from, to int64 // [from, to)
	off      int   // seconds east of UTC
	name     string
	dst      bool
}

// A Zone converts between seconds since 1970 and local time. It is immutable but
// for a cache and may be used by several goroutines.
type Zone struct {
	spans []span // ascending and adjoining; spans[0].from is the least int64
	rules *rules // in force after the spans; nil: they cover all time
	last  atomic.Pointer[span]
}

// UTC is the zone of an empty TZ.
func UTC() *Zone {
	return &Zone{spans: []span{{from: math.MinInt64, to: math.MaxInt64, name: "UTC"}}}
}

// LoadZone returns the zone that the TZ environment variable tz means to the C
// library; set is false when there is no such variable. A value is tried as a
// file below /usr/share/zoneinfo (or an absolute path), with or without a leading
// colon, then read as a POSIX rule. Nothing is an error: what makes no sense is
// UTC.
//
// The zone files are the system's and only those: a machine without them shows
// UTC from every tool, date(1) and ours alike (and no copy of 450 kB sits in each
// binary).
func LoadZone(tz string, set bool) *Zone { return system.zone(tz, set) }

func (d database) zone(tz string, set bool) *Zone {
	if !set {
		tz = d.localtime
	}
	tz = strings.TrimPrefix(tz, ":")
	if tz == "" {
		return UTC()
	}
	if z := d.load(tz); z != nil {
		return z
	}
	if tz == d.localtime {
		return UTC()
	}
	r := parsePOSIX(tz)
	if r.bare {
		if z := d.load(posixrules); z != nil {
			return z.borrow(r)
		}
	}
	return fromRules(r)
}

// load reads a zone file; nil if there is none or it is not one.
func (d database) load(name string) *Zone {
	if !filepath.IsAbs(name) {
		name = filepath.Join(d.dir, name)
	}
	// Only regular files: opening a pipe or a device that TZ names could hang.
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() || st.Size() > 1<<20 {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return parseTZif(data)
}

// The years whose changes are laid out in advance: those of 32-bit flow times.
const firstYear, lastYear = 1970, 2106

func fromRules(r *rules) *Zone {
	if !r.dst {
		s := r.span(0)
		s.from, s.to = math.MinInt64, math.MaxInt64
		return &Zone{spans: []span{s}}
	}
	z := &Zone{rules: r}
	first := r.span(math.MinInt64 / 2)
	first.from = math.MinInt64
	z.spans = append(make([]span, 0, 2*(lastYear-firstYear+2)), first)
	z.extend(firstYear, math.MinInt64)
	return z
}

// extend lays out the rules' changes after the second from, beginning in a year.
func (z *Zone) extend(year int, from int64) {
	for ; year <= lastYear; year++ {
		begin, end := z.rules.changes(year)
		next := daysSince1970(year+1, 1, 1) * 86400
		start := daysSince1970(year, 1, 1) * 86400
		if year == firstYear {
			start = math.MinInt64 // its rules hold for all time before
		}
		for _, p := range []int64{start, min(begin, end), max(begin, end)} {
			if start <= p && p < next && p > from {
				z.add(p, z.rules.half(isDST(p, begin, end)))
			}
		}
	}
	z.spans[len(z.spans)-1].to = daysSince1970(lastYear+1, 1, 1) * 86400
}

// add begins a span at from, unless nothing changes there.
func (z *Zone) add(from int64, s span) {
	last := &z.spans[len(z.spans)-1]
	if last.off == s.off && last.name == s.name && last.dst == s.dst {
		return
	}
	last.to = from
	s.from, s.to = from, math.MaxInt64
	z.spans = append(z.spans, s)
}

// borrow gives the rules r the dates z has: clocks change at the same local
// times. (glibc means the same but shifts the changes the wrong way.)
func (z *Zone) borrow(r *rules) *Zone {
	out := &Zone{rules: r}
	first := r.half(false)
	first.from = math.MinInt64
	out.spans = append(out.spans, first)
	if z.rules == nil {
		return fromRules(r)
	}
	for i := 1; i < len(z.spans); i++ {
		before := out.spans[len(out.spans)-1]
		from := z.spans[i].from + int64(z.spans[i-1].off-before.off)
		if from > before.from {
			out.add(from, r.half(z.spans[i].dst))
		}
	}
	out.spans[len(out.spans)-1].to = z.spans[len(z.spans)-1].to
	return out
}

// Offset returns the zone's offset from UTC (seconds, east positive), its
// abbreviation and whether daylight time is in force at a second.
func (z *Zone) Offset(sec int64) (off int, name string, isDST bool) {
	s := z.last.Load()
	if s == nil || sec < s.from || sec >= s.to {
		s = z.find(sec)
	}
	return s.off, s.name, s.dst
}

func (z *Zone) find(sec int64) *span {
	if z.rules != nil && sec >= z.spans[len(z.spans)-1].to {
		s := z.rules.span(sec)
		return &s
	}
	i := sort.Search(len(z.spans), func(i int) bool { return sec < z.spans[i].from }) - 1
	s := &z.spans[max(i, 0)]
	z.last.Store(s)
	return s
}
