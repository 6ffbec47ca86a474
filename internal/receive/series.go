package receive

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"flowtools/internal/metrics"
	"flowtools/pkg/netflow"
)

// exporterSeries bounds how many exporters have series of their own: those with
// the most flows. Sums over all are counted beside them.
const exporterSeries = 200

// series are the metrics of all receivers.
type series struct {
	datagrams, flows, lost, resets, refused, dropped *prometheus.Desc
	exporters, queue                                 *prometheus.Desc

	exporter struct{ datagrams, flows, lost, denied *prometheus.Desc }
}

func newSeries(program string) series {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return metrics.Describe(program, name, help, labels...)
	}
	s := series{
		datagrams: d("datagrams_total", "Datagrams received."),
		flows:     d("flows_total", "Flows in accepted datagrams."),
		lost:      d("lost_flows_total", "Flows missing by sequence number."),
		resets:    d("sequence_resets_total", "Jumps of sequence numbers."),
		refused:   d("bad_datagrams_total", "Datagrams refused, by reason.", "reason"),
		dropped:   d("kernel_dropped_datagrams_total", "Datagrams that the system dropped because the receive buffer was full."),
		exporters: d("exporters", "Exporters known."),
		queue:     d("queue_bursts", "Bursts of datagrams that wait to be worked on."),
	}
	labels := []string{"exporter", "address", "port", "version"}
	s.exporter.datagrams = d("exporter_datagrams_total", "Datagrams accepted, of the exporters with the most flows.", labels...)
	s.exporter.flows = d("exporter_flows_total", "Flows, of the exporters with the most flows.", labels...)
	s.exporter.lost = d("exporter_lost_flows_total", "Lost flows, of the exporters with the most flows.", labels...)
	s.exporter.denied = d("exporter_filter_drops_total", "Flows denied by the filter, of the exporters with the most flows.", labels...)
	return s
}

// draw shows what r counts.
func (s *series) draw(p metrics.Pen, r *Receiver) {
	t := &r.intake.Totals
	p.Count(s.datagrams, t.Datagrams)
	p.Count(s.flows, t.Flows)
	p.Count(s.lost, t.Lost)
	p.Count(s.resets, t.Resets)
	for reason, n := range t.Refused {
		p.Count(s.refused, n, netflow.Reason(reason).Label())
	}
	p.Count(s.dropped, r.kernel.total)
	p.Gauge(s.exporters, float64(r.intake.Tracker.Len()))
	p.Gauge(s.queue, float64(len(r.bursts)))
	decimal := func(v uint16) string { return strconv.Itoa(int(v)) }
	for _, e := range r.intake.Tracker.Busiest(exporterSeries) {
		labels := []string{e.Src().String(), e.Dst().String(), decimal(e.Port()), decimal(e.Version())}
		p.Count(s.exporter.datagrams, uint64(e.Packets), labels...)
		p.Count(s.exporter.flows, uint64(e.Flows), labels...)
		p.Count(s.exporter.lost, uint64(e.Lost), labels...)
		p.Count(s.exporter.denied, uint64(e.Dropped), labels...)
	}
}
