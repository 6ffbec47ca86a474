package capture

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// runnerBench is a Runner in a directory of its own.
type runnerBench struct {
	t      *testing.T
	dir    string
	log    journal
	offset atomic.Int64
}

func (b *runnerBench) script(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *runnerBench) now() time.Time { return time.Now().Add(time.Duration(b.offset.Load())) }

func (b *runnerBench) start(name string, retry time.Duration) *Runner {
	b.t.Helper()
	r, err := StartRunner(Program{
		Name: name, Dir: b.dir, Retry: retry, Queue: filepath.Join(b.dir, ".flow-capture.1.queue"), Now: b.now, Warn: b.log.warn,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// file makes the nth file, and the runner run for it.
func (b *runnerBench) file(r *Runner, n int) string {
	b.t.Helper()
	name := ftName(n)
	r.Announce(name)
	writeFile(b.t, filepath.Join(b.dir, name), []byte("flows"))
	r.Run(name)
	return name
}

func ftName(n int) string {
	return "2000/" + finalName("tmp-v05.2000-01-01.000000+0000", n)
}

// got are the lines of a file that programs write to.
func (b *runnerBench) got() []string {
	text, _ := os.ReadFile(filepath.Join(b.dir, "got"))
	return strings.Fields(string(text))
}

func TestProgram(t *testing.T) {
	b := &runnerBench{t: t, dir: t.TempDir()}
	b.script("good", "#!/bin/sh\necho \"$# $1 $(pwd)\"\necho second >&2\n")
	b.script("bad", "#!/bin/sh\nexit 3\n")
	b.script("killed", "#!/bin/sh\nkill -9 $$\n")
	b.script("notes", "just text\n")
	b.script("chatty", "#!/bin/sh\nyes x | head -c 1000000\n")
	for _, tc := range []struct {
		name string
		want []string
	}{
		{"good", []string{"]: 1 2024/ft-x " + b.dir, "]: second"}},
		{"./bad", []string{" exit_status=3"}},
		{b.dir + "/killed", []string{" signal=9"}},
		{"missing", []string{"exec(missing): no such file or directory", "Child 0 exit_status=1"}},
		{"notes", []string{"exec(notes): exec format error", "Child 0 exit_status=1"}},
		{"chatty", slices.Repeat([]string{"]: x"}, lineLimit)},
	} {
		b.log.lines = nil
		r := b.start(tc.name, 0)
		r.Run("2024/ft-x")
		await(t, "end of "+tc.name, func() bool { s := r.Stats(); return s.Succeeded+s.Failed == 1 })
		r.Close()
		if len(b.log.lines) != len(tc.want) {
			t.Errorf("%s: %q", tc.name, b.log.lines)
			continue
		}
		for i, line := range b.log.lines {
			if !strings.Contains(line, tc.want[i]) {
				t.Errorf("%s: %q, want %q", tc.name, line, tc.want[i])
			}
		}
	}
	if list := listing(t, b.dir); len(list) != 5 {
		t.Errorf("%v", list)
	}
	var none *Runner
	none.Run("x")
	none.Announce("x")
	none.Settled()
	none.Close()
	if none.Stats() != (RunnerStats{}) {
		t.Error("counts of none")
	}
}

// TestProgramOnce: without Retry a failure is a failure, and many files have many
// programs at once, but not any number.
func TestProgramOnce(t *testing.T) {
	b := &runnerBench{t: t, dir: t.TempDir()}
	b.script("slow", "#!/bin/sh\necho x >>got\nwhile test ! -e go; do sleep 0.02; done\nexit 1\n")
	r := b.start("slow", 0)
	for i := range programLimit + 5 {
		r.Run(fmt.Sprint(i))
	}
	await(t, "start", func() bool { return len(b.got()) == programLimit && r.Stats().Running == programLimit })
	if s := r.Stats(); s.Waiting != 5 {
		t.Errorf("%+v", s)
	}
	b.script("go", "")
	await(t, "end", func() bool { return r.Stats().Failed == programLimit+5 })
	time.Sleep(20 * time.Millisecond)
	if n := len(b.got()); n != programLimit+5 {
		t.Errorf("%d runs", n)
	}
	r.Close()
	if s := r.Stats(); s.Running != 0 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// TestProgramAtTheEnd: the last programs are started, and nobody waits for them
// or tells of them.
func TestProgramAtTheEnd(t *testing.T) {
	b := &runnerBench{t: t, dir: t.TempDir()}
	b.script("slow", "#!/bin/sh\nwhile test ! -e go; do sleep 0.02; done\necho x >>got\nexit 1\n")
	r := b.start("slow", 0)
	for i := range programLimit + 5 {
		r.Run(fmt.Sprint(i))
	}
	done := make(chan bool)
	go func() { r.Close(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("waits")
	}
	b.script("go", "")
	await(t, "runs", func() bool { return len(b.got()) == programLimit+5 })
}

// TestProgramRetry: a database that is down for an hour loses nothing, across a
// restart too, and every file is loaded once.
func TestProgramRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &runnerBench{t: t, dir: t.TempDir()}
		b.script("load", "#!/bin/sh\ntest -e down && exit 1\necho \"$1\" >>got\n")
		r := b.start("load", 24*time.Hour)
		var want []string
		for i := range 24 { // two hours
			switch i {
			case 2:
				b.script("down", "")
			case 14:
				if err := os.Remove(filepath.Join(b.dir, "down")); err != nil {
					t.Fatal(err)
				}
			case 8:
				r.Close()
				if got := len(b.got()); got != 2 {
					t.Errorf("%d loaded while it was down", got)
				}
				r = b.start("load", 24*time.Hour)
			}
			want = append(want, b.file(r, i))
			time.Sleep(5 * time.Minute)
		}
		synctest.Wait()
		got := b.got()
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		s := r.Stats()
		if s.Waiting != 0 || s.Abandoned != 0 || s.Failed < 12 || s.Failed > 12*30 {
			t.Errorf("%+v", s)
		}
		r.Close()
		if text, err := os.ReadFile(r.Queue); err != nil || !strings.HasSuffix(string(text), "- "+want[23]+"\n") {
			t.Errorf("%s, %v", text, err)
		}
		out := b.log.text()
		for _, want := range []string{
			ftName(2) + ": load failed, attempt 1; the next one is in 10 s", ftName(2) + ": load failed, attempt 2; the next one is in 20 s",
			": load succeeded, attempt ", "6 files wait for load",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	})
}

// TestProgramGivenUp: a program that never succeeds is run for as long as was
// said.
func TestProgramGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &runnerBench{t: t, dir: t.TempDir()}
		b.script("load", "#!/bin/sh\necho x >>got\nexit 7\n")
		r := b.start("load", time.Hour)
		name := b.file(r, 0)
		time.Sleep(59*time.Minute + 50*time.Second)
		if s := r.Stats(); s.Waiting != 1 || s.Abandoned != 0 {
			t.Errorf("%+v", s)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Waiting != 0 || s.Abandoned != 1 {
			t.Errorf("%+v", s)
		}
		n := len(b.got())
		if n < 12 || n > 30 || !strings.Contains(b.log.text(), fmt.Sprintf("%s: not given to load any more: %d attempts failed", name, n)) {
			t.Errorf("%d runs\n%s", n, b.log.text())
		}
		r.Close()
		if r = b.start("load", time.Hour); r.Stats().Waiting != 0 {
			t.Error("it waits again")
		}
		r.Close()
	})
}

// TestProgramClock: a clock that is set does not stop the queue.
func TestProgramClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &runnerBench{t: t, dir: t.TempDir()}
		b.script("load", "#!/bin/sh\ntest -e down && exit 1\necho \"$1\" >>got\n")
		b.script("down", "")
		r := b.start("load", 24*time.Hour)
		b.file(r, 0)
		time.Sleep(time.Minute)
		b.offset.Store(-int64(240 * time.Hour))
		if err := os.Remove(filepath.Join(b.dir, "down")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(programLongest + time.Second)
		synctest.Wait()
		if n := len(b.got()); n != 1 {
			t.Errorf("%d runs", n)
		}
		r.Close()
	})
}

// TestProgramGone: a file that is not there any more is nobody's.
func TestProgramGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &runnerBench{t: t, dir: t.TempDir()}
		b.script("load", "#!/bin/sh\necho \"$1\" >>got\ntest ! -e down\n")
		b.script("down", "")
		r := b.start("load", 24*time.Hour)
		first := b.file(r, 0)
		time.Sleep(5 * time.Second)
		if err := os.Remove(filepath.Join(b.dir, first)); err != nil { // expired
			t.Fatal(err)
		}
		r.Announce(ftName(1)) // and then the collector is killed
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := r.Stats(); s.Waiting != 0 || s.Abandoned != 1 {
			t.Errorf("%+v", s)
		}
		r.Close()
		r = b.start("load", 24*time.Hour)
		b.file(r, 2) // which is recovered
		r.Announce(ftName(3))
		r.Settled()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.queue.list(); !slices.Equal(got, []string{ftName(2)}) {
			t.Errorf("%v", got)
		}
		r.Close()
		if d := cmp.Diff([]string{ftName(0), ftName(2)}, b.got()); d != "" {
			t.Error(d)
		}
	})
}

// TestProgramEndsWithRetry: at the end running programs are waited for, but not
// for ever, and what is not done is done by the next one.
func TestProgramEndsWithRetry(t *testing.T) {
	b := &runnerBench{t: t, dir: t.TempDir()}
	b.script("load", "#!/bin/sh\nsleep 0.1\necho \"$1\" >>got\n")
	r := b.start("load", time.Hour)
	b.file(r, 0)
	r.Close()
	if n := len(b.got()); n != 1 || r.Stats().Succeeded != 1 || len(r.queue.list()) != 0 {
		t.Errorf("%d runs, %+v", n, r.Stats())
	}
	if _, err := StartRunner(Program{Name: "x", Retry: 1, Queue: filepath.Join(b.dir, "none", "q"), Now: b.now, Warn: b.log.warn}); err == nil {
		t.Error("a queue that cannot be opened")
	}
	r = b.start("load", time.Hour)
	if _, err := StartRunner(r.Program); !errors.Is(err, errLocked) {
		t.Errorf("two for one queue: %v", err)
	}
	r.Close()
}
