//go:build linux

package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Program is a collector's executable.
type Program struct {
	Name string // argv[0]
	Path string
	Env  []string // in addition to our own
}

// Command returns a command that runs the program.
func (p Program) Command(args ...string) *exec.Cmd {
	return &exec.Cmd{Path: p.Path, Args: append([]string{p.Name}, args...), Env: append(append(os.Environ(), "TZ=UTC"), p.Env...)}
}

// Options returns the options that the program says it has, as they are shown:
// "-w", "--sync".
func (p Program) Options() (map[string]bool, error) {
	out, err := p.Command("-h").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s -h: %w", p.Path, err)
	}
	options := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ' ' || r == ',' || r == '=' || r == '\n' }) {
			if !strings.HasPrefix(word, "-") {
				break
			}
			options[word] = true
		}
	}
	return options, nil
}

// Collector is a running collector.
type Collector struct {
	*exec.Cmd
	To    netip.AddrPort
	Dir   string // work directory
	Log   *Transcript
	Queue *Queue

	exited chan struct{}
	err    error // of Wait
}

// patience is how long anything may take that takes a moment.
const patience = 60 * time.Second

// FreePort returns a port that nobody uses for UDP or TCP on 127.0.0.1.
func FreePort() (uint16, error) {
	for range 100 {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return 0, err
		}
		port := c.LocalAddr().(*net.UDPAddr).Port
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		c.Close()
		if err == nil {
			l.Close()
			return uint16(port), nil
		}
	}
	return 0, errors.New("no free port")
}

// Capture starts a flow-capture in the foreground with work directory dir, and
// waits until it listens.
func Capture(ctx context.Context, p Program, dir string, args ...string) (*Collector, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	return CaptureAt(ctx, p, dir, port, args...)
}

// CaptureAt is Capture with a port of choice.
func CaptureAt(ctx context.Context, p Program, dir string, port uint16, args ...string) (*Collector, error) {
	args = append([]string{"-D", "-w", dir}, args...)
	return Start(ctx, p.Command(append(args, fmt.Sprintf("127.0.0.1/0/%d", port))...), dir, port)
}

// Nfcapd starts the collector of nfdump.
func Nfcapd(ctx context.Context, path, dir string, args ...string) (*Collector, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	args = append([]string{"-w", dir, "-b", "127.0.0.1", "-p", strconv.Itoa(int(port)), "-B", "4194304"}, args...)
	return Start(ctx, Program{Name: "nfcapd", Path: path}.Command(args...), dir, port)
}

// Start starts a command that is a collector and waits until it has bound port.
func Start(ctx context.Context, cmd *exec.Cmd, dir string, port uint16) (*Collector, error) {
	c := &Collector{
		Cmd: cmd, Dir: dir, To: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port),
		Log: NewTranscript(), exited: make(chan struct{}),
	}
	var err error
	if c.Queue, err = NewQueue(port); err != nil {
		return nil, err
	}
	stderr := io.ReadCloser(nil)
	if cmd.Stderr == nil {
		if stderr, err = cmd.StderrPipe(); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(c.exited)
		if stderr != nil {
			c.Log.take(stderr)
		}
		c.err = cmd.Wait()
	}()
	context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	if err := c.bound(ctx); err != nil {
		c.Kill()
		return nil, err
	}
	return c, nil
}

// bound waits until the port is bound.
func (c *Collector) bound(ctx context.Context) error {
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(2 * time.Millisecond) {
		if _, err := c.Queue.State(); err == nil {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("%s ended: %w\n%s", c.Args[0], errors.Join(c.err, errEnded), c.Log)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
	}
	return fmt.Errorf("%s does not listen: %s", c.Args[0], c.Log)
}

var errEnded = errors.New("no longer runs")

// Running reports whether the process has not ended.
func (c *Collector) Running() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// Kill ends the process as it is (SIGKILL).
func (c *Collector) Kill() {
	_ = c.Process.Kill()
	<-c.exited
	c.Queue.Close()
}

// Stop signals the process to end and returns its exit status. A process that
// does not end is made to show its goroutines.
func (c *Collector) Stop(sig syscall.Signal) (int, error) {
	defer c.Queue.Close()
	if err := c.Process.Signal(sig); err != nil && c.Running() {
		return 0, err
	}
	for _, next := range []syscall.Signal{syscall.SIGABRT, syscall.SIGKILL} {
		select {
		case <-c.exited:
			var exit *exec.ExitError
			if c.err != nil && !errors.As(c.err, &exit) {
				return 0, c.err
			}
			return c.ProcessState.ExitCode(), nil
		case <-time.After(patience):
			_ = c.Process.Signal(next)
		}
	}
	<-c.exited
	return 0, fmt.Errorf("%s did not end: %s", c.Args[0], c.Log)
}

// Settle waits until the queue of the socket is empty.
func (c *Collector) Settle(ctx context.Context) error {
	for quiet := 0; quiet < 5; time.Sleep(20 * time.Millisecond) {
		st, err := c.Queue.State()
		if err != nil {
			return err
		}
		if quiet++; st.Octets > 0 {
			quiet = 0
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// Drops returns how many datagrams found no room at the socket.
func (c *Collector) Drops() (uint64, error) {
	st, err := c.Queue.State()
	return st.Drops, err
}

// DiskLost returns how many flows the collector, which has ended, said that the
// disk did not take.
func (c *Collector) DiskLost() uint64 {
	total := uint64(0)
	for _, line := range c.Log.Lines("the disk failed for ") {
		_, rest, _ := strings.Cut(line, " s: ")
		text, _, _ := strings.Cut(rest, " flows are lost")
		n, _ := strconv.ParseUint(text, 10, 64)
		total += n
	}
	return total
}

// Usage is what a process has used so far.
type Usage struct {
	User, System time.Duration
	Peak         uint64 // octets resident at most
	Resident     uint64 // now
	Threads      int
}

// clockTicks is the unit of processor times in /proc, which is the same on all
// Linux systems.
const clockTicks = 100

// Usage returns what the process has used.
func (c *Collector) Usage() (Usage, error) {
	var u Usage
	dir := fmt.Sprintf("/proc/%d/", c.Process.Pid)
	text, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	// The name in parentheses may hold blanks; utime is field 14, 12th behind it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("%sstat: %q", dir, text)
	}
	for i, p := range []*time.Duration{&u.User, &u.System} {
		n, err := strconv.ParseInt(fields[11+i], 10, 64)
		if err != nil {
			return u, err
		}
		*p = time.Duration(n) * time.Second / clockTicks
	}
	if text, err = os.ReadFile(dir + "status"); err != nil {
		return u, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		n, _ := strconv.ParseUint(f[0], 10, 64)
		switch name {
		case "VmHWM":
			u.Peak = n << 10
		case "VmRSS":
			u.Resident = n << 10
		case "Threads":
			u.Threads = int(n)
		}
	}
	return u, nil
}

// Transcript keeps what a process says.
type Transcript struct {
	mu    sync.Mutex
	lines []string
	more  int // lines beyond those
}

// transcriptLines is how many lines a Transcript keeps.
const transcriptLines = 100_000

// NewTranscript returns an empty one.
func NewTranscript() *Transcript { return &Transcript{} }

func (t *Transcript) take(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		t.mu.Lock()
		if len(t.lines) < transcriptLines {
			t.lines = append(t.lines, lines.Text())
		} else {
			t.more++
		}
		t.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, r) // a line too long must not stop the process
}

// String returns the end of it.
func (t *Transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines[max(0, len(t.lines)-200):], "\n")
}

// Lines returns the lines that hold a text.
func (t *Transcript) Lines(part string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []string
	for _, line := range t.lines {
		if strings.Contains(line, part) {
			list = append(list, line)
		}
	}
	return list
}

// Await waits until the process has said a text n times, and reports whether it has.
func (t *Transcript) Await(part string, n int) bool {
	for limit := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if len(t.Lines(part)) >= n {
			return true
		}
		if time.Now().After(limit) {
			return false
		}
	}
}
