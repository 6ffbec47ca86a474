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

// All returns the files, the oldest first; the caller may not change them.
func (l *List) All() []File { return l.files }

// Sweep takes the oldest files off the list, deleting each with remove, until
// the list keeps lim; open is the octets of a file that counts but is not in the
// list. Each removal, and each that fails, is reported. With remove nil nothing
// is taken off or deleted, only reported.
//
// Compat: without removal the sweep by size starts again at the oldest file with
// the full sum (flow-expire -d).
func (l *List) Sweep(lim Limit, open uint64, remove func(path string) error, report func(format string, args ...any)) {
	gone := 0
	drop := func(why int) {
		f := l.files[gone]
		report("remove/%d %s", why, f.Path)
		if remove != nil {
			if err := remove(f.Path); err != nil {
				report("unlink(%s): %v", f.Path, ftfile.Reason(err))
			}
			l.bytes -= uint64(f.Size)
		}
		gone++
	}
	if lim.Files != 0 {
		for len(l.files)-gone > int(lim.Files) {
			drop(1)
		}
	}
	left := l.bytes
	if remove == nil {
		gone = 0
	}
	if lim.Bytes != 0 {
		for gone < len(l.files) && left+open > lim.Bytes {
			left -= uint64(l.files[gone].Size)
			drop(2)
		}
	}
	if remove != nil {
		l.files = slices.Delete(l.files, 0, gone)
	}
}
