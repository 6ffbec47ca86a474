package ftfile_test

import (
	"bytes"
	stdzlib "compress/zlib"
	"encoding/binary"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// column is a field as docs/format/ft-stream.md places it.
type column struct {
	off, size int
	name      string
}

// published reads the record table of the format document: size and fields by
// version.
func published(t *testing.T) (sizes map[string]int, columns map[string][]column) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/format/ft-stream.md")
	if err != nil {
		t.Fatal(err)
	}
	sizes, columns = map[string]int{}, map[string][]column{}
	row := regexp.MustCompile(`(?m)^\| ([0-9.]+) \| (\d+) \| ([^|]*unix_secs[^|]*|as [^|]*) \|$`)
	for _, m := range row.FindAllStringSubmatch(string(doc), -1) {
		sizes[m[1]], _ = strconv.Atoi(m[2])
		var cs []column
		for _, part := range strings.Split(m[3], "; ") {
			words := strings.Fields(part)
			if words[0] == "as" { // as VERSION [to LAST OCTET]
				limit := 1 << 16
				if len(words) == 4 {
					limit, _ = strconv.Atoi(words[3])
				}
				for _, c := range columns[words[1]] {
					if c.off <= limit {
						cs = append(cs, c)
					}
				}
				continue
			}
			off, err1 := strconv.Atoi(words[0])
			size, err2 := strconv.Atoi(words[1])
			if err1 != nil || err2 != nil || len(words) != 3 {
				t.Fatalf("version %s: %q", m[1], part)
			}
			cs = append(cs, column{off, size, words[2]})
		}
		columns[m[1]] = cs
	}
	return sizes, columns
}

// A reader that knows only the published layout gets the same values from what
// is written here, in both orders, plain and compressed.
func TestPublishedFormat(t *testing.T) {
	sizes, columns := published(t)
	if len(sizes) != len(flow.Versions()) {
		t.Fatalf("%d versions in the document, %d in the code", len(sizes), len(flow.Versions()))
	}
	fieldNamed := map[string]flow.Field{}
	for f := range flow.AllFields() {
		fieldNamed[f.String()] = f
	}
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		name := v.String()
		if l.Size != sizes[name] {
			t.Errorf("%s: %d octets, published %d", name, l.Size, sizes[name])
		}
		at := 0
		for _, c := range columns[name] {
			if c.off != at {
				t.Errorf("%s: %s at %d, the one before ends at %d", name, c.name, c.off, at)
			}
			at = c.off + c.size
		}
		if at != sizes[name] {
			t.Errorf("%s: the fields end at %d", name, at)
		}
		b := flowtest.Random(l, 50, 9)
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			for _, level := range []int{0, 6} {
				h := ftfile.NewHeader(v, ftfile.FlagStreaming)
				h.OrderByte = 1
				if order == binary.BigEndian {
					h.OrderByte = 2
				}
				var stream bytes.Buffer
				w, err := ftfile.NewWriter(&stream, h, ftfile.Level(level))
				if err == nil {
					err = w.Write(b)
				}
				if err == nil {
					err = w.Close()
				}
				if err != nil {
					t.Fatal(err)
				}
				p := stream.Bytes()
				data := p[order.Uint32(p[4:]):]
				if level > 0 {
					zr, err := stdzlib.NewReader(bytes.NewReader(data))
					if err != nil {
						t.Fatal(err)
					}
					if data, err = io.ReadAll(zr); err != nil {
						t.Fatal(err)
					}
				}
				for i := range b.Len() {
					raw := data[i*sizes[name]:]
					for _, c := range columns[name] {
						if c.name == "pad" {
							continue
						}
						f := fieldNamed[c.name]
						want := l.Uint(b.At(i), f)
						if order == binary.BigEndian && f.Info().Kind == flow.Tag {
							want &= 0xffff // all that such a stream holds
						}
						if got := publishedValue(raw, c, order, name); got != want {
							t.Fatalf("%s %v level %d record %d %s: published reader gets %#x, want %#x", name, order, level, i, c.name, got, want)
						}
					}
				}
			}
		}
	}
}

// publishedValue reads a field as the document says, exceptions included.
func publishedValue(raw []byte, c column, order binary.ByteOrder, version string) uint64 {
	if order == binary.BigEndian {
		switch version + " " + c.name {
		case "8.12 dst_as", "1005 exaddr":
			order = binary.LittleEndian
		case "1005 src_tag", "1005 dst_tag":
			return uint64(binary.BigEndian.Uint16(raw[c.off:]))
		}
	}
	switch c.size {
	case 1:
		return uint64(raw[c.off])
	case 2:
		return uint64(order.Uint16(raw[c.off:]))
	}
	return uint64(order.Uint32(raw[c.off:]))
}
