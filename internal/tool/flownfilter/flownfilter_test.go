package flownfilter

import (
	"bytes"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

const conf = `
filter-primitive p
  type ip-protocol
  permit @{P:-17}
filter-definition default
  match ip-protocol p
filter-definition all
  invert
`

// The installed file, its default definition and variables.
func TestFilter(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/filter.cfg": conf})
	b := flowtest.Traffic(flowtest.Layout(5, 0), 300, 1)
	for _, c := range []struct {
		argv []string
		prot uint64 // 0: everything
	}{{nil, 17}, {[]string{"-vP=17", "-vP=6"}, 6}, {[]string{"-FALL"}, 0}, {[]string{"-f", "cfg/filter.cfg"}, 17}} {
		res := w.Reads(flowtest.Stream(b)).Run(t.Context(), Spec(), append(c.argv, "-b", "big")...)
		if res.Code != 0 || res.Err != "" {
			t.Fatalf("%q: %d %s", c.argv, res.Code, res.Err)
		}
		want := &flow.Batch{Layout: b.Layout}
		for r := range b.All() {
			if c.prot == 0 || b.Layout.Uint(r, flow.Prot) == c.prot {
				want.Append(r)
			}
		}
		if h, got := tooltest.Stream(t, res.Out); !bytes.Equal(got.Bytes(), want.Bytes()) || h.Order() != flow.BigEndian {
			t.Errorf("%q: %d records, want %d", c.argv, got.Len(), want.Len())
		}
	}
}

// The header has times and flow count of 0, with -k too.
func TestHeader(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/filter.cfg": conf})
	in := tooltest.Capture(t, flow.NewBatch(flowtest.Layout(5, 0)), func(h *ftfile.Header) {
		h.Start, h.End, h.Flows, h.Comments = 7, 9, 3, "old"
		h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagComments)
	})
	got, _ := tooltest.Stream(t, w.Reads(in).Run(t.Context(), Spec()).Out)
	if got.Start != 0 || !got.Has(ftfile.TagStart) || !got.Has(ftfile.TagEnd) || !got.Has(ftfile.TagFlows) || got.Flows != 0 || got.Has(ftfile.TagComments) || got.Flags != ftfile.FlagStreaming {
		t.Errorf("%+v", got)
	}
	got, _ = tooltest.Stream(t, w.Reads(in).Run(t.Context(), Spec(), "-kC", "new").Out)
	if got.Start != 0 || got.End != 0 || got.Comments != "new" || got.Flags != ftfile.FlagStreaming|ftfile.FlagPreloaded {
		t.Errorf("-k: %+v", got)
	}
}

func TestErrors(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/filter.cfg": conf, "bad": "filter-primitive p\ntyp as\n"})
	in := w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 1), 3, 1)))
	in.Refused(t, "no such file", Spec(), "none: no such file or directory", "-f", "none")
	in.Refused(t, "place", Spec(), `bad line 2: Unexpected "typ". Expecting filter-primitive, type, `, "-f", "bad")
	in.Refused(t, "no such definition", Spec(), `cfg/filter.cfg: no filter-definition "x", only default, all`, "-F", "x")
	w.Refused(t, "file before input", Spec(), `no filter-definition "x"`, "-F", "x")
	w.Refused(t, "input", Spec(), "ftio_init(): failed")
	in.Refused(t, "missing field", Spec(), "Filter references a field not in flow. (version 8.1 has no prot)")
	in.Refused(t, "variable", Spec(), `variable "x=": expecting NAME=VALUE`, "-v", "x=")
	in.Refused(t, "help", Spec(), "Usage: flow-nfilter ", "-h")
	in.Refused(t, "operand", Spec(), "Extra arguments starting with x.", "x")
}
