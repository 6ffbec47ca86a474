package cdate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"flowtools/internal/clib"
)

// The kinds of tokens of a date text. A character without a meaning of its own
// is a token of that kind (':', '/', ',').
const (
	tokEnd      = -1 - iota
	tokBad      // an unknown word
	tokNumber   // digits, or a word such as "first"
	tokSigned   // digits directly behind a sign
	tokMeridian // 0 am, 12 pm
	tokMonth    // 1..12
	tokDay      // Sunday = 0
	tokZone     // hours west of UTC
	tokDayZone  // the same of a daylight zone, without its hour of daylight
	tokDST
	tokMonths  // a unit: so many months
	tokSeconds // a unit: so many seconds
	tokAgo
)

type token struct {
	kind, value int
}

type dateWord struct {
	text string
	token
}

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// The words, in the order of the tables they are looked up in.
var (
	meridianWords = []dateWord{
		{"am", token{tokMeridian, 0}}, {"a.m.", token{tokMeridian, 0}},
		{"pm", token{tokMeridian, 12}}, {"p.m.", token{tokMeridian, 12}},
	}
	nameWords = []dateWord{
		{"january", token{tokMonth, 1}}, {"february", token{tokMonth, 2}}, {"march", token{tokMonth, 3}},
		{"april", token{tokMonth, 4}}, {"may", token{tokMonth, 5}}, {"june", token{tokMonth, 6}},
		{"july", token{tokMonth, 7}}, {"august", token{tokMonth, 8}}, {"september", token{tokMonth, 9}},
		{"sept", token{tokMonth, 9}}, {"october", token{tokMonth, 10}}, {"november", token{tokMonth, 11}},
		{"december", token{tokMonth, 12}},
		{"sunday", token{tokDay, 0}}, {"monday", token{tokDay, 1}}, {"tuesday", token{tokDay, 2}},
		{"tues", token{tokDay, 2}}, {"wednesday", token{tokDay, 3}}, {"wednes", token{tokDay, 3}},
		{"thursday", token{tokDay, 4}}, {"thur", token{tokDay, 4}}, {"thurs", token{tokDay, 4}},
		{"friday", token{tokDay, 5}}, {"saturday", token{tokDay, 6}},
	}
	zoneWords = []dateWord{
		{"gmt", token{tokZone, 0}}, {"ut", token{tokZone, 0}}, {"utc", token{tokZone, 0}}, {"wet", token{tokZone, 0}},
		{"bst", token{tokDayZone, 0}}, {"wat", token{tokZone, 1}}, {"at", token{tokZone, 2}},
		{"ast", token{tokZone, 4}}, {"adt", token{tokDayZone, 4}}, {"est", token{tokZone, 5}},
		{"edt", token{tokDayZone, 5}}, {"cst", token{tokZone, 6}}, {"cdt", token{tokDayZone, 6}},
		{"mst", token{tokZone, 7}}, {"mdt", token{tokDayZone, 7}}, {"pst", token{tokZone, 8}},
		{"pdt", token{tokDayZone, 8}}, {"yst", token{tokZone, 9}}, {"ydt", token{tokDayZone, 9}},
		{"hst", token{tokZone, 10}}, {"hdt", token{tokDayZone, 10}}, {"cat", token{tokZone, 10}},
		{"ahst", token{tokZone, 10}}, {"nt", token{tokZone, 11}}, {"idlw", token{tokZone, 12}},
		{"cet", token{tokZone, -1}}, {"met", token{tokZone, -1}}, {"mewt", token{tokZone, -1}},
		{"mest", token{tokDayZone, -1}}, {"swt", token{tokZone, -1}}, {"sst", token{tokDayZone, -1}},
		{"fwt", token{tokZone, -1}}, {"fst", token{tokDayZone, -1}}, {"eet", token{tokZone, -2}},
		{"bt", token{tokZone, -3}}, {"zp4", token{tokZone, -4}}, {"zp5", token{tokZone, -5}},
		{"zp6", token{tokZone, -6}}, {"wast", token{tokZone, -7}}, {"wadt", token{tokDayZone, -7}},
		{"cct", token{tokZone, -8}}, {"jst", token{tokZone, -9}}, {"east", token{tokZone, -10}},
		{"eadt", token{tokDayZone, -10}}, {"gst", token{tokZone, -10}}, {"nzt", token{tokZone, -12}},
		{"nzst", token{tokZone, -12}}, {"nzdt", token{tokDayZone, -12}}, {"idle", token{tokZone, -12}},
	}
	dstWords  = []dateWord{{"dst", token{tokDST, 0}}}
	unitWords = []dateWord{
		{"year", token{tokMonths, 12}}, {"month", token{tokMonths, 1}}, {"fortnight", token{tokSeconds, 14 * day}},
		{"week", token{tokSeconds, 7 * day}}, {"day", token{tokSeconds, day}}, {"hour", token{tokSeconds, hour}},
		{"minute", token{tokSeconds, minute}}, {"min", token{tokSeconds, minute}}, {"second", token{tokSeconds, 1}},
		{"sec", token{tokSeconds, 1}},
	}
	// Compat: "next" is the number 2, so "next week" is in 14 days.
	otherWords = []dateWord{
		{"tomorrow", token{tokSeconds, day}}, {"yesterday", token{tokSeconds, -day}}, {"today", token{tokSeconds, 0}},
		{"now", token{tokSeconds, 0}}, {"this", token{tokSeconds, 0}}, {"last", token{tokNumber, -1}},
		{"first", token{tokNumber, 1}}, {"next", token{tokNumber, 2}}, {"third", token{tokNumber, 3}},
		{"fourth", token{tokNumber, 4}}, {"fifth", token{tokNumber, 5}}, {"sixth", token{tokNumber, 6}},
		{"seventh", token{tokNumber, 7}}, {"eighth", token{tokNumber, 8}}, {"ninth", token{tokNumber, 9}},
		{"tenth", token{tokNumber, 10}}, {"eleventh", token{tokNumber, 11}}, {"twelfth", token{tokNumber, 12}},
		{"ago", token{tokAgo, 0}},
	}
)

func lookUp(table []dateWord, word string) (token, bool) {
	for _, w := range table {
		if w.text == word {
			return w.token, true
		}
	}
	return token{}, false
}

// wordToken is the meaning of a word in lower case.
func wordToken(word string) token {
	if t, ok := lookUp(meridianWords, word); ok {
		return t
	}
	// The dot of an abbreviation is gone for the other tables, too ("30 sec. ago").
	if len(word) == 4 && word[3] == '.' {
		word = word[:3]
	}
	if len(word) == 3 {
		for _, w := range nameWords {
			if w.text[:3] == word {
				return w.token
			}
		}
	}
	for _, table := range [][]dateWord{nameWords, zoneWords, dstWords, unitWords} {
		if t, ok := lookUp(table, word); ok {
			return t
		}
	}
	if singular, ok := strings.CutSuffix(word, "s"); ok {
		if t, ok := lookUp(unitWords, singular); ok {
			return t
		}
	}
	if t, ok := lookUp(otherWords, word); ok {
		return t
	}
	if len(word) == 1 { // military zones: a..i, k..m to the west, n..y to the east; there is no j
		switch c := int(word[0]); {
		case c <= 'i':
			return token{tokZone, c - 'a' + 1}
		case c >= 'k' && c <= 'm':
			return token{tokZone, c - 'k' + 10}
		case c >= 'n' && c <= 'y':
			return token{tokZone, -(c - 'n' + 1)}
		case c == 'z':
			return token{tokZone, 0}
		}
	}
	if plain := strings.ReplaceAll(word, ".", ""); plain != word {
		if t, ok := lookUp(zoneWords, plain); ok {
			return t
		}
	}
	return token{kind: tokBad}
}

// How local daylight time enters the conversion.
const (
	dstMaybe = iota // as the zone has it at that time
	dstOff
	dstOn
)

// dateParser is the text being read and what it has said so far.
type dateParser struct {
	rest string
	tok  token
	err  error

	times, dates, days, zones int // items of each kind
	relative                  bool

	year, month, mday     int
	hours, mins, secs     int
	meridian              int // 0, 12, or -1 for the 24-hour clock
	ordinal, weekday      int
	west                  int // seconds
	dst                   int
	relMonths, relSeconds int64
}

// maxNumber is where numbers in a date stop growing.
const maxNumber = 1<<31 - 1

func (p *dateParser) next() {
	for p.rest != "" {
		c := p.rest[0]
		switch {
		case clib.IsSpace(c):
			p.rest = p.rest[1:]
		case clib.IsDigit(c):
			p.tok = token{tokNumber, p.digits()}
			return
		case c == '+' || c == '-':
			p.rest = p.rest[1:]
			if p.rest != "" && clib.IsDigit(p.rest[0]) {
				p.tok = token{tokSigned, p.digits()}
				if c == '-' {
					p.tok.value = -p.tok.value
				}
				return
			}
		case clib.IsAlpha(c):
			n := 1
			for n < len(p.rest) && (clib.IsAlpha(p.rest[n]) || p.rest[n] == '.') {
				n++
			}
			p.tok = wordToken(clib.Fold(p.rest[:min(n, 19)]))
			p.rest = p.rest[n:]
			return
		case c == '(':
			p.comment()
		default:
			p.tok = token{kind: int(c)}
			p.rest = p.rest[1:]
			return
		}
	}
	p.tok = token{kind: tokEnd}
}

func (p *dateParser) digits() int {
	n := 0
	for p.rest != "" && clib.IsDigit(p.rest[0]) {
		n = min(n*10+int(p.rest[0]-'0'), maxNumber)
		p.rest = p.rest[1:]
	}
	return n
}

// comment steps over nested parentheses; one left open goes to the end.
func (p *dateParser) comment() {
	depth := 0
	for i := range len(p.rest) {
		switch p.rest[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.rest = p.rest[i+1:]
				return
			}
		}
	}
	p.rest = ""
}

// accept steps over a token of a kind, if it is the next.
func (p *dateParser) accept(kind int) (value int, ok bool) {
	if p.tok.kind != kind {
		return 0, false
	}
	value = p.tok.value
	p.next()
	return value, true
}

var errDate = errors.New("not understood")

// want is accept of a token that must come.
func (p *dateParser) want(kind int) int {
	v, ok := p.accept(kind)
	if !ok {
		p.err = errDate
	}
	return v
}

// item reads one item of the text.
func (p *dateParser) item() {
	n := p.tok.value
	kind := p.tok.kind
	p.next()
	switch kind {
	case tokNumber:
		p.number(n)
	case tokSigned:
		p.unit(n)
	case tokMonths, tokSeconds:
		p.add(kind, n, 1)
	case tokMonth:
		p.dates++
		p.month, p.mday = n, p.want(tokNumber)
		if _, ok := p.accept(','); ok {
			p.year = p.want(tokNumber)
		}
	case tokDay:
		p.days++
		p.ordinal, p.weekday = 1, n
		p.accept(',')
	case tokZone, tokDayZone:
		p.zones++
		p.west, p.dst = n*hour, dstOff
		if kind == tokDayZone {
			p.dst = dstOn
		} else if _, ok := p.accept(tokDST); ok {
			p.dst = dstOn
		}
	default:
		p.err = errDate
	}
}

// number reads an item that began with the number n.
func (p *dateParser) number(n int) {
	switch p.tok.kind {
	case tokMeridian:
		p.clock(n, 0, 0)
		p.meridian = p.want(tokMeridian)
	case ':':
		p.next()
		mins, secs := p.want(tokNumber), 0
		if _, ok := p.accept(':'); ok {
			secs = p.want(tokNumber)
		}
		p.clock(n, mins, secs)
		if m, ok := p.accept(tokMeridian); ok {
			p.meridian = m
		} else if s, ok := p.accept(tokSigned); ok {
			// +hhmm east of UTC; so +02 are two minutes.
			p.west, p.dst = -(s/100*60+s%100)*minute, dstOff
		}
	case '/':
		p.next()
		p.dates++
		second := p.want(tokNumber)
		p.month, p.mday = n, second
		if _, ok := p.accept('/'); ok {
			third := p.want(tokNumber)
			if n >= 100 {
				p.year, p.month, p.mday = n, second, third
			} else {
				p.year = third
			}
		}
	case tokSigned:
		p.dates++
		p.year, p.month, p.mday = n, -p.want(tokSigned), -p.want(tokSigned)
	case tokMonth:
		p.dates++
		p.mday, p.month = n, p.want(tokMonth)
		if y, ok := p.accept(tokSigned); ok {
			p.year = -y
		} else if y, ok := p.accept(tokNumber); ok {
			p.year = y
		}
	case tokDay:
		p.days++
		p.ordinal, p.weekday = n, p.want(tokDay)
	case tokMonths, tokSeconds:
		p.unit(n)
	default:
		switch {
		case p.times > 0 && p.dates > 0 && !p.relative:
			p.year = n
		case n > 10000:
			p.dates++
			p.year, p.month, p.mday = n/10000, n/100%100, n%100
		case n < 100:
			p.clock(n, 0, 0)
		default:
			p.clock(n/100, n%100, 0)
		}
	}
}

func (p *dateParser) clock(hours, mins, secs int) {
	p.times++
	p.hours, p.mins, p.secs, p.meridian = hours, mins, secs, -1
}

// unit reads the unit that n belongs to.
func (p *dateParser) unit(n int) {
	kind, size := p.tok.kind, p.tok.value
	if kind != tokMonths && kind != tokSeconds {
		p.err = errDate
		return
	}
	p.next()
	p.add(kind, size, n)
}

func (p *dateParser) add(kind, size, n int) {
	p.relative = true
	if kind == tokMonths {
		p.relMonths += int64(size) * int64(n)
	} else {
		p.relSeconds += int64(size) * int64(n)
	}
	// Compat: ago turns round everything relative so far, not just its item.
	if _, ok := p.accept(tokAgo); ok {
		p.relMonths, p.relSeconds = -p.relMonths, -p.relSeconds
	}
}

// The years a date may have.
const minYear, maxYear = 1970, 2038

// seconds converts the date and time read.
func (p *dateParser) seconds(z *Zone) (int64, error) {
	year := p.year
	if year < 0 {
		year = -year
	}
	if year < 69 {
		year += 2000
	} else if year < 100 {
		year += 1900
	}
	hours := p.hours
	if p.meridian >= 0 {
		if hours < 1 || hours > 12 {
			return 0, fmt.Errorf("hour %d is not in 1..12", hours)
		}
		hours = hours%12 + p.meridian
	}
	for _, f := range []struct {
		name          string
		value, lo, hi int
	}{
		{"year", year, minYear, maxYear}, {"month", p.month, 1, 12}, {"hour", hours, 0, 23},
		{"minute", p.mins, 0, 59}, {"second", p.secs, 0, 59},
	} {
		if f.value < f.lo || f.value > f.hi {
			return 0, fmt.Errorf("%s %d is not in %d..%d", f.name, f.value, f.lo, f.hi)
		}
	}
	if last := monthDays(year, p.month); p.mday < 1 || p.mday > last {
		return 0, fmt.Errorf("day %d is not in 1..%d", p.mday, last)
	}
	sec := daysSince1970(year, p.month, p.mday)*day + int64(hours*hour+p.mins*minute+p.secs+p.west)
	summer := p.dst == dstOn
	if p.dst == dstMaybe {
		_, _, summer = z.Offset(sec)
	}
	if summer {
		sec -= hour
	}
	if sec < 0 { // 1 January 1970 east of Greenwich
		return 0, errors.New("before 1970-01-01 00:00 UTC")
	}
	return sec, nil
}

// parse reads the whole text.
func (p *dateParser) parse(text string) error {
	p.rest, p.meridian = text, -1
	for p.next(); p.tok.kind != tokEnd && p.err == nil; {
		p.item()
	}
	if p.err == nil && (p.times > 1 || p.dates > 1 || p.days > 1 || p.zones > 1) {
		p.err = errors.New("more than one time, date, weekday or zone")
	}
	if p.err != nil {
		return fmt.Errorf("date %q: %w", text, p.err)
	}
	return nil
}

// CheckDate reports what GetDate would find wrong with the words of a date,
// whatever the clock and the zone. Numbers that make no date are left to GetDate.
func CheckDate(text string) error { return new(dateParser).parse(text) }

// GetDate reads a free-form date ("May 31, 2013 11:40", "3 days ago", "31-May-2013
// 11:40 EDT") as the C tools do: the grammar is that of flow-cat's -t and of
// time-date filters. Times are local unless the text names a zone; what it leaves
// out comes from now. The result is cut to 32 bits.
//
// A relative month that lacks the day (31 January + 1 month) gives its last day.
func GetDate(text string, now time.Time, z *Zone) (sec int64, err error) {
	today := z.Civil(now.Unix())
	p := dateParser{year: today.Year, month: today.Month, mday: today.Day, west: -today.Offset}
	if today.IsDST {
		p.west += hour // the zone's standard time, also in summer
	}
	if err := p.parse(text); err != nil {
		return 0, err
	}
	sec = now.Unix()
	if p.times > 0 || p.dates > 0 || p.days > 0 {
		if sec, err = p.seconds(z); err != nil {
			return 0, fmt.Errorf("date %q: %w", text, err)
		}
	} else if !p.relative {
		sec -= int64(today.Hour*hour + today.Min*minute + today.Sec)
	}
	sec += p.relSeconds
	if p.relMonths != 0 {
		t := z.Civil(sec)
		months := int64(t.Year)*12 + int64(t.Month-1) + p.relMonths
		year, month := floorDiv(months, 12), int(months-12*floorDiv(months, 12))+1
		if year < minYear || year > maxYear {
			return 0, fmt.Errorf("date %q: year %d is not in %d..%d", text, year, minYear, maxYear)
		}
		sec = z.Mktime(int(year), month, min(t.Day, monthDays(int(year), month)), t.Hour, t.Min, t.Sec)
	}
	if p.days > 0 && p.dates == 0 {
		t := z.Civil(sec)
		ahead := (p.weekday - t.Wday + 7) % 7
		if p.ordinal > 0 {
			ahead += 7 * (p.ordinal - 1)
		} else {
			ahead += 7 * p.ordinal
		}
		if ahead != 0 {
			sec = z.Mktime(t.Year, t.Month, t.Day+ahead, t.Hour, t.Min, t.Sec)
		}
	}
	if sec == -1 {
		sec = 0
	}
	return int64(uint32(sec)), nil
}
