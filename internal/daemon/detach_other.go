//go:build !linux

package daemon

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// executable is the program that this process runs.
func executable() (string, error) { return os.Executable() }

// closeInherited keeps descriptors above 2 that this process was given from the
// processes that it starts.
func closeInherited() {
	for fd := 3; fd < 256; fd++ {
		syscall.CloseOnExec(fd) // nothing happens to one that is not open
	}
}

func redirect(f *os.File, fd int) error { return unix.Dup2(int(f.Fd()), fd) }
