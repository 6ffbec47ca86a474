//go:build linux

package rig

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"flowtools/internal/cli"
	"flowtools/internal/tool/flowcapture"
)

// clockEnv names the file whose first 8 octets are added to the clock of a
// flow-capture of ours, in nanoseconds.
const clockEnv = "RIG_CLOCK"

// Clock sets the clock of collectors that run with its Env.
type Clock struct {
	path   string
	offset *atomic.Int64
}

// NewClock makes a clock that is right.
func NewClock(dir string) (*Clock, error) {
	path := filepath.Join(dir, "clock")
	if err := os.WriteFile(path, make([]byte, 8), 0o600); err != nil {
		return nil, err
	}
	offset, err := openClock(path)
	return &Clock{path, offset}, err
}

// Env is what a Program that is to follow the clock needs.
func (c *Clock) Env() []string { return []string{clockEnv + "=" + c.path} }

// Set makes the clock differ from that of the system.
func (c *Clock) Set(d time.Duration) { c.offset.Store(int64(d)) }

func openClock(path string) (*atomic.Int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap(%s): %w", path, err)
	}
	return (*atomic.Int64)(unsafe.Pointer(&page[0])), nil
}

// Main makes this process a flow-capture if it was started by that name, so that
// the executables of the rig can be their own collectors; it does not return
// then. With a Clock in the environment the collector follows it.
func Main() {
	if filepath.Base(os.Args[0]) != "flow-capture" {
		return
	}
	path, ok := os.LookupEnv(clockEnv)
	if !ok {
		cli.Main(flowcapture.Spec())
	}
	offset, err := openClock(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	env := &cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, LookupEnv: os.LookupEnv,
		// Without a monotonic reading, which would be right whatever the clock says.
		Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())).Round(0) },
	}
	os.Exit(cli.Exec(context.Background(), flowcapture.Spec(), env, os.Args))
}
