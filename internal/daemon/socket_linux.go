package daemon

import "golang.org/x/sys/unix"

// Linux sets aside twice what was asked for, and says so when asked.
const (
	forceReceive = unix.SO_RCVBUFFORCE
	bufferScale  = 2
)
