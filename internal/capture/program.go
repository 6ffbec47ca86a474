package capture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"flowtools/pkg/ftfile"
)

// Program is run for each completed file (-R).
type Program struct {
	Name  string        // as given: without a slash it is a file of the work directory
	Dir   string        // work directory, "" for the current one; where the program runs
	Retry time.Duration // how long a program that fails is run again; 0 is once for all
	Queue string        // with Retry: the file that remembers what is to be done
	Now   func() time.Time
	Warn  func(format string, args ...any)
}

// Limits of what is logged of a program's output.
const (
	outputLimit = 64 << 10
	lineLimit   = 200
)

// When programs run.
const (
	programLimit    = 32               // at once
	programDelay    = 10 * time.Second // before the second attempt, then twice as long each time
	programLongest  = 5 * time.Minute
	programPatience = 10 * time.Second // of Close, with Retry
)

// Runner runs a program for files, behind everybody else, several at once.
//
// Without Retry each file has one run, whatever comes of it. With Retry a run that
// fails is repeated, less and less often, until one succeeds or the time is over;
// crashes and restarts do not end that. A program that was running when the
// collector was killed may then be run again for the same file. The methods of a
// nil *Runner do nothing.
type Runner struct {
	Program
	queue *queue // nil without Retry

	mu     sync.Mutex
	inbox  []string
	last   []string // given to Close
	settle bool     // Settled was called
	wake   chan struct{}

	closing  chan struct{}
	ended    chan struct{} // closed when nobody listens to finished any more
	finished chan *run
	stats    struct{ waiting, running, succeeded, failed, abandoned atomic.Int64 }
}

// RunnerStats counts runs.
type RunnerStats struct {
	Waiting   int64 // files that wait for a run, the first or another one
	Running   int64
	Succeeded int64 // runs; without Retry those of the last files are not known
	Failed    int64 // runs
	Abandoned int64 // files: it failed for too long, or the file went away
}

// run is a file and what became of running the program for it.
type run struct {
	name  string
	since time.Time
	tries int
	due   time.Time // for the next one
	busy  bool
	ok    bool // the last one succeeded
}

// StartRunner starts a Runner. With Retry it goes on where another one left off.
// The error is that of opening the queue.
func StartRunner(p Program) (*Runner, error) {
	r := &Runner{Program: p, wake: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}), finished: make(chan *run)}
	if p.Retry > 0 {
		var err error
		if r.queue, err = openQueue(p.Queue, p.Warn); err != nil {
			return nil, fmt.Errorf("open(%s): %w", filepath.Base(p.Queue), err)
		}
		for _, name := range r.queue.list() {
			if !gone(r.path(name)) {
				r.inbox = append(r.inbox, name)
			}
		}
		if n := len(r.inbox); n > 0 {
			p.Warn("%d files wait for %s", n, p.Name)
		}
		r.signal()
	}
	go r.loop()
	return r, nil
}

func (r *Runner) path(name string) string { return filepath.Join(r.Dir, name) }

func (r *Runner) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Announce is called before a file gets its name: with Retry it will not be
// forgotten from then on. It may wait for the disk.
func (r *Runner) Announce(name string) {
	if r != nil && r.queue != nil {
		r.queue.add(name, r.Now())
	}
}

// Run runs the program for a file, named relative to the work directory, as its
// only argument. It does not wait.
func (r *Runner) Run(name string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.inbox = append(r.inbox, name)
	r.mu.Unlock()
	r.signal()
}

// Settled says that all files that another collector left behind have been
// announced: those announced before and not there are not to come any more.
func (r *Runner) Settled() {
	if r == nil || r.queue == nil {
		return
	}
	r.mu.Lock()
	r.settle = true
	r.mu.Unlock()
	r.signal()
}

// Close runs the program for the last files and starts what was not started yet,
// unless it failed before. Without Retry it then waits for nothing; with Retry,
// for the programs that are running, but not long: what is not done is left to
// another Runner.
//
// Compat: without Retry nobody learns what becomes of the last runs (golden
// flow-capture/rotate-program-fails).
func (r *Runner) Close(last ...string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.last = last
	r.mu.Unlock()
	close(r.closing)
	<-r.ended
	if r.queue != nil {
		r.queue.close()
	}
}

// Stats counts runs; it is safe for concurrent use.
func (r *Runner) Stats() RunnerStats {
	if r == nil {
		return RunnerStats{}
	}
	s := &r.stats
	return RunnerStats{s.waiting.Load(), s.running.Load(), s.succeeded.Load(), s.failed.Load(), s.abandoned.Load()}
}

// loop is the body of the goroutine that owns the runs.
func (r *Runner) loop() {
	defer close(r.ended)
	w := &work{Runner: r}
	timer := time.NewTimer(0)
	defer timer.Stop()
	closing := r.closing
	var patience <-chan time.Time
	for {
		select {
		case <-r.wake:
		case <-timer.C:
		case f := <-r.finished:
			w.finish(f)
		case <-closing:
			closing, w.closing = nil, true
			patience = time.After(programPatience)
		case <-patience:
			r.Warn("%d runs of %s are not waited for", w.running, r.Name)
			return
		}
		w.collect()
		next := w.launch()
		r.stats.running.Store(int64(w.running))
		r.stats.waiting.Store(int64(len(w.list) - w.running))
		if w.closing && (r.queue == nil || w.running == 0) {
			return
		}
		if r.queue != nil && r.queue.heal() {
			next = min(next, time.Minute)
		}
		timer.Reset(next)
	}
}

// work is what the goroutine of a Runner knows.
type work struct {
	*Runner
	list    []*run // in the order in which they came in
	running int
	closing bool
}

// collect takes what came in.
func (w *work) collect() {
	w.mu.Lock()
	inbox, settle := w.inbox, w.settle
	if w.closing {
		inbox = append(inbox, w.last...)
		w.last = nil
	}
	w.inbox, w.settle = nil, false
	w.mu.Unlock()
	if len(inbox) == 0 && !settle {
		return
	}
	known := make(map[string]bool, len(w.list))
	for _, f := range w.list {
		known[f.name] = true
	}
	now := w.Now()
	for _, name := range inbox {
		if known[name] {
			continue
		}
		known[name] = true
		f := &run{name: name, since: now, due: now}
		if w.queue != nil {
			f.since = w.queue.entered(name, now)
		}
		w.list = append(w.list, f)
	}
	if settle {
		for _, name := range w.queue.list() {
			if !known[name] && gone(w.path(name)) {
				w.abandon(name, "it is not there")
			}
		}
	}
}

// abandon takes a file off the queue.
func (w *work) abandon(name, why string) {
	w.stats.abandoned.Add(1)
	w.Warn("%s: not given to %s any more: %s", name, w.Name, why)
	w.queue.done(name)
}

// launch starts what is due, and returns how long there is nothing else to do.
func (w *work) launch() time.Duration {
	now := w.Now()
	w.list = slices.DeleteFunc(w.list, func(f *run) bool {
		if f.busy || w.closing && f.tries > 0 || f.wait(now) > 0 {
			return false
		}
		last := w.closing && w.queue == nil // which nobody waits for
		if w.running >= programLimit && !last {
			return false // one that ends will wake us
		}
		if w.queue != nil && gone(w.path(f.name)) {
			w.abandon(f.name, "it is not there")
			return true
		}
		f.busy = true
		f.tries++
		if !w.start(f, last) { // could not be started
			return w.result(f)
		}
		w.running++
		return false
	})
	next := time.Hour
	for _, f := range w.list {
		if wait := f.wait(now); !f.busy && wait > 0 {
			next = min(next, wait)
		}
	}
	return next
}

// wait is how long it is until a file is due.
func (f *run) wait(now time.Time) time.Duration {
	d := f.due.Sub(now)
	if d > programLongest {
		return 0 // the clock was set back
	}
	return d
}

// finish is called when a run has ended.
func (w *work) finish(f *run) {
	w.running--
	if w.result(f) {
		w.list = slices.DeleteFunc(w.list, func(other *run) bool { return other == f })
	}
}

// result decides what becomes of a file after a run; true if it is done with.
func (w *work) result(f *run) bool {
	f.busy = false
	if f.ok {
		w.stats.succeeded.Add(1)
	} else {
		w.stats.failed.Add(1)
	}
	if w.queue == nil {
		return true
	}
	now := w.Now()
	if f.ok {
		if f.tries > 1 {
			w.Warn("%s: %s succeeded, attempt %d", f.name, w.Name, f.tries)
		}
		w.queue.done(f.name)
		return true
	}
	left := w.Retry - now.Sub(f.since)
	if left <= 0 {
		w.abandon(f.name, fmt.Sprintf("%d attempts failed", f.tries))
		return true
	}
	delay := min(programDelay<<min(f.tries-1, 10), programLongest, left)
	f.due = now.Add(delay)
	w.Warn("%s: %s failed, attempt %d; the next one is in %d s", f.name, w.Name, f.tries, int64((delay+time.Second-1)/time.Second))
	return false
}

// start starts the program for a file; false if it could not. Its output and its
// failure are logged when it ends, but for the last.
func (r *Runner) start(f *run, last bool) bool {
	name := r.Name
	if !strings.Contains(name, "/") {
		name = "./" + name
	}
	// A child of a relative name is looked for from Dir.
	cmd := &exec.Cmd{Path: name, Args: []string{r.Name, f.name}, Dir: r.Dir}
	if r.Dir != "" && !filepath.IsAbs(name) {
		cmd.Path = filepath.Join(r.Dir, name)
	}
	out := spool()
	if out != nil {
		cmd.Stdout, cmd.Stderr = out, out
	}
	if err := cmd.Start(); err != nil {
		r.Warn("exec(%s): %v", r.Name, ftfile.Reason(err))
		r.Warn("Child %d exit_status=1", 0)
		if out != nil {
			out.Close()
		}
		return false
	}
	if last {
		return true
	}
	go func() {
		err := cmd.Wait()
		f.ok = err == nil
		r.report(cmd.Process.Pid, err, out)
		select {
		case r.finished <- f:
		case <-r.ended:
		}
	}()
	return true
}

// spool returns a file without a name for the output of a program: unlike a
// pipe it does not kill a program that outlives us. nil if there cannot be one.
func spool() *os.File {
	f, err := os.CreateTemp("", "flow-capture-output-*")
	if err != nil {
		return nil
	}
	os.Remove(f.Name())
	return f
}

func (r *Runner) report(pid int, err error, out *os.File) {
	if out != nil {
		defer out.Close()
		text, _ := io.ReadAll(io.NewSectionReader(out, 0, outputLimit))
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, outputLimit+1)
		for n := 0; lines.Scan() && n < lineLimit; n++ {
			r.Warn("%s[%d]: %s", filepath.Base(r.Name), pid, lines.Text())
		}
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		status, ok := exit.Sys().(syscall.WaitStatus)
		if ok && status.Signaled() {
			r.Warn("Child %d signal=%d", pid, int(status.Signal()))
		} else {
			r.Warn("Child %d exit_status=%d", pid, exit.ExitCode())
		}
	default:
		r.Warn("wait(%s): %v", r.Name, err)
	}
}
