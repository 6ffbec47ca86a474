package pcap

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// File reads a capture file: pcap with microsecond or nanosecond stamps in either byte order, or pcapng with any number of
// sections and interfaces; plain or compressed with gzip or zstd, whatever its name.
type File struct {
	plain *pcapgo.Reader   // one of the two
	ng    *pcapgo.NgReader //
	in    *bufio.Reader    // what plain reads from
	spare []byte
	link  LinkType // of plain
	close func()
	count uint64
	last  int64
}

const (
	magicGzip   = "\x1f\x8b"
	magicZstd   = "\x28\xb5\x2f\xfd"
	magicPcapng = "\x0a\x0d\x0d\x0a"
	inputBuffer = 256 << 10
	zstdMemory  = 256 << 20 // largest window accepted
)

// NewFile reads the file header from r. Close releases the decompressor; r stays the caller's.
func NewFile(r io.Reader) (*File, error) {
	f := &File{close: func() {}}
	in := bufio.NewReaderSize(r, inputBuffer)
	magic, err := in.Peek(4)
	switch {
	case err == io.EOF && len(magic) == 0:
		return nil, errors.New("empty capture file")
	case err != nil && err != io.EOF:
		return nil, err
	case len(magic) >= 2 && string(magic[:2]) == magicGzip:
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		f.close = func() { z.Close() }
		in = bufio.NewReaderSize(z, inputBuffer)
	case string(magic) == magicZstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdMemory))
		if err != nil {
			return nil, err
		}
		f.close = z.Close
		in = bufio.NewReaderSize(z, inputBuffer)
	}
	if magic, _ = in.Peek(4); string(magic) == magicPcapng {
		f.ng, err = pcapgo.NewNgReader(in, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	} else if f.plain, err = pcapgo.NewReader(in); err == nil {
		f.in = in // pcapgo wraps no reader that has a buffer
		f.link = LinkType(f.plain.LinkType())
	}
	if err != nil {
		f.close()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("capture file ends inside its header")
		}
		return nil, err
	}
	return f, nil
}

// Close releases what reading needed.
func (f *File) Close() { f.close() }

// Link returns the link type of the file; ok is false for pcapng, where every packet has its own.
func (f *File) Link() (t LinkType, ok bool) { return f.link, f.ng == nil }

// Next reads the next packet into p. It returns io.EOF at the end; any other error names the packet it happened at, and the
// packets before it are good.
func (f *File) Next(p *Packet) error {
	var (
		ci   gopacket.CaptureInfo
		opts pcapgo.NgPacketOptions
		err  error
	)
	if f.plain != nil {
		p.Data, ci, err = f.plain.ZeroCopyReadPacketData()
		if err != nil && ci.CaptureLength > ci.Length && ci.CaptureLength <= MaxSnap {
			// Some programs write this. pcapgo has read the header only.
			f.spare = slices.Grow(f.spare[:0], ci.CaptureLength)[:ci.CaptureLength]
			p.Data = f.spare
			if _, err = io.ReadFull(f.in, p.Data); err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
		}
		p.Link, p.IfIndex = f.link, 0
	} else {
		p.Data, ci, opts, err = f.ng.ZeroCopyReadPacketDataWithOptions()
	}
	if err != nil {
		if err == io.EOF {
			return err
		}
		return fmt.Errorf("capture file damaged at packet %d: %w", f.count+1, err)
	}
	f.count++
	p.Len, p.Dir = ci.Length, Unknown
	if p.Time = ci.Timestamp.UnixNano(); ci.Timestamp.IsZero() {
		p.Time = f.last // a simple packet block has no time
	}
	f.last = p.Time
	if f.ng != nil {
		if t, ok := ci.AncillaryData[0].(layers.LinkType); ok {
			p.Link = LinkType(t)
		}
		p.IfIndex = uint32(ci.InterfaceIndex) + 1
		if opts.Flags != nil {
			switch opts.Flags.Direction {
			case pcapgo.NgEpbFlagDirectionInbound:
				p.Dir = In
			case pcapgo.NgEpbFlagDirectionOutbound:
				p.Dir = Out
			}
		}
	}
	p.cooked()
	return nil
}

// pktOutgoing is PACKET_OUTGOING of Linux, in packet sockets and in the cooked headers made from them.
const pktOutgoing = 4

// cooked takes from a Linux cooked header what it knows: direction, and version 2 the interface.
func (p *Packet) cooked() {
	var kind uint16
	switch {
	case p.Link == LinuxSLL && len(p.Data) >= 16:
		kind = binary.BigEndian.Uint16(p.Data)
	case p.Link == LinuxSLL2 && len(p.Data) >= 20:
		kind = uint16(p.Data[10])
		p.IfIndex = binary.BigEndian.Uint32(p.Data[4:])
	default:
		return
	}
	if p.Dir = In; kind == pktOutgoing {
		p.Dir = Out
	}
}
