package flowstat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/internal/stat"
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
			got := run(t, in, nil, map[string]string{"FLOW_TOOLS_SYSCONFDIR": "testdata"}, strings.Fields(argv)...)
			if got.Code != 0 {
				t.Errorf("status %d, messages %q", got.Code, got.Err)
			}
			_, rest, _ := strings.Cut(string(got.Out), "# Args:")
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
			got := run(t, stream(c.v, 1, 2), nil, nil, c.argv...)
			if got.Code != c.status {
				t.Errorf("status %d, want %d", got.Code, c.status)
			}
			if diff := cmp.Diff(c.stdout, string(got.Out)); diff != "" {
				t.Errorf("output (-want +got)\n%s", diff)
			}
			if got.Err != c.stderr && !(strings.HasSuffix(c.stderr, usage) && strings.HasPrefix(got.Err, c.stderr)) {
				t.Errorf("messages %q, want %q", got.Err, c.stderr)
			}
		})
	}
}

// TestHelpTwice: the second -h lists the formats.
func TestHelpTwice(t *testing.T) {
	once, twice := run(t, nil, nil, nil, "-h"), run(t, nil, nil, nil, "-hh")
	if more := strings.TrimPrefix(twice.Err, once.Err); more != stat.List() {
		t.Errorf("the second -h adds %q", more)
	}
	if !strings.HasPrefix(stat.List(), "Formats:\n  0  Overall Summary\n  1  Average packet size distribution\n") ||
		!strings.HasSuffix(stat.List(), "\n  32 Source/Destination Tag\n") {
		t.Errorf("%q", stat.List())
	}
}

// TestUnreadable: no report information without a stream.
func TestUnreadable(t *testing.T) {
	got := run(t, strings.NewReader("no stream"), nil, nil, "-f15")
	if got.Code != 1 || len(got.Out) != 0 || !strings.HasSuffix(got.Err, "flow-stat: ftio_init(): failed\n") {
		t.Errorf("%+v", got)
	}
}

// TestBogus: a complaint for each record without packets, in two reports.
func TestBogus(t *testing.T) {
	for _, f := range []string{"-f0", "-f1", "-f2", "-f15"} {
		got := run(t, stream(flow.Version{Export: 5}, 0, 1, 0), nil, nil, f)
		want := ""
		if f == "-f0" || f == "-f1" {
			want = strings.Repeat("Ignoring bogus flow dPkts=0\n", 2)
		}
		if got.Err != want || got.Code != 0 {
			t.Errorf("%s: %q", f, got.Err)
		}
	}
}

func TestDamage(t *testing.T) {
	whole := stream(flow.Version{Export: 5}, 1, 2)
	cut := io.LimitReader(stream(flow.Version{Export: 5}, 1, 2, 3), int64(whole.Len()+9))
	got := run(t, cut, nil, nil, "-f2")
	want := run(t, whole, nil, nil, "-f2")
	if got.Code != 0 || string(got.Out) != string(want.Out) || !strings.HasPrefix(got.Err, "flow-stat: Warning, ") {
		t.Errorf("%+v", got)
	}
}

func TestOutputFails(t *testing.T) {
	for _, f := range []string{"-f0", "-f10", "-f13"} {
		got := run(t, stream(flow.Version{Export: 5}, make([]uint64, 5000)...), &tooltest.Full{}, nil, f)
		if got.Code != 0 || !strings.HasSuffix(got.Err, "flow-stat: write(): no space left on device\n") {
			t.Errorf("%s: status %d, messages %q", f, got.Code, got.Err[max(0, len(got.Err)-100):])
		}
	}
}

func TestProfile(t *testing.T) {
	got := run(t, stream(flow.Version{Export: 5}, 1, 2, 3), nil, nil, "-d1")
	if !strings.HasPrefix(got.Err, "flow-stat: processed 3 flows\n  sys: seconds=") {
		t.Errorf("messages %q", got.Err)
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
		got := run(t, stream(v, 5, 7, 5), nil, nil, c.argv...)
		if got.Code != 0 || got.Err != "" {
			t.Errorf("%v: %+v", c.argv, got)
		}
		if diff := cmp.Diff(c.want, string(got.Out)); diff != "" {
			t.Errorf("%v: (-want +got)\n%s", c.argv, diff)
		}
	}
	for n := range stat.Count { // every report has every form
		for _, form := range []string{"--table", "--json", "--csv"} {
			version := v
			if n >= 30 {
				version.Export = 1005
			}
			got := run(t, stream(version, 5, 7, 5), nil, nil, form, fmt.Sprintf("-f%d", n))
			if got.Code != 0 || got.Err != "" || strings.TrimSpace(string(got.Out)) == "" && n != 4 { // 4 never was
				t.Errorf("-f%d %s: %+v", n, form, got)
			}
			if form == "--json" && !json.Valid(got.Out) {
				t.Errorf("-f%d: %s", n, got.Out)
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
		{v, &tooltest.Full{}, []string{"-f9"}},
	} {
		if got := run(t, stream(c.v, 5), c.out, nil, append(c.argv, "--json")...); got.Code != 1 || got.Err == "" {
			t.Errorf("%v: %+v", c.argv, got)
		}
	}
}
