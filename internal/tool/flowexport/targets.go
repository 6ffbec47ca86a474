package flowexport

import (
	"fmt"
	"slices"

	"flowtools/internal/clib"
	"flowtools/internal/export"
	"flowtools/internal/export/cflowd"
	"flowtools/internal/export/csv"
	"flowtools/internal/export/jsonl"
	"flowtools/internal/export/mysql"
	"flowtools/internal/export/parquet"
	"flowtools/internal/export/pcap"
	"flowtools/internal/export/pgsql"
	"flowtools/internal/export/sqlite"
	"flowtools/internal/export/wire"
)

// Targets returns the formats of flow-export, numbered ones first.
func Targets() []export.Target {
	return []export.Target{
		{Name: "cflowd", Number: 0, Open: cflowd.Open, Check: cflowd.Check, Help: "cflowd records (default)"},
		{Name: "pcap", Number: 1, Open: pcap.Open, Status: 255, Help: "a capture file with a made up packet per flow"},
		{Name: "csv", Number: 2, Open: csv.Open, Help: "ASCII, values separated by commas"},
		{Name: "mysql", Number: 3, Open: mysql.Open, Help: "a table of a MySQL or MariaDB server"},
		{Name: "wire", Number: 4, Open: wire.Open, Help: "NetFlow PDUs of the records' version"},
		{Name: "pgsql", Number: 5, Open: pgsql.Open, Help: "a table of a PostgreSQL server"},
		{Name: "sqlite", Number: -1, Open: sqlite.Open, Help: "a table in an SQLite file"},
		{Name: "json", Number: -1, Open: jsonl.Open, Help: "one JSON object a line"},
		{Name: "parquet", Number: -1, Open: parquet.Open, Help: "an Apache Parquet file, zstd inside"},
	}
}

// target finds the format that a value of -f means: a name in full, else the
// number that C's atoi sees.
func target(value string) (export.Target, error) {
	all := Targets()
	i := slices.IndexFunc(all, func(t export.Target) bool { return t.Name == value })
	if i < 0 {
		n := int(clib.Atoi(value))
		i = slices.IndexFunc(all, func(t export.Target) bool { return t.Number == n && n >= 0 })
		if i < 0 {
			return export.Target{}, fmt.Errorf("No such format, %d", n)
		}
	}
	return all[i], nil
}
