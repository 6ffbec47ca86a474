// Package pcap is the target of flow-export -f1: a capture file with one packet
// of made up headers per flow.
package pcap

import (
	"context"
	"encoding/binary"
	"io"
	"slices"

	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

const (
	fileHeader   = 24
	packetHeader = 16
	ethernet     = 14
	ipv4         = 20
	tcp          = 24
	udp          = 8
	longest      = packetHeader + ethernet + ipv4 + tcp

	protTCP = 6
	protUDP = 17
)

const needed = flow.FieldSet(1<<flow.UnixSecs | 1<<flow.UnixNsecs | 1<<flow.SrcAddr | 1<<flow.DstAddr |
	1<<flow.SrcPort | 1<<flow.DstPort | 1<<flow.Prot | 1<<flow.ToS | 1<<flow.DPkts | 1<<flow.DOctets)

// Open writes the file header.
func Open(_ context.Context, o *export.Options) (export.Sink, error) {
	if o.Layout.Missing(needed) != 0 {
		return nil, export.ErrMissing
	}
	le := binary.LittleEndian
	h := le.AppendUint32(make([]byte, 0, fileHeader), 0xa1b2c3d4)
	h = le.AppendUint16(h, 2)
	h = le.AppendUint16(h, 4)
	for _, v := range [...]uint32{0, 6, 65535, 1} { // zone, significant figures, snap length, Ethernet
		h = le.AppendUint32(h, v)
	}
	if _, err := o.Out.Write(h); err != nil {
		return nil, err
	}
	return &sink{out: o.Out, layout: o.Layout}, nil
}

type sink struct {
	out    io.Writer
	layout *flow.Layout
	buf    []byte
}

func (s *sink) Write(b *flow.Batch) error {
	s.buf = slices.Grow(s.buf[:0], b.Len()*longest)
	for r := range b.All() {
		s.buf = s.append(s.buf, r)
	}
	_, err := s.out.Write(s.buf)
	return err
}

func (s *sink) append(dst []byte, r flow.Record) []byte {
	l, le, be := s.layout, binary.LittleEndian, binary.BigEndian
	prot := byte(l.Uint(r, flow.Prot))
	transport := 0
	switch prot {
	case protTCP:
		transport = tcp
	case protUDP:
		transport = udp
	}
	packet := ethernet + ipv4 + transport

	at := len(dst)
	dst = dst[:at+packetHeader+packet]
	h := dst[at:]
	clear(h)
	le.PutUint32(h, uint32(l.Uint(r, flow.UnixSecs)))
	le.PutUint32(h[4:], uint32(l.Uint(r, flow.UnixNsecs)/1000))
	le.PutUint32(h[8:], uint32(packet))
	le.PutUint32(h[12:], uint32(packet))

	eth := h[packetHeader:]
	be.PutUint16(eth[12:], 0x0800)

	ip := eth[ethernet:]
	ip[0] = 0x45
	ip[1] = byte(l.Uint(r, flow.ToS))
	be.PutUint16(ip[2:], uint16(ipv4+transport))
	ip[9] = prot
	be.PutUint32(ip[12:], uint32(l.Uint(r, flow.SrcAddr)))
	be.PutUint32(ip[16:], uint32(l.Uint(r, flow.DstAddr)))

	if transport != 0 {
		t := ip[ipv4:]
		be.PutUint16(t, uint16(l.Uint(r, flow.SrcPort)))
		be.PutUint16(t[2:], uint16(l.Uint(r, flow.DstPort)))
		if prot == protTCP {
			t[12] = tcp / 4 << 4
		} else {
			be.PutUint16(t[4:], udp)
		}
	}
	return dst
}

func (s *sink) Close() error { return nil }
func (s *sink) Abort()       {}
