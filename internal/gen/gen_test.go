package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
)

func TestWriteAndCheck(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "docs")
	specs := tools()
	if err := run(dir, true, specs); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("check of nothing: %v", err)
	}
	if err := run(dir, false, specs); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, true, specs); err != nil {
		t.Errorf("check of what was written: %v", err)
	}

	page := filepath.Join(dir, "man", specs[0].Name+".1")
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, append(want, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(dir, "completion/fish/flow-gone.fish")
	if err := os.WriteFile(stray, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err = run(dir, true, specs)
	if diff := cmp.Diff([]string{
		stray + ": belongs to no tool",
		page + ": out of date",
		"to write them: go run ./internal/gen",
	}, strings.Split(fmt.Sprint(err), "\n")); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
	if err := run(dir, false, specs); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, true, specs); err != nil {
		t.Errorf("check after writing again: %v", err)
	}
	if got, err := os.ReadFile(page); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v, %d bytes, want %d", page, err, len(got), len(want))
	}
}

func TestFilesRejectsBadSpecs(t *testing.T) {
	run := func(context.Context, *cli.Env) error { return nil }
	good := &cli.Spec{Name: "a", Summary: "b", Run: run}
	if list, err := files([]*cli.Spec{good}); err != nil || len(list) != 8 {
		t.Errorf("%d files, %v", len(list), err)
	}
	if _, err := files([]*cli.Spec{good, good}); err == nil || !strings.Contains(err.Error(), "two tools") {
		t.Errorf("a name twice: %v", err)
	}
	if _, err := files([]*cli.Spec{{Name: "a"}}); err == nil {
		t.Error("an incomplete Spec passes")
	}
}

func TestReferences(t *testing.T) {
	for _, c := range []struct {
		page func() (string, error)
		want []string
	}{
		{fieldsPage, []string{
			"| 5 | 0x20 | `dpkts` | ",
			"| 23 | 0x800000 | `tcp_flags` | ",
			" | 1 5 6 7 1005 |\n",
			" | 1 5 6 7 8.2 8.8 8.10 8.14 1005 |\n",
			"| 8.1 AS | ",
			"| 5 | 64 | 24 | 0xfff37ef |\n",
		}},
		{reportsPage, []string{
			"| `summary-detail` |  |  | all |\n",
			"| `ip-source/destination-address` | `ip-source-address`, `ip-destination-address` |  | ",
			"| `ip-source-address-destination-count` | `ip-source-address` | `",
			"| `source-tag` | `source-tag` |  | 1005 |\n",
		}},
	} {
		text, err := c.page()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
}

// TestToolsAreAll compares the list with the commands there are.
func TestToolsAreAll(t *testing.T) {
	mains, err := filepath.Glob("../../cmd/*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	var commands, listed []string
	for _, name := range mains {
		commands = append(commands, filepath.Base(filepath.Dir(name)))
	}
	for _, s := range tools() {
		listed = append(listed, s.Name)
	}
	slices.Sort(commands)
	slices.Sort(listed)
	if diff := cmp.Diff(commands, listed); diff != "" {
		t.Errorf("tools.go has not just the commands (-cmd +tools.go):\n%s", diff)
	}
}

// TestSpecsAreFresh makes sure that two runs in one process share nothing.
func TestSpecsAreFresh(t *testing.T) {
	again := tools()
	for i, s := range tools() {
		if s == again[i] {
			t.Errorf("%s: Spec returns the same value twice", s.Name)
		}
	}
}

// TestHelp runs what every tool answers without input.
func TestHelp(t *testing.T) {
	for _, s := range tools() {
		for _, c := range []struct {
			arg  string
			code int
		}{{"--help", s.UsageExit}, {"-?", s.UsageExit}, {"--version", 0}, {"--man", 0}, {"--completion=bash", 0}} {
			if s.Persistent {
				c.code = min(c.code, s.HelpExit)
			}
			var out, errs bytes.Buffer
			code := cli.Exec(context.Background(), s, &cli.Env{Stdout: &out, Stderr: &errs}, []string{s.Name, c.arg})
			if code != c.code || out.Len()+errs.Len() == 0 {
				t.Errorf("%s %s: status %d, want %d; %d bytes", s.Name, c.arg, code, c.code, out.Len()+errs.Len())
			}
		}
	}
}
