package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
)

// sample is a daemon whose life is told by its options.
func sample() *cli.Spec {
	var detach, crash, fail, root bool
	var out string
	umask := 0o022
	return &cli.Spec{
		Name: "sample",
		Flags: []cli.Flag{
			cli.Bool('D', "", &detach, "detach"),
			cli.Bool('k', "", &crash, "die of a signal before being ready"),
			cli.Bool('e', "", &fail, "fail before being ready"),
			cli.Bool('r', "", &root, "change to /"),
			cli.File('o', "", "file", &out, "where to write what the process looks like"),
			cli.Int('u', "", "mask", &umask, "umask"),
		},
		Run: func(_ context.Context, env *cli.Env) error {
			d, err := Start(env, Options{Detach: detach, Umask: umask, Syslog: FacilityLocal6, Root: root})
			if err != nil {
				return err
			}
			defer d.Close()
			env.Warn("setting up")
			if crash {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			if fail {
				return cli.Fail(7, "no such luck: %w", syscall.EADDRINUSE)
			}
			if err := d.Ready(); err != nil {
				return err
			}
			env.Warn("at work")
			return os.WriteFile(env.Path(out)+".tmp", []byte(portrait()), 0o666)
		},
	}
}

// portrait describes this process.
func portrait() string {
	var b strings.Builder
	dir, _ := os.Getwd()
	fmt.Fprintf(&b, "directory %s\n", dir)
	sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0)
	fmt.Fprintf(&b, "leader %v\n", int(sid) == os.Getpid())
	for fd := range 3 {
		var st, null syscall.Stat_t
		_ = syscall.Fstat(fd, &st)
		_ = syscall.Stat(os.DevNull, &null)
		fmt.Fprintf(&b, "fd %d null %v\n", fd, st.Rdev == null.Rdev)
	}
	var st syscall.Stat_t
	fmt.Fprintf(&b, "inherited descriptor %v\n", syscall.Fstat(9, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFIFO)
	out, err := exec.Command("/bin/sh", "-c", "echo ${"+envDetached+"-unset}; umask; ls -l /proc/self/fd | grep -c pipe").Output()
	fmt.Fprintf(&b, "%s%v\n", out, err)
	return b.String()
}

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "sample" {
		cli.Main(sample())
	}
	os.Exit(m.Run())
}

// run starts the sample as a process of its own and returns its status and
// standard error.
func run(t *testing.T, extra *os.File, args ...string) (int, string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd := &exec.Cmd{Path: self, Args: append([]string{"/x/sample"}, args...), Env: os.Environ(), Stderr: &stderr}
	if extra != nil { // as descriptor 9, which the daemon shall not keep
		cmd.ExtraFiles = []*os.File{nil, nil, nil, nil, nil, nil, extra}
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

func await(t *testing.T, path string) string {
	t.Helper()
	for range 500 {
		if text, err := os.ReadFile(path); err == nil && strings.HasSuffix(string(text), ">\n") {
			return string(text)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s did not appear", path)
	return ""
}

func TestDetach(t *testing.T) {
	out := filepath.Join(t.TempDir(), "portrait")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	code, stderr := run(t, w, "-D", "-o", out, "-u", "37") // 37 is 045
	if code != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := "directory " + here + `
leader true
fd 0 null true
fd 1 null true
fd 2 null true
inherited descriptor false
unset
0045
2
<nil>
`
	if d := cmp.Diff(want, await(t, out+".tmp")); d != "" {
		t.Error(d)
	}
}

// TestRoot: a detached process leaves the directory it was started in, but not
// the names that are relative to it.
func TestRoot(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "portrait")
	relative, err := filepath.Rel(here, out)
	if err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{"-Dr": "directory /\n", "-D": "directory " + here + "\n", "-r": "directory " + here + "\n"} {
		if code, stderr := run(t, nil, args, "-o", relative); code != 0 {
			t.Errorf("%s: status %d, stderr %q", args, code, stderr)
		}
		if got := await(t, out+".tmp"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", args, got)
		}
		if err := os.Remove(out + ".tmp"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDetachFails(t *testing.T) {
	code, stderr := run(t, nil, "-D", "-e")
	if code != 7 || stderr != "sample: setting up\nsample: no such luck: address already in use\n" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
	code, stderr = run(t, nil, "-D", "-k")
	if code != 1 || stderr != "sample: the detached process ended: signal: killed\n" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
}

func TestForeground(t *testing.T) {
	out := filepath.Join(t.TempDir(), "portrait")
	code, stderr := run(t, nil, "-o", out)
	if code != 0 || stderr != "sample: setting up\nsample: at work\n" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
	if code, stderr = run(t, nil, "-e"); code != 7 || stderr != "sample: setting up\nsample: no such luck: address already in use\n" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
}

// TestForgedEnvironment: the variable alone does not make a detached copy.
func TestForgedEnvironment(t *testing.T) {
	t.Setenv(envDetached, "1")
	out := filepath.Join(t.TempDir(), "portrait")
	if code, stderr := run(t, nil, "-D", "-o", out); code != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
	await(t, out+".tmp")
}

func TestLogOrder(t *testing.T) {
	var got []string
	l := NewLog(func(s Severity, text string) error {
		got = append(got, fmt.Sprint(s, " ", text))
		return errors.New("nobody cares")
	})
	var want []string
	for i := range 500 {
		l.Print(Severity(i%8), strconv.Itoa(i))
		want = append(want, fmt.Sprint(i%8, " ", i))
	}
	l.Close()
	l.Close()
	l.Print(Err, "after")
	if d := cmp.Diff(append(want, "3 after"), got); d != "" {
		t.Error(d)
	}
}

// TestLogNeverBlocks has a sink that is stuck for a while.
func TestLogNeverBlocks(t *testing.T) {
	gate := make(chan struct{})
	var mu sync.Mutex
	n, told := 0, ""
	l := NewLog(func(_ Severity, text string) error {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		n++
		if strings.Contains(text, "lost") {
			told = text
		}
		return nil
	})
	for range 3 * logQueue {
		l.Print(Info, "x")
	}
	close(gate)
	for range 200 { // until there is room again
		l.Print(Info, "y")
		mu.Lock()
		done := told != ""
		mu.Unlock()
		if done {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	l.Close()
	if told == "" || n < logQueue || n > 2*logQueue {
		t.Errorf("%d messages through, told %q", n, told)
	}
}

func TestLogStuckForever(t *testing.T) {
	gate := make(chan struct{})
	defer close(gate)
	l := NewLog(func(Severity, string) error { <-gate; return nil })
	l.Print(Info, "x")
	l.Close()
	l.Print(Info, "y") // returns
}

func TestPidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	p, err := WritePid(path)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if want := strconv.Itoa(os.Getpid()) + "\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v", text, err)
	}
	if err := p.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
	if err := p.Remove(); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := p.Remove(); err == nil {
		t.Error("removed the pid file of another process")
	}
	if err := (*PidFile)(nil).Remove(); err != nil {
		t.Error(err)
	}
	if _, err := WritePid(filepath.Join(path, "below-a-file")); err == nil {
		t.Error("wrote below a file")
	}
}

func TestLookupUser(t *testing.T) {
	if id, err := LookupUser("root"); err != nil || id.UID != 0 || id.GID != 0 {
		t.Errorf("%+v, %v", id, err)
	}
	if _, err := LookupUser("no such user"); err == nil || err.Error() != "getpwnam(no such user): Unknown user" {
		t.Errorf("%v", err)
	}
}

func TestReceiveBuffer(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{64 << 10, 4 << 20} {
		accepted, granted, err := ReceiveBuffer(raw, size)
		if err != nil || accepted != size || granted < 64<<10 || granted > size {
			t.Errorf("asked %d, accepted %d, granted %d: %v", size, accepted, granted, err)
		}
	}
}

// TestSignals: many of one kind do not push out another.
func TestSignals(t *testing.T) {
	ch, release := Signals(syscall.SIGUSR1, syscall.SIGUSR2)
	self := os.Getpid()
	for range 50 {
		if err := syscall.Kill(self, syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if err := syscall.Kill(self, syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	got := map[os.Signal]bool{}
	for len(got) < 2 {
		select {
		case s := <-ch:
			got[s] = true
		case <-time.After(5 * time.Second):
			t.Fatalf("only %v", got)
		}
	}
	release()
}
