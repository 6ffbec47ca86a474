package probe

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/pcap"
	"flowtools/internal/pcap/pcaptest"
)

func addrOf(s string) Addr {
	a := netip.MustParseAddr(s)
	if a.Is4() {
		b := a.As4()
		return Addr{0, uint64(be.Uint32(b[:]))}
	}
	b := a.As16()
	return Addr{be.Uint64(b[:]), be.Uint64(b[8:])}
}

func TestWalk(t *testing.T) {
	udp := pcaptest.Packet{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 17, TOS: 8, Payload: pcaptest.UDP(53, 1024, 12)}
	plain := headers{src: addrOf("10.0.0.1"), dst: addrOf("10.0.0.2"), version: 4, proto: 17, tos: 8, ports: 53<<16 | 1024, octets: 40}
	six := pcaptest.Packet{Src: "2001:db8::1", Dst: "fe80::2", Proto: 6, TOS: 0xb8, Payload: pcaptest.TCP(80, 1024, 0xc2, 5)}
	plain6 := headers{src: addrOf("2001:db8::1"), dst: addrOf("fe80::2"), version: 6, proto: 6, tos: 0xb8, tcpFlags: 0xc2, ports: 80<<16 | 1024, octets: 65}
	with := func(h headers, change func(*headers)) headers { change(&h); return h }
	frame := func(p pcaptest.Packet, change func(*pcaptest.Packet)) pcaptest.Frame { change(&p); return p.Frame() }
	noPorts := with(plain, func(h *headers) { h.ports = 0 })

	for _, c := range []struct {
		name string
		w    walker
		link pcap.LinkType
		data []byte
		wire int // 0: len(data)
		want headers
		v    verdict
	}{
		{name: "plain", data: udp.Frame().Ethernet(), want: plain},
		{name: "whole frame", w: walker{wire: true}, data: udp.Frame().Ethernet(), wire: 60, want: with(plain, func(h *headers) { h.octets = 60 })},
		{name: "padded", data: append(frame(udp, func(p *pcaptest.Packet) { p.Total = 24 }).Ethernet(), make([]byte, 20)...), want: with(noPorts, func(h *headers) { h.octets = 24 })},
		{name: "cut after the IP header", data: udp.Frame().Ethernet()[:34+7], wire: 54, want: noPorts},
		{name: "cut in the IP header", data: udp.Frame().Ethernet()[:33], wire: 54, v: isTrimmed},
		{name: "cut in the link header", data: udp.Frame().Ethernet()[:13], wire: 54, v: isTrimmed},
		{name: "options", data: frame(udp, func(p *pcaptest.Packet) { p.Options = make([]byte, 40) }).Ethernet(), want: with(plain, func(h *headers) { h.octets = 80 })},
		{name: "header length below 20", data: func() []byte { d := udp.Frame().Ethernet(); d[14] = 0x44; return d }(), want: noPorts},
		{name: "version 5", data: func() []byte { d := udp.Frame().Ethernet(); d[14] = 0x55; return d }(), v: notIP},
		{name: "offloaded segment", data: func() []byte { d := udp.Frame().Ethernet(); d[16], d[17] = 0, 0; return d }(), wire: 70014, want: with(plain, func(h *headers) { h.octets = 70000 })},
		{name: "arp", data: pcaptest.Frame{Ether: pcaptest.ARP, Data: make([]byte, 50)}.Ethernet(), v: notIP},
		{name: "802.3 without SNAP", data: pcaptest.Frame{Ether: 60, Data: make([]byte, 60)}.Ethernet(), v: notIP},
		{name: "802.3 with SNAP", data: pcaptest.Frame{Ether: 60, Data: append([]byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, udp.Frame().Data...)}.Ethernet(), want: plain},
		{name: "tagged", data: udp.Frame().Tag(pcaptest.VLAN, 0x6005).Ethernet(), want: with(plain, func(h *headers) { h.tagged, h.vlan = true, 5 })},
		{name: "two tags", data: udp.Frame().Tag(pcaptest.VLAN, 7).Tag(pcaptest.QinQ, 9).Ethernet(), want: with(plain, func(h *headers) { h.tagged, h.vlan = true, 9 })},
		{name: "tag cut short", data: udp.Frame().Tag(pcaptest.VLAN, 7).Ethernet()[:16], v: isTrimmed},
		{name: "mpls", data: udp.Frame().Label(16, true).Label(17, false).Ethernet(), want: plain},
		{name: "mpls, not IP", data: pcaptest.Frame{Data: make([]byte, 40)}.Label(16, true).Ethernet(), v: notIP},
		{name: "mpls without end", data: udp.Frame().Label(16, false).Ethernet()[:18], v: isTrimmed},
		{name: "pppoe", data: udp.Frame().Session(1).Tag(pcaptest.VLAN, 3).Ethernet(), want: with(plain, func(h *headers) { h.tagged, h.vlan = true, 3 })},
		{name: "ppp, nothing compressed", link: pcap.PPP, data: append([]byte{0xff, 3, 0, 0x21}, udp.Frame().Data...), want: plain},
		{name: "ppp, compressed", link: pcap.PPP, data: append([]byte{0x21}, udp.Frame().Data...), want: plain},
		{name: "null of another host", link: pcap.Null, data: append([]byte{0, 0, 0, 2}, udp.Frame().Data...), want: plain},
		{name: "literal skip", w: walker{literal: 18}, data: udp.Frame().Tag(pcaptest.VLAN, 7).Ethernet(), want: plain},
		{name: "literal skip finds nonsense", w: walker{literal: 17}, data: udp.Frame().Tag(pcaptest.VLAN, 7).Ethernet(), v: notIP},
		{name: "literal skip beyond the frame", w: walker{literal: 400}, data: udp.Frame().Ethernet(), v: isTrimmed},
		{name: "tcp flags", data: frame(udp, func(p *pcaptest.Packet) { p.Proto, p.Payload = 6, pcaptest.TCP(1, 2, 0xff, 0) }).Ethernet(),
			want: with(plain, func(h *headers) { h.proto, h.ports, h.tcpFlags = 6, 1<<16|2, 0xff })},
		{name: "tcp of 13 octets", data: frame(udp, func(p *pcaptest.Packet) { p.Proto, p.Payload = 6, pcaptest.TCP(1, 2, 0xff, 0)[:13] }).Ethernet(),
			want: with(plain, func(h *headers) { h.proto, h.ports, h.octets = 6, 1<<16|2, 33 })},
		{name: "icmp", data: frame(udp, func(p *pcaptest.Packet) { p.Proto, p.Payload = 1, []byte{11, 3, 0, 0, 0, 0, 0, 0} }).Ethernet(),
			want: with(plain, func(h *headers) { h.proto, h.ports, h.octets = 1, 11<<16|3, 28 })},
		{name: "icmp as Cisco has it", w: walker{icmp: ICMPCisco}, data: frame(udp, func(p *pcaptest.Packet) { p.Proto, p.Payload = 1, []byte{11, 3, 0, 0, 0, 0, 0, 0} }).Ethernet(),
			want: with(plain, func(h *headers) { h.proto, h.ports, h.octets = 1, 11<<8|3, 28 })},
		{name: "icmp of 4 octets", data: frame(udp, func(p *pcaptest.Packet) { p.Proto, p.Payload = 1, []byte{11, 3, 0, 0} }).Ethernet(),
			want: with(noPorts, func(h *headers) { h.proto, h.octets = 1, 24 })},
		{name: "sctp", data: frame(udp, func(p *pcaptest.Packet) { p.Proto = 132 }).Ethernet(), want: with(noPorts, func(h *headers) { h.proto = 132 })},
		{name: "sctp with ports", w: walker{sctp: true}, data: frame(udp, func(p *pcaptest.Packet) { p.Proto = 132 }).Ethernet(), want: with(plain, func(h *headers) { h.proto = 132 })},
		{name: "first fragment", data: frame(udp, func(p *pcaptest.Packet) { p.More, p.ID = true, 77 }).Ethernet(),
			want: with(plain, func(h *headers) { h.fragment, h.more, h.id, h.fragProto, h.payload = true, true, 77, 17, 20 })},
		{name: "later fragment", data: frame(udp, func(p *pcaptest.Packet) { p.Offset, p.ID = 16, 77 }).Ethernet(),
			want: with(noPorts, func(h *headers) { h.fragment, h.id, h.fragProto, h.offset, h.payload = true, 77, 17, 16, 20 })},
		{name: "fragment that carries the flags", data: frame(udp, func(p *pcaptest.Packet) {
			p.Proto, p.Offset, p.Payload = 6, 8, pcaptest.TCP(1, 2, 0x12, 0)[8:]
		}).Ethernet(), want: with(noPorts, func(h *headers) {
			h.proto, h.octets, h.fragment, h.fragProto, h.offset, h.payload, h.tcpFlags = 6, 32, true, 6, 8, 12, 0x12
		})},
		{name: "unwanted IPv6", data: six.Frame().Ethernet(), v: isForeign},
		{name: "IPv6", w: walker{ipv6: true}, data: six.Frame().Ethernet(), want: plain6},
		{name: "IPv6 by its version", w: walker{ipv6: true}, link: pcap.Raw, data: six.Frame().Data, want: plain6},
		{name: "IPv6, header cut", w: walker{ipv6: true}, data: six.Frame().Ethernet()[:53], v: isTrimmed},
		{name: "IPv6, options and authentication", w: walker{ipv6: true}, data: frame(six, func(p *pcaptest.Packet) {
			p.Next, p.Headers = 0, pcaptest.Join([]byte{60, 0, 1, 4, 0, 0, 0, 0}, []byte{51, 1}, make([]byte, 14), []byte{6, 4}, make([]byte, 22))
		}).Ethernet(), want: with(plain6, func(h *headers) { h.octets = 65 + 48 })},
		{name: "IPv6, extension cut", w: walker{ipv6: true}, data: frame(six, func(p *pcaptest.Packet) {
			p.Next, p.Headers = 0, []byte{6, 9, 0, 0, 0, 0, 0, 0}
		}).Ethernet()[:80], want: with(plain6, func(h *headers) { h.proto, h.ports, h.tcpFlags, h.octets = 0, 0, 0, 73 })},
		{name: "IPv6, first fragment", w: walker{ipv6: true}, data: frame(six, func(p *pcaptest.Packet) { p.ID, p.More = 0x12345678, true }).Ethernet(),
			want: with(plain6, func(h *headers) {
				h.fragment, h.more, h.id, h.fragProto, h.payload, h.octets = true, true, 0x12345678, 6, 25, 73
			})},
		{name: "IPv6, last fragment", w: walker{ipv6: true}, data: frame(six, func(p *pcaptest.Packet) { p.ID, p.Offset, p.Payload = 5, 1448, make([]byte, 9) }).Ethernet(),
			want: with(plain6, func(h *headers) {
				h.fragment, h.id, h.fragProto, h.offset, h.payload, h.octets, h.ports, h.tcpFlags = true, 5, 6, 1448, 9, 57, 0, 0
			})},
		{name: "IPv6, fragment of its own", w: walker{ipv6: true}, data: frame(six, func(p *pcaptest.Packet) {
			p.Next, p.Headers = 44, []byte{6, 0, 0, 0, 0, 0, 0, 1}
		}).Ethernet(), want: with(plain6, func(h *headers) { h.octets = 73 })},
		{name: "unknown link", link: 147, data: udp.Frame().Ethernet(), v: notIP},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.w.literal == 0 {
				c.w.literal = -1
			}
			if c.link == 0 && c.name != "null of another host" {
				c.link = pcap.Ethernet
			}
			if c.wire == 0 {
				c.wire = len(c.data)
			}
			var h headers
			if v := c.w.parse(&pcap.Packet{Data: c.data, Len: c.wire, Link: c.link}, &h); v != c.v {
				t.Fatalf("verdict %d, want %d", v, c.v)
			}
			if h.macs = [12]byte{}; c.v != isIP {
				return
			}
			if d := cmp.Diff(c.want, h, cmp.AllowUnexported(headers{})); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestWalkLinks puts the same packets on every link.
func TestWalkLinks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	four := pcaptest.Packet{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 6, Payload: pcaptest.TCP(80, 1024, 0x18, 100)}.Frame()
	six := pcaptest.Packet{Src: "2001:db8::1", Dst: "fe80::2", Proto: 6, Payload: pcaptest.TCP(80, 1024, 0x18, 100)}.Frame()
	for _, l := range pcap.Links() {
		w := walker{literal: -1, ipv6: true}
		got := map[uint8]int{}
		for range 40 {
			for _, f := range []pcaptest.Frame{four, six} {
				if l.Type == pcap.RawIPv4 && f.Ether != pcaptest.IPv4 || l.Type == pcap.RawIPv6 && f.Ether != pcaptest.IPv6 {
					continue
				}
				data := f.Link(l.Type, r)
				var h headers
				if w.parse(&pcap.Packet{Data: data, Len: len(data), Link: l.Type}, &h) != isIP {
					continue // 802.11: not all of them are data
				}
				got[h.version]++
				if h.ports != 80<<16|1024 || h.tcpFlags != 0x18 || h.octets != uint64(len(f.Data)) {
					t.Errorf("%s: %+v of % x", l.Name, h, data)
				}
			}
		}
		min4, min6 := 40, 40
		switch l.Type {
		case pcap.Wifi, pcap.Radiotap:
			min4, min6 = 10, 10
		case pcap.RawIPv4:
			min6 = 0
		case pcap.RawIPv6:
			min4 = 0
		}
		if got[4] < min4 || got[6] < min6 {
			t.Errorf("%s: recognised %v", l.Name, got)
		}
	}
}

func FuzzWalk(f *testing.F) {
	for _, l := range pcap.Links() {
		for _, data := range pcaptest.Frames(l.Type, 6) {
			f.Add(data, uint16(l.Type), -1)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, link uint16, literal int) {
		w := walker{literal: max(literal, -1), ipv6: true, sctp: true}
		var h headers
		if w.parse(&pcap.Packet{Data: data, Len: len(data), Link: pcap.LinkType(link)}, &h) == isIP && h.version != 4 && h.version != 6 {
			t.Errorf("IP version %d", h.version)
		}
	})
}
