package bpfexpr

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"flowtools/internal/pcap"
)

// Options say what an expression is compiled for.
type Options struct {
	Link pcap.LinkType
	Live bool   // for the kernel: see the package comment
	Snap uint32 // octets to keep of accepted packets; 0: pcap.MaxSnap

	// Names in expressions are looked up with these; nil means the system's resolver and services.
	Host func(name string) ([]netip.Addr, error)
	Port func(network, service string) (int, error)
}

// Compile translates a capture filter expression. An expression of blanks gives nil: everything passes. Errors in the
// expression are of type *Error and name the word.
func Compile(expr string, o Options) (*Program, error) {
	tokens, err := scan(expr)
	if err != nil {
		return nil, err
	}
	if len(tokens) == 1 {
		return nil, nil
	}
	link, err := pcap.LinkOf(o.Link)
	if err != nil {
		return nil, fmt.Errorf("filter expression: %w", err)
	}
	if o.Snap == 0 {
		o.Snap = pcap.MaxSnap
	}
	if o.Host == nil {
		o.Host = lookupHost
	}
	if o.Port == nil {
		o.Port = net.LookupPort
	}
	p := &parser{tokens: tokens, opt: o, link: link}
	var prologue func(*gen)
	p.at, prologue = layerOf(link, o.Live)
	c := p.expression(0)
	if p.err == nil && p.tok().text != "" {
		p.fail("syntax error")
	}
	if p.err != nil {
		return nil, p.err
	}
	if p.shifts {
		prologue = func(g *gen) {
			g.emit(classLD|modeIMM, 0)
			g.emit(classST, shiftWord)
		}
	}
	code, err := compile(c, prologue, o.Snap)
	if err != nil {
		return nil, err
	}
	return New(code)
}

func lookupHost(name string) ([]netip.Addr, error) {
	ips, err := net.LookupIP(name)
	var list []netip.Addr
	for _, ip := range ips {
		if a, ok := netip.AddrFromSlice(ip); ok {
			list = append(list, a.Unmap())
		}
	}
	return list, err
}

// qualifiers of a primitive; a bare value takes those of the primitive before it.
type qualifiers struct {
	proto, dir, kind string
}

type parser struct {
	tokens []token
	next   int
	opt    Options
	link   *pcap.Link
	at     layer
	last   qualifiers
	said   bool // last is set
	tagged bool // the tag the kernel keeps beside the frame was spoken of
	shifts bool // the shift word depends on it
	err    error
}

const maxDepth = 200

func (p *parser) tok() token { return p.tokens[p.next] }

func (p *parser) fail(format string, args ...any) *cond { return p.failAt(p.tok(), format, args...) }

func (p *parser) failAt(t token, format string, args ...any) *cond {
	if p.err == nil {
		p.err = &Error{t.text, t.pos, fmt.Sprintf(format, args...)}
	}
	p.next = len(p.tokens) - 1 // every loop ends
	return constant(false)
}

// accept steps over the next token if it is one of the texts, and returns it.
func (p *parser) accept(texts ...string) string {
	t := p.tok().text
	for _, s := range texts {
		if t == s {
			p.next++
			return t
		}
	}
	return ""
}

func (p *parser) expression(depth int) *cond {
	if depth > maxDepth {
		return p.fail("expression nested too deep")
	}
	c := p.term(depth)
	for p.err == nil {
		switch {
		case p.accept("and", "&&") != "":
			c = and(c, p.term(depth))
		case p.accept("or", "||") != "":
			c = or(c, p.term(depth))
		default:
			return c
		}
	}
	return c
}

func (p *parser) term(depth int) *cond {
	negative := false
	for p.accept("not", "!") != "" {
		negative = !negative
	}
	c := p.head(depth)
	if negative {
		c = not(c)
	}
	return c
}

func (p *parser) head(depth int) *cond {
	t := p.tok()
	switch {
	case t.text == "":
		return p.fail("something is missing")
	case p.startsArithmetic():
		return p.relation()
	case t.text == "(":
		p.next++
		c := p.expression(depth + 1)
		if p.err == nil && p.accept(")") == "" {
			return p.fail("expected \")\"")
		}
		return c
	case !t.word:
		return p.fail("syntax error")
	}
	return p.primitive()
}

// startsArithmetic looks ahead for a comparison: a number or length, an access, a minus, or a parenthesis behind whose end
// an operator stands.
func (p *parser) startsArithmetic() bool {
	i := p.next
	t := p.tokens[i]
	switch {
	case t.text == "-":
		return true
	case t.text == "(":
		depth := 0
		for ; i < len(p.tokens); i++ {
			switch p.tokens[i].text {
			case "(":
				depth++
			case ")":
				depth--
			}
			if depth == 0 {
				break
			}
		}
		return i+1 < len(p.tokens) && operator(p.tokens[i+1].text)
	case t.text == "len":
		return true
	case t.word:
		after := p.tokens[i+1].text
		return after == "[" || isNumber(t.text) && operator(after)
	}
	return false
}

func operator(s string) bool {
	switch s {
	case "+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "=", "==", "!=", "<", ">", "<=", ">=":
		return true
	}
	return false
}

func isNumber(s string) bool {
	_, err := parseNumber(s)
	return err == nil
}

// parseNumber reads a number in C notation.
func parseNumber(s string) (uint32, error) {
	if s == "" || !digit(s[0]) || strings.ContainsAny(s, "_bBoO") && !strings.HasPrefix(s, "0x") && !strings.HasPrefix(s, "0X") {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseUint(s, 0, 32)
	return uint32(n), err
}

// protocols: how the words for protocols are tested. An ether number is a network protocol; the others are protocols over
// IPv4, IPv6 or both.
var protocols = map[string]struct {
	ether, number uint32
	v4, v6        bool
}{
	"ip": {ether: etherIPv4}, "ip6": {ether: etherIPv6}, "arp": {ether: etherARP}, "rarp": {ether: etherRARP},
	"decnet": {ether: 0x6003}, "lat": {ether: 0x6004}, "moprc": {ether: 0x6002}, "mopdl": {ether: 0x6001},
	"loopback": {ether: 0x9000}, "pppoed": {ether: etherPPPoED},
	"tcp": {number: 6, v4: true, v6: true}, "udp": {number: 17, v4: true, v6: true}, "sctp": {number: 132, v4: true, v6: true},
	"ah": {number: 51, v4: true, v6: true}, "esp": {number: 50, v4: true, v6: true}, "pim": {number: 103, v4: true, v6: true},
	"icmp": {number: 1, v4: true}, "igmp": {number: 2, v4: true}, "igrp": {number: 9, v4: true}, "vrrp": {number: 112, v4: true},
	"carp": {number: 112, v4: true}, "icmp6": {number: 58, v6: true},
}

// numbers that `proto NAME` knows beyond the protocols above.
var protocolNumbers = map[string]uint32{
	"ipip": 4, "egp": 8, "gre": 47, "ipv6-icmp": 58, "eigrp": 88, "ospf": 89, "l2tp": 115, "udplite": 136, "ipv6": 41, "rsvp": 46,
}

// words of the language that this compiler does not do, or not alone; none is ever taken for a value.
var reserved = map[string]bool{
	"and": true, "or": true, "not": true, "mask": true, "gateway": true, "protochain": true, "byte": true, "hbh": true, "llc": true,
	"fddi": true, "tr": true, "wlan": true, "radio": true, "iso": true, "stp": true, "ipx": true, "netbeui": true, "atalk": true, "aarp": true,
	"clnp": true, "esis": true, "isis": true, "l1": true, "l2": true, "iih": true, "lsp": true, "snp": true, "csnp": true, "psnp": true,
	"type": true, "subtype": true, "action": true, "reason": true, "rnr": true, "rulenum": true, "ruleset": true, "srnr": true, "subrulenum": true,
	"ifname": true, "ifindex": true, "lane": true, "vpi": true, "vci": true, "metac": true, "geneve": true, "oam": true, "oamf4": true,
	"sio": true, "opc": true, "dpc": true, "sls": true, "addr1": true, "addr2": true, "addr3": true, "addr4": true, "ra": true, "ta": true,
}

// primitive parses qualifiers and what they apply to, or a word that stands alone.
func (p *parser) primitive() *cond {
	start := p.tok()
	word := start.text
	switch word {
	case "vlan":
		return p.vlan()
	case "mpls":
		return p.mpls()
	case "pppoes":
		return p.pppoes()
	case "less", "greater":
		return p.length()
	case "inbound", "outbound":
		p.next++
		return p.direction(start, word == "outbound")
	case "broadcast", "multicast":
		p.next++
		return p.cast("ether", start)
	}
	if reserved[word] {
		return p.fail("%s is not supported", word)
	}
	var q qualifiers
	proto, known := protocols[word]
	if known || word == "ether" || word == "link" {
		p.next++
		if q.proto = word; word == "link" {
			q.proto = "ether"
		}
		if cast := p.tok(); cast.text == "broadcast" || cast.text == "multicast" {
			p.next++
			return p.cast(q.proto, cast)
		}
	}
	q.dir = p.dir()
	q.kind = p.accept("host", "net", "port", "portrange", "proto")
	switch {
	case q.dir == "" && q.kind == "" && q.proto != "":
		if !known {
			return p.fail("expected host, proto, src or dst after %s", word)
		}
		p.last, p.said = q, true
		return p.protocol(proto.ether, proto.number, proto.v4, proto.v6)
	case q == qualifiers{}:
		if !p.said || p.last.kind == "" && p.last.dir == "" {
			return p.fail("syntax error")
		}
		q = p.last
	case q.kind == "":
		q.kind = "host"
	}
	p.last, p.said = q, true
	if p.accept("(") == "" {
		return p.value(q)
	}
	c := p.value(q)
	for p.err == nil && p.accept(")") == "" {
		negative := false
		and2 := p.accept("and", "&&") != ""
		if !and2 && p.accept("or", "||") == "" {
			return p.fail("expected \")\"")
		}
		for p.accept("not", "!") != "" {
			negative = !negative
		}
		v := p.value(q)
		if negative {
			v = not(v)
		}
		if and2 {
			c = and(c, v)
		} else {
			c = or(c, v)
		}
	}
	return c
}

// dir parses src, dst, `src or dst`, `src and dst`.
func (p *parser) dir() string {
	first := p.accept("src", "dst")
	if first == "" {
		return ""
	}
	i := p.next
	join := p.accept("and", "&&", "or", "||")
	if second := p.tok().text; join != "" && (second == "src" || second == "dst") && second != first {
		p.next++
		if join == "and" || join == "&&" {
			return "both"
		}
		return "either"
	}
	p.next = i
	return first
}

// protocol tests for a protocol over Ethernet or over IP.
func (p *parser) protocol(ether, number uint32, v4, v6 bool) *cond {
	l := &p.at
	switch {
	case ether != 0:
		return l.is(ether)
	case v4 && v6:
		return or(and(l.is(etherIPv4), l.ipv4Proto(number)), and(l.is(etherIPv6), l.ipv6Proto(number)))
	case v4:
		return and(l.is(etherIPv4), l.ipv4Proto(number))
	default:
		return and(l.is(etherIPv6), l.ipv6Proto(number))
	}
}

// value parses what the qualifiers apply to.
func (p *parser) value(q qualifiers) *cond {
	t := p.tok()
	if !t.word {
		return p.fail("expected a value for %s", q.kind)
	}
	if q.kind != "proto" {
		if _, known := protocols[t.text]; known || reserved[t.text] {
			return p.fail("expected a value for %s", q.kind)
		}
	}
	p.next++
	switch q.kind {
	case "host":
		if q.proto == "ether" {
			return p.etherHost(t, q.dir)
		}
		return p.host(t, q)
	case "net":
		return p.network(t, q)
	case "port", "portrange":
		return p.port(t, q)
	default:
		return p.protoNumber(t, q)
	}
}

// sides combines the test of the source and that of the destination.
func sides(dir string, one func(dst bool) *cond) *cond {
	switch dir {
	case "src":
		return one(false)
	case "dst":
		return one(true)
	case "both":
		return and(one(false), one(true))
	}
	return or(one(false), one(true))
}

func (p *parser) etherHost(t token, dir string) *cond {
	mac, err := net.ParseMAC(paddedMAC(t.text))
	if err != nil || len(mac) != 6 {
		return p.failAt(t, "expected an Ethernet address")
	}
	return p.etherAddr(t, dir, [6]byte(mac))
}

// paddedMAC allows octets of one digit.
func paddedMAC(s string) string {
	sep := ":"
	if !strings.Contains(s, ":") {
		sep = "-"
	}
	parts := strings.Split(s, sep)
	if len(parts) != 6 {
		return s
	}
	for i, x := range parts {
		if len(x) == 1 {
			parts[i] = "0" + x
		}
	}
	return strings.Join(parts, ":")
}

func (p *parser) etherAddr(t token, dir string, mac [6]byte) *cond {
	if p.link.Type != pcap.Ethernet {
		return p.failAt(t, "no Ethernet addresses on %s", p.link.Name)
	}
	high := uint32(mac[0])<<8 | uint32(mac[1])
	low := uint32(mac[2])<<24 | uint32(mac[3])<<16 | uint32(mac[4])<<8 | uint32(mac[5])
	return sides(dir, func(dst bool) *cond {
		off := uint32(6)
		if dst {
			off = 0
		}
		return and(equal(at(place{}, off+2, 4), low), equal(at(place{}, off, 2), high))
	})
}

func (p *parser) host(t token, q qualifiers) *cond {
	if n, err := parseNumber(t.text); err == nil {
		return p.ipv4(t, q, n, ^uint32(0))
	}
	if addr, bits, ok := partialIPv4(t.text); ok {
		return p.ipv4(t, q, addr, mask(bits))
	}
	if a, err := netip.ParseAddr(t.text); err == nil && a.Is6() && a.Zone() == "" {
		return p.ipv6(t, q, a, 128)
	}
	if strings.Contains(t.text, ":") {
		return p.failAt(t, "expected an address")
	}
	list, err := p.opt.Host(t.text)
	var conds []*cond
	for _, a := range list {
		switch {
		case a.Is4() && q.proto != "ip6":
			b := a.As4()
			conds = append(conds, p.ipv4(t, q, be32(b[:]), ^uint32(0)))
		case a.Is6() && (q.proto == "ip6" || q.proto == ""):
			conds = append(conds, p.ipv6(t, q, a, 128))
		}
	}
	if err != nil || len(conds) == 0 {
		return p.failAt(t, "unknown host")
	}
	return or(conds...)
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func mask(bits int) uint32 { return uint32(^uint64(0) << (32 - bits)) }

// partialIPv4 reads up to four decimal octets; the number of bits is that of the octets given.
func partialIPv4(s string) (addr uint32, bits int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return 0, 0, false
	}
	for i, x := range parts {
		n, err := strconv.ParseUint(x, 10, 8)
		if err != nil || !digit(x[0]) {
			return 0, 0, false
		}
		addr |= uint32(n) << (24 - 8*i)
	}
	return addr, 8 * len(parts), true
}

func (p *parser) network(t token, q qualifiers) *cond {
	if a, err := netip.ParseAddr(t.text); err == nil && a.Is6() && a.Zone() == "" {
		bits := 128
		if p.accept("/") != "" {
			n, ok := p.number("prefix length", 128)
			if !ok {
				return constant(false)
			}
			bits = int(n)
		}
		if pre := netip.PrefixFrom(a, bits); pre.Masked().Addr() != a {
			return p.failAt(t, "the address has bits beyond its prefix length")
		}
		return p.ipv6(t, q, a, bits)
	}
	var addr, bitmask uint32
	if n, err := parseNumber(t.text); err == nil {
		for addr, bitmask = n, ^uint32(0); addr != 0 && addr&0xff00_0000 == 0; {
			addr, bitmask = addr<<8, bitmask<<8
		}
	} else if a, bits, ok := partialIPv4(t.text); ok {
		addr, bitmask = a, mask(bits)
	} else {
		return p.failAt(t, "unknown network")
	}
	switch p.accept("/", "mask") {
	case "/":
		n, ok := p.number("prefix length", 32)
		if !ok {
			return constant(false)
		}
		bitmask = mask(int(n))
	case "mask":
		m := p.tok()
		a, bits, ok := partialIPv4(m.text)
		if !ok || bits != 32 {
			return p.fail("expected a network mask")
		}
		p.next++
		bitmask = a
	}
	if addr&^bitmask != 0 {
		return p.failAt(t, "the address has bits beyond its network mask")
	}
	return p.ipv4(t, q, addr, bitmask)
}

// number parses a number up to limit.
func (p *parser) number(what string, limit uint32) (uint32, bool) {
	t := p.tok()
	n, err := parseNumber(t.text)
	if err != nil {
		p.fail("expected a %s", what)
		return 0, false
	}
	if n > limit {
		p.fail("%s greater than %d", what, limit)
		return 0, false
	}
	p.next++
	return n, true
}

func (p *parser) ipv4(t token, q qualifiers, addr, bits uint32) *cond {
	one := func(src, dst uint32) *cond {
		return sides(q.dir, func(isDst bool) *cond {
			off := src
			if isDst {
				off = dst
			}
			ld := at(p.at.net, off, 4)
			if bits == 0 {
				return constant(true)
			}
			if bits != ^uint32(0) {
				ld = ld.and(bits)
			}
			return equal(ld, addr)
		})
	}
	l := &p.at
	switch q.proto {
	case "":
		return or(and(l.is(etherIPv4), one(12, 16)), and(or(l.is(etherARP), l.is(etherRARP)), one(14, 24)))
	case "ip":
		return and(l.is(etherIPv4), one(12, 16))
	case "arp":
		return and(l.is(etherARP), one(14, 24))
	case "rarp":
		return and(l.is(etherRARP), one(14, 24))
	}
	return p.failAt(t, "%s does not go with an IPv4 %s", q.proto, q.kind)
}

func (p *parser) ipv6(t token, q qualifiers, addr netip.Addr, bits int) *cond {
	if q.proto != "" && q.proto != "ip6" {
		return p.failAt(t, "%s does not go with an IPv6 %s", q.proto, q.kind)
	}
	b := addr.As16()
	return and(p.at.is(etherIPv6), sides(q.dir, func(dst bool) *cond {
		off := uint32(8)
		if dst {
			off = 24
		}
		c := constant(true)
		for i := 0; i < bits; i += 32 {
			ld := at(p.at.net, off+uint32(i/8), 4)
			if bits-i < 32 {
				ld = ld.and(mask(bits - i))
			}
			word := equal(ld, be32(b[i/8:]))
			if i == 0 {
				c = word
			} else {
				c = and(c, word)
			}
		}
		return c
	}))
}

// portProtocols are those that ports belong to, in the order they are tested.
var portProtocols = []string{"sctp", "tcp", "udp"}

func (p *parser) port(t token, q qualifiers) *cond {
	protos := portProtocols
	switch q.proto {
	case "":
	case "tcp", "udp", "sctp":
		protos = []string{q.proto}
	default:
		return p.failAt(t, "%s does not go with %s", q.proto, q.kind)
	}
	low, high, ok := uint32(0), uint32(0), false
	if q.kind == "portrange" {
		from, to, isRange := strings.Cut(t.text, "-")
		low, protos, ok = p.portNumber(t, from, protos)
		if high = low; ok && isRange {
			high, protos, ok = p.portNumber(t, to, protos)
		}
		if low > high {
			low, high = high, low
		}
	} else {
		low, protos, ok = p.portNumber(t, t.text, protos)
		high = low
	}
	if !ok {
		return constant(false)
	}
	l := &p.at
	ports := func(payload place) *cond {
		return sides(q.dir, func(dst bool) *cond {
			off := uint32(0)
			if dst {
				off = 2
			}
			ld := at(payload, off, 2)
			if low == high {
				return equal(ld, low)
			}
			return and(test(ld, jmpGE, low), not(test(ld, jmpGT, high)))
		})
	}
	var over4, over6 []*cond
	for _, name := range protos {
		over4 = append(over4, l.ipv4Proto(protocols[name].number))
		over6 = append(over6, equal(at(l.net, 6, 1), protocols[name].number))
	}
	return or(and(l.is(etherIPv6), or(over6...), ports(l.net.plus(ipv6Header))),
		and(l.is(etherIPv4), or(over4...), l.whole(), ports(l.transport())))
}

// portNumber reads a port by number or name. A service that only one of the protocols has means that protocol.
func (p *parser) portNumber(t token, s string, protos []string) (uint32, []string, bool) {
	if n, err := parseNumber(s); err == nil {
		if n > 65535 {
			p.failAt(t, "illegal port number")
			return 0, nil, false
		}
		return n, protos, true
	}
	found := -1
	var have []string
	for _, proto := range [...]string{"tcp", "udp"} { // sctp is not among Go's networks
		if !slices.Contains(protos, proto) && !slices.Contains(protos, "sctp") {
			continue
		}
		n, err := p.opt.Port(proto, strings.TrimPrefix(s, "\\"))
		if err != nil {
			continue
		}
		if found < 0 {
			found = n
		}
		if n == found {
			have = append(have, proto)
		}
	}
	switch {
	case found < 0:
		p.failAt(t, "unknown port")
		return 0, nil, false
	case len(have) > 1:
		return uint32(found), protos, true
	case slices.Contains(protos, have[0]):
		return uint32(found), have, true
	}
	p.failAt(t, "that is a port of %s", have[0]) // alone: SCTP takes the names that both have
	return 0, nil, false
}

func (p *parser) protoNumber(t token, q qualifiers) *cond {
	name := strings.TrimPrefix(t.text, "\\")
	n, err := parseNumber(name)
	l := &p.at
	if q.dir != "" {
		return p.failAt(t, "src and dst do not go with proto")
	}
	if q.proto == "ether" {
		if err != nil {
			known, ok := protocols[name]
			if !ok || known.ether == 0 {
				return p.failAt(t, "unknown Ethernet protocol")
			}
			n = known.ether
		}
		if n <= maxLength8023 {
			if l.kind != byEtherType {
				return p.failAt(t, "no 802.3 frames on %s", p.link.Name)
			}
			return and(not(test(l.proto, jmpGT, maxLength8023)), equal(at(l.net, 0, 1), n))
		}
		return l.is(n)
	}
	if err != nil {
		known, ok := protocols[name]
		if n = known.number; !ok || n == 0 {
			if n, ok = protocolNumbers[name]; !ok {
				return p.failAt(t, "unknown protocol")
			}
		}
	}
	switch q.proto {
	case "":
		return p.protocol(0, n, true, true)
	case "ip":
		return p.protocol(0, n, true, false)
	case "ip6":
		return p.protocol(0, n, false, true)
	}
	return p.failAt(t, "%s does not go with proto", q.proto)
}

// optionalNumber parses the number that may follow vlan, mpls and pppoes.
func (p *parser) optionalNumber(what string, limit uint32) (n uint32, given, ok bool) {
	if t := p.tok(); !t.word || !digit(t.text[0]) {
		return 0, false, true
	}
	n, ok = p.number(what, limit)
	return n, true, ok
}

func (p *parser) vlan() *cond {
	word := p.tok()
	p.next++
	id, given, ok := p.optionalNumber("VLAN tag", 4095)
	if !ok {
		return constant(false)
	}
	l := &p.at
	if !l.tags() {
		return p.failAt(word, "no VLAN tags on %s", p.link.Name)
	}
	const idBits = 0x0fff
	if p.opt.Live && !p.tagged && p.link.Type != pcap.Radiotap && p.link.Type != pcap.Wifi {
		p.tagged = true
		beside := equal(load{place: place{off: extVLANIsSet}, size: 1}, 1)
		besideID := equal(load{place: place{off: extVLANTag}, size: 4, mask: idBits}, id)
		if p.link.Type == pcap.LinuxSLL {
			if given {
				return and(beside, besideID)
			}
			return beside
		}
		c := &cond{op: condTagged, ld: l.proto}
		if given {
			c = and(c, or(and(beside, besideID), and(not(beside), equal(at(l.net, 0, 2).and(idBits), id))))
		}
		// Behind the tag if it is in the frame; the tag beside the frame takes no room.
		p.shifts = true
		l.proto.base, l.net.base = inShifted, inShifted
		return c
	}
	c := or(l.is(0x8100), l.is(0x88a8), l.is(0x9100))
	if given {
		c = and(c, equal(at(l.net, 0, 2).and(idBits), id))
	}
	l.kind = byEtherType
	l.proto, l.net = at(l.net, 2, 2), l.net.plus(4)
	return c
}

func (p *parser) mpls() *cond {
	word := p.tok()
	p.next++
	label, given, ok := p.optionalNumber("MPLS label", 1<<20-1)
	if !ok {
		return constant(false)
	}
	l := &p.at
	var c *cond
	switch {
	case l.kind == byLabel:
		c = not(test(at(l.net, ^uint32(1), 1), jmpSET, 1)) // the label before is not the last
	case l.tags() || l.kind == byPPP:
		c = l.is(etherMPLS)
	default:
		return p.failAt(word, "no MPLS on %s", p.link.Name)
	}
	if given {
		c = and(c, equal(at(l.net, 0, 4).and(0xffff_f000), label<<12))
	}
	l.kind, l.net = byLabel, l.net.plus(4)
	return c
}

func (p *parser) pppoes() *cond {
	word := p.tok()
	p.next++
	session, given, ok := p.optionalNumber("PPPoE session", 65535)
	if !ok {
		return constant(false)
	}
	l := &p.at
	if !l.tags() {
		return p.failAt(word, "no PPPoE on %s", p.link.Name)
	}
	c := l.is(etherPPPoES)
	if given {
		c = and(c, equal(at(l.net, 2, 2), session))
	}
	l.kind, l.proto, l.net = byPPP, at(l.net, 6, 2), l.net.plus(8)
	return c
}

func (p *parser) length() *cond {
	word := p.tok().text
	p.next++
	n, ok := p.number("length", ^uint32(0))
	if !ok {
		return constant(false)
	}
	if word == "less" {
		return not(test(load{place: place{base: inLength}}, jmpGT, n))
	}
	return test(load{place: place{base: inLength}}, jmpGE, n)
}

func (p *parser) direction(t token, out bool) *cond {
	var kind load
	switch {
	case p.opt.Live:
		kind = load{place: place{off: extType}, size: 2}
	case p.link.Type == pcap.LinuxSLL:
		kind = at(place{}, 0, 2)
	case p.link.Type == pcap.LinuxSLL2:
		kind = at(place{}, 10, 1)
	default:
		return p.failAt(t, "files of %s do not tell the direction", p.link.Name)
	}
	const outgoing = 4 // PACKET_OUTGOING
	c := equal(kind, outgoing)
	if !out {
		c = not(c)
	}
	return c
}

// cast is broadcast or multicast.
func (p *parser) cast(proto string, t token) *cond {
	l := &p.at
	switch {
	case proto == "ether" && t.text == "broadcast":
		return p.etherAddr(t, "dst", [6]byte{255, 255, 255, 255, 255, 255})
	case proto == "ether" && p.link.Type == pcap.Ethernet:
		return test(at(place{}, 0, 1), jmpSET, 1)
	case proto == "ip" && t.text == "multicast":
		return and(l.is(etherIPv4), test(at(l.net, 16, 1), jmpGE, 224))
	case proto == "ip6" && t.text == "multicast":
		return and(l.is(etherIPv6), equal(at(l.net, 24, 1), 255))
	case proto == "ip":
		return p.failAt(t, "the network's mask is not known: ip broadcast is not supported")
	}
	return p.failAt(t, "%s %s is not supported on %s", proto, t.text, p.link.Name)
}
