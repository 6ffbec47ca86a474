package rptfmt

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
)

type result struct {
	Out    string
	Status int
}

func run(in io.Reader, env map[string]string, args ...string) (result, string) {
	var out, msg bytes.Buffer
	e := &cli.Env{Stdin: in, Stdout: &out, Stderr: &msg, LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }}
	status := cli.Exec(context.Background(), Spec(), e, append([]string{"flow-rptfmt"}, args...))
	return result{out.String(), status}, msg.String()
}

const sample = `  # first
# records_shown:      3
# rec1: ignores,flows
0,7
# recn: IP-Port*,flows,avg-bps
1,4,10.5
10,2,9.25
# stop, hit record limit.
9,2,-nan
`

func TestFormat(t *testing.T) {
	const head = "# first\n# records_shown:      3\n"
	for _, c := range []struct {
		args, in string
		want     result
	}{
		{"", sample, result{head + "#  ['flow-rptfmt']\nip-port flows avg-bps\n1       4     10.5   \n10      2     9.25   \n9       2     -nan   \n\n", 0}},
		{"-H", sample, result{"1       4     10.5   \n10      2     9.25   \n9       2     -nan   \n\n", 0}},
		{"-H -m 1 -F flows", sample, result{"4     \n", 0}},
		{"-H -m3 -F flows", sample, result{"4    \n2    \n2     \n", 0}},
		{"-H -m4 -F flows", sample, result{"4    \n2    \n2    \n\n", 0}},
		{"-H -s +ip-port -F ip-port", sample, result{"1      \n9      \n10     \n\n", 0}},
		{"-H -s -ip-port -F ip-port", sample, result{"10     \n9      \n1      \n\n", 0}},
		{"-H -s -flows -F ip-port,x", sample, result{"1      \n10     \n9      \n\n", 0}},
		{"-H -s +avg-bps -F avg-bps", sample, result{"-nan   \n9.25   \n10.5   \n\n", 0}},
		{"-H -s ip-port -F flows", sample, result{"4    \n2    \n2    \n\n", 0}},
		{"-H -p -F ip-port,flows", sample, result{"1       50.000000\n10      25.000000\n9       25.000000\n\n", 0}},
		{"-H -n", "# recn: ip-source-port*,flows\n53,1\n54,2\n", result{"domain         1    \n54             2    \n\n", 0}},
		{"-H -f html", "# recn: a*,b\n1,2,3\n", result{"<table border cellspacing=0 cellpadding=5>\n<tr>\n <th> a </th>\n <th> b </th>\n</tr>\n<tr>\n  <td> 1 </td>\n  <td> 2 </td>\n</tr>\n</table>\n", 0}},
		// Totals of a later interval are no data.
		{"-H", "# recn: a*\n1\n# rec1: records\n5\n# recn: a*\n2\n", result{"1\n2\n\n", 0}},
		{"-H -p", "# recn: a*,b\n1,0\n", result{"1 0.000000\n\n", 0}},
		{"-H", "# recn: \n\n\n", result{"\n\n\n", 0}},
		{"-H", "# recn: a*,b\n1\n", result{"", 1}},
		{"-H", "# rec1: a,b\n1\n", result{"", 1}},
		{"-H", "# rec1: a,b\n", result{"", 1}},
		{"-H", "# rec2: a,b\n1,2\n", result{"", 1}},
		{"-s +x", sample, result{"", 1}},
		{"-m 1.5", sample, result{"", 1}},
		{"-m", sample, result{"", 1}},
		{"-f HTML", sample, result{"", 1}},
		{"-q", sample, result{"", 1}},
		{"-h", sample, result{"Usage: flow-rptfmt [-hHnp] [-a alarm] [-f format] [-F display_fields]\n                   [-m max_lines] [-s sort_field]\n", 0}},
		{"-H -m99999999999999999999", "# recn: a*\n1\n", result{"1\n\n", 0}},
		{"-H -m-99999999999999999999", "# recn: a*\n1\n", result{"1\n\n", 0}},
		// Blanks and capitals are those of ASCII, whatever the bytes.
		{"-F \xc0b", "# n: \u00a0 \v\n# recn: \xc0B*\n1\u00a0\n", result{"# n: \u00a0\n#  ['flow-rptfmt', '-F', '\\xc0b']\n\xc0b \n1\u00a0\n\n", 0}},
		{"-h -q", sample, result{"", 1}},
		{"-hF", sample, result{"", 1}},
		{"-H word -q", "# recn: a*\n1\n", result{"1\n\n", 0}},
	} {
		got, msg := run(strings.NewReader(c.in), nil, strings.Fields(c.args)...)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.args, d)
		}
		if (got.Status != 0) != (msg != "") {
			t.Errorf("%s: status %d, messages %q", c.args, got.Status, msg)
		}
	}
}

// TestNoFields shows no column where -F names none.
func TestNoFields(t *testing.T) {
	if got, _ := run(strings.NewReader("# recn: a*\n1\n"), nil, "-H", "-F", ""); got != (result{"\n\n", 0}) {
		t.Errorf("%+v", got)
	}
}

// detail is a summary-detail report whose value i of each distribution is i/100.
func detail() string {
	names := []string{"time_real", "aflowtime", "aps", "afs", "apf", "fps", "fps_real"}
	values := []string{"9", "8.000000", "7.000000", "6.000000", "5.000000", "4.5", "3.5"}
	for _, g := range []string{"p", "fp", "fo", "ft"} {
		for i := range perGroup {
			names = append(names, fmt.Sprint(g, i))
			values = append(values, fmt.Sprintf("0.%02d0000", i))
		}
	}
	return "# rec1: records,ignores,flows,octets,packets,duration\n0,1,2,3,4,5\n# rec2: " + strings.Join(names, ",") + "\n" + strings.Join(values, ",") + "\n"
}

func TestSummary(t *testing.T) {
	const first = ".000 .010 .020 .030 .040 .050 .060 .070 .080 .090 .100 .110 .120 .130 .140 \n\n"
	const second = ".150 .160 .170 .180 .190 .200 .210 .220 .230 .240 .250 \n\n"
	want := `Ignores:                 1
Total Flows:             2
Total Octets:            3
Total Packets:           4
Total Duration (ms):     5
Real Time:               9
Average Flow Time:       8.000000
Average Packets/Second:  7.000000
Average Flows/Second:    6.000000
Average Packets/Flow:    5.000000
Flows/Second:            4.5
Flows/Second (real):     3.5

Average IP packet size distribution:

   1-32   64   96  128  160  192  224  256  288  320  352  384  416  448  480
   ` + first + `    512  544  576 1024 1536 2048 2560 3072 3584 4096 4608
   ` + second + `Packets per flow distribution:

      1    2    4    8   12   16   20   24   28   32   36   40   44   48   52
   ` + first + `     60  100  200  300  400  500  600  700  800  900 >900
    ` + second + `Octets per flow distribution:

     32   64  128  256  512 1280 2048 2816 3584 4352 5120 5888 6656 7424 8192
   ` + first + `   8960 9728 10496 11264 12032 12800 13568 14336 15104 15872 >15872
   .150 .160  .170  .180  .190  .200  .210  .220  .230  .240  .250  

Flow Time Distribution (ms):

    10    50  100  200  500 1000 2000 3000 4000 5000 6000 7000 8000 9000 10000
   ` + first + `  12000 14000 16000 18000 20000 22000 24000 26000 28000 30000 >30000
   .150  .160  .170  .180  .190  .200  .210  .220  .230  .240  .250 
`
	for args, w := range map[string]result{
		"-H":            {want + "\n", 0},
		"-H -m 1 -p":    {want + "\n", 0},
		"-H -f html":    {"<table border cellspacing=0 cellpadding=5>\n<tr>\n</tr>\n<pre>\n" + want + "</pre>\n</table>\n", 0},
		"-H -s +flows":  {"", 1},
		"":              {"#  ['flow-rptfmt']\n" + want + "\n", 0},
		"-f html -m 10": {"<pre>\n</pre>\n<table border cellspacing=0 cellpadding=5>\n<tr>\n</tr>\n<pre>\n" + want + "</pre>\n</table>\n", 0},
	} {
		got, _ := run(strings.NewReader(detail()), nil, strings.Fields(args)...)
		if d := cmp.Diff(w, got); d != "" {
			t.Errorf("%s: %s", args, d)
		}
	}
	if got := string(appendShare(nil, 1)); got != ".000" {
		t.Errorf("1 is %q", got)
	}
}

// TestPatience gives up on input that never ends.
func TestPatience(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	got, _ := run(r, nil, "-a", "1")
	want := result{"flow-rptfmt exceeded CPU time, consider running report offline.\n", 0}
	if got != want {
		t.Errorf("%+v", got)
	}
	if got, _ := run(strings.NewReader("# recn: a\n1\n"), nil, "-a", "30", "-H"); got.Out != "1\n\n" {
		t.Errorf("%+v", got)
	}
}

func TestLongLine(t *testing.T) {
	if got, msg := run(io.MultiReader(strings.NewReader("# recn: a\n"), endless{}), nil); got.Status != 1 || !strings.Contains(msg, "too long") {
		t.Errorf("%+v %s", got, msg)
	}
	long := strings.Repeat("x", 200<<10)
	if got, _ := run(strings.NewReader("# recn: a\n"+long), nil, "-H"); got.Out != long+"\n\n" {
		t.Errorf("a line of %d octets comes out as %d", len(long), len(got.Out))
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sym"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sym/asn.sym"), []byte("7 seven\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"FLOW_TOOLS_SYSCONFDIR": dir}
	got, msg := run(strings.NewReader("# recn: source-as*,flows*,x\n7,7,7\n8,8,8\n"), env, "-n", "-H")
	if want := "seven     7     7\n8         8     8\n\n"; got.Out != want || msg != "" {
		t.Errorf("%q %q", got.Out, msg)
	}
}

func TestRepr(t *testing.T) {
	if got, want := repr([]string{"a", "it's", `both'"`, "\\\n\x01é"}), `['a', "it's", 'both\'"', '\\\n\x01\xc3\xa9']`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func FuzzFormat(f *testing.F) {
	f.Add([]byte(sample), "-p -s +flows")
	f.Add([]byte(detail()), "-f html")
	f.Add([]byte("# recn: a*,b\n1,2\n"), "-H -m 1 -n -F a")
	f.Add([]byte("# rec1: a\n"), "")
	f.Fuzz(func(t *testing.T, in []byte, args string) {
		words := strings.Fields(args)
		for _, w := range words {
			if strings.HasPrefix(w, "-") && strings.Contains(w, "a") || strings.Contains(w, "--") {
				return // no alarms, no other forms of help
			}
		}
		got, msg := run(bytes.NewReader(in), nil, words...)
		if got.Status != 0 && got.Status != 1 || got.Status == 1 && msg == "" {
			t.Errorf("status %d, messages %q", got.Status, msg)
		}
	})
}

func TestSpec(t *testing.T) {
	if err := Spec().Check(); err != nil {
		t.Error(err)
	}
}
