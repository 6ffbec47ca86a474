package flowfilter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

const lists = `access-list 1 permit 10.0.0.0 0.255.255.255
access-list 101 permit tcp any any
access-list 101 permit ip host 10.0.0.1 any
`

// choices are filter options with what they accept, written down from
// flow-filter.md.
var choices = []struct {
	argv   []string
	needs  flow.FieldSet
	accept func(get func(flow.Field) uint64) bool
}{
	{[]string{"-i", "1-3"}, flow.Input.Set(), func(get func(flow.Field) uint64) bool { v := get(flow.Input); return v >= 1 && v <= 3 }},
	{[]string{"-I", "!0,2"}, flow.Output.Set(), func(get func(flow.Field) uint64) bool { v := get(flow.Output); return v != 0 && v != 2 }},
	{[]string{"-p", "80,http"}, flow.SrcPort.Set(), func(get func(flow.Field) uint64) bool { v := get(flow.SrcPort); return v == 80 || v == 0 }},
	{[]string{"-P", "0x50"}, flow.DstPort.Set(), func(get func(flow.Field) uint64) bool { return get(flow.DstPort) == 80 }},
	{[]string{"-r", "6"}, flow.Prot.Set(), func(get func(flow.Field) uint64) bool { return get(flow.Prot) == 6 }},
	{[]string{"-t", "2/3"}, flow.ToS.Set(), func(get func(flow.Field) uint64) bool { return get(flow.ToS)&3 == 2 }},
	{[]string{"-a", "!"}, flow.SrcAS.Set(), func(func(flow.Field) uint64) bool { return true }},
	{[]string{"-A", ""}, flow.DstAS.Set(), func(func(flow.Field) uint64) bool { return false }},
	{[]string{"-e", "10.0.0.1"}, flow.ExAddr.Set(), func(get func(flow.Field) uint64) bool { return get(flow.ExAddr) == 0x0a000001 }},
	{[]string{"-S", "1"}, flow.SrcAddr.Set(), func(get func(flow.Field) uint64) bool { return get(flow.SrcAddr)>>24 == 10 }},
	{[]string{"-D", "1"}, flow.DstAddr.Set(), func(get func(flow.Field) uint64) bool { return get(flow.DstAddr)>>24 == 10 }},
	{[]string{"-x", "1"}, flow.NextHop.Set(), func(get func(flow.Field) uint64) bool { return get(flow.NextHop)>>24 == 10 }},
	{[]string{"-E", "101"}, flow.Fields(flow.SrcAddr, flow.DstAddr), func(get func(flow.Field) uint64) bool {
		return get(flow.Prot) == 6 || get(flow.SrcAddr) == 0x0a000001
	}},
}

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

// Random sets of options over streams of every version: the records that come
// out are those that a plain reading of the options keeps, octet for octet.
func TestAgainstModel(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"flow.acl": lists})
	rnd := rand.New(rand.NewPCG(51, 52))
	for _, v := range flow.Versions() {
		b := flowtest.Random(flowtest.Layout(v.Export, v.Agg), 100, 5)
		l := b.Layout
		for r := range b.All() {
			for f := range l.Fields.All() {
				if f.Info().Kind == flow.Addr {
					l.PutUint(r, f, pick(rnd, []uint64{0x0a000001, 0x0a000002, 0x80920001}))
				} else {
					l.PutUint(r, f, pick(rnd, []uint64{0, 1, 2, 6, 80}))
				}
			}
		}
		stream := flowtest.Stream(b)
		for range 30 {
			or := rnd.IntN(2) == 0
			var argv []string
			if or {
				argv = append(argv, "-o")
			}
			chosen := map[int]bool{}
			missing := false
			for range rnd.IntN(5) {
				i := rnd.IntN(len(choices))
				chosen[i] = true
				missing = missing || l.Missing(choices[i].needs) != 0
				argv = append(argv, choices[i].argv...)
			}
			flags := l.Fields.Has(flow.TCPFlags) && rnd.IntN(3) == 0
			if flags {
				argv = append(argv, "-T", "2/2")
			}
			res := w.Reads(stream).Run(t.Context(), Spec(), argv...)
			if missing {
				if res.Code != 1 || len(res.Out) != 0 || !strings.Contains(res.Err, "Flow record missing required field for format.") {
					t.Fatalf("version %v, %q: status %d, %d octets, %q", v, argv, res.Code, len(res.Out), res.Err)
				}
				continue
			}
			if res.Code != 0 || res.Err != "" {
				t.Fatalf("version %v, %q: status %d, %q", v, argv, res.Code, res.Err)
			}
			want := &flow.Batch{Layout: l}
			for r := range b.All() {
				get := func(f flow.Field) uint64 { return l.Uint(r, f) }
				pass := !or
				for i := range chosen {
					if choices[i].accept(get) {
						pass = pass || or
					} else {
						pass = pass && or
					}
				}
				if flags && get(flow.Prot) == 6 { // -T is about nothing else
					if get(flow.TCPFlags)&2 == 2 {
						pass = pass || or
					} else {
						pass = pass && or
					}
				}
				if pass {
					want.Append(r)
				}
			}
			if _, got := tooltest.Stream(t, res.Out); !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Fatalf("version %v, %q: %d records, want %d", v, argv, got.Len(), want.Len())
			}
		}
	}
}

// What goes wrong, in the order in which it is noticed.
func TestErrors(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{
		"flow.acl": lists, "bad.acl": "access-list 1 permit any any\naccess-list 2 permit any\n", "byte.acl": "!\n# x\n",
		"mixed.acl": lists + "access-list 1 permit ip any any\n",
	})
	v5 := flowtest.Stream(flowtest.Random(flowtest.Layout(5, 0), 3, 1))
	v1 := flowtest.Stream(flowtest.Random(flowtest.Layout(1, 0), 3, 1))
	for _, c := range []struct {
		name   string
		stdin  []byte
		argv   []string
		status int
		stderr string // its last line holds this
	}{
		{"list before a later bad option", v5, []string{"-p", "65536", "-Q"}, 1, "load_lookup(): failed"},
		{"protocol", v5, []string{"-r", "256"}, 1, "load_lookup(): failed"},
		{"byte order", v5, []string{"-b", "middle"}, 1, `expecting "big" or "little"`},
		{"level", v5, []string{"-z", "10"}, 1, "Compression level must be between 0 and 9"},
		{"operand", v5, []string{"-r6", "x"}, 1, "Extra arguments starting with x."},
		{"operand before input", nil, []string{"x"}, 1, "Extra arguments starting with x."},
		{"input before fields and lists", nil, []string{"-S", "none"}, 1, "ftio_init(): failed"},
		{"fields before lists", v1, []string{"-a", "1", "-S", "none"}, 1, "Flow record missing required field for format. (-a needs src_as)"},
		{"fields, with -o too", v1, []string{"-o", "-A", "1", "-r6"}, 1, "Flow record missing required field for format. (-A needs dst_as)"},
		{"lists in order", v5, []string{"-x", "nox", "-E", "noe", "-D", "nod"}, 1, "Couldn't find list nod (standard, in flow.acl)"},
		{"no such file", v5, []string{"-f", "none", "-S", "1"}, 1, "Couldn't find list 1 (standard, in none)"},
		{"wrong kind", v5, []string{"-S", "101"}, 1, "Couldn't find list 101 (standard, in flow.acl)"},
		{"directory", v5, []string{"-f", ".", "-r", "6"}, 2, "input in flex scanner failed"},
		{"usage", v5, []string{"-h"}, 0, "Try 'flow-filter --help' for more."},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := w.Reads(c.stdin).Run(t.Context(), Spec(), c.argv...)
			lines := strings.Split(strings.TrimSuffix(res.Err, "\n"), "\n")
			if last := lines[len(lines)-1]; res.Code != c.status || len(res.Out) != 0 || !strings.Contains(last, c.stderr) {
				t.Errorf("status %d, %d octets of output, stderr\n%s", res.Code, len(res.Out), res.Err)
			}
		})
	}
	// Problems of the list file do not stop the tool.
	for file, want := range map[string]string{
		"bad.acl":   "flow-filter: syntax error at 'any'\n\nflow-filter: bad.acl line 1: unexpected \"any\", expected end of line\n",
		"byte.acl":  "\"#\": flow-filter: byte.acl line 2: unexpected \"#\"\n",
		"mixed.acl": "flow-filter: mixed.acl line 4: list 1 is of the other kind, line ignored\n",
		"none":      "",
	} {
		res := w.Reads(v5).Run(t.Context(), Spec(), "-f", file)
		if d := cmp.Diff(want, res.Err); d != "" || res.Code != 0 {
			t.Errorf("%s: status %d %s", file, res.Code, d)
		}
		if _, got := tooltest.Stream(t, res.Out); got.Len() != 3 {
			t.Errorf("%s: %d records", file, got.Len())
		}
	}
}

// A file full of errors does not fill the terminal.
func TestManyErrors(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"junk.acl": strings.Repeat("#", 9000)})
	res := w.Reads(flowtest.Stream(flowtest.Random(flowtest.Layout(5, 0), 3, 1))).Run(t.Context(), Spec(), "-f", "junk.acl")
	if n := strings.Count(res.Err, "unexpected"); res.Code != 0 || n != maxComplaints || !strings.HasSuffix(res.Err, "\nflow-filter: junk.acl: further problems are not shown\n") {
		t.Errorf("status %d, %d problems", res.Code, n)
	}
}

// The header has nothing of the input's but version and, with -k, its times
// where both are there.
func TestHeader(t *testing.T) {
	for _, c := range []struct {
		start, end uint32
		argv       []string
		flags      ftfile.Flags
		kept       bool
	}{
		{7, 9, nil, ftfile.FlagStreaming, false},
		{7, 9, []string{"-k"}, ftfile.FlagStreaming | ftfile.FlagPreloaded, true},
		{0, 9, []string{"-k"}, ftfile.FlagStreaming, false},
		{7, 0, []string{"-kz3"}, ftfile.FlagStreaming | ftfile.FlagCompress, false},
	} {
		in := tooltest.Capture(t, flow.NewBatch(flowtest.Layout(8, 3)), func(h *ftfile.Header) {
			h.Start, h.End, h.Flows, h.Comments, h.Hostname = c.start, c.end, 5, "old", "host"
			h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagComments, ftfile.TagHostname)
		})
		res := tooltest.World{}.Reads(in).Run(t.Context(), Spec(), append(c.argv, "-C", "new")...)
		if res.Code != 0 || res.Err != "" {
			t.Fatalf("%q: %d %s", c.argv, res.Code, res.Err)
		}
		got, _ := tooltest.Stream(t, res.Out)
		if got.Flags != c.flags || got.Has(ftfile.TagStart) != c.kept || got.Has(ftfile.TagEnd) != c.kept ||
			c.kept && (got.Start != c.start || got.End != c.end) || got.Comments != "new" || got.Has(ftfile.TagHostname) || got.Has(ftfile.TagFlows) {
			t.Errorf("%q: %+v", c.argv, got)
		}
	}
}

func TestDebug(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"flow.acl": lists})
	w = w.Reads(flowtest.Stream(flowtest.Random(flowtest.Layout(5, 0), 3, 1)))
	if res := w.Run(t.Context(), Spec(), "-d1", "-S1"); !strings.HasPrefix(res.Err, "flow-filter: processed 3 flows\n") {
		t.Errorf("-d1: %q", res.Err)
	}
	if res := w.Run(t.Context(), Spec(), "-d6"); !strings.HasPrefix(res.Err, lists) {
		t.Errorf("-d6: %q", res.Err)
	}
}

func TestDamage(t *testing.T) {
	stream := flowtest.Stream(flowtest.Random(flowtest.Layout(5, 0), 3, 1))
	res := tooltest.World{}.Reads(stream[:len(stream)-1]).Run(t.Context(), Spec())
	if _, got := tooltest.Stream(t, res.Out); got.Len() != 2 || res.Code != 0 || res.Err == "" {
		t.Errorf("%d records, status %d, %q", got.Len(), res.Code, res.Err)
	}
}

func BenchmarkPredicate(b *testing.B) {
	dir := tooltest.Installed(b, map[string]string{"flow.acl": lists}).Dir
	batch := flowtest.Traffic(flowtest.Layout(5, 0), 1000, 1)
	for _, argv := range [][]string{{"-P", "80,443"}, {"-P", "80,443", "-r", "6", "-i", "!7"}, {"-T", "2/2"}, {"-S", "1"}, {"-E", "101"}, {"-o", "-p", "80", "-P", "80", "-S", "1"}} {
		b.Run(strings.Join(argv, ""), func(b *testing.B) {
			o := &options{aclFile: "flow.acl"}
			flags := o.flags()
			for i := 0; i < len(argv); i += 2 {
				for _, f := range flags {
					if argv[i] == fmt.Sprintf("-%c", f.Letter) {
						value := ""
						if f.Arg != "" {
							value = argv[i+1]
						} else {
							i--
						}
						if err := f.Set(value); err != nil {
							b.Fatal(err)
						}
						break
					}
				}
			}
			if err := o.findLists(&cli.Env{Dir: dir}); err != nil {
				b.Fatal(err)
			}
			pass := o.predicate(batch.Layout)
			kept := 0
			b.ReportAllocs()
			for b.Loop() {
				for r := range batch.All() {
					if pass(r) {
						kept++
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch.Len()), "ns/record")
		})
	}
}
