// Package importer reads flow records from foreign formats: the sources of
// flow-import.
package importer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"flowtools/internal/clib"
	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

// A Source yields records. It is for one goroutine.
type Source interface {
	// Read appends records to b, at most about as many as fit flow.SlabSize, and
	// fewer when the input would have to be waited for. It returns nil when there
	// may be more, else an *End; records can come with either.
	Read(b *flow.Batch) error
}

// End is how a source ended. Every format has statuses of its own, that of a
// good end included, and scripts know them.
type End struct {
	Status int
	Err    error // nil when all is well
}

func (e *End) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("end of input, status %d", e.Status)
	}
	return e.Err.Error()
}

// Unwrap returns the cause.
func (e *End) Unwrap() error { return e.Err }

func end(status int, format string, args ...any) error {
	return &End{Status: status, Err: fmt.Errorf(format, args...)}
}

// endOfInput is the end when reading gave err: io.EOF is a good one.
func endOfInput(status int, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &End{Status: status}
	}
	return end(status, "read(): %w", err)
}

// Options is what a source is opened with.
type Options struct {
	Layout  *flow.Layout // of the records to make
	Mask    *export.Mask // -m; nil without it
	Resolve clib.Resolver
	Warn    func(format string, args ...any)
	Trace   func(format string, args ...any) // nil unless -d
}

// Opener opens a source.
type Opener func(in io.Reader, o *Options) (Source, error)

// Format is one row of the list of formats.
type Format struct {
	Number int // -1 for those that the original did not have
	Name   string
	Help   string
	Open   Opener
}

// Formats returns the formats of flow-import, numbered ones first.
func Formats() []Format {
	return []Format{
		{0, "cflowd", "cflowd records (default)", Cflowd},
		{1, "pcap", "not implemented", pcap},
		{2, "csv", "ASCII, values separated by commas", CSV},
		{3, "nfc", "Cisco NFCollector, ASCII", NFCollector},
		{4, "wire", "NetFlow PDUs", Wire},
		{-1, "json", "one JSON object a line", JSON},
	}
}

func pcap(io.Reader, *Options) (Source, error) { return nil, end(255, "Not implemented") }

const bufferSize = 64 << 10

// fill calls next, which appends one record or ends, until b is full or the
// input has to be waited for.
func fill(b *flow.Batch, in *bufio.Reader, next func() error) error {
	for limit := flow.SlabSize / b.Layout.Size; b.Len() < limit; {
		if err := next(); err != nil {
			return err
		}
		if in.Buffered() == 0 {
			break
		}
	}
	return nil
}

// add appends a record of zeros and returns it.
func add(b *flow.Batch) flow.Record {
	r := flow.Record(b.Extend(1))
	clear(r)
	return r
}

// lines reads lines of any length; of those above lineLimit the rest is left out.
type lines struct {
	in   *bufio.Reader
	long []byte
}

const lineLimit = 1 << 20

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, bufferSize)} }

// next returns the next line without its end, LF or CR LF, and whether it had
// one. The line is valid until the following call.
func (l *lines) next() (line []byte, whole bool, err error) {
	line, err = l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		l.long = l.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			l.long = append(l.long, line[:min(len(line), max(0, lineLimit-len(l.long)))]...)
			line, err = l.in.ReadSlice('\n')
		}
		whole = err == nil
		l.long = append(l.long, line...)
		line = l.long
	} else {
		whole = err == nil
	}
	if len(line) == 0 && err != nil {
		return nil, false, err
	}
	if whole {
		line = line[:len(line)-1]
	}
	if n := len(line); whole && n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	return line, whole, nil
}

// column is where a value of a line goes.
type column struct {
	field flow.Field
	addr  bool
}

// values reads the texts of values.
type values struct {
	layout  *flow.Layout
	resolve clib.Resolver
	base    int // of numbers, 0 for C notation
	names   map[string]uint32
}

func newValues(o *Options, base int) *values {
	return &values{layout: o.Layout, resolve: o.Resolve, base: base}
}

// put sets the field of c in r. Fields that the records lack are dropped.
func (v *values) put(r flow.Record, c column, text []byte) {
	if c.addr {
		v.layout.PutUint(r, c.field, uint64(v.address(text)))
	} else {
		v.layout.PutUint(r, c.field, v.number(text))
	}
}

// number is strtoul; plain decimal numbers, nearly all there are, go the short way.
func (v *values) number(text []byte) uint64 {
	if n := len(text); n > 0 && n < 19 && (text[0] != '0' || n == 1 || v.base == 10) {
		var x uint64
		for i := 0; ; i++ {
			if i == n {
				return x
			}
			d := text[i] - '0'
			if d > 9 {
				break
			}
			x = x*10 + uint64(d)
		}
	}
	x, _ := clib.Strtoul(string(text), v.base)
	return x
}

// address reads octets with dots between them, the short way when there is
// nothing else.
func (v *values) address(text []byte) uint32 {
	var (
		a     uint32
		octet byte
		dots  int
	)
	for _, c := range text {
		switch {
		case c-'0' <= 9:
			octet = octet*10 + c - '0'
		case c == '.':
			a = a<<8 | uint32(octet)
			octet = 0
			dots++
		default:
			return v.oddAddress(string(text))
		}
	}
	if dots != 3 {
		return clib.IPv4(string(text))
	}
	return a<<8 | uint32(octet)
}

// nameLimit bounds the memory of names looked up.
const nameLimit = 1 << 16

// oddAddress reads a text with other characters, which may be a host name.
func (v *values) oddAddress(text string) uint32 {
	if a, ok := v.names[text]; ok {
		return a
	}
	a, _ := clib.Addr(text, v.resolve)
	if v.names == nil || len(v.names) >= nameLimit {
		v.names = make(map[string]uint32)
	}
	v.names[text] = a
	return a
}

// columnsOf makes the columns for fields.
func columnsOf(fields []flow.Field) []column {
	cols := make([]column, len(fields))
	for i, f := range fields {
		cols[i] = column{field: f, addr: f.Info().Kind == flow.Addr}
	}
	return cols
}

// blank reports whether c is white space to C.
func blank(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

// firstByte returns the first byte of a line that is not white space, 0 if there
// is none.
func firstByte(line []byte) byte {
	if i := bytes.IndexFunc(line, func(r rune) bool { return r > 0x7f || !blank(byte(r)) }); i >= 0 {
		return line[i]
	}
	return 0
}
