package clib

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestAppendIPv4(t *testing.T) {
	for range 20000 {
		a := rand.Uint32() >> (rand.Uint32() & 31)
		want := fmt.Sprintf("%d.%d.%d.%d", a>>24, a>>16&255, a>>8&255, a&255)
		if got := string(AppendIPv4([]byte("x"), a)); got != "x"+want {
			t.Fatalf("%#x: %q, want %q", a, got, want)
		}
	}
	for b := range uint32(256) {
		if got, want := string(AppendIPv4(nil, b<<24|b)), fmt.Sprintf("%d.0.0.%d", b, b); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
}

func TestAppendPrefix(t *testing.T) {
	for _, c := range []struct {
		addr uint32
		len  uint8
		want string
	}{
		{0x0A000000, 31, "10/31"},
		{0, 8, "0/8"},
		{0, 0, "0/0"},
		{0xAC100000, 23, "172.16/23"},
		{0x0A000100, 8, "10.0.1/8"},
		{0x0A000001, 4, "10.0.0.1/4"},
		{0x0A000500, 24, "10.0.5/24"},
		{0x0A0A0A0A, 32, "10.10.10.10/32"},
		{0x0A0A0A0A, 33, "10.10.10.10/0"},
		{0xFF000000, 255, "255/0"},
	} {
		if got := string(AppendPrefix(nil, c.addr, c.len)); got != c.want {
			t.Errorf("%#x/%d: %q, want %q", c.addr, c.len, got, c.want)
		}
	}
}

// TestAppendPadded holds the helpers against fmt, whose verbs used here mean
// what printf's do.
func TestAppendPadded(t *testing.T) {
	for range 5000 {
		v := rand.Uint64() >> (rand.Uint32() & 63)
		w := rand.IntN(80)
		for _, c := range []struct{ name, got, want string }{
			{"AppendUint", string(AppendUint([]byte("a"), v, w)), fmt.Sprintf("a%-*d", w, v)},
			{"AppendUintRight", string(AppendUintRight([]byte("a"), v, w)), fmt.Sprintf("a%*d", w, v)},
			{"AppendUintZero", string(AppendUintZero([]byte("a"), v, w)), fmt.Sprintf("a%0*d", w, v)},
			{"AppendHex", string(AppendHex([]byte("a"), v, w)), fmt.Sprintf("a%0*x", w, v)},
			{"AppendUintRight 2", string(AppendUintRight(nil, v&127, 2)), fmt.Sprintf("%2d", v&127)},
			{"AppendUintZero 2", string(AppendUintZero(nil, v&127, 2)), fmt.Sprintf("%02d", v&127)},
		} {
			if c.got != c.want {
				t.Fatalf("%s(%d, %d): %q, want %q", c.name, v, w, c.got, c.want)
			}
		}
		s, cut := fmt.Sprint(v), rand.IntN(30)
		want := fmt.Sprintf("a%-*.*s", w, cut, s)
		if got := string(AppendString([]byte("a"), s, w, cut)); got != want {
			t.Fatalf("AppendString(%q, %d, %d): %q, want %q", s, w, cut, got, want)
		}
		if got := string(PadCut([]byte("a"+s), 1, w, cut)); got != want {
			t.Fatalf("PadCut(%q, %d, %d): %q, want %q", s, w, cut, got, want)
		}
		if got, want := string(Right([]byte("a"+s), 1, w)), fmt.Sprintf("a%*s", w, s); got != want {
			t.Fatalf("Right(%q, %d): %q, want %q", s, w, got, want)
		}
	}
}

func TestAppendF(t *testing.T) {
	zero := 0.0
	for _, c := range []struct {
		f    float64
		prec int
		want string
	}{
		{0, 6, "0.000000"},
		{math.Copysign(0, -1), 6, "-0.000000"},
		{0.5, 0, "0"}, // to even, as C rounds
		{1.5, 0, "2"},
		{2.0 / 3, 3, "0.667"},
		{1e22, 6, "10000000000000000000000.000000"},
		{0.1, 20, "0.10000000000000000555"},
		{zero / zero, 6, "-nan"},
		{math.NaN(), 3, "-nan"},
		{1 / zero, 6, "inf"},
		{-1 / zero, 6, "-inf"},
	} {
		if got := string(AppendF(nil, c.f, c.prec)); got != c.want {
			t.Errorf("%v, %d: %q, want %q", c.f, c.prec, got, c.want)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		b := AppendString(AppendUint(AppendIPv4(buf, 0x0A0B0C0D), 1234567, 10), "http", 7, 7)
		b = AppendF(AppendHex(AppendUintZero(AppendUintRight(b, 17, 5), 3, 3), 17, 4), 2.5, 6)
		n := len(b)
		Right(PadCut(AppendPrefix(b, 0x0A000500, 24), n, 18, 18), n, 24)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendIPv4(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 64)
	a := uint32(1)
	for b.Loop() {
		a = a*1664525 + 1013904223
		buf = AppendIPv4(buf[:0], a)
	}
}

func BenchmarkAppendPrefix(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 64)
	a := uint32(1)
	for b.Loop() {
		a = a*1664525 + 1013904223
		buf = AppendPrefix(buf[:0], a&0xFFFFFF00, uint8(a>>8&31))
	}
}

func BenchmarkAppendPaddedIPv4(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 64)
	a := uint32(1)
	for b.Loop() {
		a = a*1664525 + 1013904223
		buf = PadCut(AppendIPv4(buf[:0], a), 0, 15, 15)
	}
}

func BenchmarkAppendUint(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 64)
	a := uint32(1)
	for b.Loop() {
		a = a*1664525 + 1013904223
		buf = AppendUint(buf[:0], uint64(a), 10)
	}
}

func BenchmarkAppendHex(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 64)
	a := uint32(1)
	for b.Loop() {
		a = a*1664525 + 1013904223
		buf = AppendHex(buf[:0], uint64(a&0xFFFF), 4)
	}
}

func BenchmarkAppendF(b *testing.B) {
	b.ReportAllocs()
	buf := make([]byte, 0, 64)
	f := 1.0
	for b.Loop() {
		f = f*1.1 + 3
		if f > 1e9 {
			f = 1
		}
		buf = AppendF(buf[:0], f, 6)
	}
}
