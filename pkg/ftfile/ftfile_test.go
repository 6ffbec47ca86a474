package ftfile_test

import (
	"bytes"
	stdzlib "compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// read returns the records of a stream and what was wrong with it.
func read(t testing.TB, r io.Reader) ([]byte, error) {
	t.Helper()
	in, err := ftfile.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for b := range in.Batches() {
		all = append(all, b.Bytes()...)
	}
	return all, in.Err()
}

// What is written is read back, for every version, order, level and number of
// deflating goroutines, however the reads are cut.
func TestRoundTrip(t *testing.T) {
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		for _, order := range []flow.Order{flow.LittleEndian, flow.BigEndian} {
			for _, n := range []int{0, 1, 600, 1800} {
				want := flowtest.Random(l, n, uint64(n))
				if v.Export == 1005 { // tags of streams in foreign order keep 16 bits
					for r := range want.All() {
						l.PutUint(r, flow.SrcTag, l.Uint(r, flow.SrcTag)&0xffff)
						l.PutUint(r, flow.DstTag, l.Uint(r, flow.DstTag)&0xffff)
					}
				}
				levels := []int{0, 6}
				if v.Export == 5 {
					levels = []int{0, 1, 6, 9}
				}
				for _, level := range levels {
					for _, jobs := range []int{1, 3} {
						h := ftfile.NewHeader(v, ftfile.FlagStreaming)
						h.OrderByte = byte(order)
						var out bytes.Buffer
						w, err := ftfile.NewWriter(&out, h, ftfile.Level(level), ftfile.Parallel(jobs))
						if err != nil {
							t.Fatal(err)
						}
						for i := range min(n, 100) { // some one by one, the rest in one batch
							if err := w.WriteRecord(want.At(i)); err != nil {
								t.Fatal(err)
							}
						}
						if n > 100 {
							rest := flow.Batch{Layout: l}
							rest.SetBytes(want.Bytes()[100*l.Size:])
							if err := w.Write(&rest); err != nil {
								t.Fatal(err)
							}
						}
						if err := w.Close(); err != nil {
							t.Fatal(err)
						}
						name := fmt.Sprintf("%v %v n=%d level %d jobs %d", v, order, n, level, jobs)
						for cut, r := range map[string]io.Reader{
							"whole": bytes.NewReader(out.Bytes()), "halves": iotest.HalfReader(bytes.NewReader(out.Bytes())),
							"one": iotest.OneByteReader(bytes.NewReader(out.Bytes())),
						} {
							if cut == "one" && n > 600 {
								continue
							}
							got, err := read(t, r)
							if err != nil || !bytes.Equal(got, want.Bytes()) {
								t.Fatalf("%s, read %s: %d octets, want %d, error %v", name, cut, len(got), len(want.Bytes()), err)
							}
						}
					}
				}
			}
		}
	}
}

// The worked example of stream-format.md, and its big-endian form.
func TestHeaderBytes(t *testing.T) {
	h := ftfile.NewHeader(flow.Version{Export: 5}, ftfile.FlagStreaming)
	h.Hostname, h.Comments = "flow-gen", "flow-gen"
	h.Mark(ftfile.TagHostname, ftfile.TagComments)
	for order, want := range map[flow.Order]string{
		flow.LittleEndian: "cf100103300000000200020005000800040008000000" + "0f000900666c6f772d67656e00" + "10000900666c6f772d67656e00",
		flow.BigEndian:    "cf100203000000300002000200050008000400000008" + "000f0009666c6f772d67656e00" + "00100009666c6f772d67656e00",
	} {
		h.OrderByte = byte(order)
		got, err := h.Append(nil)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%v: %x, error %v", order, got, err)
		}
	}
	v8, err := ftfile.NewHeader(flow.Version{Export: 8, Agg: 3}, 0).Append(nil)
	if want := "cf100103200000000200020008000300010002040001000308000400000000000000"; err != nil || hex.EncodeToString(v8) != want[:64] {
		t.Errorf("8.3: %x, error %v", v8, err)
	}
}

func TestHeaderRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	vs := flow.Versions()
	for range 500 {
		h := ftfile.NewHeader(vs[rng.IntN(len(vs))], ftfile.Flags(rng.Uint32()))
		h.OrderByte = byte(1 + rng.IntN(2))
		h.Exporter, h.Start, h.End, h.Rotation = rng.Uint32(), rng.Uint32(), rng.Uint32(), rng.Uint32()
		h.Flows, h.Lost, h.Misordered, h.Corrupt, h.Resets = rng.Uint32(), rng.Uint32(), rng.Uint32(), rng.Uint32(), rng.Uint32()
		h.Hostname, h.Comments = strings.Repeat("h", rng.IntN(50)), strings.Repeat("é\n", rng.IntN(5000))
		h.Mark(ftfile.TagExporter, ftfile.TagStart, ftfile.TagEnd, ftfile.TagRotation, ftfile.TagFlows, ftfile.TagLost,
			ftfile.TagMisordered, ftfile.TagCorrupt, ftfile.TagResets, ftfile.TagHostname, ftfile.TagComments)
		p, err := h.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ftfile.ReadHeader(bytes.NewReader(append(p, "more"...)))
		if err != nil {
			t.Fatal(err)
		}
		want := *h
		want.Size = len(p)
		if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(ftfile.Header{})); diff != "" {
			t.Fatal(diff)
		}
		again, err := got.Append(nil)
		if err != nil || !bytes.Equal(p, again) {
			t.Fatalf("written again: %x, %x", p, again)
		}
	}
}

// With only the version, the flags and a comment, 16357 characters fit.
func TestHeaderLimit(t *testing.T) {
	h := ftfile.NewHeader(flow.Version{Export: 5}, 0)
	h.Mark(ftfile.TagComments)
	for n, want := range map[int]error{0: nil, 16357: nil, 16358: ftfile.ErrHeaderSize, 70000: ftfile.ErrHeaderSize} {
		h.Comments = strings.Repeat("c", n)
		if _, err := h.Append(nil); !errors.Is(err, want) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestReadHeaderErrors(t *testing.T) {
	for _, tc := range []struct {
		hex  string
		want string
	}{
		{"", ftfile.ErrShortTop.Error()},
		{"cf1001", ftfile.ErrShortTop.Error()},
		{"cf110103", ftfile.ErrMagic.Error()},
		{"cf100102", "Stream format must be 1 or 3, not 2"},
		{"cf1001031800", ftfile.ErrShortOffset.Error()},
		{"cf10010307000000", ftfile.ErrShort.Error()},
		{"cf1001031800000002000200", ftfile.ErrShort.Error()},
		{"cf100103ffffffff02000200", ftfile.ErrShort.Error()},
		{"cf100101" + strings.Repeat("00", 300), ftfile.ErrShort.Error()},
	} {
		p, _ := hex.DecodeString(tc.hex)
		if _, err := ftfile.ReadHeader(bytes.NewReader(p)); err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v", tc.hex, err)
		}
	}
	for _, tc := range []struct{ hex, want string }{
		{"cf10010308000000", "Unsupported d_version 0"},
		{"cf1001030e000000020002000900", "Unsupported d_version 9"},
		{"cf1001030e000000020002000800", "Unsupported agg_version 0"},
		{"cf1001031800000002000200080003000100020400010010", "Unsupported agg_method 16"},
	} {
		p, _ := hex.DecodeString(tc.hex)
		h, err := ftfile.ReadHeader(bytes.NewReader(p))
		if err != nil {
			t.Fatalf("%s: %v", tc.hex, err)
		}
		if _, err := h.Layout(); err == nil || err.Error() != tc.want {
			t.Errorf("%s: %v", tc.hex, err)
		}
	}
}

// Parsing stops at a length past the end, and takes integers at their own size.
func TestReadHeaderOddFields(t *testing.T) {
	p, _ := hex.DecodeString("cf10010322000000" + "02000200" + "0500" + "99000100" + "ff" + "06000100" + "2a" + "0a000400" + "03000000" + "0b00ffff")
	p[4] = byte(len(p))
	h, err := ftfile.ReadHeader(bytes.NewReader(p))
	if err != nil {
		t.Fatal(err)
	}
	// The length 1 of the start time only places the next field; the value is
	// read at its own size, reaching into that.
	if h.Version.Export != 5 || h.Start != 0x04000a2a {
		t.Errorf("start %#x", h.Start)
	}
	if h.Flows != 3 || !h.Has(ftfile.TagFlows) || h.Has(ftfile.TagLost) {
		t.Errorf("flows %d, lost present %v", h.Flows, h.Has(ftfile.TagLost))
	}
}

// A stream of version 1 presents its records as version 3 ones.
func TestStreamVersion1(t *testing.T) {
	for _, order := range []struct {
		binary.ByteOrder
		mark byte
	}{{binary.LittleEndian, 1}, {binary.BigEndian, 2}} {
		for _, version := range []uint16{1, 5, 0xFFFF} {
			p := make([]byte, 360+2*60)
			copy(p, []byte{0xCF, 0x10, order.mark, 1})
			order.PutUint16(p[4:], version)
			order.PutUint32(p[8:], 1000)
			order.PutUint32(p[24:], 2)
			copy(p[36:], "host")
			for i := range 2 {
				r := p[360+60*i:]
				order.PutUint32(r[0:], 1700000000)
				order.PutUint32(r[4:], 123)
				order.PutUint32(r[8:], 0x0a000001)
				order.PutUint16(r[40:], uint16(80+i))
				r[46], r[48] = 6, 0x12
				order.PutUint16(r[52:], 64512)
				r[56] = 24
			}
			in, err := ftfile.NewReader(bytes.NewReader(p))
			if err != nil {
				t.Fatal(err)
			}
			h, l := in.Header(), in.Layout()
			if h.Start != 1000 || h.Has(ftfile.TagStart) || h.Hostname != "host" || !h.Has(ftfile.TagRotation) {
				t.Errorf("header %+v", h)
			}
			if got := h.Flags&ftfile.FlagXlate != 0; got != (order.mark == 1) {
				t.Errorf("translated: %v", got)
			}
			n := 0
			for b := range in.Batches() {
				for r := range b.All() {
					want := map[flow.Field]uint64{
						flow.UnixSecs: 1700000000, flow.UnixNsecs: 123e6, flow.SrcAddr: 0x0a000001, flow.SrcPort: uint64(80 + n),
						flow.Prot: 6, flow.TCPFlags: 0x12,
					}
					if l.Version.Export == 5 {
						want[flow.SrcAS], want[flow.SrcMask] = 64512, 24
					}
					for f := range l.Fields.All() {
						if got := l.Uint(r, f); got != want[f] {
							t.Errorf("version %d %v: %d, want %d", version, f, got, want[f])
						}
					}
					n++
				}
			}
			if n != 2 || in.Err() != nil {
				t.Errorf("%d records, %v", n, in.Err())
			}
		}
	}
	p := make([]byte, 360)
	copy(p, []byte{0xCF, 0x10, 1, 1, 7})
	if _, err := ftfile.NewReader(bytes.NewReader(p)); err == nil {
		t.Error("record version 7 in a stream of version 1 is read")
	}
}

// A plain stream cut anywhere yields its whole records, with a warning where
// one is incomplete.
func TestCutPlain(t *testing.T) {
	l := flowtest.Layout(8, 5)
	b := flowtest.Random(l, 20, 1)
	stream := flowtest.Stream(b)
	data := len(stream) - len(b.Bytes())
	for n := data; n <= len(stream); n++ {
		got, err := read(t, bytes.NewReader(stream[:n]))
		whole := (n - data) / l.Size * l.Size
		var damage *ftfile.Damage
		if !bytes.Equal(got, b.Bytes()[:whole]) || errors.As(err, &damage) != (whole != n-data) {
			t.Fatalf("cut at %d: %d octets, %v", n, len(got), err)
		}
	}
}

// A compressed stream cut anywhere yields every record that the standard
// library's inflater can decode.
func TestCutCompressed(t *testing.T) {
	l := flowtest.Layout(5, 0)
	b := flowtest.Traffic(l, 250, 3)
	for _, level := range []int{1, 6} {
		stream := flowtest.Stream(b, ftfile.Level(level))
		data := bytes.Index(stream, []byte{0x78, map[int]byte{1: 0x01, 6: 0x9c}[level]})
		for n := data; n < len(stream); n += 3 + n%5 {
			want := 0
			if zr, err := stdzlib.NewReader(bytes.NewReader(stream[data:n])); err == nil {
				plain, _ := io.ReadAll(zr)
				want = len(plain) / l.Size * l.Size
			}
			got, err := read(t, bytes.NewReader(stream[:n]))
			if len(got) < want || !bytes.HasPrefix(b.Bytes(), got) || err == nil {
				t.Fatalf("level %d cut at %d: %d records, want %d, %v", level, n, len(got)/l.Size, want/l.Size, err)
			}
		}
		got, err := read(t, bytes.NewReader(append(stream, "trailing bytes"...)))
		if err != nil || !bytes.Equal(got, b.Bytes()) {
			t.Errorf("trailing bytes: %d octets, %v", len(got), err)
		}
	}
}

// A wrong checksum costs the last record; one flipped bit anywhere never more
// than what follows it, and never a record that is not there.
func TestDamagedCompressed(t *testing.T) {
	l := flowtest.Layout(5, 0)
	b := flowtest.Traffic(l, 300, 4)
	stream := flowtest.Stream(b, ftfile.Level(6))
	bad := bytes.Clone(stream)
	bad[len(bad)-1] ^= 1
	got, err := read(t, bytes.NewReader(bad))
	if want := b.Bytes()[:299*l.Size]; !bytes.Equal(got, want) || err == nil {
		t.Errorf("wrong checksum: %d records, %v", len(got)/l.Size, err)
	}
	data := bytes.Index(stream, []byte{0x78, 0x9c})
	for at := data; at < len(stream); at += 3 {
		bad := bytes.Clone(stream)
		bad[at] ^= 1 << (at % 8)
		got, err := read(t, bytes.NewReader(bad))
		if len(got)%l.Size != 0 || err == nil && !bytes.Equal(got, b.Bytes()) { // the padding of the last block may flip
			t.Fatalf("bit of octet %d flipped: %d octets, %v", at, len(got), err)
		}
	}
}

func TestReadError(t *testing.T) {
	l := flowtest.Layout(5, 0)
	b := flowtest.Random(l, 10, 1)
	stream := flowtest.Stream(b)
	broken := errors.New("broken disk")
	got, err := read(t, io.MultiReader(bytes.NewReader(stream[:len(stream)-32]), iotest.ErrReader(broken)))
	if !bytes.Equal(got, b.Bytes()[:9*l.Size]) || !errors.Is(err, broken) {
		t.Errorf("%d octets, %v", len(got), err)
	}
}

// Compat: goldens stream/*: an error exit leaves c*floor((n-1)/c) records.
func TestBufferedRecords(t *testing.T) {
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		c := 32768 / l.Size
		for _, n := range []int{1, c - 1, c, c + 1, 3*c - 1, 3 * c, 3*c + 1} {
			for _, batch := range []int{1, 100, c, n} {
				var out bytes.Buffer
				w, err := ftfile.NewWriter(&out, ftfile.NewHeader(v, 0))
				if err != nil {
					t.Fatal(err)
				}
				head := out.Len()
				all := flowtest.Random(l, n, 1)
				for i := 0; i < n; i += batch {
					part := flow.Batch{Layout: l}
					part.SetBytes(all.Bytes()[i*l.Size : min(n, i+batch)*l.Size])
					if err := w.Write(&part); err != nil {
						t.Fatal(err)
					}
				}
				if got, want := out.Len()-head, (n-1)/c*c*l.Size; got != want || !bytes.Equal(out.Bytes()[head:], all.Bytes()[:got]) {
					t.Errorf("%v: %d records in batches of %d: %d octets written, want %d", v, n, batch, got, want)
				}
			}
		}
	}
}

func TestFinish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ft")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	b := flowtest.Random(flowtest.Layout(5, 0), 100, 1)
	h := ftfile.NewHeader(b.Layout.Version, ftfile.FlagStreaming)
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows)
	w, err := ftfile.NewWriter(f, h, ftfile.Level(6))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	h.Start, h.End, h.Flows, h.Flags = 10, 20, 100, ftfile.FlagDone
	if err := w.Finish(h); err != nil {
		t.Fatal(err)
	}
	if pos, _ := f.Seek(0, io.SeekCurrent); pos == int64(h.Size) || pos == 0 {
		t.Errorf("position %d after Finish", pos)
	}
	h.Mark(ftfile.TagComments)
	if err := w.Finish(h); err == nil {
		t.Error("a header of another size is written over the first")
	}
	f.Close()
	p, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ftfile.ReadHeader(bytes.NewReader(p))
	if err != nil || got.Start != 10 || got.End != 20 || got.Flows != 100 || got.Flags != ftfile.FlagDone|ftfile.FlagCompress {
		t.Errorf("%+v, %v", got, err)
	}
	if records, err := read(t, bytes.NewReader(p)); err != nil || !bytes.Equal(records, b.Bytes()) {
		t.Errorf("%d octets, %v", len(records), err)
	}
}

// After Sync everything written can be decoded, whatever happens next.
func TestSync(t *testing.T) {
	l := flowtest.Layout(5, 0)
	b := flowtest.Traffic(l, 700, 1)
	for _, level := range []int{0, 6} {
		var out bytes.Buffer
		w, err := ftfile.NewWriter(&out, ftfile.NewHeader(l.Version, 0), ftfile.Level(level))
		if err != nil {
			t.Fatal(err)
		}
		for turn := 1; turn <= 3; turn++ {
			if err := w.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
			got, _ := read(t, bytes.NewReader(out.Bytes()))
			if len(got) != turn*700*l.Size {
				t.Errorf("level %d: %d records after %d syncs", level, len(got)/l.Size, turn)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// A full disk is reported, by Close at the latest, and nothing hangs.
func TestWriteError(t *testing.T) {
	full := errors.New("no space left on device")
	b := flowtest.Random(flowtest.Layout(5, 0), 5000, 1)
	for _, level := range []int{0, 1, 6} {
		for _, room := range []int{0, 24, 1000, 40000, 200000} {
			w, err := ftfile.NewWriter(&failing{room, full}, ftfile.NewHeader(b.Layout.Version, 0), ftfile.Level(level), ftfile.Parallel(2))
			if err == nil {
				for range 5 {
					if werr := w.Write(b); werr != nil {
						err = werr
					}
				}
				err = errors.Join(err, w.Close())
			}
			if !errors.Is(err, full) {
				t.Errorf("level %d, room for %d: %v", level, room, err)
			}
		}
	}
}

// Writers that share their deflaters write what they would write alone, as far
// as a reader can tell.
func TestShared(t *testing.T) {
	l := flowtest.Layout(5, 0)
	for _, jobs := range []int{1, 3} {
		shared := ftfile.NewDeflaters(6, jobs)
		var outs [20]bytes.Buffer
		var writers [20]*ftfile.Writer
		for i := range writers {
			w, err := ftfile.NewWriter(&outs[i], ftfile.NewHeader(l.Version, 0), ftfile.Shared(shared))
			if err != nil {
				t.Fatal(err)
			}
			writers[i] = w
		}
		all := flowtest.Traffic(l, 20000, 1)
		for i, r := range enumerate(all) {
			if err := writers[min(i%40, 19)].WriteRecord(r); err != nil {
				t.Fatal(err)
			}
		}
		for _, w := range writers {
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		shared.Close()
		for k := range outs {
			var want []byte
			for i, r := range enumerate(all) {
				if min(i%40, 19) == k {
					want = append(want, r...)
				}
			}
			got, err := read(t, &outs[k])
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d jobs, stream %d: %d records, want %d, %v", jobs, k, len(got)/l.Size, len(want)/l.Size, err)
			}
		}
	}
}

func enumerate(b *flow.Batch) iter.Seq2[int, flow.Record] {
	return func(yield func(int, flow.Record) bool) {
		for i := range b.Len() {
			if !yield(i, b.At(i)) {
				return
			}
		}
	}
}

// An aborted stream stays as it is, and nothing of it keeps running.
func TestAbort(t *testing.T) {
	b := flowtest.Random(flowtest.Layout(5, 0), 5000, 1)
	before := runtime.NumGoroutine()
	for _, level := range []int{0, 6} {
		for _, jobs := range []int{1, 2} {
			var out bytes.Buffer
			w, err := ftfile.NewWriter(&out, ftfile.NewHeader(b.Layout.Version, 0), ftfile.Level(level), ftfile.Parallel(jobs))
			if err == nil {
				err = w.Write(b)
			}
			if err != nil {
				t.Fatal(err)
			}
			w.Abort()
			n := out.Len()
			if err := w.Write(b); err == nil {
				t.Error("written after Abort")
			}
			if err := w.Close(); err == nil || out.Len() != n {
				t.Errorf("level %d: %d octets more, %v", level, out.Len()-n, err)
			}
			w.Abort()
		}
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// After Close nothing is written, and nothing breaks.
func TestWriteAfterClose(t *testing.T) {
	b := flowtest.Random(flowtest.Layout(5, 0), 2000, 1)
	for _, level := range []int{0, 6} {
		var out bytes.Buffer
		w, err := ftfile.NewWriter(&out, ftfile.NewHeader(b.Layout.Version, 0), ftfile.Level(level))
		if err == nil {
			err = errors.Join(w.Write(b), w.Close(), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		n := out.Len()
		for range 3 {
			if w.Write(b) == nil || w.WriteRecord(b.At(0)) == nil || w.Flush() == nil || w.Sync() == nil {
				t.Error("written after Close")
			}
		}
		if err := w.Close(); err != nil || out.Len() != n {
			t.Errorf("%d octets more, %v", out.Len()-n, err)
		}
	}
}

// An empty compressed stream is the 8 octets of zlib's.
func TestEmptyCompressed(t *testing.T) {
	stream := flowtest.Stream(flow.NewBatch(flowtest.Layout(5, 0)), ftfile.Level(6))
	if want := "789c030000000001"; hex.EncodeToString(stream[24:]) != want {
		t.Errorf("%x", stream[24:])
	}
}

// Compressed streams begin with zlib's header for the level.
func TestZlibHeader(t *testing.T) {
	b := flowtest.Random(flowtest.Layout(5, 0), 3, 1)
	for level, want := range map[int]byte{1: 0x01, 2: 0x5e, 3: 0x5e, 4: 0x5e, 5: 0x5e, 6: 0x9c, 7: 0xda, 8: 0xda, 9: 0xda} {
		if s := flowtest.Stream(b, ftfile.Level(level)); s[24] != 0x78 || s[25] != want {
			t.Errorf("level %d: %x", level, s[24:26])
		}
	}
}

// Leaving a stream early ends the goroutine that inflates ahead.
func TestCloseEarly(t *testing.T) {
	b := flowtest.Random(flowtest.Layout(5, 0), 50000, 1)
	stream := flowtest.Stream(b, ftfile.Level(1))
	for range 20 {
		in, err := ftfile.NewReader(bytes.NewReader(stream))
		if err != nil {
			t.Fatal(err)
		}
		in.Ahead(8)
		in.Next()
		in.Close()
		in.Close()
	}
}

func TestNames(t *testing.T) {
	at := time.Date(2024, 1, 15, 9, 5, 0, 0, time.FixedZone("", -5*3600))
	for _, tc := range []struct {
		v    flow.Version
		want string
	}{
		{flow.Version{Export: 5}, "ft-v05.2024-01-15.090500-0500"},
		{flow.Version{Export: 8, Agg: 1}, "ft-v08m01.2024-01-15.090500-0500"},
		{flow.Version{Export: 1005}, "ft-v1005.2024-01-15.090500-0500"},
	} {
		if got := ftfile.Name(ftfile.PrefixDone, tc.v, at); got != tc.want {
			t.Error(got)
		}
	}
	for nesting, want := range map[int]string{
		0: "", 1: "2024", 2: "2024/2024-01", 3: "2024/2024-01/2024-01-15", -1: "2024-01-15", -2: "2024-01/2024-01-15", -3: "2024/2024-01/2024-01-15",
	} {
		if got := ftfile.Dir(nesting, at); got != want {
			t.Errorf("%d: %q", nesting, got)
		}
	}
}

// file writes a stream whose header says start.
func file(t *testing.T, path string, start uint32) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	h := ftfile.NewHeader(flow.Version{Export: 5}, ftfile.FlagDone)
	h.Start = start
	h.Mark(ftfile.TagStart)
	p, err := h.Append(nil)
	if err == nil {
		err = os.WriteFile(path, p, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestScan(t *testing.T) {
	dir := t.TempDir()
	for name, start := range map[string]uint32{
		"ft-b": 20, "ft-a": 30, "sub/ft-c": 10, "sub/deep/cf-d": 25, "tmp-open": 5, "other": 15, "a.": 1, "tmpdir/ft-e": 40, ".hidden": 50,
		ftfile.PrefixPrivate + "tmp-b": 2, "sub/" + ftfile.PrefixPrivate + "queue": 3, // never told of
	} {
		file(t, filepath.Join(dir, name), start)
	}
	os.WriteFile(filepath.Join(dir, "ft-bad"), []byte("not a flow file"), 0o644)
	os.Mkdir(filepath.Join(dir, "b."), 0o755)
	file(t, filepath.Join(dir, "b.", "ft-no"), 3)
	os.Symlink("ft-b", filepath.Join(dir, "ft-link"))

	names := func(s ftfile.Scanner) (got []string, warned []string) {
		s.Warn = func(text string) { warned = append(warned, strings.ReplaceAll(text, dir, "D")) }
		entries, err := s.Scan(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			got = append(got, strings.TrimPrefix(e.Path, dir+"/"))
		}
		return got, warned
	}
	got, warned := names(ftfile.Scanner{})
	if diff := cmp.Diff([]string{"sub/ft-c", "other", "ft-b", "ft-link", "sub/deep/cf-d", "ft-a", "tmpdir/ft-e", ".hidden"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{ftfile.ErrMagic.Error(), "ftiheader_read(D/ft-bad): Failed, ignoring file."}, warned); diff != "" {
		t.Error(diff)
	}
	got, _ = names(ftfile.Scanner{Open: true})
	if got[0] != "tmp-open" || len(got) != 9 {
		t.Errorf("open files too: %q", got)
	}
	got, warned = names(ftfile.Scanner{Capture: true})
	if diff := cmp.Diff([]string{"tmp-open", "sub/ft-c", "ft-b", "ft-link", "sub/deep/cf-d", "ft-a", "tmpdir/ft-e"}, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(strings.Join(warned, "\n"), "ignoring: other") {
		t.Errorf("%q", warned)
	}

	os.Symlink("nowhere", filepath.Join(dir, "ft-dangling"))
	if _, err := (&ftfile.Scanner{}).Scan(dir); err == nil || !strings.Contains(err.Error(), "stat(") {
		t.Errorf("dangling link: %v", err)
	}
	if entries, err := (&ftfile.Scanner{Lenient: true}).Scan(dir); err != nil || len(entries) != 8 {
		t.Errorf("dangling link: %d entries, %v", len(entries), err)
	}

	deep := t.TempDir()
	file(t, filepath.Join(deep, strings.Repeat("d/", 50), "ft-x"), 1)
	if _, err := (&ftfile.Scanner{}).Scan(deep); !errors.Is(err, ftfile.ErrDepth) {
		t.Errorf("depth: %v", err)
	}
}

// A directory whose names can be read and nothing else is not an empty one.
func TestScanNoEntry(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may enter any directory")
	}
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&ftfile.Scanner{}).Scan(dir); err == nil || err.Error() != "chdir("+dir+"): permission denied" {
		t.Error(err)
	}
}

// Whatever the bytes, reading ends without panic, gives whole records, and what
// was read is read again after being written.
func FuzzStream(f *testing.F) {
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		f.Add(flowtest.Stream(flowtest.Random(l, 3, 1)))
		f.Add(flowtest.Stream(flowtest.Random(l, 3, 1), ftfile.Level(6)))
	}
	v1 := make([]byte, 360+120)
	copy(v1, []byte{0xCF, 0x10, 2, 1, 0, 5})
	f.Add(v1)
	f.Fuzz(func(t *testing.T, p []byte) {
		in, err := ftfile.NewReader(bytes.NewReader(p))
		if err != nil {
			return
		}
		b := flow.NewBatch(in.Layout())
		for got := range in.Batches() {
			for r := range got.All() {
				b.Append(r)
			}
			if len(b.Bytes()) > 1<<20 {
				in.Close()
				break
			}
		}
		again, err := read(t, bytes.NewReader(flowtest.Stream(b)))
		if err != nil || !bytes.Equal(again, b.Bytes()) {
			t.Errorf("%d octets of %d, %v", len(again), len(b.Bytes()), err)
		}
	})
}

// Reading and writing do not allocate once they are under way.
func TestNoAllocations(t *testing.T) {
	l := flowtest.Layout(5, 0)
	all := flowtest.Traffic(l, 1000, 1)
	for _, order := range []flow.Order{flow.LittleEndian, flow.BigEndian} {
		for _, level := range []int{0, 1} {
			h := ftfile.NewHeader(l.Version, 0)
			h.OrderByte = byte(order)
			var stream bytes.Buffer
			w, err := ftfile.NewWriter(&stream, h, ftfile.Level(level))
			if err != nil {
				t.Fatal(err)
			}
			const runs = 300
			stream.Grow(3 * runs * len(all.Bytes()))
			write := func() {
				if w.Write(all) != nil || w.WriteRecord(all.At(0)) != nil {
					t.Fatal("not written")
				}
			}
			for range 100 { // buffers and blocks have their size then
				write()
			}
			// Compression goes on behind; a little may be its.
			if n := testing.AllocsPerRun(runs-100, write); n > 0 && level == 0 || n > 1 {
				t.Errorf("%v level %d: %v allocations a Write", order, level, n)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			in, err := ftfile.NewReader(&stream)
			if err != nil {
				t.Fatal(err)
			}
			next := func() {
				if in.Next() == nil {
					t.Fatal("the stream ends early")
				}
			}
			for range 20 {
				next()
			}
			if n := testing.AllocsPerRun(100, next); n > 0 {
				t.Errorf("%v level %d: %v allocations a Next", order, level, n)
			}
			in.Close()
		}
	}
}

const benchRecords = 200000

func benchRead(b *testing.B, level int) {
	all := flowtest.Traffic(flowtest.Layout(5, 0), benchRecords, 1)
	stream := flowtest.Stream(all, ftfile.Level(level))
	b.SetBytes(int64(len(all.Bytes())))
	b.ReportAllocs()
	for b.Loop() {
		in, err := ftfile.NewReader(bytes.NewReader(stream))
		if err != nil {
			b.Fatal(err)
		}
		for in.Next() != nil {
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}

func BenchmarkRead(b *testing.B)         { benchRead(b, 0) }
func BenchmarkReadInflate1(b *testing.B) { benchRead(b, 1) }
func BenchmarkReadInflate6(b *testing.B) { benchRead(b, 6) }

func benchWrite(b *testing.B, order flow.Order, opts ...ftfile.Option) {
	all := flowtest.Traffic(flowtest.Layout(5, 0), benchRecords, 1)
	h := ftfile.NewHeader(all.Layout.Version, ftfile.FlagStreaming)
	h.OrderByte = byte(order)
	per := flow.SlabSize / all.Layout.Size
	b.SetBytes(int64(len(all.Bytes())))
	b.ReportAllocs()
	for b.Loop() {
		w, err := ftfile.NewWriter(io.Discard, h, opts...)
		if err != nil {
			b.Fatal(err)
		}
		batch := flow.Batch{Layout: all.Layout}
		for i := 0; i < benchRecords; i += per {
			batch.SetBytes(all.Bytes()[i*64 : min(benchRecords, i+per)*64])
			if err := w.Write(&batch); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
}

func BenchmarkWrite(b *testing.B)         { benchWrite(b, flow.LittleEndian) }
func BenchmarkWriteBig(b *testing.B)      { benchWrite(b, flow.BigEndian) }
func BenchmarkWriteDeflate1(b *testing.B) { benchWrite(b, flow.LittleEndian, ftfile.Level(1)) }
func BenchmarkWriteDeflate6(b *testing.B) { benchWrite(b, flow.LittleEndian, ftfile.Level(6)) }
func BenchmarkWriteDeflate6x2(b *testing.B) {
	benchWrite(b, flow.LittleEndian, ftfile.Level(6), ftfile.Parallel(2))
}
