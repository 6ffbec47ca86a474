package dscan

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"

	"flowtools/internal/clib"
)

// suppressList holds addresses whose flows are not looked at, by bucket.
type suppressList map[uint32][]uint32

func (s suppressList) has(bucket, addr uint32) bool {
	return len(s) > 0 && slices.Contains(s[bucket], addr)
}

// ReadSuppress reads list 0 (sources) or 1 (destinations), which replaces the
// one before. A line has an address, protocol, source and destination port.
//
// Compat: only the address counts, and a blank before the newline makes a word
// of it.
func (d *Detector) ReadSuppress(list int, r io.Reader, resolve clib.Resolver) error {
	s := suppressList{}
	d.suppress[list] = s
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			d.suppressLine(s, line, resolve)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (d *Detector) suppressLine(s suppressList, line string, resolve clib.Resolver) {
	const blank = " \t"
	var from [4]string // the line from each word on
	from[0] = strings.TrimLeft(line, blank)
	if from[0] == "" || from[0][0] == '\n' || from[0][0] == '#' {
		return
	}
	for i := 1; i < 4; i++ {
		end := strings.IndexAny(from[i-1], blank)
		if end >= 0 {
			from[i] = strings.TrimLeft(from[i-1][end:], blank)
		}
		if from[i] == "" {
			d.warn("suppress parser: syntax error: %s", line)
			return
		}
	}
	if d.Debug > 5 {
		d.warn("suppress parser: c1=%s c2=%s c3=%s c4=%s", from[0], from[1], from[2], from[3])
	}
	word, _, _ := strings.Cut(strings.ReplaceAll(from[0], "\t", " "), " ")
	addr, _ := clib.Addr(word, resolve)
	switch b := bucket(addr); {
	case s.has(b, addr):
		d.warn("suppress parser: dup ip: %s", line)
	case word[0] == '-':
		d.warn("suppress parser: no src ip wildcard")
	default:
		s[b] = append(s[b], addr)
	}
}
