package flowcapture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"flowtools/internal/capture/capturetest"
	"flowtools/internal/flowtest"
	"flowtools/pkg/ftfile"
)

// TestClockJumps sets the clock to and fro, while files are rotated by time and by
// signal: no flow is lost, no file overwritten.
func TestClockJumps(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, "-n1439", "-N-1", "-z0")
			rnd := rand.New(rand.NewPCG(seed, 1))
			sent, complete := 0, map[string]int{}
			for range 400 {
				n := 1 + rnd.IntN(30)
				b.send(v5, n)
				sent += n
				switch rnd.IntN(6) {
				case 0:
					jumps := []time.Duration{time.Second, time.Minute, time.Hour, 40 * 24 * time.Hour}
					by := jumps[rnd.IntN(len(jumps))]
					if rnd.IntN(2) == 0 {
						by = -by
					}
					b.offset.Add(int64(by))
				case 1:
					b.signals <- syscall.SIGHUP
				}
				time.Sleep(time.Duration(rnd.IntN(90)) * time.Second)
				synctest.Wait()
				for _, f := range b.files() {
					if was, there := complete[f.Name]; f.Done && there && was != f.Flows {
						t.Fatalf("%s had %d flows and has %d", f.Name, was, f.Flows)
					}
					if f.Done {
						complete[f.Name] = f.Flows
					}
				}
				if len(complete) > 60 { // reading them all takes time
					break
				}
			}
			if err := b.stop(); err != nil {
				t.Fatal(err)
			}
			kept, lost := 0, 0
			for _, f := range b.files() {
				kept += f.Flows
				lost += f.Lost
				if !f.Done || f.End < f.Start {
					t.Errorf("%+v", f)
				}
				delete(complete, f.Name)
			}
			if kept != sent || lost != 0 || len(complete) != 0 {
				t.Errorf("%d of %d flows, %d lost; gone: %v", kept, sent, lost, complete)
			}
		})
	}
}

// TestClockJumpsExpire: what expiry keeps are the files completed last, whatever
// the clock was.
func TestClockJumpsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "-n1439", "-N0", "-z0", "-e3")
		for i := range 50 {
			b.send(v5, 1+i%30)
			b.offset.Add(int64([]time.Duration{-time.Hour, 30 * time.Minute, 0, 48 * time.Hour, -47 * time.Hour}[i%5]))
			time.Sleep(61 * time.Second)
			synctest.Wait()
		}
		var flows []int
		list := b.files()
		for _, f := range list {
			if f.Flows > 0 { // some intervals are cut short by a jump
				flows = append(flows, f.Flows)
			}
		}
		slices.Sort(flows)
		if last := []int{16, 17, 18, 19, 20}; len(list) != 4 || len(flows) < 2 || !slices.Equal(flows, last[len(last)-len(flows):]) {
			t.Errorf("%d files are left, with flows: %v", len(list), flows)
		}
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
	})
}

// leftover makes an open file that a crash has left: n flows and a half.
func leftover(t *testing.T, dir string, at time.Time, n int) string {
	t.Helper()
	l := flowtest.Layout(5, 0)
	h := ftfile.NewHeader(v5, 0)
	h.Start = uint32(at.Unix())
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagLost)
	text, err := h.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, flowtest.Random(l, n, 1).Bytes()...)
	name := ftfile.Name(ftfile.PrefixOpen, v5, at.UTC())
	if err := os.WriteFile(filepath.Join(dir, name), append(text, make([]byte, l.Size/2)...), 0o644); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(name, "tmp-", "ft-", 1)
}

// TestRecovered: what a crash left behind is completed, given to the program, and
// takes its place in the list of expiry. The file of a process that lives does not.
func TestRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		at := time.Date(1999, 12, 31, 12, 0, 0, 0, time.UTC)
		var names []string
		for i := range 5 {
			names = append(names, leftover(t, dir, at.Add(time.Duration(i)*time.Hour), 10+i))
		}
		foreign, err := os.Open(filepath.Join(dir, strings.Replace(names[0], "ft-", "tmp-", 1)))
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		if err := unix.Flock(int(foreign.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "load"), []byte("#!/bin/sh\necho $1 >>got\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		b := newBenchIn(t, dir, "-N0", "-z0", "-n-1", "-e3", "-R", "load")
		b.send(v5, 1)
		b.signals <- syscall.SIGHUP
		time.Sleep(time.Second)
		synctest.Wait()
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{ // of three, the newest of the old; then the last one, which is not swept
			strings.Replace(names[0], "ft-", "tmp-", 1): false, names[3]: true, names[4]: true,
			"ft-v05.2000-01-01.000000+0000": true, "ft-v05.2000-01-01.000001+0000": true,
		}
		got := map[string]bool{}
		for _, f := range b.files() {
			got[f.Name] = f.Done
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		for _, name := range names[1:] {
			if b.logged(name+": recovered") != 1 {
				t.Errorf("%s: %q", name, b.log)
			}
		}
		for range 500 { // the last program is not waited for
			text, err := os.ReadFile(filepath.Join(dir, "got"))
			if err == nil && strings.Count(string(text), "\n") == 6 {
				for _, name := range names[1:] {
					if !strings.Contains(string(text), name+"\n") {
						t.Errorf("not run for %s", name)
					}
				}
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("the program was not run for every file")
	})
}

// TestRetryAcrossRestart: a program that failed until the end of the collector is
// run by the next one.
func TestRetryAcrossRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		script := "#!/bin/sh\ntest -e up || exit 1\necho $1 >>got\n"
		if err := os.WriteFile(filepath.Join(dir, "load"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b := newBenchIn(t, dir, "-N1", "-z0", "-n1439", "-R", "load", "--retry", "2d")
			b.send(v5, 1)
			time.Sleep(2 * time.Minute)
			if err := b.stop(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "up"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		b := newBenchIn(t, dir, "-N1", "-z0", "-n1439", "-R", "load", "--retry", "2d")
		time.Sleep(time.Minute)
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, f := range b.files() {
			want = append(want, f.Name)
		}
		text, err := os.ReadFile(filepath.Join(dir, "got"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(string(text))
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" || len(want) != 6 {
			t.Errorf("%d files: %s", len(want), d)
		}
	})
}

// TestContained: whatever arrives, the names of files and the arguments of the
// program are made of numbers, and nothing appears elsewhere.
func TestContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		top := t.TempDir()
		dir := filepath.Join(top, "w")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "prog"), []byte("#!/bin/sh\necho \"$#:$1\" >>got\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		b := newBenchIn(t, dir, "-N3", "-z0", "-n1439", "-R", "prog", "--retry", "1h")
		rnd := rand.New(rand.NewPCG(7, 7))
		for range 300 {
			d := capturetest.PDU(v5, 1+rnd.IntN(30), rnd.Uint32())
			for range rnd.IntN(4) {
				d[rnd.IntN(len(d))] = byte(rnd.Uint32())
			}
			if rnd.IntN(3) == 0 {
				copy(d[rnd.IntN(24):], "../../$(touch pwned);`id`\x00%s%n/etc/passwd")
			}
			b.deliver(d)
			time.Sleep(time.Duration(rnd.IntN(30)) * time.Second)
		}
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		ours := regexp.MustCompile(`^w/(got|prog|\.flow-capture\.9991\.queue|2000/2000-01/2000-01-01/ft-v05\.2000-01-01\.[0-9]{6}\+0000)$`)
		err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if name := strings.TrimPrefix(path, top+"/"); err == nil && !d.IsDir() && !ours.MatchString(name) {
				t.Errorf("made %s", name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "got"))
		if err != nil {
			t.Fatal(err)
		}
		argument := regexp.MustCompile(`^1:2000/2000-01/2000-01-01/ft-v05\.2000-01-01\.[0-9]{6}\+0000\n$`)
		for line := range strings.Lines(string(text)) {
			if !argument.MatchString(line) {
				t.Errorf("called with %q", line)
			}
		}
	})
}

func TestDiskOptions(t *testing.T) {
	for args, want := range map[string]string{
		"--sync=0": "0s 0s", "--sync=5": "5s 0s", "--sync=86400": "24h0m0s 0s", "": "1m0s 0s",
		"--retry=90": "1m0s 1m30s", "--retry=90s": "1m0s 1m30s", "--retry=5m": "1m0s 5m0s", "--retry=2h": "1m0s 2h0m0s", "--retry=3d": "1m0s 72h0m0s",
	} {
		o, s := newSpec()
		if args != "" {
			name, value, _ := strings.Cut(strings.TrimPrefix(args, "--"), "=")
			for _, f := range s.Flags {
				if f.Long == name {
					if err := f.Set(value); err != nil {
						t.Errorf("%s: %v", args, err)
					}
				}
			}
		}
		if got := fmt.Sprint(o.sync, " ", o.retry); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	o, _ := newSpec()
	for _, bad := range []string{"", "h", "0", "-1", "5x", "5 m", "5mm", "1.5h", "99999999d", "2000d", "16777215d"} {
		if err := o.setRetry(bad); err == nil {
			t.Errorf("--retry %q is %v", bad, o.retry)
		}
	}
	for _, bad := range []string{"-1", "86401"} {
		if err := o.setSync(bad); err == nil {
			t.Errorf("--sync %q is %v", bad, o.sync)
		}
	}
}
