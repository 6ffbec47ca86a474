// Package flowgen is flow-gen: it writes a stream of made-up flows for tests.
package flowgen

import (
	"context"
	"strconv"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

type options struct {
	streamio.Output
	count   int
	version flow.Version
	method  uint8 // of version 8 where -V gives none
}

// Spec describes flow-gen.
func Spec() *cli.Spec {
	o := &options{count: 1000, version: flow.Version{Export: 5}, method: 1}
	return &cli.Spec{
		Name:      "flow-gen",
		Summary:   "write a stream of test flows",
		UsageExit: 1,
		Flags: append(o.Flags("bd"),
			cli.Int('n', "count", "count", &o.count, "number of records (default 1000)"),
			cli.Func('V', "record-version", "version", o.setVersion, "record version: 1, 5, 6, 7, 1005 or 8.1 to 8.14 (default 5)"),
			streamio.LevelFlag(&o.Level)),
		Description: "flow-gen writes a flow stream of made-up records to standard output. Record i (from 0) counts i+1 packets and octets; " +
			"addresses, ports, interfaces, AS numbers and times step by one from record to record, so that every value tells its record.",
		Examples: []cli.Example{{Command: "flow-gen -n 10 | flow-print -f 5", Text: "Print ten made-up flows."}},
		SeeAlso:  []string{"flow-print(1)", "flow-export(1)"},
		Run:      o.run,
	}
}

// setVersion is -V: N or 8.M. 8 alone has the method of an earlier -V.
func (o *options) setVersion(s string) error {
	v, hasMethod, err := streamio.ParseVersion(s)
	if err != nil {
		return err
	}
	switch {
	case v.Export != 8:
	case hasMethod:
		o.method = v.Agg
	default:
		v.Agg = o.method
	}
	o.version = v
	return nil
}

// The values of record i, one line a version: a field starts at 0 or the number
// after "=" and steps by 1 or the number after "+"; "field:n" is constant.
// Every version has dpkts and doctets i+1, and dflows 2(i+1).
const (
	last  = "last=0xFFFF0000 first "
	addrs = "dstaddr=0xFFFF0000 srcaddr "
	ports = "dstport=0xFF00 srcport "
	ifs   = "output=0xFF00 input "
	as    = "dst_as=0xFF00 src_as "
	one   = last + addrs + ports + ifs
	agg3  = last + "srcaddr src_mask src_as input "
	agg4  = last + "dstaddr dst_mask dst_as output "
	agg5  = last + addrs + "src_mask dst_mask " + as + ifs
	agg6  = last + "dstaddr=0xFFFF0000 output=0xFF00 tos marked_tos=255 extra_pkts router_sc+2 "
	agg7  = agg6 + "srcaddr input "
)

var recipes = map[flow.Version]string{
	{Export: 1}:          one + "prot:17",
	{Export: 5}:          one + as + "tos prot:17",
	{Export: 6}:          one + as + "peer_nexthop in_encaps out_encaps=128 prot:17",
	{Export: 7}:          one + as + "router_sc prot:17",
	{Export: 1005}:       last + "srcaddr dstaddr=0x8092C500 nexthop=0x8092C500 " + ports + ifs + as + "tos src_tag dst_tag=255 prot:17",
	{Export: 8, Agg: 1}:  last + ifs + as,
	{Export: 8, Agg: 2}:  last + ports,
	{Export: 8, Agg: 3}:  agg3,
	{Export: 8, Agg: 4}:  agg4,
	{Export: 8, Agg: 5}:  agg5,
	{Export: 8, Agg: 6}:  agg6,
	{Export: 8, Agg: 7}:  agg7,
	{Export: 8, Agg: 8}:  agg7 + "srcport dstport prot",
	{Export: 8, Agg: 9}:  last + ifs + as + "tos",
	{Export: 8, Agg: 10}: last + ports + "tos",
	{Export: 8, Agg: 11}: agg3 + "tos",
	{Export: 8, Agg: 12}: agg4 + "tos",
	{Export: 8, Agg: 13}: agg5 + "tos",
	{Export: 8, Agg: 14}: last + addrs + ports + ifs + "src_mask dst_mask tos prot",
}

// stepper is one field of a recipe: what it starts at and grows by.
type stepper struct {
	field       flow.Field
	start, step uint64
}

// every is the part of the recipe that all versions have; fields that a layout
// lacks are passed over.
const every = "dpkts=1 doctets=1 dflows=2+2 "

// parse reads a recipe. It panics on a faulty one, which is a programming error.
func parse(recipe string) []stepper {
	var steps []stepper
	for word := range strings.FieldsSeq(every + recipe) {
		s := stepper{step: 1}
		name := word
		for _, part := range []struct {
			mark  string
			value func(uint64)
		}{
			{":", func(n uint64) { s.start, s.step = n, 0 }},
			{"+", func(n uint64) { s.step = n }},
			{"=", func(n uint64) { s.start = n }},
		} {
			rest, number, found := strings.Cut(name, part.mark)
			if !found {
				continue
			}
			n, err := strconv.ParseUint(number, 0, 64)
			if err != nil {
				panic("flowgen: " + err.Error())
			}
			part.value(n)
			name = rest
		}
		f, err := flow.ParseFields(name)
		if err != nil {
			panic("flowgen: " + err.Error())
		}
		for s.field = range f.All() { // the one there is
			steps = append(steps, s)
		}
	}
	return steps
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	l, err := flow.LayoutOf(o.version)
	if err != nil {
		return streamio.VersionError(err)
	}
	h := ftfile.NewHeader(o.version, ftfile.FlagStreaming)
	h.Hostname, h.Comments = "flow-gen", "flow-gen"
	h.Mark(ftfile.TagHostname, ftfile.TagComments)
	out, err := o.Create(env, h)
	if err != nil {
		return err
	}
	defer out.Abort()
	steps := parse(recipes[o.version])
	b := flow.NewBatch(l)
	perBatch := flow.SlabSize / l.Size
	for done := 0; done < o.count; done += b.Len() {
		b.Reset()
		n := min(perBatch, o.count-done)
		clear(b.Extend(n))
		for i := range n {
			r := b.At(i)
			for _, s := range steps {
				l.PutUint(r, s.field, s.start+uint64(done+i)*s.step)
			}
		}
		if err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Close()
}
