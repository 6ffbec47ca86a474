package flowcapture

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"flowtools/internal/capture"
	"flowtools/internal/metrics"
)

// A scrape shows what the collector counts.
func TestScrape(t *testing.T) {
	m, err := metrics.Serve("127.0.0.1:0", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c := &collector{store: &capture.Store{}, completes: 3, clients: &capture.Clients{}, runner: &capture.Runner{}}
	m.Draw(c.draw)
	resp, err := http.Get("http://" + m.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"flow_capture_files_completed_total 3\n", "flow_capture_disk_lost_flows_total 0\n", "flow_capture_disk_failing 0\n",
		"flow_capture_clients 0\n", `flow_capture_program_runs_total{result="failure"} 0`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
