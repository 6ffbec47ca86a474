package capture

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errLocked is returned for a file that another process has locked.
var errLocked = errors.New("another process has it open")

// lock locks a file for this process, until it is closed; no other one may then
// take it for a file left behind. It does not wait.
func lock(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := conn.Control(func(fd uintptr) { failed = unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return err
	}
	if errors.Is(failed, unix.EWOULDBLOCK) {
		return errLocked
	}
	return failed
}

// isStill reports whether a name is still that of a file.
func isStill(f *os.File, name string) bool {
	now, err := os.Lstat(name)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(info, now)
}

// renameChecked is renameNew where the system has no such thing: a file that
// appears in the last moment is replaced.
func renameChecked(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return unix.EEXIST
	}
	return unix.Rename(from, to)
}
