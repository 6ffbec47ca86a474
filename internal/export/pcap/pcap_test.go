package pcap_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"flowtools/internal/export"
	"flowtools/internal/export/exporttest"
	"flowtools/internal/export/pcap"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// carriers are the versions with all the fields that a packet needs.
var carriers = []flow.Version{{Export: 1}, {Export: 5}, {Export: 6}, {Export: 7}, {Export: 8, Agg: 8}, {Export: 8, Agg: 14}, {Export: 1005}}

// shown are the fields to be read off a packet; the time is left to tshark, as
// random nanoseconds may stand for more than a second.
const shown = flow.FieldSet(1<<flow.SrcAddr | 1<<flow.DstAddr | 1<<flow.Prot | 1<<flow.ToS)

func TestTarget(t *testing.T) {
	exporttest.Run(t, exporttest.Target{
		Open:     pcap.Open,
		Options:  func(testing.TB) export.Options { return export.Options{} },
		Versions: carriers,
		Fixed:    true,
		Keeps:    func(*flow.Layout) flow.FieldSet { return shown },
		Read: func(t testing.TB, o *export.Options, fields []flow.Field, out []byte) []string {
			r, err := pcapgo.NewReader(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if r.LinkType() != layers.LinkTypeEthernet || r.Snaplen() != 65535 {
				t.Errorf("link type %v, snap length %d", r.LinkType(), r.Snaplen())
			}
			var rows []string
			for {
				data, info, err := r.ReadPacketData()
				if err != nil {
					break
				}
				p := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
				ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
				if !ok || int(ip.Length) != len(data)-14 || info.Length != len(data) {
					t.Fatalf("packet %x", data)
				}
				record := make(flow.Record, o.Layout.Size)
				src, _ := netip.AddrFromSlice(ip.SrcIP.To4())
				dst, _ := netip.AddrFromSlice(ip.DstIP.To4())
				for f, v := range map[flow.Field]uint64{
					flow.SrcAddr: number(src), flow.DstAddr: number(dst), flow.Prot: uint64(ip.Protocol), flow.ToS: uint64(ip.TOS),
				} {
					o.Layout.PutUint(record, f, v)
				}
				rows = append(rows, exporttest.Row(o.Layout, record, fields))
			}
			return rows
		},
	})
}

func number(a netip.Addr) (v uint64) {
	for _, b := range a.AsSlice() {
		v = v<<8 | uint64(b)
	}
	return v
}

// TestMissing: no output at all when the records cannot become packets.
func TestMissing(t *testing.T) {
	for _, v := range flow.Versions() {
		carrier := false
		for _, c := range carriers {
			carrier = carrier || c == v
		}
		var out bytes.Buffer
		_, err := pcap.Open(t.Context(), &export.Options{Layout: flowtest.Layout(v.Export, v.Agg), Out: &out})
		if errors.Is(err, export.ErrMissing) == carrier || (err != nil && out.Len() > 0) {
			t.Errorf("version %v: %v, %d octets", v, err, out.Len())
		}
	}
}

// TestTshark has the capture read by a program that is not ours.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("FT_E2E") == "1" {
			t.Fatal(err)
		}
		t.Skip("tshark is not installed: apt-get install tshark")
	}
	name := filepath.Join(t.TempDir(), "flows.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := flowtest.Layout(5, 0)
	sink, err := pcap.Open(t.Context(), &export.Options{Layout: l, Out: f})
	if err != nil {
		t.Fatal(err)
	}
	b := flowtest.Traffic(l, 200, 1)
	if err := sink.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-n", "-r", name, "-o", "tcp.analyze_sequence_numbers:FALSE", "-T", "fields", "-E", "separator=,",
		"-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst", "-e", "ip.proto", "-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "_ws.malformed").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != b.Len() {
		t.Fatalf("tshark sees %d packets of %d", len(lines), b.Len())
	}
	for i, line := range lines {
		r := b.At(i)
		at, values, _ := strings.Cut(line, ",")
		sec, err := strconv.ParseFloat(at, 64)
		if err != nil || time.Duration(sec)*time.Second != time.Duration(l.Uint(r, flow.UnixSecs))*time.Second {
			t.Errorf("packet %d: time %s", i, at)
		}
		ports := strconv.FormatUint(l.Uint(r, flow.SrcPort), 10) + "," + strconv.FormatUint(l.Uint(r, flow.DstPort), 10)
		want := l.Addr(r, flow.SrcAddr).String() + "," + l.Addr(r, flow.DstAddr).String() + "," + strconv.FormatUint(l.Uint(r, flow.Prot), 10) + ","
		switch l.Uint(r, flow.Prot) {
		case 6:
			want += ports + ",,,"
		case 17:
			want += ",," + ports + ","
		default:
			want += ",,,,"
		}
		if values != want {
			t.Errorf("packet %d: tshark reads %s, want %s", i, values, want)
		}
	}
}
