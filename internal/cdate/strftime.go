package cdate

import (
	"strconv"
	"strings"

	"flowtools/internal/clib"
)

var (
	dayNames   = [7]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	monthNames = [12]string{"January", "February", "March", "April", "May", "June", "July", "August",
		"September", "October", "November", "December"}
)

// AppendCtime appends t as ctime(3) shows it, without the newline:
// "Fri May 31 11:33:20 2013".
func AppendCtime(dst []byte, t *Tm) []byte {
	dst = append(dst, dayNames[t.Wday][:3]...)
	dst = append(dst, ' ')
	dst = append(dst, monthNames[t.Month-1][:3]...)
	dst = append(dst, ' ')
	dst = clib.AppendUintRight(dst, uint64(t.Day), 2)
	dst = append(dst, ' ')
	dst = appendClock(dst, t)
	dst = append(dst, ' ')
	return strconv.AppendInt(dst, int64(t.Year), 10)
}

// appendClock appends HH:MM:SS.
func appendClock(dst []byte, t *Tm) []byte {
	dst = clib.AppendUintZero(dst, uint64(t.Hour), 2)
	dst = append(dst, ':')
	dst = clib.AppendUintZero(dst, uint64(t.Min), 2)
	dst = append(dst, ':')
	return clib.AppendUintZero(dst, uint64(t.Sec), 2)
}

// Ctime is AppendCtime of the zone's local time as a string.
func (z *Zone) Ctime(sec int64) string {
	t := z.Civil(sec)
	return string(AppendCtime(nil, &t))
}

// Strftime is AppendStrftime of the zone's local time as a string.
func (z *Zone) Strftime(format string, sec int64) string {
	t := z.Civil(sec)
	return string(AppendStrftime(nil, format, &t))
}

// maxWidth bounds the field width of a conversion: a format is outside text and
// must not fill the memory.
const maxWidth = 1024

// The conversions that the modifiers E and O do not go with.
const (
	notE = "aAbBdDeFgGhHIjklmMSUVwW"
	notO = "aAcDFxXY"
)

// A conv is one % conversion with its flags.
type conv struct {
	pad        byte // 0 default, '_', '-' or '0'
	upper, alt bool
	width      int // -1: none
}

// AppendStrftime is glibc's strftime in the C locale: the conversions of C99,
// %k %l %P %s, the flags _ - 0 ^ #, a field width, and the modifiers E and O, which
// change nothing. An unknown conversion is copied as it stands.
func AppendStrftime(dst []byte, format string, t *Tm) []byte {
	return appendFormat(dst, format, t, false)
}

func appendFormat(dst []byte, format string, t *Tm, upper bool) []byte {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			dst = append(dst, format[i])
			continue
		}
		start := i
		c := conv{width: -1, upper: upper}
		i++
		for ; i < len(format); i++ {
			switch f := format[i]; f {
			case '_', '-', '0':
				c.pad = f
				continue
			case '^':
				c.upper = true
				continue
			case '#':
				c.alt = true
				continue
			}
			break
		}
		if i < len(format) && clib.IsDigit(format[i]) {
			c.width = 0
			for ; i < len(format) && clib.IsDigit(format[i]); i++ {
				c.width = min(c.width*10+int(format[i]-'0'), maxWidth)
			}
		}
		ok := true
		if i < len(format) && (format[i] == 'E' || format[i] == 'O') {
			wrong := notE
			if format[i] == 'O' {
				wrong = notO
			}
			i++
			ok = i < len(format) && strings.IndexByte(wrong, format[i]) < 0
		}
		if i >= len(format) {
			return c.text(dst, format[start:], c.upper, false)
		}
		if ok {
			dst, ok = c.appendField(dst, format[i], t)
		}
		if !ok {
			dst = c.text(dst, format[start:i+1], c.upper, false)
		}
	}
	return dst
}

// appendField appends one conversion; ok is false if there is none of that letter.
func (c *conv) appendField(dst []byte, letter byte, t *Tm) (_ []byte, ok bool) {
	switch letter {
	case 'a', 'A':
		return c.text(dst, name(dayNames[t.Wday], letter == 'a'), c.upper || c.alt, false), true
	case 'b', 'B', 'h':
		return c.text(dst, name(monthNames[t.Month-1], letter != 'B'), c.upper || c.alt, false), true
	case 'p', 'P':
		half := "AM"
		if t.Hour >= 12 {
			half = "PM"
		}
		return c.text(dst, half, false, letter == 'P' || c.alt), true
	case 'Z':
		return c.text(dst, t.Zone, c.upper, c.alt), true
	case 'c':
		return c.format(dst, "%a %b %e %H:%M:%S %Y", t), true
	case 'D', 'x':
		return c.format(dst, "%m/%d/%y", t), true
	case 'F':
		return c.format(dst, "%Y-%m-%d", t), true
	case 'r':
		return c.format(dst, "%I:%M:%S %p", t), true
	case 'R':
		return c.format(dst, "%H:%M", t), true
	case 'T', 'X':
		return c.format(dst, "%H:%M:%S", t), true
	case 'n':
		return c.text(dst, "\n", false, false), true
	case 't':
		return c.text(dst, "\t", false, false), true
	case '%':
		return c.text(dst, "%", false, false), true

	case 'C':
		return c.number(dst, floorDiv(int64(t.Year), 100), 2, '0'), true
	case 'd':
		return c.number(dst, int64(t.Day), 2, '0'), true
	case 'e':
		return c.number(dst, int64(t.Day), 2, '_'), true
	case 'g':
		year, _ := isoWeek(t)
		return c.number(dst, int64(year)-100*floorDiv(int64(year), 100), 2, '0'), true
	case 'G':
		year, _ := isoWeek(t)
		return c.number(dst, int64(year), 1, '0'), true
	case 'H':
		return c.number(dst, int64(t.Hour), 2, '0'), true
	case 'I':
		return c.number(dst, int64(hour12(t.Hour)), 2, '0'), true
	case 'j':
		return c.number(dst, int64(t.Yday)+1, 3, '0'), true
	case 'k':
		return c.number(dst, int64(t.Hour), 2, '_'), true
	case 'l':
		return c.number(dst, int64(hour12(t.Hour)), 2, '_'), true
	case 'm':
		return c.number(dst, int64(t.Month), 2, '0'), true
	case 'M':
		return c.number(dst, int64(t.Min), 2, '0'), true
	case 's':
		return c.text(dst, strconv.FormatInt(t.Unix, 10), false, false), true
	case 'S':
		return c.number(dst, int64(t.Sec), 2, '0'), true
	case 'u':
		return c.number(dst, int64(t.Wday+6)%7+1, 1, '0'), true
	case 'U':
		return c.number(dst, int64(t.Yday-t.Wday+7)/7, 2, '0'), true
	case 'V':
		_, week := isoWeek(t)
		return c.number(dst, int64(week), 2, '0'), true
	case 'w':
		return c.number(dst, int64(t.Wday), 1, '0'), true
	case 'W':
		return c.number(dst, int64(t.Yday-(t.Wday+6)%7+7)/7, 2, '0'), true
	case 'y':
		return c.number(dst, int64(t.Year)-100*floorDiv(int64(t.Year), 100), 2, '0'), true
	case 'Y':
		return c.number(dst, int64(t.Year), 1, '0'), true
	case 'z':
		sign, m := "+", int64(t.Offset)
		if m < 0 {
			sign, m = "-", -m
		}
		m /= 60
		dst = c.text(dst, sign, false, false)
		return c.number(dst, m/60*100+m%60, 4, '0'), true
	}
	return dst, false
}

func name(full string, short bool) string {
	if short {
		return full[:3]
	}
	return full
}

func hour12(h int) int { return (h+11)%12 + 1 }

// isoWeek is the ISO 8601 year and week of a day.
func isoWeek(t *Tm) (year, week int) {
	// The Thursday of the same week decides.
	thursday := t.Yday - (t.Wday+6)%7 + 3
	year = t.Year
	switch n := 365; {
	case thursday < 0:
		year--
		if isLeap(year) {
			n++
		}
		thursday += n
	default:
		if isLeap(year) {
			n++
		}
		if thursday >= n {
			year++
			thursday -= n
		}
	}
	return year, thursday/7 + 1
}

func (c *conv) text(dst []byte, s string, upper, lower bool) []byte {
	with := byte(' ')
	if c.pad == '0' {
		with = '0'
	}
	for n := len(s); n < c.width; n++ {
		dst = append(dst, with)
	}
	for i := 0; i < len(s); i++ {
		b := s[i]
		if upper && 'a' <= b && b <= 'z' || lower && 'A' <= b && b <= 'Z' {
			b ^= 0x20
		}
		dst = append(dst, b)
	}
	return dst
}

func (c *conv) format(dst []byte, format string, t *Tm) []byte {
	var buf [64]byte
	return c.text(dst, string(appendFormat(buf[:0], format, t, c.upper)), false, false)
}

func (c *conv) number(dst []byte, v int64, digits int, pad byte) []byte {
	var buf [24]byte
	u := uint64(v)
	if v < 0 {
		u = -u
	}
	text := strconv.AppendUint(buf[:0], u, 10)
	width := max(digits, c.width)
	switch c.pad {
	case '-': // no padding but that of an explicit width
		pad, width = '_', c.width
	case '_', '0':
		pad = c.pad
	}
	n := len(text)
	if v < 0 {
		n++
	}
	for ; pad == '_' && n < width; n++ {
		dst = append(dst, ' ')
	}
	if v < 0 {
		dst = append(dst, '-')
	}
	for ; n < width; n++ {
		dst = append(dst, '0')
	}
	return append(dst, text...)
}
