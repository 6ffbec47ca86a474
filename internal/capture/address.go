package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"flowtools/internal/clib"
)

// DefaultPort is the port of an address that names none.
const DefaultPort = 9991

// Address is the operand LOCALIP/REMOTEIP[/PORT[/TTL]] of the network tools.
// Unspecified addresses (0, or missing) are any.
type Address struct {
	Local  netip.Addr
	Remote netip.Addr
	Port   uint16
	TTL    uint8 // 0 where none was given
}

// ParseAddress reads an address triple: missing and empty parts are 0, port 0
// is 9991, text behind the fourth part is ignored. Addresses are read by the
// arithmetic rules of clib.Addr; a text with a colon is an IPv6 address, with an
// optional zone and brackets. The error names a host that cannot be found.
func ParseAddress(s string, resolve clib.Resolver) (Address, error) {
	parts := append(strings.Split(s, "/"), "", "", "", "")
	var a Address
	var err error
	if a.Local, err = parseHost(parts[0], resolve); err != nil {
		return a, err
	}
	if a.Remote, err = parseHost(parts[1], resolve); err != nil {
		return a, err
	}
	if a.Port = uint16(clib.Atoi(parts[2])); a.Port == 0 {
		a.Port = DefaultPort
	}
	a.TTL = uint8(clib.Atoi(parts[3]))
	// An address left open is of the family of the other one.
	switch {
	case a.Local.Is6() && a.Remote.Is4() && a.Remote.IsUnspecified():
		a.Remote = netip.IPv6Unspecified()
	case a.Remote.Is6() && a.Local.Is4() && a.Local.IsUnspecified():
		a.Local = netip.IPv6Unspecified()
	case a.Local.Is6() != a.Remote.Is6():
		return a, fmt.Errorf("%s: one address is IPv4, the other IPv6", s)
	}
	return a, nil
}

func parseHost(s string, resolve clib.Resolver) (netip.Addr, error) {
	if strings.Contains(s, ":") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
		if err != nil {
			return addr, fmt.Errorf("%s: not an IPv6 address", s)
		}
		return addr.Unmap(), nil
	}
	v, ok := clib.Addr(s, resolve)
	if !ok {
		return netip.Addr{}, fmt.Errorf("%s: unknown host", s)
	}
	return AddrFrom(v), nil
}

// AddrFrom returns the IPv4 address with the number v, first octet highest.
func AddrFrom(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

// AddrNumber returns the number of an IPv4 address, 0 for others.
func AddrNumber(a netip.Addr) uint32 {
	if a = a.Unmap(); !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// Multicast reports whether the remote address is a multicast group.
func (a Address) Multicast() bool { return a.Remote.IsMulticast() }

// Exporter returns the only address that datagrams are accepted from,
// unspecified for any: the remote one or, of a multicast group, the local one.
func (a Address) Exporter() netip.Addr {
	if a.Multicast() {
		return a.Local
	}
	return a.Remote
}

// Bind returns the address that a receiver binds to.
func (a Address) Bind() netip.AddrPort {
	local := a.Local
	if a.Multicast() {
		local = netip.IPv4Unspecified()
		if a.Remote.Is6() {
			local = netip.IPv6Unspecified()
		}
	}
	return netip.AddrPortFrom(local, a.Port)
}
