// Package tooltest runs tools in the process of a test.
package tooltest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"flowtools/internal/cli"
	"flowtools/internal/sym"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// World is what a tool under test can see. The zero World is an empty
// environment, the zone UTC and the directory of the test.
type World struct {
	Dir   string            // the tool's working directory
	Env   map[string]string // its environment
	Input []byte            // its standard input, every time it runs
	Stdin io.Reader         // in place of Input
	Out   io.Writer         // standard output in place of Result.Out
	Now   time.Time
}

// Installed returns a World in a new directory with files. The configuration is
// installed there, too, in cfg and sym.
func Installed(t testing.TB, files map[string]string) World {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		Write(t, dir, map[string][]byte{name: []byte(text)})
	}
	return World{Dir: dir, Env: map[string]string{sym.EnvDir: dir}}
}

// Reads returns w with another Input.
func (w World) Reads(input []byte) World {
	w.Input = input
	return w
}

// Result is what a run left.
type Result struct {
	Code int
	Out  []byte
	Err  string // standard error
}

func (r Result) String() string {
	return fmt.Sprintf("status %d, output %q, messages %q", r.Code, r.Out, r.Err)
}

// Run runs a tool to its end, or until ctx is done where the tool looks at it.
func (w World) Run(ctx context.Context, spec *cli.Spec, args ...string) Result {
	var out, msg bytes.Buffer
	env := &cli.Env{Stdin: w.Stdin, Stdout: &out, Stderr: &msg, Dir: w.Dir, LookupEnv: func(name string) (string, bool) {
		v, ok := w.Env[name]
		if !ok && name == "TZ" {
			return "UTC0", true
		}
		return v, ok
	}}
	if w.Stdin == nil {
		env.Stdin = bytes.NewReader(w.Input)
	}
	if w.Out != nil {
		env.Stdout = w.Out
	}
	if !w.Now.IsZero() {
		env.Now = func() time.Time { return w.Now }
	}
	code := cli.Exec(ctx, spec, env, append([]string{spec.Name}, args...))
	return Result{code, out.Bytes(), msg.String()}
}

// Refused is a test of a run that has to fail: with status 1, nothing on
// standard output and want among the messages.
func (w World) Refused(t *testing.T, name string, spec *cli.Spec, want string, args ...string) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Helper()
		got := w.Run(t.Context(), spec, args...)
		if got.Code != 1 || len(got.Out) != 0 || !strings.Contains(got.Err, want) {
			t.Errorf("status %d, %d octets of output, messages\n%s", got.Code, len(got.Out), got.Err)
		}
	})
}

// Stream returns header and records of a whole stream.
func Stream(t testing.TB, stream []byte) (*ftfile.Header, *flow.Batch) {
	t.Helper()
	in, err := ftfile.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	all := &flow.Batch{Layout: in.Layout()}
	for b := range in.Batches() {
		for r := range b.All() {
			all.Append(r)
		}
	}
	if err := in.Err(); err != nil {
		t.Fatal(err)
	}
	return in.Header(), all
}

// File returns header and records of a file.
func File(t testing.TB, path ...string) (*ftfile.Header, *flow.Batch) {
	t.Helper()
	stream, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return Stream(t, stream)
}

// Write writes files named relative to dir, with the directories they are in.
func Write(t testing.TB, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Capture returns the bytes of a completed file of the records of b, with a
// header that set has changed.
func Capture(t testing.TB, b *flow.Batch, set func(h *ftfile.Header), opts ...ftfile.Option) []byte {
	t.Helper()
	h := ftfile.NewHeader(b.Layout.Version, ftfile.FlagDone)
	if set != nil {
		set(h)
	}
	var out bytes.Buffer
	w, err := ftfile.NewWriter(&out, h, opts...)
	if err == nil {
		err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Full is an output that takes After writes, and has no room for the next.
type Full struct{ After int }

func (f *Full) Write(p []byte) (int, error) {
	if f.After--; f.After < 0 {
		return 0, &os.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}
	}
	return len(p), nil
}

// Room is an output with room for so many octets.
type Room int

func (r *Room) Write(p []byte) (int, error) {
	if *r -= Room(len(p)); *r < 0 {
		return 0, &os.PathError{Op: "write", Path: "/dev/full", Err: syscall.ENOSPC}
	}
	return len(p), nil
}

// NothingLeft makes the test fail when more goroutines run at its end than do
// now.
func NothingLeft(t testing.TB) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		t.Helper()
		for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
				return
			}
		}
	})
}
