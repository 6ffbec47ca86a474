package flowprint

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/internal/print"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
)

// run runs the tool; stdout nil keeps what it writes.
func run(t testing.TB, stdin io.Reader, stdout io.Writer, env map[string]string, args ...string) tooltest.Result {
	t.Helper()
	return tooltest.World{Stdin: stdin, Out: stdout, Env: env}.Run(t.Context(), Spec(), args...)
}

// stream is a stream of version v with records of the given packet counts.
func stream(v flow.Version, pkts ...uint64) *bytes.Buffer {
	return bytes.NewBuffer(flowtest.Stream(flowtest.Column(flowtest.Layout(v.Export, v.Agg), flow.DPkts, pkts...)))
}

// TestNames repeats what the original printed with our symbol files: commands
// and lines 2 to 5 of their output.
func TestNames(t *testing.T) {
	text, err := os.ReadFile("testdata/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split("\n"+string(text), "\n$ ")[1:]
	if len(cases) != 18 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		command, want, _ := strings.Cut(c, "\n")
		words := strings.Fields(command)
		t.Run(words[1], func(t *testing.T) {
			in, err := os.Open("testdata/" + words[3])
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			got := run(t, in, nil, map[string]string{"FLOW_TOOLS_SYSCONFDIR": "testdata"}, words[1])
			if got.Code != 0 || got.Err != strings.Repeat("Ignoring bogus flow dPkts=0\n", 2*strings.Count(words[1], "24")) {
				t.Errorf("status %d, messages %q", got.Code, got.Err)
			}
			lines := strings.SplitAfter(string(got.Out), "\n")
			if diff := cmp.Diff(strings.TrimSuffix(want, "\n"), strings.TrimSuffix(strings.Join(lines[1:5], ""), "\n")); diff != "" {
				t.Errorf("%s (-want +got)\n%s", command, diff)
			}
		})
	}
}

// TestNamesMissing: without the files numbers are printed, and the status stays.
func TestNamesMissing(t *testing.T) {
	env := map[string]string{"FLOW_TOOLS_SYSCONFDIR": t.TempDir()}
	plain := run(t, stream(flow.Version{Export: 5}, 1, 2), nil, env, "-f3")
	got := run(t, stream(flow.Version{Export: 5}, 1, 2), nil, env, "-nf3")
	if string(got.Out) != string(plain.Out) || got.Code != 0 {
		t.Errorf("status %d, output\n%s", got.Code, got.Out)
	}
	for _, file := range []string{"tcp-port.sym", "ip-prot.sym"} {
		if strings.Count(got.Err, file) != 1 {
			t.Errorf("messages %q", got.Err)
		}
	}
	if strings.Contains(got.Err, "asn") || strings.Contains(got.Err, "tag") {
		t.Errorf("tables of no use to the format: %q", got.Err)
	}
}

func TestStatus(t *testing.T) {
	v5, v81 := flow.Version{Export: 5}, flow.Version{Export: 8, Agg: 1}
	const missing = "flow-print: Flow record missing required field for format.\n"
	for _, c := range []struct {
		name   string
		v      flow.Version
		argv   []string
		status int
		stderr string
	}{
		{"default", v5, nil, 0, ""},
		{"missing fields", v81, []string{"-f5"}, 255, missing},
		{"missing fields, header", v81, []string{"-pf5"}, 255, missing},
		{"no such format", v5, []string{"-f25"}, 1, "flow-print: No such format, 25\n"},
		{"negative format", v5, []string{"-f", "-1"}, 1, "flow-print: No such format, -1\n"},
		{"wrapping format", v5, []string{"-f", "4294967296"}, 0, ""},
		{"operand", v5, []string{"-f99", "x"}, 1, "flow-print: Extra arguments starting with x.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := run(t, stream(c.v, 1), nil, nil, c.argv...)
			if got.Code != c.status || got.Err != c.stderr {
				t.Errorf("status %d, want %d; messages %q, want %q", got.Code, c.status, got.Err, c.stderr)
			}
			if lines := strings.Count(string(got.Out), "\n"); c.status == 1 && lines != 0 || c.name == "missing fields" && lines != 0 {
				t.Errorf("output %q", got.Out)
			}
			if c.name == "missing fields, header" && !strings.HasPrefix(string(got.Out), "#\n# mode:                 streaming\n") {
				t.Errorf("output %q", got.Out)
			}
		})
	}
}

// recorder keeps the writes apart.
type recorder struct{ writes []string }

func (r *recorder) Write(p []byte) (int, error) {
	r.writes = append(r.writes, string(p))
	return len(p), nil
}

// TestWrites: one write a record with -l; without it what came in together goes
// out together, and at once.
func TestWrites(t *testing.T) {
	v := flow.Version{Export: 5}
	each, joint := &recorder{}, &recorder{}
	if got := run(t, stream(v, 1, 2, 3), each, nil, "-l", "-f6"); got.Code != 0 {
		t.Fatal(got)
	}
	if got := run(t, stream(v, 1, 2, 3), joint, nil, "-f6"); got.Code != 0 {
		t.Fatal(got)
	}
	if len(each.writes) != 4 {
		t.Errorf("with -l: %q", each.writes)
	}
	if len(joint.writes) != 1 || joint.writes[0] != strings.Join(each.writes, "") {
		t.Errorf("without -l: %q", joint.writes)
	}

	// A live pipe: the first record comes out while the second is still to come.
	data := stream(v, 1, 2).Bytes()
	r, w := io.Pipe()
	out, outw := io.Pipe()
	done := make(chan tooltest.Result, 1)
	go func() {
		done <- run(t, r, outw, nil, "-f6")
		outw.Close()
	}()
	write := func(p []byte) {
		if _, err := w.Write(p); err != nil {
			t.Error(err)
		}
	}
	go write(data[:len(data)-64])
	buf := make([]byte, 4096)
	text := ""
	for strings.Count(text, "\n") < 2 {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		text += string(buf[:n])
	}
	go func() {
		write(data[len(data)-64:])
		w.Close()
	}()
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(joint.writes[0][:len(text)+len(rest)], text+string(rest)); diff != "" {
		t.Error(diff)
	}
	if got := <-done; got.Code != 0 {
		t.Error(got)
	}
}

func TestOutputFails(t *testing.T) {
	for _, c := range []struct {
		argv  []string
		after int
	}{{[]string{"-f5"}, 0}, {[]string{"-lf5"}, 0}, {[]string{"-lf5"}, 1}} {
		got := run(t, stream(flow.Version{Export: 5}, 1, 2, 3), &tooltest.Full{After: c.after}, nil, c.argv...)
		if got.Code != 0 || got.Err != "flow-print: write(): no space left on device\n" {
			t.Errorf("%v: %+v", c.argv, got)
		}
	}
	got := run(t, stream(flow.Version{Export: 8, Agg: 1}, 1), &tooltest.Full{}, nil, "-pf5")
	if got.Code != 255 || !strings.HasPrefix(got.Err, "flow-print: write(): no space left on device\n") {
		t.Errorf("%+v", got)
	}
}

// broken fails behind what it holds.
type broken struct{ io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = syscall.EIO
	}
	return n, err
}

func TestDamage(t *testing.T) {
	whole := run(t, stream(flow.Version{Export: 5}, 1, 2, 3), nil, nil, "-f6")
	for name, in := range map[string]io.Reader{
		"cut":        io.LimitReader(stream(flow.Version{Export: 5}, 1, 2, 3, 4), int64(stream(flow.Version{Export: 5}, 1, 2, 3).Len()+7)),
		"read error": broken{stream(flow.Version{Export: 5}, 1, 2, 3)},
	} {
		got := run(t, in, nil, nil, "-f6")
		if got.Code != 0 || got.Err == "" {
			t.Errorf("%s: status %d, messages %q", name, got.Code, got.Err)
		}
		if diff := cmp.Diff(string(whole.Out), string(got.Out)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestProfile(t *testing.T) {
	got := run(t, stream(flow.Version{Export: 5}, 1, 2, 3), nil, nil, "-d1")
	if !strings.HasPrefix(got.Err, "flow-print: processed 3 flows\n  sys: seconds=") {
		t.Errorf("messages %q", got.Err)
	}
}

// TestDefaults: every version has its default format.
func TestDefaults(t *testing.T) {
	for _, v := range flow.Versions() {
		got := run(t, stream(v, 1), nil, nil)
		f, err := print.Lookup(print.Default(v))
		if err != nil {
			t.Fatal(err)
		}
		l, err := flow.LayoutOf(v)
		if err != nil {
			t.Fatal(err)
		}
		if want := f.Rows(l, print.Options{}).Heading(); got.Code != 0 || !strings.HasPrefix(string(got.Out), want) {
			t.Errorf("version %v: %+v", v, got)
		}
	}
}

func BenchmarkFlowPrint(b *testing.B) {
	pkts := make([]uint64, 100_000)
	for i := range pkts {
		pkts[i] = uint64(i)
	}
	data := stream(flow.Version{Export: 5}, pkts...).Bytes()
	for _, format := range []string{"-f0", "-f1", "-f3", "-f5"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := run(b, bytes.NewReader(data), io.Discard, nil, format); got.Code != 0 {
					b.Fatal(got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(pkts)), "ns/record")
		})
	}
}
