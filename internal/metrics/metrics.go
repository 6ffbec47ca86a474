// Package metrics serves the counters of a daemon to Prometheus. Only programs
// with a --metrics option link it.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits on what a client may ask of the server.
const (
	readLimit   = 10 * time.Second
	writeLimit  = 30 * time.Second
	idleLimit   = time.Minute
	headerLimit = 16 << 10
	endLimit    = time.Second
)

// Describe describes a metric of a program: its name is the program's, an
// underline and name.
func Describe(program, name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(strings.ReplaceAll(program, "-", "_")+"_"+name, help, labels, nil)
}

// Meter serves a page of values at http://ADDRESS/metrics. The daemon draws a
// new page when it likes, from the goroutine that owns the counters; scrapes get
// the last. A nil Meter shows nothing.
type Meter struct {
	http *http.Server
	addr net.Addr
	done chan struct{}
	page page
}

// Pen draws a page. The labels are those of the metric's description, in order.
type Pen struct{ page *page }

// Count puts a counter on the page.
func (p Pen) Count(d *prometheus.Desc, v uint64, labels ...string) {
	p.put(d, prometheus.CounterValue, float64(v), labels)
}

// Gauge puts a gauge on the page.
func (p Pen) Gauge(d *prometheus.Desc, v float64, labels ...string) {
	p.put(d, prometheus.GaugeValue, v, labels)
}

func (p Pen) put(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels []string) {
	p.page.values = append(p.page.values, prometheus.MustNewConstMetric(d, kind, v, labels...))
}

// page holds the values that are served.
type page struct {
	mu     sync.Mutex
	values []prometheus.Metric
}

// Describe implements prometheus.Collector: what is on a page is not known
// before it is drawn.
func (p *page) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (p *page) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.values {
		ch <- v
	}
}

// Serve opens the address, so that a wrong one is an error at once, and serves;
// the Meter is nil for "". Failures later on go to warn.
func Serve(address string, warn func(format string, args ...any)) (*Meter, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	m := &Meter{addr: l.Addr(), done: make(chan struct{})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(&m.page)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	m.http = &http.Server{
		Handler: mux, ReadHeaderTimeout: readLimit, WriteTimeout: writeLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerLimit,
	}
	go func() {
		defer close(m.done)
		if err := m.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			warn("--metrics: %v", err)
		}
	}()
	return m, nil
}

// Addr returns the address that is served, with the port chosen for port 0.
func (m *Meter) Addr() net.Addr { return m.addr }

// Draw replaces the page by what draw puts on it.
func (m *Meter) Draw(draw func(p Pen)) {
	if m == nil {
		return
	}
	m.page.mu.Lock()
	defer m.page.mu.Unlock()
	m.page.values = m.page.values[:0]
	draw(Pen{&m.page})
}

// Close ends serving, waiting a second at most for requests under way.
func (m *Meter) Close() {
	if m == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	if err := m.http.Shutdown(ctx); err != nil {
		_ = m.http.Close()
	}
	<-m.done
}
