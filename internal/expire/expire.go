// Package expire keeps a list of flow files within limits of number and size,
// for flow-expire and flow-capture.
package expire

import (
	"slices"

	"flowtools/pkg/ftfile"
)

// Limit is what may be kept; 0 is no limit.
type Limit struct {
	Files uint32
	Bytes uint64
}

// File is one file of a List.
type File struct {
	Path  string
	Size  int64
	Start uint32 // capture start, unix seconds
}

// List holds files, the oldest first.
type List struct {
	files []File
	bytes uint64
}

// NewList makes a list of entries in their order, as ftfile.Scanner returns them.
func NewList(entries []ftfile.Entry) *List {
	l := &List{}
	for _, e := range entries {
		l.Add(File{Path: e.Path, Size: e.Size, Start: e.Header.Start})
	}
	return l
}

// Add appends a file newer than all others.
func (l *List) Add(f File) {
	l.files = append(l.files, f)
	l.bytes += uint64(f.Size)
}

// Insert puts a file where it belongs by capture start, behind all that are not
// newer.
func (l *List) Insert(f File) {
	at := len(l.files)
	for at > 0 && l.files[at-1].Start > f.Start {
		at--
	}
	l.files = slices.Insert(l.files, at, f)
	l.bytes += uint64(f.Size)
}

// All returns the files, the oldest first; the caller may not change them.
func (l *List) All() []File { return l.files }

// Sweep takes the oldest files off the list, deleting each with remove, until
// the list keeps lim; open is the octets of a file that counts but is not in the
// list. Each removal, and each that fails, is reported; a file that cannot be
// deleted is off the list all the same. With remove nil nothing is taken off or
// deleted, only reported.
//
// Compat: without removal the sweep by size starts again at the oldest file with
// the full sum (flow-expire -d).
func (l *List) Sweep(lim Limit, open uint64, remove func(path string) error, report func(format string, args ...any)) {
	dry := remove == nil
	if dry {
		remove = func(string) error { return nil }
	}
	drop := func(why int, f File) {
		report("remove/%d %s", why, f.Path)
		if err := remove(f.Path); err != nil {
			report("unlink(%s): %v", f.Path, ftfile.Reason(err))
		}
	}
	keep, bytes := l.files, l.bytes
	if lim.Files != 0 {
		for uint64(len(keep)) > uint64(lim.Files) {
			drop(1, keep[0])
			bytes -= uint64(keep[0].Size)
			keep = keep[1:]
		}
	}
	if dry {
		keep, bytes = l.files, l.bytes
	}
	if lim.Bytes != 0 {
		for len(keep) > 0 && bytes+open > lim.Bytes {
			drop(2, keep[0])
			bytes -= uint64(keep[0].Size)
			keep = keep[1:]
		}
	}
	if !dry {
		l.files, l.bytes = slices.Delete(l.files, 0, len(l.files)-len(keep)), bytes
	}
}
