package capture

import (
	"net"
	"net/netip"
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
			return OpenSockets(nil, []Address{loopback(t, "127.0.0.1"), loopback(t, "0.0.0.0")}, quiet)
		},
		"inherited": func() (*Sockets, error) {
			return OpenSockets([]net.PacketConn{inherited}, []Address{loopback(t, "127.0.0.1")}, quiet)
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
	s, err := OpenSockets(nil, []Address{a}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	taken := a
	taken.Port = s.Addr().Port()
	free := a
	if _, err := OpenSockets(nil, []Address{free, taken}, quiet); err == nil {
		t.Error("a port is opened twice")
	}
	if _, err := OpenSockets([]net.PacketConn{nil}, []Address{a}, quiet); err == nil {
		t.Error("a descriptor that is no UDP socket is taken")
	}
}
