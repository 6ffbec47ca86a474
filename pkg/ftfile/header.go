package ftfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"flowtools/pkg/flow"
)

// Tag is the type of a header field: u16 type, u16 length, value.
type Tag uint16

// The header fields of stream version 3, with the size of their values.
const (
	TagVendor     Tag = 0x01 // u8, 1 = Cisco
	TagVersion    Tag = 0x02 // u16, record version
	TagAggVersion Tag = 0x03 // u8, 2 (record version 8 only)
	TagAggMethod  Tag = 0x04 // u8, 1..14 (record version 8 only)
	TagExporter   Tag = 0x05 // u32, exporter address
	TagStart      Tag = 0x06 // u32, capture start, unix seconds
	TagEnd        Tag = 0x07 // u32, capture end, unix seconds
	TagFlags      Tag = 0x08 // u32, Flags
	TagRotation   Tag = 0x09 // u32, rotation schedule
	TagFlows      Tag = 0x0A // u32, number of flows
	TagLost       Tag = 0x0B // u32, lost flows
	TagMisordered Tag = 0x0C // u32, misordered flows
	TagCorrupt    Tag = 0x0D // u32, corrupt packets
	TagResets     Tag = 0x0E // u32, sequence resets
	TagHostname   Tag = 0x0F // string and NUL
	TagComments   Tag = 0x10 // string and NUL
	TagIfName     Tag = 0x11 // u32 address, u16 ifIndex, string and NUL
	TagIfAlias    Tag = 0x12 // u32 address, u16 n, n times u16 ifIndex, string and NUL
)

// Flags are the bits of the flags field.
type Flags uint32

// Header flags.
const (
	FlagDone      Flags = 0x01 // the file was completed: end time and counts are final
	FlagCompress  Flags = 0x02 // the data after the header are one zlib stream
	FlagStreaming Flags = 0x08 // produced on the fly: no end time and counts
	FlagXlate     Flags = 0x10 // translated from stream version 1
	FlagPreloaded Flags = 0x20 // streaming, but counts and times were collected beforehand
)

// Sizes of the format.
const (
	maxHeader    = 16384    // encoded header before padding
	readLimit    = 16 << 20 // longest header accepted, where the length is free
	headerSizeV1 = 360
	commentMax   = 1<<16 - 2
)

var magic = [2]byte{0xCF, 0x10}

// Header is the header of a stream or file. A field counts only when it is
// present ([Header.Has]); the raw values are 0 otherwise, but for the times of
// stream version 1, which have values without being present.
type Header struct {
	OrderByte byte // as it stands in the stream: 1 little, 2 big, others are read as little
	Stream    byte // stream version: 1 or 3
	Size      int  // octets of the whole header

	Version    flow.Version
	Vendor     uint8
	AggVersion uint8
	Exporter   uint32
	Start, End uint32 // unix seconds
	Flags      Flags
	Rotation   uint32
	Flows      uint32
	Lost       uint32
	Misordered uint32
	Corrupt    uint32
	Resets     uint32
	Hostname   string
	Comments   string
	IfNames    []IfName
	IfAliases  []IfAlias

	present uint32 // by Tag
}

// IfName names an interface of an exporter.
type IfName struct {
	Addr  uint32
	Index uint16
	Name  string
}

// IfAlias gives one name to several interfaces of an exporter.
type IfAlias struct {
	Addr    uint32
	Indexes []uint16
	Name    string
}

// NewHeader returns a little-endian stream version 3 header for records of
// version v with the given flags.
func NewHeader(v flow.Version, flags Flags) *Header {
	h := &Header{OrderByte: byte(flow.LittleEndian), Stream: 3, Flags: flags}
	h.SetVersion(v)
	return h
}

// SetVersion makes v the record version, with its aggregation version.
func (h *Header) SetVersion(v flow.Version) {
	h.Version = v
	if v.Export == 8 {
		h.AggVersion = flow.AggVersion
	}
}

// Has reports whether field t is present.
func (h *Header) Has(t Tag) bool { return h.present>>t&1 != 0 }

// Mark makes fields present, whatever their values.
func (h *Header) Mark(ts ...Tag) {
	for _, t := range ts {
		h.present |= 1 << t
	}
}

// Carry copies the fields among ts that are present in from.
func (h *Header) Carry(from *Header, ts ...Tag) {
	for _, t := range ts {
		if !from.Has(t) {
			continue
		}
		switch t {
		case TagVendor:
			h.Vendor = from.Vendor
		case TagAggVersion:
			h.AggVersion = from.AggVersion
		case TagHostname:
			h.Hostname = from.Hostname
		case TagComments:
			h.Comments = from.Comments
		default:
			if p := h.counter(t); p != nil {
				*p = *from.counter(t)
			}
		}
		h.Mark(t)
	}
}

// Order returns the byte order of the stream; an unknown order byte is little.
func (h *Header) Order() flow.Order {
	if h.OrderByte == byte(flow.BigEndian) {
		return flow.BigEndian
	}
	return flow.LittleEndian
}

// Layout returns the layout of the records, or a [*flow.VersionError] for a
// record version that streams of this stream version cannot hold.
func (h *Header) Layout() (*flow.Layout, error) {
	if h.Version.Export == 8 && h.AggVersion != flow.AggVersion {
		return nil, &flow.VersionError{Part: "agg_version", Value: uint16(h.AggVersion)}
	}
	if h.Stream == 1 && h.Version.Export != 1 && h.Version.Export != 5 {
		return nil, &flow.VersionError{Part: "d_version", Value: h.Version.Export}
	}
	return flow.LayoutOf(h.Version)
}

// The ways a header can be unreadable. ReadHeader returns these as they are.
var (
	ErrShortTop    = errors.New("ftiheader_read(): Warning, short read while loading header top.")
	ErrMagic       = errors.New("ftiheader_read(): Warning, bad magic number")
	ErrShortOffset = errors.New("ftiheader_read(): Error, short read while loading header data offset.")
	ErrShort       = errors.New("Short read while loading header")
)

// ReadHeader reads the header at the start of r and nothing after it. It does
// not mind a record version that is not supported; see [Header.Layout]. The
// error is one of the Err values above, names the stream version, or is r's.
func ReadHeader(r io.Reader) (*Header, error) {
	var top [8]byte
	if err := readFull(r, top[:4], ErrShortTop); err != nil {
		return nil, err
	}
	if top[0] != magic[0] || top[1] != magic[1] {
		return nil, ErrMagic
	}
	h := &Header{OrderByte: top[2], Stream: top[3]}
	var d decoder
	switch h.Stream {
	case 1:
		h.Size = headerSizeV1
	case 3:
		if err := readFull(r, top[4:], ErrShortOffset); err != nil {
			return nil, err
		}
		d.set(h, top[:])
		size := d.order.Uint32(top[4:])
		if size < 8 || size > readLimit {
			return nil, ErrShort
		}
		h.Size = int(size)
	default:
		return nil, fmt.Errorf("Stream format must be 1 or 3, not %d", h.Stream)
	}
	rest := h.Size - 4*int(1+h.Stream/3) // 356 or Size-8
	var buf bytes.Buffer                 // grows with what is there, not with what the size promises
	if n, err := io.CopyN(&buf, r, int64(rest)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read(): %w", Reason(err))
	} else if n < int64(rest) {
		return nil, ErrShort
	}
	d.set(h, buf.Bytes())
	if h.Stream == 1 {
		d.version1(h)
	} else {
		d.fields(h)
	}
	return h, nil
}

// readFull fills p or returns short at the end of r.
func readFull(r io.Reader, p []byte, short error) error {
	_, err := io.ReadFull(r, p)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return short
	}
	return fmt.Errorf("read(): %w", Reason(err))
}

// decoder reads values of fixed size from a header; past its end they are 0.
type decoder struct {
	order binary.ByteOrder
	p     []byte
}

func (d *decoder) set(h *Header, p []byte) {
	d.p, d.order = p, binary.LittleEndian
	if h.Order() == flow.BigEndian {
		d.order = binary.BigEndian
	}
}

func (d *decoder) take(n int) []byte {
	v := make([]byte, n)
	d.p = d.p[copy(v, d.p):]
	return v
}

func (d *decoder) u8() uint8   { return d.take(1)[0] }
func (d *decoder) u16() uint16 { return d.order.Uint16(d.take(2)) }
func (d *decoder) u32() uint32 { return d.order.Uint32(d.take(4)) }

// text returns the string at the front of p, ended by NUL or the end of p.
func text(p []byte) string {
	if i := bytes.IndexByte(p, 0); i >= 0 {
		p = p[:i]
	}
	return string(p)
}

// fields decodes the TLVs of stream version 3. It stops quietly where fewer
// than 4 octets are left or a length runs past the end.
func (d *decoder) fields(h *Header) {
	rest := d.p
	for len(rest) >= 4 {
		tag, n := Tag(d.order.Uint16(rest)), int(d.order.Uint16(rest[2:]))
		if len(rest)-4 < n {
			return
		}
		// Integers have their fixed size whatever the length says, so they
		// may reach into what follows.
		d.p = rest[4:]
		d.field(h, tag, rest[4:4+n])
		rest = rest[4+n:]
	}
}

func (d *decoder) field(h *Header, tag Tag, value []byte) {
	switch tag {
	case TagVendor:
		h.Vendor = d.u8()
		if h.Order() == flow.BigEndian {
			h.Vendor = 0 // Compat: the vendor of a big-endian stream reads as 0
		}
	case TagVersion:
		h.Version.Export = d.u16()
	case TagAggVersion:
		h.AggVersion = d.u8()
	case TagAggMethod:
		h.Version.Agg = d.u8()
	case TagFlags:
		h.Flags = Flags(d.u32())
	case TagHostname:
		h.Hostname = text(value)
	case TagComments:
		h.Comments = text(value)
	case TagIfName:
		d.p = value
		h.IfNames = append(h.IfNames, IfName{Addr: d.u32(), Index: d.u16(), Name: text(d.p)})
	case TagIfAlias:
		d.p = value
		a := IfAlias{Addr: d.u32()}
		for n := d.u16(); n > 0 && len(d.p) >= 2; n-- {
			a.Indexes = append(a.Indexes, d.u16())
		}
		a.Name = text(d.p)
		h.IfAliases = append(h.IfAliases, a)
	default:
		p := h.counter(tag)
		if p == nil {
			return
		}
		*p = d.u32()
	}
	h.Mark(tag)
}

// version1 decodes the fixed header of stream version 1, from offset 4 on.
func (d *decoder) version1(h *Header) {
	h.Version.Export = d.u16()
	if h.Version.Export == 0xFFFF {
		h.Version.Export = 1
	}
	d.take(2)
	h.Start, h.End = d.u32(), d.u32() // values, but not present (Compat)
	h.Flags = Flags(d.u32())
	h.Rotation, h.Flows, h.Lost, h.Misordered = d.u32(), d.u32(), d.u32(), d.u32()
	h.Hostname, h.Comments = text(d.take(68)), text(d.take(256))
	if h.Order() == flow.LittleEndian {
		h.Flags |= FlagXlate // Compat: effective for little-endian headers only
	}
	h.Mark(TagVendor, TagVersion, TagAggVersion, TagFlags, TagRotation, TagFlows)
	if h.Hostname != "" {
		h.Mark(TagHostname)
	}
	if h.Comments != "" {
		h.Mark(TagComments)
	}
}

// ErrHeaderSize is returned for a header that cannot be written: its fields
// exceed 16384 octets, or a string 65534.
var ErrHeaderSize = errors.New("ftio_write_header(): failed: header too long")

// Append appends the encoded header to dst: stream version 3, fields in
// ascending order, padded to a multiple of 4 octets. The record version and
// the flags are always present. Interface names are never written.
func (h *Header) Append(dst []byte) ([]byte, error) {
	var order binary.AppendByteOrder = binary.LittleEndian
	if h.Order() == flow.BigEndian {
		order = binary.BigEndian
	}
	base := len(dst)
	dst = append(dst, magic[0], magic[1], byte(h.Order()), 3, 0, 0, 0, 0)
	put := func(t Tag, n int) { dst = order.AppendUint16(order.AppendUint16(dst, uint16(t)), uint16(n)) }
	u8 := func(t Tag, v uint8) { put(t, 1); dst = append(dst, v) }
	u16 := func(t Tag, v uint16) { put(t, 2); dst = order.AppendUint16(dst, v) }
	u32 := func(t Tag, v uint32) { put(t, 4); dst = order.AppendUint32(dst, v) }

	v8 := h.Version.Export == 8
	for t := TagVendor; t <= TagComments; t++ {
		switch present := h.Has(t); {
		case t == TagVersion:
			u16(t, h.Version.Export)
		case t == TagAggVersion && (v8 || present):
			u8(t, h.AggVersion)
		case t == TagAggMethod && (v8 || present):
			u8(t, h.Version.Agg)
		case t == TagFlags:
			u32(t, uint32(h.Flags))
		case !present:
		case t == TagVendor:
			u8(t, h.Vendor)
		case t == TagHostname, t == TagComments:
			s := h.Hostname
			if t == TagComments {
				s = h.Comments
			}
			if len(s) > commentMax {
				return nil, ErrHeaderSize
			}
			put(t, len(s)+1)
			dst = append(append(dst, s...), 0)
		default:
			if p := h.counter(t); p != nil {
				u32(t, *p)
			}
		}
	}
	if len(dst)-base > maxHeader {
		return nil, ErrHeaderSize
	}
	for (len(dst)-base)%4 != 0 {
		dst = append(dst, 0)
	}
	size := order.AppendUint32(nil, uint32(len(dst)-base))
	copy(dst[base+4:], size)
	return dst, nil
}

// counter returns the u32 field t, nil for other fields.
func (h *Header) counter(t Tag) *uint32 {
	switch t {
	case TagExporter:
		return &h.Exporter
	case TagStart:
		return &h.Start
	case TagEnd:
		return &h.End
	case TagRotation:
		return &h.Rotation
	case TagFlows:
		return &h.Flows
	case TagLost:
		return &h.Lost
	case TagMisordered:
		return &h.Misordered
	case TagCorrupt:
		return &h.Corrupt
	case TagResets:
		return &h.Resets
	}
	return nil
}
