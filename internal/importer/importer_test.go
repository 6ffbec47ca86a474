package importer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/export"
	"flowtools/internal/export/cflowd"
	"flowtools/internal/export/csv"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/jsonl"
	"flowtools/internal/export/wire"
	"flowtools/internal/flowtest"
	"flowtools/internal/importer"
	"flowtools/pkg/flow"
)

// result is all that a source yields.
type result struct {
	records *flow.Batch
	status  int
	err     error
	warned  []string
}

// read runs a source to its end.
func read(t testing.TB, open importer.Opener, l *flow.Layout, in io.Reader, change ...func(*importer.Options)) result {
	t.Helper()
	res := result{records: &flow.Batch{Layout: l}}
	o := &importer.Options{Layout: l, Warn: func(format string, args ...any) {
		res.warned = append(res.warned, fmt.Sprintf(format, args...))
	}}
	for _, f := range change {
		f(o)
	}
	s, err := open(in, o)
	b := flow.NewBatch(l)
	for err == nil {
		b.Reset()
		err = s.Read(b)
		if b.Len() > 2*flow.SlabSize/l.Size {
			t.Fatalf("a batch of %d records", b.Len())
		}
		for r := range b.All() {
			res.records.Append(r)
		}
	}
	var end *importer.End
	if !errors.As(err, &end) {
		t.Fatalf("the source ended with %v", err)
	}
	res.status, res.err = end.Status, end.Err
	return res
}

// exported is what a target makes of b.
func exported(t testing.TB, open export.Opener, b *flow.Batch, mask export.Mask) []byte {
	t.Helper()
	var out bytes.Buffer
	sink, err := open(t.Context(), &export.Options{Layout: b.Layout, Mask: mask, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	if err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func fieldsOf(l *flow.Layout, less ...flow.Field) []flow.Field {
	return (&export.Options{Layout: l, Mask: export.Mask{Bits: uint64(l.Fields &^ flow.Fields(less...))}}).Fields()
}

// same compares records by fields.
func same(t *testing.T, got, want *flow.Batch, fields []flow.Field) {
	t.Helper()
	if got.Len() != want.Len() {
		t.Fatalf("%d records, want %d", got.Len(), want.Len())
	}
	for i := range want.Len() {
		g, w := exporttest.Row(got.Layout, got.At(i), fields), exporttest.Row(want.Layout, want.At(i), fields)
		if g != w {
			t.Fatalf("record %d is\n%s, want\n%s", i, g, w)
		}
	}
}

// TestThereAndBack: what a lossless format carries comes back as it was, in
// every version, whatever the sizes of the reads.
func TestThereAndBack(t *testing.T) {
	pairs := []struct {
		name   string
		export export.Opener
		source importer.Opener
		status int
		heads  bool // same export head for the records of a PDU
		lost   []flow.Field
		skip   map[uint16]bool
	}{
		{name: "csv", export: csv.Open, source: importer.CSV, skip: map[uint16]bool{6: true}}, // its heading names nexthop twice
		{name: "json", export: jsonl.Open, source: importer.JSON},
		{name: "csv without heading", export: headless, source: importer.CSV},
		{name: "wire", export: wire.Open, source: importer.Wire, status: 255, skip: map[uint16]bool{1005: true},
			lost: []flow.Field{flow.ExAddr, flow.InEncaps, flow.OutEncaps, flow.PeerNextHop}},
	}
	for _, p := range pairs {
		for _, v := range flow.Versions() {
			if p.skip[v.Export] {
				continue
			}
			t.Run(p.name+" v"+v.String(), func(t *testing.T) {
				l := flowtest.Layout(v.Export, v.Agg)
				for seed, b := range []*flow.Batch{flowtest.Random(l, 0, 1), flowtest.Random(l, 1, 2), flowtest.Random(l, 1100, 3), flowtest.Traffic(l, 1100, 4)} {
					data := exported(t, p.export, b, export.AllFields)
					for _, in := range []io.Reader{bytes.NewReader(data), iotest.HalfReader(bytes.NewReader(data))} {
						res := read(t, p.source, l, in)
						if res.err != nil || res.status != p.status {
							t.Fatalf("seed %d: status %d, %v", seed, res.status, res.err)
						}
						same(t, res.records, b, fieldsOf(l, p.lost...))
					}
				}
			})
		}
	}
}

// headless is the CSV target without its first line.
func headless(ctx context.Context, o *export.Options) (export.Sink, error) {
	o.Out = &dropLine{w: o.Out}
	return csv.Open(ctx, o)
}

type dropLine struct {
	w    io.Writer
	done bool
}

func (d *dropLine) Write(p []byte) (int, error) {
	if !d.done {
		d.done = true
		_, err := d.w.Write(p[bytes.IndexByte(p, '\n')+1:])
		return len(p), err
	}
	return d.w.Write(p)
}

// TestCflowdThereAndBack: the times are seconds there, and 8.x loses its
// protocol; the rest comes back.
func TestCflowdThereAndBack(t *testing.T) {
	for _, v := range flow.Versions() {
		if v.Export == 1005 {
			continue
		}
		l := flowtest.Layout(v.Export, v.Agg)
		var fields []flow.Field
		for _, c := range cflowd.Columns {
			if cflowd.MaskOf(l)>>c.Bit&1 != 0 && !c.Time {
				fields = append(fields, c.Field)
			}
		}
		b := flowtest.Traffic(l, 2000, 1)
		res := read(t, importer.Cflowd, l, bytes.NewReader(exported(t, cflowd.Open, b, export.AllFields)))
		if res.status != 255 || res.err != nil {
			t.Errorf("version %v: status %d, %v", v, res.status, res.err)
		}
		same(t, res.records, b, fields)
		for i := range b.Len() {
			start, end := flow.Seconds(l.Millis(b.At(i), flow.First)), flow.Seconds(l.Millis(b.At(i), flow.Last))
			r := res.records.At(i)
			if l.Uint(r, flow.UnixSecs) != uint64(start) || l.Uint(r, flow.Last) != uint64((end-start)*1000) {
				t.Fatalf("version %v, record %d: times %d, %d", v, i, l.Uint(r, flow.UnixSecs), l.Uint(r, flow.Last))
			}
		}
	}
}

func TestCSV(t *testing.T) {
	v5 := flowtest.Layout(5, 0)
	tests := []struct {
		name, in, mask, want string
		fields               string
		status               int
		text                 string // of the error
	}{
		{name: "carriage returns", in: "#:dpkts,srcaddr\r\n5,10.0.0.1\r\n", fields: "dpkts,srcaddr", want: "5,10.0.0.1"},
		{name: "heading of the mask", in: "1,2\n", mask: "dpkts,doctets", fields: "dpkts,doctets", want: "1,2"},
		{name: "no end of line", in: "#:dpkts\n5\n6", fields: "dpkts", want: "5 6", status: 255, text: "the last line has no end"},
		{name: "comment without end of line", in: "#:dpkts\n5\n#6", fields: "dpkts", want: "5"},
		{name: "heading without end of line", in: "#:dpkts", fields: "dpkts"},
		{name: "unknown name", in: "#:dpkts,nope\n5\n", fields: "dpkts", status: 255, text: "Unrecognized field: nope\nftxfield_parse(): failed"},
		{name: "numbers", in: "0x1F\n010\n-1\n4294967296\n99999999999999999999\n1e3\n +7\n\n00\n18446744073709551615\n", mask: "dpkts", fields: "dpkts",
			want: "31 8 4294967295 0 4294967295 1 7 0 0 4294967295"},
		{name: "octets", in: "256\n-1\n0377\n", mask: "prot", fields: "prot", want: "0 255 255"},
		{name: "addresses", in: "1.2.3.4\n1.2.3\n300.1.1.1\n1.2.3.4.5\n 1.2.3.4\n1.2.3.4 x\n", mask: "srcaddr", fields: "srcaddr",
			want: "1.2.3.4 1.2.3.0 44.1.1.1 2.3.4.5 0.0.0.0 1.2.3.4"},
		{name: "names", in: "router.example\nnowhere\n", mask: "srcaddr", fields: "srcaddr", want: "192.0.2.1 141.0.0.0"},
		{name: "fields that the version lacks", in: "1,2,3\n", mask: "dflows,dpkts,in_encaps", fields: "dpkts", want: "2"},
		{name: "a long line", in: strings.Repeat("7", 3<<20) + ",8\n9\n", mask: "prot", fields: "prot", want: "255 9"},
		{name: "a long line of values", in: strings.Repeat("7,", 1<<20) + "8\n9\n", mask: "prot", fields: "prot", want: "7 9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(tt.in), iotest.DataErrReader(iotest.HalfReader(strings.NewReader(tt.in)))} {
				res := read(t, importer.CSV, v5, in, func(o *importer.Options) {
					o.Resolve = func(name string) (uint32, bool) { return 0xC0000201, name == "router.example" }
					if tt.mask != "" {
						m, err := export.ParseMask(tt.mask)
						if err != nil {
							t.Fatal(err)
						}
						o.Mask = &m
					}
				})
				if res.status != tt.status || tt.text != "" && fmt.Sprint(res.err) != tt.text || tt.text == "" && res.err != nil {
					t.Errorf("status %d, %v", res.status, res.err)
				}
				set, err := flow.ParseFields(tt.fields)
				if err != nil {
					t.Fatal(err)
				}
				var rows []string
				for r := range res.records.All() {
					var fields []flow.Field
					for f := range set.All() {
						fields = append(fields, f)
					}
					rows = append(rows, exporttest.Row(v5, r, fields))
				}
				if diff := cmp.Diff(tt.want, strings.Join(rows, " ")); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
}

func TestEnds(t *testing.T) {
	v5 := flowtest.Layout(5, 0)
	pdus := exported(t, wire.Open, flowtest.Traffic(v5, 90, 1), export.AllFields)
	v8 := exported(t, wire.Open, flowtest.Traffic(flowtest.Layout(8, 3), 10, 1), export.AllFields)
	empty := append([]byte{0, 5, 0, 0}, make([]byte, 20)...)
	const heading = "a|FORMAT A|AGGREGATION HostMatrix|d|e|f|g|h|i\n"
	tests := []struct {
		name    string
		open    importer.Opener
		in      string
		records int
		status  int
		text    string
		warned  int
	}{
		{"cflowd: nothing", importer.Cflowd, "", 0, 255, "", 0},
		{"cflowd: cut", importer.Cflowd, "\x00\x00\x00\x01abcd\x00\x00\x00\x01ab", 1, 255, "", 0},
		{"cflowd: index only", importer.Cflowd, "\x00\x00\x00\x00\xff\x00\x00\x00", 2, 255, "", 0},
		{"pcap", importer.Formats()[1].Open, "", 0, 255, "Not implemented", 0},
		{"nfc: nothing", importer.NFCollector, "", 0, 255, "No header", 0},
		{"nfc: eight fields", importer.NFCollector, "a|FORMAT A|AGGREGATION HostMatrix|d|e|f|g|h\n", 0, 255, "Unregconized format line", 0},
		{"nfc: format", importer.NFCollector, "a|FORMAT B|AGGREGATION HostMatrix|d|e|f|g|h|i\n", 0, 255, `Unregocnized format "FORMAT B"`, 0},
		{"nfc: scheme", importer.NFCollector, "a|FORMAT A|AGGREGATION None|d|e|f|g|h|i\n", 0, 255, `Unsupported aggrecation scheme "AGGREGATION None"`, 0},
		{"nfc: heading only", importer.NFCollector, heading, 0, 1, "", 0},
		{"nfc: records", importer.NFCollector, heading + "1.1.1.1|2.2.2.2|3|4|5\r\n1|2\n\n" + strings.Repeat("|", 50) + "\n1|2|3|4|5", 2, 1, "", 3},
		{"json: nothing", importer.JSON, "", 0, 0, "", 0},
		{"json: anything", importer.JSON, "{}\n\n{\"dpkts\" : 7, \"x\": [1, {\"dpkts\": 8}], \"srcaddr\": \"10.0.0.1\"}\r\n{\"prot\":\"6\"}", 3, 0, "", 0},
		{"json: no object", importer.JSON, "{}\nnull\n", 1, 1, "line 2: no object", 0},
		{"json: cut", importer.JSON, "{\"dpkts\":7}\n{\"dpkts\":", 1, 1, "line 2: not a whole object: unexpected end of JSON input", 0},
		{"json: a fraction", importer.JSON, "{\"dpkts\":7.5}\n", 0, 1, "line 1: dpkts: \"7.5\" is no number of a record", 0},
		{"json: too large", importer.JSON, "{\"dpkts\":4294967296}\n", 0, 1, "line 1: dpkts: \"4294967296\" is no number of a record", 0},
		{"wire: nothing", importer.Wire, "", 0, 255, "", 0},
		{"wire: less than a header", importer.Wire, string(pdus[:23]), 0, 255, "", 0},
		{"wire: all", importer.Wire, string(pdus), 90, 255, "", 0},
		{"wire: junk behind", importer.Wire, string(pdus) + "abc", 90, 255, "", 0},
		{"wire: cut", importer.Wire, string(pdus[:len(pdus)-1]), 60, 1, "fread(): failed - expecting to read 1440 bytes.", 0},
		{"wire: a gap", importer.Wire, string(pdus[:1464]) + string(pdus[2928:]), 60, 255, "", 1},
		{"wire: empty PDUs", importer.Wire, string(empty) + string(empty) + string(pdus), 90, 255, "", 0},
		{"wire: version 9", importer.Wire, string(pdus) + "\x00\x09" + strings.Repeat("x", 30), 90, 1, "Unrecognized PDU version: 9", 0},
		{"wire: method 15", importer.Wire, "\x00\x08\x00\x01" + strings.Repeat("\x00", 18) + "\x0f\x02" + strings.Repeat("\x00", 40), 0, 1, "Unrecognized PDU version: 8.15", 0},
		{"wire: 31 records", importer.Wire, "\x00\x05\x00\x1f" + strings.Repeat("\x00", 20+31*48), 0, 255, "ftpdu_verify(): failed.", 0},
		{"wire: 65535 records cut", importer.Wire, "\x00\x05\xff\xff" + strings.Repeat("\x00", 20+31*48), 0, 1, "fread(): failed - expecting to read 3145680 bytes.", 0},
		{"wire: version 8 among others", importer.Wire, string(pdus) + string(v8), 90, 1, "Unexpected PDU: oagg=0 agg=3 over=5 ver=8", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := read(t, tt.open, v5, strings.NewReader(tt.in))
			text := ""
			if res.err != nil {
				text = res.err.Error()
			}
			if res.records.Len() != tt.records || res.status != tt.status || text != tt.text || len(res.warned) != tt.warned {
				t.Errorf("%d records, status %d, %q, warnings %q", res.records.Len(), res.status, text, res.warned)
			}
		})
	}
}

// TestReadErrors: a failing input is no good end.
func TestReadErrors(t *testing.T) {
	failure := errors.New("input/output error")
	lead := map[int]string{2: "#:dpkts\n1\n", 3: "a|FORMAT A|AGGREGATION HostMatrix|d|e|f|g|h|i\n"}
	for _, f := range importer.Formats() {
		if f.Name == "pcap" {
			continue
		}
		in := io.MultiReader(strings.NewReader(lead[f.Number]), iotest.ErrReader(failure))
		res := read(t, f.Open, flowtest.Layout(5, 0), in)
		if !errors.Is(res.err, failure) {
			t.Errorf("%s: status %d, %v", f.Name, res.status, res.err)
		}
	}
}

func TestTranslation(t *testing.T) {
	// Versions within a file may change: each PDU is translated from its own.
	var data []byte
	for _, v := range []uint16{1, 5, 7, 5, 1} {
		data = append(data, exported(t, wire.Open, flowtest.Traffic(flowtest.Layout(v, 0), 7, uint64(v)), export.AllFields)...)
	}
	l := flowtest.Layout(1005, 0)
	res := read(t, importer.Wire, l, bytes.NewReader(data))
	if res.records.Len() != 35 || res.status != 255 {
		t.Fatalf("%d records, status %d, %v", res.records.Len(), res.status, res.err)
	}
	src := flowtest.Layout(1, 0)
	b := flowtest.Traffic(src, 7, 1)
	for i := range 7 {
		for f := range (src.Fields &^ flow.ExAddr.Set()).All() {
			if got, want := l.Uint(res.records.At(i), f), src.Uint(b.At(i), f); got != want {
				t.Errorf("record %d: %v is %d, want %d", i, f, got, want)
			}
		}
	}
}

// fuzz feeds a format with anything: no panic, memory in proportion to the
// input, and the same records however the input arrives.
func fuzz(f *testing.F, open importer.Opener, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s, uint8(1))
	}
	versions := flow.Versions()
	f.Fuzz(func(t *testing.T, data []byte, version uint8) {
		v := versions[int(version)%len(versions)]
		l := flowtest.Layout(v.Export, v.Agg)
		one := read(t, open, l, bytes.NewReader(data))
		two := read(t, open, l, iotest.OneByteReader(bytes.NewReader(data)))
		if !bytes.Equal(one.records.Bytes(), two.records.Bytes()) || one.status != two.status || fmt.Sprint(one.err) != fmt.Sprint(two.err) {
			t.Errorf("%d records and status %d at once, %d and %d by octets", one.records.Len(), one.status, two.records.Len(), two.status)
		}
		if one.records.Len() > len(data) {
			t.Errorf("%d records of %d octets", one.records.Len(), len(data))
		}
	})
}

func samples(t testing.TB, open export.Opener) (all [][]byte) {
	for _, v := range []flow.Version{{Export: 1}, {Export: 5}, {Export: 7}, {Export: 8, Agg: 8}} {
		all = append(all, exported(t, open, flowtest.Traffic(flowtest.Layout(v.Export, v.Agg), 3, 1), export.AllFields))
	}
	return all
}

func FuzzCSV(f *testing.F)    { fuzz(f, importer.CSV, samples(f, csv.Open)...) }
func FuzzCflowd(f *testing.F) { fuzz(f, importer.Cflowd, samples(f, cflowd.Open)...) }
func FuzzWire(f *testing.F)   { fuzz(f, importer.Wire, samples(f, wire.Open)...) }
func FuzzJSON(f *testing.F)   { fuzz(f, importer.JSON, samples(f, jsonl.Open)...) }

func FuzzNFCollector(f *testing.F) {
	fuzz(f, importer.NFCollector,
		[]byte("a|FORMAT A|AGGREGATION HostMatrix|d|e|f|g|h|i\n1.1.1.1|2.2.2.2|3|4|5\n1|2\n"),
		[]byte("a|FORMAT A|AGGREGATION CallRecord|d|e|f|g|h|i\n1.1.1.1|2.2.2.2|3|4|5|6|7|8|9|10|11|x\n"))
}

func BenchmarkCSV(b *testing.B) {
	l := flowtest.Layout(5, 0)
	data := exported(b, csv.Open, flowtest.Traffic(l, 10000, 1), export.AllFields)
	batch := flow.NewBatch(l)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		s, err := importer.CSV(bytes.NewReader(data), &importer.Options{Layout: l})
		for err == nil {
			batch.Reset()
			err = s.Read(batch)
			n += batch.Len()
		}
	}
}
