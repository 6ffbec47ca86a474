package sym

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       map[uint32]string
	}{
		{"plain", "6 tcp\n17\tudp\n", map[uint32]string{6: "tcp", 17: "udp"}},
		{"no last newline", "6 tcp", map[uint32]string{6: "tcp"}},
		{"empty", "", map[uint32]string{}},
		{"blank lines and indents", "\n \t\r\n  6   tcp\n\v\f17 udp\n\n", map[uint32]string{6: "tcp", 17: "udp"}},
		{"comments", "# 1 one\n  # 2 two\n3 three # not one\n", map[uint32]string{3: "three # not one"}},
		{"C notation", "0x10 a\n010 b\nno-digits c\n-1 d\n4294967301 e\n6x f\n",
			map[uint32]string{16: "a", 8: "b", 0: "c", 0xFFFFFFFF: "d", 5: "e", 6: "f"}},
		{"trailing blanks and CR stay", "1 one  \r\n2 two\t\n", map[uint32]string{1: "one  \r", 2: "two\t"}},
		{"blanks inside", "1 one  and a half\n", map[uint32]string{1: "one  and a half"}},
		{"last name wins", "6 tcp\n17 udp\n6 TCP\n", map[uint32]string{6: "TCP", 17: "udp"}},
		{"number at line end takes the next line", "6\n7 seven\n8 eight\n", map[uint32]string{6: "7 seven", 8: "eight"}},
		{"number at line end takes an empty line", "6\n\n8 eight\n", map[uint32]string{6: "", 8: "eight"}},
		{"blanks and line end: empty name", "6 \n7 seven\n", map[uint32]string{6: "", 7: "seven"}},
		{"only one white space byte is consumed", "6\r\n7 seven\n", map[uint32]string{6: "", 7: "seven"}},
		{"# behind a number", "6# six\n", map[uint32]string{6: "six"}},
	} {
		table, err := Parse(strings.NewReader(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := map[uint32]string{}
		for _, e := range table.entries {
			name, ok := table.Name(e.value)
			if !ok {
				t.Errorf("%s: no name for %d", c.name, e.value)
			}
			got[e.value] = name
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestParseMissingField(t *testing.T) {
	for _, text := range []string{"6", "6 tcp\n17", "17 ", "17 \t", "17\n", "17\n  ", "1 one\n17\t\t"} {
		if table, err := Parse(strings.NewReader(text)); !errors.Is(err, ErrMissingField) || table != nil {
			t.Errorf("%q: %v, %v", text, table, err)
		}
	}
}

func TestValue(t *testing.T) {
	var b strings.Builder
	// Block 0 has "dup" at 1 and 2, block 1 (values from 1256 on) at 1300 and 1301.
	for v := range 256 {
		fmt.Fprintf(&b, "%d n%d\n", 1000+v, v)
	}
	first := strings.Replace(strings.Replace(b.String(), "1001 n1\n", "1001 Dup\n", 1), "1002 n2\n", "1002 dup\n", 1)
	small, err := Parse(strings.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := small.Value("DUP"); !ok || v != 1001 {
		t.Errorf("one block: %d, %v, want the first", v, ok)
	}
	large, err := Parse(strings.NewReader(first + "2000 x\n2001 dup\n2002 dup\n1255 again\n"))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := large.Value("dup"); !ok || v != 2001 {
		t.Errorf("two blocks: %d, %v, want the first of the last block", v, ok)
	}
	if v, ok := large.Value("N7"); !ok || v != 1007 {
		t.Errorf("n7: %d, %v", v, ok)
	}
	if _, ok := large.Value("n255"); ok {
		t.Error("a replaced name is still found")
	}
	for _, name := range []string{"", "du", "dupe"} {
		if v, ok := large.Value(name); ok {
			t.Errorf("%q found as %d", name, v)
		}
	}
	var none *Table
	if _, ok := none.Value("x"); ok || none.Len() != 0 {
		t.Error("a nil table has something")
	}
	if _, ok := none.Name(0); ok {
		t.Error("a nil table has a name")
	}
}

func env(vars map[string]string) func(string) (string, bool) {
	return func(k string) (string, bool) { v, ok := vars[k]; return v, ok }
}

// setDirs replaces the search path of a machine without the variable.
func setDirs(t *testing.T, d ...string) {
	old := dirs
	dirs = d
	t.Cleanup(func() { dirs = old })
}

func TestSysconf(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"a/cfg/x.cfg", "b/cfg/x.cfg", "b/cfg/y.cfg", "env/cfg/z.cfg"} {
		p := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a, b, e := root+"/a", root+"/b", root+"/env"
	setDirs(t, a, b)
	for _, c := range []struct {
		env   map[string]string
		rel   string
		want  string
		found bool
	}{
		{nil, "cfg/x.cfg", a + "/cfg/x.cfg", true},
		{nil, "cfg/y.cfg", b + "/cfg/y.cfg", true},
		{nil, "cfg/z.cfg", a + "/cfg/z.cfg", false},
		{map[string]string{EnvDir: ""}, "cfg/y.cfg", b + "/cfg/y.cfg", true},
		{map[string]string{EnvDir: e}, "cfg/z.cfg", e + "/cfg/z.cfg", true},
		{map[string]string{EnvDir: e}, "cfg/x.cfg", e + "/cfg/x.cfg", false},
	} {
		if got, found := Sysconf(env(c.env), c.rel); got != c.want || found != c.found {
			t.Errorf("%v %s: %s, %v; want %s, %v", c.env, c.rel, got, found, c.want, c.found)
		}
	}
}

// TestOpen reads the files that the recorded name examples of flow-print used.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/sym", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir+"/sym", os.DirFS("testdata/names")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + "/sym/" + Tag); err != nil {
		t.Fatal(err)
	}
	look := env(map[string]string{EnvDir: dir})
	for _, c := range []struct {
		table string
		value uint32
		want  string
	}{
		{TCPPort, 123, "ntp  # time"},
		{TCPPort, 443, "https-alternate-name"},
		{IPProt, 6, "tcp"},
		{IPProt, 1, "icmp-echo"},
		{ASN, 65000, "PRIVATE-AS-65000-X"},
	} {
		table, err := Open(look, c.table)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := table.Name(c.value); !ok || got != c.want {
			t.Errorf("%s %d: %q, %v, want %q", c.table, c.value, got, ok, c.want)
		}
	}
	prot, err := Open(look, IPProt)
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := prot.Name(89); ok {
		t.Errorf("the built-in %q shows through an installed file", name)
	}
	if _, err := Open(look, Tag); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(dir+"/sym/"+Tag, []byte("1 one\n2"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(look, Tag); !errors.Is(err, ErrMissingField) || !strings.Contains(err.Error(), Tag) {
		t.Errorf("bad file: %v", err)
	}

	setDirs(t, dir)
	table, err := Open(env(nil), ASN)
	if name, _ := table.Name(1); err != nil || name != "LVLT-1" {
		t.Errorf("installed without the variable: %q, %v", name, err)
	}
}

func TestBuiltin(t *testing.T) {
	setDirs(t, t.TempDir())
	for _, c := range []struct {
		table string
		value uint32
		want  string
	}{
		{IPProt, 1, "icmp"}, {IPProt, 6, "tcp"}, {IPProt, 17, "udp"}, {IPProt, 47, "gre"}, {IPProt, 58, "ipv6-icmp"}, {IPProt, 89, "ospf"},
		{TCPPort, 21, "ftp"}, {TCPPort, 53, "domain"}, {TCPPort, 80, "http"}, {TCPPort, 443, "https"},
		{TCPPort, 69, "tftp"}, {TCPPort, 514, "shell"}, // UDP only; TCP's name before UDP's syslog
		{IPType, 0, "class-a"}, {IPType, 6, "other"},
	} {
		table, err := Open(env(nil), c.table)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := table.Name(c.value); !ok || got != c.want {
			t.Errorf("%s %d: %q, want %q", c.table, c.value, got, c.want)
		}
	}
	for _, name := range []string{ASN, Tag, "nothing.sym"} {
		if n := Builtin(name).Len(); n != 0 {
			t.Errorf("%s has %d entries", name, n)
		}
	}
	if n := Builtin(IPType).Len(); n != 7 {
		t.Errorf("%d address types", n)
	}
	if v, ok := Builtin(TCPPort).Value("HTTPS"); !ok || v != 443 {
		t.Errorf("https is %d", v)
	}
	if first, again := Builtin(TCPPort), Builtin(TCPPort); first != again {
		t.Error("a table is read twice")
	}
	for _, name := range []string{IPProt, TCPPort, IPType} {
		data, err := builtinFiles.ReadFile("builtin/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(string(data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"6 tcp\n17 udp\n", "# c\n 0x10 a b \r\n6\n7 x\n", "6", "6 ", "\x00 \xff\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		table, err := Parse(strings.NewReader(s))
		if err != nil {
			if table != nil {
				t.Fatal("a table beside an error")
			}
			return
		}
		// Writing the table and reading it again keeps it.
		var b strings.Builder
		for _, e := range table.entries {
			if strings.HasPrefix(e.name, " ") || strings.HasPrefix(e.name, "\t") {
				return // cannot be written: leading blanks belong to the separator
			}
			fmt.Fprintf(&b, "%d %s\n", e.value, e.name)
		}
		again, err := Parse(strings.NewReader(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(table.entries, again.entries, cmp.AllowUnexported(entry{})); d != "" {
			t.Fatal(d)
		}
		for _, e := range table.entries {
			if v, ok := table.Value(e.name); !ok {
				t.Fatalf("%q not found", e.name)
			} else if name, _ := table.Name(v); len(name) != len(e.name) {
				t.Fatalf("%q found as %d, which is %q", e.name, v, name)
			}
		}
	})
}

func BenchmarkName(b *testing.B) {
	b.ReportAllocs()
	t := Builtin(TCPPort)
	v := uint32(0)
	for b.Loop() {
		t.Name(v & 0x3FF)
		v++
	}
}
