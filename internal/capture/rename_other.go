//go:build !linux

package capture

// renameNew renames a file and does not replace another one; the error is then
// fs.ErrExist. It is that of the system, without names.
func renameNew(from, to string) error { return renameChecked(from, to) }
