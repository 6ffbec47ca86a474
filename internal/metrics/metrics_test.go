package metrics

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, s *Server) string {
	t.Helper()
	resp, err := http.Get("http://" + s.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return string(text)
}

// Scrapes get the page drawn last, and nothing that is no longer on it.
func TestPage(t *testing.T) {
	var page Page
	s, err := Serve("127.0.0.1:0", &page, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	flows := prometheus.NewDesc("test_flows_total", "Flows.", []string{"exporter"}, nil)
	queue := prometheus.NewDesc("test_queue", "Waiting.", nil, nil)
	page.Draw(func(put Put) {
		put(flows, false, 7, "a")
		put(flows, false, 8, "b")
		put(queue, true, 3)
	})
	first := get(t, s)
	for _, want := range []string{"# TYPE test_flows_total counter", `test_flows_total{exporter="a"} 7`, `{exporter="b"} 8`, "# TYPE test_queue gauge", "test_queue 3"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %s in\n%s", want, first)
		}
	}
	page.Draw(func(put Put) { put(flows, false, 9, "a") })
	if second := get(t, s); !strings.Contains(second, `{exporter="a"} 9`) || strings.Contains(second, `"b"`) || strings.Contains(second, "test_queue") {
		t.Error(second)
	}
}

func TestServeError(t *testing.T) {
	var page Page
	if _, err := Serve("127.0.0.1:-1", &page, t.Logf); err == nil || !strings.HasPrefix(err.Error(), "--metrics: ") {
		t.Error(err)
	}
	var none *Server
	none.Close()
}
