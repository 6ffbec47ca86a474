package jsonl_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"flowtools/internal/export"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/jsonl"
	"flowtools/pkg/flow"
)

func TestTarget(t *testing.T) {
	exporttest.Run(t, exporttest.Target{
		Open:    jsonl.Open,
		Options: func(testing.TB) export.Options { return export.Options{} },
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, out []byte) []string {
			var rows []string
			d := json.NewDecoder(bytes.NewReader(out))
			d.UseNumber()
			for d.More() {
				var object map[string]any
				if err := d.Decode(&object); err != nil {
					t.Fatal(err)
				}
				if len(object) != len(fields) {
					t.Fatalf("%d members, want %d", len(object), len(fields))
				}
				values := make([]string, len(fields))
				for i, f := range fields {
					values[i] = fmt.Sprint(object[f.String()])
				}
				rows = append(rows, strings.Join(values, ","))
			}
			if n := bytes.Count(out, []byte("\n")); n != len(rows) {
				t.Errorf("%d lines for %d objects", n, len(rows))
			}
			return rows
		},
	})
}
