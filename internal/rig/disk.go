//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var diskScenarios = []Scenario{
	{Name: "fulldisk", Title: "a full disk: capture goes on, says so, and resumes with counted loss only", Needs: []string{"--sync"}, Run: fullDisk},
	{Name: "stall", Title: "a disk that does not answer: capture waits and goes on, with counted loss only", Root: true, Run: stall},
}

// fullDisk fills the disk of a collector for a while.
func fullDisk(ctx context.Context, b *Bench) error {
	for _, z := range pick(b, []string{"-z0", "-z6"}, []string{"-z0"}) {
		if err := fullDiskAt(ctx, b, z); err != nil {
			return err
		}
	}
	return nil
}

func fullDiskAt(ctx context.Context, b *Bench, z string) error {
	disk := filepath.Join(b.Dir, "disk"+z)
	if err := os.Mkdir(disk, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("rig", disk, "tmpfs", 0, "size="+pick(b, "512m", "64m")); err != nil {
		return skip("no file system of a limited size: %v", err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	dir := filepath.Join(disk, "w")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	c, err := Capture(ctx, b.Capture, dir, "-N0", "-n-1", z)
	if err != nil {
		return err
	}
	rate := pick(b, 200_000.0, 100_000.0)
	l := b.load(c, rate)
	l.Wait = false // what is lost is to be the collector's loss
	var full, free, again uint64
	err = during(ctx, l, 0, func() error {
		time.Sleep(pick(b, 3*time.Second, 300*time.Millisecond))
		balloon, err := fill(filepath.Join(disk, "balloon"))
		if err != nil {
			return err
		}
		full = l.Sent()
		// Rotations on a full disk are part of it.
		for range 3 {
			time.Sleep(pick(b, 10*time.Second, 400*time.Millisecond))
			if !c.Running() {
				break
			}
			if err := c.Process.Signal(syscall.SIGHUP); err != nil {
				return err
			}
		}
		if err := os.Remove(balloon); err != nil {
			return err
		}
		free = l.Sent()
		b.Check(c.Running(), "flow-capture ended on the full disk: %s", c.Log)
		// It may look only now and then whether there is room again.
		for limit := time.Now().Add(patience); c.Running() && time.Now().Before(limit); time.Sleep(100 * time.Millisecond) {
			if grows(dir) {
				break
			}
		}
		again = l.Sent()
		time.Sleep(pick(b, 5*time.Second, 500*time.Millisecond))
		return nil
	})
	if err != nil {
		return err
	}
	if !c.Running() {
		return nil
	}
	a, drops, _, err := b.conclude(ctx, c)
	if err != nil {
		return err
	}
	e := &l.Engines[0]
	missing := a.Of(e).Missing(e.Next)
	b.Check(len(c.Log.Lines("o space left on device")) > 0, "it does not say that the disk is full: %s", c.Log)
	b.Check(a.Of(e).Has(e.Next-1), "the last flow sent is not there: %d of %d are missing", missing, e.Next)
	b.Check(a.Lost == missing, "%d flows are missing, the headers of the files count %d", missing, a.Lost)
	b.Figure(fmt.Sprintf("%s, %.0f flows a second", z, rate), "full for %d flows; writing again %d flows (%.1f s) after there was room; %d of %d missing, %d counted as lost in headers, %d datagrams dropped by the kernel",
		free-full, again-free, float64(again-free)/rate, missing, l.Sent(), a.Lost, drops)
	for _, line := range c.Log.Lines("space") {
		b.Say("%s", line)
	}
	return nil
}

// fill writes a file until the disk is full.
func fill(name string) (string, error) {
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for size := 1 << 20; size >= 1; {
		if _, err = f.Write(make([]byte, size)); errors.Is(err, unix.ENOSPC) {
			size /= 16
		} else if err != nil {
			return "", err
		}
	}
	return name, nil
}

// grows reports whether the files of a directory grow.
func grows(dir string) bool {
	before := total(dir)
	time.Sleep(200 * time.Millisecond)
	return total(dir) > before
}

// total returns the octets in the files of a directory.
func total(dir string) int64 {
	sum := int64(0)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum
}

// stall freezes the file system of a collector for a while.
func stall(ctx context.Context, b *Bench) error {
	image, disk := filepath.Join(b.Dir, "image"), filepath.Join(b.Dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		return err
	}
	if err := run(ctx, "truncate", "-s", "1G", image); err != nil {
		return err
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-F", image); err != nil {
		return skip("%v", err)
	}
	if err := run(ctx, "mount", "-o", "loop", image, disk); err != nil {
		return skip("%v", err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	dir := filepath.Join(disk, "w")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	c, err := Capture(ctx, b.Capture, dir, "-N0", "-n-1", "-z0")
	if err != nil {
		return err
	}
	l := b.load(c, pick(b, 500_000.0, 100_000.0))
	l.Wait = false
	frozen := pick(b, 10*time.Second, time.Second)
	var usage Usage
	err = during(ctx, l, 0, func() error {
		time.Sleep(pick(b, 3*time.Second, 300*time.Millisecond))
		if err := run(ctx, "fsfreeze", "-f", disk); err != nil {
			return err
		}
		time.Sleep(frozen)
		if err := run(ctx, "fsfreeze", "-u", disk); err != nil {
			return err
		}
		time.Sleep(pick(b, 3*time.Second, 300*time.Millisecond))
		usage, err = c.Usage()
		return err
	})
	if err != nil {
		return err
	}
	a, drops, _, err := b.conclude(ctx, c)
	if err != nil {
		return err
	}
	missing := b.numbered(c, a, l, drops)
	b.bounded(usage)
	b.Figure(fmt.Sprintf("frozen for %v at %.0f flows a second", frozen, l.Rate), "%d of %d flows missing, %d counted as not taken by the disk and %d in datagrams that the kernel dropped and counted; %s of memory at most",
		missing, l.Sent(), c.DiskLost(), drops*PDUFlows, octets(usage.Peak))
	return nil
}
