package fprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"flowtools/internal/daemon"
	"flowtools/internal/pcap"
	"flowtools/internal/probe"
	"flowtools/internal/probe/emit"
)

// metrics serves counters to Prometheus. The number of series depends on the interfaces given on the command line only.
type metrics struct {
	server  *http.Server
	done    chan struct{}
	emitter *emit.Emitter

	mu       sync.Mutex
	meter    probe.Counters
	captures []capture
}

type capture struct {
	name string
	pcap.Stats
}

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

// serveMetrics opens the address, so that a wrong one is an error at once, and serves.
func serveMetrics(addr string, s *sensor) (*metrics, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	m := &metrics{emitter: s.emitter, done: make(chan struct{})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	go func() {
		defer close(m.done)
		if err := m.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.printf(daemon.Err, "--metrics: %v", err)
		}
	}()
	return m, nil
}

// update takes a picture of the counters, which belong to the goroutine that calls it.
func (m *metrics) update(s *sensor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.meter = s.meter.Counters
	m.captures = m.captures[:0]
	for _, l := range s.lives {
		if st, err := l.Stats(); err == nil {
			m.captures = append(m.captures, capture{l.Name(), st})
		}
	}
}

func (m *metrics) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := m.server.Shutdown(ctx); err != nil {
		_ = m.server.Close()
	}
	<-m.done
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		put(d, prometheus.CounterValue, float64(v), labels...)
	}
	for _, c := range m.captures {
		count(descReceived, c.Received, c.name)
		count(descDropped, c.Dropped, c.name)
	}
	count(descPackets, m.meter.Counted, "counted")
	count(descPackets, m.meter.Skipped, "sampled_out")
	count(descPackets, m.meter.NotIP, "not_ip")
	count(descPackets, m.meter.ForeignIPv6, "ipv6_ignored")
	count(descPackets, m.meter.Truncated, "truncated")
	count(descOctets, m.meter.Octets)
	put(descActive, prometheus.GaugeValue, float64(m.meter.Active))
	for r := probe.ReasonIdle; r < probe.NumReasons; r++ {
		count(descEnded, m.meter.Ended[r], r.String())
	}
	count(descDatagrams, m.emitter.Datagrams.Load())
	count(descBytes, m.emitter.Octets.Load())
	count(descErrors, m.emitter.Errors.Load())
	put(descQueue, prometheus.GaugeValue, float64(m.emitter.Queued.Load()))
}
