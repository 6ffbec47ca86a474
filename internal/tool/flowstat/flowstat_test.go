package flowstat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/stat"
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
	status := cli.Exec(context.Background(), Spec(), e, append([]string{"flow-stat"}, argv...))
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

// TestNames repeats what the original printed with our symbol files, from the
// line behind the arguments on.
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
		argv, file, _ := strings.Cut(strings.TrimPrefix(command, "flow-stat "), " < ")
		t.Run(argv, func(t *testing.T) {
			in, err := os.Open(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			got := run(in, nil, map[string]string{"FLOW_TOOLS_SYSCONFDIR": "testdata"}, strings.Fields(argv)...)
			if got.status != 0 {
				t.Errorf("status %d, messages %q", got.status, got.stderr)
			}
			_, rest, _ := strings.Cut(got.stdout, "# Args:")
			_, rest, _ = strings.Cut(rest, "\n")
			if diff := cmp.Diff(strings.TrimRight(want, "\n"), strings.TrimRight(rest, "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

const information = `#  --- ---- ---- Report Information --- --- ---
#
# Fields:    Total
# Symbols:   Disabled
# Sorting:   None
# Name:      short summary
#
# Args:      flow-stat -f15 
#
`

// TestRun goes through statuses and what is printed before the report.
func TestRun(t *testing.T) {
	v5, v81 := flow.Version{Export: 5}, flow.Version{Export: 8, Agg: 1}
	report := "#\n# Octets            Packets             MBytes\n#\n0                   3                   0.000\n"
	usage := "Usage: flow-stat "
	for _, c := range []struct {
		name   string
		v      flow.Version
		argv   []string
		status int
		stdout string
		stderr string
	}{
		{"plain", v5, []string{"-f15"}, 0, information + report, ""},
		{"title, percent, names, sorting", v5, []string{"-nP", "-S2", "-T", "a\x01b", "-f15"}, 0, `#  --- ---- ---- Report Information --- --- ---
#
# Title:     ` + "a\x01b" + `
# Fields:    Percent Total
# Symbols:   Enabled
# Sorting:   Descending Field 2
# Name:      short summary
#
# Args:      flow-stat -nP -S2 -T ab -f15 
#
` + report, ""},
		{"empty title, later sort wins", v5, []string{"-T", "", "-S2", "-s0", "-f15"}, 0, `#  --- ---- ---- Report Information --- --- ---
#
# Title:     
# Fields:    Total
# Symbols:   Disabled
# Sorting:   Ascending Field 0
# Name:      short summary
#
# Args:      flow-stat -T  -S2 -s0 -f15 
#
` + report, ""},
		{"stream header", v5, []string{"-pf15", "-c%"}, 0, strings.ReplaceAll(strings.Replace(information, "-f15", "-pf15 -c%", 1), "#", "%") +
			"%\n% mode:                 streaming\n% compress:             off\n% byte order:           little\n% stream version:       3\n% export version:       5\n%\n" +
			strings.ReplaceAll(report, "#", "%"), ""},
		{"missing field", v81, []string{"-f9"}, 0, strings.NewReplacer("short summary", "Source IP", "-f15", "-f9").Replace(information),
			"flow-stat: Flow record missing required field for format.\n"},
		{"no such column", v5, []string{"-f9", "-S5"}, 0,
			strings.NewReplacer("short summary", "Source IP", "-f15", "-f9 -S5", "None", "Descending Field 5").Replace(information), "# can't sort on field 6.\n"},
		{"no such column, ascending", v5, []string{"-f10", "-s6"}, 0,
			strings.NewReplacer("short summary", "Source/Destination IP", "-f15", "-f10 -s6", "None", "Ascending Field 6").Replace(information), "# can't sort on field -7.\n"},
		{"no such format", v5, []string{"-f33"}, 1, "", "flow-stat: No such format, 33\n"},
		{"negative format", v5, []string{"-f-1"}, 1, "", "flow-stat: No such format, -1\n"},
		{"operand", v5, []string{"-h", "-f33", "x"}, 1, "", usage},
		{"help goes on", v5, []string{"-h", "-f33"}, 0, "", usage},
		{"bad option", v5, []string{"-f15", "-x"}, 0, "", "flow-stat: invalid option -- 'x'\n" + usage},
		{"not implemented", v5, []string{"-f4"}, 0, strings.NewReplacer("short summary", "Bandwidth per flow distribution", "-f15", "-f4").Replace(information) + "Not implemented.\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := run(stream(t, c.v, 1, 2), nil, nil, c.argv...)
			if got.status != c.status {
				t.Errorf("status %d, want %d", got.status, c.status)
			}
			if diff := cmp.Diff(c.stdout, got.stdout); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
			if got.stderr != c.stderr && !(strings.HasSuffix(c.stderr, usage) && strings.HasPrefix(got.stderr, c.stderr)) {
				t.Errorf("messages %q, want %q", got.stderr, c.stderr)
			}
		})
	}
}

// TestHelpTwice: the second -h lists the formats.
func TestHelpTwice(t *testing.T) {
	once, twice := run(nil, nil, nil, "-h"), run(nil, nil, nil, "-hh")
	if more := strings.TrimPrefix(twice.stderr, once.stderr); more != stat.List() {
		t.Errorf("the second -h adds %q", more)
	}
	if !strings.HasPrefix(stat.List(), "Formats:\n  0  Overall Summary\n  1  Average packet size distribution\n") ||
		!strings.HasSuffix(stat.List(), "\n  32 Source/Destination Tag\n") {
		t.Errorf("%q", stat.List())
	}
}

// TestUnreadable: no report information without a stream.
func TestUnreadable(t *testing.T) {
	got := run(strings.NewReader("no stream"), nil, nil, "-f15")
	if got.status != 1 || got.stdout != "" || !strings.HasSuffix(got.stderr, "flow-stat: ftio_init(): failed\n") {
		t.Errorf("%+v", got)
	}
}

// TestBogus: a complaint for each record without packets, in two reports.
func TestBogus(t *testing.T) {
	for _, f := range []string{"-f0", "-f1", "-f2", "-f15"} {
		got := run(stream(t, flow.Version{Export: 5}, 0, 1, 0), nil, nil, f)
		want := ""
		if f == "-f0" || f == "-f1" {
			want = strings.Repeat("Ignoring bogus flow dPkts=0\n", 2)
		}
		if got.stderr != want || got.status != 0 {
			t.Errorf("%s: %q", f, got.stderr)
		}
	}
}

func TestDamage(t *testing.T) {
	whole := stream(t, flow.Version{Export: 5}, 1, 2)
	cut := io.LimitReader(stream(t, flow.Version{Export: 5}, 1, 2, 3), int64(whole.Len()+9))
	got := run(cut, nil, nil, "-f2")
	want := run(whole, nil, nil, "-f2")
	if got.status != 0 || got.stdout != want.stdout || !strings.HasPrefix(got.stderr, "flow-stat: Warning, ") {
		t.Errorf("%+v", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}
}

func TestOutputFails(t *testing.T) {
	for _, f := range []string{"-f0", "-f10", "-f13"} {
		got := run(stream(t, flow.Version{Export: 5}, make([]uint64, 5000)...), full{}, nil, f)
		if got.status != 0 || !strings.HasSuffix(got.stderr, "flow-stat: write(): no space left on device\n") {
			t.Errorf("%s: status %d, messages %q", f, got.status, got.stderr[max(0, len(got.stderr)-100):])
		}
	}
}

func TestProfile(t *testing.T) {
	got := run(stream(t, flow.Version{Export: 5}, 1, 2, 3), nil, nil, "-d1")
	if !strings.HasPrefix(got.stderr, "flow-stat: processed 3 flows\n  sys: seconds=") {
		t.Errorf("messages %q", got.stderr)
	}
}

// TestForms: the sheets have the rows of the text, in its order.
func TestForms(t *testing.T) {
	v := flow.Version{Export: 5}
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"--csv", "-f2", "-s1"}, "packets/flow,flows,octets,packets,duration\n7,1,0,7,0\n5,2,0,10,0\n"},
		{[]string{"--csv", "-P", "-f2"}, "packets/flow,flows,octets,packets,duration\n5,66.66666666666666,,58.82352941176471,\n7,33.33333333333333,,41.17647058823529,\n"},
		{[]string{"--csv", "-f9"}, "ip-source-address,flows,octets,packets,duration\n0.0.0.0,3,0,17,0\n"},
		{[]string{"--csv", "-f26"}, "ip-source-address,ip-destination-address,flows,octets,packets,duration\n0.0.0.0/0,0.0.0.0/0,3,0,17,0\n"},
		{[]string{"--csv", "-f14"}, "first,last,packets\n0,0,5\n0,0,7\n0,0,5\n"},
		{[]string{"--json", "-f12", "-T", "mine"}, `{"reports":[
{"name":"mine","type":"IP protocol","facts":{"flows":3,"octets":0,"packets":17,"duration":0},"columns":["ip-protocol","flows","octets","packets","duration"],"rows":[
{"ip-protocol":0,"flows":3,"octets":0,"packets":17,"duration":0}
]}
]}
`},
		{[]string{"--csv", "-f15"}, "flows,octets,packets,duration\n3,0,17,0\n"},
		{[]string{"--json", "-f15"}, `{"reports":[
{"name":"short summary","facts":{"flows":3,"octets":0,"packets":17,"duration":0},"columns":[],"rows":[]}
]}
`},
	} {
		got := run(stream(t, v, 5, 7, 5), nil, nil, c.argv...)
		if got.status != 0 || got.stderr != "" {
			t.Errorf("%v: %+v", c.argv, got)
		}
		if diff := cmp.Diff(c.want, got.stdout); diff != "" {
			t.Errorf("%v: (-want +got)\n%s", c.argv, diff)
		}
	}
	for n := range stat.Count { // every report has every form
		for _, form := range []string{"--table", "--json", "--csv"} {
			version := v
			if n >= 30 {
				version.Export = 1005
			}
			got := run(stream(t, version, 5, 7, 5), nil, nil, form, fmt.Sprintf("-f%d", n))
			if got.status != 0 || got.stderr != "" || strings.TrimSpace(got.stdout) == "" && n != 4 { // 4 never was
				t.Errorf("-f%d %s: %+v", n, form, got)
			}
			if form == "--json" && !json.Valid([]byte(got.stdout)) {
				t.Errorf("-f%d: %s", n, got.stdout)
			}
		}
	}
	// Failures count here.
	for _, c := range []struct {
		v    flow.Version
		out  io.Writer
		argv []string
	}{
		{flow.Version{Export: 8, Agg: 1}, nil, []string{"-f9"}},
		{v, nil, []string{"-f9", "-S5"}},
		{v, full{}, []string{"-f9"}},
	} {
		if got := run(stream(t, c.v, 5), c.out, nil, append(c.argv, "--json")...); got.status != 1 || got.stderr == "" {
			t.Errorf("%v: %+v", c.argv, got)
		}
	}
}
