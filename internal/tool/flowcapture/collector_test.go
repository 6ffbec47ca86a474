package flowcapture

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/capture"
	"flowtools/internal/capture/capturetest"
	"flowtools/internal/cli"
	"flowtools/internal/receive"
	"flowtools/internal/receive/receivetest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// bench is a collector fed by hand, in a bubble with a clock of its own.
type bench struct {
	t       *testing.T
	dir     string
	offset  atomic.Int64 // of the collector's wall clock, nanoseconds
	bursts  chan *capture.Burst
	signals chan os.Signal
	ended   chan error
	mu      sync.Mutex
	log     []string
	seq     uint32
	src     netip.Addr
}

// newBench starts a collector with the given options.
func newBench(t *testing.T, args ...string) *bench {
	t.Helper()
	return newBenchIn(t, t.TempDir(), args...)
}

// newBenchIn is newBench for a work directory.
func newBenchIn(t *testing.T, dir string, args ...string) *bench {
	t.Helper()
	b := &bench{
		t: t, dir: dir, bursts: make(chan *capture.Burst), signals: make(chan os.Signal),
		ended: make(chan error, 1), src: netip.MustParseAddr("10.0.0.1"),
	}
	env := &cli.Env{
		Dir: b.dir, Now: func() time.Time { return time.Now().Add(time.Duration(b.offset.Load())) },
		LookupEnv: func(name string) (string, bool) { return "UTC0", name == "TZ" },
	}
	// The options are parsed as ever; then the collector runs without socket.
	o, s := newSpec()
	s.Run = func(ctx context.Context, env *cli.Env) error {
		env.Log = func(text string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.log = append(b.log, text)
		}
		c, err := o.collector(env)
		if err != nil {
			return err
		}
		if err := c.start(9991); err != nil {
			return err
		}
		c.receiver = receive.New(env, program, &receivetest.Source{Bursts: b.bursts}, c.intake)
		return c.loop(ctx, b.signals, c.receiver.Start())
	}
	go func() {
		if code := cli.Exec(t.Context(), s, env, append([]string{"flow-capture"}, args...)); code != 0 {
			b.ended <- fmt.Errorf("status %d", code)
		}
		close(b.ended)
	}()
	synctest.Wait()
	return b
}

// send delivers one PDU.
func (b *bench) send(v flow.Version, n int) {
	b.deliver(capturetest.PDU(v, n, b.seq))
	b.seq += uint32(n)
}

// deliver delivers a datagram.
func (b *bench) deliver(data []byte) {
	b.bursts <- capture.NewBurst(9991, capture.Datagram{Src: b.src, Dst: b.src, Data: data})
	synctest.Wait()
}

// stop ends the collector and returns its error.
func (b *bench) stop() error {
	b.signals <- syscall.SIGTERM
	err := <-b.ended
	synctest.Wait()
	return err
}

// file is a capture file that was found.
type file struct {
	Name       string
	Flows      int
	Lost       int
	Start, End int64
	Done       bool
}

// files reads all files below the work directory, sorted by name.
func (b *bench) files() []file {
	b.t.Helper()
	var list []file
	err := filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !ftfile.IsCapture(d.Name()) {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		r, err := ftfile.NewReader(f)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		defer r.Close()
		h := r.Header()
		n := 0
		for batch := range r.Batches() {
			n += batch.Len()
		}
		if err := r.Err(); err != nil && h.Flags&ftfile.FlagDone != 0 {
			return fmt.Errorf("%s: %w", path, err)
		}
		if done := h.Flags&ftfile.FlagDone != 0; done && n != int(h.Flows) {
			return fmt.Errorf("%s: %d flows, its header says %d", path, n, h.Flows)
		}
		list = append(list, file{strings.TrimPrefix(path, b.dir+"/"), n, int(h.Lost), int64(h.Start), int64(h.End), h.Flags&ftfile.FlagDone != 0})
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (b *bench) logged(part string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, line := range b.log {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

var v5 = flow.Version{Export: 5}

// TestDay is 24 hours with a file every minute.
func TestDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "-n1439", "-N0", "-z1")
		time.Sleep(30 * time.Second) // bubbles begin at midnight
		sent := 0
		for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(7 * time.Second) {
			b.send(v5, 30)
			sent += 30
		}
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		list := b.files()
		if n := len(list); n != 1441 {
			t.Errorf("%d files", n)
		}
		flows := 0
		for i, f := range list {
			flows += f.Flows
			start := time.Unix(f.Start, 0).UTC()
			if want := "ft-v05." + start.Format("2006-01-02.150405") + "+0000"; f.Name != want {
				t.Errorf("%s: capture start %v", f.Name, start)
			}
			if i > 0 && (start.Second() != 0 || f.Start != list[i-1].End) {
				t.Errorf("%s: starts %v, the one before ended at %d", f.Name, start, list[i-1].End)
			}
			if !f.Done || f.Lost != 0 || f.Flows < 30 {
				t.Errorf("%+v", f)
			}
		}
		if flows != sent {
			t.Errorf("%d flows in files, %d sent", flows, sent)
		}
		if n := b.logged("lost="); n != 0 {
			t.Errorf("%d losses", n)
		}
	})
}

func TestHangup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "-n0", "-N0", "-z0")
		b.signals <- syscall.SIGHUP // no version yet: nothing to rotate
		time.Sleep(10 * time.Second)
		if n := len(b.files()); n != 0 {
			t.Errorf("%d files before any PDU", n)
		}
		b.send(v5, 2)
		for range 3 { // in the same second
			b.signals <- syscall.SIGHUP
		}
		synctest.Wait()
		b.send(v5, 1)
		time.Sleep(100 * time.Second)
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		want := []file{
			{"ft-v05.2000-01-01.000010+0000", 2, 0, 946684810, 946684810, true},
			{"ft-v05.2000-01-01.000011+0000", 0, 0, 946684810, 946684810, true},
			{"ft-v05.2000-01-01.000012+0000", 0, 0, 946684810, 946684810, true},
			{"ft-v05.2000-01-01.000013+0000", 1, 0, 946684810, 946684910, true},
		}
		if d := cmp.Diff(want, b.files()); d != "" {
			t.Error(d)
		}
		if b.logged("SIGHUP") != 4 || b.logged("SIGTERM") != 1 {
			t.Errorf("%q", b.log)
		}
	})
}

// TestClockSet sets the clock forward and back while a file is open.
func TestClockSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "-n95", "-N0", "-z0", "-V5")
		time.Sleep(5 * time.Minute)
		b.send(v5, 1)
		b.offset.Store(int64(24 * time.Hour)) // forward: the interval is over
		time.Sleep(2 * time.Second)
		b.send(v5, 2)
		b.offset.Store(-int64(24 * time.Hour)) // back: the file must not stay open for two days
		time.Sleep(10 * time.Minute)
		b.send(v5, 4)
		time.Sleep(time.Minute)
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		got := map[int]int{}
		for _, f := range b.files() {
			got[f.Flows]++
		}
		if d := cmp.Diff(map[int]int{1: 1, 2: 1, 4: 1}, got); d != "" {
			t.Error(d)
		}
	})
}

func TestVersionGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "-V8.3", "-N-1")
		if list := b.files(); len(list) != 1 || list[0].Name != "2000-01-01/tmp-v08m03.2000-01-01.000000+0000" {
			t.Errorf("%+v", list)
		}
		time.Sleep(15*time.Minute + time.Second)
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range b.files() {
			got = append(got, f.Name)
		}
		want := []string{"2000-01-01/ft-v08m03.2000-01-01.000000+0000", "2000-01-01/ft-v08m03.2000-01-01.001500+0000"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// TestExpire keeps three files, and so many octets.
func TestExpire(t *testing.T) {
	for _, args := range [][]string{{"-e3"}, {"-E", "2K"}} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, append(args, "-n1439", "-N0", "-z0")...)
			for range 20 {
				b.send(v5, 8) // 512 octets and a header
				time.Sleep(time.Minute)
			}
			list := b.files()
			if len(list) != 4 || list[3].Done { // three complete ones, in either way, and the open one
				t.Errorf("%v: %+v", args, list)
			}
			if list[0].Name != "ft-v05.2000-01-01.001600+0000" {
				t.Errorf("%v: the oldest is %s", args, list[0].Name)
			}
			if n := b.logged("remove/"); n != 16 {
				t.Errorf("%v: %d removed", args, n)
			}
			if err := b.stop(); err != nil {
				t.Fatal(err)
			}
			if n := len(b.files()); n != 4 { // no sweep after the last
				t.Errorf("%v: %d files at the end", args, n)
			}
		})
	}
}

func TestStatistics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "-S15", "-n0", "-N0")
		b.send(v5, 2)
		time.Sleep(31 * time.Minute)
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, line := range b.log {
			if strings.HasPrefix(line, "STAT") {
				got = append(got, line)
			}
		}
		want := []string{
			"STAT: now=946685700 startup=946684800 src_ip=10.0.0.1 dst_ip=10.0.0.1 d_ver=5 pkts=1 flows=2 lost=0 reset=0 filter_drops=0",
			"STAT: now=946686600 startup=946684800 src_ip=10.0.0.1 dst_ip=10.0.0.1 d_ver=5 pkts=1 flows=2 lost=0 reset=0 filter_drops=0",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// TestDirectoryLost: files that cannot be made do not end the program; what is
// kept while it could be made good again is not lost.
func TestDirectoryLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "-n1439", "-N1", "-z0")
		b.send(v5, 1)
		year, gone := filepath.Join(b.dir, "2000"), filepath.Join(b.dir, "gone")
		if err := os.Rename(year, gone); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(year, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second) // the first file cannot be renamed, the second cannot be made
		b.send(v5, 2)                // lost with the interval
		time.Sleep(time.Minute)
		b.send(v5, 4)
		if b.logged("rename(2000/") != 1 || b.logged("mkdir(2000): not a directory") == 0 || b.logged("capture goes on") != 1 {
			t.Errorf("%q", b.log)
		}
		if err := os.Remove(year); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(gone, year); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		b.send(v5, 8)
		if b.logged("2 flows are lost") == 0 || b.logged("there is no file for the flows since 2000-01-01 00:01:00: 2 are lost") != 1 {
			t.Errorf("%q", b.log)
		}
		if err := b.stop(); err != nil {
			t.Error(err)
		}
		want := []file{
			{"2000/ft-v05.2000-01-01.000200+0000", 12, 2, 946684920, 946684970, true},
			{"2000/tmp-v05.2000-01-01.000000+0000", 1, 0, 946684800, 946684860, true}, // for the next start
		}
		if d := cmp.Diff(want, b.files()); d != "" {
			t.Error(d)
		}
	})
}
