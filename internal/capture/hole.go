package capture

import (
	"bytes"
	"errors"
	"io"

	"flowtools/pkg/ftfile"
)

// A power cut can leave holes in what was written after the last Sync: pages, or
// the ends of pages, that never reached the disk although later ones did. They are
// read as zeros. A hole begins where a page does, or where a write ended, and ends
// where a page or the file does.

// pageSize is the least size of a page, in octets.
const pageSize = 4096

// recordHead is how many octets of a record cannot all be 0: unix_secs, unix_nsecs,
// sysUpTime and exaddr are the first fields of every version.
const recordHead = 16

// Holes in compressed data are told from zeros in it by their size, in octets, and
// by ending with the page, give or take the zeros that data begins with.
const (
	holeSize  = 64
	holeSlack = 8
)

func isZero(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }

// holes are the records of a file that were never written.
type holes struct {
	bits  []uint64 // one a record, as far as the last
	count uint64
}

func (h *holes) has(i int64) bool {
	word := i / 64
	return word < int64(len(h.bits)) && h.bits[word]>>(i%64)&1 != 0
}

func (h *holes) add(i int64) {
	h.count++
	for int64(len(h.bits)) <= i/64 {
		h.bits = append(h.bits, 0)
	}
	h.bits[i/64] |= 1 << (i % 64)
}

// findHoles looks for holes in the records of size octets between two offsets of
// a file. One that is only partly in a hole is in it.
func findHoles(f io.ReaderAt, head, end int64, size int) (*holes, error) {
	h := &holes{}
	r := io.NewSectionReader(f, head, end-head)
	block := make([]byte, blockSize/size*size)
	torn := false // the record before ends with zeros from a page on
	for i := int64(0); ; {
		n, err := io.ReadFull(r, block)
		for records := block[:n]; len(records) >= size; records = records[size:] {
			record := records[:size]
			// Where the page ends, from the record's beginning.
			edge := pageSize - int((head+i*int64(size))%pageSize)
			front := recordHead
			if edge >= 4 {
				front = min(front, edge) // unix_secs alone would do
			}
			if isZero(record[:front]) {
				if torn {
					h.add(i - 1)
				}
				h.add(i)
				torn = false
			} else {
				torn = edge < size && isZero(record[edge:])
			}
			i++
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return h, nil
		case err != nil:
			return nil, ftfile.Reason(err)
		}
	}
}

// isBlank reports whether a file of some octets begins with a hole, so that its
// header was never written.
func isBlank(f io.ReaderAt, size int64) bool {
	head := make([]byte, min(size, recordHead))
	_, err := f.ReadAt(head, 0)
	return err == nil && isZero(head)
}

// firstHole returns the offset of the first hole in compressed data, the size of
// the file if there is none.
func firstHole(f io.ReaderAt) (int64, error) {
	page := make([]byte, pageSize)
	zeros := int64(0) // before this page
	for at := int64(0); ; at += pageSize {
		n, err := f.ReadAt(page, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, ftfile.Reason(err)
		}
		text := page[:n]
		head := int64(n - len(bytes.TrimLeft(text, "\x00")))
		tail := int64(n - len(bytes.TrimRight(text, "\x00")))
		switch last := n < pageSize; {
		case head == int64(n): // all of it
			zeros += head
			if last && zeros >= holeSize {
				return at + head - zeros, nil
			}
		case zeros >= holeSize && head < holeSlack:
			return at - zeros, nil
		case last && tail >= holeSize:
			return at + int64(n) - tail, nil
		default:
			zeros = tail
		}
		if n < pageSize {
			return at + int64(n), nil
		}
	}
}
