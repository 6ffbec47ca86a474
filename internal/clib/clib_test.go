package clib

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
)

var nan = regexp.MustCompile(`\t[7f]ff8[0-9a-f]{12} `)

// TestNumbers holds the scanners against a recording of the C library
// (testdata/record.c).
func TestNumbers(t *testing.T) {
	data, err := os.ReadFile("testdata/numbers.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) < 300 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		s, want, _ := strings.Cut(line, "\t")
		var got []string
		for _, base := range []int{0, 10} {
			u, rest := Strtoul(s, base)
			i, _ := Strtol(s, base)
			got = append(got, fmt.Sprintf("%d %d\t%d", u, len(s)-len(rest), i))
		}
		f, rest := Strtod(s)
		bits := fmt.Sprintf("%016x", math.Float64bits(f))
		if math.IsNaN(f) {
			bits = "nan" // one for all: sign and payload of a NaN are not kept
		}
		n, m, fields := ScanVersion(s)
		got = append(got, fmt.Sprintf("%d\t%s %d\t%d %d %d", Atoi(s), bits, len(s)-len(rest), fields, n, m))
		want = nan.ReplaceAllString(want, "\tnan ")
		if g := strings.Join(got, "\t"); g != want {
			t.Errorf("%q\n got %s\nwant %s", s, g, want)
		}
		if v, ok := ScanUint(s); ok != (fields > 0) || v != n {
			t.Errorf("ScanUint(%q): %d %v", s, v, ok)
		}
		if u, _ := Strtoul(s, 0); Uint(s) != u {
			t.Errorf("Uint(%q): %d", s, Uint(s))
		}
	}
}

func TestNumbersWhiteSpace(t *testing.T) {
	const s = " \t\n\v\f\r-5\t"
	if v, rest := Strtol(s, 0); v != -5 || rest != "\t" {
		t.Errorf("Strtol: %d %q", v, rest)
	}
	if v, rest := Strtod(s); v != -5 || rest != "\t" {
		t.Errorf("Strtod: %v %q", v, rest)
	}
	if n, m, k := ScanVersion("\n8.\t2"); n != 8 || m != 2 || k != 2 {
		t.Errorf("ScanVersion: %d %d %d", n, m, k)
	}
}

func TestScanSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
		ok   bool
	}{
		{"", 0, true}, {"0", 0, true}, {"17", 17, true}, {"2b", 1024, true}, {"3K", 3072, true},
		{"4M", 4 << 20, true}, {"5G", 5 << 30, true}, {"0x10K", 16384, true}, {"010", 8, true}, {" 2K", 2048, true},
		{"2Gig", 2 << 30, true}, {"2Kx", 2048, true}, {"G", 0, true},
		{"2k", 0, false}, {"2B", 0, false}, {"2x", 0, false}, {"2 K", 0, false}, {"abc", 0, false},
		{"-1", 0, false}, {"-1K", 0, false}, {"18446744073709551615", 0, false}, {"99999999999999999999", 0, false},
		{"99999999999999G", 0, false}, {"17179869183G", 17179869183 << 30, true}, {"17179869184G", 0, false},
		{"-2", math.MaxUint64 - 1, true}, {"-2K", math.MaxUint64 - 2047, true},
	} {
		if got, ok := ScanSize(c.text); got != c.want || ok != c.ok {
			t.Errorf("%q: %d, %v; want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		equal bool
	}{
		{"", "", true}, {"Abc-Z", "aBC-z", true}, {"abc", "abcd", false}, {"a[", "a{", false}, {"@", "`", false},
		{"K", "\u212a", false}, {"é", "É", false}, {"x\x00", "X\x00", true},
	} {
		if got := EqualFold(c.a, c.b); got != c.equal {
			t.Errorf("EqualFold(%q, %q): %v", c.a, c.b, got)
		}
		if got := Fold(c.a) == Fold(c.b); got != c.equal {
			t.Errorf("Fold(%q), Fold(%q): %q, %q", c.a, c.b, Fold(c.a), Fold(c.b))
		}
	}
	for c := range 256 {
		s := string([]byte{'x', byte(c)})
		want := s
		if c < 128 {
			want = strings.ToLower(s)
		}
		if got := Fold(s); got != want {
			t.Errorf("Fold(%q) = %q", s, got)
		}
	}
}

func TestIPv4(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint32
	}{
		{"", 0}, {"10", 0x0A000000}, {"10.1", 0x0A010000}, {"10..1", 0x0A000100}, {"1.2.3.4", 0x01020304},
		{"1.2.3.4.5", 0x02030405}, {"99.10.0.0.1", 0x0A000001}, {"300.1", 0x2C010000}, {"300.1.1.1", 0x2C010101},
		{"128.146", 0x80920000}, {"1.10.0.1.254", 0x0A0001FE}, {"255.255.255.255", 0xFFFFFFFF},
		{"10.1 5", 0x0A010000}, {"10.1\t5.6", 0x0A010000}, {" 10.1", 0}, {"1.", 0x01000000}, {"...7", 7}, {".", 0},
		{"4294967306", 0x0A000000}, {"001.010.0.1", 0x010A0001},
		{"a", uint32('a'-'0') << 24}, {"/", 0xFF000000}, // a byte counts as byte-'0'
	} {
		if got := IPv4(c.text); got != c.want {
			t.Errorf("%q: %#x, want %#x", c.text, got, c.want)
		}
	}
}

func TestAddr(t *testing.T) {
	asked := ""
	resolve := func(name string) (uint32, bool) { asked = name; return 0x7F000001, name == "localhost" }
	for _, c := range []struct {
		text    string
		resolve Resolver
		want    uint32
		ok      bool
		asked   string
	}{
		{"localhost", resolve, 0x7F000001, true, "localhost"},
		{"10.x", resolve, 0x0A480000, false, "10.x"},
		{"10.x", nil, 0x0A480000, false, ""},
		{"10.0.0.1", resolve, 0x0A000001, true, ""},
		{"", resolve, 0, true, ""},
	} {
		asked = ""
		if got, ok := Addr(c.text, c.resolve); got != c.want || ok != c.ok || asked != c.asked {
			t.Errorf("%q: %#x %v, asked %q", c.text, got, ok, asked)
		}
	}
}

func TestPrefix(t *testing.T) {
	for _, c := range []struct {
		text string
		addr uint32
		len  uint8
	}{
		{"10.0.0.0/8", 0x0A000000, 8}, {"10/", 0x0A000000, 0}, {"10/x", 0x0A000000, 0}, {"10/8bits", 0x0A000000, 8},
		{"10/-1", 0x0A000000, 32}, {"10/33", 0x0A000000, 32}, {"10/99", 0x0A000000, 32}, {"10/256", 0x0A000000, 0},
		{"1.2.3.4/255.255.0.0", 0x01020304, 32}, {"10.1.2.3/8", 0x0A010203, 8}, {"0/0", 0, 0}, {"/5", 0, 5},
		{"10", 0x0A000000, 8}, {"0", 0, 8}, {"10.1", 0x0A010000, 32}, {"127", 0x7F000000, 8},
		{"128.146", 0x80920000, 16}, {"128", 0x80000000, 16}, {"191.255", 0xBFFF0000, 16}, {"128.0.1", 0x80000100, 32},
		{"192.0.2", 0xC0000200, 24}, {"192", 0xC0000000, 24}, {"223.1.1", 0xDF010100, 24}, {"192.0.2.1", 0xC0000201, 32},
		{"224", 0xE0000000, 28}, {"224.0.0.1", 0xE0000001, 32}, {"239", 0xEF000000, 32}, {"240.0.0.0", 0xF0000000, 32},
		{"", 0, 8},
	} {
		addr, n, ok := Prefix(c.text, nil)
		if addr != c.addr || n != c.len || !ok {
			t.Errorf("%q: %#x/%d %v, want %#x/%d", c.text, addr, n, ok, c.addr, c.len)
		}
	}
	resolve := func(name string) (uint32, bool) { return 0x0A0B0C0D, name == "gw" }
	if addr, n, ok := Prefix("gw/24", resolve); addr != 0x0A0B0C0D || n != 24 || !ok {
		t.Errorf("gw/24: %#x/%d %v", addr, n, ok)
	}
	if addr, n, ok := Prefix("gw", resolve); addr != 0x0A0B0C0D || n != 32 || !ok {
		t.Errorf("gw: %#x/%d %v", addr, n, ok)
	}
	if _, _, ok := Prefix("nohost/24", resolve); ok {
		t.Error("an unknown host passed")
	}
}

// members lists a set as ranges.
func members(s *Set, size int) string {
	var b strings.Builder
	for v := 0; v < size; v++ {
		if !s.Has(uint(v)) {
			continue
		}
		first := v
		for s.Has(uint(v + 1)) {
			v++
		}
		if first == v {
			fmt.Fprintf(&b, " %d", v)
		} else {
			fmt.Fprintf(&b, " %d-%d", first, v)
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

func TestParseSet(t *testing.T) {
	for _, c := range []struct {
		list string
		size int
		want string
	}{
		{"1,5-7", 20, "1 5-7"}, {"!1,3-4", 20, "0 2 5-19"}, {"3-1", 20, "3"}, {"1 - 3", 20, "1-3"}, {"5-7-9", 20, "5-7 9"}, {"abc", 20, "0"},
		{"!80,!443", 65536, "1-79 81-65535"}, {"http", 65536, "0"}, {"80/tcp", 65536, "80"}, {"443-80", 65536, "443"},
		{"80-", 65536, "80"}, {"22-25-53", 65536, "22-25 53"}, {",80", 65536, "0 80"}, {"80,,443,", 65536, "80 443"},
		{"08", 65536, "0"}, {"0120", 65536, "80"}, {"0x50", 65536, "80"}, {"", 65536, ""}, {"!", 65536, "0-65535"},
		{"80 , 443 - 500", 65536, "80 443-500"}, {" \t!6", 10, "0-5 7-9"}, {" \t", 10, ""}, {"5-,-8", 10, "5 8"},
		{"1,-3", 10, "1 3"}, {"1-2-9", 10, "1-2 9"}, {"1x,2-3y", 10, "1-3"}, {"255", 256, "255"}, {"0-255", 256, "0-255"},
		{"63-64", 100, "63-64"}, {"5-!7", 10, "5"}, {"3,!3", 10, "0 3"}, {"+4", 10, "4"},
		{"8,-5,--6", 10, "5-6 8"},
	} {
		s, err := ParseSet(c.list, c.size)
		if err != nil {
			t.Errorf("%q: %v", c.list, err)
			continue
		}
		if got := members(s, c.size); got != c.want {
			t.Errorf("%q: %s, want %s", c.list, got, c.want)
		}
		for _, v := range []uint{uint(c.size), uint(c.size) + 63, 1 << 40, math.MaxUint} {
			if s.Has(v) {
				t.Errorf("%q of %d has %d", c.list, c.size, v)
			}
		}
	}
	for _, list := range []string{"-80", "5--80", "65536", "1-65536", "!65536", "!-1", "4294967376", "99999999999999999999", "0x10000", "1 - -3"} {
		if s, err := ParseSet(list, 65536); err == nil {
			t.Errorf("%q: %s", list, members(s, 65536))
		}
	}
	if _, err := ParseSet("256", 256); err == nil {
		t.Error("256 passed in a table of 256")
	}
}

func TestSetPut(t *testing.T) {
	s := NewSet(70)
	for _, v := range []uint{0, 63, 64, 69, 70, 1 << 50} {
		s.Put(v, true)
	}
	s.Put(63, false)
	if got := members(s, 128); got != "0 64 69" {
		t.Errorf("members %s", got)
	}
}

// Ranges are what their numbers one by one are, whatever words they begin and end in.
func TestSetRange(t *testing.T) {
	const size = 130
	for first := uint(0); first < size+3; first++ {
		for _, last := range []uint{0, 1, 62, 63, 64, 65, 127, 128, size - 1, size, size + 70, math.MaxUint} {
			one, all := NewSet(size), NewSet(size)
			for v := first; v <= min(last, size-1); v++ {
				one.Put(v, true)
			}
			all.PutRange(first, last, true)
			if got, want := members(all, size+64), members(one, size+64); got != want {
				t.Fatalf("%d to %d: %s, want %s", first, last, got, want)
			}
			if got, want := all.HasAny(0, math.MaxUint), members(one, size) != ""; got != want {
				t.Fatalf("%d to %d: any %v, want %v", first, last, got, want)
			}
			if first > 0 && all.HasAny(0, first-1) || all.HasAny(first, last) != all.HasAny(0, size) {
				t.Fatalf("%d to %d: members elsewhere", first, last)
			}
			full := NewSet(size)
			full.PutRange(0, size, true)
			full.PutRange(first, last, false)
			if full.HasAny(first, last) || strings.Count(members(full, size+64), "-") > 2 {
				t.Fatalf("%d to %d left in %s", first, last, members(full, size+64))
			}
		}
	}
	none := NewSet(0)
	none.PutRange(0, 5, true)
	if none.Has(0) || none.HasAny(0, 5) {
		t.Error("an empty table has members")
	}
}

func FuzzParseSet(f *testing.F) {
	for _, s := range []string{"1,5-7", "!80,!443", "5--80", "0x10-020", "1 - 3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		s, err := ParseSet(list, 300)
		if err != nil {
			return
		}
		text := members(s, 300)
		again, err := ParseSet(strings.ReplaceAll(text, " ", ","), 300)
		if err != nil {
			t.Fatal(err)
		}
		if got := members(again, 300); got != text {
			t.Fatalf("%q: %s, read again %s", list, text, got)
		}
	})
}

func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0x1p-3", "-18446744073709551616", "8.14", "nan(1)", "1e99999", "10.1/8", "2Gig"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, rest := Strtod(s)
		if !strings.HasSuffix(s, rest) {
			t.Fatalf("rest %q", rest)
		}
		number := s[:len(s)-len(rest)]
		if again, tail := Strtod(number); tail != "" && number != "" || math.Float64bits(again) != math.Float64bits(v) {
			t.Fatalf("%q: %v, alone %v %q", number, v, again, tail)
		}
		for _, base := range []int{0, 8, 10, 16} {
			u, rest := Strtoul(s, base)
			i, rest2 := Strtol(s, base)
			if rest != rest2 || !strings.HasSuffix(s, rest) {
				t.Fatalf("rests %q, %q", rest, rest2)
			}
			if i > math.MinInt64 && i < math.MaxInt64 && uint64(i) != u {
				t.Fatalf("base %d: %d and %d", base, u, i)
			}
		}
		if n, _, fields := ScanVersion(s); fields == 0 && n != 0 {
			t.Fatalf("version %d of no fields", n)
		}
		if v, ok := ScanSize(s); !ok && v != 0 {
			t.Fatalf("size %d of a failure", v)
		}
		if _, n, _ := Prefix(s, nil); n > 32 {
			t.Fatalf("prefix length %d", n)
		}
	})
}
