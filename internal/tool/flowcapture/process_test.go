package flowcapture

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/capture/capturetest"
	"flowtools/internal/cli"
	"flowtools/pkg/ftfile"
)

// TestMain is flow-capture when it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "flow-capture" {
		cli.Main(Spec())
	}
	os.Exit(m.Run())
}

// process is a flow-capture of its own.
type process struct {
	*exec.Cmd
	t      *testing.T
	dir    string
	port   int
	stderr bytes.Buffer
	sender *net.UDPConn
}

func command(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: dir, port: capturetest.FreePort(t)}
	p.Cmd = &exec.Cmd{
		Path: self, Args: append(append([]string{"flow-capture"}, args...), fmt.Sprintf("127.0.0.1/0/%d", p.port)),
		Env: append(os.Environ(), "TZ=UTC"), Stderr: &p.stderr,
	}
	return p
}

// foreground starts flow-capture -D and waits until it listens.
func foreground(t *testing.T, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := command(t, dir, append([]string{"-D", "-w", dir}, args...)...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	capturetest.AwaitUDP(t, p.port)
	p.sender = capturetest.Dial(t, p.port)
	return p
}

func (p *process) send(n int, seq uint32) {
	p.t.Helper()
	if _, err := p.sender.Write(capturetest.PDU(v5, n, seq)); err != nil {
		p.t.Fatal(err)
	}
}

// stop signals the process and waits for it.
func (p *process) stop(sig syscall.Signal) int {
	p.t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	stuck := time.AfterFunc(30*time.Second, func() { _ = p.Process.Signal(syscall.SIGABRT) }) // and show the goroutines
	defer stuck.Stop()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// total reads the complete files: how many there are, flows and losses in all.
func total(t *testing.T, dir string) (files, flows, lost int) {
	t.Helper()
	b := &bench{t: t, dir: dir}
	for _, f := range b.files() {
		if !f.Done {
			t.Errorf("%s is not complete", f.Name)
		}
		files++
		flows += f.Flows
		lost += f.Lost
	}
	return files, flows, lost
}

func TestSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT} {
		p := foreground(t, "-N0")
		p.send(30, 0)
		p.send(7, 30)
		code := p.stop(sig) // what has arrived is kept
		files, flows, _ := total(t, p.dir)
		if code != 0 || files != 1 || flows != 37 {
			t.Errorf("%v: status %d, %d files, %d flows", sig, code, files, flows)
		}
		want := map[syscall.Signal]string{syscall.SIGTERM: "flow-capture: SIGTERM\n", syscall.SIGQUIT: "flow-capture: SIGQUIT\n"}[sig]
		if !strings.HasSuffix(p.stderr.String(), want) {
			t.Errorf("%v: %s", sig, &p.stderr)
		}
	}
	p := foreground(t, "-N0")
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("no PDU: status %d", code)
	}
	if files, _, _ := total(t, p.dir); files != 0 {
		t.Errorf("no PDU: %d files", files)
	}
	if signal.Ignored(syscall.SIGINT) { // as in the background of a shell
		return
	}
	p = foreground(t, "-N0")
	if code := p.stop(syscall.SIGINT); code != -1 {
		t.Errorf("INT: status %d, want death", code)
	}
}

// TestHangupUnderLoad rotates again and again while flows arrive: none is lost.
func TestHangupUnderLoad(t *testing.T) {
	p := foreground(t, "-N0", "-z1")
	seq := uint32(0)
	for i := range 4000 {
		p.send(30, seq)
		seq += 30
		if i%100 == 50 {
			if err := p.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		if i%20 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("status %d: %s", code, &p.stderr)
	}
	files, flows, lost := total(t, p.dir)
	if flows != int(seq) || lost != 0 {
		t.Errorf("%d of %d flows, %d lost", flows, seq, lost)
	}
	// Fewer files where the disk was slower than the signals.
	if n := strings.Count(p.stderr.String(), "SIGHUP"); files > n+1 || files < 2 {
		t.Errorf("%d files after %d signals", files, n)
	}
}

func TestRotateProgram(t *testing.T) {
	p := foreground(t, "-N1", "-R", "prog")
	script := "#!/bin/sh\necho \"$# $1\" >>got\nls \"$1\"\n"
	if err := os.WriteFile(filepath.Join(p.dir, "prog"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p.send(1, 0)
	time.Sleep(100 * time.Millisecond)
	if err := p.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	name := ""
	for range 200 {
		if text, err := os.ReadFile(filepath.Join(p.dir, "got")); err == nil {
			name = strings.TrimSpace(string(text))
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	year := strconv.Itoa(time.Now().UTC().Year())
	if !strings.HasPrefix(name, "1 "+year+"/ft-v05.") {
		t.Errorf("called with %q", name)
	}
	time.Sleep(50 * time.Millisecond)
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("status %d", code)
	}
	if out := p.stderr.String(); !strings.Contains(out, "]: "+strings.TrimPrefix(name, "1 ")) {
		t.Errorf("its output is not logged: %s", out)
	}
	for range 200 { // the last file is given to it as well
		if text, _ := os.ReadFile(filepath.Join(p.dir, "got")); strings.Count(string(text), "\n") == 2 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("not called at the end")
}

// TestDetached runs the daemon as a daemon.
func TestDetached(t *testing.T) {
	dir := t.TempDir()
	p := command(t, dir, "-w", dir, "-p", "pid", "-N0", "-z0", "-R", "./prog")
	if err := os.WriteFile(filepath.Join(dir, "prog"), []byte("#!/bin/sh\numask >umask\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatalf("%v: %s", err, &p.stderr)
	}
	pidFile := filepath.Join(dir, fmt.Sprintf("pid.%d", p.port))
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err) // it is there by now
	}
	pid, err := strconv.Atoi(strings.TrimSuffix(string(text), "\n"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	sender := capturetest.Dial(t, p.port)
	if _, err := sender.Write(capturetest.PDU(v5, 5, 0)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if _, err := os.Stat(pidFile); os.IsNotExist(err) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := os.Stat(pidFile); !os.IsNotExist(err) {
		t.Errorf("the pid file is still there: %v", err)
	}
	if files, flows, _ := total(t, dir); files != 1 || flows != 5 {
		t.Errorf("%d files, %d flows", files, flows)
	}
	for range 200 {
		if text, err := os.ReadFile(filepath.Join(dir, "umask")); err == nil && len(text) > 0 {
			if strings.TrimSpace(string(text)) != "0022" {
				t.Errorf("umask %s", text)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the program was not called")
}

// TestStartErrors: whatever is wrong at the start gives a message and status 1,
// detached or not, and leaves nothing behind.
func TestStartErrors(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bad.cfg"), []byte("nonsense\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		want string
	}{
		{"-w none 127.0.0.1/0/1", "chdir(none): no such file or directory"},
		{"-w bad.cfg 127.0.0.1/0/1", "chdir(bad.cfg): not a directory"},
		{fmt.Sprintf("-w . 127.0.0.1/0/%d", port), "bind(127.0.0.1): address already in use"},
		{"-w . 192.0.2.1/0/1", "bind(192.0.2.1): cannot assign requested address"},
		{"-w . no..host/0/1", "no..host: unknown host"},
		{"-w . -V 99 127.0.0.1/0/1", "Unsupported d_version 99\nflow-capture: Unsupported record type\nflow-capture: ftio_set_ver(): failed"},
		{"-w . -V 0 127.0.0.1/0/1", "Unsupported d_version 0"},
		{"-w . -n 1440 127.0.0.1/0/1", "rotations limited to every 1 minute"},
		{"-w . -n -2 127.0.0.1/0/1", "there cannot be fewer than -1 rotations"},
		{"-w . -N 4 127.0.0.1/0/1", "-3 <= nesting level <= 3"},
		{"-w . -E 5X 127.0.0.1/0/1", "scan_size(): failed"},
		{"-w . -T x -V5 127.0.0.1/0/1", "Must be v1005 with tagging."},
		{"127.0.0.1/0/1", "Specify workdir with -w."},
		{"-w .", "Specify localip/remoteip/port."},
		{"-w . a b", "Specify localip/remoteip/port."},
	} {
		for _, mode := range []string{"-D", "-pnone"} {
			var stderr bytes.Buffer
			cmd := &exec.Cmd{
				Path: self, Args: append([]string{"flow-capture", mode}, strings.Fields(tc.args)...),
				Env: append(os.Environ(), "TZ=UTC"), Dir: dir, Stderr: &stderr,
			}
			err := cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "flow-capture: "+tc.want) {
				t.Errorf("%s %s: status %d, %v: %s", mode, tc.args, code, err, &stderr)
			}
		}
	}
	// A filter that cannot be read: at once when detaching.
	p := command(t, dir, "-w", dir, "-p", "-", "-f", "bad.cfg", "-F", "x")
	err = p.Run()
	if code := p.ProcessState.ExitCode(); code != 1 || !strings.Contains(p.stderr.String(), "ftfil_load(bad.cfg): failed") {
		t.Errorf("status %d, %v: %s", code, err, &p.stderr)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if d := cmp.Diff([]string{"bad.cfg"}, names); d != "" {
		t.Errorf("left behind: %s", d)
	}
}

// TestFilesFound: the list of files for expiry holds what is there at the start.
func TestFilesFound(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"ft-a", "sub/ft-b", "tmp-c", "zz"} {
		h := ftfile.NewHeader(v5, ftfile.FlagDone)
		h.Start = uint32(1000 - i)
		h.Mark(ftfile.TagStart)
		text, err := h.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "ft-dangling")); err != nil {
		t.Fatal(err)
	}
	p := command(t, dir, "-D", "-w", dir, "-e1")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	capturetest.AwaitUDP(t, p.port)
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("status %d: %s", code, &p.stderr)
	}
	got := p.stderr.String()
	for _, want := range []string{"remove/1 ./tmp-c\n", "remove/1 ./sub/ft-b\n", "ignoring: zz\n", "stat(./ft-dangling): "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "remove/1 ./ft-a") {
		t.Errorf("one too many removed:\n%s", got)
	}
}

// TestSystemd has a stand-in for systemd, which hands over a bound socket and
// hears of readiness, life and the end. What was sent before the start is kept.
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	hear := func() string {
		text := make([]byte, 100)
		if err := notify.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := notify.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	sender := capturetest.Dial(t, socket.LocalAddr().(*net.UDPAddr).Port)
	send := func(n int, seq uint32) {
		if _, err := sender.Write(capturetest.PDU(v5, n, seq)); err != nil {
			t.Fatal(err)
		}
	}
	send(7, 0)
	inherited, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	socket.Close()
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		t.Fatal(err)
	}
	p := command(t, work, "-D", "-N0", "-w", work)
	link := filepath.Join(dir, "flow-capture") // its name tells the test binary what it is
	if err := os.Symlink(p.Path, link); err != nil {
		t.Fatal(err)
	}
	p.Path, p.Args = "/bin/sh", append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, link}, p.Args[1:]...)
	p.ExtraFiles = []*os.File{inherited}
	p.Env = append(p.Env, "LISTEN_FDS=1", "NOTIFY_SOCKET="+notify.LocalAddr().String(), "WATCHDOG_USEC=100000")
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	inherited.Close()
	if said := hear(); said != "READY=1" {
		t.Errorf("first %q", said)
	}
	send(5, 7)
	if said := hear(); said != "WATCHDOG=1" {
		t.Errorf("then %q", said)
	}
	if code := p.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("status %d: %s", code, &p.stderr)
	}
	said := hear()
	for said == "WATCHDOG=1" {
		said = hear()
	}
	if said != "STOPPING=1" {
		t.Errorf("at the end %q", said)
	}
	if files, flows, lost := total(t, work); files != 1 || flows != 7+5 || lost != 0 {
		t.Errorf("%d files, %d flows, %d lost: %s", files, flows, lost, &p.stderr)
	}
}
