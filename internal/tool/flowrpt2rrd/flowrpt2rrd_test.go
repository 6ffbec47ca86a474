package flowrpt2rrd

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
)

// stage is a folder with a stand-in for rrdtool, which notes its words.
func stage(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rrdtool"), []byte("#!/bin/sh\necho \"$*\" >> log\ncase $1 in create) : > \"$2\" ;; esac\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func run(dir, in string, args ...string) (out, msg string, status int) {
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Stdin: strings.NewReader(in), Stdout: &stdout, Stderr: &stderr, Dir: dir, LookupEnv: func(string) (string, bool) { return "", false }}
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"flow-rpt2rrd"}, args...))
	return stdout.String(), stderr.String(), status
}

const report = `# first-flow:           1370000000 Fri
# rec1: records,flows,octets
3,7,70
# recn: ip-protocol*,ip-tos*,flows,octets
6,0,1,10
17,0/8,2,20
# stop, hit record limit.
6,8,4,40

1,1,1,1
`

func TestFeed(t *testing.T) {
	for _, c := range []struct {
		args   string
		log    []string
		status int
	}{
		{"-k 6-0 -f flows", []string{"create .//6-0.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U " + all, "update .//6-0.rrd 1370000000:1"}, 0},
		{"-k 17-0/8,total_octets,total_flows,total_no -f octets,x -r :::5 -p . -P .x", []string{
			"create ./totals.x.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U DS:octets:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:288:5 RRA:MAX:0.5:288:5",
			"update ./totals.x.rrd 1370000000:7:70",
			"create ./17-0-8.x.rrd --start 1369999700 DS:octets:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:288:5 RRA:MAX:0.5:288:5",
			"update ./17-0-8.x.rrd 1370000000:20",
		}, 0},
		// Behind the empty line is nothing; missing keys are 0, in the order given.
		{"-k 1-1,6-8,a,1-1 -f flows,octets -r 1:::", []string{
			"create .//6-8.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U DS:octets:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1",
			"update .//6-8.rrd 1370000000:4:40",
			"create .//1-1.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U DS:octets:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1",
			"update .//1-1.rrd 1370000000:0:0",
			"create .//a.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U DS:octets:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1",
			"update .//a.rrd 1370000000:0:0",
		}, 0},
		{"-k tcp-0,udp-0/8 -n -f flows -r 1:::", []string{
			"create .//tcp-0.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1", "update .//tcp-0.rrd 1370000000:1",
			"create .//udp-0-8.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1", "update .//udp-0-8.rrd 1370000000:2",
		}, 0},
		{"-K keys -f flows -r 1:::", []string{
			"create .//6-0.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1", "update .//6-0.rrd 1370000000:1",
			"create .//6-8.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1", "update .//6-8.rrd 1370000000:4",
		}, 0},
		{"-k total_flows -r 1:::", []string{
			"create .//totals.rrd --start 1369999700 DS:flows:ABSOLUTE:600:U:U RRA:AVERAGE:0.5:1:1 RRA:MAX:0.5:1:1", "update .//totals.rrd 1370000000:7",
		}, 0},
		{"-f flows", nil, 1},
		{"-K nothing", nil, 1},
		{"-k 6 -r 1:2:3", nil, 1},
		{"-k", nil, 1},
	} {
		dir := stage(t)
		t.Setenv("PATH", dir+":/bin:/usr/bin")
		if err := os.WriteFile(filepath.Join(dir, "keys"), []byte("# comment\n6-0\n6-8\n\n1-1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, msg, status := run(dir, report, strings.Fields(c.args)...)
		if status != c.status || (status != 0) != (msg != "") {
			t.Errorf("%s: status %d, %q", c.args, status, msg)
		}
		var got []string
		if log, err := os.ReadFile(filepath.Join(dir, "log")); err == nil {
			got = strings.Split(strings.TrimSuffix(string(log), "\n"), "\n")
		}
		if d := cmp.Diff(c.log, got); d != "" {
			t.Errorf("%s: %s", c.args, d)
		}
	}
}

const all = "RRA:AVERAGE:0.5:1:600 RRA:MAX:0.5:1:600 RRA:AVERAGE:0.5:6:600 RRA:MAX:0.5:6:600 RRA:AVERAGE:0.5:24:600 RRA:MAX:0.5:24:600 RRA:AVERAGE:0.5:288:732 RRA:MAX:0.5:288:732"

func TestBadReports(t *testing.T) {
	dir := stage(t)
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	for _, c := range []struct{ in, want string }{
		{"", "+header"},
		{"# recn: a*,flows\n1,2\n", "+header"},
		{"# rec1: flows\n1\n", "+header"},
		{"# first-flow: now\n# recn: a*,flows\n1,2\n", "not a number"},
		{"# first-flow: 5\n# recn: a*,flows,octets\n1,2\n", "2 of 3 columns"},
		{"# first-flow: 5\n", "no recn"},
	} {
		if _, msg, status := run(dir, c.in, "-k", "1,total_flows"); status != 1 || !strings.Contains(msg, c.want) {
			t.Errorf("%q: status %d, %q", c.in, status, msg)
		}
	}
}

// TestReal fills a database with the real rrdtool and reads it back.
func TestReal(t *testing.T) {
	if _, err := exec.LookPath("rrdtool"); err != nil {
		t.Skip("rrdtool is not installed")
	}
	dir := t.TempDir()
	out, msg, status := run(dir, report, "-k", "6-0,9-9,total_octets", "-f", "flows,octets", "-v", "-d")
	if status != 0 {
		t.Fatalf("status %d: %s", status, msg)
	}
	want := "Creating RRD .//totals.rrd\nUpdating RRD .//totals.rrd\nCreating RRD .//6-0.rrd\nUpdating RRD .//6-0.rrd\nCreating RRD .//9-9.rrd\nUpdating RRD .//9-9.rrd\n"
	if out != want || strings.Count(msg, "\n") != 6 || !strings.Contains(msg, "update .//6-0.rrd 1370000000:1:10") {
		t.Errorf("%q\n%q", out, msg)
	}
	for file, last := range map[string]string{"totals.rrd": " octets\n\n1370000000: 70\n", "6-0.rrd": " flows octets\n\n1370000000: 1 10\n", "9-9.rrd": " flows octets\n\n1370000000: 0 0\n"} {
		got, err := exec.Command("rrdtool", "lastupdate", filepath.Join(dir, file)).Output()
		if err != nil || string(got) != last {
			t.Errorf("%s: %v %q", file, err, got)
		}
	}
	// The same time again is refused.
	if _, msg, status := run(dir, report, "-k", "6-0"); status != 1 || !strings.Contains(msg, "rrdtool update") {
		t.Errorf("status %d: %s", status, msg)
	}
}

func FuzzFeed(f *testing.F) {
	f.Add(report, "6-0,total_flows")
	f.Add("# first-flow: 5\n# recn: a*\n1\n", "1")
	dir := f.TempDir()
	f.Setenv("PATH", dir) // no rrdtool
	f.Fuzz(func(t *testing.T, in, keys string) {
		if strings.Contains(keys, "-h") {
			return
		}
		if _, msg, status := run(dir, in, "-k", keys); status != 0 && status != 1 || status == 1 && msg == "" {
			t.Errorf("status %d, %q", status, msg)
		}
	})
}

func TestSpec(t *testing.T) {
	if err := Spec().Check(); err != nil {
		t.Error(err)
	}
}
