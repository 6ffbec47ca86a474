package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
)

func gen(t *testing.T, dir string, args ...string) (code int, stderr string) {
	t.Helper()
	var errs bytes.Buffer
	code = cli.Exec(context.Background(), spec(), &cli.Env{Stderr: &errs, Dir: dir}, append([]string{"gen"}, args...))
	return code, errs.String()
}

func TestWriteAndCheck(t *testing.T) {
	dir := t.TempDir()
	if code, errs := gen(t, dir, "--check"); code != 1 || !strings.Contains(errs, "no such file") {
		t.Errorf("check of nothing: status %d, %s", code, errs)
	}
	if code, errs := gen(t, dir); code != 0 || errs != "" {
		t.Fatalf("write: status %d, %s", code, errs)
	}
	if code, errs := gen(t, dir, "--check"); code != 0 || errs != "" {
		t.Errorf("check of what was written: status %d, %s", code, errs)
	}

	page := filepath.Join(dir, "docs/man", tools()[0].Name+".1")
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, append(want, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(dir, "docs/completion/fish/flow-gone.fish")
	if err := os.WriteFile(stray, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	code, errs := gen(t, dir, "--check")
	if diff := cmp.Diff([]string{
		"gen: " + stray + ": belongs to no tool",
		"gen: " + page + ": out of date",
		"gen: run: go run ./internal/gen", "",
	}, strings.Split(errs, "\n")); diff != "" || code != 1 {
		t.Errorf("drift: status %d (-want +got):\n%s", code, diff)
	}
	if code, errs := gen(t, dir); code != 0 {
		t.Fatalf("write again: status %d, %s", code, errs)
	}
	if code, errs := gen(t, dir, "--check"); code != 0 {
		t.Errorf("check after writing again: status %d, %s", code, errs)
	}
	if got, err := os.ReadFile(page); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v, %d bytes, want %d", page, err, len(got), len(want))
	}
}

func TestFilesRejectsBadSpecs(t *testing.T) {
	run := func(context.Context, *cli.Env) error { return nil }
	good := &cli.Spec{Name: "a", Summary: "b", Run: run}
	if list, err := files([]*cli.Spec{good}); err != nil || len(list) != 5 {
		t.Errorf("%d files, %v", len(list), err)
	}
	if _, err := files([]*cli.Spec{good, good}); err == nil || !strings.Contains(err.Error(), "two tools") {
		t.Errorf("a name twice: %v", err)
	}
	if _, err := files([]*cli.Spec{{Name: "a"}}); err == nil {
		t.Error("an incomplete Spec passes")
	}
}

// TestToolsAreAll compares the list with the commands there are.
func TestToolsAreAll(t *testing.T) {
	entries, err := os.ReadDir("../../cmd")
	if err != nil {
		t.Fatal(err)
	}
	var commands, listed []string
	for _, e := range entries {
		commands = append(commands, e.Name())
	}
	for _, s := range tools() {
		listed = append(listed, s.Name)
	}
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
