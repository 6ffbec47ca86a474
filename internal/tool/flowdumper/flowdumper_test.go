package flowdumper

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// result is what a run leaves behind.
type result struct {
	stdout, stderr string
	status         int
}

// run runs the tool in this process, in directory dir.
func run(dir string, stdin io.Reader, stdout io.Writer, argv ...string) result {
	var out, msg bytes.Buffer
	if stdout == nil {
		stdout = &out
	}
	env := map[string]string{"TZ": "XYZ-2"}
	e := &cli.Env{Stdin: stdin, Stdout: stdout, Stderr: &msg, Dir: dir, LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	status := cli.Exec(context.Background(), Spec(), e, append([]string{"/usr/bin/flowdumper"}, argv...))
	return result{out.String(), msg.String(), status}
}

// stream is a stream of version v with records of the given source ports.
func stream(t testing.TB, v flow.Version, ports []uint64, opts ...ftfile.Option) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := ftfile.NewWriter(&buf, ftfile.NewHeader(v, ftfile.FlagStreaming), opts...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := flow.LayoutOf(v)
	if err != nil {
		t.Fatal(err)
	}
	for i, port := range ports {
		r := make(flow.Record, l.Size)
		for f, n := range map[flow.Field]uint64{
			flow.UnixSecs: 1_000_000_000 + uint64(i), flow.SrcAddr: 0x0a000001, flow.DstAddr: 0x0a000002, flow.SrcPort: port, flow.DstPort: 80,
			flow.Prot: 6, flow.TCPFlags: 0x18, flow.DPkts: 2, flow.DOctets: 100 + port,
		} {
			l.PutUint(r, f, n)
		}
		if err := w.WriteRecord(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

var v5 = flow.Version{Export: 5}

// line is the short form of record i of a stream.
func line(i string, port, octets string) string {
	return "2001/09/09 03:46:4" + i + " 10.0.0.1." + port + " -> 10.0.0.2.80 6(PUSH|ACK) 2 " + octets + "\n"
}

// files makes a folder with what the tests read.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"a":    stream(t, v5, []uint64{1, 2, 3}),
		"b":    stream(t, v5, []uint64{4}, ftfile.Level(6)),
		"v1":   stream(t, flow.Version{Export: 1}, []uint64{7}),
		"v7":   stream(t, flow.Version{Export: 7}, []uint64{8}),
		"v8":   stream(t, flow.Version{Export: 8, Agg: 2}, []uint64{8}),
		"tags": stream(t, flow.Version{Export: 1005}, []uint64{8}),
		"cut":  stream(t, v5, []uint64{1, 2, 3})[:24+64+10],
		"text": []byte("no flows here, but words\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRuns(t *testing.T) {
	dir := files(t)
	short := line("0", "1", "101") + line("1", "2", "102") + line("2", "3", "103")
	for _, c := range []struct {
		name string
		argv []string
		want result
	}{
		{"all", []string{"-s", "a"}, result{short, "", 0}},
		{"files in order, stdin among them", []string{"-s", "b", "-", "a"}, result{line("0", "4", "104") + line("0", "9", "109") + short, "", 0}},
		{"stdin by default", []string{"-s"}, result{line("0", "9", "109"), "", 0}},
		{"old", []string{"-S", "b"}, result{"2001/09/09 03:46:40        10.0.0.1.4            10.0.0.2.80     6          2        104\n", "", 0}},
		{"the last format counts", []string{"-Ss", "b"}, result{line("0", "4", "104"), "", 0}},
		{"expression", []string{"-se", "$srcport == 2", "a"}, result{line("1", "2", "102"), "", 0}},
		{"native expression", []string{"-s", "-e", "srcport in [1, 3]", "a"}, result{line("0", "1", "101") + line("2", "3", "103"), "", 0}},
		{"bad option", []string{"-se"}, result{"", "/usr/bin/flowdumper: option requires an argument -- 'e'\n", 1}},
		{"count", []string{"-sce", "$srcport > 1", "a", "b"}, result{line("1", "2", "102") + line("2", "3", "103") + line("0", "4", "104") + "3\n", "", 0}},
		{"count only", []string{"-nce", "$srcport > 1", "a"}, result{"2\n", "", 0}},
		{"count of all", []string{"-nc", "a", "b"}, result{"4\n", "", 0}},
		{"all in spite of it", []string{"-sace", "$srcport == 2", "a"}, result{short + "1\n", "", 0}},
		{"print", []string{"-ne", `print "$srcport "; 0`, "-I", `print "<"`, "-E", `print ">\n"`, "a", "b"}, result{"<1 2 3 4 >\n", "", 0}},
		{"print between", []string{"-se", `print "$srcport: " if $srcport < 3; $srcport < 3`, "a"}, result{"1: " + line("0", "1", "101") + "2: " + line("1", "2", "102"), "", 0}},
		{"sum", []string{"-nI", "$n = 0", "-e", "$n += $bytes", "-E", `printf("%d\n", $n)`, "a"}, result{"306\n", "", 0}},
		{"exit", []string{"-se", "exit 3 if $srcport == 2; 1", "-c", "-E", `print "never"`, "a"}, result{line("0", "1", "101"), "", 3}},
		{"changed", []string{"-se", "$srcport += 10; $srcport < 13", "a"}, result{line("0", "11", "101") + line("1", "12", "102"), "", 0}},
		{"version 1 and 7", []string{"-s", "v1", "v7"}, result{line("0", "7", "107") + line("0", "8", "108"), "", 0}},
		{"version 8", []string{"-s", "v8", "b", "tags"}, result{line("0", "4", "104"),
			"flowdumper: v8: unsupported export version 8.2\nflowdumper: tags: unsupported export version 1005\n", 1}},
		{"unreadable", []string{"-s", "nosuch", "b", "text", "dir"}, result{line("0", "4", "104"),
			"flowdumper: nosuch: no such file or directory\nflowdumper: text: ftiheader_read(): Warning, bad magic number\nflowdumper: dir: read(): is a directory\n", 1}},
		{"cut", []string{"-s", "cut"}, result{line("0", "1", "101"), "flowdumper: cut: Warning, partial record before EOF (after 1 records)\n", 0}},
		{"trace", []string{"-Vse", "$srcport == 1", "a"}, result{line("0", "1", "101"),
			"flowdumper: -e: (srcport == 1)\nflowdumper: a: records of version 5\nflowdumper: 1/3 flows matched\n", 0}},
		{"verbose", []string{"-vs", "b"}, result{line("0", "4", "104"), "", 0}},
		{"division", []string{"-se", "$bytes / ($srcport - 2) > 1 || 1", "a"}, result{line("0", "1", "101"), "flowdumper: -e: Illegal division by zero (flow 2 of a)\n", 1}},
		{"bad expression", []string{"-se", "foreach", "-e", "$x{1}", "a"}, result{"", "flowdumper: -e: column 1: Perl's hash element $x{...} is not available here\n", 1}},
		{"empty expression", []string{"-e", " ", "a"}, result{"", "flowdumper: -e: the expression is empty\n", 1}},
		{"bgp", []string{"-B", "x", "a"}, result{"", "flowdumper: -B: AS paths from a BGP dump are not available\n", 1}},
		{"prefixes", []string{"-p", "x", "a"}, result{"", "flowdumper: -p: anonymising by a prefix file is not available; see flow-xlate(1)\n", 1}},
		{"repack", []string{"-R", "a"}, result{"", "flowdumper: -R needs -e\n", 1}},
		{"repack without effect", []string{"-ncR", "a"}, result{"3\n", "", 0}},
		{"two names", []string{"-so", "%s%s", "a"}, result{"", "flowdumper: -o: %s may stand once in the name\n", 1}},
		{"no such folder", []string{"-so", "x/y", "a"}, result{"", "flowdumper: open(x/y): no such file or directory\n", 1}},
		{"output", []string{"-sco", "out", "a", "b"}, result{"4\n", "", 0}},
		{"output without flows", []string{"-nco", "never", "a"}, result{"3\n", "", 0}},
		{"output by input", []string{"-so", "%s.100%%", "-e", `print "$srcport,"`, "a", "b"}, result{"1,2,3,4,", "", 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := run(dir, bytes.NewReader(stream(t, v5, []uint64{9})), nil, c.argv...)
			if c.name == "bad option" { // and the usage
				got.stderr, _, _ = strings.Cut(got.stderr, "Usage")
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("%q (-want +got)\n%s", c.argv, diff)
			}
		})
	}
	for name, want := range map[string]string{"out": short + line("0", "4", "104"), "a.100%": short, "b.100%": line("0", "4", "104")} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("file %s: %v\n%s", name, err, cmp.Diff(want, string(got)))
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "never")); err == nil {
		t.Error("output file with -n")
	}
}

// TestLong: blocks follow each other with one empty line between them.
func TestLong(t *testing.T) {
	got := run("", bytes.NewReader(stream(t, v5, []uint64{1, 2})), nil)
	if got.status != 0 || got.stderr != "" || !strings.HasPrefix(got.stdout, "FLOW\n  index:          0xc7ffff\n") ||
		strings.Count(got.stdout, "\n\nFLOW\n") != 1 || strings.Count(got.stdout, "\n") != 48 || !strings.HasSuffix(got.stdout, "\n  engine id:      0\n\n") {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(got.stdout, "\n  start time:     Sun Sep  9 03:46:41 2001\n") {
		t.Errorf("time zone in\n%s", got.stdout)
	}
	for _, letter := range []string{"-v", "-V", "-a"} {
		if same := run("", bytes.NewReader(stream(t, v5, []uint64{1, 2})), nil, letter); same.stdout != got.stdout || same.status != 0 {
			t.Errorf("%s: %+v", letter, same)
		}
	}
}

// ports reads the source ports of a stream back.
func ports(t *testing.T, data []byte) (v flow.Version, list []uint64) {
	t.Helper()
	in, err := ftfile.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for b := range in.Batches() {
		for r := range b.All() {
			list = append(list, in.Layout().Uint(r, flow.SrcPort))
		}
	}
	if err := in.Err(); err != nil {
		t.Error(err)
	}
	return in.Header().Version, list
}

func TestStreams(t *testing.T) {
	dir := files(t)
	for _, c := range []struct {
		name    string
		argv    []string
		version uint16
		ports   []uint64
		stderr  string
		status  int
	}{
		{"raw", []string{"-r", "a", "b"}, 5, []uint64{1, 2, 3, 4}, "", 0},
		{"selected", []string{"-re", "$srcport != 2", "a"}, 5, []uint64{1, 3}, "", 0},
		{"nothing", []string{"-re", "0 * $srcport", "a"}, 5, nil, "", 0},
		{"raw keeps what was read", []string{"-re", "$srcport += 10; $srcport > 11", "a"}, 5, []uint64{2, 3}, "", 0},
		{"repacked", []string{"-Re", "$srcport += 10; $srcport > 11", "a"}, 5, []uint64{12, 13}, "", 0},
		{"repacked all", []string{"-aRe", "$srcport += 10; 0", "v7"}, 7, []uint64{18}, "", 0},
		{"count and print aside", []string{"-rce", `print "$srcport\n"`, "a"}, 5, []uint64{1, 2, 3}, "1\n2\n3\n3\n", 0},
		{"two versions", []string{"-r", "v1", "b", "v1"}, 1, []uint64{7, 7}, "flowdumper: b: records of version 5 do not go into a stream of version 1\n", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := run(dir, nil, nil, c.argv...)
			if got.status != c.status || got.stderr != c.stderr {
				t.Errorf("status %d, messages %q", got.status, got.stderr)
			}
			v, list := ports(t, []byte(got.stdout))
			if diff := cmp.Diff(c.ports, list); diff != "" || v.Export != c.version {
				t.Errorf("version %v (-want +got)\n%s", v, diff)
			}
		})
	}
	// A stream for each input, each of its own version.
	if got := run(dir, nil, nil, "-rco", "%s.raw", "a", "v1"); got.status != 0 || got.stdout != "4\n" {
		t.Errorf("%+v", got)
	}
	for name, version := range map[string]uint16{"a.raw": 5, "v1.raw": 1} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if v, list := ports(t, data); v.Export != version || len(list) == 0 {
			t.Errorf("%s: version %v, %v", name, v, list)
		}
	}
}

// full is a device without room.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}
}

func TestOutputFails(t *testing.T) {
	dir := files(t)
	for _, argv := range [][]string{{"-s", "a"}, {"a"}, {"-r", "a"}, {"-nc", "a"}, {"-ne", "print 'x'", "a"}, {"-I", "print 'x'", "-n", "a"}} {
		got := run(dir, nil, full{}, argv...)
		if got.status != 1 || strings.Count(got.stderr, "no space left on device") != 1 {
			t.Errorf("%q: status %d, messages %q", argv, got.status, got.stderr)
		}
	}
}

// TestLive: flows come out while the stream is still being written.
func TestLive(t *testing.T) {
	data := stream(t, v5, []uint64{1, 2})
	for _, letters := range []string{"-s", "-se$srcport"} {
		r, w := io.Pipe()
		out, outw := io.Pipe()
		done := make(chan result, 1)
		go func() {
			done <- run("", r, outw, letters)
			outw.Close()
		}()
		write := func(p []byte) {
			if _, err := w.Write(p); err != nil {
				t.Error(err)
			}
		}
		go write(data[:len(data)-64])
		buf := make([]byte, 4096)
		n, err := out.Read(buf)
		if err != nil || string(buf[:n]) != line("0", "1", "101") {
			t.Errorf("%s: %q, %v", letters, buf[:n], err)
		}
		go func() {
			write(data[len(data)-64:])
			w.Close()
		}()
		rest, err := io.ReadAll(out)
		if err != nil || string(rest) != line("1", "2", "102") {
			t.Errorf("%s: %q, %v", letters, rest, err)
		}
		if got := <-done; got.status != 0 {
			t.Error(got)
		}
	}
}

func TestSpec(t *testing.T) {
	if err := Spec().Check(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		argv   string
		status int
	}{{"-h", 0}, {"-x", 1}, {"--help", 1}} {
		if got := run("", nil, nil, c.argv); got.status != c.status || got.stdout != "" || !strings.Contains(got.stderr, "Usage: flowdumper [-hacnvV]") {
			t.Errorf("%s: %+v", c.argv, got)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	ports := make([]uint64, 100_000)
	for i := range ports {
		ports[i] = uint64(i * 7 % 65536)
	}
	data := stream(b, v5, ports)
	for name, argv := range map[string][]string{
		"long": {}, "short": {"-s"}, "select": {"-se", "53 == $srcport || 53 == $dstport"}, "count": {"-nce", "$tcp_flags & $TH_SYN"}, "raw": {"-re", "$srcport > 1023"},
		"print": {"-ne", `print "$srcip $bytes\n"`},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got := run("", bytes.NewReader(data), io.Discard, argv...); got.status != 0 {
					b.Fatal(got.stderr)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(ports)), "ns/record")
		})
	}
}
