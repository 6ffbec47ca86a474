package fprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"flowtools/internal/cli"
	"flowtools/internal/pcap/pcaptest"
)

// inNamespace gives the test's thread a network of its own: lo and a pair of interfaces v0, v1.
func inNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("needs the privilege to make a network namespace: ", err)
	}
	for _, line := range []string{"link set lo up", "link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %v %s", line, err, out)
		}
	}
	for _, name := range []string{"v0", "v1"} {
		exec.Command("sysctl", "-qw", "net.ipv6.conf."+name+".disable_ipv6=1").Run()
	}
}

// sender returns a function that puts frames on an interface, from any goroutine.
func sender(t *testing.T, name string) func(frames ...[]byte) {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(frames ...[]byte) {
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
				t.Error(err)
			}
		}
	}
}

// watched is standard output that tells when the captures are open.
type watched struct {
	text strings.Builder
	open chan struct{}
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if strings.Contains(string(p), "]: collector #1") {
		close(w.open)
	}
	return n, err
}

// during runs fprobe, does something when it is ready, and ends it.
func during(what func(), args ...string) (code int, stdout, stderr string) {
	ctx, cancel := context.WithCancel(context.Background())
	out, done := &watched{open: make(chan struct{})}, make(chan struct{})
	var errs strings.Builder
	go func() {
		defer close(done)
		select {
		case <-out.open:
			what()
			time.Sleep(150 * time.Millisecond) // the kernel hands over what it has after 100 ms
			cancel()
		case <-ctx.Done():
		}
	}()
	code = cli.Exec(ctx, Spec(), &cli.Env{Stdout: out, Stderr: &errs}, append([]string{"fprobe", "-l2:test" + strconv.Itoa(os.Getpid())}, args...))
	cancel()
	<-done
	return code, out.text.String(), errs.String()
}

func packet(src string, sport int) pcaptest.Packet {
	return pcaptest.Packet{Src: src, Dst: "10.0.0.9", Proto: 17, Payload: pcaptest.UDP(sport, 53, 10)}
}

// keys are the flows in short, sorted.
func keys(list []record) string {
	var lines []string
	for _, r := range list {
		lines = append(lines, fmt.Sprintf("%d:%d %dp %do in %d out %d", r.src&0xff, r.sport, r.packets, r.octets, r.in, r.out))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func TestLive(t *testing.T) {
	t.Parallel()
	inNamespace(t)
	index := func(name string) int {
		i, err := net.InterfaceByName(name)
		if err != nil {
			t.Fatal(err)
		}
		return i.Index
	}
	v0, v1 := index("v0"), index("v1")
	on0, on1 := sender(t, "v0"), sender(t, "v1")
	plain, tagged := packet("10.0.0.1", 1).Frame().Ethernet(), packet("10.0.0.2", 2).Frame().Tag(pcaptest.VLAN, 5).Ethernet()
	back := packet("10.0.0.3", 3).Frame().Ethernet()
	// As in tcpdump 'ip' does not see the tag that goes out in the frame; what the kernel took off on arrival hides nothing.
	talk := func() { on0(plain, plain, tagged); on1(back) }
	for _, c := range []struct {
		name, args string
		want       string
	}{
		{"one interface", "-i v1 -f ip", "1:1 2p 76o in 0 out 0; 2:2 1p 38o in 0 out 0; 3:3 1p 38o in 0 out 0"},
		{"the kernel's tag", "-i v1 -f vlan -T vlan", "2:2 1p 38o in 0 out 0"},
		{"a tag and a literal skip", "-i v1 -fvlan&&ip -K18 -k", "2:2 1p 56o in 0 out 0"},
		{"another tag", "-i v1 -f vlan&&6", "error"},
		{"direction", "-i v1 -f ip -x auto", fmt.Sprintf("1:1 2p 76o in %d out 0; 2:2 1p 38o in %d out 0; 3:3 1p 38o in 0 out %d", v1, v1, v1)},
		{"two interfaces", "-i v0 -i v1 -f ip -x auto -T if", fmt.Sprintf(
			"1:1 2p 76o in %d out 0; 1:1 2p 76o in 0 out %d; 2:2 1p 38o in %d out 0; 3:3 1p 38o in %d out 0; 3:3 1p 38o in 0 out %d", v1, v0, v1, v0, v1)},
		{"interface names", "-i v1 -f ip -X w:1,v:100", "1:1 2p 76o in 101 out 0; 2:2 1p 38o in 101 out 0; 3:3 1p 38o in 0 out 101"},
		{"any", "-i any -f ip", "1:1 4p 152o in 0 out 0; 2:2 1p 38o in 0 out 0; 3:3 2p 76o in 0 out 0"},
		{"any, tagged", "-i any -f vlan -k", "2:2 1p 58o in 0 out 0"},
		{"inbound", "-i v1 -f inbound", "1:1 2p 76o in 0 out 0; 2:2 1p 38o in 0 out 0"},
		{"a small buffer and snap length", "-i v1 -f ip -B 64 -S 41 -q 1 -p", "1:0 2p 76o in 0 out 0; 2:0 1p 38o in 0 out 0; 3:0 1p 38o in 0 out 0"},
	} {
		to, result := collect(t)
		code, out, errs := during(talk, append(strings.Fields(c.args), to)...)
		if c.want == "error" {
			if code != 1 || !strings.Contains(out, "[CRIT]: filter expression: ") {
				t.Errorf("%s: status %d, stdout %q, stderr %q", c.name, code, out, errs)
			}
			continue
		}
		list := slices.DeleteFunc(result(), func(r record) bool { return r.dst != 0x0a000009 }) // loopback has our own datagrams
		want := strings.Split(c.want, "; ")
		slices.Sort(want)
		if got := keys(list); code != 0 || errs != "" || got != strings.Join(want, "; ") {
			t.Errorf("%s: status %d, stderr %q\n got %s\nwant %s\n%s", c.name, code, errs, got, strings.Join(want, "; "), out)
		}
	}
}

// TestLiveSignals flushes on SIGHUP and logs counters on SIGUSR1.
func TestLiveSignals(t *testing.T) {
	inNamespace(t)
	on0 := sender(t, "v0")
	to, result := collect(t)
	var mid []record
	code, out, errs := during(func() {
		on0(packet("10.0.0.1", 1).Frame().Ethernet())
		time.Sleep(200 * time.Millisecond)
		syscall.Kill(os.Getpid(), syscall.SIGHUP)
		time.Sleep(300 * time.Millisecond) // signals are looked at five times a second
		mid = result()
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		time.Sleep(100 * time.Millisecond)
	}, "-i", "v1", "-f", "ip", to)
	if code != 0 || errs != "" || keys(mid) != "1:1 1p 38o in 0 out 0" {
		t.Errorf("status %d, stderr %q, flows %q", code, errs, keys(mid))
	}
	for _, want := range []string{"[INFO]: SIGHUP received. Emitting flows cache...\n", "[INFO]: v1: received ", "[INFO]: flows: active 0, ended idle 0, active 0, end 0, forced 1, resources 0\n", "[INFO]: export: datagrams 1, octets 72, errors 0, waiting 0\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// process starts fprobe as a process in a network of its own, in which setup runs first, and waits for it.
func process(t *testing.T, script string, env ...string) (stdout string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "fprobe")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "ip link set lo up || exit 77\n"+script)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	cmd.Env = append(os.Environ(), append(env, "PATH="+dir+":"+os.Getenv("PATH"))...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 || errors.Is(err, syscall.EPERM) {
		t.Skip("no network namespace")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestDetach(t *testing.T) {
	t.Parallel()
	id := "detach" + strconv.Itoa(os.Getpid()) // not that of the runs in this process
	out := process(t, `
fprobe -i nosuch0 -f ip 127.0.0.1:9; echo "status $?"
fprobe -i lo -f 'ip and' 127.0.0.1:9; echo "status $?"
fprobe -i lo -f ip 127.0.0.1:9/192.0.2.1; echo "status $?"
fprobe -l :`+id+` -i lo -f ip -c / -u nobody 127.0.0.1:9; echo "status $?"
pid=$(cat "/var/run/fprobe[`+id+`].pid")
grep -E '^(Uid|Groups)' /proc/$pid/status | tr -s '\t ' ' '
readlink /proc/$pid/fd/0
kill -TERM $pid
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do readlink /proc/$pid/fd/0 >/dev/null || break; sleep 0.1; done
readlink /proc/$pid/fd/0 && echo still there
rm -f "/var/run/fprobe[`+id+`].pid"
`)
	want := "nosuch0: no such interface\nstatus 1\nfilter expression: something is missing at the end\nstatus 1\n" +
		"bind(): cannot assign requested address\nstatus 1\nstatus 0\nUid: 65534 65534 65534 65534\nGroups: 65534 \n/dev/null\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

// TestSystemd has a stand-in for systemd: readiness, signs of life, and the metrics of the same process.
func TestSystemd(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	said := make(chan string, 100)
	go func() {
		b := make([]byte, 1000)
		for {
			n, err := conn.Read(b)
			if err != nil {
				close(said)
				return
			}
			said <- string(b[:n])
		}
	}()
	out := process(t, `
fprobe --systemd -i lo -f 'not udp' --metrics 127.0.0.1:9 127.0.0.1:9995 & pid=$!
sleep 0.5
ping -c1 127.0.0.1 >/dev/null 2>&1 || curl -s http://127.0.0.1:9/ >/dev/null
sleep 0.6
curl -s http://127.0.0.1:9/metrics
kill -TERM $pid
wait $pid
echo "status $?"
`, "NOTIFY_SOCKET="+name, "WATCHDOG_USEC=400000")
	conn.Close()
	var lines []string
	for s := range said {
		lines = append(lines, s)
	}
	if len(lines) < 3 || lines[0] != "READY=1" || lines[1] != "WATCHDOG=1" {
		t.Errorf("systemd heard %q", lines)
	}
	for _, want := range []string{"<6>Starting 1.1...\n", "<6>Done.\n", "status 0\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if _, err := exec.LookPath("curl"); err == nil {
		for _, want := range []string{`fprobe_capture_dropped_total{interface="lo"} 0`, "# TYPE fprobe_packets_total counter", `fprobe_flows_ended_total{reason="idle"} 0`} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	}
}
