package capture

import (
	"bytes"
	"errors"
	"io"
	"os"

	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// A power cut can leave holes in what was written after the last Sync: pages that
// never reached the disk, although later ones did, are read as zeros. A hole ends
// where a page does.

// pageSize is the least size of a page, in octets.
const pageSize = 4096

// holeSize is the least number of octets that make a hole of compressed data:
// shorter runs of zeros may be data. So are those that do not end with the page,
// give or take the zeros that data begins with.
const (
	holeSize  = 64
	holeSlack = 8
)

// isHole reports whether a record was never written: it has no time and no
// exporter (unix_secs, unix_nsecs, sysUpTime and exaddr are its first 16 octets in
// every version).
func isHole(l *flow.Layout, record flow.Record) bool {
	return l.Uint(record, flow.UnixSecs) == 0 && l.Uint(record, flow.UnixNsecs) == 0 &&
		l.Uint(record, flow.SysUptime) == 0 && l.Uint(record, flow.ExAddr) == 0
}

// countHoles returns how many records of r were never written.
func countHoles(r *ftfile.Reader) (holes uint64) {
	l := r.Layout()
	for b := range r.Batches() {
		for record := range b.All() {
			if isHole(l, record) {
				holes++
			}
		}
	}
	return holes
}

// isBlank reports whether a file of some octets begins with a hole, so that its
// header was never written.
func isBlank(f *os.File, size int64) bool {
	head := make([]byte, min(size, 16))
	_, err := f.ReadAt(head, 0)
	return err == nil && len(bytes.Trim(head, "\x00")) == 0
}

// firstHole returns the offset of the first hole in compressed data, the size of
// the file if there is none.
func firstHole(f *os.File) (int64, error) {
	page := make([]byte, pageSize)
	zeros := int64(0) // before this page
	for at := int64(0); ; at += pageSize {
		n, err := f.ReadAt(page, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, ftfile.Reason(err)
		}
		text := page[:n]
		head := n - len(bytes.TrimLeft(text, "\x00"))
		if n == pageSize && head == n {
			zeros += pageSize
			continue
		}
		if zeros >= holeSize && head < holeSlack {
			return at - zeros, nil
		}
		if n < pageSize {
			return at + int64(n), nil
		}
		zeros = int64(n - len(bytes.TrimRight(text, "\x00")))
	}
}
