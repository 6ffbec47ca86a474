package xlate

import (
	"strings"

	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// actionType is a type of actions.
type actionType struct {
	name    string
	needs   flow.FieldSet
	takes   subcommands
	bits    int // of the masks
	compile func(a *action, l *flow.Layout, opt *Options) func(flow.Record)
}

// subcommands is a set of the lines that an action may have below its type.
type subcommands uint8

const (
	takesMask subcommands = 1 << iota
	takesScale
	takesAS
	takesKey // algorithm, key, key-file, key-file-refresh
)

// action is an xlate-action of a file. Values whose lines are missing are 0.
type action struct {
	name   string
	typ    *actionType // nil until the type line
	masks  [2]uint64   // of source and destination
	factor uint64
	as     uint64
	crypto cryptopan
}

var (
	srcAddr = flow.SrcAddr.Set()
	dstAddr = flow.DstAddr.Set()
)

// actionTypes are the types of actions.
var actionTypes = [...]actionType{
	{name: "ip-source-address-to-network", needs: flow.Fields(flow.SrcAddr, flow.SrcMask), compile: toNetwork(flow.SrcAddr, flow.SrcMask)},
	{name: "ip-destination-address-to-network", needs: flow.Fields(flow.DstAddr, flow.DstMask), compile: toNetwork(flow.DstAddr, flow.DstMask)},
	{name: "ip-source-address-to-class-network", needs: srcAddr, compile: toClassNetwork(flow.SrcAddr)},
	{name: "ip-destination-address-to-class-network", needs: dstAddr, compile: toClassNetwork(flow.DstAddr)},
	{name: "ip-address-privacy-mask", needs: srcAddr | dstAddr, takes: takesMask, bits: 32, compile: and(flow.SrcAddr, flow.DstAddr)},
	{name: "ip-port-privacy-mask", needs: flow.Fields(flow.SrcPort, flow.DstPort), takes: takesMask, bits: 16, compile: and(flow.SrcPort, flow.DstPort)},
	{name: "tag-mask", needs: flow.Fields(flow.SrcTag, flow.DstTag), takes: takesMask, bits: 32, compile: and(flow.SrcTag, flow.DstTag)},
	{name: "scale", needs: flow.Fields(flow.DPkts, flow.DOctets), takes: takesScale, compile: scale},
	{name: "replace-source-as0", needs: flow.SrcAS.Set(), takes: takesAS, compile: replaceAS0(flow.SrcAS)},
	{name: "replace-destination-as0", needs: flow.DstAS.Set(), takes: takesAS, compile: replaceAS0(flow.DstAS)},
	{name: "ip-source-address-anonymize", needs: srcAddr, takes: takesKey, compile: anonymize(flow.SrcAddr)},
	{name: "ip-destination-address-anonymize", needs: dstAddr, takes: takesKey, compile: anonymize(flow.DstAddr)},
	{name: "ip-address-anonymize", needs: srcAddr | dstAddr, takes: takesKey, compile: anonymize(flow.SrcAddr, flow.DstAddr)},
}

func typeNamed(name string) (*actionType, bool) {
	for i := range actionTypes {
		if clib.EqualFold(actionTypes[i].name, name) {
			return &actionTypes[i], true
		}
	}
	return nil, false
}

func typeNames() string {
	var names []string
	for i := range actionTypes {
		names = append(names, actionTypes[i].name)
	}
	return strings.Join(names, ", ")
}

type compiler = func(a *action, l *flow.Layout, opt *Options) func(flow.Record)

// toNetwork clears the host bits of an address.
//
// Compat: length 0 changes nothing (flow.Netmask).
func toNetwork(addr, length flow.Field) compiler {
	return func(_ *action, l *flow.Layout, _ *Options) func(flow.Record) {
		return func(r flow.Record) {
			mask := flow.Netmask(uint8(min(l.Uint(r, length), 255)))
			l.PutUint(r, addr, l.Uint(r, addr)&uint64(mask))
		}
	}
}

// toClassNetwork clears the host bits of an address by its class.
//
// Compat: everything from class C up, multicast too, keeps 24 bits.
func toClassNetwork(addr flow.Field) compiler {
	return func(_ *action, l *flow.Layout, _ *Options) func(flow.Record) {
		return func(r flow.Record) {
			a := l.Uint(r, addr)
			switch first := a >> 24; {
			case first < 128:
				a &= 0xff000000
			case first < 192:
				a &= 0xffff0000
			default:
				a &= 0xffffff00
			}
			l.PutUint(r, addr, a)
		}
	}
}

// and masks a source and a destination field.
func and(src, dst flow.Field) compiler {
	return func(a *action, l *flow.Layout, _ *Options) func(flow.Record) {
		masks := a.masks
		return func(r flow.Record) {
			l.PutUint(r, src, l.Uint(r, src)&masks[0])
			l.PutUint(r, dst, l.Uint(r, dst)&masks[1])
		}
	}
}

// scale multiplies the counters; they wrap at their widths.
func scale(a *action, l *flow.Layout, _ *Options) func(flow.Record) {
	factor := a.factor
	return func(r flow.Record) {
		l.PutUint(r, flow.DPkts, l.Uint(r, flow.DPkts)*factor)
		l.PutUint(r, flow.DOctets, l.Uint(r, flow.DOctets)*factor)
	}
}

// replaceAS0 fills in an AS number that is 0.
func replaceAS0(field flow.Field) compiler {
	return func(a *action, l *flow.Layout, _ *Options) func(flow.Record) {
		as := a.as
		return func(r flow.Record) {
			if l.Uint(r, field) == 0 {
				l.PutUint(r, field, as)
			}
		}
	}
}

// anonymize replaces addresses.
func anonymize(fields ...flow.Field) compiler {
	return func(a *action, l *flow.Layout, opt *Options) func(flow.Record) {
		replacer := a.crypto.start(opt)
		return func(r flow.Record) {
			anon := replacer.current()
			for _, f := range fields {
				l.PutUint(r, f, uint64(anon.Addr(uint32(l.Uint(r, f)))))
			}
		}
	}
}
