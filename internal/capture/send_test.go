package capture

import (
	"bytes"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"flowtools/pkg/netflow"
)

// senders returns a Sender of each kind to the same listener.
func senders(t testing.TB, port uint16) map[string]*Sender {
	t.Helper()
	a := Address{Local: netip.MustParseAddr("127.0.0.5"), Remote: netip.MustParseAddr("127.0.0.1"), Port: port}
	all := make(map[string]*Sender)
	var err error
	if all["udp"], err = Dial(a); err != nil {
		t.Fatal(err)
	}
	switch all["raw"], err = Spoof(a, SpoofPort); {
	case errors.Is(err, syscall.EPERM):
		delete(all, "raw")
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range all {
			s.Close()
		}
	})
	return all
}

// TestTry sends datagrams of all lengths round those of PDUs, by both kinds of
// sockets.
func TestTry(t *testing.T) {
	l := listen(t, "127.0.0.1/0")
	bursts, end := l.Start()
	defer end()
	for kind, s := range senders(t, l.Addr().Port()) {
		for _, n := range []int{1, 2, 3, 24, 1463, netflow.MaxPDU} {
			want := bytes.Repeat([]byte{byte(n), 0xA5}, n)[:n]
			if err := s.Try(want, netip.Addr{}); err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			b := <-bursts
			if d := b.Datagrams[0]; !bytes.Equal(d.Data, want) || d.Src.String() != "127.0.0.5" {
				t.Errorf("%s: %d octets from %v, want %d", kind, len(d.Data), d.Src, n)
			}
			b.Release()
		}
		if err := s.Try(make([]byte, 70_000), netip.Addr{}); !errors.Is(err, syscall.EMSGSIZE) {
			t.Errorf("%s: too long: %v", kind, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Try([]byte("x"), netip.Addr{}); err == nil {
			t.Errorf("%s: no error after Close", kind)
		}
	}
}

func TestTryAllocations(t *testing.T) {
	l := listen(t, "127.0.0.1/0")
	defer l.conn.Close()
	data, src := make([]byte, netflow.MaxPDU), netip.MustParseAddr("127.0.0.9")
	for kind, s := range senders(t, l.Addr().Port()) {
		if n := testing.AllocsPerRun(100, func() {
			if err := s.Try(data, src); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a datagram", kind, n)
		}
	}
}

func BenchmarkTry(b *testing.B) {
	l := listen(b, "127.0.0.1/0")
	defer l.conn.Close()
	data, src := make([]byte, netflow.MaxPDU), netip.MustParseAddr("127.0.0.9")
	for kind, s := range senders(b, l.Addr().Port()) {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Try(data, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
