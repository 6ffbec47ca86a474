package flowdscan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
)

// scan returns version 5 flows of one source to n destinations and to n ports
// of another one.
func scan(n int) []byte {
	l := flowtest.Layout(5, 0)
	b := &flow.Batch{Layout: l}
	clear(b.Extend(2 * n))
	for i := range 2 * n {
		for f, v := range map[flow.Field]uint64{
			flow.UnixSecs: 1500000000, flow.SrcAddr: 0x0a000001, flow.DstAddr: 0x0b000000 + uint64(i), flow.DstPort: 5000, flow.Prot: 6,
			flow.Input: 1, flow.Output: 2, flow.DPkts: 10, flow.DOctets: 1000, flow.Last: 500,
		} {
			l.PutUint(b.At(i), f, v)
		}
		if i >= n {
			l.PutUint(b.At(i), flow.SrcAddr, 0x0a000002)
			l.PutUint(b.At(i), flow.DstAddr, 0x0c000000)
			l.PutUint(b.At(i), flow.DstPort, uint64(i-n))
		}
	}
	return flowtest.Stream(b)
}

// installed has empty suppress lists.
func installed(t *testing.T) tooltest.World {
	return tooltest.Installed(t, map[string]string{"dscan.suppress.src": "", "dscan.suppress.dst": ""}).Reads(scan(70))
}

const (
	loads = "flow-dscan: load_suppress 0\nflow-dscan: load_suppress 1\n"
	host  = "flow-dscan: host scan: ip=10.0.0.1 ts=1500000000 start=0714.02:40:00.0   \n"
	port  = "flow-dscan: port scan: src=10.0.0.2 dst=12.0.0.0 ts=1500000000 start=0714.02:40:00.0   \n"
)

func TestOptions(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"-b", port},
		{"-b -D 69", host + port},
		{"-b -D 70", port},
		{"-b -D 5x -D word", host + port},
		{"-b -D -1", port},
		{"-b -S 71", ""},
		{"-b -S 1", port},
		{"-b -S 64 -S none", port},
		{"-b -i 1 -D 5", host + port},
		{"-b -i 2-5 -D 5", ""},
		{"-b -i !1 -D 5", ""},
		{"-b -I 0,2 -D 5", host + port},
		{"-b -I 3 -D 5", ""},
		{"-b -W -D 5", host + port},
		{"-b -m -w -t 0 -O 0 -P 0 -T 0", port},
		{"-b -B -b", port},
		{"-b -O 1000 -P 10 -T 500", port},
	} {
		r := installed(t).Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		if r.Code != 0 || len(r.Out) != 0 || r.Err != loads+tc.want {
			t.Errorf("%s: %v", tc.args, r)
		}
	}
	for _, args := range []string{"-b -O 999", "-b -P 9", "-b -T 499"} {
		r := installed(t).Run(t.Context(), Spec(), strings.Fields(args)...)
		if got := strings.Count(r.Err, "10.0.0."); r.Code != 0 || got != 140+1 || strings.Count(r.Err, "SrcIPaddress") != 1 { // all flows, and the port scan
			t.Errorf("%s: status %d, %d lines", args, r.Code, got)
		}
	}
}

// What goes wrong is found in this order, and each ends the program.
func TestOrderOfEvents(t *testing.T) {
	w := tooltest.World{Dir: t.TempDir()}
	step := func(want string, args ...string) {
		t.Helper()
		r := w.Run(t.Context(), Spec(), append([]string{"-b", "-l", "-s", "st", "-L", "sup"}, args...)...)
		if r.Code != 1 || len(r.Out) != 0 || r.Err != want {
			t.Errorf("status %d\n%swant\n%s", r.Code, r.Err, want)
		}
	}
	write := func(name, text string) { tooltest.Write(t, w.Dir, map[string][]byte{name: []byte(text)}) }

	bad := w.Run(t.Context(), Spec(), "-i", "65536", "stray")
	if bad.Code != 1 || !strings.HasSuffix(bad.Err, "load_lookup(): failed\n") {
		t.Error(bad)
	}
	step("flow-dscan: Extra arguments starting with stray.\n", "stray")
	step("flow-dscan: fopen(st): failed\n")
	write("st", "X")
	step("flow-dscan: Unknown record type: X\nflow-dscan: load_state(): failed\n")
	write("st", ".\n")
	step("flow-dscan: load_suppress 0\nflow-dscan: fopen(sup.src): failed\n")
	write("sup.src", "")
	step("flow-dscan: load_suppress 0\nflow-dscan: load_suppress 1\nflow-dscan: fopen(sup.dst): failed\n")
	write("sup.dst", "")
	step(loads + "flow-dscan: ftiheader_read(): Warning, short read while loading header top.\nflow-dscan: ftiheader_read(): failed\nflow-dscan: ftio_init(): failed\n")
	w = w.Reads(flowtest.Stream(flowtest.Random(flowtest.Layout(1005, 0), 1, 1)))
	step(loads + "flow-dscan: Export version 1005 not supported by format\nflow-dscan: Unsupported export version\n")
	w = w.Reads(flowtest.Stream(flowtest.Random(flowtest.Layout(8, 8), 1, 1)))
	step(loads + "flow-dscan: Export version 8 not supported by format\nflow-dscan: Unsupported export version\n")
	for _, version := range []uint16{1, 5, 6, 7} {
		w = w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(version, 0), 10, 1)))
		if r := w.Run(t.Context(), Spec(), "-b", "-L", "sup"); r.Code != 0 || r.Err != loads {
			t.Error(r)
		}
	}
}

// The state of one run is where the next goes on.
func TestState(t *testing.T) {
	w := installed(t)
	state := func() string {
		p, err := os.ReadFile(filepath.Join(w.Dir, "st"))
		if err != nil {
			t.Fatal(err)
		}
		return string(p)
	}
	if r := w.Reads(scan(3)).Run(t.Context(), Spec(), "-b", "-p", "-s", "st"); r.Code != 0 || r.Err != loads {
		t.Fatal(r)
	}
	first := "H 2561 3 0 10.0.0.1\nI  1 11.0.0.0\nI  2 11.0.0.1\nI  3 11.0.0.2\nH 2562 1 0 10.0.0.2\nI  6 12.0.0.0\nP 3 0 1 2\n.\n"
	if state() != first {
		t.Errorf("%s", state())
	}
	r := w.Reads(scan(5)).Run(t.Context(), Spec(), "-b", "-l", "-p", "-s", "st", "-D", "4", "-S", "5")
	if r.Code != 0 || r.Err != loads+host+port {
		t.Error(r)
	}
	if want := "H 2561 0 1 10.0.0.1\nH 2562 1 2 10.0.0.2\nI  10 12.0.0.0\n.\n"; state() != want {
		t.Errorf("%s", state())
	}
	// A state file that cannot be written is reported and no more.
	if r := w.Run(t.Context(), Spec(), "-b", "-p", "-s", "no/such/st"); r.Code != 0 || !strings.HasSuffix(r.Err, "flow-dscan: fopen(no/such/st): failed\n") {
		t.Error(r)
	}
}

func TestSuppress(t *testing.T) {
	w := installed(t)
	tooltest.Write(t, w.Dir, map[string][]byte{"sup.src": []byte("10.0.0.1 - - -\n"), "sup.dst": []byte("short\n")})
	r := w.Run(t.Context(), Spec(), "-b", "-L", "sup", "-D", "5")
	if want := loads + "flow-dscan: suppress parser: syntax error: short\n\n" + port; r.Code != 0 || r.Err != want {
		t.Error(r)
	}
}

// Damaged input is a warning and the end.
func TestDamage(t *testing.T) {
	stream := scan(70)
	r := installed(t).Reads(stream[:len(stream)-1]).Run(t.Context(), Spec(), "-b", "-d1")
	if r.Code != 0 || !strings.Contains(r.Err, "partial record") || !strings.Contains(r.Err, "flow-dscan: processed 139 flows\n") {
		t.Error(r)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"-h", "-?", "-Q", "-L"} {
		if r := installed(t).Run(t.Context(), Spec(), args); r.Code != 1 || len(r.Out) != 0 || !strings.Contains(r.Err, "Usage: flow-dscan") {
			t.Errorf("%s: %v", args, r)
		}
	}
}
