// Package metrics serves the counters of a daemon to Prometheus. Only programs
// with a --metrics option link it.
package metrics

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
)

// Limits on what a client may ask of the server.
const (
	readLimit   = 10 * time.Second
	writeLimit  = 30 * time.Second
	idleLimit   = time.Minute
	headerLimit = 16 << 10
	endLimit    = time.Second
)

// Put reports one value: a counter, or a gauge where gauge is true. The labels
// are those of the metric's description, in order.
type Put func(d *prometheus.Desc, gauge bool, value float64, labels ...string)

// Page holds the values that are served: the daemon draws a new page when it
// likes, from the goroutine that owns the counters, and scrapes get the last.
// The zero Page is empty and ready for use.
type Page struct {
	mu     sync.Mutex
	values []prometheus.Metric
}

// Draw replaces the page by what draw puts on it.
func (p *Page) Draw(draw func(put Put)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values = p.values[:0]
	draw(func(d *prometheus.Desc, gauge bool, value float64, labels ...string) {
		kind := prometheus.CounterValue
		if gauge {
			kind = prometheus.GaugeValue
		}
		p.values = append(p.values, prometheus.MustNewConstMetric(d, kind, value, labels...))
	})
}

// Describe implements prometheus.Collector: what is on a page is not known
// before it is drawn.
func (p *Page) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (p *Page) Collect(ch chan<- prometheus.Metric) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.values {
		ch <- v
	}
}

// Server serves a page at http://ADDRESS/metrics.
type Server struct {
	http *http.Server
	addr net.Addr
	done chan struct{}
}

// Serve opens the address, so that a wrong one is an error at once, and serves
// page. Failures later on go to warn.
func Serve(address string, page *Page, warn func(format string, args ...any)) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(page)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	s := &Server{addr: l.Addr(), done: make(chan struct{}), http: &http.Server{
		Handler: mux, ReadHeaderTimeout: readLimit, WriteTimeout: writeLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerLimit,
	}}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			warn("--metrics: %v", err)
		}
	}()
	return s, nil
}

// Addr returns the address that is served, with the port chosen for port 0.
func (s *Server) Addr() net.Addr { return s.addr }

// Close ends the server, waiting a second at most for requests under way. A nil
// Server is closed already.
func (s *Server) Close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endLimit)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	<-s.done
}
