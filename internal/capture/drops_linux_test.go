//go:build linux

package capture

import (
	"net"
	"testing"
	"time"
)

// Datagrams that were dropped behind the last one received are told at the end.
func TestDropsAtTheEnd(t *testing.T) {
	l := listen(t, "127.0.0.1/0")
	if err := l.conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const sent = 2000
	p := make([]byte, 1400)
	for range sent {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	if n, ok := dropCount(l.raw); !ok || n == 0 {
		t.Skipf("nothing was dropped (%d, %v)", n, ok)
	}
	bursts, end := l.Start()
	l.Stop()
	received, dropped := 0, uint32(0)
	for b := range bursts {
		received += len(b.Datagrams)
		dropped = b.Dropped
		b.Release()
	}
	end()
	if received+int(dropped) != sent {
		t.Errorf("%d received, %d dropped, of %d", received, dropped, sent)
	}
}
