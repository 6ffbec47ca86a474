package flowcapture

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"flowtools/internal/capture"
)

// The count of each socket is modulo 2^32 and its own.
func TestKernelDrops(t *testing.T) {
	var k kernelDrops
	var said []string
	tell := func() { k.tell(func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }) }
	burst := func(socket int, dropped uint32) {
		b := capture.NewBurst(2055)
		b.Socket = socket
		b.Dropped = dropped
		k.see(b)
	}
	burst(1, 0)
	tell()
	burst(1, 5)
	burst(1, 5)
	burst(2, 3)
	tell()
	burst(1, 1<<32-1)
	burst(1, 4)
	tell()
	if want := uint64(1<<32 + 4 + 3); k.total != want || len(said) != 2 || !strings.Contains(said[0], "dropped 8 datagrams (8 since") {
		t.Errorf("total %d, want %d; said %q", k.total, want, said)
	}
}

// A scrape shows what the collector counts.
func TestScrape(t *testing.T) {
	m, err := serve("127.0.0.1:0", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	c := &collector{intake: capture.NewIntake(time.Now, t.Logf), store: &capture.Store{}, completes: 3, clients: &capture.Clients{}, runner: &capture.Runner{}}
	c.kernel.total = 17
	datagram := capture.Datagram{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Data: []byte{0, 9, 0, 0}}
	c.intake.Accept(&datagram, 2055)
	m.draw(c)
	resp, err := http.Get("http://" + m.server.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"flow_capture_datagrams_total 1\n", `flow_capture_bad_datagrams_total{reason="version"} 1`,
		"flow_capture_kernel_dropped_datagrams_total 17\n", "flow_capture_files_completed_total 3\n",
		"flow_capture_disk_lost_flows_total 0\n", "flow_capture_disk_failing 0\n", "flow_capture_clients 0\n",
		`flow_capture_program_runs_total{result="failure"} 0`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if _, err := serve("no such address", t.Logf); err == nil {
		t.Error("a bad address is served")
	}
	var none *meter
	none.draw(c)
	none.close()
}
