package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sample is a tool with one of each kind of option. What happened is left in its fields.
type sample struct {
	format, verbose int
	wide            bool
	comment, file   string
	order           []string
	err             error // returned by run
	args            []string
	ran             bool
}

func (s *sample) spec() *Spec {
	return &Spec{
		Name:      "flow-sample",
		Summary:   "do nothing in particular",
		HelpExit:  3,
		UsageExit: 4,
		Flags: []Flag{
			Int('f', "format", "n", &s.format, "format"),
			Bool('w', "wide", &s.wide, "wide layout"),
			Text('C', "", "comment", &s.comment, "comment"),
			File('o', "output", "file", &s.file, "output file"),
			Count('v', "verbose", &s.verbose, "say more"),
			Func('m', "mask", "mask", func(v string) error {
				s.order = append(s.order, v)
				if v == "bad" {
					return errors.New("bad mask")
				}
				if v == "worse" {
					return Fail(9, "worse mask %q", v)
				}
				return nil
			}, "mask"),
			Func(0, "strict", "", func(v string) error { s.order = append(s.order, "strict"+v); return nil }, "be strict"),
			Refused('i', "x"),
		},
		Run: func(_ context.Context, env *Env) error {
			s.ran, s.args = true, env.Args
			return s.err
		},
	}
}

// result is what a run left.
type result struct {
	Code     int
	Out, Err string
}

func execute(s *Spec, env *Env, args ...string) result {
	var out, errs bytes.Buffer
	if env == nil {
		env = &Env{}
	}
	env.Stdout, env.Stderr = &out, &errs
	code := Exec(context.Background(), s, env, append([]string{"/opt/bin/" + s.Name}, args...))
	return result{code, out.String(), errs.String()}
}

func TestOptionsActInOrder(t *testing.T) {
	const usage = "<usage>"
	for _, c := range []struct {
		args string
		code int
		err  string // usage text replaced by <usage>
		ran  bool
	}{
		{"", 0, "", true},
		{"-wf5", 0, "", true},
		{"-h", 3, usage, false},
		{"-Q", 4, "/opt/bin/flow-sample: invalid option -- 'Q'\n" + usage, false},
		{"-?", 4, "/opt/bin/flow-sample: invalid option -- '?'\n" + usage, false},
		{"-f", 4, "/opt/bin/flow-sample: option requires an argument -- 'f'\n" + usage, false},
		{"--nonsense", 4, "/opt/bin/flow-sample: invalid option -- '-'\n" + usage, false},
		{"--fromat=3", 4, "/opt/bin/flow-sample: invalid option -- '-'\nflow-sample: did you mean --format?\n" + usage, false},
		{"--mask", 4, "/opt/bin/flow-sample: option '--mask' requires an argument\n" + usage, false},
		{"--wide=1", 4, "/opt/bin/flow-sample: option '--wide' doesn't allow an argument\n" + usage, false},
		{"--ver", 4, "/opt/bin/flow-sample: option '--ver' is ambiguous\n" + usage, false},
		{"--help", 4, usage, false},
		{"-m bad", 1, "flow-sample: bad mask\n", false},
		{"-mworse", 9, "flow-sample: worse mask \"worse\"\n", false},
		{"-m bad -h", 1, "flow-sample: bad mask\n", false},
		{"-h -m bad", 3, usage, false},
		{"-m bad -Q", 1, "flow-sample: bad mask\n", false},
		{"-Q -m bad", 4, "/opt/bin/flow-sample: invalid option -- 'Q'\n" + usage, false},
		{"stray", 1, "flow-sample: Extra arguments starting with stray.\n", false},
		{"stray other -m bad", 1, "flow-sample: bad mask\n", false},
		{"stray -h", 3, usage, false},
		{"-", 1, "flow-sample: Extra arguments starting with -.\n", false},
		{"-- -f5", 1, "flow-sample: Extra arguments starting with -f5.\n", false},
		{"help", 1, "flow-sample: Extra arguments starting with help.\n", false},
		{"-w -i x", 1, usage, false},
		{"-i", 4, "/opt/bin/flow-sample: option requires an argument -- 'i'\n" + usage, false},
	} {
		var s sample
		spec := s.spec()
		got := execute(spec, nil, strings.Fields(c.args)...)
		for _, what := range []helpKind{fullHelp, shortHelp, badUsage} {
			if text := spec.help(what); strings.HasSuffix(got.Err, text) {
				got.Err = strings.TrimSuffix(got.Err, text) + usage
				break
			}
		}
		if diff := cmp.Diff(result{c.code, "", c.err}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
		if s.ran != c.ran {
			t.Errorf("%s: ran %t", c.args, s.ran)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		args string
		want sample
	}{
		{"-f5w", sample{format: 5}},
		{"-f 99999999999", sample{format: 1215752191}},
		{"-f abc", sample{}},
		{"-f -7x", sample{format: -7}},
		{"-f=5", sample{}},
		{"--format=5", sample{format: 5}},
		{"-f5 --format 6 -f7", sample{format: 7}},
		{"-C -z9", sample{comment: "-z9"}},
		{"-C--", sample{comment: "--"}},
		{"-vwv --verbose", sample{verbose: 3, wide: true}},
		{"-o a,b --output=c,d", sample{file: "c,d"}},
		{"-m 1,2 --strict -m0x30 -m1,2", sample{order: []string{"1,2", "strict", "0x30", "1,2"}}},
	} {
		var s sample
		if got := execute(s.spec(), nil, strings.Fields(c.args)...); got != (result{}) {
			t.Errorf("%s: %+v", c.args, got)
		}
		c.want.ran = true
		if diff := cmp.Diff(c.want, s, cmp.AllowUnexported(sample{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
	}
}

func TestOperands(t *testing.T) {
	var s sample
	spec := s.spec()
	spec.MaxOperands = -1
	env := &Env{}
	execute(spec, env, "b", "-f", "5", "help", "-w", "--", "-w", "f")
	if diff := cmp.Diff([]string{"b", "help", "-w", "f"}, s.args); diff != "" {
		t.Errorf("operands (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/opt/bin/flow-sample", "-f", "5", "-w", "--", "b", "help", "-w", "f"}, env.Argv); diff != "" {
		t.Errorf("Argv (-want +got):\n%s", diff)
	}
	if env.Prog != "flow-sample" || env.Arg0 != "/opt/bin/flow-sample" {
		t.Errorf("Prog %q, Arg0 %q", env.Prog, env.Arg0)
	}

	spec.MaxOperands = 1
	if got := execute(spec, nil, "a", "b", "c"); got != (result{1, "", "flow-sample: Extra arguments starting with b.\n"}) {
		t.Errorf("two operands where one is allowed: %+v", got)
	}

	posix := &Env{LookupEnv: func(name string) (string, bool) { return "", name == "POSIXLY_CORRECT" }}
	spec.MaxOperands = -1
	execute(spec, posix, "-f1", "a", "-w")
	if diff := cmp.Diff([]string{"a", "-w"}, s.args); diff != "" {
		t.Errorf("POSIXLY_CORRECT (-want +got):\n%s", diff)
	}
	spec.PyGetopt = true
	execute(spec, nil, "-f1", "a", "-w")
	if diff := cmp.Diff([]string{"a", "-w"}, s.args); diff != "" {
		t.Errorf("PyGetopt (-want +got):\n%s", diff)
	}
}

func TestPersistent(t *testing.T) {
	for _, c := range []struct {
		args string
		code int
		err  string
	}{
		{"-h", 0, "1"},
		{"-hh", 0, "12"},
		{"-h -h -h", 0, "122"},
		{"--help -h", 0, "12"},
		{"-Q -f", 0, "Q1f2"},
		{"--zz", 0, "-1z2z2"},
		{"-h -m bad", 1, "1bad mask"},
		{"-h stray", 1, "1Extra arguments starting with stray."},
		{"-h -f5", 0, "1"},
	} {
		var s sample
		spec := s.spec()
		spec.HelpExit, spec.UsageExit, spec.Persistent = 0, 0, true
		spec.MoreHelp = func(w io.Writer) { fmt.Fprint(w, "2") }
		got := execute(spec, nil, strings.Fields(c.args)...)
		text := got.Err
		for _, what := range []helpKind{fullHelp, shortHelp, badUsage} {
			text = strings.ReplaceAll(text, spec.help(what), "1")
		}
		text = strings.NewReplacer("/opt/bin/", "", "flow-sample: ", "", "invalid option -- '", "", "option requires an argument -- '", "", "'\n", "", "\n", "").Replace(text)
		if got.Code != c.code || text != c.err || got.Out != "" || s.ran {
			t.Errorf("%s: status %d, %q, stdout %q, ran %t; want %d, %q", c.args, got.Code, text, got.Out, s.ran, c.code, c.err)
		}
	}
}

func TestProbeStyle(t *testing.T) {
	var s sample
	spec := s.spec()
	spec.HelpExit, spec.UsageExit, spec.Stdout, spec.Once, spec.BadOption = 0, 0, true, true, "Wrong parameters"
	for _, c := range []struct {
		args string
		out  string
		err  string
	}{
		{"-h", spec.help(shortHelp), ""},
		{"-Q", spec.help(badUsage), "Wrong parameters\n"},
		{"-f", spec.help(badUsage), "Wrong parameters\n"},
		{"-f1 -w -f2", spec.help(badUsage), "Option `-f': repeat not allowed\n"},
		{"-vv", "", ""},
	} {
		if diff := cmp.Diff(result{0, c.out, c.err}, execute(spec, nil, strings.Fields(c.args)...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
	}
}

func TestScriptStyle(t *testing.T) {
	var s sample
	spec := s.spec()
	spec.HelpExit, spec.UsageExit, spec.HelpStdout = 0, 1, true
	spec.Usage = []string{"[-hw] [-f format]", "[-m mask]"}
	usage := "Usage: flow-sample [-hw] [-f format]\n                   [-m mask]\n"
	if diff := cmp.Diff(result{0, usage, ""}, execute(spec, nil, "-h")); diff != "" {
		t.Errorf("-h (-want +got):\n%s", diff)
	}
	for _, args := range []string{"-Q", "-Q -h", "-w -f"} {
		if got := execute(spec, nil, strings.Fields(args)...); got.Code != 1 || got.Out != "" || !strings.Contains(got.Err, usage) {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if got := execute(spec, nil, "-h", "-Q"); got.Code != 0 {
		t.Errorf("-h -Q: %+v", got)
	}

	// Python's getopt looks at the whole line before anything acts on it.
	spec.PyGetopt = true
	for _, args := range []string{"-h -Q", "-hQ", "-h -f", "-m bad -Q"} {
		if got := execute(spec, nil, strings.Fields(args)...); got.Code != 1 || got.Out != "" || !strings.Contains(got.Err, usage) {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if got := execute(spec, nil, "-h", "a", "-Q"); got.Code != 0 || got.Out != usage {
		t.Errorf("-h a -Q: %+v", got)
	}
}

func TestNoHelp(t *testing.T) {
	var s sample
	spec := s.spec()
	spec.NoHelp = true
	got := execute(spec, nil, "-h")
	if want := (result{4, "", "/opt/bin/flow-sample: invalid option -- 'h'\n" + spec.help(badUsage)}); got != want {
		t.Errorf("-h: %+v, want %+v", got, want)
	}
}

func TestOwnHelpLetter(t *testing.T) {
	hours := 0
	s := &Spec{Name: "flow-x", Flags: []Flag{Int('h', "hours", "n", &hours, "hours")},
		Run: func(context.Context, *Env) error { return nil }}
	if got := execute(s, nil, "-h5"); got != (result{}) || hours != 5 {
		t.Errorf("%+v, hours %d", got, hours)
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("ftiheader_read(): short")
	for _, c := range []struct {
		name string
		err  error
		code int
		text string
	}{
		{"nil", nil, 0, ""},
		{"plain", cause, 1, "flow-sample: ftiheader_read(): short\n"},
		{"fail", Fail(255, "field %d", 3), 255, "flow-sample: field 3\n"},
		{"fail 0", Fail(0, "enough"), 0, "flow-sample: enough\n"},
		{"silent", Fail(2, ""), 2, ""},
		{"wrapped", fmt.Errorf("a: %w", Fail(7, "b: %w", cause)), 7, "flow-sample: a: b: ftiheader_read(): short\n"},
		{"chain", errors.Join(cause, errors.New("ftio_init(): failed")), 1, "flow-sample: ftiheader_read(): short\nflow-sample: ftio_init(): failed\n"},
		{"chain with status", errors.Join(cause, Fail(5, "ftio_init(): failed")), 5, "flow-sample: ftiheader_read(): short\nflow-sample: ftio_init(): failed\n"},
		{"chain, silent status", errors.Join(cause, Fail(5, "")), 5, "flow-sample: ftiheader_read(): short\n"},
		{"long", errors.New(strings.Repeat("x", 5000)), 1, "flow-sample: " + strings.Repeat("x", 1000) + "\n"},
	} {
		s := sample{err: c.err}
		if diff := cmp.Diff(result{c.code, "", c.text}, execute(s.spec(), nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if !errors.Is(Fail(3, "x: %w", cause), cause) {
		t.Error("Fail hides its cause")
	}
	s := sample{err: Usage(6)}
	spec := s.spec()
	if diff := cmp.Diff(result{6, "", spec.help(badUsage)}, execute(spec, nil)); diff != "" {
		t.Errorf("Usage (-want +got):\n%s", diff)
	}
	s.err = errors.Join(cause, Usage(6))
	if diff := cmp.Diff(result{6, "", "flow-sample: ftiheader_read(): short\n" + spec.help(badUsage)}, execute(spec, nil)); diff != "" {
		t.Errorf("Usage with a message (-want +got):\n%s", diff)
	}
}

func TestLog(t *testing.T) {
	var logged []string
	s := &Spec{Name: "flow-d", Run: func(_ context.Context, env *Env) error {
		env.Warn("first %d", 1)
		env.Log = func(text string) { logged = append(logged, text) }
		env.Warn("second")
		return errors.New("third")
	}}
	if diff := cmp.Diff(result{1, "", "flow-d: first 1\n"}, execute(s, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"second", "third"}, logged); diff != "" {
		t.Errorf("logged (-want +got):\n%s", diff)
	}
}

// brokenWriter fails every write.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestTextOutput(t *testing.T) {
	s := &Spec{Name: "flow-t", Run: func(_ context.Context, env *Env) error {
		fmt.Fprint(env.Text(), "some")
		return Fail(2, "failed")
	}}
	if diff := cmp.Diff(result{2, "some", "flow-t: failed\n"}, execute(s, nil)); diff != "" {
		t.Errorf("text before a failure (-want +got):\n%s", diff)
	}
	s.Run = func(_ context.Context, env *Env) error { _, err := fmt.Fprint(env.Text(), "some"); return err }
	var errs bytes.Buffer
	code := Exec(context.Background(), s, &Env{Stdout: brokenWriter{}, Stderr: &errs}, []string{"flow-t"})
	if code != 1 || errs.String() != "flow-t: no space left on device\n" {
		t.Errorf("full device: status %d, %q", code, errs.String())
	}
	code = Exec(context.Background(), s, &Env{Stdout: brokenWriter{}, Stderr: &errs}, []string{"flow-t", "--man"})
	if code != 1 {
		t.Errorf("--man on a full device: status %d", code)
	}
}

func TestZeroEnv(t *testing.T) {
	s := &Spec{Name: "flow-z", Run: func(_ context.Context, env *Env) error {
		b, err := io.ReadAll(env.Stdin)
		if err != nil || len(b) > 0 {
			return fmt.Errorf("stdin: %q, %w", b, err)
		}
		if _, ok := env.LookupEnv("PATH"); ok {
			return errors.New("the environment leaks")
		}
		if env.Prog != "flow-z" || env.Now().IsZero() || env.isTerminal(env.Stderr) {
			return fmt.Errorf("%+v", env)
		}
		m := env.Progress("x", 1)
		if m != nil {
			return errors.New("a meter without terminal")
		}
		m.Add(1)
		m.Done()
		env.Text()
		return nil
	}}
	if code := Exec(context.Background(), s, &Env{}, nil); code != 0 {
		t.Errorf("status %d", code)
	}
}

func TestPath(t *testing.T) {
	for _, c := range [][3]string{{"", "a/b", "a/b"}, {"/tmp/x", "a/b", "/tmp/x/a/b"}, {"/tmp/x", "/a", "/a"}, {"/tmp/x", "", ""}} {
		if got := (&Env{Dir: c[0]}).Path(c[1]); got != c[2] {
			t.Errorf("Path(%q) in %q = %q, want %q", c[1], c[0], got, c[2])
		}
	}
}

func TestProfile(t *testing.T) {
	at := time.Unix(1000, 0)
	s := &Spec{Name: "flow-p", Run: func(_ context.Context, env *Env) error {
		at = at.Add(2500 * time.Millisecond)
		env.Profile(1000)
		return nil
	}}
	got := execute(s, &Env{Now: func() time.Time { return at }})
	lines := strings.Split(got.Err, "\n")
	if len(lines) != 4 || lines[0] != "/opt/bin/flow-p: processed 1000 flows" ||
		!strings.HasPrefix(lines[1], "  sys: seconds=") || !strings.Contains(lines[1], " flows/second=") ||
		lines[2] != "  sys: seconds=2.500 flows/second=400.000000" {
		t.Errorf("%q", got.Err)
	}
}

func TestProgressNeedsTerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer pipe.Close()
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer terminal.Close()
	for _, c := range []struct {
		name     string
		out, err io.Writer
		want     bool
	}{
		{"terminal", file, terminal, true},
		{"terminal, output elsewhere", &bytes.Buffer{}, terminal, true},
		{"terminal and a pipe", pipe, terminal, false},
		{"file", file, file, false},
		{"buffer", file, &bytes.Buffer{}, false},
	} {
		drawn := false
		s := &Spec{Name: "flow-p", Run: func(_ context.Context, env *Env) error {
			drawn = env.Progress("x", 3) != nil
			return nil
		}}
		if code := Exec(context.Background(), s, &Env{Stdout: c.out, Stderr: c.err}, []string{"flow-p"}); code != 0 || drawn != c.want {
			t.Errorf("%s: status %d, drawn %t, want %t", c.name, code, drawn, c.want)
		}
	}
}

func TestMeter(t *testing.T) {
	var out bytes.Buffer
	at := time.Unix(1000, 0)
	meter := func(total int64) *Meter {
		return &Meter{w: &out, now: func() time.Time { return at }, what: "copying", unit: "B", total: total, begun: at, due: at.Add(meterPatience)}
	}
	step := func(m *Meter, after time.Duration, n int64, want string) {
		t.Helper()
		out.Reset()
		at = at.Add(after)
		m.Add(n)
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
	m := meter(4e9)
	step(m, 100*time.Millisecond, 1e8, "")
	m.Done()
	if out.Len() > 0 {
		t.Errorf("a short run draws %q", out.String())
	}
	step(m, 900*time.Millisecond, 9e8, "\rcopying [=====               ] 25% 1.0 GB, 1.0 GB/s, 3 s left\x1b[K")
	step(m, 50*time.Millisecond, 1, "")
	step(m, 950*time.Millisecond, 5e9, "\rcopying [====================] 100% 6.0 GB, 3.0 GB/s, 0 s left\x1b[K")
	out.Reset()
	m.Done()
	m.Done()
	if out.String() != "\r\x1b[K" {
		t.Errorf("Done writes %q", out.String())
	}
	m = meter(-1)
	step(m, 2*time.Second, 1500, "\rcopying 1.5 kB, 750 B/s\x1b[K")
	m = meter(0).Of("flows")
	step(m, 2*time.Second, 40500, "\rcopying 40.5 k flows, 20.2 k flows/s\x1b[K")
	m = meter(10)
	step(m, time.Second, 0, "\rcopying [                    ] 0% 0 B, 0 B/s, 0 s left\x1b[K")
}

func BenchmarkNoMeter(b *testing.B) {
	var m *Meter
	b.ReportAllocs()
	for b.Loop() {
		m.Add(1)
	}
}

// processes are Specs that TestMain runs as real ones in place of the tests.
var processes = map[string]func() *Spec{
	// out writes for ever, so that it is the pipe that ends it.
	"out": func() *Spec { return &Spec{Name: "out", Run: pump} },
	"out-nopipe": func() *Spec {
		return &Spec{Name: "out-nopipe", IgnoreSIGPIPE: true, Run: pump}
	},
	// wait ends with the context, and says so.
	"wait": func() *Spec {
		return &Spec{Name: "wait", Signals: []os.Signal{syscall.SIGTERM}, Run: func(ctx context.Context, env *Env) error {
			fmt.Fprintln(env.Stdout, "ready")
			<-ctx.Done()
			return Fail(5, "%v", context.Cause(ctx))
		}}
	},
	// stuck does not look at its context.
	"stuck": func() *Spec {
		return &Spec{Name: "stuck", Signals: []os.Signal{syscall.SIGTERM}, Run: func(ctx context.Context, env *Env) error {
			fmt.Fprintln(env.Stdout, "ready")
			<-ctx.Done()
			fmt.Fprintln(env.Stdout, "again")
			select {}
		}}
	},
	"uncaught": func() *Spec {
		return &Spec{Name: "uncaught", Run: func(_ context.Context, env *Env) error {
			fmt.Fprintln(env.Stdout, "ready")
			time.Sleep(time.Minute)
			return nil
		}}
	},
}

func pump(_ context.Context, env *Env) error {
	for {
		if _, err := io.WriteString(env.Stdout, "line\n"); err != nil {
			return Fail(6, "write: %w", err)
		}
	}
}

func TestMain(m *testing.M) {
	if spec, ok := processes[os.Getenv("CLI_TEST_PROCESS")]; ok {
		Main(spec())
	}
	os.Exit(m.Run())
}

func process(t *testing.T, name string) (cmd *exec.Cmd, out *os.File, errs *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), "CLI_TEST_PROCESS="+name)
	errs = new(bytes.Buffer)
	cmd.Stderr = errs
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	return cmd, r, errs
}

func readLine(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want)+1)
	if _, err := io.ReadFull(r, b); err != nil || string(b) != want+"\n" {
		t.Fatalf("read %q, %v; want %q", b, err, want)
	}
}

func TestSignals(t *testing.T) {
	status := func(err error) syscall.WaitStatus {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("wait: %v", err)
		}
		return exit.Sys().(syscall.WaitStatus)
	}
	t.Run("caught", func(t *testing.T) {
		cmd, out, errs := process(t, "wait")
		readLine(t, out, "ready")
		cmd.Process.Signal(syscall.SIGTERM)
		if ws := status(cmd.Wait()); ws.ExitStatus() != 5 || !strings.HasSuffix(errs.String(), ": terminated\n") {
			t.Errorf("status %d, %q", ws.ExitStatus(), errs)
		}
	})
	t.Run("two at once", func(t *testing.T) {
		cmd, out, errs := process(t, "wait")
		readLine(t, out, "ready")
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Process.Signal(syscall.SIGTERM)
		if ws := status(cmd.Wait()); ws.ExitStatus() != 5 {
			t.Errorf("status %v, %q", ws, errs)
		}
	})
	t.Run("a later one kills", func(t *testing.T) {
		cmd, out, _ := process(t, "stuck")
		readLine(t, out, "ready")
		cmd.Process.Signal(syscall.SIGTERM)
		readLine(t, out, "again")
		done := make(chan struct{})
		defer close(done)
		go func() {
			for cmd.Process.Signal(syscall.SIGTERM) == nil {
				select {
				case <-done:
					return
				case <-time.After(grace / 5):
				}
			}
		}()
		if ws := status(cmd.Wait()); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
			t.Errorf("status %v", ws)
		}
	})
	t.Run("default", func(t *testing.T) {
		cmd, out, _ := process(t, "uncaught")
		readLine(t, out, "ready")
		// Not SIGHUP: under nohup it is ignored.
		cmd.Process.Signal(syscall.SIGTERM)
		if ws := status(cmd.Wait()); !ws.Signaled() || ws.Signal() != syscall.SIGTERM {
			t.Errorf("status %v", ws)
		}
	})
	t.Run("pipe", func(t *testing.T) {
		cmd, out, errs := process(t, "out")
		readLine(t, out, "line")
		out.Close()
		if ws := status(cmd.Wait()); !ws.Signaled() || ws.Signal() != syscall.SIGPIPE || errs.Len() > 0 {
			t.Errorf("status %v, %q", ws, errs)
		}
	})
	t.Run("pipe ignored", func(t *testing.T) {
		cmd, out, errs := process(t, "out-nopipe")
		readLine(t, out, "line")
		out.Close()
		if ws := status(cmd.Wait()); ws.ExitStatus() != 6 || !strings.Contains(errs.String(), "broken pipe") {
			t.Errorf("status %v, %q", ws, errs)
		}
	})
}

func BenchmarkExec(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var s sample
		if Exec(context.Background(), s.spec(), &Env{}, []string{"flow-sample", "-wf5", "-C", "x"}) != 0 {
			b.Fatal("failed")
		}
	}
}

func TestZoneAndConfig(t *testing.T) {
	vars := map[string]string{"TZ": "XYZ3:30", "FLOW_TOOLS_SYSCONFDIR": "/nonexistent/etc"}
	s := &Spec{Name: "flow-z", Run: func(_ context.Context, env *Env) error {
		if got := env.Zone().Strftime("%Y-%m-%d %H:%M %Z", 86400); got != "1970-01-01 20:30 XYZ" {
			t.Errorf("zone: %s", got)
		}
		if first := env.Zone(); first != env.Zone() {
			t.Error("the zone is not kept")
		}
		if got := env.Config("cfg/filter.cfg"); got != "/nonexistent/etc/cfg/filter.cfg" {
			t.Errorf("Config: %s", got)
		}
		return nil
	}}
	execute(s, &Env{LookupEnv: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }})
}
