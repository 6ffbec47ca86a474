package fprobe

import (
	"github.com/prometheus/client_golang/prometheus"

	"flowtools/internal/daemon"
	"flowtools/internal/metrics"
	"flowtools/internal/probe"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("fprobe_"+name, help, labels, nil)
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

// meter shows a sensor to Prometheus. The number of series depends on the interfaces given on the command line only.
type meter struct {
	page   metrics.Page
	server *metrics.Server
}

// serveMetrics opens the address, so that a wrong one is an error at once, and serves.
func serveMetrics(addr string, s *sensor) (*meter, error) {
	m := &meter{}
	var err error
	m.server, err = metrics.Serve(addr, &m.page, func(format string, args ...any) { s.log.printf(daemon.Err, format, args...) })
	return m, err
}

// update takes a picture of the counters, which belong to the goroutine that calls it.
func (m *meter) update(s *sensor) {
	m.page.Draw(func(put metrics.Put) {
		count := func(d *prometheus.Desc, v uint64, labels ...string) { put(d, false, float64(v), labels...) }
		for _, l := range s.lives {
			if st, err := l.Stats(); err == nil {
				count(descReceived, st.Received, l.Name())
				count(descDropped, st.Dropped, l.Name())
			}
		}
		c := &s.meter.Counters
		count(descPackets, c.Counted, "counted")
		count(descPackets, c.Skipped, "sampled_out")
		count(descPackets, c.NotIP, "not_ip")
		count(descPackets, c.ForeignIPv6, "ipv6_ignored")
		count(descPackets, c.Truncated, "truncated")
		count(descOctets, c.Octets)
		put(descActive, true, float64(c.Active))
		for r := probe.ReasonIdle; r < probe.NumReasons; r++ {
			count(descEnded, c.Ended[r], r.String())
		}
		count(descDatagrams, s.emitter.Datagrams.Load())
		count(descBytes, s.emitter.Octets.Load())
		count(descErrors, s.emitter.Errors.Load())
		put(descQueue, true, float64(s.emitter.Queued.Load()))
	})
}

func (m *meter) close() { m.server.Close() }
