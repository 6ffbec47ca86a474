package pcap

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// inNamespace runs the test on a thread with a network of its own: lo and a pair of interfaces v0, v1. The thread is not reused.
func inNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("needs the privilege to make a network namespace: ", err)
	}
	for _, line := range []string{
		"link set lo up", "link add v0 type veth peer name v1", "link set v0 up", "link set v1 up",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %v %s", line, err, out)
		}
	}
	for _, name := range []string{"v0", "v1"} { // keep the kernel's own chatter out
		exec.Command("sysctl", "-qw", "net.ipv6.conf."+name+".disable_ipv6=1").Run()
	}
}

// sender returns a function that puts whole frames on an interface. Closing a packet socket takes the kernel a while: one a test.
func sender(t *testing.T, name string) func(frame string) {
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
	return func(frame string) {
		t.Helper()
		if err := unix.Sendto(fd, []byte(frame), 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
			t.Fatal(err)
		}
	}
}

// collect reads until n packets came that keep likes, or gives up.
func collect(t *testing.T, l *Live, n int, keep func(string) bool) []seen {
	t.Helper()
	var list []seen
	var p Packet
	for end := time.Now().Add(3 * time.Second); len(list) < n && time.Now().Before(end); {
		if !l.Next(&p) {
			if err := Wait([]*Live{l}, 100*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if keep(string(p.Data)) {
			if age := time.Since(time.Unix(0, p.Time)); age < -time.Second || age > time.Minute {
				t.Errorf("time stamp is %v old", age)
			}
			list = append(list, seen{string(p.Data), p.Len, 0, p.Link, p.IfIndex, p.Dir})
		}
	}
	return list
}

func openStarted(t *testing.T, c Config, filter []bpf.RawInstruction, snap int) *Live {
	t.Helper()
	l, err := OpenLive(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if err := l.Start(filter, snap); err != nil {
		t.Fatal(err)
	}
	return l
}

const (
	macs    = "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01"
	payload = "live capture test payload, long enough to be a frame of its own"
	mine    = "\x12\x34" // an ethertype nobody uses
)

func ours(s string) bool { return strings.Contains(s, "live capture test") }

func TestLiveFrames(t *testing.T) {
	inNamespace(t)
	l := openStarted(t, Config{Interface: "v1", Promiscuous: true}, nil, 0)
	if l.Link() != Ethernet {
		t.Fatalf("link type %v", l.Link())
	}
	frames := []string{
		macs + mine + payload,
		macs + "\x81\x00\x60\x07" + mine + payload,                        // the kernel takes this tag off
		macs + "\x88\xa8\x00\x05\x81\x00\x00\x09" + mine + payload,        // and the outer one here
		strings.Replace(macs, "\x02\x02", "\x55\x02", 1) + mine + payload, // not for us: promiscuous
	}
	i, _ := net.InterfaceByName("v1")
	send := sender(t, "v0")
	var want []seen
	for _, f := range frames {
		send(f)
		want = append(want, seen{f, len(f), 0, Ethernet, uint32(i.Index), In})
	}
	sender(t, "v1")(frames[0])
	want = append(want, seen{frames[0], len(frames[0]), 0, Ethernet, uint32(i.Index), Out})
	if d := cmp.Diff(want, collect(t, l, len(want), ours)); d != "" {
		t.Error(d)
	}
	s, err := l.Stats()
	if err != nil || s.Received < uint64(len(want)) || s.Dropped != 0 {
		t.Errorf("statistics %+v, %v", s, err)
	}
}

func TestLiveAny(t *testing.T) {
	inNamespace(t)
	l := openStarted(t, Config{Interface: Any}, nil, 0)
	sender(t, "v0")(macs + "\x81\x00\x60\x07" + mine + payload)
	got := collect(t, l, 1, func(s string) bool { return ours(s) && s[1] != pktOutgoing })
	if len(got) != 1 {
		t.Fatal("nothing came")
	}
	// Packet type 3 (for another host), hardware type 1, sender's address, tag.
	want := "\x00\x03\x00\x01\x00\x06\x02\x00\x00\x00\x00\x01\x00\x00\x81\x00\x60\x07" + mine + payload
	got[0].Data = got[0].Data[:6] + got[0].Data[6:12] + "\x00\x00" + got[0].Data[14:] // the address field's rest is undefined
	if got[0].Data != want || got[0].Len != len(want) || got[0].Link != LinuxSLL {
		t.Errorf("got %+v\n%s", got[0], hex.Dump([]byte(got[0].Data)))
	}
}

func TestLiveLoopback(t *testing.T) {
	inNamespace(t)
	for _, c := range []struct {
		both bool
		want int
	}{{false, 1}, {true, 2}} {
		l := openStarted(t, Config{Interface: "lo", Outgoing: c.both}, nil, 0)
		s, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.WriteTo([]byte(payload), s.LocalAddr())
		s.WriteTo([]byte("end"), s.LocalAddr())
		s.Close()
		n := 0
		collect(t, l, 1, func(f string) bool {
			if ours(f) && f[23] == unix.IPPROTO_UDP {
				n++
			}
			return strings.HasSuffix(f, "end") && (!c.both || n == 2)
		})
		if n != c.want {
			t.Errorf("outgoing %t: seen %d times, want %d", c.both, n, c.want)
		}
		l.Close()
	}
}

func TestLiveFilterAndSnap(t *testing.T) {
	inNamespace(t)
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(binary.BigEndian.Uint16([]byte(mine))), SkipFalse: 1},
		bpf.RetConstant{Val: 40},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	l := openStarted(t, Config{Interface: "v1", Ring: 100 << 10}, filter, 40)
	send := sender(t, "v0")
	send(macs + "\x99\x99" + payload)
	index := l.index
	for range 10 { // more than once round the small ring
		var want []seen
		for range 20 {
			send(macs + mine + payload)
			want = append(want, seen{(macs + mine + payload)[:40], 14 + len(payload), 0, Ethernet, uint32(index), In})
		}
		if d := cmp.Diff(want, collect(t, l, len(want), func(string) bool { return true })); d != "" {
			t.Fatal(d)
		}
	}
	if s, _ := l.Stats(); s.Received != 10*20 {
		t.Errorf("received %d, the filter let others through", s.Received)
	}
}

func TestLiveErrors(t *testing.T) {
	if _, err := OpenLive(Config{Interface: "nosuch0"}); err == nil || err.Error() != "nosuch0: no such interface" {
		t.Errorf("OpenLive: %v", err)
	}
	inNamespace(t)
	l := openStarted(t, Config{Interface: "v1"}, nil, 0)
	if out, err := exec.Command("ip", "link", "del", "v1").CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	var err error
	for range 30 {
		if err = Wait([]*Live{l}, 100*time.Millisecond); err != nil {
			break
		}
		var p Packet
		for l.Next(&p) {
		}
	}
	if err == nil || !strings.Contains(err.Error(), "v1: interface disappeared") {
		t.Errorf("Wait: %v", err)
	}
}
