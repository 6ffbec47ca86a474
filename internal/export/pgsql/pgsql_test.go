package pgsql_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"flowtools/internal/export"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/pgsql"
	"flowtools/internal/flowtest"
	"flowtools/internal/testdb"
	"flowtools/pkg/flow"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func connect(t testing.TB) (*testdb.Server, *pgx.Conn) {
	t.Helper()
	s := testdb.Postgres(t)
	db, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s", testdb.User, testdb.Password, s.Port, testdb.Name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(context.Background()) })
	return s, db
}

func exec(t testing.TB, db *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func query(t testing.TB, db *pgx.Conn, statement string) []string {
	t.Helper()
	rows, err := db.Query(context.Background(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (string, error) {
		values, err := r.Values()
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, ","), err
	})
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return all
}

func want(t testing.TB, db *pgx.Conn, statement, result string) {
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
	sink, err := pgsql.Open(ctx, &o)
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

func TestTarget(t *testing.T) {
	s, db := connect(t)
	exporttest.Run(t, exporttest.Target{
		Open:      pgsql.Open,
		Transient: true,
		Options:   func(testing.TB) export.Options { return options(s, table()) },
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, _ []byte) []string {
			return query(t, db, "SELECT "+export.List(fields)+" FROM "+o.DB.URI[strings.LastIndex(o.DB.URI, ":")+1:]+" ORDER BY ctid")
		},
	})
}

// TestOwnTable fills a table of somebody's own types and names in upper case.
func TestOwnTable(t *testing.T) {
	s, db := connect(t)
	exec(t, db, "CREATE SCHEMA lab", "CREATE TABLE lab.flows (id SERIAL PRIMARY KEY, UNIX_SECS BIGINT, SRCADDR INET, DSTADDR INET, PROT SMALLINT, seen TIMESTAMPTZ DEFAULT now())")
	o := options(s, "lab.flows")
	o.DB.Create = false
	o.Mask = export.Mask{Bits: uint64(flow.Fields(flow.UnixSecs, flow.SrcAddr, flow.DstAddr, flow.Prot))}
	b := flowtest.Random(o.Layout, 500, 1)
	if err := load(t.Context(), o, b); err != nil {
		t.Fatal(err)
	}
	rows := query(t, db, "SELECT unix_secs, host(srcaddr), host(dstaddr), prot FROM lab.flows ORDER BY id")
	if len(rows) != b.Len() {
		t.Fatalf("%d rows, want %d", len(rows), b.Len())
	}
	for i, row := range rows {
		if w := exporttest.Row(o.Layout, b.At(i), o.Fields()); row != w {
			t.Fatalf("row %d is %s, want %s", i, row, w)
		}
	}
}

func TestRefused(t *testing.T) {
	s, db := connect(t)
	exec(t, db, "CREATE TABLE narrow (srcaddr VARCHAR(15))")
	uri := func(password string, port int, name, table string) string {
		return fmt.Sprintf("netflow:%s:127.0.0.1:%d:%s:%s", password, port, name, table)
	}
	tests := []struct{ name, uri, lead, text string }{
		{"server down", uri("netflow", 1, "netflow", "raw"), "PQsetdbLogin(): ", "connection refused"},
		{"wrong password", uri("guess", s.Port, "netflow", "raw"), "PQsetdbLogin(): ", `password authentication failed for user "netflow"`},
		{"no database", uri("netflow", s.Port, "none", "raw"), "PQsetdbLogin(): ", `database "none" does not exist`},
		{"bad port", "netflow:netflow:127.0.0.1:port:netflow:raw", "PQsetdbLogin(): ", "port"},
		{"no table", uri("netflow", s.Port, "netflow", "none"), "PQexec(): ", `relation "none" does not exist`},
		{"no column", uri("netflow", s.Port, "netflow", "narrow"), "PQexec(): ", `column "unix_secs" of relation "narrow" does not exist`},
		{"no table name", uri("netflow", s.Port, "netflow", ""), "PQexec(): ", "syntax error"},
		{"five parts", "netflow:netflow:127.0.0.1:1:netflow", "", export.ErrURI.Error()},
		{"foreign URL", "mysql://netflow@127.0.0.1/netflow", "-u: ", "mysql:// does not fit the format"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(s, "")
			o.DB.URI, o.DB.Create = tt.uri, false
			err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1))
			if err == nil || !strings.HasPrefix(err.Error(), tt.lead) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v, want %s%s", err, tt.lead, tt.text)
			}
			if err != nil && strings.Contains(err.Error(), "guess") {
				t.Errorf("the password is shown: %v", err)
			}
		})
	}
}

// TestAllOrNone: a row that the server does not take undoes all of them.
func TestAllOrNone(t *testing.T) {
	s, db := connect(t)
	l := flowtest.Layout(5, 0)
	good, bad := flowtest.Traffic(l, 3000, 1), flowtest.Traffic(l, 3000, 2)
	l.PutUint(bad.At(2500), flow.DOctets, 1<<31)
	for name, tt := range map[string]struct{ define, text string }{
		"out of range": {"doctets INTEGER", `PQexec(): ERROR: value "2147483648" is out of range for type integer`},
		"check":        {"doctets BIGINT CHECK (doctets < 2147483648)", "PQexec(): ERROR: new row for relation"},
	} {
		t.Run(name, func(t *testing.T) {
			name := table()
			exec(t, db, "CREATE TABLE "+name+" ("+tt.define+")")
			o := options(s, name)
			o.Mask = export.Mask{Bits: uint64(flow.DOctets.Set())}
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
}

func TestConflict(t *testing.T) {
	s, db := connect(t)
	for define, unique := range map[string]bool{
		"first BIGINT PRIMARY KEY, dpkts BIGINT":                   true,
		"dpkts BIGINT, first BIGINT, engine_id INT, UNIQUE(first)": true,
		"first BIGINT, dpkts BIGINT":                               false,
	} {
		name := table()
		exec(t, db, "CREATE TABLE "+name+" ("+define+")")
		o := options(s, name)
		o.Mask = export.Mask{Bits: uint64(flow.Fields(flow.First, flow.DPkts))}
		steps := []struct {
			conflict export.Conflict
			firsts   []uint64
			fails    bool
			want     string
			heap     string // without a key
		}{
			{export.Fail, []uint64{1, 2}, false, "1,0 2,0", "1,0 2,0"},
			{export.Fail, []uint64{3, 2, 4}, true, "1,0 2,0", "1,0 2,0 2,1 3,1 4,1"},
			{export.Ignore, []uint64{3, 2, 3}, false, "1,0 2,0 3,2", "1,0 2,0 2,1 2,2 3,1 3,2 3,2 4,1"},
			{export.Replace, []uint64{2, 4, 4}, false, "1,0 2,3 3,2 4,3", "1,0 2,0 2,1 2,2 2,3 3,1 3,2 3,2 4,1 4,3 4,3"},
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
			if (err != nil) != (step.fails && unique) || err != nil && !strings.Contains(err.Error(), "duplicate key value") {
				t.Errorf("step %d: %v", i, err)
			}
			rows := step.want
			if !unique {
				rows = step.heap
			}
			want(t, db, "SELECT first, dpkts FROM "+name+" ORDER BY 1, 2", rows)
		}
	}
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

// TestLedgerRace: two exports of the same records at the same time load them once.
func TestLedgerRace(t *testing.T) {
	s, db := connect(t)
	name := table()
	o := options(s, name)
	o.DB.Ledger = "race_exports"
	b := flowtest.Traffic(o.Layout, 2000, 1)
	results := make(chan error)
	for range 4 {
		go func() { results <- load(context.Background(), o, b) }()
	}
	loaded := 0
	for range 4 {
		err := <-results
		if err == nil {
			loaded++
		} else if !errors.Is(err, export.ErrLoaded) {
			t.Error(err)
		}
	}
	if loaded != 1 {
		t.Errorf("%d exports loaded the records", loaded)
	}
	want(t, db, "SELECT count(*) FROM "+name, "2000")
}

// broken exports while something happens to the server after some batches.
func broken(t *testing.T, happens func(s *testdb.Server, db *pgx.Conn)) (name string, err error) {
	s, db := connect(t)
	name = table()
	o := options(s, name)
	if err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1)); err != nil {
		t.Fatal(err)
	}
	sink, err := pgsql.Open(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Abort()
	b := flowtest.Traffic(o.Layout, 1000, 1)
	for i := 0; i < 200 && err == nil; i++ {
		if i == 50 {
			happens(s, db)
		}
		err = sink.Write(b)
	}
	if err == nil {
		err = sink.Close()
	}
	if err != nil && !strings.HasPrefix(err.Error(), "PQexec(): ") {
		t.Errorf("got %v", err)
	}
	return name, err
}

func TestConnectionKilled(t *testing.T) {
	name, err := broken(t, func(_ *testdb.Server, db *pgx.Conn) {
		if got := query(t, db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %'"); len(got) != 1 {
			t.Errorf("%d connections killed", len(got))
		}
	})
	if err == nil {
		t.Error("a broken connection is no error")
	}
	_, db := connect(t)
	want(t, db, "SELECT count(*) FROM "+name, "10")
}

// A backend outlives the server that is killed, and may still commit: all rows
// are there or none, as the export says.
func TestServerKilled(t *testing.T) {
	name, err := broken(t, func(s *testdb.Server, _ *pgx.Conn) { s.Kill() })
	testdb.Postgres(t).Restart(t)
	_, db := connect(t)
	rows := "10"
	if err == nil {
		rows = "200010"
	}
	want(t, db, "SELECT count(*) FROM "+name, rows)
}

func TestURL(t *testing.T) {
	s, db := connect(t)
	exec(t, db, "CREATE USER other PASSWORD 'p@ss:w/rd''\\'", "CREATE TABLE shared (srcaddr INET)", "GRANT ALL ON shared TO other")
	tests := []struct {
		name, uri, password string
		bad                 bool
	}{
		{name: "tcp", uri: fmt.Sprintf("postgres://netflow:netflow@127.0.0.1:%d/netflow?table=shared", s.Port)},
		{name: "scheme postgresql", uri: fmt.Sprintf("postgresql://netflow:netflow@127.0.0.1:%d/netflow?table=shared", s.Port)},
		{name: "password apart", uri: fmt.Sprintf("postgres://netflow@127.0.0.1:%d/netflow?table=shared", s.Port), password: "netflow"},
		{name: "odd password", uri: fmt.Sprintf("postgres://other@127.0.0.1:%d/netflow?table=shared", s.Port), password: `p@ss:w/rd'\`},
		{name: "odd password, six parts", uri: fmt.Sprintf("other::127.0.0.1:%d:netflow:shared", s.Port), password: `p@ss:w/rd'\`},
		{name: "socket", uri: fmt.Sprintf("postgres://netflow:netflow@/netflow?host=%s&port=%d&table=shared", s.Socket, s.Port)},
		{name: "socket, six parts", uri: fmt.Sprintf("netflow:netflow:%s:%d:netflow:shared", s.Socket, s.Port)},
		{name: "TLS", uri: fmt.Sprintf("postgres://netflow:netflow@127.0.0.1:%d/netflow?sslmode=verify-full&sslrootcert=%s&table=shared", s.Port, s.CA)},
		{name: "TLS unverified", uri: fmt.Sprintf("postgres://netflow:netflow@127.0.0.1:%d/netflow?sslmode=require&table=shared", s.Port)},
		{name: "TLS, unknown signer", uri: fmt.Sprintf("postgres://netflow:netflow@127.0.0.1:%d/netflow?sslmode=verify-full&table=shared", s.Port), bad: true},
		{name: "bad parameter", uri: fmt.Sprintf("postgres://netflow:netflow@127.0.0.1:%d/netflow?sslmode=maybe&table=shared", s.Port), bad: true},
	}
	rows := 0
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := options(s, "")
			o.DB.URI, o.DB.Password, o.DB.Create = tt.uri, tt.password, false
			o.Mask = export.Mask{Bits: uint64(flow.SrcAddr.Set())}
			err := load(t.Context(), o, flowtest.Random(o.Layout, 10, 1))
			if (err != nil) != tt.bad {
				t.Error(err)
			}
			if err == nil {
				rows += 10
			}
		})
	}
	want(t, db, "SELECT count(*) FROM shared", fmt.Sprint(rows))
}

// BenchmarkLoad compares the ways into the same server. One insert per record,
// each committed by itself, is what the original does.
func BenchmarkLoad(b *testing.B) {
	s, db := connect(b)
	o := options(s, "")
	batch := flowtest.Traffic(o.Layout, 1000, 1)
	b.Run("copy", func(b *testing.B) {
		o := o
		name := table()
		o.DB.URI = s.URI(name)
		b.ReportAllocs()
		sink, err := pgsql.Open(b.Context(), &o)
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
	})
	single := func(b *testing.B, begin, end string) {
		name := table()
		exec(b, db, export.CreateTable(name, o.Fields(), ""))
		text := export.NewText(o.Layout, o.Fields(), export.Style{Open: "INSERT INTO " + name + "(" + export.List(o.Fields()) + ") VALUES (", Sep: ",", Quote: "'", Close: ")\n"})
		statements := strings.Split(strings.TrimSpace(string(text.Append(nil, batch))), "\n")
		b.ResetTimer()
		run := func(statement string) {
			if _, err := db.PgConn().Exec(b.Context(), statement).ReadAll(); err != nil {
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
	b.Run("one insert per record", func(b *testing.B) { single(b, "", "") })
	b.Run("one insert per record in a transaction", func(b *testing.B) { single(b, "BEGIN", "COMMIT") })
}
