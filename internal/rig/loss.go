//go:build linux

package rig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var loadScenarios = []Scenario{
	{Name: "loss", Title: "4,000,000 flows a second uncompressed, none lost, sender on the same processors", Run: func(ctx context.Context, b *Bench) error {
		return loss(ctx, b, 4_000_000, 0)
	}},
	{Name: "loss6", Title: "1,000,000 flows a second at level 6, none lost, sender on the same processors", Run: func(ctx context.Context, b *Bench) error {
		return loss(ctx, b, 1_000_000, 6)
	}},
	{Name: "peak", Title: "how far it goes: flows lost at rising rates", Run: peak},
	{Name: "overload", Title: "more than it can take: every flow is kept or counted as dropped, memory stays bounded", Run: overload},
	{Name: "rotation", Title: "files rotated five times a second at 2,000,000 flows a second, none lost", Run: rotation},
	{Name: "signals", Title: "HUP, TERM and QUIT under load: what had arrived is kept, in complete files", Run: signals},
}

// outcome is what became of a load.
type outcome struct {
	load    *Load
	sent    uint64 // flows
	kept    uint64
	dropped uint64 // datagrams, by the kernel at the socket
	size    int64  // octets in files
	process *os.ProcessState
	audit   *Audit // nil for nfcapd
}

// cores is how much of one processor a process used during a time.
func (o *outcome) cores(d time.Duration) float64 {
	return (o.process.UserTime() + o.process.SystemTime()).Seconds() / d.Seconds()
}

func (o *outcome) peak() uint64 {
	if u, ok := o.process.SysUsage().(*syscall.Rusage); ok {
		return uint64(u.Maxrss) << 10
	}
	return 0
}

// measure runs a load against flow-capture, in a work directory that is removed.
func (b *Bench) measure(ctx context.Context, d time.Duration, rate float64, limit uint64, args ...string) (*outcome, error) {
	dir, err := os.MkdirTemp(b.Dir, "ours-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c, err := Capture(ctx, b.Capture, dir, append([]string{"-N0", "-n-1"}, args...)...)
	if err != nil {
		return nil, err
	}
	l := b.load(c, rate)
	l.Flows = limit
	o := &outcome{load: l}
	if err := during(ctx, l, d, nil); err != nil {
		return nil, err
	}
	if o.audit, o.dropped, _, err = b.conclude(ctx, c); err != nil {
		return nil, err
	}
	b.numbered(c, o.audit, l, o.dropped)
	for _, f := range o.audit.Files {
		o.size += f.Size
	}
	o.sent, o.kept, o.process = l.Sent(), o.audit.Flows, c.ProcessState
	return o, nil
}

// measurePeer runs a load against nfcapd.
func (b *Bench) measurePeer(ctx context.Context, d time.Duration, rate float64, args ...string) (*outcome, error) {
	dir, err := os.MkdirTemp(b.Dir, "peer-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c, err := Nfcapd(ctx, b.Peer, dir, append([]string{"-t", "3600"}, args...)...)
	if err != nil {
		return nil, err
	}
	l := b.load(c, rate)
	o := &outcome{load: l}
	if err := during(ctx, l, d, nil); err != nil {
		return nil, err
	}
	if err := c.Settle(ctx); err != nil {
		return nil, err
	}
	if o.dropped, err = c.Drops(); err != nil {
		return nil, err
	}
	if _, err := c.Stop(syscall.SIGTERM); err != nil {
		return nil, err
	}
	if o.kept, err = nfcapdFlows(c.Log); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			o.size += info.Size()
		}
		return err
	})
	o.sent, o.process = l.Sent(), c.ProcessState
	return o, err
}

// nfcapdFlows adds up what nfcapd says about its files: "Ident: 'none' Flows: N, ...".
func nfcapdFlows(log *Transcript) (uint64, error) {
	total := uint64(0)
	for _, line := range log.Lines("Ident: 'none' Flows: ") {
		_, rest, _ := strings.Cut(line, "Flows: ")
		text, _, _ := strings.Cut(rest, ",")
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("nfcapd: %q", line)
		}
		total += n
	}
	return total, nil
}

// loss runs a load against flow-capture, and in the heavy form against nfcapd.
func loss(ctx context.Context, b *Bench, rate float64, level int) error {
	z := fmt.Sprintf("-z%d", level)
	if !b.Heavy {
		o, err := b.measure(ctx, 0, 0, 1_500_000, z)
		if err != nil {
			return err
		}
		b.Check(o.dropped == 0 && o.kept == o.sent, "%d of %d flows kept, %d datagrams dropped", o.kept, o.sent, o.dropped)
		speed, _ := o.load.Pace()
		b.Figure("flows kept", "%d of %d, as fast as they are taken: %.1f million a second", o.kept, o.sent, speed/1e6)
		return nil
	}
	const d = 60 * time.Second
	o, err := b.measure(ctx, d, rate, 0, z)
	if err != nil {
		return err
	}
	b.outcome("flow-capture "+z, o, d)
	b.Check(o.kept == o.sent, "%d of %d flows are lost", o.sent-o.kept, o.sent)
	if b.Peer == "" {
		b.Figure("nfcapd", "not installed")
		return nil
	}
	peer := [][]string{nil}
	if level > 0 {
		peer = [][]string{{"-y"}, {"-j"}} // LZ4, the fastest it has; bzip2, the closest in size
	}
	for _, args := range peer {
		if o, err = b.measurePeer(ctx, d, rate, args...); err != nil {
			return err
		}
		b.outcome(strings.Join(append([]string{"nfcapd"}, args...), " "), o, d)
	}
	return nil
}

// outcome adds the figures of one.
func (b *Bench) outcome(who string, o *outcome, d time.Duration) {
	pace, late := o.load.Pace()
	b.Figure(who, "%d flows sent at %.2f million a second (at most %v behind), **%d lost** (%.3f%%), %d datagrams dropped by the kernel; %.2f processors, %s of memory, %s in files",
		o.sent, pace/1e6, late.Round(time.Millisecond), o.sent-o.kept, 100*float64(o.sent-o.kept)/float64(max(o.sent, 1)), o.dropped,
		o.cores(d), octets(o.peak()), octets(uint64(o.size)))
}

func octets(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}

// peak looks for the rate at which flows are lost.
func peak(ctx context.Context, b *Bench) error {
	if !b.Heavy {
		return skip("only measures")
	}
	const d = 10 * time.Second
	type contestant struct {
		name  string
		rates []float64
		run   func(rate float64) (*outcome, error)
	}
	ours := func(z string) func(float64) (*outcome, error) {
		return func(rate float64) (*outcome, error) { return b.measure(ctx, d, rate, 0, z) }
	}
	peer := func(args ...string) func(float64) (*outcome, error) {
		return func(rate float64) (*outcome, error) { return b.measurePeer(ctx, d, rate, args...) }
	}
	plain := []float64{3e6, 4e6, 5e6, 6e6, 7e6, 8e6, 10e6}
	packed := []float64{0.5e6, 1e6, 1.25e6, 1.5e6, 2e6, 3e6}
	list := []contestant{{"flow-capture -z0", plain, ours("-z0")}, {"flow-capture -z6", packed, ours("-z6")}, {"flow-capture -z1", packed, ours("-z1")}}
	if b.Peer != "" {
		list = append(list, contestant{"nfcapd", plain, peer()}, contestant{"nfcapd -y", packed, peer("-y")}, contestant{"nfcapd -j", packed, peer("-j")})
	}
	for _, c := range list {
		var cells []string
		for _, rate := range c.rates {
			o, err := c.run(rate)
			if err != nil {
				return err
			}
			lost := float64(o.sent-o.kept) / float64(max(o.sent, 1))
			pace, _ := o.load.Pace()
			cells = append(cells, fmt.Sprintf("%.2f M: %.2f%%", pace/1e6, 100*lost))
			b.Say("%s at %.2f million: %.3f%% lost", c.name, pace/1e6, 100*lost)
			if lost > 0.2 {
				break
			}
		}
		b.Figure(c.name, "%s", strings.Join(cells, ", "))
	}
	return nil
}

// overload sends as fast as it can without regard for the collector.
func overload(ctx context.Context, b *Bench) error {
	for _, z := range []string{"-z0", "-z6"} {
		url, more, err := b.metrics()
		if err != nil {
			return err
		}
		c, err := b.start(ctx, "w"+z, append([]string{"-N0", "-n-1", z}, more...)...)
		if err != nil {
			return err
		}
		l := b.load(c, 0)
		l.Wait = false
		d := pick(b, 20*time.Second, 500*time.Millisecond)
		if err := during(ctx, l, d, nil); err != nil {
			return err
		}
		pace, _ := l.Pace()
		sent := l.Sent()
		if err := c.Settle(ctx); err != nil {
			return err
		}
		// Drops show with the next datagram that finds room.
		l.Flows, l.Wait, l.Rate = PDUFlows, true, 0
		if err := during(ctx, l, 0, nil); err != nil {
			return err
		}
		drops, u, err := settled(ctx, c)
		if err != nil {
			return err
		}
		if url != "" {
			if err := b.counted(ctx, url, "kernel_dropped", drops); err != nil {
				return err
			}
		}
		a, err := b.ended(c, syscall.SIGTERM)
		if err != nil {
			return err
		}
		b.numbered(c, a, l, drops)
		b.bounded(u)
		b.Figure("flow-capture "+z, "%.1f million flows a second sent, %d of %d kept, %d in datagrams that the kernel dropped and counted, %d counted as not taken by the disk; %s of memory at most",
			pace/1e6, a.Flows, sent+PDUFlows, drops*PDUFlows, c.DiskLost(), octets(u.Peak))
		if err := os.RemoveAll(c.Dir); err != nil {
			return err
		}
	}
	return nil
}

// backlogDrops returns how many packets the system has dropped before they came
// to any socket; a packet may be many datagrams that were sent as one.
func backlogDrops() uint64 {
	text, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		return 0
	}
	total := uint64(0)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 {
			n, _ := strconv.ParseUint(f[1], 16, 64)
			total += n
		}
	}
	return total
}

// settled waits until a collector has taken everything that was sent. drops is how
// many datagrams the kernel dropped.
func settled(ctx context.Context, c *Collector) (drops uint64, u Usage, err error) {
	if err = c.Settle(ctx); err != nil {
		return 0, u, err
	}
	if u, err = c.Usage(); err != nil {
		return 0, u, err
	}
	drops, err = c.Drops()
	return drops, u, err
}

// conclude ends a collector when it is settled.
func (b *Bench) conclude(ctx context.Context, c *Collector) (a *Audit, drops uint64, u Usage, err error) {
	if drops, u, err = settled(ctx, c); err != nil {
		return nil, 0, u, err
	}
	a, err = b.ended(c, syscall.SIGTERM)
	return a, drops, u, err
}

// ended stops a collector, which is to end with status 0, and looks at its
// files: all are to be complete, with nothing altered or double.
func (b *Bench) ended(c *Collector, sig syscall.Signal) (*Audit, error) {
	status, err := c.Stop(sig)
	if err != nil {
		return nil, err
	}
	b.Check(status == 0, "status %d after %v: %s", status, sig, c.Log)
	a, err := Inspect(c.Dir, b.Traffic)
	if err != nil {
		return nil, err
	}
	b.sound(a)
	b.Check(a.Open() == 0, "%d files are not complete", a.Open())
	return a, nil
}

// rotation rotates again and again under load.
func rotation(ctx context.Context, b *Bench) error {
	c, err := b.start(ctx, "w", "-N0", "-n1439", "-z0", "-V5")
	if err != nil {
		return err
	}
	l := b.load(c, 2_000_000)
	err = during(ctx, l, pick(b, 60*time.Second, 0), func() error {
		every := time.NewTicker(pick(b, 200*time.Millisecond, 20*time.Millisecond))
		defer every.Stop()
		for range pick(b, 299, 30) {
			if err := c.Process.Signal(syscall.SIGHUP); err != nil {
				return err
			}
			<-every.C
		}
		return nil
	})
	if err != nil {
		return err
	}
	a, drops, _, err := b.conclude(ctx, c)
	if err != nil {
		return err
	}
	b.Check(drops == 0, "%d datagrams dropped by the kernel", drops)
	b.numbered(c, a, l, drops)
	said := len(c.Log.Lines("SIGHUP"))
	b.Check(len(a.Files) > said && said > 0, "%d files after %d rotations", len(a.Files), said)
	pace, late := l.Pace()
	b.Figure("flows", "%d sent at %.2f million a second (at most %v behind), %d kept, %d datagrams dropped", l.Sent(), pace/1e6, late.Round(time.Millisecond), a.Flows, drops)
	b.Figure("files", "%d", len(a.Files))
	return nil
}

// signals ends collectors in the middle of a load, and showers one with HUP.
func signals(ctx context.Context, b *Bench) error {
	rnd := rand.New(rand.NewPCG(b.Seed, 1))
	var behind int64
	for i := range pick(b, 50, 4) {
		sig := []syscall.Signal{syscall.SIGTERM, syscall.SIGQUIT}[i%2]
		z := []string{"-z0", "-z6"}[i/2%2]
		c, err := b.start(ctx, fmt.Sprint("w", i), "-N0", "-n-1", z)
		if err != nil {
			return err
		}
		l := b.load(c, 1_000_000)
		l.Wait = true
		var had uint64
		var a *Audit
		err = during(ctx, l, 0, func() (err error) {
			time.Sleep(time.Duration(20+rnd.IntN(pick(b, 500, 150))) * time.Millisecond)
			had = l.Sent()
			if i%4 >= 2 { // a rotation under way
				err = c.Process.Signal(syscall.SIGHUP)
			}
			if err == nil {
				a, err = b.ended(c, sig)
			}
			return err
		})
		if err != nil {
			return err
		}
		end, whole := a.Of(&l.Engines[0]).Prefix()
		b.Check(whole, "%v: %d flows are missing in between", sig, a.Of(&l.Engines[0]).Missing(end))
		b.Check(uint64(end) >= had, "%v: %d flows kept, %d had arrived before", sig, end, had)
		behind = max(behind, int64(had)-int64(end))
		if err := os.RemoveAll(c.Dir); err != nil {
			return err
		}
	}
	b.Figure("TERM and QUIT", "%d times in the middle of a million flows a second, some during a rotation: status 0, files complete, nothing missing that had arrived", pick(b, 50, 4))

	c, err := b.start(ctx, "hup", "-N0", "-n-1", "-z1")
	if err != nil {
		return err
	}
	l := b.load(c, 1_000_000)
	l.Wait = true
	count := pick(b, 100_000, 3000)
	err = during(ctx, l, 0, func() error {
		for i := range count {
			if err := c.Process.Signal(syscall.SIGHUP); err != nil {
				return err
			}
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	a, err := b.ended(c, syscall.SIGTERM)
	if err != nil {
		return err
	}
	end, whole := a.Of(&l.Engines[0]).Prefix()
	b.Check(whole && uint64(end) == l.Sent(), "HUP: %d of %d flows kept", end, l.Sent())
	b.Figure("HUP", "%d signals as fast as they go: %d rotations, %d flows, none lost", count, len(a.Files)-1, a.Flows)
	return nil
}
