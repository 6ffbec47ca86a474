package parquet_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/export/parquet"
	"flowtools/pkg/flow"
)

// TestDocs compares the table in the documentation with the schemas.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../../docs/export.md")
	if err != nil {
		t.Fatal(err)
	}
	duckdb := map[string]string{"UINT_8": "UTINYINT", "UINT_16": "USMALLINT", "UINT_32": "UINTEGER", "STRING": "VARCHAR"}
	var want []string
	for f := range flow.AllFields() {
		for _, v := range flow.Versions() {
			l, err := flow.LayoutOf(v)
			if err != nil {
				t.Fatal(err)
			}
			if !l.Fields.Has(f) {
				continue
			}
			logical := parquet.Schema(l, []flow.Field{f}).Fields()[0].Type().String() // "INT(16,false)"
			if width, ok := strings.CutPrefix(logical, "INT("); ok {
				logical = "UINT_" + strings.TrimSuffix(width, ",false)")
			}
			want = append(want, "| `"+f.String()+"` | "+logical+" | "+duckdb[logical]+" |")
			break
		}
	}
	_, table, _ := strings.Cut(string(page), "| column | type |")
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(table), "\n")[2:]); diff != "" {
		t.Errorf("docs/export.md (-want +got)\n%s", diff)
	}
}
