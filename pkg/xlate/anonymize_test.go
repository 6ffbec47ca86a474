package xlate

import (
	"encoding/hex"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func testKey(t testing.TB) (key [KeySize]byte) {
	b, err := hex.DecodeString("1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202")
	if err != nil {
		t.Fatal(err)
	}
	copy(key[:], b)
	return key
}

func quad(t *testing.T, s string) uint32 {
	t.Helper()
	a := netip.MustParseAddr(s).As4()
	return uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
}

// The vectors of tag-xlate-mask.md; the first four are those published with Crypto-PAn.
func TestAnonymizerVectors(t *testing.T) {
	a := NewAnonymizer(testKey(t))
	for _, v := range [][2]string{
		{"128.11.68.132", "135.242.180.132"},
		{"129.118.74.4", "134.136.186.123"},
		{"130.132.252.244", "133.68.164.234"},
		{"141.223.7.43", "141.167.8.160"},
		{"0.0.0.0", "120.255.240.1"},
		{"10.0.0.1", "117.15.0.1"},
	} {
		for range 2 { // the second time from the cache
			if got, want := a.Addr(quad(t, v[0])), quad(t, v[1]); got != want {
				t.Errorf("%s: %#08x, want %s", v[0], got, v[1])
			}
		}
	}
}

// Addresses that share exactly n leading bits still do.
func TestAnonymizerKeepsPrefixes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	a := NewAnonymizer(testKey(t))
	for range 2000 {
		x := rnd.Uint32()
		y := x ^ rnd.Uint32()>>rnd.IntN(32)
		if got, want := bits.LeadingZeros32(a.Addr(x)^a.Addr(y)), bits.LeadingZeros32(x^y); got != want {
			t.Fatalf("%#x and %#x share %d bits, their replacements %d", x, y, want, got)
		}
	}
}

func TestAnonymizerDoesNotAllocate(t *testing.T) {
	a := NewAnonymizer(testKey(t))
	x := uint32(0)
	if n := testing.AllocsPerRun(100, func() { x += 77777; a.Addr(x) }); n != 0 {
		t.Errorf("%v allocations an address", n)
	}
}

func BenchmarkAnonymizer(b *testing.B) {
	for _, c := range []struct {
		name  string
		hosts uint32
	}{{"repeated", 1 << 12}, {"distinct", 1 << 31}} {
		b.Run(c.name, func(b *testing.B) {
			a := NewAnonymizer(testKey(b))
			b.ReportAllocs()
			x := uint32(0)
			for b.Loop() {
				x = (x + 0x9e3779b1) & (c.hosts - 1)
				a.Addr(x)
			}
		})
	}
}
