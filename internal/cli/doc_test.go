package cli

import (
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata")

// documented is a Spec with everything that shows in texts, awkward characters included.
func documented() *Spec {
	var s sample
	spec := s.spec()
	spec.Operands, spec.MaxOperands = "[file ...]", -1
	spec.Flags = append(spec.Flags, Flag{Letter: 'b', Long: "byte-order", Arg: "order", Values: []string{"big", "little"},
		Help: "byte order of what is written; the machine's by default", Set: func(string) error { return nil }},
		Func('Z', "", "a:b", func(string) error { return nil }, `quotes ' and ", [brackets], a \n and $HOME (or so)`),
		Func(0, "an-option-with-a-long-name", "with-a-long-value", func(string) error { return nil }, strings.Repeat("many words ", 20)))
	spec.Description = "Reads a stream\nand prints it.\n\nA second paragraph:\n\n    flow-cat x | flow-sample -w\n    .dot 'quote' \\n back\\slash\n\n.A dot first, 'a quote, a -dash."
	spec.Notes = "Signals:\n\n   SIGHUP  - reload\n   SIGUSR1 - dump\n\nNothing else."
	spec.Examples = []Example{{"flow-sample -f5 < x | less", "Look at format 5."}, {`flow-sample --mask='a\b'`, "Mask."}}
	spec.ExitText = "0, or 1 when something failed."
	spec.Files = []string{"/etc/flow-tools/cfg/filter.cfg: filters", "other"}
	spec.Environment = []string{EnvTZ, EnvSysconf}
	spec.SeeAlso = []string{"flow-print(1)", "flow-cat(1)"}
	return spec
}

// texts are all that is generated from a Spec, by name of the file below testdata.
func texts(s *Spec) map[string]string {
	list := map[string]string{
		"bad-usage.txt":  s.help(badUsage),
		"short-help.txt": s.help(shortHelp),
		"full-help.txt":  s.help(fullHelp),
		"sample.1":       s.Man(),
		"sample.md":      s.Markdown(),
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		list["sample."+shell], _ = s.Completion(shell)
	}
	return list
}

func TestTexts(t *testing.T) {
	spec := documented()
	if err := spec.Check(); err != nil {
		t.Fatal(err)
	}
	for name, got := range texts(spec) {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if strings.HasSuffix(name, ".txt") {
			for line := range strings.Lines(got) {
				if len(line) > helpWidth+2 {
					t.Errorf("%s: a line of %d bytes: %q", name, len(line), line)
				}
			}
		}
	}
}

func TestTextOptions(t *testing.T) {
	spec := documented()
	for _, c := range []struct {
		args string
		want string
	}{
		{"--man", spec.Man()},
		{"--completion=bash", texts(spec)["sample.bash"]},
		{"--completion zsh", texts(spec)["sample.zsh"]},
		{"--completion=fish", texts(spec)["sample.fish"]},
		{"--version", "flow-sample (flowtools) " + version() + "\n"},
	} {
		if diff := cmp.Diff(result{0, c.want, ""}, execute(spec, nil, strings.Fields(c.args)...)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, diff)
		}
	}
	if got := execute(spec, nil, "--completion=tcsh"); got.Code != 1 || got.Out != "" || !strings.Contains(got.Err, `"tcsh"`) {
		t.Errorf("--completion=tcsh: %+v", got)
	}
}

// tool runs a program over text on its standard input; the test is skipped when there is no such program.
func tool(t *testing.T, text string, argv ...string) (stdout, stderr string) {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(text)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, errs.String())
	}
	return out.String(), errs.String()
}

func TestManIsRoff(t *testing.T) {
	spec := documented()
	out, errs := tool(t, spec.Man(), "groff", "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=78n")
	if errs != "" {
		t.Errorf("groff warns:\n%s", errs)
	}
	for _, want := range []string{
		"flow-sample - do nothing in particular",
		"    flow-cat x | flow-sample -w\n",
		"    .dot 'quote' \\n back\\slash\n",
		".A dot first, 'a quote, a -dash.",
		"-f, --format=n",
		`flow-sample --mask='a\b'`,
		"ends with status 4, -h\n       with status 3.",
		"flow-print(1), flow-cat(1)",
		"   SIGHUP  - reload\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the page lacks %q:\n%s", want, out)
		}
	}
}

func TestScriptsParse(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			script, _ := documented().Completion(shell)
			if _, errs := tool(t, script, shell, "-n"); errs != "" {
				t.Errorf("%s", errs)
			}
		})
	}
}

// TestBashCompletes runs the function the way bash does.
func TestBashCompletes(t *testing.T) {
	script, _ := documented().Completion("bash")
	dir := t.TempDir()
	for _, name := range []string{"one file", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		words string // after the command; the last one is being completed
		want  string
	}{
		{"--byte-o", "--byte-order"},
		{"--f", "--format"},
		{"-b ", "big little"},
		{"-b l", "little"},
		{"--byte-order = b", "big"},
		{"--byte-order =", "big little"},
		{"-C x", ""},
		{"-o o", "one file other"},
		{"-w o", "one file other"},
		{"-", "-f --format -w --wide -C -o --output -v --verbose -m --mask --strict -b --byte-order -Z --an-option-with-a-long-name -h --help --version"},
	} {
		words := strings.Split(c.words, " ")
		run := script + "\ncompopt() { :; }\ncd '" + dir + "'\nCOMP_WORDS=(flow-sample"
		for _, w := range words {
			run += " '" + w + "'"
		}
		run += ")\nCOMP_CWORD=$((${#COMP_WORDS[@]}-1))\nCOMPREPLY=()\n_flow_sample\necho \"${COMPREPLY[*]}\"\n"
		out, errs := tool(t, run, "bash")
		if strings.TrimSuffix(out, "\n") != c.want || errs != "" {
			t.Errorf("%q: %q, want %q; %s", c.words, out, c.want, errs)
		}
	}
}

func TestFishCompletes(t *testing.T) {
	script, _ := documented().Completion("fish")
	dir := t.TempDir()
	// fish looks at commands that exist only.
	if err := os.WriteFile(filepath.Join(dir, "flow-sample"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, want string }{
		{"--f", "--format"},
		{"-b ", "big little"},
		{"--byte-order=l", "--byte-order=little"},
		{"-C x", ""},
		{"-o flow-", "flow-sample"},
	} {
		run := "cd '" + dir + "'\nset -x PATH '" + dir + "' $PATH\nset -x HOME '" + dir + "'\n" + script + "complete -C 'flow-sample " + c.line + "'\n"
		out, errs := tool(t, run, "fish")
		var words []string
		for line := range strings.Lines(out) {
			word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			words = append(words, word)
		}
		if got := strings.Join(words, " "); got != c.want || errs != "" {
			t.Errorf("%q: %q, want %q; %s", c.line, got, c.want, errs)
		}
	}
}

func TestCheck(t *testing.T) {
	run := func(context.Context, *Env) error { return nil }
	set := func(string) error { return nil }
	for _, c := range []struct {
		name string
		spec Spec
		want string // part of the error
	}{
		{"empty", Spec{}, "missing"},
		{"summary", Spec{Name: "x", Summary: "Ends.", Run: run}, "stop"},
		{"operands", Spec{Name: "x", Summary: "y", Run: run, MaxOperands: 1}, "operands"},
		{"no name", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{}}}, "no name"},
		{"more help", Spec{Name: "x", Summary: "y", Run: run, MoreHelp: func(io.Writer) {}}, "MoreHelp"},
		{"letter", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{Letter: '?', Help: "h", Set: set}}}, "getopt"},
		{"twice", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{Letter: 'a', Help: "h", Set: set}, {Letter: 'a', Help: "h", Set: set}}}, "-a stands twice"},
		{"long twice", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{Long: "help", Help: "h", Set: set}}}, "--help stands twice"},
		{"long", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{Long: "Bad=", Help: "h", Set: set}}}, "no name for"},
		{"help", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{Letter: 'a', Set: set}}}, "-a has no help"},
		{"set", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{Letter: 'a', Help: "h"}}}, "-a does nothing"},
		{"values", Spec{Name: "x", Summary: "y", Run: run, Flags: []Flag{{Letter: 'a', Help: "h", Set: set, Files: true}}}, "takes no value"},
		{"see also", Spec{Name: "x", Summary: "y", Run: run, SeeAlso: []string{"flow-cat"}}, "see also"},
		{"example", Spec{Name: "x", Summary: "y", Run: run, Examples: []Example{{"a", ""}}}, "example"},
	} {
		if err := c.spec.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
}
