package parquet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/export"
	"flowtools/internal/export/parquet"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// duckdbPackage is an npm package.
const duckdbPackage = "@duckdb/node-api@1.5.6-r.1"

// duckdbHome is a directory where that package is installed: the one in
// FT_DUCKDB, or with FT_E2E=1 a new one.
func duckdbHome(t *testing.T) string {
	dir := os.Getenv("FT_DUCKDB")
	if dir != "" {
		return dir
	}
	if os.Getenv("FT_E2E") != "1" {
		t.Skip("FT_DUCKDB names no directory where npm install " + duckdbPackage + " ran")
	}
	dir = t.TempDir()
	if out, err := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", dir, duckdbPackage).CombinedOutput(); err != nil {
		t.Fatalf("npm: %v\n%s", err, out)
	}
	return dir
}

// duckdb asks DuckDB, which has a Parquet reader of its own, from Node.
func duckdb(t *testing.T, dir, query string) (rows [][]string) {
	t.Helper()
	cmd := exec.Command("node", "--input-type=module", "-e", `
import { DuckDBInstance } from '@duckdb/node-api';
const db = await (await DuckDBInstance.create(':memory:')).connect();
const all = await db.runAndReadAll(process.argv[1]);
console.log(JSON.stringify(all.getRowsJson().map(row => row.map(String))));`, query)
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.Bytes())
	}
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return rows
}

// TestDuckDB has several row groups read by a foreign implementation: names,
// types, and the sum of every column.
func TestDuckDB(t *testing.T) {
	home := duckdbHome(t)
	for _, v := range []flow.Version{{Export: 5}, {Export: 8, Agg: 8}, {Export: 1005}} {
		t.Run("v"+v.String(), func(t *testing.T) {
			l := flowtest.Layout(v.Export, v.Agg)
			name := filepath.Join(t.TempDir(), "flows.parquet")
			out, err := os.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			o := &export.Options{Layout: l, Mask: export.AllFields, Out: out}
			sink, err := parquet.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			fields := o.Fields()
			sums := make([]uint64, len(fields))
			records := 0
			for seed := range uint64(300) { // 300,000 records: more than a row group
				b := flowtest.Traffic(l, 1000, seed)
				if seed%10 == 0 {
					b = flowtest.Random(l, 1000, seed)
				}
				for r := range b.All() {
					for i, f := range fields {
						sums[i] += l.Uint(r, f)
					}
				}
				records += b.Len()
				if err := sink.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			if err := sink.Close(); err != nil {
				t.Fatal(err)
			}
			var want, types []string
			columns := make([]string, len(fields))
			for i, f := range fields {
				want = append(want, fmt.Sprint(sums[i]))
				_, width := l.Offset(f)
				kind := map[int]string{1: "UTINYINT", 2: "USMALLINT", 4: "UINTEGER"}[width]
				columns[i] = "sum(" + f.String() + ")"
				if f.Info().Kind == flow.Addr {
					kind = "VARCHAR"
					p := "split_part(" + f.String() + ",'.',%d)::BIGINT"
					columns[i] = fmt.Sprintf("sum((("+p+"*256+"+p+")*256+"+p+")*256+"+p+")", 1, 2, 3, 4)
				}
				types = append(types, f.String()+" "+kind)
			}
			var got []string
			for _, row := range duckdb(t, home, "DESCRIBE SELECT * FROM '"+name+"'") {
				got = append(got, row[0]+" "+row[1])
			}
			if diff := cmp.Diff(types, got); diff != "" {
				t.Errorf("columns (-want +got)\n%s", diff)
			}
			rows := duckdb(t, home, "SELECT "+strings.Join(columns, ",")+" FROM '"+name+"'")
			if diff := cmp.Diff(want, rows[0]); diff != "" {
				t.Errorf("sums (-want +got)\n%s", diff)
			}
			rows = duckdb(t, home, "SELECT count(*), (SELECT count(DISTINCT row_group_id) FROM parquet_metadata('"+name+"')), "+
				"(SELECT string_agg(DISTINCT compression) FROM parquet_metadata('"+name+"')) FROM '"+name+"'")
			if diff := cmp.Diff([]string{fmt.Sprint(records), "2", "ZSTD"}, rows[0]); diff != "" {
				t.Errorf("file (-want +got)\n%s", diff)
			}
		})
	}
}
