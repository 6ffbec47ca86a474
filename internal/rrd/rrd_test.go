package rrd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flowtools/internal/cli"
)

func TestQuote(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
		ok    bool
	}{
		{[]string{"update", "a.rrd", "1:2"}, "update a.rrd 1:2\n", true},
		{[]string{"a b", "", `it's`, `say "x"`, `a\b`}, `'a b' '' "it's" 'say "x"' 'a\b'` + "\n", true},
		{[]string{`both '"`}, "", false},
		{[]string{"two\nlines"}, "", false},
	} {
		if got, ok := quote(c.words); got != c.want || ok != c.ok {
			t.Errorf("%q: %q %v", c.words, got, ok)
		}
	}
}

// TestPipe writes databases with the real rrdtool.
func TestPipe(t *testing.T) {
	if _, err := exec.LookPath("rrdtool"); err != nil {
		t.Skip("rrdtool is not installed")
	}
	dir := t.TempDir()
	var msg bytes.Buffer
	tool := &Tool{Env: &cli.Env{Dir: dir, Stderr: &msg}}
	for _, name := range []string{"a.rrd", "b c.rrd", "it's.rrd", "both'\".rrd", "sla\\sh.rrd"} {
		if ok, err := tool.Exists(name); ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
		if err := tool.Run("create", name, "--start", "1369999700", "DS:flows:ABSOLUTE:600:U:U", "RRA:AVERAGE:0.5:1:600"); err != nil {
			t.Fatal(err)
		}
		if err := tool.Run("update", name, "1370000000:942"); err != nil {
			t.Fatal(err)
		}
		if ok, err := tool.Exists(name); !ok || err != nil {
			t.Errorf("%s: %v %v", name, ok, err)
		}
		out, err := exec.Command("rrdtool", "lastupdate", filepath.Join(dir, name)).Output()
		if err != nil || !strings.Contains(string(out), "1370000000: 942") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	// A failing command is an error with the reason; the pipe goes on.
	if err := tool.Run("update", "none.rrd", "1:2"); err == nil || !strings.Contains(err.Error(), "none.rrd") {
		t.Errorf("no such file: %v", err)
	}
	if err := tool.Run("update", "a.rrd", "1370000300:1"); err != nil {
		t.Error(err)
	}
	if err := tool.Close(); err != nil {
		t.Error(err)
	}
	if err := tool.Close(); err != nil {
		t.Error(err)
	}
	if msg.Len() > 0 {
		t.Errorf("messages %q", msg.String())
	}
}

// TestScript calls a stand-in once a command.
func TestScript(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$*\" >> log\ntest \"$1\" != bad\n"
	if err := os.WriteFile(filepath.Join(dir, "rrdtool"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	tool := &Tool{Env: &cli.Env{Dir: dir}}
	if err := tool.Run("create", "x y"); err != nil {
		t.Fatal(err)
	}
	if err := tool.Run("bad"); err == nil {
		t.Error("a failing call is no error")
	}
	if err := tool.Close(); err != nil {
		t.Error(err)
	}
	if log, err := os.ReadFile(filepath.Join(dir, "log")); err != nil || string(log) != "create x y\nbad\n" {
		t.Errorf("%v %q", err, log)
	}
	t.Setenv("PATH", t.TempDir())
	if err := (&Tool{Env: &cli.Env{}}).Run("create"); err == nil {
		t.Error("no rrdtool is no error")
	}
}
