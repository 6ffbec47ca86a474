package flowfanout

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"flowtools/internal/metrics"
)

func describe(name, help string) *prometheus.Desc {
	return metrics.Describe(program, name, help, "j", "destination")
}

var (
	descSent   = describe("sent_datagrams_total", "Datagrams sent.")
	descUnsent = describe("unsent_datagrams_total", "Datagrams not sent because the destination did not keep up.")
	descErrors = describe("send_errors_total", "Datagrams that the system refused to send.")
	descBehind = describe("waiting_datagrams", "Datagrams that wait to be sent.")
)

// draw shows what the fan counts, by destination.
func (f *fan) draw(p metrics.Pen) {
	for j, d := range f.to {
		labels := []string{strconv.Itoa(j), d.name} // j as in the log: a destination may be there twice
		p.Count(descSent, d.sent, labels...)
		p.Count(descUnsent, d.lost, labels...)
		p.Count(descErrors, d.errors, labels...)
		p.Gauge(descBehind, float64(min(f.next-d.next, window)), labels...)
	}
}
