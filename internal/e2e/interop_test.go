package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

const demo = "../../testdata/demo.pcap"

// peer finds a program of somebody else's, or skips the test; where FT_E2E=1 it
// has to be there.
func peer(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/usr/bin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	if os.Getenv("FT_E2E") == "1" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// daemon starts a program and returns what ends it and waits for it.
func daemon(t *testing.T, port int, argv ...string) (end func() string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	waitBound(t, port, ended, &log)
	return func() string {
		time.Sleep(500 * time.Millisecond) // datagrams sent are in the socket; let them be read
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s does not end", argv[0])
		}
		return log.String()
	}
}

// flows counts the records that a command prints in nfdump's or our CSV.
func flows(t *testing.T, command string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(run(t, command)))
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return n
}

// What fprobe and flow-send emit, nfcapd keeps; what nfcapd has kept comes back
// through nfreplay.
func TestNfdump(t *testing.T) {
	built(t)
	nfcapd, nfdump, nfreplay := peer(t, "nfcapd"), peer(t, "nfdump"), peer(t, "nfreplay")
	dir := t.TempDir()
	stream := filepath.Join(dir, "stream")
	run(t, "fprobe -fip -r "+demo+" -w "+stream)
	want := flows(t, "flow-export -f2 < "+stream+" | grep -vc '^#'")
	if want < 100 {
		t.Fatalf("only %d flows in %s", want, demo)
	}
	count := func(dir string) int {
		return flows(t, nfdump+" -q -R "+dir+" -o 'fmt:%sa' | grep -c .")
	}
	for name, send := range map[string]string{
		"fprobe -n 5":  "fprobe -l2 -fip -t 65536:5000000 -r " + demo + " 127.0.0.1:%d",
		"fprobe -n 9":  "fprobe -l2 -fip -n 9 -t 65536:5000000 -r " + demo + " 127.0.0.1:%d",
		"fprobe -n 10": "fprobe -l2 -fip -n 10 -t 65536:5000000 -r " + demo + " 127.0.0.1:%d",
		"flow-send":    "flow-send -x 200 127.0.0.1/127.0.0.1/%d < " + stream + " || true",
	} {
		t.Run(name, func(t *testing.T) {
			kept := filepath.Join(t.TempDir(), "nf")
			if err := os.Mkdir(kept, 0o755); err != nil {
				t.Fatal(err)
			}
			port := freeUDPPort(t)
			end := daemon(t, port, nfcapd, "-p", strconv.Itoa(port), "-b", "127.0.0.1", "-w", kept, "-t", "3600")
			run(t, fmt.Sprintf(send, port))
			log := end()
			if got := count(kept); got != want {
				t.Errorf("nfcapd kept %d flows of %d\n%s", got, want, log)
			}
			if name != "fprobe -n 5" {
				return
			}
			back := filepath.Join(t.TempDir(), "back")
			port = freeUDPPort(t)
			end = daemon(t, port, "flow-receive", "-o", back, fmt.Sprintf("127.0.0.1/127.0.0.1/%d", port))
			run(t, fmt.Sprintf("%s -H 127.0.0.1 -p %d -v 5 -d 200 -r $(ls %s/nfcapd.* | head -1)", nfreplay, port, kept))
			end()
			if got := flows(t, "flow-export -f2 < "+back+" | grep -vc '^#'"); got != want {
				t.Errorf("%d of %d flows came back through nfreplay", got, want)
			}
		})
	}
}

// What softflowd sends, flow-receive keeps, without a gap.
func TestSoftflowd(t *testing.T) {
	built(t)
	softflowd := peer(t, "softflowd")
	kept := filepath.Join(t.TempDir(), "kept")
	port := freeUDPPort(t)
	end := daemon(t, port, "flow-receive", "-o", kept, fmt.Sprintf("127.0.0.1/0/%d", port))
	report := run(t, fmt.Sprintf("timeout 20 %s -d -r %s -v 5 -n 127.0.0.1:%d -c none 2>&1", softflowd, demo, port))
	log := end()
	sent := number(t, report, `Flows exported: \d+ \((\d+) records\)`)
	header := run(t, "flow-header < "+kept)
	if got := number(t, header, `capture flows: +(\d+)`); got != sent || number(t, header, `lost flows: +(\d+)`) != 0 || number(t, header, `corrupt packets: +(\d+)`) != 0 {
		t.Errorf("softflowd sent %d flows, %d were kept\n%s\n%s\n%s", sent, got, header, log, report)
	}
}

// tshark's dissector finds nothing malformed in what is emitted, and as many
// flows as there are.
func TestTshark(t *testing.T) {
	built(t)
	tshark := peer(t, "tshark")
	stream := filepath.Join(t.TempDir(), "stream")
	for name, tc := range map[string]struct {
		send  string
		flows int // 0: those of the demo capture
	}{
		"fprobe -n 1": {send: "fprobe -l2 -fip -n 1 -r " + demo + " 127.0.0.1:%d"},
		"fprobe -n 5": {send: "fprobe -l2 -fip -r " + demo + " 127.0.0.1:%d"},
		"fprobe -n 7": {send: "fprobe -l2 -fip -n 7 -r " + demo + " 127.0.0.1:%d"},
		"fprobe -n 9": {send: "fprobe -l2 -fip -n 9 -r " + demo + " 127.0.0.1:%d"},
		"flow-send 1": {"flow-gen -V1 -n 500 | flow-send -x 100 127.0.0.1/127.0.0.1/%d || true", 500},
		"flow-send 5": {"flow-gen -V5 -n 500 | flow-send -x 100 127.0.0.1/127.0.0.1/%d || true", 500},
		"flow-send 7": {"flow-gen -V7 -n 500 | flow-send -x 100 127.0.0.1/127.0.0.1/%d || true", 500},
		"flow-send 8": {"flow-gen -V8.1 -n 500 | flow-send -x 100 127.0.0.1/127.0.0.1/%d || true", 500},
	} {
		t.Run(name, func(t *testing.T) {
			want := tc.flows
			if want == 0 {
				run(t, "fprobe -fip -r "+demo+" -w "+stream)
				want = flows(t, "flow-export -f2 < "+stream+" | grep -vc '^#'")
			}
			file, port := record(t, tc.send)
			decode := fmt.Sprintf("%s -n -r %s -d udp.port==%d,cflow", tshark, file, port)
			if bad := run(t, decode+" -Y '_ws.malformed || _ws.expert.severity == error' 2>/dev/null"); bad != "" {
				t.Errorf("malformed:\n%.2000s", bad)
			}
			seen := 0
			for line := range strings.Lines(run(t, decode+" -T fields -e cflow.count 2>/dev/null")) {
				n, err := strconv.Atoi(strings.TrimSpace(line))
				if err != nil {
					t.Fatalf("count %q", line)
				}
				seen += n
			}
			// Version 9 counts its templates too.
			if seen != want && !(name == "fprobe -n 9" && seen >= want) {
				t.Errorf("tshark sees %d flows, want %d", seen, want)
			}
		})
	}
}

// record runs a command that sends to a port and keeps the datagrams in a
// capture file.
func record(t *testing.T, send string) (file string, port int) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadBuffer(4 << 20)
	port = conn.LocalAddr().(*net.UDPAddr).Port
	file = filepath.Join(t.TempDir(), "pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run(t, fmt.Sprintf(send, port))
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 65536)
	for {
		conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		n, from, err := conn.ReadFromUDP(p)
		if err != nil {
			return file, port
		}
		if err := writePacket(w, p[:n], uint16(from.Port), uint16(port)); err != nil {
			t.Fatal(err)
		}
	}
}

func writePacket(w *pcapgo.Writer, payload []byte, from, to uint16) error {
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: net.IPv4(127, 0, 0, 1), DstIP: net.IPv4(127, 0, 0, 1)}
	udp := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(to)}
	udp.SetNetworkLayerForChecksum(ip)
	b := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, opt, ip, udp, gopacket.Payload(payload)); err != nil {
		return err
	}
	return w.WritePacket(gopacket.CaptureInfo{Timestamp: time.Now(), CaptureLength: len(b.Bytes()), Length: len(b.Bytes())}, b.Bytes())
}
