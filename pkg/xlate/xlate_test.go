package xlate

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

const hexKey = "1522178d33a4cf80130a5b1649907d10d8988f837979652762574c2d2a842202"

// files writes files to a directory of the test's.
func files(t *testing.T, contents map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestErrors(t *testing.T) {
	dir := files(t, map[string]string{
		"good.cfg": "filter-primitive tcp\ntype ip-protocol\npermit 6\nfilter-definition tcp\nmatch ip-protocol tcp\n",
		"bad.cfg":  "filter-primitive tcp\ntype tcp\n",
		"short":    "12 34\n",
		"zero":     strings.Repeat("0", 64),
	})
	anon := "xlate-action a\ntype ip-address-anonymize\n"
	for _, c := range []struct{ name, text, want string }{
		{"first word", "hello", `F line 1: Unexpected "hello". Expecting include-filter, xlate-action, xlate-definition.`},
		{"mask first", "xlate-action a\nmask 1 2", "F line 2: Must set type first. Expecting type."},
		{"type twice", "xlate-action a\ntype scale\ntype scale", `F line 3: The type of xlate-action "a" is set already: scale.`},
		{"illegal keyword", "xlate-action a\ntype scale\nmask 1 2", "F line 3: Illegal keyword. Type scale does not take it."},
		{"key file of another type", "xlate-action a\ntype scale\nkey-file x", "F line 3: Illegal keyword. Type scale does not take it."},
		{"one mask", "xlate-action a\ntype tag-mask\nmask 1", "F line 3: Expecting a destination mask."},
		{"three masks", "xlate-action a\ntype tag-mask\nmask 1 2 3", `F line 3: Unexpected "3". Expecting the end of the line.`},
		{"no factor", "xlate-action a\ntype scale\nscale", "F line 3: Expecting a factor."},
		{"no algorithm", anon + "key 1", `F line 1: xlate-action "a" has no algorithm. Expecting algorithm cryptopan-aes128.`},
		{"algorithm", anon + "algorithm rot13", `F line 3: Unexpected "rot13". Expecting cryptopan-aes128.`},
		{"no key", anon + "algorithm cryptopan-aes128", `F line 1: xlate-action "a" has no key. Expecting key or key-file, and not all zeros.`},
		{"zero key", anon + "algorithm cryptopan-aes128\nkey 00", `F line 1: xlate-action "a" has no key. Expecting key or key-file, and not all zeros.`},
		{"key digits", anon + "key 12g", "F line 3: 'g' in a key, expecting hexadecimal digits"},
		{"key length", anon + "key " + hexKey + "0", "F line 3: a key of 65 digits, expecting at most 64"},
		{"key without word", anon + "key", "F line 3: Expecting a key."},
		{"key file unreadable", anon + "algorithm cryptopan-aes128\nkey 1\nkey-file none", `F line 1: xlate-action "a" has no key. Expecting key or key-file, and not all zeros.`},
		{"key file bad", anon + "algorithm cryptopan-aes128\nkey-file short", `F line 1: xlate-action "a" has no key. Expecting key or key-file, and not all zeros.`},
		{"key file zero", anon + "algorithm cryptopan-aes128\nkey-file zero", `F line 1: xlate-action "a" has no key. Expecting key or key-file, and not all zeros.`},
		{"refresh 0", anon + "key-file-refresh 0", "F line 3: Expecting a number of minutes above 0."},
		{"refresh time", anon + "key-file-refresh 5 24:00", "F line 3: Expecting a time of day H:M:S."},
		{"no term", "xlate-definition d\nstop", "F line 2: Must start term. Expecting term."},
		{"no term in the second definition", "xlate-definition d\nterm\nxlate-definition e\naction a", "F line 4: Must start term. Expecting term."},
		{"no such action", "xlate-definition d\nterm\naction x", `F line 3: Unexpected "x". Expecting the name of an xlate-action.`},
		{"action without type", "xlate-action a\nxlate-definition d\nterm\naction A", `F line 4: xlate-action "a" has no type.`},
		{"include twice", "include-filter a\ninclude-filter b", "F line 2: The file is included already: a."},
		{"no such filter", "include-filter good.cfg\nxlate-definition d\nterm\nfilter udp",
			`F line 4: Unexpected "udp". Expecting the name of a filter-definition. (` + dir + `/good.cfg: no filter-definition "udp", only tcp)`},
		{"second filter", "include-filter good.cfg\nxlate-definition d\nterm\nfilter tcp\nfilter tcp", "F line 5: The term has a filter already: tcp."},
		{"error in the filter file", "include-filter bad.cfg\nxlate-definition d\nterm\nfilter tcp", dir + `/bad.cfg line 2: Unexpected "tcp". Expecting a type: `},
		{"no filter file", "include-filter none.cfg\nxlate-definition d\nterm\nfilter tcp", "open " + dir + "/none.cfg: no such file or directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("F", []byte(c.text), Options{Dir: dir})
			if err == nil {
				t.Fatal("no error")
			}
			got := err.Error()
			if strings.HasSuffix(c.want, ": ") { // a list that grows follows
				got = got[:min(len(got), len(c.want))]
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Names of filter files are read when needed, and @ is an ordinary character in them.
func TestIncludes(t *testing.T) {
	dir := files(t, map[string]string{"f.cfg": "# @{x\nfilter-definition a@x\ninvert\n"})
	f, err := Parse("F", []byte("include-filter none.cfg\nxlate-definition d\nterm\n"), Options{Dir: dir})
	if err != nil {
		t.Error("a file that is not needed must not be read:", err)
	} else if d, err := f.Definition("D"); err != nil || d.Name() != "d" {
		t.Error(d, err)
	}
	if _, err := Parse("F", []byte("include-filter @f\nxlate-definition d\nterm\nfilter a@{AT}x\n"), Options{Dir: dir, Vars: map[string]string{"f": "f.cfg", "AT": "@"}}); err != nil {
		t.Error(err)
	}
	// Without a directive the file is the installed one.
	env := func(name string) (string, bool) { return dir + "/sys", name == "FLOW_TOOLS_SYSCONFDIR" }
	if err := os.MkdirAll(dir+"/sys/cfg", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/f.cfg", dir+"/sys/cfg/filter.cfg"); err != nil {
		t.Fatal(err)
	}
	if _, err := Parse("F", []byte("xlate-definition d\nterm\nfilter A@{AT}X\n"), Options{LookupEnv: env, Vars: map[string]string{"AT": "@"}}); err != nil {
		t.Error(err)
	}
}

// What each action does, written down as in the table of tag-xlate-mask.md.
type effect struct {
	text  string
	needs flow.FieldSet
	apply func(get func(flow.Field) uint64, put func(flow.Field, uint64))
}

func effects(rnd *rand.Rand, key [KeySize]byte) []effect {
	both := func(s, d flow.Field, f func(side int, v uint64) uint64) func(func(flow.Field) uint64, func(flow.Field, uint64)) {
		return func(get func(flow.Field) uint64, put func(flow.Field, uint64)) {
			put(s, f(0, get(s)))
			put(d, f(1, get(d)))
		}
	}
	one := func(field flow.Field, f func(v uint64, get func(flow.Field) uint64) uint64) func(func(flow.Field) uint64, func(flow.Field, uint64)) {
		return func(get func(flow.Field) uint64, put func(flow.Field, uint64)) { put(field, f(get(field), get)) }
	}
	network := func(length flow.Field) func(v uint64, get func(flow.Field) uint64) uint64 {
		return func(v uint64, get func(flow.Field) uint64) uint64 {
			if n := get(length); n > 0 && n <= 32 {
				return v >> (32 - n) << (32 - n)
			}
			return v
		}
	}
	class := func(v uint64, _ func(flow.Field) uint64) uint64 {
		keep := 24
		switch {
		case v>>31 == 0:
			keep = 8
		case v>>30 == 2:
			keep = 16
		}
		return v >> (32 - keep) << (32 - keep)
	}
	s, d := uint64(rnd.Uint32()), uint64(rnd.Uint32())
	mask := fmt.Sprintf("mask %#x %d", s, d)
	factor, as := rnd.IntN(1000)-500, rnd.IntN(65536)
	anon := fmt.Sprintf("algorithm cryptopan-aes128\nkey %x", key)
	plain := func(v uint64, _ func(flow.Field) uint64) uint64 { return uint64(NewAnonymizer(key).Addr(uint32(v))) }
	as0 := func(v uint64, _ func(flow.Field) uint64) uint64 {
		if v == 0 {
			return uint64(as)
		}
		return v
	}
	and := func(side int, v uint64) uint64 { return v & []uint64{s, d}[side] }
	return []effect{
		{"ip-source-address-to-network", flow.Fields(flow.SrcAddr, flow.SrcMask), one(flow.SrcAddr, network(flow.SrcMask))},
		{"ip-destination-address-to-network", flow.Fields(flow.DstAddr, flow.DstMask), one(flow.DstAddr, network(flow.DstMask))},
		{"ip-source-address-to-class-network", flow.Fields(flow.SrcAddr), one(flow.SrcAddr, class)},
		{"ip-destination-address-to-class-network", flow.Fields(flow.DstAddr), one(flow.DstAddr, class)},
		{"ip-address-privacy-mask\n" + mask, flow.Fields(flow.SrcAddr, flow.DstAddr), both(flow.SrcAddr, flow.DstAddr, and)},
		{"ip-port-privacy-mask\n" + mask, flow.Fields(flow.SrcPort, flow.DstPort), both(flow.SrcPort, flow.DstPort, and)},
		{"tag-mask\n" + mask, flow.Fields(flow.SrcTag, flow.DstTag), both(flow.SrcTag, flow.DstTag, and)},
		{"tag-mask", flow.Fields(flow.SrcTag, flow.DstTag), both(flow.SrcTag, flow.DstTag, func(int, uint64) uint64 { return 0 })},
		{fmt.Sprintf("scale\nscale %d", factor), flow.Fields(flow.DPkts, flow.DOctets), both(flow.DPkts, flow.DOctets, func(_ int, v uint64) uint64 {
			return uint64(uint32(int64(v) * int64(factor)))
		})},
		{fmt.Sprintf("replace-source-as0\nas %d", as), flow.Fields(flow.SrcAS), one(flow.SrcAS, as0)},
		{fmt.Sprintf("replace-destination-as0\nas %d", as+65536), flow.Fields(flow.DstAS), one(flow.DstAS, as0)},
		{"ip-source-address-anonymize\n" + anon, flow.Fields(flow.SrcAddr), one(flow.SrcAddr, plain)},
		{"ip-destination-address-anonymize\n" + anon, flow.Fields(flow.DstAddr), one(flow.DstAddr, plain)},
		{"ip-address-anonymize\n" + anon, flow.Fields(flow.SrcAddr, flow.DstAddr), func(get func(flow.Field) uint64, put func(flow.Field, uint64)) {
			put(flow.SrcAddr, plain(get(flow.SrcAddr), nil))
			put(flow.DstAddr, plain(get(flow.DstAddr), nil))
		}},
	}
}

// Compiled definitions change records as their text read plainly does: terms in
// order, filters that see earlier changes, stop, every action, every version
// that has the fields.
func TestAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(41, 42))
	dir := files(t, map[string]string{"filter.cfg": `
filter-primitive small
type counter
permit lt 0x40000000
filter-definition small
match packets small
filter-definition all
invert
`})
	key := testKey(t)
	changed := 0
	for _, v := range flow.Versions() {
		l := flowtest.Layout(v.Export, v.Agg)
		for range 25 {
			all := effects(rnd, key)
			var usable []int
			var text strings.Builder
			text.WriteString("include-filter filter.cfg\n")
			for i, e := range all {
				fmt.Fprintf(&text, "xlate-action a%d\ntype %s\n", i, e.text)
				if l.Missing(e.needs) == 0 {
					usable = append(usable, i)
				}
			}
			text.WriteString("xlate-definition d\n")
			type step struct {
				filter string
				run    []int
				stop   bool
			}
			var steps []step
			need := flow.FieldSet(0)
			for range rnd.IntN(4) {
				s := step{stop: rnd.IntN(3) == 0, filter: []string{"", "", "small", "all"}[rnd.IntN(4)]}
				text.WriteString("term\n")
				if s.filter != "" {
					fmt.Fprintf(&text, "filter %s\n", s.filter)
				}
				if s.filter == "small" {
					need |= flow.DPkts.Set()
				}
				if s.stop {
					text.WriteString("stop\n")
				}
				for range rnd.IntN(3) {
					i := usable[rnd.IntN(len(usable))]
					fmt.Fprintf(&text, "action A%d\n", i)
					s.run = append(s.run, i)
					need |= all[i].needs
				}
				steps = append(steps, s)
			}
			f, err := Parse("F", []byte(text.String()), Options{Dir: dir})
			if err != nil {
				t.Fatalf("%v\n%s", err, text.String())
			}
			d, err := f.Definition("d")
			if err != nil {
				t.Fatal(err)
			}
			if d.Needs() != need {
				t.Fatalf("needs %v, want %v\n%s", d.Needs(), need, text.String())
			}
			change := d.Compile(l)
			b := flowtest.Random(l, 20, rnd.Uint64())
			for r := range b.All() {
				for _, f := range []flow.Field{flow.SrcAS, flow.DstAS, flow.SrcMask, flow.DstMask} {
					l.PutUint(r, f, uint64(rnd.IntN(3)*20))
				}
				before := string(r)
				want := append(flow.Record(nil), r...)
				for _, s := range steps {
					if s.filter == "small" && l.Uint(want, flow.DPkts) >= 0x40000000 {
						continue
					}
					for _, i := range s.run {
						all[i].apply(func(f flow.Field) uint64 { return l.Uint(want, f) }, func(f flow.Field, v uint64) { l.PutUint(want, f, v) })
					}
					if s.stop {
						break
					}
				}
				change(r)
				if string(r) != string(want) {
					t.Fatalf("version %v: %x\nwant %x\n%s", v, r, want, text.String())
				}
				if before != string(r) {
					changed++
				}
			}
		}
	}
	if changed < 1000 {
		t.Errorf("only %d records changed: the test does not discriminate", changed)
	}
}

func TestParseKey(t *testing.T) {
	for digits, want := range map[string]string{
		"":     strings.Repeat("0", 64),
		"1":    strings.Repeat("0", 63) + "1",
		"aBc":  strings.Repeat("0", 61) + "abc",
		hexKey: hexKey,
	} {
		key, err := parseKey(digits)
		if got := fmt.Sprintf("%x", key); err != nil || got != want {
			t.Errorf("%q: %s %v", digits, got, err)
		}
	}
}

// The key file is read again at the times key-file-refresh says; what cannot be
// read keeps the old key.
func TestKeyFileRefresh(t *testing.T) {
	other := strings.Repeat("ab", 32)
	zone := func(name string) (string, bool) { return "XYZ-2", name == "TZ" } // two hours ahead
	at := func(h, m, s int) time.Time { return time.Date(2026, 11, 23, h, m, s, 0, time.UTC) }
	for _, c := range []struct {
		name, refresh string
		start         time.Time
		quiet, read   time.Time // the last moment before, and the first of, the next reading
		then          time.Time // the one after it
	}{
		{"within the hour", "15", at(10, 7, 5), at(10, 14, 59), at(10, 15, 0), at(10, 30, 0)},
		{"on the mark", "15", at(10, 15, 0), at(10, 29, 59), at(10, 30, 0), at(10, 45, 0)},
		{"today", "60 13:30", at(10, 0, 0), at(11, 29, 59), at(11, 30, 0), at(12, 30, 0)},
		{"once", "2147483647 13:30", at(10, 0, 0), at(11, 29, 59), at(11, 30, 0), at(11, 30, 0).Add(maxMinutes * time.Minute)},
		{"tomorrow", "60 9:00:30", at(10, 0, 0), at(31, 0, 29), at(31, 0, 30), at(32, 0, 30)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files(t, map[string]string{"key": hexKey + "\n"})
			now := c.start
			notes := 0
			f, err := Parse("F", []byte("xlate-action a\ntype ip-source-address-anonymize\nalgorithm cryptopan-aes128\nkey-file key\nkey-file-refresh "+c.refresh+
				"\nxlate-definition d\nterm\naction a\n"), Options{Dir: dir, LookupEnv: zone, Now: func() time.Time { return now }, Warn: func(error) { notes++ }})
			if err != nil {
				t.Fatal(err)
			}
			d, err := f.Definition("d")
			if err != nil {
				t.Fatal(err)
			}
			l := flowtest.Layout(5, 0)
			change := d.Compile(l)
			expect := func(when time.Time, digits string, wantNotes int) {
				t.Helper()
				now = when
				key, err := parseKey(digits)
				if err != nil {
					t.Fatal(err)
				}
				r := make(flow.Record, l.Size)
				l.PutUint(r, flow.SrcAddr, 0x0a000001)
				change(r)
				if got, want := uint32(l.Uint(r, flow.SrcAddr)), NewAnonymizer(key).Addr(0x0a000001); got != want || notes != wantNotes {
					t.Errorf("at %v: %#x, want %#x; %d notes, want %d", when, got, want, notes, wantNotes)
				}
			}
			expect(c.start, hexKey, 0)
			if err := os.WriteFile(dir+"/key", []byte(other), 0o600); err != nil {
				t.Fatal(err)
			}
			expect(c.quiet, hexKey, 0)
			expect(c.read, other, 1)
			if err := os.Remove(dir + "/key"); err != nil {
				t.Fatal(err)
			}
			expect(c.then.Add(-time.Second), other, 1)
			expect(c.then, other, 2)
			expect(c.then.Add(time.Second), other, 2)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("xlate-action a\ntype scale\nscale -2\nxlate-action b\ntype tag-mask\nmask 0xff 1\nxlate-definition d\nterm\naction a\nstop\nterm\naction b\n")
	f.Add("xlate-action a\ntype ip-address-anonymize\nalgorithm cryptopan-aes128\nkey 12ab\nkey-file-refresh 5 1:2:3\nxlate-definition d\nterm\naction a\n")
	f.Add("include-filter @{x:-none}\nxlate-definition d\nterm\nfilter x\n")
	b := flowtest.Random(flowtest.Layout(1005, 0), 4, 1)
	dir := f.TempDir() // nothing is in it
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/") {
			return // names of files elsewhere
		}
		file, err := Parse("F", []byte(text), Options{Dir: dir, Vars: map[string]string{"x": "6"}, Warn: func(error) {}, LookupEnv: func(string) (string, bool) { return dir, true }})
		if err != nil {
			return
		}
		for _, d := range file.definitions.All() {
			change := d.Compile(b.Layout)
			for r := range b.All() {
				change(r)
			}
		}
	})
}

func BenchmarkXlate(b *testing.B) {
	text := "xlate-action scale\ntype scale\nscale 100\nxlate-action net\ntype ip-source-address-to-network\nxlate-action priv\ntype ip-address-privacy-mask\nmask 0xffffff00 0xffffff00\n" +
		"xlate-action anon\ntype ip-address-anonymize\nalgorithm cryptopan-aes128\nkey " + hexKey + "\n"
	for _, name := range []string{"scale", "net", "priv", "anon"} {
		text += "xlate-definition " + name + "\nterm\naction " + name + "\n"
	}
	f, err := Parse("F", []byte(text), Options{})
	if err != nil {
		b.Fatal(err)
	}
	batch := flowtest.Traffic(flowtest.Layout(5, 0), 1000, 1)
	for _, d := range f.definitions.All() {
		b.Run(d.name, func(b *testing.B) {
			change := d.Compile(batch.Layout)
			work := flow.NewBatch(batch.Layout)
			work.SetBytes(append([]byte(nil), batch.Bytes()...))
			b.ReportAllocs()
			for b.Loop() {
				copy(work.Bytes(), batch.Bytes())
				for r := range work.All() {
					change(r)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/record")
		})
	}
}
