package metrics

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func get(t *testing.T, s *Meter) string {
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
	s, err := Serve("127.0.0.1:0", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	flows := Describe("a-test", "flows_total", "Flows.", "exporter")
	queue := Describe("a-test", "queue", "Waiting.")
	s.Draw(func(p Pen) {
		p.Count(flows, 7, "a")
		p.Count(flows, 8, "b")
		p.Gauge(queue, 3)
	})
	first := get(t, s)
	for _, want := range []string{"# TYPE a_test_flows_total counter", `a_test_flows_total{exporter="a"} 7`, `{exporter="b"} 8`, "# TYPE a_test_queue gauge", "a_test_queue 3"} {
		if !strings.Contains(first, want) {
			t.Errorf("no %s in\n%s", want, first)
		}
	}
	s.Draw(func(p Pen) { p.Count(flows, 9, "a") })
	if second := get(t, s); !strings.Contains(second, `{exporter="a"} 9`) || strings.Contains(second, `"b"`) || strings.Contains(second, "a_test_queue") {
		t.Error(second)
	}
}

func TestServeError(t *testing.T) {
	if _, err := Serve("127.0.0.1:-1", t.Logf); err == nil || !strings.HasPrefix(err.Error(), "--metrics: ") {
		t.Error(err)
	}
	none, err := Serve("", t.Logf)
	if none != nil || err != nil {
		t.Error(none, err)
	}
	none.Draw(nil)
	none.Close()
}
