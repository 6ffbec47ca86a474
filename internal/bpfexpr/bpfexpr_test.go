package bpfexpr

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"flowtools/internal/pcap"
	"flowtools/internal/pcap/pcaptest"
)

// Expressions that make sense on every link type.
var everywhere = []string{
	"ip", "ip6", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "ah", "esp", "pim", "vrrp", "igrp",
	"host 10.1.2.3", "src host 10.1.2.3", "dst host 10.1.2.3", "src and dst host 10.1.2.3", "src or dst host 192.168.7.1", "host 10.1", "src 10", "host 0x0a010203",
	"ip host 10.1.2.3", "ip src 10.1.9.9 and dst 192.168.7.1", "host fe80::1", "ip6 host 2001:db8::7", "dst fe80::1",
	"net 10", "net 10.1", "src net 10.1.2", "dst net 192.168.0.0/16", "net 127.0.0.0 mask 255.0.0.0", "net 10.1.2.3", "net 10.0.0.0/7 or net 1.2.3.0/25",
	"net 2001:db8::/32", "net 2001:db8::/33", "src net 2001:db8:0:1::/64", "net ::/0",
	"port 80", "src port 80", "dst port 80 or 443", "tcp port 22", "udp port 53", "sctp dst port 1", "src and dst port 53", "port 80 or 443 or 53",
	"portrange 15-80", "tcp src portrange 1-20", "portrange 80", "portrange 20-10", "udp port (53 or 80)",
	"ip proto 47", "ip6 proto 17", "proto 89", "ip proto \\tcp", "proto \\udp",
	"less 100", "greater 120", "len > 100", "len <= 150", "len = 102", "len != 102", "less 90 or greater 130",
	"tcp[13] & 2 != 0", "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0", "tcp[tcpflags] & (tcp-syn|tcp-ack) = tcp-syn", "(tcp[13] & 2) == 0", "tcp[2:2] = 80",
	"icmp[icmptype] = icmp-echo", "icmp[0] = 8 or icmp[0] = 0", "icmp6[0] = 128", "ip[0] & 0xf != 5", "ip[6:2] & 0x1fff = 0 and ip[1] > 127", "ip6[6] = 44", "ip6[40] = 6",
	"ip[2:2] + 3 * 2 > len - 4", "tcp[tcp[12] >> 2] = 0", "ip[(ip[0] & 0xf) * 4] = 0", "udp[0:2] + 1 >= udp[2:2]", "tcp[0:4] - 1 < 0x00500000", "ip[16] * 2 = 20 or ip[16] / 3 < 4",
	"ip[8] % 7 = 1", "ip[8] ^ 65 = 1", "ip[1] << 2 > 800", "-ip[1] = -8", "ip[12:4] = ip[16:4]", "tcp[13] & ip[1] != 0", "1 = 1 and ip", "3 > 5", "5 < len", "udp[ip[8] - 64] = 0",
	"not tcp", "! udp", "not (tcp or udp)", "tcp or udp and port 53", "not host 10.1.2.3 and 10.1.9.9", "ip and not tcp port 80 or ip6", "not ip and not ip6", "!(host 10.1.2.3 || net 192.168) && (tcp || udp)",
	"(tcp port 80 or (udp port 53 and not dst net 10)) and greater 60", "tcp and udp", "ip and ip6", "not not tcp", "((((tcp))))",
	"ip multicast", "ip6 multicast",
}

// Expressions for link types with an ethertype.
var typed = []string{
	"arp", "rarp", "arp host 10.1.2.3", "rarp src 10.1.2.3", "ether proto 0x9000", "ether proto \\arp", "decnet", "arp and net 10",
	"arp[6:2] = 1", "arp or tcp port 22",
}

// Expressions for Ethernet.
var ethernet = []string{
	"ether host 1:2:3:4:5:6", "ether src 02:00:00:00:00:01", "ether dst ff-ff-ff-ff-ff-ff", "ether broadcast", "broadcast", "multicast", "ether multicast",
	"ether[0] & 1 = 0 and ip[16] >= 224", "ether[12:2] = 0x800", "link[0] = 1", "ether proto 66", "ether proto 0xaa",
	"vlan", "vlan 5", "vlan and ip", "vlan 5 and tcp port 80", "vlan and vlan", "vlan 100 and vlan 5 and udp", "vlan 1 or vlan 5", "ip or (vlan and ip)", "not vlan", "vlan && host 10.1.2.3",
	"mpls", "mpls and ip", "mpls 16 and tcp", "mpls and mpls", "mpls and mpls and ip6", "mpls and host 10.1.2.3", "mpls and mpls 7", "vlan and mpls and ip",
	"pppoes", "pppoes 7", "pppoes and ip", "pppoes and tcp port 80", "pppoes 1 and ip6", "pppoed", "vlan and pppoes and ip",
	"tcp and vlan", "vlan and ether proto 0x0800", "vlan and arp host 10.1.2.3", "vlan and icmp[0] = 8",
}

// theirs compiles with tcpdump; ok is false where it does not do the expression.
func theirs(t *testing.T, link pcap.LinkType, expr string) (*Program, bool) {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command("tcpdump", "-y", link.String(), "-ddd", "--", expr)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if text := stderr.String(); strings.Contains(text, "expression rejects all packets") {
			return nil, true
		}
		return nil, false
	}
	p, err := Load(bytes.NewReader(out))
	if err != nil {
		t.Fatalf("%s: loading what tcpdump says: %v", expr, err)
	}
	return p, true
}

// TestAgainstTcpdump runs our program and tcpdump's over the same frames.
func TestAgainstTcpdump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed")
	}
	for _, l := range pcap.Links() {
		if l.Type == pcap.SLIP {
			continue // libpcap 1.10 looks for the IP version at offset 0, where SLIP has the direction
		}
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			exprs := append([]string(nil), everywhere...)
			switch l.Type {
			case pcap.Ethernet:
				exprs = append(append(exprs, typed...), ethernet...)
			case pcap.LinuxSLL, pcap.LinuxSLL2, pcap.CHDLC, pcap.AppleIP1394:
				exprs = append(exprs, typed...)
			case pcap.Wifi, pcap.PFLog:
			default: // every fifth, others for each link type
				all := exprs
				exprs = nil
				for i := int(l.Type) % 5; i < len(all); i += 5 {
					exprs = append(exprs, all[i])
				}
			}
			list := pcaptest.Frames(l.Type, 3000)
			matched := 0
			for _, expr := range exprs {
				ours, err := Compile(expr, Options{Link: l.Type})
				if err != nil {
					t.Errorf("%s: %v", expr, err)
					continue
				}
				if expr == "1 = 1 and ip" && (l.Type == pcap.Wifi || l.Type == pcap.Radiotap) {
					continue // libpcap 1.10 optimizes the search for the header's end away
				}
				other, ok := theirs(t, l.Type, expr)
				if !ok {
					t.Logf("%s: not done by tcpdump", expr)
					continue
				}
				for _, f := range list {
					got, want := ours.Match(f, len(f)), other != nil && other.Match(f, len(f))
					if got {
						matched++
					}
					if got != want {
						t.Fatalf("%s: we say %t, tcpdump %t of % x", expr, got, want, f[:min(len(f), 90)])
					}
				}
			}
			if matched == 0 {
				t.Error("no expression accepted anything")
			}
		})
	}
}

// TestAgainstTcpdumpOnCapture does it with real packets, cut short at every length.
func TestAgainstTcpdumpOnCapture(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("tcpdump is not installed")
	}
	in, err := os.Open("../../testdata/demo.pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := pcap.NewFile(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list [][]byte
	var p pcap.Packet
	for f.Next(&p) == nil {
		list = append(list, bytes.Clone(p.Data))
	}
	for _, expr := range []string{"port 53", "tcp port 80 and host 10.20.0.11", "udp and not port 53", "arp or icmp", "ip6", "tcp[tcpflags] & tcp-syn != 0 and dst net 10.20.0.0/24", "icmp[0] = 8"} {
		ours, err := Compile(expr, Options{Link: pcap.Ethernet})
		if err != nil {
			t.Fatal(err)
		}
		other, ok := theirs(t, pcap.Ethernet, expr)
		if !ok {
			t.Fatalf("%s: tcpdump refuses", expr)
		}
		matched := 0
		for i, data := range list {
			data = data[:max(len(data)-i%90, 14)]
			got := ours.Match(data, len(data))
			if got {
				matched++
			}
			if want := other.Match(data, len(data)); got != want {
				t.Errorf("%s: packet %d cut to %d: we say %t, tcpdump %t", expr, i+1, len(data), got, want)
			}
		}
		if matched == 0 {
			t.Errorf("%s accepts nothing", expr)
		}
	}
}

var join = pcaptest.Join

// services knows a service of TCP and one of both protocols.
func services(network, service string) (int, error) {
	switch {
	case network == "tcp" && service == "http":
		return 80, nil
	case network != "sctp" && service == "domain":
		return 53, nil
	}
	return 0, errors.New("no")
}

func TestMatches(t *testing.T) {
	plain := pcaptest.Packet{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 6, Payload: pcaptest.TCP(1234, 80, 2, 0)}.Frame()
	tcp := plain.Data
	sctp := pcaptest.Packet{Src: "10.0.0.1", Dst: "10.0.0.2", Proto: 132, Payload: join(pcaptest.B16(1234), pcaptest.B16(53), make([]byte, 8))}.Frame()
	eth := pcaptest.Frame.Ethernet
	sll := func(f pcaptest.Frame) []byte { return join(make([]byte, 14), pcaptest.B16(int(f.Ether)), f.Data) }
	tagged := plain.Tag(pcaptest.VLAN, 5)
	for _, c := range []struct {
		expr string
		link pcap.LinkType
		data []byte
		want bool
	}{
		{"tcp dst port 80", pcap.Ethernet, eth(plain), true},
		{"tcp dst port 81", pcap.Ethernet, eth(plain), false},
		{"tcp dst port http", pcap.Ethernet, eth(plain), true},
		{"sctp dst port domain", pcap.Ethernet, eth(sctp), true},
		{"sctp src port domain", pcap.Ethernet, eth(sctp), false},
		{"host www", pcap.Ethernet, eth(plain), true},
		{"src host www", pcap.Ethernet, eth(plain), false},
		{"net 10/8", pcap.Ethernet, eth(plain), true},
		{"2 * 7 % 4 = 2", pcap.Ethernet, eth(plain), true},
		// tcpdump has no VLAN in cooked files; the kernel's tag is put there.
		{"vlan 5 and tcp", pcap.LinuxSLL, sll(tagged), true},
		{"vlan 6 and tcp", pcap.LinuxSLL, sll(tagged), false},
		{"vlan", pcap.LinuxSLL, sll(plain), false},
		{"outbound", pcap.LinuxSLL, join([]byte{0, 4}, sll(plain)[2:]), true},
		{"inbound and tcp", pcap.LinuxSLL, sll(plain), true},
		// An address family in the byte order of another machine, and of another system.
		{"ip", pcap.Null, join([]byte{0, 0, 0, 2}, tcp), true},
		{"ip", pcap.Null, join([]byte{2, 0, 0, 0}, tcp), true},
		{"ip6", pcap.Null, join([]byte{30, 0, 0, 0}, make([]byte, 40)), true},
		// A frame of 802.11 with four addresses.
		{"tcp port 80", pcap.Wifi, join([]byte{8, 3}, make([]byte, 28), []byte{0xaa, 0xaa, 3, 0, 0, 0, 8, 0}, tcp), true},
	} {
		p, err := Compile(c.expr, Options{Link: c.link, Host: func(name string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("fe80::1"), netip.MustParseAddr("10.0.0.2")}, nil
		}, Port: services})
		if err != nil {
			t.Errorf("%s: %v", c.expr, err)
			continue
		}
		if got := p.Match(c.data, len(c.data)); got != c.want {
			t.Errorf("%s on %v: %t, want %t", c.expr, c.link, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	unknown := func(string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	for _, c := range []struct{ expr, want string }{
		{"foo", `filter expression: syntax error at "foo" (column 1)`},
		{"tcp and", `filter expression: something is missing at the end`},
		{"tcp 80", `filter expression: syntax error at "80" (column 5)`},
		{"host", `filter expression: expected a value for host at the end`},
		{"host nosuch", `filter expression: unknown host at "nosuch" (column 6)`},
		{"port 70000", `filter expression: illegal port number at "70000" (column 6)`},
		{"sctp port http", `filter expression: that is a port of tcp at "http" (column 11)`},
		{"port 20-10", `filter expression: unknown port at "20-10" (column 6)`},
		{"net 10.1.2.3/8", `filter expression: the address has bits beyond its network mask at "10.1.2.3" (column 5)`},
		{"net 10.0.0.0/33", `filter expression: prefix length greater than 32 at "33" (column 14)`},
		{"tcp host 1.2.3.4", `filter expression: tcp does not go with an IPv4 host at "1.2.3.4" (column 10)`},
		{"ip port 80", `filter expression: ip does not go with port at "80" (column 9)`},
		{"vlan 5000", `filter expression: VLAN tag greater than 4095 at "5000" (column 6)`},
		{"tcp[0:3] = 1", `filter expression: the size must be 1, 2 or 4 at "3" (column 7)`},
		{"tcp[13] & 2", `filter expression: expected a comparison at the end`},
		{"ip[0] / 0 = 1", `filter expression: division by zero at "/" (column 7)`},
		{"ip[0] << 32 = 1", `filter expression: shift by more than 31 at "<<" (column 7)`},
		{"(tcp", `filter expression: expected ")" at the end`},
		{"tcp)", `filter expression: syntax error at ")" (column 4)`},
		{"ip protochain 6", `filter expression: syntax error at "protochain" (column 4)`},
		{"gateway foo", `filter expression: gateway is not supported at "gateway" (column 1)`},
		{"wlan type data", `filter expression: wlan is not supported at "wlan" (column 1)`},
		{"ip broadcast", `filter expression: the network's mask is not known: ip broadcast is not supported at "broadcast" (column 4)`},
		{"tcp @ udp", `filter expression: unexpected character at "@" (column 5)`},
		{"inbound", `filter expression: files of EN10MB do not tell the direction at "inbound" (column 1)`},
		{"proto tcp and foo", `filter expression: unknown protocol at "foo" (column 15)`},
		{"ether host 1.2.3.4", `filter expression: expected an Ethernet address at "1.2.3.4" (column 12)`},
		{strings.Repeat("(", 500) + "tcp", `filter expression: expression nested too deep at "(" (column 202)`},
	} {
		_, err := Compile(c.expr, Options{Link: pcap.Ethernet, Host: unknown, Port: services})
		var e *Error
		if err == nil || err.Error() != c.want || !errors.As(err, &e) {
			t.Errorf("%.40s: %v, want %s", c.expr, err, c.want)
		}
	}
	if p, err := Compile("  \t", Options{Link: pcap.Ethernet}); p != nil || err != nil {
		t.Error("a blank expression is not the absence of one")
	}
	if _, err := Compile("ip", Options{Link: 147}); err == nil {
		t.Error("a private link type passes")
	}
	if _, err := Compile("vlan", Options{Link: pcap.PPP}); err == nil {
		t.Error("VLAN tags on PPP")
	}
}

// TestLong makes jumps that do not fit an instruction.
func TestLong(t *testing.T) {
	var ors []string
	for i := range 200 {
		ors = append(ors, "src host 1.1.1."+string("0123456789"[i%10])+" and tcp["+string("0123456789"[i/20])+"] = 3")
	}
	expr := strings.Join(ors, " or ") + " or host 10.1.2.3"
	ours, err := Compile(expr, Options{Link: pcap.Ethernet})
	if err != nil {
		t.Fatal(err)
	}
	if len(ours.Raw()) < 600 {
		t.Fatalf("only %d instructions", len(ours.Raw()))
	}
	short, err := Compile("host 10.1.2.3", Options{Link: pcap.Ethernet})
	if err != nil {
		t.Fatal(err)
	}
	matched := 0
	for _, f := range pcaptest.Frames(pcap.Ethernet, 2000) {
		got := ours.Match(f, len(f))
		if got != short.Match(f, len(f)) {
			t.Fatalf("% x", f)
		}
		if got {
			matched++
		}
	}
	if matched == 0 {
		t.Error("nothing matched")
	}
	long := strings.Repeat("tcp[tcp[tcp[0]]:4] = tcp[5] or ", 1000) + "tcp"
	if _, err := Compile(long, Options{Link: pcap.Ethernet}); err == nil {
		t.Error("a program longer than the kernel takes")
	}
}

// TestKernelTag runs the program for live capture with a tag beside the frame, which only a kernel has: by hand.
func TestKernelTag(t *testing.T) {
	p, err := Compile("vlan 5 and ip", Options{Link: pcap.Ethernet, Live: true})
	if err != nil {
		t.Fatal(err)
	}
	withTag := func(id uint32) *Program {
		code := append([]bpf.RawInstruction(nil), p.Raw()...)
		for i := range code {
			switch {
			case code[i].Op&7 == classLD && code[i].K == extVLANIsSet:
				code[i] = bpf.RawInstruction{Op: classLD | modeIMM, K: 1}
			case code[i].Op&7 == classLD && code[i].K == extVLANTag:
				code[i] = bpf.RawInstruction{Op: classLD | modeIMM, K: id}
			}
		}
		q, err := New(code)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	ip := join(make([]byte, 12), pcaptest.B16(etherIPv4), []byte{0x45}, make([]byte, 30))
	inside := join(make([]byte, 12), pcaptest.B16(0x8100), pcaptest.B16(0x2005), pcaptest.B16(etherIPv4), []byte{0x45}, make([]byte, 30))
	for _, c := range []struct {
		name string
		p    *Program
		data []byte
		want bool
	}{
		{"beside", withTag(0x6005), ip, true},
		{"beside, another", withTag(6), ip, false},
		{"beside, not IP", withTag(5), join(make([]byte, 12), pcaptest.B16(etherARP), ip[14:]), false},
		{"in the frame", p, inside, true},
		{"none", p, ip, false},
	} {
		if got := c.p.Match(c.data, len(c.data)); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestLoad(t *testing.T) {
	p, err := Load(strings.NewReader("4\n40 0 0 12\n21 0 1 2048\n6 0 0 96\n6 0 0 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Run(join(make([]byte, 12), pcaptest.B16(0x800)), 60); n != 96 {
		t.Errorf("accepts %d octets", n)
	}
	for _, c := range []struct{ text, want string }{
		{"", "number of instructions: EOF"},
		{"x", "number of instructions"},
		{"0\n", "0 instructions, expected 1 to 4096"},
		{"5000\n", "5000 instructions"},
		{"2\n6 0 0 0\n", "instruction 1: unexpected EOF"},
		{"1\n6 0 0\n", "instruction 0"},
		{"1\n6 0 0 0\nmore", `unexpected "more"`},
		{"1\n40 0 0 12\n", "does not end with a return"},
		{"2\n21 5 0 1\n6 0 0 0\n", "BPF instruction 0: jump out of the program"},
		{"2\n5 0 0 4294967295\n6 0 0 0\n", "jump out of the program"},
		{"2\n52 0 0 0\n6 0 0 0\n", "division by zero"},
		{"2\n100 0 0 32\n6 0 0 0\n", "shift by 32"},
		{"2\n2 0 0 16\n6 0 0 0\n", "no memory word 16"},
		{"2\n255 0 0 16\n6 0 0 0\n", "unknown operation 0x00ff"},
	} {
		if _, err := Load(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

// TestMachine compares our interpreter with that of x/net on the programs of all expressions.
func TestMachine(t *testing.T) {
	list := pcaptest.Frames(pcap.Ethernet, 300)
	for _, expr := range append(append(everywhere, typed...), ethernet...) {
		p, err := Compile(expr, Options{Link: pcap.Ethernet})
		if err != nil {
			t.Fatal(err)
		}
		code, ok := bpf.Disassemble(p.Raw())
		if !ok {
			t.Fatalf("%s: x/net does not know an instruction", expr)
		}
		vm, err := bpf.NewVM(code)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if strings.Contains(expr, "udp[ip[8] - 64]") {
				continue // x/net adds offsets in 64 bits
			}
			want, err := vm.Run(f)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Run(f, len(f)); int(got) != want {
				t.Fatalf("%s: %d, x/net says %d of % x", expr, got, want, f)
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, e := range append(append(append([]string(nil), everywhere...), typed...), ethernet...) {
		f.Add(e, uint16(1), false)
	}
	f.Add("vlan 5 and vlan and tcp port 80", uint16(1), true)
	f.Add("vlan and udp or inbound", uint16(113), true)
	f.Add("tcp port 80", uint16(127), true)
	sample := pcaptest.Frames(pcap.Ethernet, 20)
	host := func(string) ([]netip.Addr, error) { return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil }
	port := func(string, string) (int, error) { return 80, nil }
	f.Fuzz(func(t *testing.T, expr string, link uint16, live bool) {
		p, err := Compile(expr, Options{Link: pcap.LinkType(link), Live: live, Host: host, Port: port})
		if err != nil || p == nil {
			return
		}
		for _, s := range sample {
			p.Run(s, len(s))
			p.Run(s[:14], len(s))
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add("4\n40 0 0 12\n21 0 1 2048\n6 0 0 96\n6 0 0 0\n", []byte("packet"))
	f.Add("3\n0 0 0 5\n12 0 0 0\n22 0 0 0", []byte("packet"))
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		if p, err := Load(strings.NewReader(text)); err == nil {
			p.Run(data, len(data))
		}
	})
}

func BenchmarkRun(b *testing.B) {
	p, err := Compile("tcp port 80 or udp port 53", Options{Link: pcap.Ethernet})
	if err != nil {
		b.Fatal(err)
	}
	list := pcaptest.Frames(pcap.Ethernet, 1024)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		p.Match(list[i&1023], 100)
		i++
	}
}
