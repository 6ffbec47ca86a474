//go:build linux

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var clientScenarios = []Scenario{
	{Name: "clients", Title: "slow, dead and greedy TCP clients never slow capture; one that keeps up gets every flow", Needs: []string{"-c"}, Run: clients},
	{Name: "log", Title: "a log that nobody reads never slows capture", Run: deafLog},
}

// Addresses of clients, which tell them apart in messages.
const (
	goodClient = iota
	deadClient
	smallClient
	slowClient
	fleetingClient
)

func clientAddr(who int) netip.Addr { return loopback(0x600001 + who) }

// client connects to the TCP port of a collector, which listens once the version
// is known.
func client(ctx context.Context, c *Collector, who int) (*net.TCPConn, error) {
	d := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(clientAddr(who), 0))}
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := d.DialContext(ctx, "tcp4", c.To.String())
		if err == nil {
			return conn.(*net.TCPConn), nil
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || time.Now().After(limit) {
			return nil, err
		}
	}
}

// clients connects clients of all kinds to a collector under load.
func clients(ctx context.Context, b *Bench) error {
	const allowed = 5
	c, err := b.start(ctx, "w", "-N0", "-n-1", "-z0", "-V5", "-c", fmt.Sprint(allowed))
	if err != nil {
		return err
	}
	good, err := client(ctx, c, goodClient)
	if err != nil {
		return err
	}
	// The good one is to be known before the first flow.
	b.Check(c.Log.Await("client connect: ", 1), "the client is not reported: %s", c.Log)
	got := NewAudit(b.Traffic)
	var readers sync.WaitGroup
	var failed error
	readers.Go(func() {
		if b.Heavy {
			failed = got.ReadStream(good)
			return
		}
		// It keeps up wherever this runs: what it gets is looked at later.
		all, err := io.ReadAll(good)
		failed = errors.Join(err, got.ReadStream(bytes.NewReader(all)))
	})

	var closers []io.Closer
	defer func() {
		for _, conn := range closers {
			conn.Close()
		}
	}()
	dead, err := client(ctx, c, deadClient) // never reads
	if err != nil {
		return err
	}
	closers = append(closers, dead)
	small, err := client(ctx, c, smallClient) // never reads and has hardly room
	if err != nil {
		return err
	}
	closers = append(closers, small)
	_ = small.SetReadBuffer(4096)
	slow, err := client(ctx, c, slowClient) // reads a little now and then
	if err != nil {
		return err
	}
	closers = append(closers, slow)
	drips, drip := context.WithCancel(ctx)
	defer drip()
	readers.Go(func() {
		buf := make([]byte, 512)
		for drips.Err() == nil {
			if _, err := slow.Read(buf); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	l := b.load(c, pick(b, 2_000_000.0, 1_000_000.0))
	l.Flows = pick(b, uint64(0), 1_000_000)
	churn := 0
	beside := func() error {
		// One place is left, for clients that come and go, some with a reset;
		// while it is taken, others are rejected.
		for end := time.Now().Add(pick(b, 30*time.Second, time.Second)); time.Now().Before(end); churn++ {
			conn, err := client(ctx, c, fleetingClient)
			if err != nil {
				return err
			}
			if churn%2 == 0 {
				_ = conn.SetLinger(0)
			}
			time.Sleep(5 * time.Millisecond)
			conn.Close()
		}
		return nil
	}
	if b.Heavy {
		err = during(ctx, l, 0, beside)
	} else {
		ended := make(chan error, 1)
		go func() { ended <- beside() }()
		err = errors.Join(during(ctx, l, 0, nil), <-ended)
	}
	if err != nil {
		return err
	}
	a, drops, u, err := b.conclude(ctx, c)
	if err != nil {
		return err
	}
	drip()
	slow.Close()
	readers.Wait()
	b.Check(drops == 0, "%d datagrams dropped by the kernel", drops)
	b.numbered(c, a, l, drops)
	dropped := func(who int) bool {
		return len(c.Log.Lines(fmt.Sprintf("Killed client: ip=%v,", clientAddr(who)))) > 0
	}
	for _, who := range []int{deadClient, smallClient} {
		b.Check(dropped(who), "%v does not read and is not dropped: %s", clientAddr(who), c.Log)
	}
	b.Check(failed == nil || !b.Heavy && dropped(goodClient), "the stream of the client that keeps up: %v", failed)
	b.Check(got.Altered == 0, "%d flows of the client are not what was sent", got.Altered)
	complete := got.Flows == l.Sent()
	if !b.Heavy {
		// However slow this machine is, and the reader with it, a client is
		// either dropped or gets everything.
		end, whole := got.Of(&l.Engines[0]).Prefix()
		b.Check(whole, "a gap in the stream of the client behind flow %d", end)
		complete = complete || dropped(goodClient)
	}
	b.Check(complete, "the client that keeps up got %d of %d flows", got.Flows, l.Sent())
	b.bounded(u)
	pace, _ := l.Pace()
	b.Figure("flows", "%d of %d sent at %.2f million a second kept, with two clients that do not read, one that reads 25 KiB/s and %d that come and go", a.Flows, l.Sent(), pace/1e6, churn)
	b.Figure("client that keeps up", "%d of %d flows", got.Flows, l.Sent())
	b.Figure("clients dropped", "the two that do not read; the slow one: %v", map[bool]string{true: "too", false: "not"}[dropped(slowClient)])
	b.Figure("memory", "%s at most", octets(u.Peak))
	return nil
}

// deafLog starts a collector whose standard error is a pipe that is full, and
// makes it say much.
func deafLog(ctx context.Context, b *Bench) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		return err
	}
	dir, err := b.work("w")
	if err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	cmd := b.Capture.Command("-D", "-w", dir, "-N0", "-n-1", "-z0", "-V5", fmt.Sprintf("127.0.0.1/0/%d", port))
	cmd.Stderr = w
	c, err := Start(ctx, cmd, dir, port)
	w.Close()
	if err != nil {
		return err
	}
	l := b.load(c, 500_000)
	l.Wait = true
	l.Flows = pick(b, uint64(0), 300_000)
	l.Gap = 5 // each is reported
	err = during(ctx, l, pick(b, 10*time.Second, 0), nil)
	if err != nil {
		return err
	}
	a, drops, _, err := b.conclude(ctx, c)
	if err != nil {
		return err
	}
	missing := b.numbered(c, a, l, drops)
	b.Check(a.Lost == missing, "%d flows were left out, %d are counted as lost", missing, a.Lost)
	said, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	lines := strings.Count(string(said), "\n")
	b.Check(lines > 0, "nothing was said")
	b.Figure("messages", "%d caused, %d in the pipe that nobody read; %d flows, all kept", l.Skipped/PDUFlows, lines, a.Flows)
	return nil
}
