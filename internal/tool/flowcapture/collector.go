package flowcapture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"flowtools/internal/capture"
	"flowtools/internal/cli"
	"flowtools/internal/expire"
	"flowtools/internal/receive"
	"flowtools/internal/streamio"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

// collector owns everything behind the sockets. One goroutine runs it.
type collector struct {
	*options
	env        *cli.Env
	intake     *capture.Intake
	receiver   *receive.Receiver
	store      *capture.Store
	pipeline   *capture.Pipeline
	files      *expire.List     // nil without expiry
	runner     *capture.Runner  // nil without -R
	clients    *capture.Clients // nil without -c
	statistics *capture.Statistics
	clock      time.Time // at the last look
	ending     bool      // no more sweeps
	last       []string  // files completed at the end
	leftovers  []string  // open files of a run that did not end well
	completes  uint64    // files completed
}

// collector prepares a collector: the version if it is given, the list of files,
// a first sweep.
func (o *options) collector(env *cli.Env) (*collector, error) {
	c := &collector{
		options:    o,
		env:        env,
		intake:     capture.NewIntake(env.Now, env.Warn),
		statistics: capture.NewStatistics(o.stat, env.Zone(), env.Now()),
		clock:      env.Now(),
	}
	if o.version != nil {
		if err := c.intake.Fix(*o.version); err != nil {
			return nil, streamio.VersionError(err)
		}
	}
	left, live := capture.Leftovers(env.Path, env.Warn)
	c.leftovers = left
	if o.limit != (expire.Limit{}) {
		if err := c.scan(slices.Concat(left, live)); err != nil {
			return nil, err
		}
		c.list()
		c.sweep()
	}
	c.store = capture.NewStore(capture.StoreConfig{
		Output: o.Output, Path: env.Path, Nesting: o.nesting, Zone: env.Zone(), Files: o.rotations + 1, Sync: o.sync,
		Now: env.Now, Warn: env.Warn,
		Announce: func(name string) { c.runner.Announce(name) },
	})
	return c, nil
}

// start prepares the program of -R. Its queue is that of a port: collectors may
// share a work directory.
func (c *collector) start(port uint16) error {
	if c.program == "" {
		return nil
	}
	var err error
	c.runner, err = capture.StartRunner(capture.Program{
		Name: c.program, Dir: c.env.Dir, Retry: c.retry, Queue: c.env.Path(fmt.Sprintf("%s%d.queue", ftfile.PrefixPrivate, port)),
		Now: c.env.Now, Warn: c.env.Warn,
	})
	return err
}

// scan makes the list of the files that are there, but for those that are open.
func (c *collector) scan(open []string) error {
	base := c.env.Dir
	if base == "" {
		base = "."
	}
	scanner := ftfile.Scanner{Capture: true, Lenient: true, Warn: func(text string) { c.env.Warn("%s", text) }}
	found, err := scanner.Scan(base)
	if err != nil {
		return fmt.Errorf("%w\nftfile_scandir(): failed", err)
	}
	for i := range found {
		found[i].Path = "." + strings.TrimPrefix(found[i].Path, base)
	}
	found = slices.DeleteFunc(found, func(e ftfile.Entry) bool { return slices.Contains(open, path.Clean(e.Path)) })
	c.files = expire.NewList(found)
	return nil
}

// list shows the known files (-d).
func (c *collector) list() {
	if c.Debug == 0 || c.files == nil {
		return
	}
	for _, f := range c.files.All() {
		c.env.Warn("name=%s  size=%d  time=%d", f.Path, f.Size, f.Start)
	}
}

// sweep removes the files that are too many or too large; with -d it only says
// which.
func (c *collector) sweep() {
	if c.files == nil {
		return
	}
	open := uint64(0)
	remove := func(name string) error { return os.Remove(c.env.Path(name)) }
	if c.store != nil { // at work: nothing may wait for the disk
		open = uint64(c.store.Octets())
		now := remove
		remove = func(name string) error {
			c.store.Background(func() {
				if err := now(name); err != nil {
					c.env.Warn("unlink(%s): %v", name, ftfile.Reason(err))
				}
			})
			return nil
		}
	}
	if c.Debug != 0 {
		remove = nil
	}
	c.files.Sweep(c.limit, open, remove, c.env.Warn)
}

// loop works until it is told to end, by a signal or by ctx. It stops the
// receiver then, and takes what has arrived until bursts is closed.
func (c *collector) loop(ctx context.Context, signals <-chan os.Signal, bursts <-chan *capture.Burst) error {
	defer c.store.Drain()
	c.store.Recover(c.leftovers, c.runner.Settled)
	if c.intake.Layout() != nil {
		if err := c.begin(); err != nil {
			return err
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	// The tick alone would do, and does when the clock is set.
	rotate := time.NewTimer(0)
	defer rotate.Stop()
	var armed time.Time
	done := ctx.Done()
	farewell := ""
	for {
		select {
		case b, ok := <-bursts:
			if !ok {
				return c.end(farewell)
			}
			if err := c.take(b); err != nil {
				return err
			}
		case <-c.store.Done():
			if err := c.completed(); err != nil {
				return err
			}
		case <-tick.C:
			if err := c.look(); err != nil {
				return err
			}
			c.receiver.Tick(c.draw)
		case <-c.store.SyncDue():
			c.store.SyncNow()
		case <-rotate.C:
			if err := c.look(); err != nil {
				return err
			}
		case sig := <-signals:
			switch sig {
			case syscall.SIGHUP:
				if err := c.hangup(); err != nil {
					return err
				}
			case syscall.SIGTERM:
				farewell = "SIGTERM"
				c.receiver.Stop()
			case syscall.SIGQUIT:
				farewell = "SIGQUIT"
				c.receiver.Stop()
			}
		case <-done:
			c.receiver.Stop()
			done = nil
		}
		if end := c.store.End(); end != armed && !end.IsZero() {
			rotate.Reset(end.Sub(c.env.Now()) + 1)
			armed = end
		}
	}
}

// begin opens the first file, the version being known, and loads the rules.
//
// Compat: in this order, so that a failure of the rules leaves a file without
// flows (golden flow-capture/filter-file-missing).
func (c *collector) begin() error {
	if err := c.open(); err != nil {
		return err
	}
	if c.rules.Any() {
		var err error
		if c.pipeline, err = c.rules.Load(c.env, c.intake.Layout()); err != nil {
			return err
		}
	}
	if err := c.clients.Serve(c.intake.Layout()); err != nil {
		c.env.Warn("%v", err) // files are what matters
	}
	return nil
}

// open opens a file.
func (c *collector) open() error {
	if err := c.store.Open(c.intake.Layout().Version); err != nil {
		return err
	}
	c.clients.Opened(c.store.Opened())
	return nil
}

// take keeps the flows of a burst.
func (c *collector) take(b *capture.Burst) error {
	for d := range c.receiver.Accepted(b) {
		if !c.store.IsOpen() {
			if err := c.begin(); err != nil {
				return err
			}
		}
		flows := c.intake.Flows(d)
		c.pipeline.Run(flows, c.intake.Exporter())
		c.store.Write(flows)
		c.clients.Write(flows)
	}
	return nil
}

// look does what is due by the clock.
func (c *collector) look() error {
	now := c.env.Now()
	if now.Before(c.clock) {
		c.store.Reschedule()
	}
	c.clock = now
	if end := c.store.End(); !end.IsZero() && now.After(end) {
		if err := c.rotate(); err != nil {
			return err
		}
	}
	c.store.Tick()
	if c.statistics.Due(now) {
		c.intake.Print(now, func(e *netflow.Exporter) string { return fmt.Sprintf(" filter_drops=%d", e.Dropped) })
	}
	if c.Debug == 0 {
		c.sweep()
	}
	return nil
}

// rotate completes the open file and opens the next.
func (c *collector) rotate() error {
	c.store.Close(c.intake.TakeCounts())
	return c.open()
}

// completed takes the files that have been completed. One that could not be is an
// error at the end of the program.
func (c *collector) completed() error {
	var failed error
	for _, f := range c.store.Take() {
		if f.Err != nil {
			if c.ending {
				failed = errors.Join(failed, f.Err)
				continue
			}
			for line := range strings.Lines(f.Err.Error()) {
				c.env.Warn("%s", strings.TrimSuffix(line, "\n"))
			}
			continue
		}
		c.completes++
		if c.files != nil && !c.ending {
			c.expire(f)
		}
		if c.ending {
			c.last = append(c.last, f.Name)
		} else {
			c.runner.Run(f.Name)
		}
	}
	return failed
}

// expire enters a file into the list and sweeps.
func (c *collector) expire(f capture.Closed) {
	file := expire.File{Path: f.Name, Size: f.Size, Start: f.Start}
	if f.Recovered {
		c.files.Insert(file)
	} else {
		c.files.Add(file)
	}
	c.list()
	c.sweep()
}

// hangup answers SIGHUP.
func (c *collector) hangup() error {
	known := c.store.IsOpen()
	if known && c.rules.Any() {
		c.pipeline = c.rules.Reload(c.env, c.intake.Layout(), c.pipeline)
	}
	c.env.Warn("SIGHUP")
	if !known || c.store.IsBehind() { // with what others asked for
		return nil
	}
	return c.rotate()
}

// end completes the open file when everything has been taken.
func (c *collector) end(farewell string) error {
	if farewell != "" {
		c.env.Warn("%s", farewell)
	}
	if c.store.IsOpen() {
		c.store.Close(c.intake.TakeCounts())
	}
	c.clients.Close()
	c.store.Drain()
	c.ending = true
	err := c.completed()
	c.runner.Close(c.last...)
	return err
}
