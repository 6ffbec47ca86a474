package capture

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"testing"
)

func loopback(t *testing.T, remote string) Address {
	t.Helper()
	return Address{Local: netip.MustParseAddr("127.0.0.1"), Remote: netip.MustParseAddr(remote), Port: 0}
}

// Datagrams of all sockets come out of one channel, each with its socket and
// the exporter wanted there; those that had arrived before Stop are not lost.
func TestSockets(t *testing.T) {
	inherited, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*Sockets, error){
		"opened": func() (*Sockets, error) {
			return OpenSockets(nil, []Address{loopback(t, "127.0.0.1"), loopback(t, "0.0.0.0")}, 1, quiet)
		},
		"inherited": func() (*Sockets, error) {
			return OpenSockets([]net.PacketConn{inherited}, []Address{loopback(t, "127.0.0.1")}, 1, quiet)
		},
	} {
		s, err := open()
		if err != nil {
			t.Fatal(name, err)
		}
		const each = 500
		for _, l := range s.list {
			c, err := net.Dial("udp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			for range each {
				if _, err := c.Write([]byte("datagram")); err != nil {
					t.Fatal(err)
				}
			}
			c.Close()
		}
		bursts, end := s.Start()
		got := make([]int, len(s.list))
		s.Stop()
		for b := range bursts {
			got[b.Socket] += len(b.Datagrams)
			if l := s.list[b.Socket]; b.Port != l.Addr().Port() || b.Remote != l.from {
				t.Errorf("%s: burst of port %d for %v", name, b.Port, b.Remote)
			}
			b.Release()
		}
		end()
		for i, n := range got {
			if n != each {
				t.Errorf("%s: %d datagrams of socket %d, want %d", name, n, i, each)
			}
		}
	}
}

// What is no UDP socket is refused, and nothing stays open.
func TestSocketsRefused(t *testing.T) {
	a := loopback(t, "0.0.0.0")
	s, err := OpenSockets(nil, []Address{a}, 1, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	taken := a
	taken.Port = s.Addr().Port()
	free := a
	if _, err := OpenSockets(nil, []Address{free, taken}, 1, quiet); err == nil {
		t.Error("a port is opened twice")
	}
	if _, err := OpenSockets([]net.PacketConn{nil}, []Address{a}, 1, quiet); err == nil {
		t.Error("a descriptor that is no UDP socket is taken")
	}
}

// Sockets that share an address divide the exporters among them, each of which
// keeps its order.
func TestSharedAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("on Linux only")
	}
	const sockets, exporters, each = 4, 64, 20
	s, err := OpenSockets(nil, []Address{loopback(t, "0.0.0.0")}, sockets, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.list) != sockets {
		t.Fatalf("%d sockets", len(s.list))
	}
	for i := range exporters {
		c := dial(t, fmt.Sprintf("127.0.1.%d", i), "127.0.0.1", s.Addr().Port())
		for n := range each {
			if _, err := c.Write([]byte{byte(n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	bursts, end := s.Start()
	defer end()
	s.Stop()
	next := map[netip.Addr]int{}
	busy := map[int]bool{}
	for b := range bursts {
		for _, d := range b.Datagrams {
			if int(d.Data[0]) != next[d.Src] {
				t.Errorf("datagram %d of %v, want %d", d.Data[0], d.Src, next[d.Src])
			}
			next[d.Src]++
			busy[b.Socket] = true
		}
		b.Release()
	}
	for src, n := range next {
		if n != each {
			t.Errorf("%d datagrams of %v", n, src)
		}
	}
	if len(next) != exporters || len(busy) < 2 {
		t.Errorf("%d exporters came to %d sockets", len(next), len(busy))
	}
}
