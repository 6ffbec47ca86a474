package flowcapture

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"flowtools/internal/metrics"
	"flowtools/pkg/netflow"
)

// exporterSeries bounds how many exporters have series of their own: those with
// the most flows. Sums over all are counted beside them.
const exporterSeries = 200

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("flow_capture_"+name, help, labels, nil)
}

var (
	descDatagrams = describe("datagrams_total", "Datagrams received.")
	descFlows     = describe("flows_total", "Flows in accepted datagrams.")
	descLost      = describe("lost_flows_total", "Flows missing by sequence number.")
	descResets    = describe("sequence_resets_total", "Jumps of sequence numbers.")
	descBad       = describe("bad_datagrams_total", "Datagrams refused, by reason.", "reason")
	descDropped   = describe("kernel_dropped_datagrams_total", "Datagrams that the system dropped because the receive buffer was full.")
	descExporters = describe("exporters", "Exporters known.")
	descQueue     = describe("queue_bursts", "Bursts of datagrams waiting for the writer.")
	descFileFlows = describe("file_flows", "Flows in the open file.")
	descFileBytes = describe("file_octets", "Octets of the open file on disk.")
	descFileAge   = describe("file_age_seconds", "Seconds since the open file was opened.")
	descFiles     = describe("files_completed_total", "Files completed.")
	descRecovered = describe("files_recovered_total", "Files that a crash left behind, completed.")
	descDiskLost  = describe("disk_lost_flows_total", "Flows that the disk did not take.")
	descWaiting   = describe("disk_waiting_octets", "Octets of flows that wait for the disk.")
	descFailing   = describe("disk_failing", "1 while the disk takes nothing, or too little.")
	descSync      = describe("disk_sync_errors_total", "Times that the disk could not make flows safe (--sync).")

	descClients   = describe("clients", "TCP clients connected.")
	descConnected = describe("clients_connected_total", "TCP clients that were let in.")
	descRejected  = describe("clients_rejected_total", "TCP clients that were too many or not allowed.")
	descKilled    = describe("clients_killed_total", "TCP clients that went away or were too slow.")
	descSent      = describe("clients_octets_total", "Octets sent to TCP clients.")

	descRuns      = describe("program_runs_total", "Runs of the program of -R.", "result")
	descWaiters   = describe("program_waiting_files", "Files that wait for the program of -R, for the first time or again.")
	descRunning   = describe("program_running", "Programs of -R that are running.")
	descAbandoned = describe("program_abandoned_files_total", "Files for which the program of -R is not run again although it never succeeded.")

	exporterLabels = []string{"exporter", "address", "port", "version"}
	descExpPackets = describe("exporter_datagrams_total", "Datagrams accepted, of the exporters with the most flows.", exporterLabels...)
	descExpFlows   = describe("exporter_flows_total", "Flows, of the exporters with the most flows.", exporterLabels...)
	descExpLost    = describe("exporter_lost_flows_total", "Lost flows, of the exporters with the most flows.", exporterLabels...)
	descExpDrops   = describe("exporter_filter_drops_total", "Flows denied by the filter, of the exporters with the most flows.", exporterLabels...)
)

func decimal(v uint16) string { return strconv.Itoa(int(v)) }

// meter shows a collector to Prometheus. A nil meter does nothing.
type meter struct {
	page   metrics.Page
	server *metrics.Server
}

// serve opens the address of --metrics; "" is none.
func serve(addr string, warn func(string, ...any)) (*meter, error) {
	if addr == "" {
		return nil, nil
	}
	m := &meter{}
	var err error
	m.server, err = metrics.Serve(addr, &m.page, warn)
	return m, err
}

func (m *meter) close() {
	if m != nil {
		m.server.Close()
	}
}

// draw takes a picture of c, from the goroutine that runs it.
func (m *meter) draw(c *collector) {
	if m == nil {
		return
	}
	m.page.Draw(func(put metrics.Put) {
		count := func(d *prometheus.Desc, v uint64, labels ...string) { put(d, false, float64(v), labels...) }
		gauge := func(d *prometheus.Desc, v float64) { put(d, true, v) }
		t := &c.intake.Totals
		count(descDatagrams, t.Datagrams)
		count(descFlows, t.Flows)
		count(descLost, t.Lost)
		count(descResets, t.Resets)
		for r, n := range t.Refused {
			count(descBad, n, netflow.Reason(r).Label())
		}
		count(descDropped, c.kernel.total)
		gauge(descExporters, float64(c.intake.Tracker.Len()))
		gauge(descQueue, float64(c.queued))
		count(descFiles, c.completes)
		if c.store.IsOpen() {
			gauge(descFileFlows, float64(c.store.Flows()))
			gauge(descFileBytes, float64(c.store.Octets()))
			gauge(descFileAge, c.env.Now().Sub(c.store.Opened()).Seconds())
		}
		disk := c.store.Stats()
		count(descRecovered, disk.Recovered)
		count(descDiskLost, disk.Lost)
		count(descSync, disk.SyncErrors)
		gauge(descWaiting, float64(disk.Waiting))
		failing := 0.0
		if disk.Failing {
			failing = 1
		}
		gauge(descFailing, failing)
		if c.clients != nil {
			s := c.clients.Stats()
			gauge(descClients, float64(s.Here))
			count(descConnected, s.Connected)
			count(descRejected, s.Rejected)
			count(descKilled, s.Killed)
			count(descSent, s.Octets)
		}
		if c.runner != nil {
			s := c.runner.Stats()
			count(descRuns, uint64(s.Succeeded), "success")
			count(descRuns, uint64(s.Failed), "failure")
			count(descAbandoned, uint64(s.Abandoned))
			gauge(descWaiters, float64(s.Waiting))
			gauge(descRunning, float64(s.Running))
		}
		for _, e := range c.intake.Tracker.Busiest(exporterSeries) {
			labels := []string{e.Src().String(), e.Dst().String(), decimal(e.Port()), decimal(e.Version())}
			count(descExpPackets, uint64(e.Packets), labels...)
			count(descExpFlows, uint64(e.Flows), labels...)
			count(descExpLost, uint64(e.Lost), labels...)
			count(descExpDrops, uint64(e.Dropped), labels...)
		}
	})
}
