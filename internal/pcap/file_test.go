package pcap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// plainFile is a pcap file of frames one second and 123456789 ns apart.
func plainFile(order binary.ByteOrder, nano bool, link LinkType, frames ...string) []byte {
	magic, unit := uint32(0xa1b2c3d4), 1000
	if nano {
		magic, unit = 0xa1b23c4d, 1
	}
	var b bytes.Buffer
	put := func(v ...any) {
		for _, x := range v {
			binary.Write(&b, order, x)
		}
	}
	put(magic, uint16(2), uint16(4), int32(0), uint32(0), uint32(65535), uint32(link))
	for i, f := range frames {
		put(uint32(1700000000+i), uint32(123456789*(i+1)/unit), uint32(len(f)), uint32(len(f)+100*i))
		b.WriteString(f)
	}
	return b.Bytes()
}

type seen struct {
	Data    string
	Len     int
	Time    int64
	Link    LinkType
	IfIndex uint32
	Dir     Direction
}

func readAll(r io.Reader) (list []seen, err error) {
	f, err := NewFile(r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var p Packet
	for {
		if err = f.Next(&p); err != nil {
			if err == io.EOF {
				err = nil
			}
			return list, err
		}
		list = append(list, seen{string(p.Data), p.Len, p.Time, p.Link, p.IfIndex, p.Dir})
	}
}

func TestPlain(t *testing.T) {
	frames := []string{"first frame", "second"}
	for _, c := range []struct {
		name  string
		order binary.ByteOrder
		nano  bool
	}{{"le", binary.LittleEndian, false}, {"be", binary.BigEndian, false}, {"le-nano", binary.LittleEndian, true}, {"be-nano", binary.BigEndian, true}} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(plainFile(c.order, c.nano, Ethernet, frames...)))
			if err != nil {
				t.Fatal(err)
			}
			cut := int64(1000)
			if c.nano {
				cut = 1
			}
			want := []seen{
				{frames[0], 11, 1700000000_123456789 / cut * cut, Ethernet, 0, Unknown},
				{frames[1], 106, 1700000001_246913578 / cut * cut, Ethernet, 0, Unknown},
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCompressed(t *testing.T) {
	plain := plainFile(binary.LittleEndian, false, Raw, "aaaa", "bbbb")
	want, err := readAll(bytes.NewReader(plain))
	if err != nil || len(want) != 2 {
		t.Fatal(want, err)
	}
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(plain[:30])
	g.Close()
	g.Reset(&gz) // two members
	g.Write(plain[30:])
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write(plain)
	z.Close()
	for name, data := range map[string][]byte{"gzip": gz.Bytes(), "zstd": zs.Bytes()} {
		got, err := readAll(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestNg(t *testing.T) {
	var b bytes.Buffer
	eth := pcapgo.NgInterface{Name: "eth9", LinkType: layers.LinkTypeEthernet, SnapLength: 96, TimestampResolution: 9, TimestampOffset: 1_000_000_000}
	w, err := pcapgo.NewNgWriterInterface(&b, eth, pcapgo.DefaultNgWriterOptions)
	if err != nil {
		t.Fatal(err)
	}
	sll := pcapgo.NgInterface{Name: "any", LinkType: layers.LinkTypeLinuxSLL2, SnapLength: 96, TimestampResolution: 6}
	n, err := w.AddInterface(sll)
	if err != nil {
		t.Fatal(err)
	}
	write := func(iface int, at time.Time, data string) {
		t.Helper()
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(data), Length: len(data) + 7, InterfaceIndex: iface}, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1700000000, 987654321)
	write(0, at.Add(-1e9*time.Second), "ethernet")
	out := "\x08\x00\x00\x00\x00\x00\x00\x2a\x00\x01\x04\x06abcdefgh" // to interface 42
	write(n, at, out)
	w.Flush()
	got, err := readAll(&b)
	if err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{"ethernet", 15, 1700000000_987654321, Ethernet, 1, Unknown},
		{out, 27, 1700000000_987654321, LinuxSLL2, 42, Out},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestNgFlags(t *testing.T) {
	const (
		section = "\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"
		iface   = "\x01\x00\x00\x00\x14\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00"
		simple  = "\x03\x00\x00\x00\x14\x00\x00\x00\x03\x00\x00\x00abc\x00\x14\x00\x00\x00"
	)
	packet := func(flags string) string {
		return "\x06\x00\x00\x00\x30\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x42\x0f\x00\x04\x00\x00\x00\x04\x00\x00\x00abcd" +
			"\x02\x00\x04\x00" + flags + "\x00\x00\x00\x00\x30\x00\x00\x00"
	}
	got, err := readAll(bytes.NewReader([]byte(section + iface + packet("\x01\x00\x00\x00") + packet("\x02\x00\x00\x00") + simple)))
	if err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{"abcd", 4, 1e9, Ethernet, 1, In},
		{"abcd", 4, 1e9, Ethernet, 1, Out},
		{"abc", 3, 1e9, Ethernet, 1, Unknown}, // has no time of its own
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDamaged(t *testing.T) {
	whole := plainFile(binary.LittleEndian, false, Ethernet, "first frame", "second")
	for _, c := range []struct {
		name string
		data []byte
		good int
		want string
	}{
		{"empty", nil, 0, "empty capture file"},
		{"cut header", whole[:20], 0, "capture file ends inside its header"},
		{"foreign", []byte("#!/bin/sh\necho this is not a capture\n"), 0, "Unknown magic 622f2123"},
		{"cut in data", whole[:len(whole)-2], 1, "capture file damaged at packet 2: unexpected EOF"},
		{"cut in packet header", whole[:len(whole)-10], 1, "capture file damaged at packet 2: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(bytes.NewReader(c.data))
			if err == nil || err.Error() != c.want || len(got) != c.good {
				t.Errorf("%d packets, %v; want %d, %s", len(got), err, c.good, c.want)
			}
		})
	}
	if _, err := NewFile(iotestReader{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("read error became %v", err)
	}
}

// TestShortLengths has packets that claim to have been shorter than what was captured of them.
func TestShortLengths(t *testing.T) {
	frames := []string{"first frame", "second", "the third one"}
	data := plainFile(binary.LittleEndian, false, Ethernet, frames...)
	data[24+12], data[24+16+len(frames[0])+12] = 3, 0
	got, err := readAll(bytes.NewReader(data))
	if err != nil || len(got) != 3 || got[0].Data != frames[0] || got[0].Len != 3 || got[1].Data != frames[1] || got[2].Data != frames[2] {
		t.Errorf("%v, %v", got, err)
	}
	if got, err = readAll(bytes.NewReader(data[:24+16+5])); err == nil || len(got) != 0 {
		t.Errorf("cut: %v, %v", got, err)
	}
}

type iotestReader struct{}

func (iotestReader) Read([]byte) (int, error) { return 0, os.ErrPermission }

func TestLinks(t *testing.T) {
	for i, l := range links {
		if i > 0 && links[i-1].Type >= l.Type {
			t.Errorf("%s is out of order", l.Name)
		}
		if got, err := LinkOf(l.Type); err != nil || got.Name != l.Name {
			t.Errorf("LinkOf(%d) = %v, %v", l.Type, got, err)
		}
	}
	if l, err := LinkOf(12); err != nil || l.Name != "RAW" {
		t.Error("DLT_RAW of Linux is not RAW")
	}
	if _, err := LinkOf(147); err == nil {
		t.Error("a private link type is known")
	}
}

func TestNoAllocation(t *testing.T) {
	frames := make([]string, 300)
	for i := range frames {
		frames[i] = "0123456789abcdef0123456789abcdef"
	}
	f, err := NewFile(bytes.NewReader(plainFile(binary.LittleEndian, false, Ethernet, frames...)))
	if err != nil {
		t.Fatal(err)
	}
	var p Packet
	f.Next(&p)
	if n := testing.AllocsPerRun(200, func() { f.Next(&p) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func FuzzFile(f *testing.F) {
	f.Add(plainFile(binary.LittleEndian, false, Ethernet, "first frame", "second"))
	f.Add(plainFile(binary.BigEndian, true, LinuxSLL, "0123456789abcdef"))
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := readAll(bytes.NewReader(data))
		if len(list) > len(data) {
			t.Errorf("%d packets out of %d octets", len(list), len(data))
		}
	})
}

func BenchmarkFile(b *testing.B) {
	frames := make([]string, 1000)
	for i := range frames {
		frames[i] = string(make([]byte, 100))
	}
	data := plainFile(binary.LittleEndian, false, Ethernet, frames...)
	b.ReportAllocs()
	r := bytes.NewReader(data)
	f, _ := NewFile(r)
	var p Packet
	for b.Loop() {
		if f.Next(&p) == io.EOF {
			r.Reset(data)
			f, _ = NewFile(r)
		}
	}
}
