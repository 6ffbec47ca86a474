package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // read back through the driver, not through our own way in

	"flowtools/internal/export"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/sqlite"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// query returns the rows of a query as text.
func query(t testing.TB, file, statement string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(statement)
	if err != nil {
		t.Fatal(err)
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

func scalar(t testing.TB, file, statement string) string {
	t.Helper()
	rows := query(t, file, statement)
	if len(rows) != 1 {
		t.Fatalf("%s: %d rows", statement, len(rows))
	}
	return rows[0]
}

func options(t testing.TB) export.Options {
	return export.Options{DB: export.Database{URI: filepath.Join(t.TempDir(), "x.db")}, Mask: export.AllFields}
}

func TestTarget(t *testing.T) {
	exporttest.Run(t, exporttest.Target{
		Open:      sqlite.Open,
		Transient: true,
		Options:   options,
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, _ []byte) []string {
			return query(t, o.DB.URI, "SELECT "+export.List(fields)+" FROM flows ORDER BY rowid")
		},
	})
}

// load exports n records of seed and returns what Close says.
func load(t testing.TB, o export.Options, l *flow.Layout, n int, seed uint64) error {
	t.Helper()
	o.Layout = l
	sink, err := sqlite.Open(t.Context(), &o)
	if err != nil {
		return err
	}
	defer sink.Abort()
	if err := sink.Write(flowtest.Traffic(l, n, seed)); err != nil {
		return err
	}
	return sink.Close()
}

func TestTableAndIndex(t *testing.T) {
	o := options(t)
	file := o.DB.URI
	l := flowtest.Layout(5, 0)
	if err := load(t, o, l, 10, 1); err != nil {
		t.Fatal(err)
	}
	if got := query(t, file, "SELECT type, name FROM sqlite_master ORDER BY 1 DESC"); strings.Join(got, " ") != "table,flows index,flows_unix_secs" {
		t.Errorf("schema: %v", got)
	}
	// Another table with indexes of its own in the same file.
	o.DB.URI += ":other"
	o.DB.Index = flow.Fields(flow.SrcAddr, flow.DstAddr)
	if err := load(t, o, l, 10, 1); err != nil {
		t.Fatal(err)
	}
	if got := query(t, file, "SELECT name FROM sqlite_master WHERE tbl_name = 'other' AND type = 'index' ORDER BY 1"); strings.Join(got, " ") != "other_dstaddr other_srcaddr" {
		t.Errorf("indexes: %v", got)
	}
	if n := scalar(t, file, "SELECT count(*), sum(typeof(srcaddr) = 'text'), sum(typeof(dpkts) = 'integer') FROM flows"); n != "10,10,10" {
		t.Errorf("rows and types: %s", n)
	}
}

// TestColumnsAreAdded mixes record versions in one table.
func TestColumnsAreAdded(t *testing.T) {
	o := options(t)
	for _, l := range []*flow.Layout{flowtest.Layout(1, 0), flowtest.Layout(7, 0), flowtest.Layout(8, 1)} {
		if err := load(t, o, l, 10, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := scalar(t, o.DB.URI, "SELECT count(*), count(srcaddr), count(router_sc), count(dflows) FROM flows"); n != "30,20,10,10" {
		t.Errorf("rows with values: %s", n)
	}
}

func TestLedger(t *testing.T) {
	o := options(t)
	o.DB.Ledger = "flow_exports"
	l := flowtest.Layout(5, 0)
	if err := load(t, o, l, 100, 1); err != nil {
		t.Fatal(err)
	}
	if err := load(t, o, l, 100, 1); !errors.Is(err, export.ErrLoaded) {
		t.Errorf("the same records again: %v", err)
	}
	if err := load(t, o, l, 100, 2); err != nil {
		t.Errorf("other records: %v", err)
	}
	o.DB.URI += ":other"
	if err := load(t, o, l, 100, 1); err != nil {
		t.Errorf("another table: %v", err)
	}
	file, _ := sqlite.Split(o.DB.URI)
	if n := scalar(t, file, "SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM other), (SELECT sum(records) FROM flow_exports)"); n != "200,100,300" {
		t.Errorf("rows: %s", n)
	}
}

func TestConflict(t *testing.T) {
	o := options(t)
	db, err := sql.Open("sqlite", o.DB.URI)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE flows (FIRST INTEGER PRIMARY KEY, DPKTS INTEGER)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	l := flowtest.Layout(5, 0)
	o.Layout, o.Mask = l, export.Mask{Bits: uint64(flow.Fields(flow.First, flow.DPkts))}
	write := func(dpkts uint64, firsts ...uint64) error {
		b := flow.NewBatch(l)
		clear(b.Extend(len(firsts)))
		for i, v := range firsts {
			l.PutUint(b.At(i), flow.First, v)
			l.PutUint(b.At(i), flow.DPkts, dpkts)
		}
		sink, err := sqlite.Open(t.Context(), &o)
		if err != nil {
			return err
		}
		defer sink.Abort()
		if err := sink.Write(b); err != nil {
			return err
		}
		return sink.Close()
	}
	steps := []struct {
		conflict export.Conflict
		firsts   []uint64
		ok       bool
		want     string
	}{
		{export.Fail, []uint64{1, 2}, true, "1,0 2,0"},
		{export.Fail, []uint64{3, 2, 4}, false, "1,0 2,0"},
		{export.Ignore, []uint64{3, 2}, true, "1,0 2,0 3,2"},
		{export.Replace, []uint64{2, 4}, true, "1,0 2,3 3,2 4,3"},
	}
	for i, s := range steps {
		o.DB.Conflict = s.conflict
		if err := write(uint64(i), s.firsts...); (err == nil) != s.ok {
			t.Errorf("step %d: %v", i, err)
		}
		if got := strings.Join(query(t, o.DB.URI, "SELECT first, dpkts FROM flows ORDER BY 1"), " "); got != s.want {
			t.Errorf("step %d: %s, want %s", i, got, s.want)
		}
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database\n", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{"", dir, text, filepath.Join(dir, "no", "such", "dir", "x.db"), "/dev/full"} {
		o := options(t)
		o.DB.URI = uri
		if err := load(t, o, flowtest.Layout(5, 0), 10, 1); err == nil {
			t.Errorf("-u %q was accepted", uri)
		}
	}
	if got, _ := os.ReadFile(text); string(got) != strings.Repeat("no database\n", 1000) {
		t.Error("a file that is no database was changed")
	}
}

// TestKilled kills an export in the middle: nothing of it is there, what was
// there stays.
func TestKilled(t *testing.T) {
	if file := os.Getenv("FT_SQLITE_VICTIM"); file != "" {
		o := export.Options{Layout: flowtest.Layout(5, 0), Mask: export.AllFields, DB: export.Database{URI: file}}
		sqlite.ShrinkCache()
		sink, err := sqlite.Open(t.Context(), &o)
		if err != nil {
			t.Fatal(err)
		}
		b := flowtest.Traffic(o.Layout, 1000, 1)
		for {
			if err := sink.Write(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := options(t)
	if err := load(t, o, flowtest.Layout(5, 0), 10, 1); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(o.DB.URI)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	cmd.Env = append(os.Environ(), "FT_SQLITE_VICTIM="+o.DB.URI)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It writes to the file once its cache is full.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if info, err := os.Stat(o.DB.URI); err == nil && info.Size() > before.Size()+1<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Error("the victim has written nothing yet")
			break
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	if n := scalar(t, o.DB.URI, "SELECT count(*) FROM flows"); n != "10" {
		t.Errorf("%s rows, want 10", n)
	}
	if got := scalar(t, o.DB.URI, "PRAGMA integrity_check"); got != "ok" {
		t.Error(got)
	}
}

func TestSplit(t *testing.T) {
	tests := []struct{ uri, file, table string }{
		{"x.db", "x.db", "flows"},
		{"x.db:t", "x.db", "t"},
		{"x.db:", "x.db", "flows"},
		{"/a:b/x.db", "/a:b/x.db", "flows"},
		{"/a:b/x:y:t", "/a:b/x:y", "t"},
	}
	for _, tt := range tests {
		if file, table := sqlite.Split(tt.uri); file != tt.file || table != tt.table {
			t.Errorf("Split(%q) = %q, %q", tt.uri, file, table)
		}
	}
}

// BenchmarkSQLite loads records of version 5 with all their fields, index
// included.
func BenchmarkSQLite(b *testing.B) {
	l := flowtest.Layout(5, 0)
	o := options(b)
	o.Layout = l
	batch := flowtest.Traffic(l, 1000, 1)
	b.ReportAllocs()
	b.ResetTimer()
	sink, err := sqlite.Open(b.Context(), &o)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i < b.N; i += batch.Len() {
		if err := sink.Write(batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := sink.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// TestTwoAtOnce: exports into one file wait for each other.
func TestTwoAtOnce(t *testing.T) {
	o := options(t)
	results := make(chan error)
	const exports = 4
	for i := range uint64(exports) {
		go func() { results <- load(t, o, flowtest.Layout(5, 0), 5000, i) }()
	}
	for range exports {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := scalar(t, o.DB.URI, "SELECT count(*) FROM flows"); n != "20000" {
		t.Errorf("%s rows", n)
	}
}
