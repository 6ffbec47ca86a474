package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"flowtools/pkg/netflow"
)

func quiet(string, ...any) {}

// listen opens a listener on a free port.
func listen(t testing.TB, address string) *Listener {
	t.Helper()
	a, err := ParseAddress(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Port = 0
	l, err := Listen(a, false, quiet)
	if err != nil {
		if a.Local.Is6() {
			t.Skipf("no IPv6: %v", err)
		}
		t.Fatal(err)
	}
	return l
}

// dial opens a socket that sends to a listener from an address.
func dial(t testing.TB, from, to string, port uint16) *net.UDPConn {
	t.Helper()
	local := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0))
	remote := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), port))
	c, err := net.DialUDP("udp", local, remote)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestListener(t *testing.T) {
	l := listen(t, "0/0")
	port := l.Addr().Port()
	long := bytes.Repeat([]byte("0123456789abcdef"), 200) // 3200 octets
	for _, m := range []struct {
		from, to string
		data     []byte
	}{
		{"127.0.0.1", "127.0.0.1", []byte("one")},
		{"127.0.0.2", "127.0.0.1", []byte("two")},
		{"127.0.0.1", "127.0.0.3", nil},
		{"127.0.0.1", "127.0.0.1", long},
	} {
		if _, err := dial(t, m.from, m.to, port).Write(m.data); err != nil {
			t.Fatal(err)
		}
	}
	bursts, end := l.Start()
	defer end()
	l.Stop() // what has arrived is delivered
	var got []string
	for b := range bursts {
		if b.Port != port {
			t.Errorf("port %d, want %d", b.Port, port)
		}
		for _, d := range b.Datagrams {
			got = append(got, fmt.Sprintf("%v %v %d %.3s", d.Src, d.Dst, len(d.Data), d.Data))
		}
		b.Release()
	}
	want := "127.0.0.1 127.0.0.1 3 one\n127.0.0.2 127.0.0.1 3 two\n127.0.0.1 127.0.0.3 0 \n127.0.0.1 127.0.0.1 2048 012"
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

func TestListenerIPv6(t *testing.T) {
	l := listen(t, "::/0")
	port := l.Addr().Port()
	for _, m := range [][2]string{{"::1", "::1"}, {"127.0.0.2", "127.0.0.1"}} {
		if _, err := dial(t, m[0], m[1], port).Write([]byte("x")); err != nil {
			t.Skipf("no IPv6: %v", err)
		}
	}
	bursts, end := l.Start()
	defer end()
	l.Stop()
	var got []string
	for b := range bursts {
		for _, d := range b.Datagrams {
			got = append(got, fmt.Sprint(d.Src, " ", d.Dst))
		}
		b.Release()
	}
	if s := strings.Join(got, "\n"); s != "::1 ::1\n127.0.0.2 127.0.0.1" {
		t.Errorf("got\n%s", s)
	}
}

// TestListenerInOrder sends more than fits the bursts in use while nobody takes
// them: nothing is lost or reordered as long as the kernel has room.
func TestListenerInOrder(t *testing.T) {
	l := listen(t, "127.0.0.1/0")
	bursts, end := l.Start()
	defer end()
	c := dial(t, "127.0.0.1", "127.0.0.1", l.Addr().Port())
	const total = 20_000
	go func() {
		var p [4]byte
		for i := range uint32(total) {
			binary.BigEndian.PutUint32(p[:], i)
			if _, err := c.Write(p[:]); err != nil {
				return
			}
			if i%50 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	var held []*Burst
	next, dropped := uint32(0), uint32(0)
	timeout := time.After(20 * time.Second)
	for next+dropped < total {
		select {
		case b := <-bursts:
			dropped = b.Dropped
			for _, d := range b.Datagrams {
				if n := binary.BigEndian.Uint32(d.Data); n < next || n > next+dropped {
					t.Fatalf("datagram %d after %d", n, next)
				}
				next++
			}
			if held = append(held, b); len(held) == burstLimit-2 {
				for _, b := range held {
					b.Release()
				}
				held = nil
			}
		case <-timeout:
			t.Fatalf("%d datagrams, %d dropped", next, dropped)
		}
	}
	for _, b := range held {
		b.Release()
	}
}

func TestListenErrors(t *testing.T) {
	var tr transcript
	a, err := ParseAddress("192.0.2.1/0/0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(a, false, tr.warn); !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.HasPrefix(err.Error(), "bind(192.0.2.1): ") {
		t.Errorf("%v", err)
	}
	if !strings.HasPrefix(tr.take(), "setsockopt(size=4194304)") {
		t.Error("no word of the buffer")
	}
	l := listen(t, "127.0.0.1/0")
	_, end := l.Start()
	defer end()
	a.Local, a.Port = l.Addr().Addr(), l.Addr().Port()
	if _, err := Listen(a, false, quiet); !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "bind(127.0.0.1): ") {
		t.Errorf("%v", err)
	}
}

func TestSender(t *testing.T) {
	l := listen(t, "127.0.0.1/0")
	bursts, end := l.Start()
	defer end()
	s, err := Dial(Address{Local: netip.MustParseAddr("127.0.0.5"), Remote: netip.MustParseAddr("127.0.0.1"), Port: l.Addr().Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Send([]byte("hello"), netip.Addr{}); err != nil {
		t.Fatal(err)
	}
	b := <-bursts
	if d := b.Datagrams[0]; string(d.Data) != "hello" || d.Src.String() != "127.0.0.5" {
		t.Errorf("%q from %v", d.Data, d.Src)
	}
	b.Release()
	if err := s.Send(make([]byte, 70_000), netip.Addr{}); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("too long: %v", err)
	}
	if _, err := Dial(Address{Local: netip.MustParseAddr("192.0.2.1"), Remote: netip.MustParseAddr("127.0.0.1"), Port: 9}); err == nil || !strings.HasPrefix(err.Error(), "bind(): ") {
		t.Errorf("%v", err)
	}
}

// TestSenderNobodyListens: that a port is closed is no error.
func TestSenderNobodyListens(t *testing.T) {
	l := listen(t, "127.0.0.1/0")
	port := l.Addr().Port()
	_, end := l.Start()
	end()
	s, err := Dial(Address{Local: netip.IPv4Unspecified(), Remote: netip.MustParseAddr("127.0.0.1"), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 5 {
		if err := s.Send([]byte("hello"), netip.Addr{}); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestAppendUDP holds the header against a sum computed over the whole, which
// is all ones for a right checksum.
func TestAppendUDP(t *testing.T) {
	src, dst := netip.MustParseAddr("10.1.2.3"), netip.MustParseAddrPort("192.0.2.254:2055")
	for n := range 40 {
		payload := bytes.Repeat([]byte{0xA5, 0xFF, byte(n)}, n)[:n]
		b := appendUDP(nil, src, dst, 7999, payload)
		be := binary.BigEndian
		if be.Uint16(b) != 7999 || be.Uint16(b[2:]) != 2055 || int(be.Uint16(b[4:])) != len(b) || !bytes.Equal(b[8:], payload) {
			t.Fatalf("% x", b)
		}
		whole := append([]byte{10, 1, 2, 3, 192, 0, 2, 254, 0, 17, byte(len(b) >> 8), byte(len(b))}, b...)
		if len(whole)%2 == 1 {
			whole = append(whole, 0)
		}
		sum := uint32(0)
		for i := 0; i < len(whole); i += 2 {
			sum += uint32(be.Uint16(whole[i:]))
		}
		for sum>>16 != 0 {
			sum = sum&0xFFFF + sum>>16
		}
		if sum != 0xFFFF || be.Uint16(b[6:]) == 0 {
			t.Errorf("%d octets: sum %#x, checksum %#x", n, sum, be.Uint16(b[6:]))
		}
	}
}

func TestSpoof(t *testing.T) {
	l := listen(t, "127.0.0.1/0")
	bursts, end := l.Start()
	defer end()
	a := Address{Local: netip.MustParseAddr("127.0.0.77"), Remote: netip.MustParseAddr("127.0.0.1"), Port: l.Addr().Port()}
	s, err := Spoof(a, SpoofPort)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("raw sockets need privilege")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a.Local = netip.IPv4Unspecified()
	free, err := Spoof(a, SpoofPort+1)
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	for _, tc := range []struct {
		s    *Sender
		src  netip.Addr
		want string
	}{
		{s, netip.Addr{}, "127.0.0.77"},
		{free, netip.MustParseAddr("127.0.0.99"), "127.0.0.99"},
		{free, netip.Addr{}, "127.0.0.1"},
	} {
		if err := tc.s.Send([]byte("hello"), tc.src); err != nil {
			t.Fatal(err)
		}
		select {
		case b := <-bursts:
			if d := b.Datagrams[0]; d.Src.String() != tc.want || string(d.Data) != "hello" {
				t.Errorf("%q from %v, want %s", d.Data, d.Src, tc.want)
			}
			b.Release()
		case <-time.After(5 * time.Second):
			t.Fatalf("nothing from %s", tc.want)
		}
	}
	if _, err := Spoof(Address{Remote: netip.MustParseAddr("::1")}, 1); err == nil {
		t.Error("IPv6 source addresses")
	}
}

// TestMulticast: receivers of a group share the port, and senders set the TTL
// they are given, 0 included.
func TestMulticast(t *testing.T) {
	a, err := ParseAddress("0/239.255.77.77/0", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l, err := Listen(a, false, quiet)
		if errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Skipf("no multicast: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, end := l.Start()
		defer end()
		a.Port = l.Addr().Port() // the second takes the same
	}
	for _, ttl := range []uint8{0, 3} {
		a.TTL = ttl
		s, err := Dial(a)
		if errors.Is(err, syscall.ENETUNREACH) {
			t.Skipf("no multicast: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if got, err := ipv4.NewPacketConn(s.conn).MulticastTTL(); err != nil || got != int(ttl) {
			t.Errorf("TTL %d, want %d: %v", got, ttl, err)
		}
	}
}

func BenchmarkListener(b *testing.B) {
	l := listen(b, "127.0.0.1/0")
	bursts, end := l.Start()
	defer end()
	c := dial(b, "127.0.0.1", "127.0.0.1", l.Addr().Port())
	data := make([]byte, netflow.MaxPDU)
	b.ReportAllocs()
	for b.Loop() {
		for range 30 {
			if _, err := c.Write(data); err != nil {
				b.Fatal(err)
			}
		}
		for n := 0; n < 30; {
			burst := <-bursts
			n += len(burst.Datagrams)
			burst.Release()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*30), "ns/datagram")
}
