package capture

import (
	"errors"

	"golang.org/x/sys/unix"
)

// renameNew renames a file and never replaces another one; the error is then
// fs.ErrExist. It is that of the system, without names.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) { // the file system cannot
		return renameChecked(from, to)
	}
	return err
}
