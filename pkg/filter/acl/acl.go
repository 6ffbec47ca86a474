// Package acl reads access lists in the notation of routers and compiles them
// to predicates over flow records: the lists that flow-filter's -S, -D, -x and
// -E name.
//
// Compat: of an extended list only protocol and addresses are ever tested. What
// else a line may say is read and then either ignored (ip) or keeps the line
// from matching anything (tcp, udp, icmp, igmp).
package acl

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"

	"flowtools/pkg/flow"
)

// Kind is the kind of a list.
type Kind uint8

// The kinds of lists.
const (
	Standard Kind = iota // tests one address
	Extended             // tests protocol, source and destination
)

// String returns "standard" or "extended".
func (k Kind) String() string {
	if k == Extended {
		return "extended"
	}
	return "standard"
}

// File is a set of lists with names of their own.
type File struct {
	lists  []*List
	byName map[string]*List
}

// List is one access list: the first of its lines that matches decides, and no
// match is a denial. Lists are immutable once read.
type List struct {
	Name  string
	Kind  Kind
	lines []line
}

// line is a line of a list.
type line struct {
	permit   bool
	proto    int16   // of an extended line, anyProto for ip
	src, dst pattern // a standard line has src only
	never    bool    // accepted, but matches nothing
}

const anyProto = -1

// pattern is an address with the bits to ignore.
type pattern struct{ addr, wild uint32 }

// Find returns the list of that name and kind, nil when there is none. Names
// are text: "01" is not "1".
func (f *File) Find(name string, kind Kind) *List {
	if l := f.byName[name]; l != nil && l.Kind == kind {
		return l
	}
	return nil
}

// Lists returns the lists in the order of their first lines.
func (f *File) Lists() []*List { return f.lists }

// test is a compiled line: it matches when value equals the address where care
// has ones.
type test struct {
	value, care uint32
	permit      bool
}

// Match returns the predicate of a standard list on an address field of l.
func (a *List) Match(l *flow.Layout, field flow.Field) func(flow.Record) bool {
	tests := make([]test, len(a.lines))
	for i, ln := range a.lines {
		tests[i] = test{ln.src.addr &^ ln.src.wild, ^ln.src.wild, ln.permit}
	}
	return func(r flow.Record) bool {
		addr := uint32(l.Uint(r, field))
		for i := range tests {
			if t := &tests[i]; addr&t.care == t.value {
				return t.permit
			}
		}
		return false
	}
}

// pairTest is a compiled line over both addresses of a record in one word,
// source in the high half, and the protocol.
type pairTest struct {
	value, care uint64
	proto       uint16 // equals that of the record where protoCare has ones
	protoCare   uint16
	permit      bool
}

// noProto is the protocol of records without one: only ip lines match it.
const noProto = 0x100

// MatchFlow returns the predicate of an extended list on the protocol and
// addresses of records of l. In records without protocol only ip lines match.
//
// Compat: an address with bits under its wildcard bits never matches, unlike in
// standard lists (golden ext-parts-116).
func (a *List) MatchFlow(l *flow.Layout) func(flow.Record) bool {
	var tests []pairTest
	for _, ln := range a.lines {
		if ln.never || ln.src.addr&ln.src.wild != 0 || ln.dst.addr&ln.dst.wild != 0 {
			continue
		}
		t := pairTest{
			value:  uint64(ln.src.addr)<<32 | uint64(ln.dst.addr),
			care:   ^(uint64(ln.src.wild)<<32 | uint64(ln.dst.wild)),
			permit: ln.permit,
		}
		if ln.proto != anyProto {
			t.proto, t.protoCare = uint16(ln.proto), 0xffff
		}
		tests = append(tests, t)
	}
	hasProto := l.Fields.Has(flow.Prot)
	return func(r flow.Record) bool {
		pair := l.Uint(r, flow.SrcAddr)<<32 | l.Uint(r, flow.DstAddr)
		proto := uint16(noProto)
		if hasProto {
			proto = uint16(l.Uint(r, flow.Prot))
		}
		for i := range tests {
			if t := &tests[i]; pair&t.care == t.value && proto&t.protoCare == t.proto {
				return t.permit
			}
		}
		return false
	}
}

// WriteTo writes the lists in their own notation, one line for each. Parts that
// have no effect are left out, lines that match nothing are marked.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	var b []byte
	for _, l := range f.lists {
		b = l.append(b)
	}
	n, err := w.Write(b)
	return int64(n), err
}

func (a *List) append(b []byte) []byte {
	for _, ln := range a.lines {
		if isDigit(a.Name[0]) {
			b = fmt.Appendf(b, "access-list %s ", a.Name)
		} else {
			b = fmt.Appendf(b, "ip access-list %v %s ", a.Kind, a.Name)
		}
		if ln.permit {
			b = append(b, "permit"...)
		} else {
			b = append(b, "deny"...)
		}
		if a.Kind == Extended {
			b = fmt.Appendf(b, " %s", protoName[ln.proto])
			b = ln.src.append(b)
			b = ln.dst.append(b)
		} else {
			b = ln.src.append(b)
		}
		b = append(b, '\n')
		if ln.never {
			b = append(b, "! the line above never matches\n"...)
		}
	}
	return b
}

func (p pattern) append(b []byte) []byte {
	switch p.wild {
	case 1<<32 - 1:
		if p.addr == 0 {
			return append(b, " any"...)
		}
	case 0:
		return quad(append(b, " host"...), p.addr)
	}
	return quad(quad(b, p.addr), p.wild)
}

func quad(b []byte, addr uint32) []byte {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], addr)
	return netip.AddrFrom4(a).AppendTo(append(b, ' '))
}
