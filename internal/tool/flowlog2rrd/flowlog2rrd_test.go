package flowlog2rrd

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
)

func TestParse(t *testing.T) {
	const head = "Nov  5 12:00:00 probe1 "
	const values = " now=5 src_ip=10.0.0.1 dst_ip=10.0.0.2 d_ver=5 pkts=1 flows=2 lost=3"
	for _, c := range []struct {
		line   string
		want   string // file and values
		failed string // part of the error
	}{
		{"", "", ""},
		{"a b c", "", ""},
		{head + "flow-capture[1]: New exporter", "", ""},
		{head + "flow-capture[1]: STAT:" + values, "capture.probe1.10.0.0.1.10.0.0.2.5.rrd 5 2 1 3", ""},
		{head + "flow-capture: STAT:" + values + " lost=9 x=y=z", "capture.probe1.10.0.0.1.10.0.0.2.5.rrd 5 2 1 9", ""},
		{head + "flow-fanout[1]: STAT:" + values + " send_nobufs=4", "fanout.probe1.10.0.0.1.10.0.0.2.5.rrd 5 2 1 3 4", ""},
		{head + "flow-fanout[1]: STAT:" + values, "", "without send_nobufs="},
		{head + "flow-capture[1]: STAT: now=5 flows==2", "", "without src_ip="},
		{head + "other[1]: STAT:" + values, "", "neither"},
		{head + "x STAT:" + values, "", "neither"},
		{head + "flow-capture[1]: STAT:" + strings.Replace(values, "now=5", "now=x", 1), "", "now=x is not a number"},
		{"Nov 5 12:00:00 ../../etc flow-capture[1]: STAT:" + values, "capture...-..-etc.10.0.0.1.10.0.0.2.5.rrd 5 2 1 3", ""},
	} {
		s, err := parse(c.line)
		got := ""
		if s != nil {
			got = s.file + " " + string(rune('0'+s.now)) + " " + strings.Join(s.values, " ")
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q: %s", c.line, d)
		}
		if (err == nil) != (c.failed == "") || err != nil && !strings.Contains(err.Error(), c.failed) {
			t.Errorf("%q: %v", c.line, err)
		}
	}
}

func run(dir, in string, args ...string) (out, msg string, status int) {
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Stdin: strings.NewReader(in), Stdout: &stdout, Stderr: &stderr, Dir: dir}
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"flow-log2rrd"}, args...))
	return stdout.String(), stderr.String(), status
}

// TestReal fills databases with the real rrdtool.
func TestReal(t *testing.T) {
	if _, err := exec.LookPath("rrdtool"); err != nil {
		t.Skip("rrdtool is not installed")
	}
	const lines = `Nov  5 12:00:00 p flow-capture[1]: STAT: now=1415188800 src_ip=a dst_ip=b d_ver=5 pkts=100 flows=3000 lost=2
other line
Nov  5 12:05:00 p flow-capture[1]: STAT: now=1415189100 src_ip=a dst_ip=b d_ver=5 pkts=220 flows=6000 lost=3
Nov  5 12:05:00 p flow-fanout[1]: STAT: now=1415189100 src_ip=a dst_ip=b d_ver=5 pkts=220 flows=6000 lost=3 send_nobufs=7
`
	dir := t.TempDir()
	out, msg, status := run(dir, lines)
	if want := "Creating RRD  ./capture.p.a.b.5.rrd\nCreating RRD  ./fanout.p.a.b.5.rrd\n"; out != want || msg != "" || status != 0 {
		t.Errorf("status %d, %q, %q", status, out, msg)
	}
	for file, last := range map[string]string{"capture.p.a.b.5.rrd": " flows pkts lost\n\n1415189100: 6000 220 3\n", "fanout.p.a.b.5.rrd": " flows pkts lost nobufs\n\n1415189100: 6000 220 3 7\n"} {
		got, err := exec.Command("rrdtool", "lastupdate", filepath.Join(dir, file)).Output()
		if err != nil || string(got) != last {
			t.Errorf("%s: %v %q", file, err, got)
		}
	}
	if _, msg, status := run(dir, lines, "-p", "none"); status != 1 || !strings.Contains(msg, "line 1:") {
		t.Errorf("no folder: status %d, %q", status, msg)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"-x"}, {"-h"}, {"-p"}} {
		if out, msg, status := run(t.TempDir(), "", args...); status != 1 || out != "" || msg == "" {
			t.Errorf("%q: status %d, %q, %q", args, status, out, msg)
		}
	}
	if err := Spec().Check(); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Nov  5 12:00:00 h flow-fanout[1]: STAT: now=5 src_ip=a dst_ip=b d_ver=5 pkts=1 flows=2 lost=3 send_nobufs=4")
	f.Add("a b c d e STAT: =")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parse(line)
		if s != nil && (err != nil || strings.Contains(s.file, "/") || len(s.values) != len(s.daemon.sources)) {
			t.Errorf("%+v %v", s, err)
		}
	})
}
