package mysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"flowtools/internal/export"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/mysql"
	"flowtools/internal/flowtest"
	"flowtools/internal/testdb"
	"flowtools/pkg/flow"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func connect(t testing.TB) (*testdb.Server, *sql.DB) {
	t.Helper()
	s := testdb.MariaDB(t)
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(127.0.0.1:%d)/%s", testdb.User, testdb.Password, s.Port, testdb.Name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return s, db
}

func exec(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func query(t testing.TB, db *sql.DB, statement string) []string {
	t.Helper()
	rows, err := db.Query(statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, into := make([]sql.NullString, len(cols)), make([]any, len(cols))
	for i := range values {
		into[i] = &values[i]
	}
	var all []string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = v.String
		}
		all = append(all, strings.Join(words, ","))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func want(t testing.TB, db *sql.DB, statement, result string) {
	t.Helper()
	if got := strings.Join(query(t, db, statement), " "); got != result {
		t.Errorf("%s: %s, want %s", statement, got, result)
	}
}

var tables atomic.Int64

// table returns a name not used before.
func table() string { return fmt.Sprintf("t%d", tables.Add(1)) }

func options(s *testdb.Server, table string) export.Options {
	return export.Options{
		Layout: flowtest.Layout(5, 0), Mask: export.AllFields,
		DB: export.Database{URI: s.URI(table), Create: true},
	}
}

// load exports records and returns the first error of the way.
func load(ctx context.Context, o export.Options, batches ...*flow.Batch) error {
	sink, err := mysql.Open(ctx, &o)
	if err != nil {
		return err
	}
	defer sink.Abort()
	for _, b := range batches {
		if err := sink.Write(b); err != nil {
			return err
		}
	}
	return sink.Close()
}

// withoutLoadData runs f against a server that allows no LOAD DATA LOCAL.
func withoutLoadData(t *testing.T, db *sql.DB, f func(t *testing.T)) {
	t.Helper()
	t.Run("inserts", func(t *testing.T) {
		exec(t, db, "SET GLOBAL local_infile=0")
		defer exec(t, db, "SET GLOBAL local_infile=1")
		f(t)
	})
}

func TestTarget(t *testing.T) {
	s, db := connect(t)
	run := func(t *testing.T, versions ...flow.Version) {
		exporttest.Run(t, exporttest.Target{
			Open:      mysql.Open,
			Transient: true,
			Versions:  versions,
			Options:   func(testing.TB) export.Options { return options(s, table()) },
			Read: func(t testing.TB, o *export.Options, fields []flow.Field, _ []byte) []string {
				return query(t, db, "SELECT "+export.List(fields)+" FROM "+o.DB.URI[strings.LastIndex(o.DB.URI, ":")+1:])
			},
		})
	}
	t.Run("load data", func(t *testing.T) { run(t) })
	withoutLoadData(t, db, func(t *testing.T) { run(t, flow.Version{Export: 7}, flow.Version{Export: 8, Agg: 8}) })
}

// TestGuide fills a table as people have it, with column names in upper case.
func TestGuide(t *testing.T) {
	s, db := connect(t)
	name := "flows"
	exec(t, db, "CREATE TABLE "+name+` (
		UNIX_SECS int(10) unsigned NOT NULL DEFAULT '0', UNIX_NSECS int(10) unsigned NOT NULL DEFAULT '0', SYSUPTIME int(10) unsigned NOT NULL DEFAULT '0',
		EXADDR varchar(16) NOT NULL DEFAULT '', DPKTS int(10) unsigned NOT NULL DEFAULT '0', DOCTETS int(10) unsigned NOT NULL DEFAULT '0',
		FIRST int(10) unsigned NOT NULL DEFAULT '0', LAST int(10) unsigned NOT NULL DEFAULT '0', ENGINE_TYPE tinyint(3) unsigned NOT NULL DEFAULT '0',
		ENGINE_ID tinyint(3) unsigned NOT NULL DEFAULT '0', SRCADDR varchar(16) NOT NULL DEFAULT '0', DSTADDR varchar(16) NOT NULL DEFAULT '0',
		NEXTHOP varchar(16) NOT NULL DEFAULT '0', INPUT smallint(5) unsigned NOT NULL DEFAULT '0', OUTPUT smallint(5) unsigned NOT NULL DEFAULT '0',
		SRCPORT smallint(5) unsigned NOT NULL DEFAULT '0', DSTPORT smallint(5) unsigned NOT NULL DEFAULT '0', PROT tinyint(3) unsigned NOT NULL DEFAULT '0',
		TOS tinyint(3) unsigned NOT NULL DEFAULT '0', TCP_FLAGS tinyint(3) unsigned NOT NULL DEFAULT '0', SRC_MASK tinyint(3) unsigned NOT NULL DEFAULT '0',
		DST_MASK tinyint(3) unsigned NOT NULL DEFAULT '0', SRC_AS smallint(5) unsigned NOT NULL DEFAULT '0', DST_AS smallint(5) unsigned NOT NULL DEFAULT '0')`)
	o := options(s, name)
	o.DB.Create = false
	b := flowtest.Random(o.Layout, 500, 1)
	if err := load(t.Context(), o, b); err != nil {
		t.Fatal(err)
	}
	rows := query(t, db, "SELECT "+strings.ToUpper(export.List(o.Fields()))+" FROM flows")
	if len(rows) != b.Len() {
		t.Fatalf("%d rows, want %d", len(rows), b.Len())
	}
	for i, row := range rows {
		if w := exporttest.Row(o.Layout, b.At(i), o.Fields()); row != w {
			t.Fatalf("row %d is %s, want %s", i, row, w)
		}
	}
	o.Mask = export.Mask{Bits: 0x303000}
	if err := load(t.Context(), o, b); err != nil {
		t.Fatal(err)
	}
	want(t, db, "SELECT count(*), sum(dpkts = 0) >= 500 FROM flows", "1000,1")
}

func TestRefused(t *testing.T) {
	s, db := connect(t)
	exec(t, db, "CREATE TABLE narrow (srcaddr VARCHAR(15))")
	uri := func(user, password string, port int, name, table string) string {
		return fmt.Sprintf("%s:%s:127.0.0.1:%d:%s:%s", user, password, port, name, table)
	}
	tests := []struct{ name, uri, text string }{
		{"server down", uri("netflow", "netflow", 1, "netflow", "raw"), "mysql_real_connect(): dial tcp 127.0.0.1:1: connect: connection refused"},
		{"wrong password", uri("netflow", "guess", s.Port, "netflow", "raw"), "mysql_real_connect(): Access denied for user 'netflow'@'127.0.0.1' (using password: YES) (1045)"},
		{"no database", uri("netflow", "netflow", s.Port, "none", "raw"), "mysql_real_connect(): Unknown database 'none' (1049)"},
		{"no table", uri("netflow", "netflow", s.Port, "netflow", "none"), "mysql_real_query(): Table 'netflow.none' doesn't exist (1146)"},
		{"no column", uri("netflow", "netflow", s.Port, "netflow", "narrow"), "mysql_real_query(): Unknown column 'unix_secs' in "},
		{"no table name", uri("netflow", "netflow", s.Port, "netflow", ""), "mysql_real_query(): You have an error in your SQL syntax"},
		{"five parts", "netflow:netflow:127.0.0.1:1:netflow", export.ErrURI.Error()},
		{"foreign URL", "postgres://netflow@127.0.0.1/netflow", "-u: postgres:// does not fit the format"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(s, "")
			o.DB.URI, o.DB.Create = tt.uri, false
			err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1))
			if err == nil || !strings.HasPrefix(err.Error(), tt.text) {
				t.Errorf("got %v, want %s", err, tt.text)
			}
		})
	}
}

// TestAllOrNone: a row that the server does not take undoes all of them.
func TestAllOrNone(t *testing.T) {
	_, db := connect(t)
	run := func(t *testing.T) {
		s := testdb.MariaDB(t)
		good, bad := flowtest.Traffic(flowtest.Layout(5, 0), 3000, 1), flowtest.Traffic(flowtest.Layout(5, 0), 3000, 2)
		bad.Layout.PutUint(bad.At(2500), flow.Prot, 200)
		tests := []struct{ name, define, text string }{
			{"out of range", "prot TINYINT", "mysql_real_query(): Out of range value for column 'prot' at row"},
			{"check", "prot TINYINT UNSIGNED, CHECK (prot < 100)", "mysql_real_query(): CONSTRAINT"},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				name := table()
				exec(t, db, "CREATE TABLE "+name+" ("+tt.define+") ENGINE=InnoDB")
				o := options(s, name)
				o.Mask = export.Mask{Bits: uint64(flow.Prot.Set())}
				if err := load(t.Context(), o, good); err != nil {
					t.Fatal(err)
				}
				err := load(t.Context(), o, good, bad, good)
				if err == nil || !strings.HasPrefix(err.Error(), tt.text) {
					t.Errorf("got %v, want %s", err, tt.text)
				}
				want(t, db, "SELECT count(*) FROM "+name, "3000")
			})
		}
		t.Run("lenient server", func(t *testing.T) {
			exec(t, db, "SET GLOBAL sql_mode=''")
			defer exec(t, db, "SET GLOBAL sql_mode=DEFAULT")
			name := table()
			exec(t, db, "CREATE TABLE "+name+" (prot TINYINT) ENGINE=InnoDB")
			o := options(s, name)
			o.Mask = export.Mask{Bits: uint64(flow.Prot.Set())}
			if err := load(t.Context(), o, bad); err != nil { // as a plain INSERT there
				t.Error(err)
			}
			want(t, db, "SELECT count(*), max(prot) FROM "+name, "3000,127")
		})
	}
	t.Run("load data", run)
	withoutLoadData(t, db, run)
}

func TestConflict(t *testing.T) {
	_, db := connect(t)
	run := func(t *testing.T) {
		s := testdb.MariaDB(t)
		name := table()
		exec(t, db, "CREATE TABLE "+name+" (first BIGINT PRIMARY KEY, dpkts BIGINT) ENGINE=InnoDB")
		o := options(s, name)
		o.Mask = export.Mask{Bits: uint64(flow.Fields(flow.First, flow.DPkts))}
		steps := []struct {
			conflict export.Conflict
			firsts   []uint64
			failure  string
			want     string
		}{
			{export.Fail, []uint64{1, 2}, "", "1,0 2,0"},
			{export.Fail, []uint64{3, 2, 4}, "mysql_real_query(): Duplicate entry '2' for key 'PRIMARY' (1062)", "1,0 2,0"},
			{export.Ignore, []uint64{3, 2}, "", "1,0 2,0 3,2"},
			{export.Replace, []uint64{2, 4}, "", "1,0 2,3 3,2 4,3"},
		}
		for i, step := range steps {
			b := flow.NewBatch(o.Layout)
			clear(b.Extend(len(step.firsts)))
			for n, v := range step.firsts {
				o.Layout.PutUint(b.At(n), flow.First, v)
				o.Layout.PutUint(b.At(n), flow.DPkts, uint64(i))
			}
			o.DB.Conflict = step.conflict
			err := load(t.Context(), o, b)
			if got := fmt.Sprint(err); err != nil && got != step.failure || err == nil && step.failure != "" {
				t.Errorf("step %d: %v, want %q", i, err, step.failure)
			}
			want(t, db, "SELECT first, dpkts FROM "+name+" ORDER BY 1", step.want)
		}
	}
	t.Run("load data", run)
	withoutLoadData(t, db, run)
}

func TestLedger(t *testing.T) {
	s, db := connect(t)
	name := table()
	o := options(s, name)
	o.DB.Ledger = "flow_exports"
	one, two := flowtest.Traffic(o.Layout, 2000, 1), flowtest.Traffic(o.Layout, 2000, 2)
	for _, step := range []struct {
		batches []*flow.Batch
		again   bool
	}{{[]*flow.Batch{one}, false}, {[]*flow.Batch{one}, true}, {[]*flow.Batch{one, two}, false}, {nil, false}, {nil, false}} {
		if err := load(t.Context(), o, step.batches...); errors.Is(err, export.ErrLoaded) != step.again || (err != nil) != step.again {
			t.Errorf("%d batches: %v", len(step.batches), err)
		}
	}
	want(t, db, "SELECT count(*) FROM "+name, "6000")
	want(t, db, "SELECT records FROM flow_exports WHERE target = '"+name+"' ORDER BY 1", "2000 4000")
}

// TestNoTransactions: MyISAM cannot roll back, which is said.
func TestNoTransactions(t *testing.T) {
	s, db := connect(t)
	for engine, warns := range map[string]bool{"MyISAM": true, "Aria": true, "InnoDB": false} {
		name := table()
		exec(t, db, "CREATE TABLE "+name+" (srcaddr VARCHAR(15)) ENGINE="+engine)
		for _, as := range []string{name, "netflow." + name, "`" + name + "`"} {
			o := options(s, as)
			o.Mask = export.Mask{Bits: uint64(flow.SrcAddr.Set())}
			warned := ""
			o.DB.Warn = func(format string, args ...any) { warned = fmt.Sprintf(format, args...) }
			if err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(warned, engine) != warns {
				t.Errorf("%s as %s: warned %q", engine, as, warned)
			}
		}
	}
}

// TestConnectionKilled ends the connection from the server's side.
func TestConnectionKilled(t *testing.T) {
	s, db := connect(t)
	name := table()
	o := options(s, name)
	if err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1)); err != nil {
		t.Fatal(err)
	}
	sink, err := mysql.Open(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Abort()
	b := flowtest.Traffic(o.Layout, 1000, 1)
	for i := 0; i < 200 && err == nil; i++ {
		if i == 20 {
			for _, id := range query(t, db, "SELECT id FROM information_schema.processlist WHERE info LIKE 'LOAD DATA%"+name+"%'") {
				exec(t, db, "KILL CONNECTION "+id)
			}
		}
		if err = sink.Write(b); err == nil && i >= 20 {
			time.Sleep(time.Millisecond)
		}
	}
	if err == nil {
		err = sink.Close()
	}
	if err == nil || !strings.HasPrefix(err.Error(), "mysql_real_query(): ") {
		t.Errorf("got %v", err)
	}
	want(t, db, "SELECT count(*) FROM "+name, "10")
}

// TestServerKilled crashes the server in the middle of an export.
func TestServerKilled(t *testing.T) {
	s, db := connect(t)
	name := table()
	o := options(s, name)
	if err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1)); err != nil {
		t.Fatal(err)
	}
	sink, err := mysql.Open(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Abort()
	b := flowtest.Traffic(o.Layout, 1000, 1)
	for i := 0; i < 1000 && err == nil; i++ {
		if i == 100 {
			s.Kill()
		}
		err = sink.Write(b)
	}
	if err == nil {
		err = sink.Close()
	}
	if err == nil || !strings.HasPrefix(err.Error(), "mysql_real_query(): ") {
		t.Errorf("got %v", err)
	}
	s.Restart(t)
	want(t, db, "SELECT count(*) FROM "+name, "10")
}

func TestURL(t *testing.T) {
	s, db := connect(t)
	exec(t, db, "CREATE USER IF NOT EXISTS secure@'%' IDENTIFIED BY 'p@ss:w/rd' REQUIRE SSL", "GRANT ALL ON netflow.* TO secure@'%'")
	name := table()
	tests := []struct {
		name, uri, password string
		bad                 bool
	}{
		{name: "tcp", uri: fmt.Sprintf("mysql://netflow:netflow@127.0.0.1:%d/netflow?table=%s", s.Port, name)},
		{name: "scheme mariadb", uri: fmt.Sprintf("mariadb://netflow:netflow@127.0.0.1:%d/netflow?table=%s", s.Port, name)},
		{name: "password apart", uri: fmt.Sprintf("mysql://netflow@127.0.0.1:%d/netflow?table=%s", s.Port, name), password: "netflow"},
		{name: "socket", uri: "mysql://netflow:netflow@/netflow?socket=" + s.Socket + "&table=" + name},
		{name: "parameters of the driver", uri: fmt.Sprintf("mysql://netflow:netflow@127.0.0.1:%d/netflow?timeout=5s&compress=true&table=%s", s.Port, name)},
		{name: "TLS", uri: fmt.Sprintf("mysql://secure:p%%40ss%%3Aw%%2Frd@127.0.0.1:%d/netflow?ssl-ca=%s&table=%s", s.Port, s.CA, name)},
		{name: "TLS unverified", uri: fmt.Sprintf("mysql://secure:p%%40ss%%3Aw%%2Frd@127.0.0.1:%d/netflow?tls=skip-verify&table=%s", s.Port, name)},
		{name: "TLS, unknown signer", uri: fmt.Sprintf("mysql://secure:p%%40ss%%3Aw%%2Frd@127.0.0.1:%d/netflow?tls=true&table=%s", s.Port, name), bad: true},
		{name: "TLS wanted by the server", uri: fmt.Sprintf("mysql://secure:p%%40ss%%3Aw%%2Frd@127.0.0.1:%d/netflow?table=%s", s.Port, name), bad: true},
		{name: "six parts, password apart", uri: fmt.Sprintf("netflow::127.0.0.1:%d:netflow:%s", s.Port, name), password: "netflow"},
		{name: "bad parameter", uri: "mysql://netflow@127.0.0.1/netflow?timeout=never", bad: true},
		{name: "no certificate", uri: "mysql://netflow@127.0.0.1/netflow?ssl-ca=/dev/null", bad: true},
	}
	rows := 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(s, "")
			o.DB.URI, o.DB.Password = tt.uri, tt.password
			err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1))
			if (err != nil) != tt.bad {
				t.Error(err)
			}
			if err == nil {
				rows += 10
			}
		})
	}
	want(t, db, "SELECT count(*) FROM "+name, fmt.Sprint(rows))
}

// BenchmarkLoad compares the ways into the same server. One insert per record,
// each committed by itself, is what the original does.
func BenchmarkLoad(b *testing.B) {
	s, db := connect(b)
	o := options(s, "")
	batch := flowtest.Traffic(o.Layout, 1000, 1)
	fast := func(b *testing.B) {
		o := o
		name := table()
		o.DB.URI = s.URI(name)
		b.ReportAllocs()
		sink, err := mysql.Open(b.Context(), &o)
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for i := 0; i < b.N; i += batch.Len() {
			if err := sink.Write(batch); err != nil {
				b.Fatal(err)
			}
		}
		if err := sink.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		b.StopTimer()
		exec(b, db, "DROP TABLE "+name)
	}
	b.Run("load data", fast)
	b.Run("inserts of many rows", func(b *testing.B) {
		exec(b, db, "SET GLOBAL local_infile=0")
		defer exec(b, db, "SET GLOBAL local_infile=1")
		fast(b)
	})
	single := func(b *testing.B, begin, end string) {
		name := table()
		exec(b, db, export.CreateTable(name, o.Fields(), " ENGINE=InnoDB"))
		text := export.NewText(o.Layout, o.Fields(), export.Style{Open: "INSERT INTO " + name + "(" + export.List(o.Fields()) + ") VALUES (", Sep: ",", Quote: "'", Close: ")\n"})
		statements := strings.Split(strings.TrimSpace(string(text.Append(nil, batch))), "\n")
		conn, err := db.Conn(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		b.ResetTimer()
		run := func(statement string) {
			if _, err := conn.ExecContext(b.Context(), statement); err != nil {
				b.Fatal(err)
			}
		}
		run(begin)
		for i := 0; i < b.N; i++ {
			run(statements[i%len(statements)])
		}
		run(end)
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("one insert per record", func(b *testing.B) { single(b, "SET autocommit=1", "SET autocommit=1") })
	b.Run("one insert per record in a transaction", func(b *testing.B) { single(b, "START TRANSACTION", "COMMIT") })
}
