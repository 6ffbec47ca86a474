package dscan

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"

	"flowtools/internal/clib"
)

// WriteState writes what is known of every source, by bucket, newest source
// first:
//
//	H BUCKET DEPTH FLAGS SOURCE
//	I  TIME DESTINATION
//	P COUNT PORT PORT ...
//	.
func (d *Detector) WriteState(w io.Writer) error {
	out := bufio.NewWriter(w)
	for b, s := range d.buckets {
		for ; s != nil; s = s.next {
			fmt.Fprintf(out, "H %d %d %d %s\n", b, uint8(s.depth), s.flags, address(s.addr))
			for _, to := range s.dests {
				fmt.Fprintf(out, "I  %d %s\n", to.seen, address(to.addr))
				if n := to.ports.len(); n > 0 {
					fmt.Fprintf(out, "P %d", n)
					for i, word := range to.ports {
						for ; word != 0; word &= word - 1 {
							fmt.Fprintf(out, " %d", 64*i+bits.TrailingZeros64(word))
						}
					}
					out.WriteByte('\n')
				}
			}
		}
	}
	out.WriteString(".\n")
	return out.Flush()
}

// ReadState adds the sources of a state file to those known. A file that ends
// without its dot is used with a warning; one that makes no sense is an error.
// The bucket of a source follows from its address, whatever the file says.
//
// Compat: depth and flags are believed, not counted; sources go to the front of
// their buckets, so a reload reverses them.
func (d *Detector) ReadState(r io.Reader) error {
	in := bufio.NewReader(r)
	var last *source
	for {
		kind, err := in.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				d.warn("fscanf(): EOF")
				return nil
			}
			return err
		}
		switch kind {
		case '\n':
		case '.':
			return nil
		case 'H':
			var words [4]string
			if err := scan(in, words[:]); err != nil {
				return err
			}
			if number(words[0]) >= numBuckets {
				return fmt.Errorf("no bucket %s\nload_state(): failed", words[0])
			}
			last = &source{addr: clib.IPv4(words[3]), depth: int(uint8(number(words[1]))), flags: uint8(number(words[2]))}
			d.link(last)
		case 'I':
			var words [2]string
			if err := scan(in, words[:]); err != nil {
				return err
			}
			if last == nil {
				return errors.New("destination without a source\nload_state(): failed")
			}
			last.dests = append(last.dests, dest{addr: clib.IPv4(words[1]), seen: uint32(number(words[0]))})
		case 'P':
			if err := d.readPorts(in, last); err != nil {
				return err
			}
		default:
			return fmt.Errorf("Unknown record type: %c\nload_state(): failed", kind)
		}
	}
}

func (d *Detector) readPorts(in *bufio.Reader, last *source) error {
	var word [1]string
	if err := scan(in, word[:]); err != nil {
		return err
	}
	if last == nil || len(last.dests) == 0 {
		return errors.New("ports without a destination\nload_state(): failed")
	}
	to := &last.dests[len(last.dests)-1]
	for range number(word[0]) {
		if err := scan(in, word[:]); err != nil {
			return err
		}
		if port, err := strconv.ParseUint(word[0], 10, 64); err == nil && port < knownPorts {
			to.port(port)
		}
	}
	return nil
}

// number is the decimal number at the start of a word; -1 is the greatest.
func number(word string) uint64 {
	v, _ := clib.Strtoul(word, 10)
	return v
}

// wordLimit bounds a word of a state file.
const wordLimit = 64

// scan reads words separated by any white space, newlines too, and leaves the
// octet behind the last one unread.
func scan(in *bufio.Reader, words []string) error {
	for i := range words {
		var word []byte
		for {
			c, err := in.ReadByte()
			if err != nil && !(errors.Is(err, io.EOF) && len(word) > 0) {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("%w\nload_state(): failed", err)
			}
			space := err != nil || c == ' ' || c >= '\t' && c <= '\r'
			if space && len(word) == 0 {
				continue
			}
			if space {
				if err == nil {
					_ = in.UnreadByte() // directly after ReadByte
				}
				break
			}
			if len(word) == wordLimit {
				return fmt.Errorf("word too long: %q...\nload_state(): failed", word)
			}
			word = append(word, c)
		}
		words[i] = string(word)
	}
	return nil
}
