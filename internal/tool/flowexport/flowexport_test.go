package flowexport_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/testdb"
	"flowtools/internal/tool/flowexport"
	"flowtools/pkg/flow"
)

// TestMain makes the test binary flow-export itself for the tests that kill it.
func TestMain(m *testing.M) {
	if os.Getenv("FT_BE_FLOW_EXPORT") != "" {
		cli.Main(flowexport.Spec())
	}
	os.Exit(testdb.Main(m))
}

// outcome is what a run of the tool leaves.
type outcome struct {
	status      int
	out, errors string
}

func run(t testing.TB, in io.Reader, env map[string]string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	e := &cli.Env{Stdin: in, Stdout: &out, Stderr: &errs, LookupEnv: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	status := cli.Exec(context.Background(), flowexport.Spec(), e, append([]string{"./flow-export"}, args...))
	return outcome{status, out.String(), errs.String()}
}

func stream(v uint16, agg uint8, n int) io.Reader {
	return bytes.NewReader(flowtest.Stream(flowtest.Traffic(flowtest.Layout(v, agg), n, 1)))
}

func TestSpec(t *testing.T) {
	if err := flowexport.Spec().Check(); err != nil {
		t.Error(err)
	}
	names := map[string]bool{}
	for _, target := range flowexport.Targets() {
		if names[target.Name] || target.Open == nil || target.Help == "" {
			t.Errorf("target %q", target.Name)
		}
		names[target.Name] = true
	}
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("x", 300)
	tests := []struct {
		name   string
		in     io.Reader
		args   string
		status int
		text   string // of standard error
		silent bool   // on standard output
	}{
		{name: "counts", in: stream(5, 0, 3), args: "-f2", text: "./flow-export: Exported 3 records\n"},
		{name: "format by name", in: stream(5, 0, 3), args: "-f csv", text: "./flow-export: Exported 3 records\n"},
		{name: "no field left", in: stream(5, 0, 3), args: "-f2 -m dflows", text: "Exported 3 records\n"},
		{name: "no such format", in: stream(5, 0, 3), args: "-f 6", status: 1, text: "flow-export: No such format, 6\n", silent: true},
		{name: "negative format", in: stream(5, 0, 3), args: "-f -1", status: 1, text: "flow-export: No such format, -1\n", silent: true},
		{name: "mask before input", in: strings.NewReader("junk"), args: "-f2 -m nope", status: 1, text: "flow-export: Unrecognized field: nope\nflow-export: ftxfield_parse(): failed\n", silent: true},
		{name: "the last mask decides", in: stream(5, 0, 3), args: "-f0 -m dflows -m 1", text: "Exported 3 records\n"},
		{name: "names for cflowd before input", in: strings.NewReader("junk"), args: "-f0 -m dflows", status: 1, text: "ftxfield_tocflow(): failed\n", silent: true},
		{name: "no stream", in: strings.NewReader("junk"), args: "-f2", status: 1, text: "flow-export: ftio_init(): failed\n", silent: true},
		{name: "pcap lacks fields", in: stream(8, 1, 3), args: "-f1", status: 255, text: "flow-export: Flow record missing required field for format.\n", silent: true},
		{name: "no wire form", in: stream(1005, 0, 3), args: "-f4", status: 1, text: "flow-export: fwrite(): failed\n", silent: true},
		{name: "operand", in: stream(5, 0, 3), args: "-f2 x", status: 1, text: "Extra arguments starting with x.\n", silent: true},
		{name: "long uri", in: stream(5, 0, 3), args: "-f3 -u " + long, status: 1, text: "flow-export: dbaseURI string too long.\n", silent: true},
		{name: "short uri, mysql", in: stream(5, 0, 3), args: "-f3 -u u:p:h", status: 255, text: "table.\n./flow-export: Exported 0 records\n", silent: true},
		{name: "short uri, postgres", in: stream(5, 0, 3), args: "-f5 -u u:p:h:1:d", status: 255, text: "table.\n./flow-export: Exported 0 records\n", silent: true},
		{name: "stream before uri", in: strings.NewReader("junk"), args: "-f3 -u u:p:h", status: 1, text: "ftio_init(): failed\n", silent: true},
		{name: "server down, mysql", in: stream(5, 0, 3), args: "-f3 -u u:p:127.0.0.1:1:d:t", status: 1, text: "flow-export: mysql_real_connect(): dial tcp 127.0.0.1:1: connect: connection refused\n", silent: true},
		{name: "server down, postgres", in: stream(5, 0, 3), args: "-f5 -u u:p:127.0.0.1:1:d:t", status: 1, text: "connection refused", silent: true},
		{name: "sqlite without file", in: stream(5, 0, 3), args: "-f sqlite", status: 1, text: "-u FILE[:TABLE]\n", silent: true},
		{name: "sqlite", in: stream(5, 0, 3), args: "-f sqlite -u " + filepath.Join(dir, "x.db"), text: "Exported 3 records\n", silent: true},
		{name: "sqlite, long name", in: stream(5, 0, 3), args: "-f sqlite -u " + dir + strings.Repeat("/.", 150) + "/x.db", text: "Exported 3 records\n", silent: true},
		{name: "conflict", in: stream(5, 0, 3), args: "--on-conflict=maybe", status: 1, text: `--on-conflict: "maybe" is none of fail, ignore, replace`, silent: true},
		{name: "password file", in: stream(5, 0, 3), args: "-f3 --password-file=" + dir + "/none", status: 1, text: "--password-file: open", silent: true},
		{name: "damage", in: io.LimitReader(stream(5, 0, 3), 200), args: "-f2", text: "Exported 2 records\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := run(t, tt.in, nil, strings.Fields(tt.args)...)
			if got.status != tt.status || !strings.Contains(got.errors, tt.text) {
				t.Errorf("status %d, messages %q; want %d, %q", got.status, got.errors, tt.status, tt.text)
			}
			if tt.silent && got.out != "" {
				t.Errorf("%d octets on standard output", len(got.out))
			}
		})
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, fmt.Errorf("write: no space left on device") }

// TestFullDevice: no format loses its output in silence.
func TestFullDevice(t *testing.T) {
	for _, target := range flowexport.Targets() {
		if target.Name == "mysql" || target.Name == "pgsql" || target.Name == "sqlite" {
			continue
		}
		var errs bytes.Buffer
		env := &cli.Env{Stdin: stream(5, 0, 3), Stdout: full{}, Stderr: &errs}
		status := cli.Exec(t.Context(), flowexport.Spec(), env, []string{"flow-export", "-f", target.Name})
		want := max(1, target.Status)
		if status != want || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%s: status %d, messages %q", target.Name, status, errs.String())
		}
	}
}

var runs atomic.Int64

// place is a database that the tool fills, seen through another way in.
type place struct {
	name   string
	format string
	prefix string
	uri    func(table string) string
	count  func(t *testing.T, query string) int
	crash  func(t *testing.T) // kills the server and starts it again; nil without server
}

func places(t *testing.T) []place {
	prefix := fmt.Sprintf("t%d_", runs.Add(1)) // of tables, so that tests can run again
	file := filepath.Join(t.TempDir(), "x.db")
	standard := func(driver, dsn string) func(*testing.T, string) int {
		return func(t *testing.T, query string) (n int) {
			t.Helper()
			db, err := sql.Open(driver, dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.QueryRow(query).Scan(&n); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			return n
		}
	}
	postgres := func(dsn string) func(*testing.T, string) int {
		return func(t *testing.T, query string) (n int) {
			t.Helper()
			db, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close(t.Context())
			if err := db.QueryRow(t.Context(), query).Scan(&n); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			return n
		}
	}
	all := []place{{name: "sqlite", prefix: prefix, format: "sqlite", uri: func(table string) string { return file + ":" + table }, count: standard("sqlite", file)}}
	t.Run("servers", func(t *testing.T) { // skipped one by one
		t.Run("mariadb", func(t *testing.T) {
			s := testdb.MariaDB(t)
			all = append(all, place{name: "mariadb", prefix: prefix, format: "3", uri: s.URI,
				count: standard("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/%s", testdb.User, testdb.Password, s.Port, testdb.Name)),
				crash: func(t *testing.T) { s.Kill(); s.Restart(t) }})
		})
		t.Run("postgres", func(t *testing.T) {
			s := testdb.Postgres(t)
			all = append(all, place{name: "postgres", prefix: prefix, format: "5", uri: s.URI,
				count: postgres(fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s", testdb.User, testdb.Password, s.Port, testdb.Name)),
				crash: func(t *testing.T) { s.Kill(); s.Restart(t) }})
		})
	})
	return all
}

// TestDatabases goes the same ways with every database.
func TestDatabases(t *testing.T) {
	const n = 2500
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			b := flowtest.Traffic(flowtest.Layout(5, 0), n, 1)
			load := func(table string, args ...string) outcome {
				return run(t, bytes.NewReader(flowtest.Stream(b)), nil, append([]string{"-f", p.format, "-u", p.uri(p.prefix + table), "--create"}, args...)...)
			}
			exported := func(o outcome, n int) {
				t.Helper()
				if want := fmt.Sprintf("./flow-export: Exported %d records\n", n); o.status != 0 || !strings.HasSuffix(o.errors, want) || o.out != "" {
					t.Errorf("status %d, output %q, messages %q", o.status, o.out, o.errors)
				}
			}
			exported(load("a"), n)
			exported(load("a"), n)
			if got := p.count(t, "SELECT count(*) FROM "+p.prefix+"a"); got != 2*n {
				t.Errorf("%d rows", got)
			}
			var octets int
			for r := range b.All() {
				octets += int(b.Layout.Uint(r, flow.DOctets))
			}
			if got := p.count(t, "SELECT sum(doctets) FROM "+p.prefix+"a"); got != 2*octets {
				t.Errorf("%d octets, want %d", got, 2*octets)
			}

			exported(load("b", "--once"), n)
			again := load("b", "--once")
			exported(again, 0)
			if !strings.Contains(again.errors, "these 2500 records are in "+p.prefix+"b already") {
				t.Errorf("messages %q", again.errors)
			}
			if got := p.count(t, "SELECT count(*) FROM "+p.prefix+"b"); got != n {
				t.Errorf("%d rows", got)
			}

			if traced := load("c", "-d1", "-m", "srcaddr,dstaddr"); !strings.Contains(traced.errors, "query=") || !strings.Contains(traced.errors, "processed 2500 flows") {
				t.Errorf("messages %q", traced.errors)
			}
			exported(load("d", "-m0"), n)
		})
	}
}

func TestPassword(t *testing.T) {
	s := testdb.MariaDB(t)
	uri := fmt.Sprintf("netflow::127.0.0.1:%d:netflow:passwords", s.Port)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("netflow\r\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-f3", "--create", "-u", uri}
	if o := run(t, stream(5, 0, 3), nil, args...); o.status != 1 || !strings.Contains(o.errors, "Access denied") {
		t.Errorf("without: status %d, %q", o.status, o.errors)
	}
	if o := run(t, stream(5, 0, 3), map[string]string{"FLOW_EXPORT_PASSWORD": "netflow"}, args...); o.status != 0 {
		t.Errorf("from the environment: status %d, %q", o.status, o.errors)
	}
	if o := run(t, stream(5, 0, 3), map[string]string{"FLOW_EXPORT_PASSWORD": "wrong"}, append(args, "--password-file", file)...); o.status != 0 {
		t.Errorf("from a file: status %d, %q", o.status, o.errors)
	}
}

// TestKilled kills exports, and then servers, at moments spread over their run:
// of every input all rows are there or none.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const n = 20_000
	input := filepath.Join(t.TempDir(), "flows")
	if err := os.WriteFile(input, flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), n, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	start := func(t *testing.T, p place) *exec.Cmd {
		in, err := os.Open(input)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close() })
		cmd := exec.Command(os.Args[0], "-f", p.format, "--create", "-u", p.uri(p.prefix+"killed"))
		cmd.Env = append(os.Environ(), "FT_BE_FLOW_EXPORT=1")
		cmd.Stdin = in
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			begun := time.Now()
			if err := start(t, p).Wait(); err != nil {
				t.Fatal(err)
			}
			whole := time.Since(begun)
			rows, runs := n, 1
			check := func(what string, ended error) {
				t.Helper()
				runs++
				got := p.count(t, "SELECT count(*) FROM "+p.prefix+"killed")
				// What was committed as its export died may show a little later.
				if got%n != 0 || got < rows || got > runs*n {
					t.Fatalf("%s: %d rows, %d before, %d an input", what, got, rows, n)
				}
				if got == rows && ended == nil {
					t.Errorf("%s: status 0 but no rows", what)
				}
				rows = got
			}
			times := 8
			if whole > time.Second { // under the race detector, or on a busy machine
				times = 4
			}
			for i := range times {
				cmd := start(t, p)
				time.Sleep(whole * time.Duration(i) / time.Duration(times-2))
				cmd.Process.Kill()
				check("export killed", cmd.Wait())
			}
			check("export left alone", start(t, p).Wait())
			if p.crash == nil {
				return
			}
			for range 2 {
				cmd := start(t, p)
				time.Sleep(time.Duration(rand.Int64N(int64(whole))))
				p.crash(t)
				check("server killed", cmd.Wait())
			}
			t.Logf("%d of %d exports were whole, one takes %v", rows/n, runs, whole)
		})
	}
}
