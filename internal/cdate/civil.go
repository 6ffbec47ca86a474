package cdate

// Tm is a broken-down time. Unlike C's, Year is the full year and Month is 1..12;
// Yday counts from 0 and Wday from Sunday = 0.
type Tm struct {
	Year, Month, Day int
	Hour, Min, Sec   int
	Wday, Yday       int
	IsDST            bool
	Offset           int    // seconds east of UTC
	Zone             string // abbreviation
	Unix             int64
}

func isLeap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

var daysBefore = [13]int{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365}

// monthDays is the length of a month 1..12.
func monthDays(year, month int) int {
	n := daysBefore[month] - daysBefore[month-1]
	if month == 2 && isLeap(year) {
		n++
	}
	return n
}

func yearDay(year, month, day int) int {
	n := daysBefore[month-1] + day - 1
	if month > 2 && isLeap(year) {
		n++
	}
	return n
}

// weekday of a day number, Sunday = 0.
func weekday(day int64) int64 { return ((day+4)%7 + 7) % 7 }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// daysSince1970 is the day number of a date; month and day may lie outside
// their ranges and carry over.
func daysSince1970(year, month, day int) int64 {
	m := int64(month - 1)
	y := int64(year) + floorDiv(m, 12)
	m -= floorDiv(m, 12) * 12
	// Count in years that begin in March, so that the leap day comes last.
	if m < 2 {
		y--
		m += 10
	} else {
		m -= 2
	}
	era := floorDiv(y, 400)
	yoe := y - era*400
	doy := (153*m + 2) / 5
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy + int64(day) - 1 - 719468
}

// date is the inverse of daysSince1970.
func date(days int64) (year, month, day int) {
	days += 719468
	era := floorDiv(days, 146097)
	doe := days - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	m := (5*doy + 2) / 153
	day = int(doy-(153*m+2)/5) + 1
	y := yoe + era*400
	if m < 10 {
		return int(y), int(m) + 3, day
	}
	return int(y) + 1, int(m) - 9, day
}

func yearOf(sec int64) int {
	y, _, _ := date(floorDiv(sec, 86400))
	return y
}

// Civil is localtime(3).
func (z *Zone) Civil(sec int64) Tm {
	off, name, dst := z.Offset(sec)
	local := sec + int64(off)
	days := floorDiv(local, 86400)
	clock := int(local - days*86400)
	t := Tm{Hour: clock / 3600, Min: clock / 60 % 60, Sec: clock % 60, IsDST: dst, Offset: off, Zone: name, Unix: sec}
	t.Year, t.Month, t.Day = date(days)
	t.Wday = int(weekday(days))
	t.Yday = yearDay(t.Year, t.Month, t.Day)
	return t
}

// Mktime is mktime(3) with tm_isdst -1: the second at which local clocks show
// the fields given, which may lie outside their ranges (hour 25, day 0) and
// carry over.
//
// A time that clocks skip becomes the one of the two possible readings that is
// daylight time (2:30 is 3:30). Of a time they show twice C takes either,
// depending on earlier calls; this is the choice of a process's first call.
func (z *Zone) Mktime(year, month, day, hour, minute, sec int) int64 {
	local := daysSince1970(year, month, day)*86400 + int64(hour)*3600 + int64(minute)*60 + int64(sec)
	a, _, _ := z.Offset(local)
	first := local - int64(a)
	b, _, _ := z.Offset(first)
	if a == b {
		return first
	}
	second := local - int64(b)
	c, _, dst2 := z.Offset(second)
	if c == b {
		return second
	}
	if _, _, dst1 := z.Offset(first); dst1 != dst2 {
		if dst1 {
			return first
		}
		return second
	}
	return max(first, second)
}
