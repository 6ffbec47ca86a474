package flowsend

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

// collector listens on a loopback port.
func collector(t *testing.T) (*net.UDPConn, int) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).Port
}

// drain reads the PDUs that have arrived.
func drain(t *testing.T, c *net.UDPConn) [][]byte {
	t.Helper()
	var list [][]byte
	buf := make([]byte, 4096)
	for {
		if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil {
			return list
		}
		list = append(list, bytes.Clone(buf[:n]))
	}
}

func send(stream []byte, args ...string) (int, string) {
	var stderr bytes.Buffer
	env := &cli.Env{Stdin: bytes.NewReader(stream), Stderr: &stderr}
	code := cli.Exec(context.Background(), Spec(), env, append([]string{"flow-send"}, args...))
	return code, stderr.String()
}

// sameHead makes all records of a batch come from one PDU of one exporter.
func sameHead(b *flow.Batch) *flow.Batch {
	for i := 1; i < b.Len(); i++ {
		for f := range (flow.TimeFields | flow.Fields(flow.ExAddr, flow.EngineType, flow.EngineID)).All() {
			b.Layout.PutUint(b.At(i), f, b.Layout.Uint(b.At(0), f))
		}
	}
	return b
}

// TestSend sends streams of every version, in both byte orders, compressed and
// not, and decodes what arrives.
func TestSend(t *testing.T) {
	for _, v := range flow.Versions() {
		if v.Export == 1005 {
			continue
		}
		t.Run(v.String(), func(t *testing.T) {
			c, port := collector(t)
			b := sameHead(flowtest.Random(flowtest.Layout(v.Export, v.Agg), 100, 7))
			if code, stderr := send(flowtest.Stream(b, ftfile.Level(3)), fmt.Sprintf("0/127.0.0.1/%d", port)); code > 1 || stderr != "" {
				t.Fatalf("status %d, %s", code, stderr)
			}
			d, err := netflow.NewDecoder(v, netflow.Exact)
			if err != nil {
				t.Fatal(err)
			}
			got := flow.NewBatch(d.Layout())
			for _, pdu := range drain(t, c) {
				h, err := netflow.Parse(pdu)
				if err != nil {
					t.Fatal(err)
				}
				if v.Export != 1 && int(h.Sequence) != got.Len() {
					t.Errorf("sequence %d after %d records", h.Sequence, got.Len())
				}
				if err := d.Decode(got, &h, pdu, uint32(b.Layout.Uint(b.At(0), flow.ExAddr))); err != nil {
					t.Fatal(err)
				}
			}
			if got.Len() != 100 {
				t.Fatalf("%d records", got.Len())
			}
			lost := flow.Fields(flow.InEncaps, flow.OutEncaps, flow.PeerNextHop)
			if v == (flow.Version{Export: 8, Agg: 8}) {
				lost |= flow.Prot.Set()
			}
			for i := range 100 {
				for f := range (b.Layout.Fields &^ lost).All() {
					if g, w := got.Layout.Uint(got.At(i), f), b.Layout.Uint(b.At(i), f); g != w {
						t.Fatalf("record %d: %v = %d, want %d", i, f, g, w)
					}
				}
			}
		})
	}
}

func TestStatus(t *testing.T) {
	c, port := collector(t)
	to := fmt.Sprintf("0/127.0.0.1/%d", port)
	for _, tc := range []struct{ n, pdus, status int }{{0, 0, 0}, {1, 1, 1}, {30, 1, 0}, {31, 2, 1}, {60, 2, 0}} {
		stream := flowtest.Stream(sameHead(flowtest.Random(flowtest.Layout(5, 0), tc.n, 1)))
		code, stderr := send(stream, to)
		if n := len(drain(t, c)); code != tc.status || n != tc.pdus || stderr != "" {
			t.Errorf("%d flows: %d PDUs, status %d, %q; want %d, %d", tc.n, n, code, stderr, tc.pdus, tc.status)
		}
	}
}

func TestConvertAndMask(t *testing.T) {
	c, port := collector(t)
	b := sameHead(flowtest.Random(flowtest.Layout(5, 0), 10, 1))
	l := b.Layout
	l.PutUint(b.At(3), flow.DstAddr, 0xE1020304)
	code, stderr := send(flowtest.Stream(b), "-V7", "-m255.255.0.0", "-d1", fmt.Sprintf("127.0.0.1/127.0.0.1/%d", port))
	if code != 1 || !strings.HasPrefix(stderr, "flow-send: processed 10 flows\n") {
		t.Errorf("status %d, %s", code, stderr)
	}
	d, err := netflow.NewDecoder(flow.Version{Export: 7}, netflow.Exact)
	if err != nil {
		t.Fatal(err)
	}
	got := flow.NewBatch(d.Layout())
	for _, pdu := range drain(t, c) {
		h, err := netflow.Parse(pdu)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(got, &h, pdu, 0); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		mask := uint64(0xFFFF0000)
		if i == 3 {
			mask = 0xFFFFFFFF
		}
		for _, f := range []flow.Field{flow.SrcAddr, flow.DstAddr} {
			if g, w := got.Layout.Uint(got.At(i), f), l.Uint(b.At(i), f)&mask; g != w {
				t.Errorf("record %d: %v = %#x, want %#x", i, f, g, w)
			}
		}
		if g, w := got.Layout.Uint(got.At(i), flow.DOctets), l.Uint(b.At(i), flow.DOctets); g != w {
			t.Errorf("record %d: doctets %d, want %d", i, g, w)
		}
	}
}

func TestErrors(t *testing.T) {
	c, port := collector(t)
	to := fmt.Sprintf("0/127.0.0.1/%d", port)
	stream := func(export uint16, agg uint8) []byte {
		return flowtest.Stream(flowtest.Random(flowtest.Layout(export, agg), 3, 1))
	}
	for _, tc := range []struct {
		name   string
		stream []byte
		args   []string
		want   string
	}{
		{"bind before input", nil, []string{"192.0.2.1/127.0.0.1"}, "flow-send: bind(): cannot assign requested address\n"},
		{"unknown host", nil, []string{"no..host/0"}, "flow-send: no..host: unknown host\n"},
		{"no stream", nil, []string{to}, "ftio_init(): failed\n"},
		{"to version 8", stream(5, 0), []string{"-V8.1", to}, "ftrec_xlate_func(): failed\n"},
		{"from version 8", stream(8, 1), []string{"-V5", to}, "ftrec_xlate_func(): failed\n"},
		{"other method", stream(8, 1), []string{"-V8.2", to}, "ftrec_xlate_func(): failed\n"},
		{"1005 to 7", stream(1005, 0), []string{"-V7", to}, "ftrec_xlate_func(): failed\n"},
		{"no such version", stream(5, 0), []string{"-V9", to}, "ftrec_xlate_func(): failed\n"},
		{"no PDU form", stream(1005, 0), []string{to}, "flow-send: version 1005 has no PDU form\n"},
		{"into no PDU form", stream(5, 0), []string{"-V1005", to}, "flow-send: version 1005 has no PDU form\n"},
		{"no address", stream(5, 0), nil, "Usage: flow-send"},
		{"two addresses", stream(5, 0), []string{to, to}, "Usage: flow-send"},
	} {
		code, stderr := send(tc.stream, tc.args...)
		if code != 1 || !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: status %d, %q", tc.name, code, stderr)
		}
	}
	if got := drain(t, c); len(got) != 0 {
		t.Errorf("%d datagrams were sent", len(got))
	}
	// Damage behind the header: what could be read is sent.
	cut := stream(5, 0)
	if code, _ := send(cut[:len(cut)-1], to); code != 1 || len(drain(t, c)) == 0 {
		t.Errorf("cut stream: status %d", code)
	}
}
