package flowreport

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	engine "flowtools/pkg/report"
)

// result is what a run leaves behind.
type result struct {
	Out, Err string
	Status   int
}

// stage is where runs take place: a folder, with nothing installed.
type stage struct {
	dir string
	env map[string]string
}

func newStage(t testing.TB) *stage {
	t.Helper()
	dir := t.TempDir()
	return &stage{dir: dir, env: map[string]string{"TZ": "UTC", "FLOW_TOOLS_SYSCONFDIR": filepath.Join(dir, "etc")}}
}

func (s *stage) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *stage) read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (s *stage) runTo(stdout io.Writer, stdin []byte, args ...string) (stderr string, status int) {
	var msg bytes.Buffer
	env := &cli.Env{
		Stdin: bytes.NewReader(stdin), Stdout: stdout, Stderr: &msg, Dir: s.dir,
		Now:       func() time.Time { return time.Unix(1400000000, 0) },
		LookupEnv: func(k string) (string, bool) { v, ok := s.env[k]; return v, ok },
	}
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"/usr/bin/flow-report"}, args...))
	return msg.String(), status
}

func (s *stage) run(stdin []byte, args ...string) result {
	var out bytes.Buffer
	stderr, status := s.runTo(&out, stdin, args...)
	return result{out.String(), stderr, status}
}

// flows makes a small stream: secs and protocol of each record.
func flows(version uint16, records ...[2]uint64) []byte {
	l := flowtest.Layout(version, 0)
	b := &flow.Batch{Layout: l}
	for _, r := range records {
		clear(b.Extend(1))
		rec := b.At(b.Len() - 1)
		for f, v := range map[flow.Field]uint64{
			flow.UnixSecs: r[0], flow.Prot: r[1], flow.DPkts: r[1], flow.DOctets: 100 * r[1], flow.Last: 2000,
			flow.SrcAddr: 0x0a010203, flow.DstAddr: 0xc0000201, flow.SrcMask: 16, flow.DstMask: 33,
			flow.SrcPort: 53, flow.DstPort: 40000, flow.SrcAS: 7,
		} {
			l.PutUint(rec, f, v)
		}
	}
	return flowtest.Stream(b)
}

var small = [][2]uint64{{1370000000, 6}, {1370000100, 17}, {1370000200, 6}}

const plain = "stat-report r\n type ip-protocol\n output\n  path @{PATH:-|cat}\nstat-definition d\n report r\n"

func TestBuiltin(t *testing.T) {
	s := newStage(t)
	got := s.run(flows(5, small...), "-v", "TYPE=ip-protocol", "-v", "SORT=+octets")
	want := result{Out: `#  --- ---- ---- Report Information --- --- ---
# build-version:        flow-tools 0.68.5
# name:                 default
# type:                 ip-protocol
# options:              +header,+xheader,+totals
# sort_field:           +octets
# fields:               +key,+flows,+octets,+packets,+duration,+other
# records:              2
# first-flow:           1370000000 Fri May 31 11:33:20 2013
# last-flow:            1370000200 Fri May 31 11:36:40 2013
# now:                  1400000000 Tue May 13 16:53:20 2014
#
# mode:                 streaming
# compress:             off
# byte order:           little
# stream version:       3
# export version:       5
#
#  ['flow-rptfmt', '-f', 'ascii']
ip-protocol flows octets packets duration
17          1     1700   17      2000    
6           2     1200   12      4000    

`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// The report file that is installed wins.
	s.write(t, "etc/cfg/stat.cfg", strings.ReplaceAll(plain, " d\n", " default\n"))
	got = s.run(flows(5, small...), "-v", "PATH=out")
	if d := cmp.Diff(result{}, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("# recn: ip-protocol*,flows,octets,packets,duration\n6,2,1200,12,4000\n17,1,1700,17,2000\n", s.read(t, "out")); d != "" {
		t.Error(d)
	}

	// A bad formatter is a warning, as a failing command is.
	s = newStage(t)
	got = s.run(flows(5, small...), "-v", "RPTOPT=-m x")
	if got.Status != 0 || got.Out != "" || !strings.Contains(got.Err, "exit status 1") {
		t.Errorf("%+v", got)
	}
}

func TestStatus(t *testing.T) {
	s := newStage(t)
	s.write(t, "c", plain)
	s.write(t, "bad", "stat-report r\nnonsense\n")
	s.write(t, "file/x", "")
	s.write(t, "etc/cfg/filter.cfg", "filter-primitive p\n type ip-protocol\n permit 17\nfilter-definition f\n match ip-protocol p\n")
	in := flows(5, small...)
	for _, c := range []struct {
		args   string
		stdin  []byte
		status int
		err    string // part of the messages; "" none
	}{
		{"-s c -S d", in, 0, ""},
		{"-s c -S D", in, 0, ""},
		{"-s c -S x", in, 1, `no stat-definition "x", only d`},
		{"-s none -S d", in, 1, "none: no such file"},
		{"-s file -S d", in, 1, "is a directory"},
		{"-s bad -S d", in, 1, "line 2"},
		{"-s c -S d -v X", in, 1, "NAME=VALUE"},
		{"-s c -S d extra", in, 1, "Extra arguments starting with extra."},
		{"-s c -S d -z 3", in, 1, "Usage:"},
		{"-h", in, 0, "Usage:"},
		{"-h extra", in, 1, "Extra arguments"},
		{"-S", in, 0, "requires an argument"},
		{"-s c -S d", nil, 1, "ftio_init(): failed"},
		{"-s c -S d", in[:len(in)-3], 0, "partial record"},
		{"-s c -S d -v PATH=file/x/y", in, 1, "file/x/y: not a directory"},
		{"-s c -S d -v PATH=|exit~3", in, 0, "exit 3: exit status 3"},
		{"-s c -S d -v PATH=|sed~q", in, 0, ""},
		{"-s c -S d -d1", in, 0, "processed 3 flows"},
		{"-v TYPE=source-tag", in, 1, `missing required field for report "default": version 5 has no src_tag`},
		{"-v TYPE=ip-tos", flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 1), 3, 1)), 1, "has no tos"},
		{"-v OPTIONS=+names", in, 0, ""},
	} {
		var args []string
		for _, a := range strings.Fields(c.args) {
			args = append(args, strings.ReplaceAll(a, "~", " "))
		}
		got := s.run(c.stdin, args...)
		if got.Status != c.status || !strings.Contains(got.Err, c.err) || (c.err == "") != (got.Err == "") {
			t.Errorf("%s: status %d, stderr %q, want %d, %q", c.args, got.Status, got.Err, c.status, c.err)
		}
	}
	// Nothing is printed in front of a missing field, nor without a type.
	s.write(t, "c", "stat-report r\nstat-definition d\nreport r\n")
	if got := s.run(in, "-s", "c", "-S", "d"); got.Status != 1 || got.Out != "" || !strings.Contains(got.Err, `"r" has no type`) {
		t.Errorf("%+v", got)
	}
}

func TestTypeList(t *testing.T) {
	got := newStage(t).run(nil, "-hh")
	_, list, ok := strings.Cut(got.Err, "\nAvailable reports:\n\n  summary-detail\n  summary-counters\n")
	if !ok || got.Status != 0 || got.Out != "" || strings.Count(list, "\n") != len(engine.Types())-2 {
		t.Errorf("%+v", got)
	}
}

// broken fails like a pipe that nobody reads, or a full disk.
type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func TestFailedOutput(t *testing.T) {
	s := newStage(t)
	s.write(t, "c", strings.Replace(plain, "  path @{PATH:-|cat}\n", "", 1))
	in := flows(5, small...)
	if msg, status := s.runTo(broken{&os.PathError{Op: "write", Path: "x", Err: syscall.EPIPE}}, in, "-s", "c", "-S", "d"); status != 0 || msg != "" {
		t.Errorf("broken pipe: status %d, %q", status, msg)
	}
	if msg, status := s.runTo(broken{&os.PathError{Op: "write", Path: "x", Err: syscall.EPIPE}}, in); status != 0 || msg != "" {
		t.Errorf("broken pipe behind the formatter: status %d, %q", status, msg)
	}
	for _, form := range [][]string{nil, {"--json"}, {"--csv"}, {"--table"}} {
		msg, status := s.runTo(broken{syscall.ENOSPC}, in, append(form, "-s", "c", "-S", "d")...)
		if status != 1 || !strings.Contains(msg, "no space left") {
			t.Errorf("full disk %v: status %d, %q", form, status, msg)
		}
	}
}

// TestDeafOutputs goes on with the other outputs where a command, or whoever
// reads standard output, stops reading.
func TestDeafOutputs(t *testing.T) {
	s := newStage(t)
	s.write(t, "c", `stat-report r
 type octets
 output
  path |sed q
 output
  path |sed -n '$='
stat-definition command
 report r
stat-report s
 type octets
 output
 output
  path f
stat-definition stdout
 report s
`)
	var many [][2]uint64
	for i := range uint64(20000) {
		many = append(many, [2]uint64{1370000000, i + 1})
	}
	in := flows(5, many...)
	got := s.run(in, "-s", "c", "-S", "command")
	if want := (result{Out: "# recn: octets/flow*,flows,octets,packets,duration\n20001\n"}); got != want {
		t.Error(cmp.Diff(want, got))
	}
	if msg, status := s.runTo(broken{&os.PathError{Op: "write", Path: "x", Err: syscall.EPIPE}}, in, "-s", "c", "-S", "stdout"); status != 0 || msg != "" {
		t.Errorf("broken pipe: status %d, %q", status, msg)
	}
	if n := strings.Count(s.read(t, "f"), "\n"); n != 20001 {
		t.Errorf("the file has %d lines", n)
	}
}

// TestOrderOfText mixes outputs to standard output and to commands.
func TestOrderOfText(t *testing.T) {
	s := newStage(t)
	s.write(t, "c", `stat-report r
 type ip-protocol
 output
  fields -generic
  records 1
 output
  path |tail -1
 output
  fields -flows,-duration
  sort -octets
stat-definition d
 report r
`)
	got := s.run(flows(5, small...), "-s", "c", "-S", "d")
	want := result{Out: "# recn: \n\n# stop, hit record limit.\n17,1,1700,17,2000\n# recn: ip-protocol*,octets,packets\n6,1200,12\n17,1700,17\n"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestSeries(t *testing.T) {
	s := newStage(t)
	s.write(t, "c", `stat-report r
 type ip-protocol
 output
  fields +index
  options +header,+totals
  path out/../out/%H.txt
  time start
stat-definition d
 report r
 time-series 100
`)
	// The second flow is not more than 100 s after the first, the last one goes back.
	in := flows(5, [2]uint64{1370000000, 6}, [2]uint64{1370000100, 17}, [2]uint64{1370000101, 6}, [2]uint64{1370000001, 1})
	if d := cmp.Diff(result{}, s.run(in, "-s", "c", "-S", "d")); d != "" {
		t.Fatal(d)
	}
	want := `#  --- ---- ---- Report Information --- --- ---
# build-version:        flow-tools 0.68.5
# name:                 r
# type:                 ip-protocol
# options:              +header,+totals
# fields:               +key,+flows,+octets,+packets,+duration,+other
# records:              2
# first-flow:           1370000000 Fri May 31 11:33:20 2013
# last-flow:            1370000100 Fri May 31 11:35:00 2013
# now:                  1400000000 Tue May 13 16:53:20 2014
# time-series:          100 seconds / interval 0
# rec1: records,ignores,flows,octets,packets,duration
2,0,2,2300,23,4000
# recn: index,ip-protocol*,flows,octets,packets,duration
0,6,1,600,6,2000
1,17,1,1700,17,2000
# records:              2
# first-flow:           1370000001 Fri May 31 11:33:21 2013
# last-flow:            1370000101 Fri May 31 11:35:01 2013
# now:                  1400000000 Tue May 13 16:53:20 2014
# time-series:          100 seconds / interval 1
# rec1: records,ignores,flows,octets,packets,duration
2,0,2,700,7,4000
# recn: index,ip-protocol*,flows,octets,packets,duration
2,1,1,100,1,2000
3,6,1,600,6,2000
`
	if d := cmp.Diff(want, s.read(t, "out/11.txt")); d != "" {
		t.Error(d)
	}
}

func TestNames(t *testing.T) {
	s := newStage(t)
	s.write(t, "etc/sym/tcp-port.sym", "53 domain\n")
	s.write(t, "etc/sym/ip-type.sym", "2 "+strings.Repeat("c", 100)+"\n")
	for typ, want := range map[string]string{
		"ip-source/destination-port":  "domain,40000,3,2900,29,6000",
		"ip-destination-address-type": strings.Repeat("c", 63) + ",3,2900,29,6000",
		"ip-tos":                      "0,3,2900,29,6000",
	} {
		got := s.run(flows(5, small...), "-v", "TYPE="+typ, "-v", "OPTIONS=+names", "-v", "RPTOPT=-f ascii | cat", "--csv")
		if got.Status != 0 || got.Err != "" || !strings.HasSuffix(got.Out, "\n"+want+"\n") {
			t.Errorf("%s: %+v", typ, got)
		}
	}
	// A table that is missing is said once, and numbers are printed.
	got := s.run(flows(5, small...), "-v", "TYPE=ip-protocol", "-v", "OPTIONS=+names", "--csv")
	if strings.Count(got.Err, "ip-prot.sym") != 1 || !strings.Contains(got.Out, "\n17,1,") {
		t.Errorf("%+v", got)
	}
}

func TestPrefixes(t *testing.T) {
	s := newStage(t)
	s.write(t, "c", `stat-report r
 type ip-source/destination-address
 ip-source-address-format @{S}
 ip-destination-address-format @{D}
 output
stat-definition d
 report r
`)
	for formats, want := range map[string]string{
		"address address":         "10.1.2.3,192.0.2.1",
		"prefix-len address":      "10.1.2.3/16,192.0.2.1",
		"prefix-mask prefix-mask": "10.1/16,192.0.2.1/0", // 33 clears nothing
	} {
		src, dst, _ := strings.Cut(formats, " ")
		got := s.run(flows(5, small...), "-s", "c", "-S", "d", "-v", "S="+src, "-v", "D="+dst)
		if !strings.Contains(got.Out, "\n"+want+",3,") {
			t.Errorf("%s: %+v", formats, got)
		}
	}
}

// TestTagged counts v1 records, which get tags but have no AS.
func TestTagged(t *testing.T) {
	s := newStage(t)
	s.write(t, "etc/cfg/tag.cfg", "tag-action a\n type source-prefix\n match 10/8 set-source 0x105\ntag-definition t\n term\n  action a\n")
	s.write(t, "etc/cfg/mask.cfg", "mask-definition m\n prefix 0/0 8\n")
	s.write(t, "c", `stat-report all
 type source-tag
 output
stat-report low
 type source-tag
 tag-mask 0xff 0
 output
stat-report again
 type source-tag
 output
stat-report as
 type source-as
 output
stat-definition d
 mask m
 tag t
 report all
 report low
 report again
stat-definition e
 tag t
 report as
`)
	got := s.run(flows(1, small...), "-s", "c", "-S", "d")
	const head = "# recn: source-tag*,flows,octets,packets,duration\n"
	if want := (result{Out: head + "261,3,2900,29,6000\n" + head + "5,3,2900,29,6000\n" + head + "261,3,2900,29,6000\n"}); got != want {
		t.Error(cmp.Diff(want, got))
	}
	if got := s.run(flows(1, small...), "-s", "c", "-S", "e"); got.Status != 1 || !strings.Contains(got.Err, "has no src_as") {
		t.Errorf("%+v", got)
	}
	v8 := flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 1), 3, 1))
	if got := s.run(v8, "-s", "c", "-S", "d"); got.Status != 1 || !strings.Contains(got.Err, "cannot be tagged") {
		t.Errorf("%+v", got)
	}
}

func TestForms(t *testing.T) {
	s := newStage(t)
	s.write(t, "c", `stat-report hosts
 type ip-source-address
 output
  fields +avg-bps
  path somewhere
stat-report sum
 type summary-detail
 output
stat-report linear
 type linear-interpolated-flows-octets-packets
 output
stat-report totals
 type summary-counters
 output
stat-definition d
 report hosts
 report sum
 report linear
 report totals
`)
	in := flows(5, small...)
	got := s.run(in, "-s", "c", "-S", "d", "--json")
	if got.Status != 0 || got.Err != "" {
		t.Fatalf("%+v", got)
	}
	var doc struct {
		Reports []struct {
			Name, Type string
			Facts      map[string]float64
			Columns    []string
			Rows       []map[string]any
		}
	}
	if err := json.Unmarshal([]byte(got.Out), &doc); err != nil {
		t.Fatalf("%v\n%s", err, got.Out)
	}
	if len(doc.Reports) != 4 {
		t.Fatal(got.Out)
	}
	hosts := doc.Reports[0]
	if d := cmp.Diff([]map[string]any{{"ip-source-address": "10.1.2.3", "flows": 3.0, "octets": 2900.0, "packets": 29.0, "duration": 6000.0, "avg-bps": 3866.6666666666665}}, hosts.Rows); d != "" {
		t.Error(d)
	}
	if hosts.Facts["first_flow"] != 1370000000 || hosts.Facts["records"] != 1 || hosts.Facts["max-bps"] != 6800 {
		t.Errorf("facts %v", hosts.Facts)
	}
	if n := len(doc.Reports[1].Rows); n != 4*26-1+1 {
		t.Errorf("summary-detail has %d rows", n)
	}
	if n := len(doc.Reports[2].Rows); n == 0 || doc.Reports[2].Rows[0]["flows"] != 1.0/3 {
		t.Errorf("linear: %v", doc.Reports[2].Rows)
	}
	if d := doc.Reports[3]; d.Rows == nil || len(d.Rows) != 0 || d.Facts["flows"] != 3 {
		t.Errorf("summary-counters: %+v", d)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "somewhere")); !errors.Is(err, os.ErrNotExist) {
		t.Error("--json wrote to the path of an output")
	}

	got = s.run(in, "-v", "TYPE=ip-protocol", "-v", "SORT=+flows", "--csv")
	rows, err := csv.NewReader(strings.NewReader(got.Out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][]string{{"ip-protocol", "flows", "octets", "packets", "duration"}, {"6", "2", "1200", "12", "4000"}, {"17", "1", "1700", "17", "2000"}}, rows); d != "" {
		t.Error(d)
	}

	got = s.run(in, "-v", "TYPE=ip-protocol", "-v", "SORT=+flows", "-v", "FIELDS=+bps", "--table")
	want := `default: ip-protocol
  first flow  2013-05-31 11:33:20
  last flow   2013-05-31 11:36:40
  records     2
  flows       3
  octets      2.90 kB
  packets     29
  duration    6.00 s
  avg-bps     3.87 kbit/s
  min-bps     2.40 kbit/s
  max-bps     6.80 kbit/s
  avg-pps     4.83 p/s
  min-pps     3 p/s
  max-pps     8.50 p/s

 ip-protocol  flows   octets  packets  duration      avg-bps      min-bps      max-bps 
───────────────────────────────────────────────────────────────────────────────────────
           6      2  1.20 kB       12    4.00 s  2.40 kbit/s  2.40 kbit/s  2.40 kbit/s 
          17      1  1.70 kB       17    2.00 s  6.80 kbit/s  6.80 kbit/s  6.80 kbit/s 
`
	if d := cmp.Diff(result{Out: want}, got); d != "" {
		t.Error(d)
	}
}

// TestEmptyForms has sheets of nothing, in every form and of every type.
func TestEmptyForms(t *testing.T) {
	s := newStage(t)
	in := flowtest.Stream(&flow.Batch{Layout: flowtest.Layout(1005, 0)})
	for _, typ := range engine.Types() {
		for _, form := range []string{"--table", "--json", "--csv"} {
			got := s.run(in, "-v", "TYPE="+typ.Name, form)
			if got.Err != "" || got.Status != 0 {
				t.Errorf("%s %s: %+v", typ.Name, form, got)
			}
			if form == "--json" && !json.Valid([]byte(got.Out)) {
				t.Errorf("%s: %s", typ.Name, got.Out)
			}
		}
	}
}

func TestSpec(t *testing.T) {
	if err := Spec().Check(); err != nil {
		t.Error(err)
	}
}
