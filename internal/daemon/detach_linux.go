package daemon

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// executable is the program that this process runs, even if its file has been
// replaced or removed since.
func executable() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	return os.Executable()
}

// closeInherited keeps descriptors above 2 that this process was given from the
// processes that it starts.
func closeInherited() {
	if unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	for fd := 3; fd < 256; fd++ {
		syscall.CloseOnExec(fd) // nothing happens to one that is not open
	}
}

func redirect(f *os.File, fd int) error { return unix.Dup3(int(f.Fd()), fd, 0) }
