package daemon

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// ReceiveBuffer asks for a receive buffer of size octets, with privilege beyond
// the system's limit. Where the system refuses (ENOBUFS), less and less is
// tried. It returns the size that was accepted and the one in force, which on
// Linux is silently limited to net.core.rmem_max.
func ReceiveBuffer(c syscall.RawConn, size int) (accepted, granted int, err error) {
	failed := c.Control(func(fd uintptr) {
		for accepted = size; ; accepted -= accepted / 8 {
			if forceReceive != 0 && unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, forceReceive, accepted) == nil {
				break
			}
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, accepted); err == nil {
				break
			}
			if !errors.Is(err, unix.ENOBUFS) || accepted < 1024 {
				err = fmt.Errorf("setsockopt(size=%d): %w", accepted, err)
				return
			}
		}
		granted, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
		granted /= bufferScale
	})
	return accepted, granted, errors.Join(failed, err)
}
