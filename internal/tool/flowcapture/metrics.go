package flowcapture

import (
	"github.com/prometheus/client_golang/prometheus"

	"flowtools/internal/metrics"
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return metrics.Describe(program, name, help, labels...)
}

var (
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
)

// draw shows what the collector counts, beside what receivers do.
func (c *collector) draw(p metrics.Pen) {
	p.Count(descFiles, c.completes)
	if c.store.IsOpen() {
		p.Gauge(descFileFlows, float64(c.store.Flows()))
		p.Gauge(descFileBytes, float64(c.store.Octets()))
		p.Gauge(descFileAge, c.env.Now().Sub(c.store.Opened()).Seconds())
	}
	disk := c.store.Stats()
	p.Count(descRecovered, disk.Recovered)
	p.Count(descDiskLost, disk.Lost)
	p.Count(descSync, disk.SyncErrors)
	p.Gauge(descWaiting, float64(disk.Waiting))
	failing := 0.0
	if disk.Failing {
		failing = 1
	}
	p.Gauge(descFailing, failing)
	if c.clients != nil {
		s := c.clients.Stats()
		p.Gauge(descClients, float64(s.Here))
		p.Count(descConnected, s.Connected)
		p.Count(descRejected, s.Rejected)
		p.Count(descKilled, s.Killed)
		p.Count(descSent, s.Octets)
	}
	if c.runner != nil {
		s := c.runner.Stats()
		p.Count(descRuns, uint64(s.Succeeded), "success")
		p.Count(descRuns, uint64(s.Failed), "failure")
		p.Count(descAbandoned, uint64(s.Abandoned))
		p.Gauge(descWaiters, float64(s.Waiting))
		p.Gauge(descRunning, float64(s.Running))
	}
}
