package bpfexpr

import (
	"testing"

	"golang.org/x/sys/unix"

	"flowtools/internal/pcap"
)

// TestKernelAccepts attaches the programs for live capture to a socket, for the kernel's own check of them.
func TestKernelAccepts(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Skip(err)
	}
	defer unix.Close(fd)
	attach := func(link pcap.LinkType, exprs []string) {
		for _, expr := range exprs {
			p, err := Compile(expr, Options{Link: link, Live: true})
			if err != nil {
				t.Errorf("%v: %s: %v", link, expr, err)
				continue
			}
			code := make([]unix.SockFilter, len(p.Raw()))
			for i, in := range p.Raw() {
				code[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
			}
			prog := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
			if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
				t.Errorf("%v: %s: %v", link, expr, err)
			}
		}
	}
	for _, link := range []pcap.LinkType{pcap.Ethernet, pcap.LinuxSLL, pcap.Wifi, pcap.Radiotap} {
		attach(link, append(append([]string{"inbound", "outbound and tcp", "vlan 5 and vlan and ip", "vlan"}, everywhere...), typed...))
	}
	attach(pcap.Ethernet, ethernet)
}
