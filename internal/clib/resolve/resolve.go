// Package resolve asks the system for host names. It is apart from clib so that
// only the tools that look names up link the resolver.
package resolve

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"time"
)

// patience bounds one look-up: a dead name server must not hang a tool.
const patience = 15 * time.Second

// IPv4 returns the first IPv4 address of a host name (a clib.Resolver).
func IPv4(name string) (addr uint32, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
	if err != nil || len(addrs) == 0 {
		return 0, false
	}
	a := addrs[0].Unmap().As4()
	return binary.BigEndian.Uint32(a[:]), true
}

// Name returns the host name of an IPv4 address, without the final dot.
func Name(addr uint32) (name string, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	names, err := net.DefaultResolver.LookupAddr(ctx, netip.AddrFrom4(b).String())
	if err != nil || len(names) == 0 {
		return "", false
	}
	return strings.TrimSuffix(names[0], "."), true
}
