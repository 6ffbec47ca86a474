package fprobe

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// realtime gives the calling goroutine a thread of its own with SCHED_FIFO at a priority.
func realtime(priority int) error {
	runtime.LockOSThread()
	const fifo = 1 // SCHED_FIFO
	return unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: fifo, Priority: uint32(priority)}, 0)
}
