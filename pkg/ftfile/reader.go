package ftfile

import (
	"bufio"
	stdzlib "compress/zlib"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"

	"github.com/klauspost/compress/zlib"

	"flowtools/pkg/flow"
)

// aheadSlabs is how many batches are inflated ahead of the consumer.
const aheadSlabs = 4

// Damage says where a stream became unreadable behind its header. All whole
// records before that place were delivered.
type Damage struct {
	Records uint64 // records delivered
	Err     error  // io.ErrUnexpectedEOF for a cut stream, else the decoder's or reader's error
	partial string // kind of record that is there in part, "" if none is
}

// Error returns the warning text of the tools.
func (d *Damage) Error() string {
	switch {
	case d.partial != "" && errors.Is(d.Err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("Warning, partial %s before EOF (after %d records)", d.partial, d.Records)
	case errors.Is(d.Err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("Warning, stream is cut (after %d records)", d.Records)
	}
	return fmt.Sprintf("%v (after %d records)", d.Err, d.Records)
}

// Unwrap returns the cause.
func (d *Damage) Unwrap() error { return d.Err }

// Reader reads the records of one stream. It is for one goroutine; a
// compressed stream is inflated ahead in another one that the Reader owns.
type Reader struct {
	header *Header
	layout *flow.Layout
	src    source

	started bool
	free    chan *slab
	filled  chan *slab
	stop    chan struct{}
	closing sync.Once
	serial  *slab
	err     error
}

// NewReader reads the header of the stream in r. An error is one of
// [ReadHeader] or names the record version that is not supported; both are
// returned with the header when it could be read.
func NewReader(r io.Reader) (*Reader, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return nil, err
	}
	return NewReaderHeader(r, h)
}

// NewReaderHeader is NewReader for a stream whose header was read already.
func NewReaderHeader(r io.Reader, h *Header) (*Reader, error) {
	l, err := h.Layout()
	if err != nil {
		return nil, err
	}
	rd := &Reader{header: h, layout: l, stop: make(chan struct{})}
	rd.src = source{in: r, size: flow.SlabSize, raw: l.Size, layout: l, order: h.Order()}
	if h.Stream == 1 {
		wire := flow.MustLayout(flow.Version{Export: 1}, h.Order(), lineV1)
		rd.src.raw, rd.src.plan = wire.Size, flow.NewPlan(l, wire, 0)
	}
	rd.src.compressed = h.Flags&FlagCompress != 0
	return rd, nil
}

// Header returns the header; the caller may not change it.
func (r *Reader) Header() *Header { return r.header }

// Layout returns the layout of the records.
func (r *Reader) Layout() *flow.Layout { return r.layout }

// SetBuffer makes batches of about n octets, read n octets at a time, in place
// of [flow.SlabSize]: for programs that read very many streams at once. It must
// come before Ahead and the first Next.
func (r *Reader) SetBuffer(n int) { r.src.size = max(n, 1024) }

// Batches yields the records in stream order, in little-endian order. A batch
// is valid until the next turn and may be changed in place. It yields what a
// read returned, in whole records, and does not wait for a full batch. After
// the loop ask [Reader.Err]; after leaving it early call [Reader.Close].
func (r *Reader) Batches() iter.Seq[*flow.Batch] {
	return func(yield func(*flow.Batch) bool) {
		for b := r.Next(); b != nil; b = r.Next() {
			if !yield(b) {
				return
			}
		}
	}
}

// Next returns the next batch, or nil at the end; see [Reader.Batches].
func (r *Reader) Next() *flow.Batch {
	if !r.src.compressed {
		if r.serial == nil {
			r.serial = newSlab(&r.src)
		}
		return r.take(r.serial)
	}
	if !r.started {
		r.Ahead(aheadSlabs)
	}
	if r.serial != nil {
		r.free <- r.serial
	}
	r.serial = <-r.filled
	if r.serial == nil {
		r.err = r.src.damage()
		return nil
	}
	return &r.serial.batch
}

func (r *Reader) take(s *slab) *flow.Batch {
	if !r.src.fill(s) {
		r.err = r.src.damage()
		return nil
	}
	return &s.batch
}

// Ahead starts to inflate a compressed stream, up to n batches ahead of Next. Without it the first Next does so.
func (r *Reader) Ahead(n int) {
	if r.started || !r.src.compressed {
		return
	}
	r.started = true
	r.free, r.filled = make(chan *slab, n), make(chan *slab, n)
	go func() {
		defer close(r.filled)
		for made := 0; ; {
			var s *slab
			select {
			case s = <-r.free:
			case <-r.stop:
				return
			default:
				if made < n {
					s = newSlab(&r.src)
					made++
					break
				}
				select {
				case s = <-r.free:
				case <-r.stop:
					return
				}
			}
			if !r.src.fill(s) {
				return
			}
			select {
			case r.filled <- s:
			case <-r.stop:
				return
			}
		}
	}()
}

// Err returns nil after a stream that ended well, else a [*Damage].
func (r *Reader) Err() error { return r.err }

// Close stops the work ahead of a stream that is not read to its end. It does
// not close the underlying reader. A goroutine waiting for that reader ends
// when the read returns.
func (r *Reader) Close() error {
	r.closing.Do(func() { close(r.stop) })
	return nil
}

// slab is a batch with the memory it was read into.
type slab struct {
	batch flow.Batch
	mem   []byte // as read
	conv  []byte // records converted from stream version 1
}

func newSlab(s *source) *slab {
	// Room for the records of a batch and for those held back.
	n := (s.size/s.raw + 2) * s.raw
	b := &slab{mem: make([]byte, n), batch: flow.Batch{Layout: s.layout}}
	if s.plan != nil {
		b.conv = make([]byte, n/s.raw*s.layout.Size)
	}
	return b
}

// source turns the bytes behind a header into whole records.
type source struct {
	in         io.Reader
	size       int // octets of a batch, roughly, and of a read of compressed data
	compressed bool
	raw        int // octets of a record in the stream
	layout     *flow.Layout
	order      flow.Order
	plan       *flow.Plan // stream version 1 to 3

	zr    io.Reader // inflater, made by the first fill
	buf   *bufio.Reader
	start int64 // offset of the compressed data, -1 where the input cannot seek
	total int64 // octets decoded
	carry []byte
	ended bool
	err   error
	count uint64
}

// damage returns nil or the Damage of a stream that is at its end.
func (s *source) damage() error {
	if s.err == nil {
		return nil
	}
	d := &Damage{Records: s.count, Err: s.err}
	switch {
	case len(s.carry) == 0:
	case s.compressed:
		d.partial = "inflated record"
	default:
		d.partial = "record"
	}
	return d
}

// fill reads the next records into b; false at the end.
func (s *source) fill(b *slab) bool {
	if s.ended {
		return false
	}
	n := copy(b.mem, s.carry)
	s.carry = s.carry[:0]
	// Compat: a wrong checksum costs the last record even if the data are whole
	// (stream-format.md section 8), so a record is only sure when an octet after it was decoded.
	need := s.raw
	if s.compressed {
		need++
	}
	for !s.ended && (n < need || s.more() && n < len(b.mem)) {
		m, err := s.read(b.mem[n:])
		n += m
		s.total += int64(m)
		if err != nil {
			s.ended, s.err = true, err
		}
	}
	whole := n / s.raw
	switch {
	case !s.ended && s.compressed:
		whole = (n - 1) / s.raw
	case errors.Is(s.err, io.EOF):
		s.err = nil
		if n%s.raw != 0 {
			s.err = io.ErrUnexpectedEOF
		}
	case errors.Is(s.err, zlib.ErrChecksum) && n > 0:
		whole = (n - 1) / s.raw
		n = whole * s.raw
	case s.compressed && errors.Is(s.err, io.ErrUnexpectedEOF):
		if extra := s.recover(b.mem[n:]); extra > 0 {
			n += extra
			whole = n / s.raw
		}
	}
	s.carry = append(s.carry, b.mem[whole*s.raw:n]...)
	s.count += uint64(whole)
	s.convert(b, whole)
	return whole > 0
}

// more reports whether decoding can go on without waiting for input.
func (s *source) more() bool { return s.buf != nil && s.buf.Buffered() > 0 }

func (s *source) read(p []byte) (int, error) {
	if !s.compressed {
		n, err := s.in.Read(p)
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read(): %w", Reason(err))
		}
		return n, err
	}
	if s.zr == nil {
		s.start = -1
		if seeker, ok := s.in.(io.Seeker); ok {
			if at, err := seeker.Seek(0, io.SeekCurrent); err == nil {
				s.start = at
			}
		}
		s.buf = bufio.NewReaderSize(s.in, s.size) // klauspost's inflater has a fast path for it
		zr, err := zlib.NewReader(s.buf)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, inflateError(err)
		}
		s.zr = zr
	}
	n, err := s.zr.Read(p)
	return n, inflateError(err)
}

func inflateError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fmt.Errorf("inflate(): failed: %w", err)
}

// recover decodes a cut stream again with the standard library, which needs no
// look-ahead at the end and so may find a few octets more. It returns how many
// octets beyond those decoded it put into p.
func (s *source) recover(p []byte) int {
	if s.start < 0 {
		return 0
	}
	if _, err := s.in.(io.Seeker).Seek(s.start, io.SeekStart); err != nil {
		return 0
	}
	zr, err := stdzlib.NewReader(bufio.NewReaderSize(s.in, s.size))
	if err != nil {
		return 0
	}
	if n, err := io.CopyN(io.Discard, zr, s.total); err != nil || n != s.total {
		return 0
	}
	n, _ := io.ReadFull(zr, p)
	return n
}

// convert makes the first n records of b.mem the batch, in little-endian order
// and stream version 3.
func (s *source) convert(b *slab, n int) {
	records := b.mem[:n*s.raw]
	if s.plan != nil {
		out := b.conv[:n*s.layout.Size]
		s.plan.Run(out, records, n, nil)
		b.batch.SetBytes(out)
		for r := range b.batch.All() { // the stream has milliseconds
			s.layout.PutUint(r, flow.UnixNsecs, s.layout.Uint(r, flow.UnixNsecs)*1e6)
		}
		return
	}
	if s.order == flow.BigEndian {
		s.layout.SwapOrder(records)
	}
	b.batch.SetBytes(records)
}

// The record of stream version 1, 60 octets for every record version; the
// second word is milliseconds, the pads are unused, three retransmission
// counters, and drops.
const lineV1 = "unix_secs unix_nsecs srcaddr dstaddr nexthop input output dpkts doctets first last " +
	"srcport dstport -2 prot tos tcp_flags -3 src_as dst_as src_mask dst_mask -2"
