// Package capturetest helps the tests of the network tools.
package capturetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// FreePort returns a port that is free for UDP and TCP on 127.0.0.1.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		port := c.LocalAddr().(*net.UDPAddr).Port
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		c.Close()
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// AwaitUDP waits until something is bound to a UDP port.
func AwaitUDP(t testing.TB, port int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		time.Sleep(500 * time.Millisecond)
		return
	}
	want := fmt.Sprintf(":%04X ", port)
	for range 1000 {
		for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
			text, err := os.ReadFile(table)
			if err == nil && strings.Contains(string(text), want) {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("nothing listens on UDP port %d", port)
}

// Dial returns a socket that sends to a port of 127.0.0.1 until the test ends.
func Dial(t testing.TB, port int) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// PDU makes a PDU of n random records, the same ones every time.
func PDU(v flow.Version, n int, seq uint32) []byte {
	rnd := rand.New(rand.NewPCG(uint64(n), uint64(seq)))
	h := netflow.Header{
		Version: v, Count: n, Sequence: seq, EngineType: 1, EngineID: 9,
		UnixSecs: 1_700_000_000 + rnd.Uint32()%1000, UnixNsecs: rnd.Uint32() % 1e9, SysUptime: rnd.Uint32(),
	}
	b := make([]byte, h.Length())
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	h.Put(b)
	return b
}
