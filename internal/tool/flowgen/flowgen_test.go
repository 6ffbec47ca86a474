package flowgen

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// The first and a later record of every version hold what the table of
// flow-gen's specification says: start + i * step, modulo the field's width.
func TestRecords(t *testing.T) {
	const last, addr, port = 0xFFFF0000, 0xFFFF0000, 0xFF00
	type starts map[flow.Field]uint64
	merge := func(all ...starts) starts {
		m := starts{}
		for _, s := range all {
			for f, v := range s {
				m[f] = v
			}
		}
		return m
	}
	var (
		time  = starts{flow.Last: last, flow.First: 0}
		addrs = starts{flow.DstAddr: addr, flow.SrcAddr: 0}
		ports = starts{flow.DstPort: port, flow.SrcPort: 0}
		ifs   = starts{flow.Output: port, flow.Input: 0}
		as    = starts{flow.DstAS: port, flow.SrcAS: 0}
		masks = starts{flow.SrcMask: 0, flow.DstMask: 0}
		tos   = starts{flow.ToS: 0}
		one   = merge(time, addrs, ports, ifs)
		agg3  = merge(time, starts{flow.SrcAddr: 0, flow.SrcMask: 0, flow.SrcAS: 0, flow.Input: 0})
		agg4  = merge(time, starts{flow.DstAddr: 0, flow.DstMask: 0, flow.DstAS: 0, flow.Output: 0})
		agg5  = merge(time, addrs, masks, as, ifs)
		agg6  = merge(time, tos, starts{flow.DstAddr: addr, flow.Output: port, flow.MarkedToS: 255, flow.ExtraPkts: 0, flow.RouterSC: 0})
		agg7  = merge(agg6, starts{flow.SrcAddr: 0, flow.Input: 0})
	)
	udp := func(s starts) starts { return merge(s, starts{flow.Prot: 17}) }
	want := map[string]starts{
		"1": udp(one), "5": udp(merge(one, as, tos)), "6": udp(merge(one, as, starts{flow.PeerNextHop: 0, flow.InEncaps: 0, flow.OutEncaps: 128})),
		"7": udp(merge(one, as, starts{flow.RouterSC: 0})),
		"1005": udp(merge(time, ports, ifs, as, tos, starts{
			flow.SrcAddr: 0, flow.DstAddr: 0x8092C500, flow.NextHop: 0x8092C500, flow.SrcTag: 0, flow.DstTag: 255})),
		"8.1": merge(time, ifs, as), "8.2": merge(time, ports), "8.3": agg3, "8.4": agg4, "8.5": agg5, "8.6": agg6, "8.7": agg7,
		"8.8": merge(agg7, starts{flow.SrcPort: 0, flow.DstPort: 0, flow.Prot: 0}), "8.9": merge(time, ifs, as, tos), "8.10": merge(time, ports, tos),
		"8.11": merge(agg3, tos), "8.12": merge(agg4, tos), "8.13": merge(agg5, tos), "8.14": merge(time, addrs, ports, ifs, masks, tos, starts{flow.Prot: 0}),
	}
	for _, v := range flow.Versions() {
		const n = 1500 // more than a batch
		r := tooltest.World{}.Run(t.Context(), Spec(), "-V", v.String(), "-n", fmt.Sprint(n))
		h, b := tooltest.Stream(t, r.Out)
		if r.Code != 0 || r.Err != "" || b.Len() != n || h.Version != v || h.Hostname != "flow-gen" || h.Comments != "flow-gen" || h.Flags != ftfile.FlagStreaming {
			t.Fatalf("%v: status %d, %s, %d records, %+v", v, r.Code, r.Err, b.Len(), h)
		}
		steps := want[v.String()]
		for _, i := range []int{0, 1, 255, 256, 1499} {
			for f := range b.Layout.Fields.All() {
				step := uint64(1)
				start, named := steps[f]
				switch {
				case f == flow.DPkts || f == flow.DOctets:
					start = 1
				case f == flow.DFlows:
					start, step = 2, 2
				case f == flow.RouterSC && v.Export == 8:
					step = 2
				case f == flow.Prot && v.Export != 8, !named:
					step = 0
				}
				mask := uint64(1)<<(8*f.Info().Width) - 1
				if got, want := b.Layout.Uint(b.At(i), f), (start+uint64(i)*step)&mask; got != want {
					t.Errorf("%v record %d: %v is %d, want %d", v, i, f, got, want)
				}
			}
		}
	}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		args    string
		version string
		records int
	}{
		{"", "5", 1000}, {"-n 0", "5", 0}, {"-n -5", "5", 0}, {"-n ten", "5", 0}, {"-n 0x10", "5", 0}, {"-n 2x", "5", 2}, {"-n +3", "5", 3},
		{"-n 1 -V 5.3", "5", 1}, {"-n 1 -V 8", "8.1", 1}, {"-n 1 -V 8.", "8.1", 1}, {"-n 1 -V 8.3", "8.3", 1}, {"-n 1 -V 8.3 -V 8", "8.3", 1},
		{"-n 1 -V 8.3 -V 5 -V 8", "8.3", 1}, {"-n 1 -V 8.3 -V 5", "5", 1}, {"-n 1 -V 5.3 -V 8", "8.1", 1}, {"-n 1 -V 65541", "5", 1},
		{"-n 1 -V 8.258", "8.2", 1}, {"-n 1 -V 7.x", "7", 1}, {"-n 1 -V 8.1.2", "8.1", 1}, {"-n1 -bBIG -z9", "5", 1}, {"-z max -d 5 -n1", "5", 1},
	} {
		r := tooltest.World{}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		if r.Code != 0 || r.Err != "" {
			t.Errorf("%s: status %d, %s", tc.args, r.Code, r.Err)
			continue
		}
		h, b := tooltest.Stream(t, r.Out)
		if h.Version.String() != tc.version || b.Len() != tc.records {
			t.Errorf("%s: %d records of version %v", tc.args, b.Len(), h.Version)
		}
		if big, zip := strings.Contains(tc.args, "BIG"), strings.Contains(tc.args, "z9"); (h.OrderByte == 2) != big || (h.Flags&ftfile.FlagCompress != 0) != zip {
			t.Errorf("%s: %+v", tc.args, h)
		}
	}
}

func TestErrors(t *testing.T) {
	const unsupported = "\nflow-gen: Unsupported record type\nflow-gen: ftio_set_ver(): failed\n"
	for _, tc := range []struct {
		args string
		code int
		err  string
	}{
		{"-V x", 1, "flow-gen: Version scan failed\n"},
		{"-V", 1, "option requires an argument -- 'V'"},
		{"-V 9", 1, "flow-gen: Unsupported d_version 9" + unsupported},
		{"-V 0x5", 1, "flow-gen: Unsupported d_version 0" + unsupported},
		{"-V 8.0", 1, "flow-gen: Unsupported agg_method 0" + unsupported},
		{"-V 8.15", 1, "flow-gen: Unsupported agg_method 15" + unsupported},
		{"-b medium", 1, "expecting \"big\" or \"little\""},
		{"-z 10", 1, "flow-gen: Compression level must be between 0 and 9\n"},
		{"five", 1, "flow-gen: Extra arguments starting with five.\n"},
		{"-x", 1, "invalid option -- 'x'"},
		{"-h", 0, "Usage: flow-gen"},
	} {
		r := tooltest.World{}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		if r.Code != tc.code || len(r.Out) != 0 || !strings.Contains(r.Err, tc.err) {
			t.Errorf("%s: status %d, %d octets, %s", tc.args, r.Code, len(r.Out), r.Err)
		}
	}
}

func TestWriteError(t *testing.T) {
	for _, args := range []string{"-n 3", "-n 3 -z 6", "-n 100000", "-n 100000 -z 1"} {
		for octets, want := range map[int]string{0: "flow-gen: writen(): no space left on device\nflow-gen: ftio_write_header(): failed\n", 60: "flow-gen: ftio_write(): failed: no space left on device\n"} {
			room := tooltest.Room(octets)
			r := tooltest.World{Out: &room}.Run(t.Context(), Spec(), strings.Fields(args)...)
			if r.Code != 1 || r.Err != want {
				t.Errorf("%s, room for %d: status %d, %s", args, octets, r.Code, r.Err)
			}
		}
	}
}

func TestRecipes(t *testing.T) {
	if len(recipes) != len(flow.Versions()) {
		t.Errorf("%d recipes, %d versions", len(recipes), len(flow.Versions()))
	}
	for v, recipe := range recipes {
		l := flowtest.Layout(v.Export, v.Agg)
		for _, s := range parse(recipe) {
			if !l.Fields.Has(s.field) && s.field != flow.DFlows {
				t.Errorf("%v has no %v", v, s.field)
			}
		}
	}
}

func BenchmarkGen(b *testing.B) {
	const records = 100000
	b.ReportAllocs()
	for b.Loop() {
		if r := (tooltest.World{Out: io.Discard}).Run(b.Context(), Spec(), "-n", fmt.Sprint(records)); r.Code != 0 {
			b.Fatal(r.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
