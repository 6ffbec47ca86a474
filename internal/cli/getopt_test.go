package cli

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// events spells flags as the recordings do: "a", "f=value", "i:x" (invalid), "m:f" (value missing).
func events(flags []string, syn *syntax) []string {
	var list []string
	for i := 0; i < len(flags); i++ {
		name := flags[i][1:]
		switch {
		case name == defectKey:
			i++
			kind, about := flags[i][:1], flags[i][1:]
			if defect(kind[0]) == invalidLong {
				kind, about = "i", "-"
			}
			list = append(list, kind+":"+about)
		case syn.short[name[0]] == valued:
			i++
			list = append(list, name+"="+flags[i])
		default:
			list = append(list, name)
		}
	}
	return list
}

// shortSyntax reads a getopt option string.
func shortSyntax(opts string) *syntax {
	syn := &syntax{}
	for i := 0; i < len(opts); i++ {
		if i+1 < len(opts) && opts[i+1] == ':' {
			syn.short[opts[i]] = valued
			i++
		} else {
			syn.short[opts[i]] = bare
		}
	}
	return syn
}

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "|")
}

// TestNormaliseIsGlibc compares with what glibc's getopt did with 500 random command lines.
func TestNormaliseIsGlibc(t *testing.T) {
	f, err := os.Open("testdata/getopt.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		n++
		col := strings.Split(sc.Text(), "\t")
		var args []string
		if col[1] != "(none)" {
			args = strings.Split(col[1], "|")
		}
		syn := shortSyntax("abf:m:")
		syn.inOrder = col[0] == "1"
		got := normalise(args, syn)
		var argv []string
		if args != nil {
			argv = strings.Split(col[3], "|")
		}
		if diff := cmp.Diff(split(col[2]), events(got.flags, syn)); diff != "" {
			t.Errorf("posix %s, %q: events (-glibc +ours):\n%s", col[0], args, diff)
		}
		if !slices.Equal(argv, got.argv) {
			t.Errorf("posix %s, %q: argv %q, glibc %q", col[0], args, got.argv, argv)
		}
		if want := col[4]; fmt.Sprint(len(got.operands)) != want {
			t.Errorf("posix %s, %q: operands %q, glibc has %s", col[0], args, got.operands, want)
		}
	}
	if n != 500 {
		t.Errorf("%d cases", n)
	}
}

// model is getopt as POSIX tells it, one option at a time over a shrinking list, with GNU's permutation.
func model(args []string, syn *syntax) (list, operands []string) {
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		if word == "--" {
			return list, append(operands, args...)
		}
		if !strings.HasPrefix(word, "-") || word == "-" {
			operands = append(operands, word)
			if syn.inOrder {
				return list, append(operands, args...)
			}
			continue
		}
		letter, rest := word[1], word[2:]
		switch syn.short[letter] {
		case unknown:
			list = append(list, "i:"+string([]byte{letter}))
		case bare:
			list = append(list, string([]byte{letter}))
		case valued:
			if rest == "" && len(args) == 0 {
				list = append(list, "m:"+string([]byte{letter}))
				continue
			}
			if rest == "" {
				rest, args = args[0], args[1:]
			}
			list = append(list, string([]byte{letter})+"="+rest)
			continue
		}
		if rest == "" {
			continue
		}
		// What is left of a bundle is an option again, whatever it looks like.
		for rest != "" && syn.short[rest[0]] != valued {
			if syn.short[rest[0]] == bare {
				list = append(list, rest[:1])
			} else {
				list = append(list, "i:"+rest[:1])
			}
			rest = rest[1:]
		}
		if rest != "" {
			switch {
			case len(rest) > 1:
				list = append(list, rest[:1]+"="+rest[1:])
			case len(args) > 0:
				list = append(list, rest+"="+args[0])
				args = args[1:]
			default:
				list = append(list, "m:"+rest)
			}
		}
	}
	return list, operands
}

func checkModel(t *testing.T, args []string, syn *syntax) {
	t.Helper()
	wantEvents, wantOperands := model(args, syn)
	got := normalise(args, syn)
	if e := events(got.flags, syn); !slices.Equal(e, wantEvents) {
		t.Errorf("%q: events %q, want %q", args, e, wantEvents)
	}
	if !slices.Equal(got.operands, wantOperands) {
		t.Errorf("%q: operands %q, want %q", args, got.operands, wantOperands)
	}
	a, b := slices.Sorted(slices.Values(args)), slices.Sorted(slices.Values(got.argv))
	if !slices.Equal(a, b) {
		t.Errorf("%q: argv %q is no permutation", args, got.argv)
	}
	if !slices.Equal(got.argv[len(got.argv)-len(got.operands):], got.operands) {
		t.Errorf("%q: operands %q are not at the end of argv %q", args, got.operands, got.argv)
	}
}

func TestNormaliseIsModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const letters = "abfm-x5=? \xff"
	for range 20000 {
		syn := shortSyntax("abf:m:")
		syn.inOrder = rnd.IntN(4) == 0
		args := make([]string, rnd.IntN(7))
		for i := range args {
			b := make([]byte, rnd.IntN(5))
			for j := range b {
				b[j] = letters[rnd.IntN(len(letters))]
			}
			args[i] = string(b)
			if rnd.IntN(2) == 0 {
				args[i] = "-" + args[i]
			}
		}
		checkModel(t, args, syn)
		if t.Failed() {
			return
		}
	}
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"", "-a\x00x\x00-f5", "-f\x00--\x00-a", "--\x00-f", "x\x00-abf7\x00-", "--format=2\x00--for\x002", "-\xff\x00--\xff"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, line string, inOrder bool) {
		args := strings.Split(line, "\x00")
		syn := shortSyntax("abf:m:")
		syn.inOrder = inOrder
		checkModel(t, args, syn)

		// With long options: nothing gets lost, and what comes out can be read as pairs.
		syn.long = longTestOptions
		n := normalise(args, syn)
		if len(n.argv) != len(args) {
			t.Errorf("%q: %d of %d arguments in argv", args, len(n.argv), len(args))
		}
		for i := 0; i < len(n.flags); i++ {
			name := n.flags[i]
			if len(name) < 2 || name[0] != '-' {
				t.Fatalf("%q: flag %q in %q", args, name, n.flags)
			}
			if name == "-"+defectKey || syn.short[name[1]] == valued && len(name) == 2 {
				i++
			}
		}
	})
}

var longTestOptions = []longOption{
	{name: "format", key: "f", arity: valued},
	{name: "force", key: "force", arity: bare},
	{name: "all", key: "a", arity: bare},
	{name: "man", key: "man", arity: bare, exact: true},
}

func TestLongOptions(t *testing.T) {
	for _, c := range []struct {
		args     string
		flags    string
		operands string
		argv     string
	}{
		{"--format=2", "-f|2", "", "--format=2"},
		{"x|--format|2|y", "-f|2", "x|y", "--format|2|x|y"},
		{"--format|--", "-f|--", "", "--format|--"},
		{"--format=", "-f|", "", "--format="},
		{"--format=a=b", "-f|a=b", "", "--format=a=b"},
		{"--format", "-?|Mformat", "", "--format"},
		{"--form=3", "-f|3", "", "--form=3"},
		{"--for", "-?|afor", "", "--for"},
		{"--forc|-b", "-force|-b", "", "--forc|-b"},
		{"--force=1|-b", "-?|vforce|-b", "", "--force=1|-b"},
		{"--man", "-man", "", "--man"},
		{"--ma", "-?|Ima|-m|a", "", "--ma"},
		{"--bf5", "-?|Ibf5|-b|-f|5", "", "--bf5"},
		{"--=x", "-?|I|-?|i=|-?|ix", "", "--=x"},
		{"--all|-ab|--all", "-a|-a|-b|-a", "", "--all|-ab|--all"},
		{"--|--all", "", "--all", "--|--all"},
	} {
		syn := shortSyntax("abf:m:")
		syn.long = longTestOptions
		n := normalise(split(c.args), syn)
		got := strings.Join(n.flags, "|") + " / " + strings.Join(n.operands, "|") + " / " + strings.Join(n.argv, "|")
		if want := c.flags + " / " + c.operands + " / " + c.argv; got != want {
			t.Errorf("%s: %s, want %s", c.args, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	syn := &syntax{long: longTestOptions}
	for word, want := range map[string]string{"fromat": "format", "forcee": "force", "mann": "", "zzzzz": ""} {
		if got := syn.nearest(word); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func BenchmarkNormalise(b *testing.B) {
	syn := shortSyntax("abf:m:")
	args := []string{"-abf5", "file", "-m", "0x303000", "-"}
	b.ReportAllocs()
	for b.Loop() {
		normalise(args, syn)
	}
}
