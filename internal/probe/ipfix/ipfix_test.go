package ipfix

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/pcap/pcaptest"
	"flowtools/internal/probe"
)

var be = binary.BigEndian

// reader decodes messages knowing the RFCs only: templates as they come, values as numbers.
type reader struct {
	t         *testing.T
	v9        bool
	templates map[uint16][][2]uint16 // element, size
	records   []map[uint16]string
	options   []map[uint16]string
	announced int
}

func (r *reader) message(b []byte) {
	r.t.Helper()
	if r.templates == nil {
		r.templates = map[uint16][][2]uint16{}
	}
	head := ipfixHeader
	if r.v9 = be.Uint16(b) == 9; r.v9 {
		head = v9Header
	} else if int(be.Uint16(b[2:])) != len(b) {
		r.t.Errorf("length %d of %d", be.Uint16(b[2:]), len(b))
	}
	count := 0
	for rest := b[head:]; len(rest) > 0; {
		id, n := be.Uint16(rest), int(be.Uint16(rest[2:]))
		if n < 4 || n > len(rest) || n%4 != 0 {
			r.t.Fatalf("set %d of %d octets, %d left", id, n, len(rest))
		}
		count += r.set(id, rest[4:n])
		rest = rest[n:]
	}
	if r.v9 && count != int(be.Uint16(b[2:])) {
		r.t.Errorf("%d records, the header says %d", count, be.Uint16(b[2:]))
	}
}

func (r *reader) set(id uint16, b []byte) (count int) {
	fields := func(b []byte, n int) (list [][2]uint16) {
		for i := range n {
			list = append(list, [2]uint16{be.Uint16(b[4*i:]), be.Uint16(b[4*i+2:])})
		}
		return list
	}
	switch {
	case r.v9 && id == v9Templates || !r.v9 && id == ipfixTemplates:
		r.announced++
		for len(b) >= 4 {
			n := int(be.Uint16(b[2:]))
			r.templates[be.Uint16(b)] = fields(b[4:], n)
			b = b[4+4*n:]
			count++
		}
	case r.v9 && id == v9Options:
		scope, n := int(be.Uint16(b[2:])), int(be.Uint16(b[4:]))
		r.templates[be.Uint16(b)] = append([][2]uint16{{10000, be.Uint16(b[8:])}}, fields(b[6+scope:], n/4)...)
		count = 1
	case !r.v9 && id == ipfixOptions:
		r.templates[be.Uint16(b)] = fields(b[6:], int(be.Uint16(b[2:])))
		count = 1
	default:
		t := r.templates[id]
		if t == nil {
			r.t.Fatalf("data of the unknown template %d", id)
		}
		size := 0
		for _, f := range t {
			size += int(f[1])
		}
		for ; len(b) >= size; b = b[size:] {
			values := map[uint16]string{}
			at := 0
			for _, f := range t {
				v := b[at : at+int(f[1])]
				at += int(f[1])
				if len(v) > 8 || f[1] == 6 {
					values[f[0]] = fmt.Sprintf("%x", v)
				} else {
					n := uint64(0)
					for _, c := range v {
						n = n<<8 | uint64(c)
					}
					values[f[0]] = fmt.Sprint(n)
				}
			}
			if id == templateOptions {
				r.options = append(r.options, values)
			} else {
				r.records = append(r.records, values)
			}
			count++
		}
		if len(b) > 3 || len(bytes.Trim(b, "\x00")) > 0 {
			r.t.Errorf("%d octets of padding: %x", len(b), b)
		}
	}
	return count
}

const start = 1_700_000_000_000 // ms

var flows = []probe.Flow{
	{Key: probe.Key{Src: probe.Addr{0, 0x0a000001}, Dst: probe.Addr{0, 0x0a000002}, Ports: 1024<<16 | 80, Version: 4, Proto: 6, VLAN: 5, MACs: [12]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		Packets: 7, Octets: 1 << 33, First: (start + 1000) * 1e6, Last: (start + 2500) * 1e6, In: 3, Out: 4, ToS: 8, TCPFlags: 0xc2, Reason: probe.ReasonIdle},
	{Key: probe.Key{Src: probe.Addr{0xfe80 << 48, 1}, Dst: probe.Addr{0x20010db8 << 32, 2}, Ports: 129, Version: 6, Proto: 58},
		Packets: 1, Octets: 64, First: (start + 3000) * 1e6, Last: (start + 3000) * 1e6, Outgoing: true, Reason: probe.ReasonForced},
	{Key: probe.Key{Src: probe.Addr{0, 0x0a000003}, Dst: probe.Addr{0, 0x0a000002}, Ports: 8<<16 | 1, Version: 4, Proto: 1},
		Packets: 2, Octets: 100, First: (start + 100) * 1e6, Last: (start + 200) * 1e6, Reason: probe.ReasonActive},
}

// message encodes flows for a session.
func message(f *Format, s *Session, list []probe.Flow, now int64) []byte {
	buf := make([]byte, f.Reserve(), 2048)
	buf = f.Append(buf, list, start)
	return bytes.Clone(f.Finish(s, buf, f.Reserve(), len(list), Header{Now: now, Base: start}))
}

func TestRoundTrip(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		f := New(Config{Version: version, Keys: probe.KeyMAC | probe.KeyVLAN, Sample: 10, Start: start * 1e6, Domain: 42})
		var s Session
		r := reader{t: t}
		msg := message(f, &s, flows, (start+60_000)*1e6)
		r.message(msg)
		common := map[uint16]string{2: "7", 1: "8589934592", 10: "3", 14: "4", 7: "1024", 11: "80", 4: "6", 5: "8", 6: "194", 61: "0", 136: "1", 8: "167772161", 12: "167772162", 32: "0", 56: "0708090a0b0c", 80: "010203040506", 58: "5"}
		// IPv4 flows come before IPv6 ones; this format has ICMP as ports.
		icmp := map[uint16]string{2: "2", 1: "100", 10: "0", 14: "0", 7: "8", 11: "1", 4: "1", 5: "0", 6: "0", 61: "0", 136: "2", 8: "167772163", 12: "167772162", 32: "2049", 56: "000000000000", 80: "000000000000", 58: "0"}
		icmp6 := map[uint16]string{2: "1", 1: "64", 10: "0", 14: "0", 7: "0", 11: "129", 4: "58", 5: "0", 6: "0", 61: "1", 136: "4", 139: "129", 27: "fe800000000000000000000000000001", 28: "20010db8000000000000000000000002", 56: "000000000000", 80: "000000000000", 58: "0"}
		times := [][2]string{{"1700000001000", "1700000002500"}, {"1700000000100", "1700000000200"}, {"1700000003000", "1700000003000"}}
		elements := [2]uint16{152, 153}
		if version == 9 {
			times = [][2]string{{"1000", "2500"}, {"100", "200"}, {"3000", "3000"}}
			elements = [2]uint16{22, 21}
		}
		want := []map[uint16]string{common, icmp, icmp6}
		for i, w := range want {
			w[elements[0]], w[elements[1]] = times[i][0], times[i][1]
		}
		if d := cmp.Diff(want, r.records); d != "" {
			t.Errorf("version %d: %s", version, d)
		}
		scope := uint16(149)
		if version == 9 {
			scope = 10000
		}
		if d := cmp.Diff([]map[uint16]string{{scope: "42", 160: fmt.Sprint(start), 34: "10", 35: "1"}}, r.options); d != "" {
			t.Errorf("version %d: %s", version, d)
		}
		if version == 9 {
			if up, secs, seq, domain := be.Uint32(msg[4:]), be.Uint32(msg[8:]), be.Uint32(msg[12:]), be.Uint32(msg[16:]); up != 60_000 || secs != start/1000+60 || seq != 0 || domain != 42 {
				t.Errorf("header: uptime %d, time %d, sequence %d, source %d", up, secs, seq, domain)
			}
		} else if secs, seq, domain := be.Uint32(msg[4:]), be.Uint32(msg[8:]), be.Uint32(msg[12:]); secs != start/1000+60 || seq != 0 || domain != 42 {
			t.Errorf("header: time %d, sequence %d, domain %d", secs, seq, domain)
		}
	}
}

// TestSession checks sequence numbers and when templates come again.
func TestSession(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		f := New(Config{Version: version})
		var s Session
		r := reader{t: t}
		sequence, now := uint32(0), int64(start*1e6)
		var announced []int
		for i := range 50 {
			if i == 45 {
				now += 61e9
			}
			before := r.announced
			msg := message(f, &s, flows[:1+i%3], now)
			at := 8
			if version == 9 {
				at = 12
			}
			if got := be.Uint32(msg[at:]); got != sequence {
				t.Fatalf("version %d, message %d: sequence %d, want %d", version, i, got, sequence)
			}
			r.message(msg)
			if r.announced > before {
				announced = append(announced, i)
			}
			if version == 9 {
				sequence++
			} else if sequence += uint32(1 + i%3); r.announced > before {
				sequence++ // the options record
			}
		}
		if d := cmp.Diff([]int{0, 20, 40, 45}, announced); d != "" {
			t.Errorf("version %d: %s", version, d)
		}
	}
}

// TestFull fills messages to the limit with all templates in them.
func TestFull(t *testing.T) {
	for _, version := range []uint16{9, 10} {
		f := New(Config{Version: version, Keys: probe.KeyMAC | probe.KeyVLAN})
		var list []probe.Flow
		for room := f.Limit(); ; {
			fl := flows[len(list)%2]
			if room -= f.Cost(&fl); room < 0 {
				break
			}
			list = append(list, fl)
		}
		var s Session
		r := reader{t: t}
		msg := message(f, &s, list, start*1e6)
		r.message(msg)
		if len(msg) > maxMessage || len(r.records) != len(list) || len(list) < 12 {
			t.Errorf("version %d: %d octets, %d of %d records", version, len(msg), len(r.records), len(list))
		}
	}
}

// TestTshark has wireshark's dissector decode what we send.
func TestTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not installed")
	}
	for _, version := range []uint16{9, 10} {
		f := New(Config{Version: version, Keys: probe.KeyMAC | probe.KeyVLAN, Sample: 5, Start: start * 1e6})
		var s Session
		var file bytes.Buffer
		le := binary.LittleEndian
		for _, v := range []any{uint32(0xa1b2c3d4), uint16(2), uint16(4), uint64(0), uint32(65535), uint32(1)} {
			binary.Write(&file, le, v)
		}
		for i := range 25 {
			msg := message(f, &s, flows, (start+60_000+int64(i))*1e6)
			frame := pcaptest.Packet{Src: "127.0.0.1", Dst: "127.0.0.1", Proto: 17, Payload: pcaptest.Join(pcaptest.B16(5000), pcaptest.B16(9995), pcaptest.B16(8+len(msg)), pcaptest.B16(0), msg)}.Frame().Ethernet()
			for _, v := range []any{uint32(start/1000 + int64(i)), uint32(0), uint32(len(frame)), uint32(len(frame))} {
				binary.Write(&file, le, v)
			}
			file.Write(frame)
		}
		name := filepath.Join(t.TempDir(), "x.pcap")
		if err := os.WriteFile(name, file.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("tshark", "-r", name, "-d", "udp.port==9995,cflow", "-V").CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		text := string(out)
		for _, bad := range []string{"alformed", "xpert Info (E", "xpert Info (W", "No template found", "out of sequence"} {
			if i := strings.Index(text, bad); i >= 0 {
				t.Errorf("version %d: %s", version, text[max(0, i-400):min(len(text), i+200)])
			}
		}
		for what, want := range map[string]int{"SrcAddr: 10.0.0.1": 25, "SrcAddr: fe80::1": 25, "SrcPort: 1024": 25, "Octets: 8589934592": 25, "Flow End Reason: Idle timeout (1)": 25, "Sampling interval: 5": 2} {
			if got := strings.Count(text, what); got < want {
				t.Errorf("version %d: %q %d times, want %d", version, what, got, want)
			}
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	f := New(Config{Version: 10})
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		buf = f.Append(buf[:0], flows, start)
	}
}
