package fprobe

import (
	"github.com/prometheus/client_golang/prometheus"

	"flowtools/internal/metrics"
	"flowtools/internal/probe"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return metrics.Describe("fprobe", name, help, labels...)
}

var (
	descReceived  = describe("capture_packets_total", "Packets that passed the filter, as the kernel counts them.", "interface")
	descDropped   = describe("capture_dropped_total", "Packets the kernel dropped because the buffer was full.", "interface")
	descPackets   = describe("packets_total", "Packets by what became of them.", "result")
	descOctets    = describe("octets_total", "Octets on the wire of all packets.")
	descActive    = describe("flows_active", "Flows and sets of fragments in the table.")
	descEnded     = describe("flows_ended_total", "Flows that ended, by reason.", "reason")
	descDatagrams = describe("export_datagrams_total", "Datagrams sent or tried, each collector counting.")
	descBytes     = describe("export_octets_total", "Octets of those datagrams.")
	descErrors    = describe("export_errors_total", "Datagrams that could not be sent or were refused.")
	descQueue     = describe("export_queue_length", "Datagrams waiting to be sent.")
)

// draw shows the counters, which belong to the goroutine that calls it, to Prometheus. The number of series depends on the
// interfaces given on the command line only.
func (s *sensor) draw() {
	s.metrics.Draw(func(p metrics.Pen) {
		for _, l := range s.lives {
			if st, err := l.Stats(); err == nil {
				p.Count(descReceived, st.Received, l.Name())
				p.Count(descDropped, st.Dropped, l.Name())
			}
		}
		c := &s.meter.Counters
		p.Count(descPackets, c.Counted, "counted")
		p.Count(descPackets, c.Skipped, "sampled_out")
		p.Count(descPackets, c.NotIP, "not_ip")
		p.Count(descPackets, c.ForeignIPv6, "ipv6_ignored")
		p.Count(descPackets, c.Truncated, "truncated")
		p.Count(descOctets, c.Octets)
		p.Gauge(descActive, float64(c.Active))
		for r := probe.ReasonIdle; r < probe.NumReasons; r++ {
			p.Count(descEnded, c.Ended[r], r.String())
		}
		p.Count(descDatagrams, s.emitter.Datagrams.Load())
		p.Count(descBytes, s.emitter.Octets.Load())
		p.Count(descErrors, s.emitter.Errors.Load())
		p.Gauge(descQueue, float64(s.emitter.Queued.Load()))
	})
}
