package flowprint

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/print"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// result is what a run leaves behind.
type result struct {
	stdout, stderr string
	status         int
}

// run runs the tool in this process.
func run(stdin io.Reader, stdout io.Writer, env map[string]string, argv ...string) result {
	var out, msg bytes.Buffer
	if stdout == nil {
		stdout = &out
	}
	e := &cli.Env{Stdin: stdin, Stdout: stdout, Stderr: &msg, LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	status := cli.Exec(context.Background(), Spec(), e, append([]string{"/usr/bin/flow-print"}, argv...))
	return result{out.String(), msg.String(), status}
}

// stream is a stream of version v with records of the given packet counts.
func stream(t testing.TB, v flow.Version, pkts ...uint64) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	w, err := ftfile.NewWriter(&buf, ftfile.NewHeader(v, ftfile.FlagStreaming))
	if err != nil {
		t.Fatal(err)
	}
	l, err := flow.LayoutOf(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range pkts {
		r := make(flow.Record, l.Size)
		l.PutUint(r, flow.DPkts, n)
		if err := w.WriteRecord(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &buf
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
			got := run(in, nil, map[string]string{"FLOW_TOOLS_SYSCONFDIR": "testdata"}, words[1])
			if got.status != 0 || got.stderr != strings.Repeat("Ignoring bogus flow dPkts=0\n", 2*strings.Count(words[1], "24")) {
				t.Errorf("status %d, messages %q", got.status, got.stderr)
			}
			lines := strings.SplitAfter(got.stdout, "\n")
			if diff := cmp.Diff(strings.TrimSuffix(want, "\n"), strings.TrimSuffix(strings.Join(lines[1:5], ""), "\n")); diff != "" {
				t.Errorf("%s (-want +got)\n%s", command, diff)
			}
		})
	}
}

// TestNamesMissing: without the files numbers are printed, and the status stays.
func TestNamesMissing(t *testing.T) {
	env := map[string]string{"FLOW_TOOLS_SYSCONFDIR": t.TempDir()}
	plain := run(stream(t, flow.Version{Export: 5}, 1, 2), nil, env, "-f3")
	got := run(stream(t, flow.Version{Export: 5}, 1, 2), nil, env, "-nf3")
	if got.stdout != plain.stdout || got.status != 0 {
		t.Errorf("status %d, output\n%s", got.status, got.stdout)
	}
	for _, file := range []string{"tcp-port.sym", "ip-prot.sym"} {
		if strings.Count(got.stderr, file) != 1 {
			t.Errorf("messages %q", got.stderr)
		}
	}
	if strings.Contains(got.stderr, "asn") || strings.Contains(got.stderr, "tag") {
		t.Errorf("tables of no use to the format: %q", got.stderr)
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
			got := run(stream(t, c.v, 1), nil, nil, c.argv...)
			if got.status != c.status || got.stderr != c.stderr {
				t.Errorf("status %d, want %d; messages %q, want %q", got.status, c.status, got.stderr, c.stderr)
			}
			if lines := strings.Count(got.stdout, "\n"); c.status == 1 && lines != 0 || c.name == "missing fields" && lines != 0 {
				t.Errorf("output %q", got.stdout)
			}
			if c.name == "missing fields, header" && !strings.HasPrefix(got.stdout, "#\n# mode:                 streaming\n") {
				t.Errorf("output %q", got.stdout)
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
	if got := run(stream(t, v, 1, 2, 3), each, nil, "-l", "-f6"); got.status != 0 {
		t.Fatal(got)
	}
	if got := run(stream(t, v, 1, 2, 3), joint, nil, "-f6"); got.status != 0 {
		t.Fatal(got)
	}
	if len(each.writes) != 4 {
		t.Errorf("with -l: %q", each.writes)
	}
	if len(joint.writes) != 1 || joint.writes[0] != strings.Join(each.writes, "") {
		t.Errorf("without -l: %q", joint.writes)
	}

	// A live pipe: the first record comes out while the second is still to come.
	data := stream(t, v, 1, 2).Bytes()
	r, w := io.Pipe()
	out, outw := io.Pipe()
	done := make(chan result, 1)
	go func() {
		done <- run(r, outw, nil, "-f6")
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
	if got := <-done; got.status != 0 {
		t.Error(got)
	}
}

// full is a device without room.
type full struct{ after int }

func (f *full) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, &os.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}
	}
	return len(p), nil
}

func TestOutputFails(t *testing.T) {
	for _, c := range []struct {
		argv  []string
		after int
	}{{[]string{"-f5"}, 0}, {[]string{"-lf5"}, 0}, {[]string{"-lf5"}, 1}} {
		got := run(stream(t, flow.Version{Export: 5}, 1, 2, 3), &full{c.after}, nil, c.argv...)
		if got.status != 0 || got.stderr != "flow-print: write(): no space left on device\n" {
			t.Errorf("%v: %+v", c.argv, got)
		}
	}
	got := run(stream(t, flow.Version{Export: 8, Agg: 1}, 1), &full{}, nil, "-pf5")
	if got.status != 255 || !strings.HasPrefix(got.stderr, "flow-print: write(): no space left on device\n") {
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
	whole := run(stream(t, flow.Version{Export: 5}, 1, 2, 3), nil, nil, "-f6")
	for name, in := range map[string]io.Reader{
		"cut":        io.LimitReader(stream(t, flow.Version{Export: 5}, 1, 2, 3, 4), int64(stream(t, flow.Version{Export: 5}, 1, 2, 3).Len()+7)),
		"read error": broken{stream(t, flow.Version{Export: 5}, 1, 2, 3)},
	} {
		got := run(in, nil, nil, "-f6")
		if got.status != 0 || got.stderr == "" {
			t.Errorf("%s: status %d, messages %q", name, got.status, got.stderr)
		}
		if diff := cmp.Diff(whole.stdout, got.stdout); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestProfile(t *testing.T) {
	got := run(stream(t, flow.Version{Export: 5}, 1, 2, 3), nil, nil, "-d1")
	if !strings.HasPrefix(got.stderr, "/usr/bin/flow-print: processed 3 flows\n  sys: seconds=") {
		t.Errorf("messages %q", got.stderr)
	}
}

// TestDefaults: every version has its default format.
func TestDefaults(t *testing.T) {
	for _, v := range flow.Versions() {
		got := run(stream(t, v, 1), nil, nil)
		f, err := print.Lookup(print.Default(v))
		if err != nil {
			t.Fatal(err)
		}
		l, err := flow.LayoutOf(v)
		if err != nil {
			t.Fatal(err)
		}
		if want := f.Rows(l, print.Options{}).Heading(); got.status != 0 || !strings.HasPrefix(got.stdout, want) {
			t.Errorf("version %v: %+v", v, got)
		}
	}
}

func BenchmarkFlowPrint(b *testing.B) {
	pkts := make([]uint64, 100_000)
	for i := range pkts {
		pkts[i] = uint64(i)
	}
	data := stream(b, flow.Version{Export: 5}, pkts...).Bytes()
	for _, format := range []string{"-f0", "-f1", "-f3", "-f5"} {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := run(bytes.NewReader(data), io.Discard, nil, format); got.status != 0 {
					b.Fatal(got)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(pkts)), "ns/record")
		})
	}
}
