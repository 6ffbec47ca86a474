package report

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/config"
	engine "flowtools/pkg/report"
)

// options reads includes below dir only.
func options(dir string) Options {
	at := func(name string) string { return filepath.Join(dir, filepath.Base(name)) }
	return Options{Filters: "filter.cfg", Tags: "tag.cfg", Masks: "mask.cfg", Path: at}
}

func writeFiles(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"filter.cfg": "filter-primitive tcp\n type ip-protocol\n permit @{PROT:-6}\nfilter-definition tcp\n match ip-protocol tcp\n",
		"tag.cfg":    "tag-action a\n type source-prefix\n match 10/8 set-source 7\ntag-definition t\n term\n  action a\n",
		"mask.cfg":   "mask-definition m\n prefix 0/0 24\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestErrors(t *testing.T) {
	dir := writeFiles(t)
	const head = "stat-report a\ntype ip-protocol\noutput\n" // three lines
	for _, c := range []struct {
		text string
		line int
		want string // parts of the message, separated by ...
	}{
		{"type ip-tos", 1, `Unexpected "type". Expecting include-filter...stat-report...`},
		{"stat-report", 1, "Expecting stat-report name."},
		{"stat-report a\ntype ip-colour", 2, `"ip-colour"...a report type`},
		{"stat-report a\ntype ip-tos\ntype ip-tos", 3, `type of stat-report "a" is set already`},
		{"stat-report a\noutput", 2, "type...has to come before"},
		{"stat-report a\nstat-report A", 2, `"A" is defined twice`},
		{"stat-report a\ntype ip-tos\nsort +flows", 3, "no output yet"},
		{head + "sort flows", 4, `Unexpected "flows". Expecting + or -...key, flows, octets`},
		{head + "sort +index", 4, `Unexpected "+index"`},
		{head + "sort +pps", 4, `Unexpected "+pps"`},
		{head + "sort +key1", 4, `Unexpected "+key1"`},
		{head + "sort", 4, "Expecting + or -"},
		{head + "fields", 4, "Expecting fields."},
		{head + "fields +index,\t+first", 4, "\\t+first"},
		{head + "fields +index,bytes", 4, `Unexpected "bytes". Expecting words with + or -, of index, first, last, key`},
		{head + "options +verbose", 4, `"+verbose"...percent-total, names, header, xheader, totals`},
		{head + "format html", 4, `"html". Expecting ascii or binary`},
		{head + "time noon", 4, `"noon". Expecting mid, now, start or end`},
		{head + "path", 4, "Expecting path."},
		{head + "records", 4, "Expecting number of records."},
		{head + "scale 3 # three", 4, `Unexpected "#". Expecting the end of the line.`},
		{head + "ip-source-address-format cidr", 4, `"cidr". Expecting address, prefix-len or prefix-mask`},
		{head + "tag-mask 1", 4, "Expecting destination tag mask."},
		{head + "filter tcp\nfilter tcp", 5, "set already: tcp"},
		{head + "filter udp", 4, "no filter-definition \"udp\", only tcp"},
		{head + "stat-definition d\nreport b", 5, "no stat-report \"b\", only a"},
		{head + "stat-definition d\nreport a\nreport A", 6, `"A" is in stat-definition "d" already`},
		{head + "stat-definition d\nstat-definition D", 5, `"D" is defined twice`},
		{head + "stat-definition d\noutput", 5, `Unexpected "output"...time-series`},
		{head + "stat-definition d\nxlate x", 5, `Unexpected "xlate"`},
		{head + "stat-definition d\ntag t\nmask m", 6, "before the tag line"},
		{head + "stat-definition d\ntag t\ntag t", 6, "set already: t"},
		{head + "stat-definition d\ntag u", 5, "no tag-definition \"u\", only t"},
		{head + "stat-definition d\ntime-series 5\ntime-series 6", 6, "set already"},
		{"include-mask x\ninclude-mask y", 2, "included already: x"},
		{"# @{oops", 1, "missing }"},
		{"stat-report a\ntype summary-counters\noutput\noptions +names", 4, `"+names"`},
		{"stat-report a\ntype linear-interpolated-flows-octets-packets\noutput\nfields +duration", 4, `"+duration"`},
		{"stat-report a\ntype ip-source/destination-address\noutput\nfields +generic", 4, `"+generic"`},
	} {
		_, err := Parse("site.cfg", []byte(c.text), options(dir))
		var at *config.Error
		if !errors.As(err, &at) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if at.File != "site.cfg" || at.Line != c.line {
			t.Errorf("%q: the error is at %s line %d, not %d", c.text, at.File, at.Line, c.line)
		}
		rest := strings.ReplaceAll(err.Error(), `\\`, `\`)
		for part := range strings.SplitSeq(c.want, "...") {
			_, after, ok := strings.Cut(rest, part)
			if !ok {
				t.Errorf("%q: %v\nlacks %q", c.text, err, part)
				break
			}
			rest = after
		}
	}
	for _, text := range []string{"include-filter none\n" + head + "filter x", head + "stat-definition d\nmask x"} {
		if _, err := Parse("site.cfg", []byte(text), options(t.TempDir())); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "site.cfg line 5: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestParse(t *testing.T) {
	f, err := Parse("site.cfg", []byte(`
# comment @X
Stat-Definition D
 mask m
 mask m
 tag t
 filter tcp
 report Two
 report one
 time-series 0
 time-series 0x10
stat-report One
 type IP-Source-Address
 scale -1x
 tag-mask 0x10 010
 filter tcp
 ip-source-address-format prefix-len
 ip-source-address-format prefix-mask
 output
 fields +index -flows,,+pps,  -key
 sort -OCTETS
 sort +
 records 0x10
 tally 010
 options +header +totals,-header
 path |cat @A  %Y
 time now
 output
stat-report two
 type ip-source/destination-address
 output
 sort +key2
stat-definition last
 records 3
 report one`), withVars(options(writeFiles(t)), map[string]string{"A": "b c"}))
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Definition("d")
	if err != nil {
		t.Fatal(err)
	}
	if d.Name != "D" || d.Series != 16 || d.Filter == nil || d.Tag == nil || d.Mask == nil || len(d.Reports) != 2 ||
		d.Reports[0].Name != "two" || d.Reports[1].Name != "One" {
		t.Errorf("definition %+v", d)
	}
	one := d.Reports[1]
	want := engine.Options{Scale: 1<<32 - 1, Source: engine.PrefixMask, TagMask: &[2]uint32{16, 8}}
	if diff := cmp.Diff(want, one.Engine); diff != "" {
		t.Error(diff)
	}
	if one.formats[0].String() != "prefix-len" || one.Filter == nil || len(one.Outputs) != 2 {
		t.Errorf("report %+v", one)
	}
	o := *one.Outputs[0]
	o.report = nil
	fields := engine.Usual()&one.Type.Columns() | engine.Index.Set() | engine.AvgPPS.Set() | engine.MinPPS.Set() | engine.MaxPPS.Set()
	if diff := cmp.Diff(Output{
		Fields: fields &^ (engine.Flows.Set() | engine.Key1.Set()), Sort: Sort{Column: engine.Octets, Set: true},
		Flags: TotalsLine, Records: 16, Tally: 8, Path: "|cat b c  %Y", HasPath: true, Time: Now,
	}, o, cmp.AllowUnexported(Output{})); diff != "" {
		t.Error(diff)
	}
	if last := d.Reports[0].Outputs[0]; last.Records != 3 || !last.Sort.Backward || last.Sort.Column != engine.Key2 {
		t.Errorf("the last output of the last report: %+v", last)
	}
	if _, err := f.Definition("x"); err == nil || !strings.Contains(err.Error(), "D, last") {
		t.Errorf("unknown definition: %v", err)
	}
}

func withVars(o Options, vars map[string]string) Options {
	o.Vars = vars
	return o
}

// TestLongLine ends a file at a line of 1023 octets with a warning.
func TestLongLine(t *testing.T) {
	var warned []error
	o := options(t.TempDir())
	o.Warn = func(err error) { warned = append(warned, err) }
	f, err := Parse("x", []byte("stat-definition d\n#"+strings.Repeat("x", 1022)+"\nnonsense\n"), o)
	if err != nil || len(warned) != 1 {
		t.Fatalf("error %v, warnings %v", err, warned)
	}
	if _, err := f.Definition("d"); err != nil {
		t.Error(err)
	}
}

func TestBuiltin(t *testing.T) {
	f, err := ParseBuiltin(Options{Vars: map[string]string{"TYPE": "IP-PORT", "SORT": "-key", "RPTOPT": "-H -m 3"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Definition("Default")
	if err != nil {
		t.Fatal(err)
	}
	o := d.Reports[0].Outputs[0]
	if d.Reports[0].Type.Name != "ip-port" || o.Path != "|flow-rptfmt -H -m 3" || o.Flags != Header|XHeader|TotalsLine || !d.builtin {
		t.Errorf("%+v %+v", d.Reports[0], o)
	}
}

func TestFormatterWords(t *testing.T) {
	for command, want := range map[string]int{
		"flow-rptfmt -f ascii":           3,
		" flow-rptfmt ":                  1,
		"flow-rptfmt -f html > page":     0,
		"flow-rptfmt | head":             0,
		"flow-rptfmt '-s' +flows":        0,
		"/usr/bin/flow-rptfmt -f ascii":  0,
		"flow-rptfmt -s +flows -m 5 -gH": 6,
		"":                               0,
	} {
		words, ok := formatterWords(command)
		if ok != (want > 0) || ok && len(words) != want {
			t.Errorf("%q: %q %v", command, words, ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(builtin))
	f.Add([]byte("include-filter f\nstat-report a\ntype ip-tos\nfilter tcp\nscale 3\noutput\nfields +index,-key\npath |x\n\nstat-definition d\nmask m\ntag t\nreport a\ntime-series 3\n"))
	f.Add([]byte("stat-report a\ntype ip-source-address-destination-count\nip-source-address-format prefix-len\noutput\nsort -count\noptions +totals\ntally 5\nrecords 2\ntime end\nformat ascii\nstat-definition @{X:-d}\nreport a\n"))
	dir := writeFiles(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("fuzz.cfg", text, options(dir))
		if err != nil {
			return
		}
		for _, d := range file.definitions.All() {
			for _, r := range d.Reports {
				for _, o := range r.Outputs {
					if o.Fields&^r.Type.Columns() != 0 || o.Sort.Set && !o.sortable().Has(o.Sort.Column) {
						t.Errorf("output %+v of type %s", o, r.Type.Name)
					}
				}
			}
		}
	})
}
