package report

import (
	"fmt"
	"strings"
	"sync"

	"flowtools/pkg/flow"
)

// Kind is how the entries of a report type are kept.
type Kind uint8

// The kinds of report types.
const (
	Counters Kind = iota // no entries, totals only
	Detail               // no entries, distributions of sizes and times
	List                 // entries in order of first appearance
	Array                // one entry for each value of a small key
	Linear               // one entry a second, flows spread over their lifetime
)

// Side says which end of a flow an address key is.
type Side uint8

// The sides.
const (
	Neither Side = iota
	Source
	Destination
)

// derived is how the value of a key is computed where it is not simply a field.
type derived uint8

// The derived keys. All but class count after scaling.
const (
	plain       derived = iota
	packetSize          // octets / packets, low 32 bits
	octetCount          // octets
	packetCount         // packets
	bitRate             // bits a second, truncated; 0 without duration
	packetRate          // packets a second, truncated; 0 without duration
	class               // class of the destination address, 0 to 5
	lifetime            // last - first, ms
	second              // unix second (Linear)
)

// Key is one key of a report type.
type Key struct {
	Name  string // column name
	Title string // what the key is: Name, where that fits
	Sym   string // symbol table for names, "" for none
	Addr  bool   // an IPv4 address

	field   flow.Field
	derived derived
	bits    int  // width of the value, without a prefix length
	side    Side // whose address format makes the entries; Neither: never a prefix
	print   Side // whose address format says that a prefix is printed
}

// Type is a report type. Types are shared and read-only.
type Type struct {
	Name string
	Kind Kind
	Keys []Key // in column order
	Size int   // Array: number of entries

	// Alternate is the second key of a type that counts each flow under two
	// entries, Keys[0] first; nil otherwise.
	Alternate *Key
	// Distinct is what a count type counts the distinct values of, per entry.
	Distinct *Key

	borrow bool // the quirk of words with "!"
}

// The report types in the order of flow-report -hh. A word is a field of the
// flow registry or a derived key; "FIELD=COLUMN" overrides the column name,
// "FIELD=COLUMN@" also takes the source's address format for printing;
// "A|B=COLUMN" counts a flow under both; "#FIELD" counts distinct values;
// "dstaddr!" lends its prefix length to the source's and keeps none.
//
// Compat: several column names do not fit their keys; scripts parse them.
// (flow-report.md section 7; goldens flow-report/rich-*, prefix-*).
var typeLines = []struct {
	name string
	kind Kind
	keys string
}{
	{"summary-detail", Detail, ""},
	{"summary-counters", Counters, ""},
	{"packet-size", List, "packet-size"},
	{"octets", List, "octets"},
	{"packets", List, "packets"},
	{"ip-source-port", Array, "srcport"},
	{"ip-destination-port", Array, "dstport"},
	{"ip-source/destination-port", List, "srcport dstport"},
	{"bps", List, "bps"},
	{"pps", List, "pps"},
	{"ip-destination-address-type", Array, "address-type"},
	{"ip-protocol", Array, "prot"},
	{"ip-tos", Array, "tos"},
	{"ip-next-hop-address", List, "nexthop"},
	{"ip-source-address", List, "srcaddr"},
	{"ip-destination-address", List, "dstaddr"},
	{"ip-source/destination-address", List, "srcaddr dstaddr"},
	{"ip-exporter-address", List, "exaddr"},
	{"input-interface", Array, "input"},
	{"output-interface", Array, "output"},
	{"input/output-interface", List, "input output"},
	{"source-as", Array, "src_as"},
	{"destination-as", Array, "dst_as"},
	{"source/destination-as", List, "src_as dst_as=destination-AS"},
	{"ip-source-address/source-as", List, "srcaddr src_as"},
	{"ip-destination-address/source-as", List, "dstaddr=ip-source-address@ src_as=destination-as"},
	{"ip-source-address/destination-as", List, "srcaddr dst_as"},
	{"ip-destination-address/destination-as", List, "dstaddr dst_as=source-as"},
	{"ip-source/destination-address/source-as", List, "srcaddr dstaddr src_as"},
	{"ip-source/destination-address/destination-as", List, "srcaddr dstaddr dst_as"},
	{"ip-source/destination-address/source/destination-as", List, "srcaddr dstaddr src_as dst_as"},
	{"ip-source-address/input-interface", List, "srcaddr input"},
	{"ip-destination-address/input-interface", List, "dstaddr input"},
	{"ip-source-address/output-interface", List, "srcaddr output"},
	{"ip-destination-address/output-interface", List, "dstaddr output"},
	{"ip-source/destination-address/input-interface", List, "srcaddr dstaddr input"},
	{"ip-source/destination-address/output-interface", List, "srcaddr dstaddr output"},
	{"ip-source/destination-address/input/output-interface", List, "srcaddr dstaddr input output"},
	{"input-interface/source-as", List, "input src_as"},
	{"input-interface/destination-as", List, "input dst_as"},
	{"output-interface/source-as", List, "output src_as"},
	{"output-interface/destination-as", List, "output dst_as"},
	{"input-interface/source/destination-as", List, "input src_as dst_as"},
	{"output-interface/source/destination-as", List, "output src_as dst_as"},
	{"input/output-interface/source/destination-as", List, "input output src_as dst_as"},
	{"engine-id", Array, "engine_id"},
	{"engine-type", Array, "engine_type"},
	{"source-tag", List, "src_tag"},
	{"destination-tag", List, "dst_tag"},
	{"source/destination-tag", List, "src_tag dst_tag"},
	{"ip-source-address/ip-source-port", List, "srcaddr srcport"},
	{"ip-source-address/ip-destination-port", List, "srcaddr dstport"},
	{"ip-destination-address/ip-source-port", List, "dstaddr srcport"},
	{"ip-destination-address/ip-destination-port", List, "dstaddr dstport"},
	{"ip-source-address/ip-source/destination-port", List, "srcaddr srcport dstport"},
	{"ip-destination-address/ip-source/destination-port", List, "dstaddr srcport dstport"},
	{"ip-source/destination-address/ip-source-port", List, "srcaddr dstaddr srcport"},
	{"ip-source/destination-address/ip-destination-port", List, "srcaddr dstaddr dstport"},
	{"ip-source/destination-address/ip-source/destination-port", List, "srcaddr dstaddr srcport dstport"},
	{"ip-source-address/input/output-interface", List, "srcaddr input output"},
	{"ip-destination-address/input/output-interface", List, "dstaddr input output"},
	{"ip-source-address/source/destination-as", List, "srcaddr src_as dst_as"},
	{"ip-destination-address/source/destination-as", List, "dstaddr src_as dst_as"},
	{"ip-address", List, "srcaddr|dstaddr=ip-address"},
	{"ip-port", Array, "srcport|dstport=ip-port"},
	{"ip-source-address-destination-count", List, "srcaddr #dstaddr"},
	{"ip-destination-address-source-count", List, "dstaddr #srcaddr"},
	{"ip-source/destination-address/ip-protocol/ip-tos/ip-source/destination-port", List, "srcaddr dstaddr srcport dstport prot tos"},
	{"ip-source/destination-address/ip-protocol/ip-tos", List, "srcaddr dstaddr prot tos"},
	{"ip-source-address/source-tag", List, "srcaddr src_tag"},
	{"ip-source-address/destination-tag", List, "srcaddr dst_tag"},
	{"ip-destination-address/source-tag", List, "dstaddr src_tag"},
	{"ip-destination-address/destination-tag", List, "dstaddr dst_tag"},
	{"ip-source/destination-address/source/destination-tag", List, "srcaddr dstaddr! src_tag dst_tag"},
	{"linear-interpolated-flows-octets-packets", Linear, "unix-secs"},
	{"first", List, "first"},
	{"last", List, "last"},
	{"duration", List, "duration"},
}

// keyWords are the key words that are not simply fields.
var keyWords = map[string]Key{
	"packet-size":  {Name: "packet size/flow", derived: packetSize, bits: 32},
	"octets":       {Name: "octets/flow", derived: octetCount, bits: 64},
	"packets":      {Name: "packets/flow", derived: packetCount, bits: 64},
	"bps":          {Name: "bps/flow", derived: bitRate, bits: 64},
	"pps":          {Name: "pps/flow", derived: packetRate, bits: 64},
	"address-type": {Name: "ip-destination-address-type", field: flow.DstAddr, derived: class, Sym: "ip-type", bits: 3},
	"duration":     {Name: "Duration", derived: lifetime, bits: 32},
	"unix-secs":    {Name: "unix-secs", derived: second, bits: 32},
}

// addrTypes is the number of entries of the address type array: the original
// has one that is never used.
const addrTypes = 7

var fieldKeys = sync.OnceValue(func() map[string]Key {
	m := make(map[string]Key, flow.NumFields)
	for f := range flow.AllFields() {
		info := f.Info()
		if info.Key == "" {
			continue
		}
		k := Key{Name: info.Key, Addr: info.Kind == flow.Addr, field: f, Sym: info.Sym, bits: 8 * int(info.Width)}
		switch f {
		case flow.SrcAddr:
			k.side = Source
		case flow.DstAddr:
			k.side = Destination
		}
		k.print = k.side
		m[info.Name] = k
	}
	return m
})

func keyOf(word string) Key {
	word, column, renamed := strings.Cut(word, "=")
	k, ok := keyWords[word]
	if !ok {
		if k, ok = fieldKeys()[word]; !ok {
			panic(fmt.Sprintf("report: unknown key %q", word))
		}
	}
	k.Title = k.Name
	if renamed {
		var quirk bool
		k.Name, quirk = strings.CutSuffix(column, "@")
		if quirk {
			k.print = Source
		}
	}
	return k
}

var types = sync.OnceValue(func() []*Type {
	all := make([]*Type, len(typeLines))
	for i, line := range typeLines {
		t := &Type{Name: line.name, Kind: line.kind}
		for word := range strings.FieldsSeq(line.keys) {
			if counted, ok := strings.CutPrefix(word, "#"); ok {
				k := keyOf(counted)
				k.Name += "-count"
				k.Title = k.Name
				t.Distinct = &k
				continue
			}
			if first, second, ok := strings.Cut(word, "|"); ok {
				k := keyOf(second)
				t.Alternate = &k
				_, column, _ := strings.Cut(second, "=")
				word = first + "=" + column
			}
			if lent, ok := strings.CutSuffix(word, "!"); ok {
				word, t.borrow = lent, true
			}
			k := keyOf(word)
			if t.Alternate != nil {
				k.Title = k.Name
			}
			t.Keys = append(t.Keys, k)
		}
		if t.Kind == Array {
			t.Size = 1 << t.Keys[0].bits
			if t.Keys[0].derived == class {
				t.Size = addrTypes
			}
		}
		all[i] = t
	}
	return all
})

// Types returns every report type, in the order of flow-report -hh. The slice
// is shared: do not change it.
func Types() []*Type { return types() }

// TypeNamed returns the type of a name, in any letter case; nil if there is
// none.
func TypeNamed(name string) *Type {
	for _, t := range types() {
		if strings.EqualFold(t.Name, name) {
			return t
		}
	}
	return nil
}

// Uses reports whether the type looks at the address of that side.
func (t *Type) Uses(s Side) bool {
	f := flow.SrcAddr
	if s == Destination {
		f = flow.DstAddr
	}
	for _, k := range t.all() {
		if k.field == f {
			return true
		}
	}
	return false
}

// all returns the keys, the alternate and the counted one.
func (t *Type) all() []Key {
	keys := t.Keys[:len(t.Keys):len(t.Keys)]
	for _, k := range []*Key{t.Alternate, t.Distinct} {
		if k != nil {
			keys = append(keys, *k)
		}
	}
	return keys
}
