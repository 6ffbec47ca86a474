package receive

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"flowtools/internal/capture"
	"flowtools/internal/capture/capturetest"
	"flowtools/internal/cli"
	"flowtools/internal/metrics"
	"flowtools/pkg/flow"
)

// The count of each socket is modulo 2^32 and its own.
func TestKernelDrops(t *testing.T) {
	var k kernelDrops
	var said []string
	tell := func() { k.tell(func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }) }
	burst := func(socket int, dropped uint32) {
		b := capture.NewBurst(2055)
		b.Socket = socket
		b.Dropped = dropped
		k.see(b)
	}
	burst(1, 0)
	tell()
	burst(1, 5)
	burst(1, 5)
	burst(2, 3)
	tell()
	burst(1, 1<<32-1)
	burst(1, 4)
	tell()
	if want := uint64(1<<32 + 4 + 3); k.total != want || len(said) != 2 || !strings.Contains(said[0], "dropped 8 datagrams (8 since") {
		t.Errorf("total %d, want %d; said %q", k.total, want, said)
	}
}

// run parses options as a program would and runs f with them.
func run(t *testing.T, f func(env *cli.Env, o *Options) error, args ...string) (status int, stderr string) {
	t.Helper()
	o := &Options{}
	var log strings.Builder
	spec := &cli.Spec{Name: "flow-test", Operands: "address", MaxOperands: 1, UsageExit: 1, Flags: o.Flags(),
		Run: func(_ context.Context, env *cli.Env) error { return f(env, o) }}
	status = cli.Exec(t.Context(), spec, &cli.Env{Stderr: &log}, append([]string{"flow-test"}, args...))
	return status, log.String()
}

func scrape(t *testing.T, addr string) string {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A receiver of several addresses, one of them with an exporter of its own: what
// is accepted comes out, what is not is counted, and Prometheus is told.
func TestReceiver(t *testing.T) {
	first, second := capturetest.FreePort(t), capturetest.FreePort(t)
	status, log := run(t, func(env *cli.Env, o *Options) error {
		in := capture.NewIntake(env.Now, env.Warn)
		r, err := o.Open(env, "flow-test", env.Args[0], in)
		if err != nil {
			return err
		}
		defer r.Close()
		v5 := flow.Version{Export: 5}
		send := func(from string, port int, data []byte) {
			c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write(data); err != nil {
				t.Fatal(err)
			}
		}
		send("127.0.0.9", first, capturetest.PDU(v5, 7, 0))
		send("127.0.0.8", first, capturetest.PDU(v5, 5, 0)) // refused there
		send("127.0.0.8", second, capturetest.PDU(v5, 3, 100))
		send("127.0.0.8", second, capturetest.PDU(v5, 4, 105)) // two are missing
		send("127.0.0.8", second, []byte("junk"))
		bursts := r.Start()
		r.Stop()
		flows := 0
		for b := range bursts {
			for d := range r.Accepted(b) {
				flows += in.Flows(d).Len()
			}
		}
		if flows != 14 {
			t.Errorf("%d flows, want 14", flows)
		}
		r.Tick(func(p metrics.Pen) { p.Gauge(metrics.Describe("flow-test", "answer", "More."), 42) })
		text := scrape(t, r.meter.Addr().String())
		for _, want := range []string{
			"flow_test_datagrams_total 5\n", "flow_test_flows_total 14\n", "flow_test_lost_flows_total 2\n",
			`flow_test_bad_datagrams_total{reason="exporter"} 1`, `flow_test_bad_datagrams_total{reason="version"} 1`,
			"flow_test_kernel_dropped_datagrams_total 0\n", "flow_test_exporters 2\n", "flow_test_answer 42\n",
			fmt.Sprintf(`flow_test_exporter_lost_flows_total{address="127.0.0.1",exporter="127.0.0.8",port="%d",version="5"} 2`, second),
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		return nil
	}, "--metrics", "127.0.0.1:0", "--listen", fmt.Sprintf("127.0.0.1/127.0.0.8/%d", second), fmt.Sprintf("127.0.0.1/127.0.0.9/%d", first))
	if status != 0 {
		t.Errorf("status %d: %s", status, log)
	}
}

func TestOpenErrors(t *testing.T) {
	taken := fmt.Sprintf("127.0.0.1/0/%d", capturetest.FreePort(t))
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--metrics", "no such address", taken}, "--metrics: "},
		{[]string{"--listen", taken, taken}, "bind(127.0.0.1): "},
		{[]string{"--listen", "::1/10.0.0.1", taken}, "the other IPv6"},
		{[]string{"--sockets", "0", taken}, "--sockets must be between 1 and 64"},
		{[]string{"--sockets", "65", taken}, "--sockets must be between 1 and 64"},
	} {
		status, log := run(t, func(env *cli.Env, o *Options) error {
			r, err := o.Open(env, "flow-test", env.Args[0], capture.NewIntake(env.Now, env.Warn))
			if err == nil {
				r.Close()
			}
			return err
		}, tc.args...)
		if status != 1 || !strings.Contains(log, tc.want) {
			t.Errorf("%q: status %d: %s", tc.args, status, log)
		}
	}
}
