// Package flowfilter is the command flow-filter.
package flowfilter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/streamio"
	"flowtools/pkg/filter"
	"flowtools/pkg/filter/acl"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// Spec returns the description of flow-filter.
func Spec() *cli.Spec {
	o := &options{aclFile: "flow.acl"}
	return &cli.Spec{
		Name:    "flow-filter",
		Summary: "pass the flows that fit lists of ports, addresses, interfaces and the like",
		Usage: []string{
			"[-hko] [-a src_as_filter] [-A dst_as_filter] [-b big|little]",
			"[-C comment] [-D dstaddr_filter_name] [-d debug_level] [-e exaddr]",
			"[-f acl_fname] [-i input_filter] [-I output_filter]  [-p srcport_filter]",
			"[-P dstport_filter] [-r ipprot_filter] [-S srcaddr_filter_name]",
			"[-t tos_filter] [-T tcp_flags_filter] [-x nexthop_filter_name]",
			"[-z z_level]",
		},
		Flags:  o.flags(),
		NoHelp: true,
		Description: `flow-filter reads a flow stream from standard input and writes the flows that pass all given filters (with -o: any of them) to standard output.

A number list has numbers and ranges separated by commas, in decimal, octal (leading 0) or hexadecimal (leading 0x) notation: 80,443,1024-2048. A leading ! makes it all numbers but those listed. There are no names: a word is 0.

The lists that -S, -D, -x and -E name are read from a file in the notation of router access lists, standard and extended. Of an extended list only protocol and addresses are tested: for tcp, udp, icmp and igmp a line that says more never matches, for ip the rest is ignored. A line beginning with ! is a comment. Reading ends at the first error.`,
		Examples: []cli.Example{
			{Command: "flow-cat ft-v05.* | flow-filter -P 80,443 -r 6 | flow-print", Text: "print the flows to web servers"},
			{Command: "flow-filter -o -p 53 -P 53 < flows > dns", Text: "keep what has port 53 at either end"},
			{Command: "flow-filter -T 0x2/0x12 -r 6 < flows | flow-print -f5", Text: "show attempts to connect: SYN without ACK"},
			{Command: "flow-filter -f campus.acl -S campus < flows", Text: "keep what list campus permits as source"},
		},
		Files:    []string{"flow.acl: access lists, in the current directory unless -f names another file"},
		SeeAlso:  []string{"flow-nfilter(1)", "flow-cat(1)", "flow-print(1)"},
		ExitText: "0, also after a usage message and when the input is damaged behind its header; 1 for a bad value, an unreadable stream, a list not found, a field the records do not have, or a failed write; 2 when the list file cannot be read.",
		Run:      o.run,
	}
}

type options struct {
	aclFile    string
	or         bool
	complaints int                // about the list file so far
	given      [len(tests)]*given // by row of tests; the last repetition counts
	stream     streamio.Output
}

// given is a filter option with its value read.
type given struct {
	set  *clib.Set // number lists
	mask uint64
	addr uint32 // -e
	name string // of a list
	list *acl.List
}

// test is a filter option.
type test struct {
	letter byte
	long   string
	field  flow.Field
	size   int // number lists: the numbers there are
	masked bool
	lists  string // access lists: what the list decides on
	kind   acl.Kind
	help   string
}

// numbers is the size of the number lists.
const numbers = 1 << 16

// tests are the filter options. Access lists are looked up in this order.
var tests = [...]test{
	{letter: 'i', long: "input", field: flow.Input, size: numbers, help: "input interface is in the list"},
	{letter: 'I', long: "output", field: flow.Output, size: numbers, help: "output interface is in the list"},
	{letter: 'p', long: "srcport", field: flow.SrcPort, size: numbers, help: "source port is in the list"},
	{letter: 'P', long: "dstport", field: flow.DstPort, size: numbers, help: "destination port is in the list"},
	{letter: 'r', long: "prot", field: flow.Prot, size: 256, help: "IP protocol is in the list"},
	{letter: 't', long: "tos", field: flow.ToS, size: numbers, masked: true, help: "type of service, ANDed with the mask, is in the list"},
	{letter: 'T', long: "tcp-flags", field: flow.TCPFlags, size: numbers, masked: true, help: "TCP flags, ANDed with the mask, are in the list; other protocols are not concerned"},
	{letter: 'a', long: "src-as", field: flow.SrcAS, size: numbers, help: "source AS is in the list"},
	{letter: 'A', long: "dst-as", field: flow.DstAS, size: numbers, help: "destination AS is in the list"},
	{letter: 'e', long: "exporter", field: flow.ExAddr, help: "exporter has this address"},
	{letter: 'S', long: "src-list", field: flow.SrcAddr, lists: "source address", help: "standard list permits the source address"},
	{letter: 'D', long: "dst-list", field: flow.DstAddr, lists: "destination address", help: "standard list permits the destination address"},
	{letter: 'E', long: "flow-list", field: flow.SrcAddr, lists: "flow", kind: acl.Extended, help: "extended list permits protocol and addresses"},
	{letter: 'x', long: "nexthop-list", field: flow.NextHop, lists: "next hop", help: "standard list permits the next hop"},
}

// needs returns the fields that records must have.
func (t *test) needs() flow.FieldSet {
	if t.lists != "" && t.kind == acl.Extended {
		return flow.Fields(flow.SrcAddr, flow.DstAddr)
	}
	return t.field.Set()
}

// arg is the name of the option's value in the help.
func (t *test) arg() string {
	switch {
	case t.lists != "":
		return "aclname"
	case t.masked:
		return "list[/mask]"
	case t.size > 0:
		return "list"
	}
	return "address"
}

// read reads the option's value.
func (t *test) read(value string) (*given, error) {
	if t.lists != "" {
		return &given{name: value}, nil
	}
	if t.size == 0 {
		addr, _ := clib.Addr(value, resolve.IPv4)
		return &given{addr: addr}, nil
	}
	g := &given{mask: 1<<64 - 1}
	if t.masked {
		list, mask, ok := strings.Cut(value, "/")
		value, g.mask = list, 0xff
		if ok {
			g.mask = clib.Uint(mask) & 0xff
		}
	}
	var err error
	if g.set, err = clib.ParseSet(value, t.size); err != nil {
		return nil, errors.Join(fmt.Errorf("-%c: %w", t.letter, err), errors.New("load_lookup(): failed"))
	}
	return g, nil
}

// compile returns the predicate of option t with value g on records of l.
//
// Compat: -T concerns protocol 6 only. It lets the others pass, unless any
// filter will do (-o): then it does not accept them.
func (t *test) compile(g *given, l *flow.Layout, or bool) func(flow.Record) bool {
	field, mask, set := t.field, g.mask, g.set
	switch {
	case t.lists != "" && t.kind == acl.Extended:
		return g.list.MatchFlow(l)
	case t.lists != "":
		return g.list.Match(l, field)
	case t.size == 0:
		addr := uint64(g.addr)
		return func(r flow.Record) bool { return l.Uint(r, field) == addr }
	case field == flow.TCPFlags:
		return func(r flow.Record) bool {
			if l.Uint(r, flow.Prot) != 6 {
				return !or
			}
			return set.Has(uint(l.Uint(r, flow.TCPFlags) & mask))
		}
	}
	return func(r flow.Record) bool { return set.Has(uint(l.Uint(r, field) & mask)) }
}

func (o *options) flags() []cli.Flag {
	var flags []cli.Flag
	for i := range tests {
		t := &tests[i]
		flags = append(flags, cli.Func(t.letter, t.long, t.arg(), func(value string) (err error) {
			o.given[i], err = t.read(value)
			return err
		}, t.help))
	}
	flags = append(flags,
		cli.Bool('o', "or", &o.or, "pass what any of the filters accepts, not what all do"),
		cli.File('f', "acl-file", "file", &o.aclFile, "where the lists are defined (default flow.acl)"))
	return slices.Concat(flags, o.stream.Flags("bCd"), []cli.Flag{
		cli.Bool('k', "keep-times", &o.stream.Keep, "keep the capture start and end of the input header"),
	}, o.stream.Flags("z"))
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	for i, g := range o.given {
		if g == nil {
			continue
		}
		if missing := in.Layout().Missing(tests[i].needs()); missing != 0 {
			return fmt.Errorf("Flow record missing required field for format. (-%c needs %v)", tests[i].letter, missing)
		}
	}
	if err := o.findLists(env); err != nil {
		return err
	}
	pass := o.predicate(in.Layout())

	out, err := o.stream.Create(env, o.header(in.Header()))
	if err != nil {
		return err
	}
	seen := uint64(0)
	if err := streamio.Copy(env, in, out, func(b *flow.Batch) *flow.Batch {
		seen += uint64(b.Len())
		b.Keep(pass)
		return b
	}); err != nil {
		out.Close()
		return err
	}
	if err := streamio.Finish(env, in, out); err != nil {
		return err
	}
	if o.stream.Debug > 0 {
		env.Profile(seen)
	}
	return nil
}

// findLists reads the list file, also when no list is asked for, and finds the
// lists of the options. A file that cannot be opened has no lists.
func (o *options) findLists(env *cli.Env) error {
	lists := new(acl.File)
	if f, err := os.Open(env.Path(o.aclFile)); err == nil {
		defer f.Close()
		lists, err = acl.Parse(f, func(p acl.Problem) { o.complain(env, p) })
		if err != nil {
			return cli.Fail(2, "%w\ninput in flex scanner failed", err)
		}
	}
	if o.stream.Debug > 5 {
		if _, err := lists.WriteTo(env.Stderr); err != nil {
			return err
		}
	}
	for i, g := range o.given {
		if g == nil || tests[i].lists == "" {
			continue
		}
		if g.list = lists.Find(g.name, tests[i].kind); g.list == nil {
			return fmt.Errorf("Couldn't find list %s (%v, in %s)", g.name, tests[i].kind, o.aclFile)
		}
	}
	return nil
}

// maxComplaints is how many problems of the list file are reported: one that is
// no list file may have one in every byte.
const maxComplaints = 100

// complain reports a problem of the list file: the original's words, then ours.
func (o *options) complain(env *cli.Env, p acl.Problem) {
	if o.complaints++; o.complaints > maxComplaints {
		if o.complaints == maxComplaints+1 {
			env.Warn("%s: further problems are not shown", o.aclFile)
		}
		return
	}
	if p.BadByte {
		fmt.Fprintf(env.Stderr, "\"%s\": ", p.Token)
	}
	if p.Want != "" {
		env.Warn("syntax error at '%s'\n", p.Token)
	}
	env.Warn("%s %v", o.aclFile, p)
}

// predicate combines the filters given.
func (o *options) predicate(l *flow.Layout) func(flow.Record) bool {
	var ps []func(flow.Record) bool
	for i, g := range o.given {
		if g != nil {
			ps = append(ps, tests[i].compile(g, l, o.or))
		}
	}
	if o.or {
		return filter.Any(ps...)
	}
	return filter.All(ps...)
}

// header makes the output header: nothing of the input's but its version and,
// with -k, the capture times where both are there.
func (o *options) header(in *ftfile.Header) *ftfile.Header {
	h := ftfile.NewHeader(in.Version, ftfile.FlagStreaming)
	if o.stream.Keep && in.Has(ftfile.TagStart) && in.Has(ftfile.TagEnd) && in.Start != 0 && in.End != 0 {
		h.Start, h.End = in.Start, in.End
		h.Flags |= ftfile.FlagPreloaded
		h.Mark(ftfile.TagStart, ftfile.TagEnd)
	}
	return h
}
