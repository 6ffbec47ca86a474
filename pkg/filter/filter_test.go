package filter

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

func lines(ls ...string) []byte { return []byte(strings.Join(ls, "\n")) }

// Errors name file and line, the word that is wrong and what was expected.
func TestErrors(t *testing.T) {
	tcp := "filter-primitive t\ntype ip-protocol\npermit 6\n"
	for _, c := range []struct {
		name, text, want string
	}{
		{"first word", "hello\n", `F line 1: Unexpected "hello". Expecting filter-primitive, filter-definition.`},
		{"unknown keyword", "filter-primitive t\nallow 6\n", `F line 2: Unexpected "allow". Expecting filter-primitive, type, permit, deny, default, mask, filter-definition.`},
		{"no include here", "include-filter x\n", `F line 1: Unexpected "include-filter". Expecting filter-primitive, filter-definition.`},
		{"keyword of the other section", "filter-definition d\npermit 6\n", `F line 2: Unexpected "permit". Expecting filter-primitive, filter-definition, match, or, invert.`},
		{"no name", "filter-primitive\n", "F line 1: Expecting filter-primitive name."},
		{"two names", "filter-primitive a b\n", `F line 1: Unexpected "b". Expecting the end of the line.`},
		{"name twice", tcp + "filter-primitive T\n", `F line 4: The filter-primitive "T" is defined twice.`},
		{"definition twice", "filter-definition a\nfilter-definition A\n", `F line 2: The filter-definition "A" is defined twice.`},
		{"type twice", "filter-primitive t\ntype as\ntype as\n", `F line 3: The type of filter-primitive "t" is set already: as.`},
		{"no type", "filter-primitive t\ndefault deny\n", "F line 2: Must set type first. Expecting type."},
		{"no value", "filter-primitive t\ntype as\npermit\n", "F line 3: Expecting a list of numbers."},
		{"out of range", "filter-primitive t\ntype as\npermit 1,65536\n", `F line 3: "65536" in list "1,65536" is above 65535.`},
		{"engine out of range", "filter-primitive t\ntype engine\npermit 256\n", `F line 3: "256" in list "256" is above 255.`},
		{"symbol where there are none", "filter-primitive t\ntype ifindex\npermit eth0\n", `F line 3: Unknown symbol "eth0".`},
		{"default", "filter-primitive t\ntype as\ndefault allow\n", `F line 3: Unexpected "allow". Expecting permit or deny.`},
		{"mask of another type", "filter-primitive t\ntype as\nmask 1\n", "F line 3: Type as has no mask."},
		{"mask without value", "filter-primitive t\ntype ip-tos\nmask\n", "F line 3: Expecting a mask."},
		{"address mask missing", "filter-primitive t\ntype ip-address-mask\npermit 10.0.0.0\n", "F line 3: Expecting a mask."},
		{"host", "filter-primitive t\ntype ip-address\npermit nowhere.invalid\n", `F line 3: Unknown host "nowhere.invalid".`},
		{"operator", "filter-primitive t\ntype counter\npermit above 5\n", `F line 3: Unexpected "above". Expecting lt, gt, eq, ne, ge or le.`},
		{"operand", "filter-primitive t\ntype counter\npermit gt\n", "F line 3: Expecting a number."},
		{"four parts of a time", "filter-primitive t\ntype time\npermit gt 1:2:3:\n", `F line 3: Unexpected "1:2:3:". Expecting a time H:M:S.`},
		{"no date", "filter-primitive t\ntype time-date\npermit gt\n", "F line 3: Expecting a time/date."},
		{"rate 0", "filter-primitive t\ntype rate\npermit often\n", "F line 3: Expecting a rate that is not 0."},
		{"match without primitive", "filter-definition d\nmatch ip-tos\n", "F line 2: Expecting the name of a filter-primitive."},
		{"no such primitive", tcp + "filter-definition d\nmatch ip-protocol udp\n", `F line 5: Unexpected "udp". Expecting the name of a filter-primitive.`},
		{"wrong type", tcp + "filter-definition d\nmatch ip-tos t\n", `F line 5: filter-primitive "t" is of type ip-protocol. Expecting type ip-tos to match ip-tos.`},
		{"counter on a time", "filter-primitive t\ntype counter\nfilter-definition d\nmatch start-time t\n", `F line 4: filter-primitive "t" is of type counter. Expecting type time, time-date to match start-time.`},
		{"primitive without type", "filter-primitive t\nfilter-definition d\nmatch ip-tos t\n", `F line 3: filter-primitive "t" has no type.`},
		{"rate without line", "filter-primitive t\ntype rate\nfilter-definition d\nmatch random-sample t\n", `F line 4: filter-primitive "t" has no rate. Expecting permit or deny and a number in it.`},
		{"variable", "filter-primitive @{x\n", "F line 1: missing } behind @{."},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("F", []byte(c.text), Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(c.want, err.Error()); d != "" {
				t.Error(d)
			}
		})
	}
	// These list what there is, which grows.
	for _, c := range []struct{ text, want string }{
		{"filter-primitive t\ntype ip-colour\n", `F line 2: Unexpected "ip-colour". Expecting a type: as, ip-port, `},
		{"filter-definition d\nmatch ip-colour t\n", `F line 2: Unexpected "ip-colour". Expecting what to match: `},
		{"filter-primitive t\ntype time-date\npermit gt yonder\n", `F line 3: Unexpected "yonder". Expecting a time/date. (`},
	} {
		if _, err := Parse("F", []byte(c.text), Options{}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("error %v\nwant %s...", err, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	var got []string
	text := lines("filter-primitive a", "type as", "permit 1,1", "filter-primitive b", "type ip-address", "permit 10", "deny 10.0.0.0",
		"filter-primitive c", "type ip-address-prefix", "permit 10/8", "deny 10.1/8", "filter-primitive d", "type tag-mask", "permit 1 1", "deny 1 1",
		"filter-primitive e", "type rate", "permit 2", "permit 1", "default deny")
	if _, err := Parse("F", text, Options{Warn: func(err error) { got = append(got, err.Error()) }}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"F line 3: A number was listed before; the last entry counts.",
		"F line 7: The value was listed before; the last entry counts.",
		"F line 11: The prefix was listed before; the first entry counts.",
		"F line 15: The pair was listed before; the first entry counts.",
		"F line 19: The rate was set before; the last one counts.",
		"F line 20: A rate has no default.",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// pass returns which of some values of a field definition d passes.
func pass(t *testing.T, text []byte, opt Options, f flow.Field, values ...uint64) (passed []uint64) {
	t.Helper()
	file, err := Parse("F", text, opt)
	if err != nil {
		t.Fatal(err)
	}
	d, err := file.Definition("D")
	if err != nil {
		t.Fatal(err)
	}
	l := flowtest.Layout(1005, 0)
	test := d.Compile(l)
	r := make(flow.Record, l.Size)
	for _, v := range values {
		l.PutUint(r, f, v)
		if test(r) {
			passed = append(passed, v)
		}
	}
	return passed
}

// Symbols come from the tables below SYSCONFDIR; AS numbers take those of tags.
func TestSymbols(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"ip-prot.sym": "6 tcp\n17 udp\n41 ipv6\n58 icmp\n", "tcp-port.sym": "80 http\n20 ftp\n", "tag.sym": "9 nine\n0x10001 web-tag\n", "asn.sym": "7 seven\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, "sym"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "sym", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	opt := Options{LookupEnv: func(name string) (string, bool) { return dir, name == "FLOW_TOOLS_SYSCONFDIR" }}
	for _, c := range []struct {
		typ, match, value string
		field             flow.Field
		want              []uint64
	}{
		{"ip-protocol", "ip-protocol", "TCP,udp", flow.Prot, []uint64{6, 17}},
		{"ip-protocol", "ip-protocol", "ipv6-icmp", flow.Prot, []uint64{41, 50, 58}}, // a range
		{"ip-port", "src-ip-port", "http,25", flow.SrcPort, []uint64{25, 80}},
		{"as", "src-as", "nine", flow.SrcAS, []uint64{9}},
		{"tag", "src-tag", "web-tag", flow.SrcTag, []uint64{0x10001}},
		{"tag-mask", "dst-tag", "nine 0xf", flow.DstTag, []uint64{9, 25, 41}},
	} {
		text := lines("filter-primitive p", "type "+c.typ, "permit "+c.value, "filter-definition d", "match "+c.match+" p")
		got := pass(t, text, opt, c.field, 6, 7, 9, 17, 25, 41, 50, 58, 80, 0x10001)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Error(c, d)
		}
	}
	for _, bad := range []string{"type as\npermit seven", "type ip-port\npermit ftp-data", "type ip-tos\npermit http"} {
		if _, err := Parse("F", []byte("filter-primitive p\n"+bad), opt); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
	// A missing table is a warning, and only when a symbol is asked for.
	warned := 0
	missing := Options{LookupEnv: func(name string) (string, bool) { return t.TempDir(), name == "FLOW_TOOLS_SYSCONFDIR" }, Warn: func(error) { warned++ }}
	if _, err := Parse("F", []byte("filter-primitive p\ntype ip-protocol\npermit 6"), missing); err != nil || warned != 0 {
		t.Errorf("no symbol: error %v, %d warnings", err, warned)
	}
	if _, err := Parse("F", []byte("filter-primitive p\ntype ip-protocol\npermit tcp"), missing); err == nil || warned != 1 {
		t.Errorf("error %v, %d warnings", err, warned)
	}
}

// Dates count from the clock and in the zone of the options.
func TestDates(t *testing.T) {
	noon := time.Date(2013, 5, 31, 12, 0, 0, 0, time.UTC)
	opt := Options{
		Now:       func() time.Time { return noon },
		LookupEnv: func(name string) (string, bool) { return "XYZ4", name == "TZ" },
	}
	for date, want := range map[string]int64{
		"yesterday": noon.Unix() - 86400, "May 31, 2013 6:00": noon.Unix() - 2*3600, "2013-05-31 12:00 gmt": noon.Unix(),
	} {
		text := lines("filter-primitive p", "type time-date", "permit eq "+date, "filter-definition d", "match start-time p")
		got := pass(t, text, opt, flow.UnixSecs, uint64(want-1), uint64(want), uint64(want+1))
		if d := cmp.Diff([]uint64{uint64(want)}, got); d != "" {
			t.Error(date, d)
		}
	}
}

func TestRate(t *testing.T) {
	values := make([]uint64, 20000)
	for _, c := range []struct {
		line      string
		low, high int
	}{{"permit 1", 20000, 20000}, {"deny 1", 0, 0}, {"permit 4", 4500, 5500}, {"deny -4", 14500, 15500}} {
		got := pass(t, lines("filter-primitive p", "type rate", c.line, "filter-definition d", "match random-sample p"), Options{}, flow.Prot, values...)
		if len(got) < c.low || len(got) > c.high {
			t.Errorf("%s: %d of %d", c.line, len(got), len(values))
		}
	}
}

func TestDefinition(t *testing.T) {
	f, err := Parse("F", lines("filter-definition One", "filter-definition two", "invert"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if d, err := f.Definition("TWO"); err != nil || d.Name() != "two" || d.Needs() != 0 || len(f.definitions.All()) != 2 {
		t.Errorf("%v %v", d, err)
	}
	if _, err := f.Definition("three"); err == nil || err.Error() != `F: no filter-definition "three", only One, two` {
		t.Errorf("error %v", err)
	}
	if _, err := Load(t.TempDir()+"/none", Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := Load(t.TempDir(), Options{}); err == nil {
		t.Error("a directory loads")
	}
}

func TestCheck(t *testing.T) {
	l := flowtest.Layout(8, 1)
	if err := Check("Filter", l, flow.Fields(flow.SrcAS)); err != nil {
		t.Error(err)
	}
	want := "Filter references a field not in flow. (version 8.1 has no srcaddr,tcp_flags)"
	if err := Check("Filter", l, flow.Fields(flow.SrcAS, flow.SrcAddr, flow.TCPFlags)); err == nil || err.Error() != want {
		t.Error(err)
	}
}

// Values wider than the lists, as later record versions may have, answer with the default.
func TestWideFields(t *testing.T) {
	l := flowtest.Layout(5, 0)
	for deflt, want := range map[string]bool{"permit": true, "deny": false} {
		f, err := Parse("F", lines("filter-primitive p", "type as", "deny 1", "permit 65535", "default "+deflt, "filter-definition d", "match src-as p"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		// A table on a field of 32 bits.
		src := source{l: l, s: &subject{field: flow.SrcAddr}}
		test := f.definitions.All()[0].groups[0][0].prim.data.compile(src, deflt == "permit")
		r := make(flow.Record, l.Size)
		l.PutUint(r, flow.SrcAddr, 65536)
		if test(r) != want {
			t.Errorf("default %s: %v", deflt, !want)
		}
		l.PutUint(r, flow.SrcAddr, 65535)
		if !test(r) {
			t.Errorf("default %s: 65535 does not pass", deflt)
		}
	}
}

func TestDoesNotAllocate(t *testing.T) {
	f, err := Parse("F", lines("filter-primitive p", "type ip-port", "permit 80", "filter-primitive a", "type ip-address-prefix", "permit 10/8",
		"filter-primitive m", "type ip-address-mask", "permit 10.0.0.0 255.0.0.0", "filter-primitive e", "type ip-address", "permit 10.0.0.1",
		"filter-primitive c", "type counter", "permit gt 5", "filter-primitive d", "type double", "permit gt 5", "filter-primitive t", "type time", "permit ge 0:00",
		"filter-definition d", "match src-ip-port p", "or", "match src-ip-addr a", "match octets c", "or", "match pps d", "or", "match end-time t", "or", "match src-ip-addr e", "match dst-ip-addr m"),
		Options{LookupEnv: func(name string) (string, bool) { return "EST5EDT,M3.2.0,M11.1.0", name == "TZ" }})
	if err != nil {
		t.Fatal(err)
	}
	b := flowtest.Traffic(flowtest.Layout(5, 0), 100, 1)
	test := f.definitions.All()[0].Compile(b.Layout)
	passed := 0
	if n := testing.AllocsPerRun(10, func() {
		for r := range b.All() {
			if test(r) {
				passed++
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations in %d records", n, b.Len())
	}
}

func FuzzParse(f *testing.F) {
	f.Add("filter-primitive p\ntype ip-port\npermit !1-5,http\ndefault permit\nfilter-definition d\nmatch src-ip-port p\nor\ninvert\n")
	f.Add("filter-primitive p\ntype ip-address-prefix\npermit 10/8\ndeny 10.1\nfilter-primitive q\ntype time\ndeny gt 1:2:3\nfilter-definition d\nmatch src-ip-addr p\nmatch end-time q\n")
	f.Add("filter-primitive p\ntype time-date\npermit ge May 31, 2013 @{X:-yesterday}\n# @x\nfilter-primitive r\ntype rate\ndeny 5")
	f.Add("filter-primitive p\ntype tag-mask\npermit 1 2\nfilter-primitive q\ntype double\npermit ne nan\nfilter-primitive s\ntype ip-tos\nmask 3\npermit 1")
	b := flowtest.Random(flowtest.Layout(1005, 0), 4, 1)
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse("F", []byte(text), Options{Vars: map[string]string{"x": "6"}, Warn: func(error) {}})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "F line ") {
				t.Errorf("no place in %q", err)
			}
			return
		}
		for _, d := range file.definitions.All() {
			if Check("Filter", b.Layout, d.Needs()) == nil {
				test := d.Compile(b.Layout)
				for r := range b.All() {
					test(r)
				}
			}
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	const prims = `
filter-primitive tcp
  type ip-protocol
  permit 6
filter-primitive web
  type ip-port
  permit 80,443,8080-8090
filter-primitive if
  type ifindex
  permit !7
  default permit
filter-primitive nets
  type ip-address-prefix
  permit 10/8
  deny 10.3/16
  permit 192.168/16
filter-primitive hosts
  type ip-address
  permit 10.0.0.1
  permit 10.0.0.2
  permit 10.0.0.3
filter-primitive big
  type counter
  permit gt 100
filter-primitive fast
  type double
  permit gt 1000
filter-primitive day
  type time
  permit ge 8:00
`
	batch := flowtest.Traffic(flowtest.Layout(5, 0), 1000, 1)
	for _, c := range []struct{ name, def string }{
		{"1-primitive", "match ip-protocol tcp"},
		{"3-primitives", "match ip-protocol tcp\nmatch dst-ip-port web\nmatch src-ifindex if"},
		{"3-groups", "match dst-ip-port web\nor\nmatch src-ip-port web\nor\nmatch octets big"},
		{"prefixes", "match src-ip-addr nets"},
		{"addresses", "match src-ip-addr hosts"},
		{"bps", "match bps fast"},
		{"time", "match start-time day"},
	} {
		b.Run(c.name, func(b *testing.B) {
			file, err := Parse("F", []byte(prims+"filter-definition d\n"+c.def), Options{})
			if err != nil {
				b.Fatal(err)
			}
			test := file.definitions.All()[0].Compile(batch.Layout)
			b.ReportAllocs()
			passed := 0
			for b.Loop() {
				for r := range batch.All() {
					if test(r) {
						passed++
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/record")
		})
	}
}
