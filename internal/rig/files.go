//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"flowtools/pkg/ftfile"
)

var fileScenarios = []Scenario{
	{Name: "kill", Title: "killed (SIGKILL) at random moments: what is older than the sync interval can be read, no file is unreadable, the next start recovers", Needs: []string{"--sync"}, Run: kill},
	{Name: "power", Title: "power cut at random moments: what is older than the sync interval is on the disk", Needs: []string{"--sync"}, Root: true, Run: power},
	{Name: "program", Title: "the program of -R fails for a while and hangs: capture goes on, and in the end it has been run for every file", Needs: []string{"--retry"}, Run: program},
	{Name: "clock", Title: "the clock set forward and back under load", Run: clockSet},
	{Name: "day", Title: "24 hours of rotation every minute with a clock that is simulated, timers included", Run: day},
}

// The sync interval asked for, and how much more may have passed before it has
// had its effect: the machine is busy.
const (
	syncInterval = time.Second
	syncSlack    = 2 * time.Second
)

// victim is a collector that is going to die under load.
type victim struct {
	c    *Collector
	l    *Load
	died time.Time
}

// die runs a collector and a load, and ends the collector with end after a while.
func (b *Bench) die(ctx context.Context, dir string, run int, rnd *rand.Rand, args []string, end func(c *Collector) error) (*victim, error) {
	c, err := Capture(ctx, b.Capture, dir, args...)
	if err != nil {
		return nil, err
	}
	l := b.load(c, pick(b, 300_000.0, 100_000.0))
	l.Wait = true
	l.Engines[0].Type, l.Engines[0].ID = uint8(run>>8), uint8(run)
	v := &victim{c: c, l: l}
	err = during(ctx, l, 0, func() error {
		wait := time.Duration(rnd.IntN(pick(b, 4000, 2500))) * time.Millisecond
		rotate := rnd.IntN(3) == 0 // at any moment of a rotation
		if rotate {
			time.Sleep(wait)
			if err := c.Process.Signal(syscall.SIGHUP); err != nil {
				return err
			}
			wait = time.Duration(rnd.IntN(20_000)) * time.Microsecond
		}
		time.Sleep(wait)
		v.died = time.Now()
		return end(c)
	})
	return v, err
}

// remains checks what a victim has left in dir: all that was sent before the sync
// interval and, when it is whole, nothing unreadable and nothing missing in
// between. It returns how many flows there are, and how old the oldest of those
// missing was.
func (b *Bench) remains(v *victim, dir, when string, whole bool) (flows uint32, age time.Duration, err error) {
	a, err := Inspect(dir, b.Traffic)
	if err != nil {
		return 0, 0, err
	}
	end, together := a.Of(&v.l.Engines[0]).Prefix()
	if whole {
		b.sound(a)
		b.Check(together, "%s: %d flows are missing in between", when, a.Of(&v.l.Engines[0]).Missing(end))
	}
	if safe := v.l.SentBy(v.died.Add(-syncInterval - syncSlack)); uint64(end) < safe {
		b.Fail("%s: %d flows can be read, but %d had been sent %v before", when, end, safe, syncInterval+syncSlack)
	}
	if uint64(end) < v.l.SentBy(v.died) {
		age = v.died.Sub(v.l.TimeOf(uint64(end)))
	}
	return end, age, nil
}

// recovered waits until a collector that was started in dir has completed the
// files that another left, and checks that they hold what they held before and,
// when that was whole, have no gaps.
func (b *Bench) recovered(ctx context.Context, v *victim, dir string, before uint32, whole bool, args []string) error {
	left, err := openFiles(dir)
	if err != nil {
		return err
	}
	c, err := Capture(ctx, b.Capture, dir, args...)
	if err != nil {
		return err
	}
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		now, err := openFiles(dir)
		if err != nil {
			return err
		}
		gone := true
		for name := range left {
			gone = gone && !now[name]
		}
		if gone {
			break
		}
		if !b.Check(time.Now().Before(limit), "files left open are not recovered: %v; %s", left, c.Log) {
			break
		}
	}
	a, err := b.ended(c, syscall.SIGTERM)
	if err != nil {
		return err
	}
	end, together := a.Of(&v.l.Engines[0]).Prefix()
	b.Check((together || !whole) && end >= before, "%d flows can be read after the recovery, %d before", end, before)
	return nil
}

// openFiles returns the names of the files below dir that are not complete.
func openFiles(dir string) (map[string]bool, error) {
	names := map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), ftfile.PrefixOpen+"-") {
			names[path] = true
		}
		return err
	})
	return names, err
}

// ages collects how old the oldest flow lost was.
type ages struct {
	n     int
	sum   time.Duration
	worst time.Duration
}

func (a *ages) add(d time.Duration) {
	a.n++
	a.sum += d
	a.worst = max(a.worst, d)
}

func (a *ages) String() string {
	return fmt.Sprintf("%v on average, %v at most", (a.sum / time.Duration(max(a.n, 1))).Round(time.Millisecond), a.worst.Round(time.Millisecond))
}

// kill ends collectors with SIGKILL.
func kill(ctx context.Context, b *Bench) error {
	rnd := rand.New(rand.NewPCG(b.Seed, 2))
	var lost ages
	runs, flows := pick(b, 100, 3), uint64(0)
	for i := range runs {
		dir, err := b.work(fmt.Sprint("w", i))
		if err != nil {
			return err
		}
		args := []string{"-N0", "-n-1", "--sync", fmt.Sprint(int(syncInterval.Seconds())), []string{"-z0", "-z6", "-z1"}[i%3]}
		v, err := b.die(ctx, dir, i, rnd, args, func(c *Collector) error { c.Kill(); return nil })
		if err != nil {
			return err
		}
		n, age, err := b.remains(v, dir, "killed", true)
		if err != nil {
			return err
		}
		lost.add(age)
		flows += uint64(n)
		if err := b.recovered(ctx, v, dir, n, true, args); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if i%10 == 9 {
			b.Say("%d killed, %d flows read", i+1, flows)
		}
	}
	b.Figure("killed", "%d times, %d flows read afterwards, every file readable and recovered at the next start", runs, flows)
	b.Figure("age of the oldest flow lost", "%v (sync interval %v)", &lost, syncInterval)
	return nil
}

// power cuts the power: the file system of a loop device stops writing, and what
// it had not written is gone (EXT4_IOC_SHUTDOWN without a flush of the journal).
func power(ctx context.Context, b *Bench) error {
	rnd := rand.New(rand.NewPCG(b.Seed, 3))
	image, mount := filepath.Join(b.Dir, "image"), filepath.Join(b.Dir, "disk")
	if err := os.Mkdir(mount, 0o755); err != nil {
		return err
	}
	if err := run(ctx, "truncate", "-s", "512M", image); err != nil {
		return err
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-F", image); err != nil {
		return skip("%v", err)
	}
	var lost ages
	runs, flows := pick(b, 30, 1), uint64(0)
	for i := range runs {
		if err := run(ctx, "mount", "-o", "loop", image, mount); err != nil {
			return skip("%v", err)
		}
		dir := filepath.Join(mount, "w")
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := run(ctx, "sync", "-f", mount); err != nil { // the directory is not part of the test
			return err
		}
		args := []string{"-N0", "-n-1", "--sync", fmt.Sprint(int(syncInterval.Seconds())), []string{"-z0", "-z6"}[i%2]}
		v, err := b.die(ctx, dir, i, rnd, args, func(c *Collector) error {
			defer c.Kill()
			return shutdown(mount)
		})
		if err == nil {
			err = run(ctx, "umount", mount)
		}
		if err == nil {
			err = run(ctx, "mount", "-o", "loop", image, mount) // the journal is played back
		}
		if err != nil {
			return err
		}
		// What is behind the last sync may have holes, until it is recovered.
		n, age, err := b.remains(v, dir, "power cut", false)
		if err == nil {
			lost.add(age)
			flows += uint64(n)
			err = b.recovered(ctx, v, dir, n, false, args)
		}
		if err == nil {
			err = os.RemoveAll(dir)
		}
		if failed := run(ctx, "umount", mount); err == nil {
			err = failed
		}
		if err != nil {
			return err
		}
	}
	b.Figure("power cuts", "%d, %d flows read afterwards, every file readable and recovered at the next start", runs, flows)
	b.Figure("age of the oldest flow lost", "%v (sync interval %v)", &lost, syncInterval)
	return nil
}

// shutdown stops the file system of a directory as a power cut would.
func shutdown(dir string) error {
	const (
		goingDown  = 0x8004587d // EXT4_IOC_SHUTDOWN, which is FS_IOC_GOINGDOWN
		noLogFlush = 2
	)
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), goingDown, noLogFlush); err != nil {
		return fmt.Errorf("shutdown of %s: %w", dir, err)
	}
	return nil
}

// run runs a command of the system.
func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// program has the program of -R fail, as if its database were down, across a
// SIGKILL; and another one hang.
func program(ctx context.Context, b *Bench) error {
	script := `#!/bin/sh
[ -e ../down ] && { echo "no database for $1"; exit 1; }
echo "$1" >>../loaded
`
	if err := os.WriteFile(filepath.Join(b.Dir, "load"), []byte(script), 0o755); err != nil {
		return err
	}
	down := filepath.Join(b.Dir, "down")
	if err := os.WriteFile(down, nil, 0o644); err != nil {
		return err
	}
	dir, err := b.work("w")
	if err != nil {
		return err
	}
	rotations := pick(b, 100, 5)
	port, err := FreePort() // the queue is that of a port
	if err != nil {
		return err
	}
	var c *Collector
	var up time.Time
	for i := range 2 { // the first is killed
		if i == 1 && !b.Heavy { // else it fails until the end
			if err := os.Remove(down); err != nil {
				return err
			}
			up = time.Now()
		}
		if c, err = CaptureAt(ctx, b.Capture, dir, port, "-N0", "-n-1", "-z1", "-V5", "-R", "../load", "--retry", "1h"); err != nil {
			return err
		}
		l := b.load(c, 100_000)
		l.Wait = true
		l.Engines[0].ID = uint8(i)
		complete0 := count(dir)
		err = during(ctx, l, 0, func() error {
			for n := range rotations {
				if err := c.Process.Signal(syscall.SIGHUP); err != nil {
					return err
				}
				if !complete(dir, complete0+n+1) {
					b.Fail("no rotation: %s", c.Log)
					return nil
				}
			}
			time.Sleep(pick(b, 20*time.Second, 300*time.Millisecond))
			return nil
		})
		if err != nil {
			return err
		}
		if up.IsZero() {
			b.Check(c.Log.Await("no database for", 1), "the output of the program is not logged: %s", c.Log)
		}
		if i == 0 {
			c.Kill()
		}
	}
	if b.Heavy {
		if err := os.Remove(down); err != nil {
			return err
		}
		up = time.Now()
	}
	var names []string
	missing := func() int {
		text, _ := os.ReadFile(filepath.Join(b.Dir, "loaded"))
		loaded := strings.Fields(string(text))
		names = nil
		entries, err := os.ReadDir(dir)
		if err != nil {
			return -1
		}
		n := 0
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ftfile.PrefixDone+"-") {
				names = append(names, e.Name())
				if !slices.Contains(loaded, e.Name()) {
					n++
				}
			}
		}
		return n
	}
	n := missing()
	for limit := time.Now().Add(pick(b, 15*time.Minute, patience)); n > 0 && time.Now().Before(limit); n = missing() {
		time.Sleep(50 * time.Millisecond)
	}
	took := time.Since(up)
	b.Check(n == 0, "the program was never run for %d of %d files; %s", n, len(names), c.Log)
	if _, err := b.ended(c, syscall.SIGTERM); err != nil {
		return err
	}
	b.Figure("program that fails", "for %d files, killed in between: all of them loaded %.1f s after it works again", len(names), took.Seconds())

	// One that hangs.
	if err := os.WriteFile(filepath.Join(b.Dir, "hang"), []byte("#!/bin/sh\nexec sleep 600\n"), 0o755); err != nil {
		return err
	}
	more := pick(b, []string{"--retry", "1h"}, nil) // with it, some time is given at the end
	if c, err = b.start(ctx, "hung", append([]string{"-N0", "-n-1", "-z0", "-V5", "-R", "../hang"}, more...)...); err != nil {
		return err
	}
	l := b.load(c, 500_000)
	l.Wait = true
	err = during(ctx, l, 0, func() error {
		for n := range rotations {
			if err := c.Process.Signal(syscall.SIGHUP); err != nil {
				return err
			}
			if !complete(c.Dir, n+1) {
				b.Fail("no rotation: %s", c.Log)
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	children := childrenOf(c.Process.Pid)
	began := time.Now()
	a, err := b.ended(c, syscall.SIGTERM)
	for _, pid := range children { // it is not waited for at the end
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		return err
	}
	b.numbered(c, a, l, 0)
	b.Figure("program that hangs", "%d rotations, %d of %d flows kept, %d programs at a time; ends %.1f s after TERM", rotations, a.Flows, l.Sent(), len(children), time.Since(began).Seconds())
	return nil
}

// steps are what the clock is set by, one after the other.
var steps = []time.Duration{
	16 * time.Minute, // an interval later
	-3 * time.Hour,   // far behind the open file
	16 * time.Minute, // the intervals go on from there
	25 * time.Hour,   // another day
	-24 * time.Hour,
	16 * time.Minute,
	400 * 24 * time.Hour, // another year
	-400 * 24 * time.Hour,
	16 * time.Minute,
}

// clockSet sets the clock forward and back while flows arrive.
func clockSet(ctx context.Context, b *Bench) error {
	clock, err := NewClock(b.Dir)
	if err != nil {
		return err
	}
	dir, err := b.work("w")
	if err != nil {
		return err
	}
	p := b.Self
	p.Env = append(p.Env, clock.Env()...)
	c, err := Capture(ctx, p, dir, "-n95", "-N3", "-z1", "-V5")
	if err != nil {
		return err
	}
	l := b.load(c, pick(b, 500_000.0, 200_000.0))
	l.Wait = true
	files := 0
	err = during(ctx, l, 0, func() error {
		b.Check(c.Log.Await("New exporter", 1), "nothing arrives: %s", c.Log)
		now := time.Duration(0)
		for round := range pick(b, 10, 1) {
			for i, step := range steps {
				if !b.Heavy && i == 4 {
					break
				}
				now += step
				clock.Set(now)
				files++
				if step < 0 {
					files--                             // nothing is due
					time.Sleep(1500 * time.Millisecond) // it looks once a second
					continue
				}
				if !complete(dir, files) {
					b.Fail("round %d: %d files are complete after the clock was set by %v, %d expected; %s", round, count(dir), step, files, c.Log)
					return nil
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	drops, err := c.Drops()
	if err != nil {
		return err
	}
	a, err := b.ended(c, syscall.SIGTERM)
	if err != nil {
		return err
	}
	b.numbered(c, a, l, drops)
	b.Figure("clock", "set %d times, by 16 minutes to 400 days, both ways: %d files, all complete, %d of %d flows kept", pick(b, 10*len(steps), 4), len(a.Files), a.Flows, l.Sent())
	return nil
}

// day runs the tests that have a clock of their own.
func day(ctx context.Context, b *Bench) error {
	if !b.Heavy {
		return skip("go test ./internal/tool/flowcapture has it")
	}
	began := time.Now()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-run", "^(TestDay|TestClockSet)$", "./internal/tool/flowcapture")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return skip("%v", err)
	}
	passed := strings.Count(string(out), "--- PASS: ")
	b.Check(err == nil && passed == 2, "%v: %s", err, out)
	b.Figure("24 hours with 1441 files, and a clock set by a day both ways", "%d tests passed in %v", passed, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// count returns how many complete files there are below dir.
func count(dir string) int {
	n := 0
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), ftfile.PrefixDone+"-") {
			n++
		}
		return nil
	})
	return n
}

// complete waits until there are n complete files below dir, and reports whether there are.
func complete(dir string, n int) bool {
	for limit := time.Now().Add(patience); count(dir) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			return false
		}
	}
	return true
}
