package cdate

import (
	"strings"

	"flowtools/internal/clib"
)

// A rule says when one half of the year begins, in the local time of the half
// before it.
type rule struct {
	kind             byte // 'J' 1..365 without 29 February, 'M' month.week.day, 0 day of the year from 0
	month, week, day int
	secs             int // after midnight; may be negative or above a day
}

// rules is a parsed POSIX TZ text. Entry 0 is standard time and the day daylight
// time begins, entry 1 daylight time and the day it ends.
type rules struct {
	name   [2]string
	offset [2]int // seconds EAST of UTC
	start  [2]rule
	dst    bool // entry 1 is used
	// bare: a daylight name without rules: C then borrows the dates of the
	// zone file posixrules, or the rules of the United States.
	bare bool
}

// parsePOSIX reads a TZ text as glibc does.
//
// Compat: nothing is refused. What cannot be read leaves its zero value: a text
// without a name and offset is UTC under the name read so far, and a bad rule is
// midnight of the first of January.
func parsePOSIX(tz string) *rules {
	var r rules
	rest, ok := r.parseName(tz, 0)
	if !ok {
		return &r
	}
	if rest, ok = r.parseOffset(rest, 0); !ok || rest == "" {
		return &r
	}
	r.dst = true
	if rest, ok = r.parseName(rest, 1); ok {
		rest, _ = r.parseOffset(rest, 1)
		if rest == "" || rest == "," {
			r.bare = true
		}
	}
	if rest, ok = r.parseRule(rest, 0); ok {
		r.parseRule(rest, 1)
	}
	return &r
}

// parseName reads three or more letters, or three or more letters, digits and
// signs in angle brackets.
func (r *rules) parseName(s string, half int) (rest string, ok bool) {
	n := 0
	for n < len(s) && clib.IsAlpha(s[n]) {
		n++
	}
	if n >= 3 {
		r.name[half] = s[:n]
		return s[n:], true
	}
	if !strings.HasPrefix(s, "<") {
		return s, false
	}
	n = 1
	for n < len(s) && (clib.IsAlpha(s[n]) || clib.IsDigit(s[n]) || s[n] == '+' || s[n] == '-') {
		n++
	}
	if n >= len(s) || s[n] != '>' || n < 4 {
		return s, false
	}
	r.name[half] = s[1:n]
	return s[n+1:], true
}

// parseOffset reads [+-]h[:m[:s]], hours WEST of UTC. A daylight offset left out
// is an hour ahead of standard time.
func (r *rules) parseOffset(s string, half int) (rest string, ok bool) {
	sign := -1
	switch {
	case s != "" && (s[0] == '-' || s[0] == '+'):
		if s[0] == '-' {
			sign = 1
		}
		s = s[1:]
	case half == 0 && (s == "" || !clib.IsDigit(s[0])):
		return s, false
	}
	t, rest, n := scanClock(s, [3]int{})
	if n == 0 {
		if half == 0 {
			return s, false
		}
		r.offset[1] = r.offset[0] + 3600
		return s, true
	}
	r.offset[half] = sign * (min(t[0], 24)*3600 + min(t[1], 59)*60 + min(t[2], 59))
	return rest, true
}

// scanClock is sscanf "%hu:%hu:%hu": fields says how many numbers were there,
// the others keep their default.
func scanClock(s string, t [3]int) (_ [3]int, rest string, fields int) {
	for i := range t {
		text := s
		if i > 0 {
			if !strings.HasPrefix(s, ":") {
				break
			}
			text = s[1:]
		}
		v, tail := clib.Strtoul(text, 10)
		if len(tail) == len(text) {
			break
		}
		t[i], s, fields = int(uint16(v)), tail, i+1
	}
	return t, s, fields
}

// parseRule reads [,]date[/time]; without a date, the dates of the United States.
func (r *rules) parseRule(s string, half int) (rest string, ok bool) {
	d := &r.start[half]
	s = strings.TrimPrefix(s, ",")
	switch {
	case s == "":
		*d = rule{kind: 'M', month: 3, week: 2}
		if half == 1 {
			*d = rule{kind: 'M', month: 11, week: 1}
		}
	case s[0] == 'J' || clib.IsDigit(s[0]):
		if s[0] == 'J' {
			d.kind = 'J'
			if s = s[1:]; s == "" || !clib.IsDigit(s[0]) {
				return s, false
			}
		}
		v, tail := clib.Strtoul(s, 10)
		if v > 365 || v == 0 && d.kind == 'J' {
			return s, false
		}
		d.day, s = int(v), tail
	case s[0] == 'M':
		var f [3]int
		tail := s[1:]
		for i := range f {
			if i > 0 {
				if !strings.HasPrefix(tail, ".") {
					return s, false
				}
				tail = tail[1:]
			}
			v, t := clib.Strtoul(tail, 10)
			if len(t) == len(tail) {
				return s, false
			}
			f[i], tail = int(uint16(v)), t
		}
		if f[0] < 1 || f[0] > 12 || f[1] < 1 || f[1] > 5 || f[2] > 6 {
			return s, false
		}
		d.kind, d.month, d.week, d.day, s = 'M', f[0], f[1], f[2], tail
	default:
		return s, false
	}
	if s == "" || s[0] == ',' {
		d.secs = 2 * 3600
		return s, true
	}
	if s[0] != '/' || len(s) == 1 {
		return s, false
	}
	s = s[1:]
	sign := 1
	if s[0] == '-' {
		sign, s = -1, s[1:]
	}
	t, s, _ := scanClock(s, [3]int{2, 0, 0})
	d.secs = sign * (t[0]*3600 + t[1]*60 + t[2])
	return s, true
}

// at is the second, in local time taken as UTC, when the rule's day comes in a
// year.
func (d *rule) at(year int) int64 {
	var day int64
	switch d.kind {
	case 'J':
		day = daysSince1970(year, 1, 1) + int64(d.day) - 1
		if d.day >= 60 && isLeap(year) {
			day++
		}
	case 'M':
		first := daysSince1970(year, d.month, 1)
		ahead := (int64(d.day) - weekday(first) + 7) % 7
		day = first + ahead + 7*int64(d.week-1)
		for day >= first+int64(monthDays(year, d.month)) {
			day -= 7
		}
	default:
		day = daysSince1970(year, 1, 1) + int64(d.day)
	}
	return day*86400 + int64(d.secs)
}

// changes are the seconds daylight time begins and ends in a year.
func (r *rules) changes(year int) (begin, end int64) {
	return r.start[0].at(year) - int64(r.offset[0]), r.start[1].at(year) - int64(r.offset[1])
}

// isDST tells whether daylight time is in force between a year's changes.
func isDST(sec, begin, end int64) bool {
	if begin > end { // southern hemisphere
		return sec < end || sec >= begin
	}
	return begin <= sec && sec < end
}

// half is standard or daylight time as a span without bounds.
func (r *rules) half(dst bool) span {
	if dst {
		return span{off: r.offset[1], name: r.name[1], dst: true}
	}
	return span{off: r.offset[0], name: r.name[0]}
}

// span is what is in force at a second. C looks at the changes of the UTC year
// only, which shows in zones whose change falls into another year there, and
// takes all years before 1970 for that one.
func (r *rules) span(sec int64) span {
	if !r.dst {
		return r.half(false)
	}
	begin, end := r.changes(max(yearOf(sec), firstYear))
	return r.half(isDST(sec, begin, end))
}
