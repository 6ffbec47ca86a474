package flowreceive

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flowtools/internal/capture/capturetest"
	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

// running is a flow-receive in this process.
type running struct {
	t              *testing.T
	port           int
	stdout, stderr bytes.Buffer
	cancel         context.CancelFunc
	status         chan int
	sender         *net.UDPConn
}

// start runs flow-receive on a free port and returns when it listens.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{t: t, port: capturetest.FreePort(t), status: make(chan int, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	env := &cli.Env{Stdout: &r.stdout, Stderr: &r.stderr}
	s := Spec()
	run := s.Run
	s.Run = func(ctx context.Context, env *cli.Env) error {
		env.Now = func() time.Time { return time.Unix(1_700_000_000, 0) }
		return run(ctx, env)
	}
	go func() {
		r.status <- cli.Exec(ctx, s, env, append(append([]string{"flow-receive"}, args...), fmt.Sprintf("127.0.0.1/0/%d", r.port)))
	}()
	capturetest.AwaitUDP(t, r.port)
	r.sender = capturetest.Dial(t, r.port)
	t.Cleanup(cancel)
	return r
}

// stop ends it; what was sent before has been received by then.
func (r *running) stop() int {
	r.t.Helper()
	r.cancel()
	select {
	case code := <-r.status:
		return code
	case <-time.After(10 * time.Second):
		r.t.Fatal("does not end")
		return -1
	}
}

func (r *running) send(pdus ...[]byte) {
	r.t.Helper()
	for _, p := range pdus {
		if _, err := r.sender.Write(p); err != nil {
			r.t.Fatal(err)
		}
	}
}

func read(t *testing.T, stream []byte) (*ftfile.Header, []byte) {
	t.Helper()
	r, err := ftfile.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var records []byte
	for b := range r.Batches() {
		records = append(records, b.Bytes()...)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return r.Header(), records
}

// TestReceive receives every version, to a file and to standard output.
func TestReceive(t *testing.T) {
	for _, v := range flow.Versions() {
		if v.Export == 1005 {
			continue
		}
		t.Run(v.String(), func(t *testing.T) {
			d, err := netflow.NewDecoder(v, netflow.Compat)
			if err != nil {
				t.Fatal(err)
			}
			want := flow.NewBatch(d.Layout())
			_, most, _ := netflow.WireLayout(v)
			var pdus [][]byte
			for i, n := range []int{1, most, 0, 3} {
				pdu := capturetest.PDU(v, n, uint32(want.Len()))
				h, err := netflow.Parse(pdu)
				if err != nil {
					t.Fatal(i, err)
				}
				if err := d.Decode(want, &h, pdu, 0x7F000001); err != nil {
					t.Fatal(err)
				}
				pdus = append(pdus, pdu)
			}
			file := filepath.Join(t.TempDir(), "out")
			for _, args := range [][]string{{"-z2"}, {"-o", file, "-C", "hello", "-b", "big"}} {
				r := start(t, args...)
				r.send(pdus...)
				if code := r.stop(); code != 0 {
					t.Errorf("%v: status %d: %s", args, code, &r.stderr)
				}
				stream := r.stdout.Bytes()
				if len(args) > 1 {
					if stream, err = os.ReadFile(file); err != nil {
						t.Fatal(err)
					}
				}
				h, records := read(t, stream)
				if !bytes.Equal(records, want.Bytes()) {
					t.Errorf("%v: %d octets of records, want %d; or they differ", args, len(records), len(want.Bytes()))
				}
				if h.Version != v || h.Start != 1_700_000_000 || h.Hostname == "" {
					t.Errorf("%v: %+v", args, h)
				}
				if len(args) > 1 && (h.Flags != ftfile.FlagDone || int(h.Flows) != want.Len() || h.End != h.Start || h.Comments != "hello") {
					t.Errorf("%v: %+v", args, h)
				}
				if len(args) == 1 && (h.Flags != ftfile.FlagStreaming|ftfile.FlagCompress || h.Has(ftfile.TagFlows)) {
					t.Errorf("%v: %+v", args, h)
				}
				if got := r.stderr.String(); !strings.Contains(got, "flow-receive: New exporter: time=1700000000 src_ip=127.0.0.1 dst_ip=127.0.0.1 d_version="+fmt.Sprint(v.Export)) ||
					!strings.Contains(got, "flow-receive: Cleaning up\n") {
					t.Errorf("%v: %s", args, got)
				}
			}
		})
	}
}

// TestCounts checks what the header says about losses and refusals.
func TestCounts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	r := start(t, "-o", file)
	v5 := flow.Version{Export: 5}
	r.send([]byte("junk"), capturetest.PDU(v5, 2, 100), capturetest.PDU(v5, 2, 112), capturetest.PDU(v5, 1, 5000), capturetest.PDU(flow.Version{Export: 8, Agg: 1}, 1, 0))
	if code := r.stop(); code != 0 {
		t.Errorf("status %d", code)
	}
	stream, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if h, _ := read(t, stream); h.Flows != 5 || h.Lost != 10 || h.Resets != 1 || h.Corrupt != 2 {
		t.Errorf("%+v", h)
	}
}

func TestNothingReceived(t *testing.T) {
	r := start(t)
	if code := r.stop(); code != 0 || r.stdout.Len() != 0 {
		t.Errorf("status %d, %d octets", code, r.stdout.Len())
	}
	file := filepath.Join(t.TempDir(), "out")
	r = start(t, "-o", file)
	if code := r.stop(); code != 1 || !strings.HasSuffix(r.stderr.String(), "flow-receive: Set d_version and byte_order first\nflow-receive: ftio_write_header(): failed\n") {
		t.Errorf("status %d: %s", code, &r.stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Size() != 0 {
		t.Errorf("%v, %v", info, err)
	}
	r = start(t, "-V8.3")
	if code := r.stop(); code != 0 {
		t.Errorf("status %d", code)
	}
	if h, records := read(t, r.stdout.Bytes()); h.Version != (flow.Version{Export: 8, Agg: 3}) || len(records) != 0 {
		t.Errorf("%+v, %d octets", h, len(records))
	}
}

// failing fails from the n-th write on.
type failing struct{ n int }

func (f *failing) Write(p []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, os.ErrClosed
	}
	return len(p), nil
}

// TestWriteError: the header goes out, the records do not.
func TestWriteError(t *testing.T) {
	r := &running{t: t, status: make(chan int, 1)}
	env := &cli.Env{Stdout: &failing{n: 1}, Stderr: &r.stderr}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	port := capturetest.FreePort(t)
	go func() {
		r.status <- cli.Exec(ctx, Spec(), env, []string{"flow-receive", fmt.Sprintf("127.0.0.1/0/%d", port)})
	}()
	capturetest.AwaitUDP(t, port)
	c := capturetest.Dial(t, port)
	pdu := capturetest.PDU(flow.Version{Export: 5}, 30, 0)
	for range 2000 { // until more than a buffer full has arrived
		_, _ = c.Write(pdu)
		select {
		case code := <-r.status:
			if code != 1 || !strings.Contains(r.stderr.String(), "ftio_write(): failed") {
				t.Errorf("status %d: %s", code, &r.stderr)
			}
			return
		case <-time.After(time.Millisecond):
		}
	}
	t.Error("goes on after a failed write")
}

func TestErrors(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port
	for _, tc := range []struct {
		args string
		want string
	}{
		{fmt.Sprintf("127.0.0.1/0/%d", port), "bind(127.0.0.1): address already in use"},
		{"0/0/1 0/0/2", "Illegal option: 0/0/2"},
		{"-b middle 0/0/1", "expecting \"big\" or \"little\""},
		{"-z10", "Compression level must be between 0 and 9"},
		{"-S61", "Stat interval must be between 0 and 60."},
		{"-Vfive", "Version scan failed"},
		{"no..host/0", "no..host: unknown host"},
		{"-V9 127.0.0.1/0/0", "Unsupported d_version 9\nflow-receive: Unsupported record type\nflow-receive: ftio_set_ver(): failed"},
		{"-o /no/such/file 127.0.0.1/0/0", "open(/no/such/file): no such file or directory"},
	} {
		var stderr bytes.Buffer
		code := cli.Exec(context.Background(), Spec(), &cli.Env{Stderr: &stderr}, append([]string{"flow-receive"}, strings.Fields(tc.args)...))
		if code != 1 || !strings.Contains(stderr.String(), "flow-receive: "+tc.want) {
			t.Errorf("%s: status %d: %s", tc.args, code, &stderr)
		}
	}
}

func TestVersionsMix(t *testing.T) {
	r := start(t, "-V1005")
	for i, e := range []uint16{1, 5, 6, 7} {
		r.send(capturetest.PDU(flow.Version{Export: e}, i+1, 0))
	}
	if code := r.stop(); code != 0 {
		t.Errorf("status %d", code)
	}
	h, records := read(t, r.stdout.Bytes())
	l := flowtest.Layout(1005, 0)
	if h.Version.Export != 1005 || len(records) != 10*l.Size {
		t.Errorf("version %v, %d octets", h.Version, len(records))
	}
}
