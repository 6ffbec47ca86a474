//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Scenario is one way to hold flow-capture to its promises.
type Scenario struct {
	Name  string
	Title string   // the promise
	Needs []string // options of flow-capture without which there is nothing to test
	Root  bool     // needs to be root
	Run   func(ctx context.Context, b *Bench) error
}

// Scenarios are all of them.
func Scenarios() []Scenario {
	return slices.Concat(loadScenarios, fileScenarios, diskScenarios, hostileScenarios, clientScenarios)
}

// Bench is where a scenario runs.
type Bench struct {
	Heavy   bool    // the form with the figures
	Capture Program // flow-capture
	Self    Program // flow-capture again, with a clock that can be set: see Clock
	Peer    string  // path of nfcapd, "" if there is none
	Dir     string  // empty, for whatever the scenario makes
	Traffic *Traffic
	Seed    uint64
	Say     func(format string, args ...any) // progress

	Figures  []Figure
	Failures []string
}

// Figure is one measured value.
type Figure struct{ What, Value string }

// Figure adds a row to the table of the scenario.
func (b *Bench) Figure(what, format string, args ...any) {
	b.Figures = append(b.Figures, Figure{what, fmt.Sprintf(format, args...)})
}

// Fail says that a promise was broken.
func (b *Bench) Fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	b.Failures = append(b.Failures, text)
	b.Say("BROKEN: %s", text)
}

// Check is Fail unless ok.
func (b *Bench) Check(ok bool, format string, args ...any) bool {
	if !ok {
		b.Fail(format, args...)
	}
	return ok
}

// ErrSkip is why a scenario cannot run here.
var ErrSkip = errors.New("skipped")

func skip(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrSkip, fmt.Sprintf(format, args...))
}

// pick returns what the form of the scenario asks for.
func pick[T any](b *Bench, heavy, light T) T {
	if b.Heavy {
		return heavy
	}
	return light
}

// Execute runs a scenario in a directory of its own, which it removes. The error
// says why it could not run, or is ErrSkip; broken promises are in b.
func (s *Scenario) Execute(ctx context.Context, b *Bench) error {
	options, err := b.Capture.Options()
	if err != nil {
		return err
	}
	for _, o := range s.Needs {
		if !options[o] {
			return skip("flow-capture has no option %s", o)
		}
	}
	if s.Root && os.Getuid() != 0 {
		return skip("only root can do that")
	}
	if b.Dir, err = os.MkdirTemp(b.Dir, "rig-"+s.Name+"-*"); err != nil {
		return err
	}
	defer os.RemoveAll(b.Dir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before := backlogDrops()
	err = s.Run(ctx, b)
	if n := backlogDrops() - before; n > 0 {
		b.Figure("packets that the kernel dropped before any socket", "%d", n)
		if !b.Heavy && err == nil && len(b.Failures) > 0 {
			return skip("the system has dropped %d packets before they came to any socket", n)
		}
	}
	return err
}

// work makes a work directory.
func (b *Bench) work(name string) (string, error) {
	dir := filepath.Join(b.Dir, name)
	return dir, os.Mkdir(dir, 0o755)
}

// start starts flow-capture in a new work directory.
func (b *Bench) start(ctx context.Context, name string, args ...string) (*Collector, error) {
	dir, err := b.work(name)
	if err != nil {
		return nil, err
	}
	return Capture(ctx, b.Capture, dir, args...)
}

// load returns a load for a collector, that of b's form: with the rate given, or
// as fast as the collector's queue allows, which cannot lose.
func (b *Bench) load(c *Collector, rate float64) *Load {
	return &Load{To: c.To, Rate: rate, Segment: true, Wait: !b.Heavy, Traffic: b.Traffic, Engines: []Engine{{Source: loopback(0x10001)}}}
}

// during runs a load for a time, or until f, which runs beside it, returns.
func during(ctx context.Context, l *Load, d time.Duration, f func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if d > 0 {
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	var err error
	if f != nil {
		err = f()
		cancel()
	}
	return errors.Join(err, <-ended)
}

// sound checks what must be true of files at any time.
func (b *Bench) sound(a *Audit) {
	for i, p := range a.Problems {
		if i == 5 {
			b.Fail("and %d problems more", len(a.Problems)-i)
			break
		}
		b.Fail("%s", p)
	}
	b.Check(a.Altered == 0, "%d flows are not what was sent", a.Altered)
	double := uint64(0)
	for _, n := range a.Numbers {
		double += n.Double
	}
	b.Check(double == 0, "%d flows are there twice", double)
}

// memoryLimit is what a collector may take whatever happens.
const memoryLimit = 256 << 20

// bounded checks the memory of a collector.
func (b *Bench) bounded(u Usage) {
	// The race detector multiplies it.
	b.Check(u.Peak < memoryLimit || raceDetector, "%s of memory", octets(u.Peak))
}

// numbered checks that, of every engine of a load, all flows are there but those
// left out, those in datagrams dropped by the kernel, and those that a collector
// says its disk did not take. It returns how many are missing.
func (b *Bench) numbered(c *Collector, a *Audit, l *Load, drops uint64) uint64 {
	missing := uint64(0)
	for i := range l.Engines {
		e := &l.Engines[i]
		missing += a.Of(e).Missing(e.Next)
	}
	disk := c.DiskLost()
	b.Check(missing == drops*PDUFlows+l.Skipped+disk, "%d flows are missing: %d were in datagrams that the kernel dropped, %d not taken by the disk, %d never sent",
		missing, drops*PDUFlows, disk, l.Skipped)
	return missing
}

// Table returns the figures as a table in Markdown.
func (b *Bench) Table(s *Scenario) string {
	var t strings.Builder
	fmt.Fprintf(&t, "### %s: %s\n\n", s.Name, s.Title)
	if len(b.Figures) > 0 {
		t.WriteString("| | |\n|---|---|\n")
	}
	for _, f := range b.Figures {
		fmt.Fprintf(&t, "| %s | %s |\n", f.What, f.Value)
	}
	for _, f := range b.Failures {
		fmt.Fprintf(&t, "\n**broken:** %s\n", f)
	}
	return t.String()
}

// Machine describes where figures come from.
func Machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%s, %s processors; Linux %s; net.core.rmem_max %s; load average before: %s; %s",
		model, strings.TrimSpace(nproc()), read("/proc/sys/kernel/osrelease"), read("/proc/sys/net/core/rmem_max"), read("/proc/loadavg"),
		time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

func nproc() string {
	out, err := exec.Command("nproc").Output()
	if err != nil {
		return "?"
	}
	return string(out)
}
