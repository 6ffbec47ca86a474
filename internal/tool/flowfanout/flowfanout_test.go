package flowfanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/net/ipv4"

	"flowtools/internal/capture"
	"flowtools/internal/capture/capturetest"
	"flowtools/internal/cli"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// collector is a socket that PDUs are sent to.
type collector struct {
	t    testing.TB
	conn *net.UDPConn
	port int
}

func collect(t testing.TB) *collector {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &collector{t, c, c.LocalAddr().(*net.UDPAddr).Port}
}

// next waits for a datagram.
func (c *collector) next() ([]byte, netip.AddrPort) {
	c.t.Helper()
	buf := make([]byte, 4096)
	if err := c.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	n, from, err := c.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		c.t.Fatal(err)
	}
	return buf[:n], from
}

// none checks that nothing more has come. On the loopback interface what was
// sent is there.
func (c *collector) none() {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		c.t.Fatal(err)
	}
	if n, err := c.conn.Read(make([]byte, 4096)); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("another datagram of %d octets, %v", n, err)
	}
}

// log is a writer that can be read while it is written to.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a flow-fanout in this process.
type running struct {
	t      *testing.T
	port   int
	stderr log
	cancel context.CancelFunc
	status chan int
	sender *net.UDPConn
}

// start runs flow-fanout -D with options and destinations, on a free port, and
// returns when it listens.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, port: capturetest.FreePort(t), status: make(chan int, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	t.Cleanup(cancel)
	argv := append([]string{"flow-fanout", "-D", fmt.Sprintf("127.0.0.1/0/%d", r.port)}, args...)
	go func() { r.status <- cli.Exec(ctx, Spec(), &cli.Env{Stderr: &r.stderr}, argv) }()
	capturetest.AwaitUDP(t, r.port)
	r.sender = capturetest.Dial(t, r.port)
	return r
}

func (r *running) send(pdu []byte) {
	r.t.Helper()
	if _, err := r.sender.Write(pdu); err != nil {
		r.t.Fatal(err)
	}
}

// stop ends it; what was sent before has been passed on by then.
func (r *running) stop() int {
	r.t.Helper()
	r.cancel()
	select {
	case code := <-r.status:
		return code
	case <-time.After(10 * time.Second):
		r.t.Fatal("does not end")
		return -1
	}
}

var v5 = flow.Version{Export: 5}

// TestFanout sends through real sockets: two destinations, one of them from an
// address of its own, and one where nobody listens.
func TestFanout(t *testing.T) {
	a, b := collect(t), collect(t)
	r := start(t, fmt.Sprintf("0/127.0.0.1/%d", a.port), fmt.Sprintf("0/127.0.0.1/%d", capturetest.FreePort(t)), fmt.Sprintf("127.0.0.8/127.0.0.1/%d/7", b.port))
	want := uint32(0)
	for i := range 5 {
		n := []int{3, 30, 1}[i%3]
		r.send(capturetest.PDU(v5, n, 1000*uint32(i)))
		pa, from := a.next()
		pb, other := b.next()
		if !bytes.Equal(pa, pb) {
			t.Error("the destinations get different PDUs")
		}
		if from.Addr() != netip.MustParseAddr("127.0.0.1") || other.Addr() != netip.MustParseAddr("127.0.0.8") {
			t.Errorf("from %v and %v", from, other)
		}
		if h := parse(t, pa); h.Sequence != want || h.Count != n {
			t.Errorf("sequence %d, %d flows, want %d, %d", h.Sequence, h.Count, want, n)
		}
		want += uint32(n)
	}
	if code := r.stop(); code != 0 || strings.Contains(r.stderr.String(), "send(") {
		t.Errorf("status %d: %s", code, &r.stderr)
	}
	a.none()
	b.none()
}

// TestSpoof: the datagrams say that they come from the exporter, or from the
// address of the destination, and the kernel finds their checksums right.
func TestSpoof(t *testing.T) {
	a, b := collect(t), collect(t)
	probe, err := capture.Spoof(capture.Address{Local: receiver, Remote: receiver, Port: 9}, 9)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("raw sockets need privilege")
	}
	if err != nil {
		t.Fatal(err)
	}
	probe.Close()
	r := start(t, "-s", fmt.Sprintf("0/127.0.0.1/%d", a.port), fmt.Sprintf("127.0.0.8/127.0.0.1/%d", b.port))
	for i := range 3 {
		local := net.UDPAddr{IP: net.IPv4(127, 0, 0, byte(20+i))}
		c, err := net.DialUDP("udp4", &local, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: r.port})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Write(capturetest.PDU(v5, 1+i, 0))
		c.Close()
		if err != nil {
			t.Fatal(err)
		}
		p, from := a.next()
		if want := netip.AddrPortFrom(netip.AddrFrom4([4]byte(local.IP.To4())), 7999); from != want || parse(t, p).Count != 1+i {
			t.Errorf("from %v, want %v", from, want)
		}
		if _, from := b.next(); from.String() != "127.0.0.8:8000" {
			t.Errorf("from %v", from)
		}
	}
	if code := r.stop(); code != 0 {
		t.Errorf("status %d: %s", code, &r.stderr)
	}
}

// TestMulticast sends to a group, as the first destination, and counts the TTL.
func TestMulticast(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	group := net.UDPAddr{IP: net.IPv4(239, 255, 77, 78), Port: capturetest.FreePort(t)}
	conn, err := net.ListenMulticastUDP("udp4", lo, &group)
	if err != nil {
		t.Skipf("no multicast: %v", err)
	}
	defer conn.Close()
	p := ipv4.NewPacketConn(conn)
	if err := p.SetControlMessage(ipv4.FlagTTL|ipv4.FlagDst, true); err != nil {
		t.Fatal(err)
	}
	ordinary := collect(t)
	for _, tc := range []struct {
		args, ttl string
		want      int
	}{{"", "", 0}, {"", "/3", 3}, {"-s", "/5", 5}} {
		r := start(t, append(strings.Fields(tc.args), fmt.Sprintf("127.0.0.1/%v/%d%s", group.IP, group.Port, tc.ttl), fmt.Sprintf("0/127.0.0.1/%d", ordinary.port))...)
		r.send(capturetest.PDU(v5, 3, 0))
		ordinary.next()
		buf := make([]byte, 2048)
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, cm, from, err := p.ReadFrom(buf)
		if err != nil {
			t.Fatalf("%s%s: %v: %s", tc.args, tc.ttl, err, &r.stderr)
		}
		if h := parse(t, buf[:n]); h.Count != 3 || cm.TTL != tc.want || !cm.Dst.Equal(group.IP) || !strings.HasPrefix(from.String(), "127.0.0.1:") {
			t.Errorf("%s%s: %d flows to %v from %v, TTL %d", tc.args, tc.ttl, h.Count, cm.Dst, from, cm.TTL)
		}
		if code := r.stop(); code != 0 {
			t.Errorf("status %d: %s", code, &r.stderr)
		}
	}
}

// TestSignals are real signals, to this process.
func TestSignals(t *testing.T) {
	path := filterAt(t, filterFile)
	a := collect(t)
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT} {
		r := start(t, "-f", path, "-F", "var", "-v", "proto=6", fmt.Sprintf("0/127.0.0.1/%d", a.port))
		pdu := capturetest.PDU(v5, 2, 0)
		pdu[24+38], pdu[24+48+38] = 6, 17
		for _, s := range []syscall.Signal{0, syscall.SIGHUP} {
			if s != 0 {
				if err := syscall.Kill(os.Getpid(), s); err != nil {
					t.Fatal(err)
				}
				for !strings.Contains(r.stderr.String(), "SIGHUP") {
					time.Sleep(time.Millisecond)
				}
			}
			r.send(pdu)
			if p, _ := a.next(); parse(t, p).Count != 1 {
				t.Error("not filtered")
			}
		}
		if err := syscall.Kill(os.Getpid(), end); err != nil {
			t.Fatal(err)
		}
		select {
		case code := <-r.status:
			want := map[syscall.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGQUIT: "SIGQUIT"}[end]
			if text := r.stderr.String(); code != 0 || !strings.HasSuffix(text, "flow-fanout: "+want+"\n") || !strings.Contains(text, "flow-fanout: Loading filters.\n") {
				t.Errorf("%v: status %d: %s", end, code, text)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%v does not end it", end)
		}
	}
}

func TestErrors(t *testing.T) {
	taken := collect(t)
	free := capturetest.FreePort(t)
	path := filterAt(t, filterFile)
	listen := fmt.Sprintf(" 127.0.0.1/0/%d ", free)
	for _, tc := range []struct {
		args string
		want string
	}{
		{"", "Must define at least source and one destination."},
		{listen, "Must define at least source and one destination."},
		{fmt.Sprintf("127.0.0.1/0/%d 0/127.0.0.1/9", taken.port), "bind(127.0.0.1): address already in use"},
		{"192.0.2.1/0/0 0/127.0.0.1/9", "bind(192.0.2.1): cannot assign requested address"},
		{listen + "192.0.2.1/127.0.0.1/9", "bind(): cannot assign requested address"},
		{"no..host/0 0/127.0.0.1/9", "no..host: unknown host"},
		{listen + "0/no..host", "no..host: unknown host"},
		{listen + "127.0.0.1/::1", "127.0.0.1/::1: one address is IPv4, the other IPv6"},
		{"-s" + listen + "0/::1", "::1: only IPv4 source addresses can be chosen"},
		{"-S61", "Stat interval must be between 0 and 60."},
		{"-S-1", "Stat interval must be between 0 and 60."},
		{"-Vfive", "Version scan failed"},
		{"-vx", "ftvar_pset(x): failed"},
		{"-v=x", "ftvar_pset(=x): failed"},
		{"-V9" + listen + "0/127.0.0.1/9", "Unsupported d_version 9\nflow-fanout: Unsupported record type\nflow-fanout: ftio_set_ver(): failed"},
		{"-V0" + listen + "0/127.0.0.1/9", "Unsupported d_version 0"},
		{"-V8" + listen + "0/127.0.0.1/9", "Unsupported agg_"},
		{"-V8.15" + listen + "0/127.0.0.1/9", "Unsupported agg_method 15"},
		{"-V1005" + listen + "0/127.0.0.1/9", "version 1005 has no PDU form"},
	} {
		var stderr bytes.Buffer
		code := cli.Exec(context.Background(), Spec(), &cli.Env{Stderr: &stderr}, append([]string{"flow-fanout", "-D"}, strings.Fields(tc.args)...))
		if code != 1 || !strings.Contains(stderr.String(), "flow-fanout: "+tc.want) {
			t.Errorf("%s: status %d: %s", tc.args, code, &stderr)
		}
	}
	// Those of the filter show with the first PDU.
	for args, want := range map[string]string{
		"-f /no/such/file -F tcp":   "ftfil_load(/no/such/file): failed",
		"-f " + path + " -F none":   "ftfil_def_find(none): failed",
		"-V1 -f " + path + " -F as": "Filter references a field not in flow.",
	} {
		r := start(t, append(strings.Fields(args), fmt.Sprintf("0/127.0.0.1/%d", taken.port))...)
		r.send([]byte("junk"))
		r.send(capturetest.PDU(v5, 1, 0))
		select {
		case code := <-r.status:
			if code != 1 || !strings.Contains(r.stderr.String(), want) {
				t.Errorf("%s: status %d: %s", args, code, &r.stderr)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: goes on", args)
		}
	}
	taken.none()
}

// TestTshark has what is sent read by a program that is not ours.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("FT_E2E") == "1" {
			t.Fatal(err)
		}
		t.Skip("tshark is not installed: apt-get install tshark")
	}
	var sent [][]byte
	var want []string
	for _, v := range exportVersions() {
		if v.Export == 6 {
			continue // tshark does not know it
		}
		a := collect(t)
		r := start(t, fmt.Sprintf("0/127.0.0.1/%d", a.port))
		_, most, err := netflow.WireLayout(v)
		if err != nil {
			t.Fatal(err)
		}
		sequence := 0
		for i, n := range []int{1, most, 3} {
			pdu := capturetest.PDU(v, n, uint32(i))
			r.send(pdu)
			p, _ := a.next()
			sent = append(sent, p)
			want = append(want, expected(decode(t, v, netflow.Compat, pdu), sequence))
			sequence += n
		}
		if code := r.stop(); code != 0 {
			t.Errorf("status %d: %s", code, &r.stderr)
		}
	}
	got := strings.Split(strings.TrimSuffix(read(t, tshark, sent), "\n"), "\n")
	for i, line := range got {
		if strings.HasPrefix(line, ";8;") {
			got[i] = strings.Join(strings.Split(line, ";")[:cellsOf8], ";")
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// shown are the fields that tshark is asked for, and what it calls them. Of
// version 8 it has some under other names and, in the methods with ToS, at other
// places: there those up to the octets count.
var shown = []struct {
	name  string
	field flow.Field
}{
	{"packets", flow.DPkts},
	{"octets", flow.DOctets},
	{"srcaddr", flow.SrcAddr},
	{"dstaddr", flow.DstAddr},
	{"nexthop", flow.NextHop},
	{"inputint", flow.Input},
	{"outputint", flow.Output},
	{"srcport", flow.SrcPort},
	{"dstport", flow.DstPort},
	{"protocol", flow.Prot},
	{"tos", flow.ToS},
	{"tcpflags", flow.TCPFlags},
	{"srcas", flow.SrcAS},
	{"dstas", flow.DstAS},
	{"srcmask", flow.SrcMask},
	{"dstmask", flow.DstMask},
	{"routersc", flow.RouterSC},
}

// cellsOf8 is the number of cells of a line that count in version 8.
const cellsOf8 = 12

// read writes PDUs into a capture file and returns what tshark makes of them: a
// line each.
func read(t *testing.T, tshark string, pdus [][]byte) string {
	t.Helper()
	var file bytes.Buffer
	w := pcapgo.NewWriter(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, p := range pdus {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(192, 0, 2, 1), DstIP: net.IPv4(192, 0, 2, 2)}
		udp := &layers.UDP{SrcPort: 7999, DstPort: 2055}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		packet := gopacket.NewSerializeBuffer()
		err := gopacket.SerializeLayers(packet, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(p))
		if err != nil {
			t.Fatal(err)
		}
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1_700_000_000, 0), CaptureLength: len(packet.Bytes()), Length: len(packet.Bytes())}
		if err := w.WritePacket(ci, packet.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "sent.pcap")
	if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", name, "-d", "udp.port==2055,cflow", "-T", "fields", "-E", "separator=;", "-e", "_ws.malformed"}
	for _, f := range []string{"version", "count", "sysuptime", "unix_secs", "unix_nsecs", "sequence", "engine_type", "engine_id", "aggmethod"} {
		args = append(args, "-e", "cflow."+f)
	}
	for _, f := range shown {
		args = append(args, "-e", "cflow."+f.name)
	}
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// expected is the line for a PDU of the records of b.
func expected(b *flow.Batch, sequence int) string {
	l := b.Layout
	number := func(f flow.Field) string { return fmt.Sprint(l.Uint(b.At(0), f)) }
	uptime := l.Uint(b.At(0), flow.SysUptime)
	cells := []string{
		"", fmt.Sprint(l.Version.Export), fmt.Sprint(b.Len()), fmt.Sprintf("%d.%03d000000", uptime/1000, uptime%1000),
		number(flow.UnixSecs), number(flow.UnixNsecs), fmt.Sprint(sequence), number(flow.EngineType), number(flow.EngineID), "",
	}
	switch l.Version.Export {
	case 1:
		copy(cells[6:], []string{"", "", ""})
	case 7:
		copy(cells[7:], []string{"", ""}) // tshark says that they are reserved
	case 8:
		cells[9] = fmt.Sprint(l.Version.Agg)
	}
	for _, f := range shown {
		var values []string
		for r := range b.All() {
			v := l.Uint(r, f.field)
			switch f.field {
			case flow.SrcAddr, flow.DstAddr, flow.NextHop, flow.RouterSC:
				values = append(values, capture.AddrFrom(uint32(v)).String())
			case flow.TCPFlags, flow.ToS:
				values = append(values, fmt.Sprintf("0x%02x", v))
			default:
				values = append(values, fmt.Sprint(v))
			}
		}
		if !l.Fields.Has(f.field) {
			values = nil
		}
		cells = append(cells, strings.Join(values, ","))
	}
	if l.Version.Export == 8 {
		cells = cells[:cellsOf8]
	}
	return strings.Join(cells, ";")
}

// TestMetrics: PDUs of two ports go to two destinations, one of which is there
// twice, and a scrape tells how many.
func TestMetrics(t *testing.T) {
	a := collect(t)
	more, port := capturetest.FreePort(t), capturetest.FreePort(t)
	to := fmt.Sprintf("0/127.0.0.1/%d", a.port)
	r := start(t, "--listen", fmt.Sprintf("127.0.0.1/0/%d", more), "--metrics", fmt.Sprintf("127.0.0.1:%d", port), to, to)
	capturetest.AwaitUDP(t, more)
	r.send(capturetest.PDU(v5, 3, 0))
	if _, err := capturetest.Dial(t, more).Write(capturetest.PDU(v5, 4, 10)); err != nil {
		t.Fatal(err)
	}
	flows := 0
	for range 4 {
		pdu, _ := a.next()
		flows += parse(t, pdu).Count
	}
	if flows != 2*(3+4) {
		t.Errorf("%d flows", flows)
	}
	want := []string{
		"flow_fanout_datagrams_total 2", "flow_fanout_flows_total 7", "flow_fanout_lost_flows_total 0",
		fmt.Sprintf(`flow_fanout_sent_datagrams_total{destination=%q,j="0"} 2`, to),
		fmt.Sprintf(`flow_fanout_sent_datagrams_total{destination=%q,j="1"} 2`, to),
		fmt.Sprintf(`flow_fanout_waiting_datagrams{destination=%q,j="1"} 0`, to),
	}
	var text []byte
	deadline := time.Now().Add(20 * time.Second)
	for missing := true; missing; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
		if err != nil {
			t.Fatal(err)
		}
		text, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		missing = slices.ContainsFunc(want, func(line string) bool { return !strings.Contains(string(text), line+"\n") })
		if missing && time.Now().After(deadline) {
			t.Fatalf("not all of %q in\n%s", want, text)
		}
	}
	if code := r.stop(); code != 0 {
		t.Errorf("status %d: %s", code, &r.stderr)
	}
}
