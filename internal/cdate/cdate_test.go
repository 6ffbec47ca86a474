package cdate

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// table reads a recording of the C library (testdata/record.c) and hands the
// columns of each line to check.
func table(t *testing.T, name string, check func(z *Zone, line string, columns []string)) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) < 400 {
		t.Fatalf("%s has %d lines", name, len(lines))
	}
	zones := map[string]*Zone{}
	for _, line := range lines {
		tz, rest, _ := strings.Cut(line, "\t")
		if zones[tz] == nil {
			zones[tz] = loadTest(t, tz)
		}
		check(zones[tz], line, strings.Split(rest, "\t"))
	}
}

// loadTest is LoadZone with the zone files of testdata.
func loadTest(t testing.TB, tz string) *Zone {
	t.Helper()
	dir, err := filepath.Abs("testdata/zoneinfo")
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := strings.CutPrefix(tz, "zoneinfo/"); ok {
		z := database{dir: dir}.load(name)
		if z == nil {
			t.Fatalf("no zone file %s", name)
		}
		return z
	}
	return database{dir: "/nonexistent"}.zone(tz, true)
}

func scan[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if _, err := fmt.Sscan(text, &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

func TestCivil(t *testing.T) {
	table(t, "localtime.txt", func(z *Zone, line string, col []string) {
		c := z.Civil(scan[int64](t, col[0]))
		dst := 0
		if c.IsDST {
			dst = 1
		}
		got := fmt.Sprintf("%d-%d-%d %d:%d:%d %d %d %d %d <%s>", c.Year, c.Month, c.Day, c.Hour, c.Min, c.Sec,
			c.Wday, c.Yday, dst, c.Offset, c.Zone)
		if got != col[1] {
			t.Errorf("%s\ngot %s", line, got)
		}
	})
}

func TestStrftime(t *testing.T) {
	table(t, "strftime.txt", func(z *Zone, line string, col []string) {
		if got := z.Strftime(col[1], scan[int64](t, col[0])); got != col[2] {
			t.Errorf("%s\ngot %q", line, got)
		}
	})
	for format, want := range map[string]string{
		"":           "",
		"%n%t%3n":    "\n\t  \n",
		"%99999999d": strings.Repeat("0", maxWidth-2) + "01",
	} {
		if got := UTC().Strftime(format, 0); got != want {
			t.Errorf("%q: %q, want %q", format, got, want)
		}
	}
}

func TestMktime(t *testing.T) {
	table(t, "mktime.txt", func(z *Zone, line string, col []string) {
		var f [6]int
		if _, err := fmt.Sscan(col[0], &f[0], &f[1], &f[2], &f[3], &f[4], &f[5]); err != nil {
			t.Fatal(err)
		}
		if got, want := z.Mktime(f[0], f[1], f[2], f[3], f[4], f[5]), scan[int64](t, col[1]); got != want {
			t.Errorf("%s\ngot %d", line, got)
		}
	})
}

func TestCtime(t *testing.T) {
	for sec, want := range map[int64]string{
		1370000000: "Fri May 31 11:33:20 2013",
		0:          "Thu Jan  1 00:00:00 1970",
		1<<32 - 1:  "Sun Feb  7 06:28:15 2106",
	} {
		if got := UTC().Ctime(sec); got != want {
			t.Errorf("%d: %q, want %q", sec, got, want)
		}
	}
}

// TestDates walks every day of 32-bit time and a bit more, against package time.
func TestDates(t *testing.T) {
	utc := UTC()
	for d := int64(-400); d < 50100; d++ {
		c := utc.Civil(d*86400 + 86399)
		w := time.Unix(d*86400+86399, 0).UTC()
		if c.Year != w.Year() || c.Month != int(w.Month()) || c.Day != w.Day() || c.Wday != int(w.Weekday()) || c.Yday != w.YearDay()-1 {
			t.Fatalf("day %d: %+v, want %v", d, c, w)
		}
		year, week := isoWeek(&c)
		if y, k := w.ISOWeek(); y != year || k != week {
			t.Fatalf("%v: week %d-%d, want %d-%d", w, year, week, y, k)
		}
		if got := utc.Mktime(c.Year, c.Month, c.Day, 23, 59, 59); got != c.Unix {
			t.Fatalf("%v: %d, want %d", w, got, c.Unix)
		}
	}
}

// TestMktimeInverts: outside gaps and repeats Mktime undoes Civil.
func TestMktimeInverts(t *testing.T) {
	for _, tz := range []string{"zoneinfo/New_York", "zoneinfo/Lord_Howe", "EST5EDT4,M3.2.0/-1,M11.1.0/25:30", "AAA-10BBB,J1/0,J100"} {
		z := loadTest(t, tz)
		for range 5000 {
			sec := int64(rand.Uint32())
			c := z.Civil(sec)
			if got := z.Mktime(c.Year, c.Month, c.Day, c.Hour, c.Min, c.Sec); got != sec {
				again := z.Civil(got)
				again.Unix, again.Offset, again.IsDST, again.Zone = c.Unix, c.Offset, c.IsDST, c.Zone
				if again != c {
					t.Fatalf("%s %d: %d", tz, sec, got)
				}
			}
		}
	}
}

// TestSpans: the laid-out table says what the rules and single look-ups say, and
// its spans adjoin.
func TestSpans(t *testing.T) {
	for _, tz := range []string{"EST5EDT,M3.2.0,M11.1.0", "AEST-10AEDT,M10.1.0,M4.1.0/3", "AAA-10BBB,J1/0,J100", "XYZ5ABC,0/0,J365/5"} {
		z := loadTest(t, tz)
		if len(z.spans) < 200 {
			t.Errorf("%s: %d spans", tz, len(z.spans))
		}
		for i := 1; i < len(z.spans); i++ {
			if z.spans[i-1].to != z.spans[i].from || z.spans[i].from >= z.spans[i].to {
				t.Fatalf("%s: span %d: %+v, %+v", tz, i, z.spans[i-1], z.spans[i])
			}
		}
		for range 20000 {
			sec := int64(rand.Uint32())
			if rand.IntN(2) == 0 {
				sec = z.spans[1+rand.IntN(len(z.spans)-1)].from + int64(rand.IntN(5)) - 2
			}
			off, name, dst := z.Offset(sec)
			if want := z.rules.span(sec); sec >= 0 && (off != want.off || name != want.name || dst != want.dst) {
				t.Fatalf("%s %d: %d %s %v, want %+v", tz, sec, off, name, dst, want)
			}
		}
	}
}

func TestLoadZone(t *testing.T) {
	dir, err := filepath.Abs("testdata/zoneinfo")
	if err != nil {
		t.Fatal(err)
	}
	link := t.TempDir()
	for _, n := range []string{"posixrules", "localtime"} {
		if err := os.Symlink(dir+"/New_York", link+"/"+n); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(link+"/EST5", []byte("not a zone file"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := database{link, link + "/localtime"}
	const july = 1720000000
	for _, c := range []struct {
		tz   string
		set  bool
		want string // offset and name in July 2024
	}{
		{"", false, "-14400 EDT"}, // the system's zone
		{"ignored", false, "-14400 EDT"},
		{"", true, "0 UTC"},
		{":", true, "0 UTC"},
		{"posixrules", true, "-14400 EDT"},
		{":posixrules", true, "-14400 EDT"},
		{dir + "/Kolkata", true, "19800 IST"},
		{":" + dir + "/Kolkata", true, "19800 IST"},
		{"../" + filepath.Base(link) + "/posixrules", true, "-14400 EDT"},
		{"EST5", true, "-18000 EST"}, // the file is no zone: a rule
		{".", true, "0 "},            // a directory
		{"XYZ5ABC", true, "-14400 ABC"},
		{"XYZ-3ABC,", true, "14400 ABC"},
		{"/dev/zero", true, "0 "},
	} {
		off, name, _ := d.zone(c.tz, c.set).Offset(july)
		if got := fmt.Sprintf("%d %s", off, name); got != c.want {
			t.Errorf("%q %v: %s, want %s", c.tz, c.set, got, c.want)
		}
	}
	if off, name, _ := (database{link, "/nonexistent/localtime"}).zone("", false).Offset(july); off != 0 || name != "UTC" {
		t.Errorf("no system zone: %d %s", off, name)
	}
	// Borrowed dates follow the local clock: 1995 began on the first Sunday of April,
	// 2046 (behind the file's table) on the second of March.
	z := d.zone("XYZ-3ABC", true)
	for _, c := range []struct {
		year, month, day int
		want             bool
	}{{1995, 3, 20, false}, {1995, 4, 3, true}, {2046, 3, 20, true}, {2046, 11, 6, false}, {2150, 7, 1, true}} {
		if got := z.Civil(z.Mktime(c.year, c.month, c.day, 12, 0, 0)); got.IsDST != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
	change := z.Mktime(1995, 4, 2, 2, 0, 0) - 1
	if c := z.Civil(change); c.Hour != 1 || c.Min != 59 || c.IsDST {
		t.Errorf("before the change: %+v", c)
	}
	if c := z.Civil(change + 1); c.Hour != 3 || !c.IsDST {
		t.Errorf("after the change: %+v", c)
	}
	// Without the file the rules are today's.
	if c := loadTest(t, "XYZ5ABC").Civil(796000000); !c.IsDST { // March 1995
		t.Errorf("no posixrules: %+v", c)
	}
}

func TestParseTZif(t *testing.T) {
	data, err := os.ReadFile("testdata/zoneinfo/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		parseTZif(data[:n]) // must not panic
	}
	if parseTZif(data[:len(data)-1]) != nil {
		t.Error("a cut footer passed")
	}
	type change struct {
		sec int64
		typ byte
	}
	// tzif writes a zone file with two types, EST (0) and EDT (1).
	tzif := func(version byte, changes []change, footer string) []byte {
		var b []byte
		block := func(width int) {
			b = append(append(b, "TZif"...), version)
			b = append(b, make([]byte, 15)...)
			for _, n := range []int{0, 0, 0, len(changes), 2, 8} {
				b = binary.BigEndian.AppendUint32(b, uint32(n))
			}
			for _, c := range changes {
				if width == 8 {
					b = binary.BigEndian.AppendUint64(b, uint64(c.sec))
				} else {
					b = binary.BigEndian.AppendUint32(b, uint32(c.sec))
				}
			}
			for _, c := range changes {
				b = append(b, c.typ)
			}
			est, edt := -18000, -14400
			b = append(binary.BigEndian.AppendUint32(b, uint32(est)), 0, 0)
			b = append(binary.BigEndian.AppendUint32(b, uint32(edt)), 1, 4)
			b = append(b, "EST\x00EDT\x00"...)
		}
		block(4)
		if version == 0 {
			return b
		}
		block(8)
		return append(b, "\n"+footer+"\n"...)
	}
	year := func(y int) int64 { return daysSince1970(y, 1, 1) * 86400 }
	rule := parsePOSIX("EST5EDT,M3.2.0,M11.1.0")
	begin, end := rule.changes(2008)

	// Old and new versions say the same; the new one goes on by its footer.
	for _, version := range []byte{0, '2'} {
		z := parseTZif(tzif(version, []change{{begin, 1}, {end, 0}}, "EST5EDT,M3.2.0,M11.1.0"))
		if z == nil {
			t.Fatalf("version %d refused", version)
		}
		for _, c := range []struct {
			sec  int64
			want string
		}{{-1 << 40, "EST"}, {0, "EST"}, {begin - 1, "EST"}, {begin, "EDT"}, {end - 1, "EDT"}, {end, "EST"}, {year(2009), "EST"}} {
			if _, name, _ := z.Offset(c.sec); name != c.want {
				t.Errorf("version %d at %d: %s, want %s", version, c.sec, name, c.want)
			}
		}
		for y := 2009; y < 2300; y++ {
			summer := year(y) + 200*86400
			if _, _, dst := z.Offset(summer); dst != (version != 0) {
				t.Fatalf("version %d in the summer of %d: %v", version, y, dst)
			}
		}
	}
	// A last change behind the years laid out, one before 1970, and none at all.
	for _, changes := range [][]change{{{year(2150), 1}}, {{-1 << 50, 1}}, {}} {
		z := parseTZif(tzif('2', changes, "EST5EDT,M3.2.0,M11.1.0"))
		if z == nil {
			t.Fatalf("%v refused", changes)
		}
		want := rule.span(1 << 40)
		if _, name, _ := z.Offset(1 << 40); len(changes) > 0 && name != want.name {
			t.Errorf("%v: %s, want %s", changes, name, want.name)
		}
	}
	// A footer without daylight time, and none.
	for _, footer := range []string{"EST5", ""} {
		z := parseTZif(tzif('2', []change{{begin, 1}, {end, 0}}, footer))
		if _, name, _ := z.Offset(1 << 40); name != "EST" || z.rules != nil {
			t.Errorf("footer %q: %s", footer, name)
		}
	}
	for _, changes := range [][]change{{{5, 2}}, {{5, 0}, {5, 1}}, {{6, 0}, {5, 1}}} {
		if parseTZif(tzif('2', changes, "")) != nil {
			t.Errorf("%v passed", changes)
		}
	}
}

// TestConcurrent is for the race detector: a Zone serves several goroutines.
func TestConcurrent(t *testing.T) {
	z := loadTest(t, "zoneinfo/New_York")
	var wg sync.WaitGroup
	for g := range int64(4) {
		wg.Go(func() {
			for i := range int64(3000) {
				sec := (i*7919 + g) * 100003 % (1 << 32)
				c := z.Civil(sec)
				if got := daysSince1970(c.Year, c.Month, c.Day)*86400 + int64(c.Hour*3600+c.Min*60+c.Sec-c.Offset); got != sec {
					t.Errorf("%d: %+v", sec, c)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestSystem goes through the real files: TZ names a rule or a file of the machine.
func TestSystem(t *testing.T) {
	if off, name, _ := LoadZone("XYZ3:30", true).Offset(0); off != -12600 || name != "XYZ" {
		t.Errorf("XYZ3:30: %d %s", off, name)
	}
	if off, name, _ := LoadZone("", true).Offset(0); off != 0 || name != "UTC" {
		t.Errorf("empty: %d %s", off, name)
	}
	if z := LoadZone("", false); z == nil {
		t.Error("unset: no zone")
	}
}

func TestExtremes(t *testing.T) {
	for _, tz := range []string{"zoneinfo/New_York", "zoneinfo/UTC", "EST5EDT,M3.2.0,M11.1.0", "AAA-10BBB,J1/0,J100", ""} {
		z := loadTest(t, tz)
		for _, sec := range []int64{math.MinInt64 / 4, -1 << 40, 1 << 40, math.MaxInt64 / 4} {
			c := z.Civil(sec)
			if got := z.Mktime(c.Year, c.Month, c.Day, c.Hour, c.Min, c.Sec); got != sec {
				t.Errorf("%s %d: %d", tz, sec, got)
			}
			AppendStrftime(AppendCtime(nil, &c), "%c %Y %G %C %y %s", &c)
		}
	}
}

func TestOffsetDoesNotAllocate(t *testing.T) {
	z := loadTest(t, "zoneinfo/New_York")
	buf := make([]byte, 0, 64)
	sec := int64(1700000000)
	if n := testing.AllocsPerRun(100, func() {
		sec += 7000000
		c := z.Civil(sec)
		AppendCtime(buf, &c)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzLoadZone(f *testing.F) {
	for _, s := range []string{"EST5EDT,M3.2.0,M11.1.0", "<+0530>-5:30", "AAA-10BBB,J1/0,J100/-3", "XYZ5ABC", "XYZ5ABC,M3.2.0/167:59:59", "FOO", ":", "XYZ5ABC,0,365"} {
		f.Add(s, int64(1720000000))
	}
	none := database{dir: "/nonexistent"}
	f.Fuzz(func(t *testing.T, tz string, sec int64) {
		sec %= 1 << 45
		z := none.zone(tz, true)
		off, name, dst := z.Offset(sec)
		if off < -90000 || off > 100000 {
			t.Fatalf("offset %d", off)
		}
		if o, n, d := z.Offset(sec); o != off || n != name || d != dst {
			t.Fatal("two answers")
		}
		c := z.Civil(sec)
		if got := daysSince1970(c.Year, c.Month, c.Day)*86400 + int64(c.Hour*3600+c.Min*60+c.Sec-c.Offset); got != sec {
			t.Fatalf("%+v is not %d", c, sec)
		}
	})
}

func FuzzParseTZif(f *testing.F) {
	for _, n := range []string{"New_York", "Kolkata", "UTC", "Apia"} {
		data, err := os.ReadFile("testdata/zoneinfo/" + n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		z := parseTZif(data)
		if z == nil {
			return
		}
		for _, sec := range []int64{0, 1700000000, 1<<32 - 1, 1 << 40, -1 << 40} {
			c := z.Civil(sec)
			z.Mktime(c.Year, c.Month, c.Day, c.Hour, c.Min, c.Sec)
		}
	})
}

func FuzzStrftime(f *testing.F) {
	f.Add("%Y-%m-%d %H:%M:%S %z %Z", int64(0))
	f.Add("%_-0^#12Ec%O%", int64(1<<32-1))
	z := loadTest(f, "EST5EDT,M3.2.0,M11.1.0")
	f.Fuzz(func(t *testing.T, format string, sec int64) {
		if n := len(z.Strftime(format, sec%(1<<45))); n > 600*(len(format)+1)+maxWidth*(len(format)+1) {
			t.Fatalf("%d bytes", n)
		}
	})
}

func BenchmarkOffset(b *testing.B) {
	b.ReportAllocs()
	z := loadTest(b, "zoneinfo/New_York")
	sec := int64(1700000000)
	for b.Loop() {
		sec++
		z.Offset(sec)
	}
}

// Records whose start and end lie on both sides of a change are the worst case.
func BenchmarkOffsetAlternating(b *testing.B) {
	b.ReportAllocs()
	z := loadTest(b, "zoneinfo/New_York")
	sec := int64(1700000000)
	for b.Loop() {
		sec ^= 1 << 24
		z.Offset(sec)
	}
}

func BenchmarkCivil(b *testing.B) {
	b.ReportAllocs()
	z := loadTest(b, "zoneinfo/New_York")
	sec := int64(1700000000)
	for b.Loop() {
		sec += 7
		z.Civil(sec)
	}
}

func BenchmarkCtime(b *testing.B) {
	b.ReportAllocs()
	z := loadTest(b, "zoneinfo/New_York")
	buf := make([]byte, 0, 64)
	sec := int64(1700000000)
	for b.Loop() {
		sec += 7
		c := z.Civil(sec)
		buf = AppendCtime(buf[:0], &c)
	}
}

func BenchmarkLoadZone(b *testing.B) {
	for _, tz := range []string{"zoneinfo/New_York", "EST5EDT,M3.2.0,M11.1.0"} {
		b.Run(tz, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				loadTest(b, tz)
			}
		})
	}
}
