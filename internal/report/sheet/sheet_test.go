package sheet

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cdate"
)

func write(t *testing.T, f *Form) string {
	t.Helper()
	var out bytes.Buffer
	b := bufio.NewWriter(&out)
	w := f.Writer(b, cdate.UTC())
	for range 2 {
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(w.Begin(&Head{
			Name: "top", Type: "ip-protocol",
			Facts:   []Fact{{"flows", Uint(Count, 1234567)}, {"first flow", Uint(Time, 1370000000)}},
			Columns: []string{"protocol", "octets", "duration", "share"},
		}))
		check(w.Row([]Value{String("tcp, \"6\""), Uint(Octets, 17652049182), Uint(Millis, 3400144), Float(Percent, 12.345)}))
		check(w.Row([]Value{String("é"), Uint(Octets, 12), Uint(Millis, 7), Float(Percent, math.NaN())}))
		check(w.End())
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b.Flush()
	return out.String()
}

func TestTable(t *testing.T) {
	const sheet = `top: ip-protocol
  flows       1,234,567
  first flow  2013-05-31 11:33:20

 protocol   octets  duration    share 
──────────────────────────────────────
 tcp, "6"  17.7 GB    56m40s  12.35 % 
 é            12 B      7 ms        - 
`
	if d := cmp.Diff(sheet+"\n"+sheet, write(t, Table)); d != "" {
		t.Error(d)
	}
}

func TestJSON(t *testing.T) {
	var got any
	if err := json.Unmarshal([]byte(write(t, JSON)), &got); err != nil {
		t.Fatal(err)
	}
	report := map[string]any{
		"name": "top", "type": "ip-protocol", "facts": map[string]any{"flows": 1234567.0, "first_flow": 1370000000.0},
		"columns": []any{"protocol", "octets", "duration", "share"},
		"rows": []any{
			map[string]any{"protocol": `tcp, "6"`, "octets": 17652049182.0, "duration": 3400144.0, "share": 12.345},
			map[string]any{"protocol": "é", "octets": 12.0, "duration": 7.0, "share": nil},
		},
	}
	if d := cmp.Diff(map[string]any{"reports": []any{report, report}}, got); d != "" {
		t.Error(d)
	}
	for _, f := range []*Form{JSON, CSV, Table} { // a document without sheets
		var out bytes.Buffer
		b := bufio.NewWriter(&out)
		if err := f.Writer(b, cdate.UTC()).Close(); err != nil {
			t.Fatal(err)
		}
		b.Flush()
		want := ""
		if f == JSON {
			want = "{\"reports\":[]}\n"
		}
		if out.String() != want {
			t.Errorf("empty %s: %q", f, out.String())
		}
	}
}

func TestCSV(t *testing.T) {
	r := csv.NewReader(bytes.NewReader([]byte(write(t, CSV))))
	got, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	sheet := [][]string{
		{"protocol", "octets", "duration", "share"},
		{`tcp, "6"`, "17652049182", "3400144", "12.345"},
		{"é", "12", "7", ""},
	}
	if d := cmp.Diff(append(sheet, sheet...), got); d != "" {
		t.Error(d)
	}
}

func TestShow(t *testing.T) {
	for _, c := range []struct {
		v    Value
		want string
	}{
		{Uint(Octets, 0), "0 B"},
		{Uint(Octets, 999), "999 B"},
		{Uint(Octets, 1000), "1.00 kB"},
		{Uint(Octets, 999_499), "999 kB"},
		{Uint(Octets, 999_500), "1.00 MB"},
		{Uint(Octets, math.MaxUint64), "18.4 EB"},
		{Float(BitRate, 0.25), "0.25 bit/s"},
		{Float(BitRate, 0.0012345), "0.00123 bit/s"},
		{Float(BitRate, 1e30), "1000000 Ybit/s"},
		{Float(PackRate, 55.55), "55.5 p/s"},
		{Float(BitRate, math.Inf(1)), "-"},
		{Uint(Count, 0), "0"},
		{Uint(Count, 999), "999"},
		{Uint(Count, 1000), "1,000"},
		{Float(Count, 1234.5), "1,234.50"},
		{Float(Ratio, 1234.5), "1,234.500"},
		{Uint(Number, 65535), "65535"},
		{Uint(Millis, 999), "999 ms"},
		{Uint(Millis, 59_999), "60.00 s"},
		{Uint(Millis, 61_000), "1m1s"},
		{Uint(Millis, 3_600_000), "1h0m"},
		{Uint(Millis, 86_400_000+3_600_000), "1d1h"},
		{Uint(Millis, math.MaxUint64), "213,503,982,335 d"},
	} {
		if got := c.v.show(cdate.UTC()); got != c.want {
			t.Errorf("%+v shows %q, want %q", c.v, got, c.want)
		}
	}
}

func TestRowLength(t *testing.T) {
	w := CSV.Writer(bufio.NewWriter(new(bytes.Buffer)), cdate.UTC())
	if err := w.Begin(&Head{Columns: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if w.Row(nil) == nil || w.End() == nil {
		t.Error("a row without values is taken")
	}
}

// TestFactsOnly: CSV has nothing but the facts of a sheet without columns.
func TestFactsOnly(t *testing.T) {
	var out bytes.Buffer
	b := bufio.NewWriter(&out)
	w := CSV.Writer(b, cdate.UTC())
	if err := w.Begin(&Head{Name: "totals", Facts: []Fact{{"first flow", Uint(Time, 1370000000)}, {"name", String("a,b")}}}); err != nil {
		t.Fatal(err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	b.Flush()
	if d := cmp.Diff("first_flow,name\n1370000000,\"a,b\"\n", out.String()); d != "" {
		t.Error(d)
	}
}
