package flowtag

import (
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
)

const conf = `
tag-action udp
  type any
  match any or-src @{T:-1}
tag-definition t
  term
    action udp
`

// Versions 5, 6, 7 and 1005 come out as 1005 with their common fields; tags that
// were there are changed, not replaced.
func TestTag(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/tag.cfg": conf})
	for _, version := range []uint16{5, 6, 7, 1005} {
		b := flowtest.Traffic(flowtest.Layout(version, 0), 50, 1)
		res := w.Reads(flowtest.Stream(b)).Run(t.Context(), Spec(), "-TT", "-vT=0x100")
		if res.Code != 0 || res.Err != "" {
			t.Fatalf("version %d: %d %s", version, res.Code, res.Err)
		}
		h, got := tooltest.Stream(t, res.Out)
		if h.Version.Export != 1005 || got.Len() != b.Len() {
			t.Fatalf("version %d: %d records of version %v", version, got.Len(), h.Version)
		}
		for i := range b.Len() {
			for f := range got.Layout.Fields.All() {
				want := b.Layout.Uint(b.At(i), f)
				if f == flow.SrcTag {
					want |= 0x100
				}
				if v := got.Layout.Uint(got.At(i), f); v != want {
					t.Fatalf("version %d: %v is %d, want %d", version, f, v, want)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/tag.cfg": conf})
	v5 := w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), 3, 1)))
	v1 := w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(1, 0), 3, 1)))
	v8 := w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 14), 3, 1)))
	v5.Refused(t, "no definition", Spec(), `cfg/tag.cfg: no tag-definition "", only t`)
	v5.Refused(t, "no such file", Spec(), "none: no such file or directory", "-t", "none")
	v1.Refused(t, "version 1", Spec(), "Flow record missing required field for tagging. (version 1 has no engine_type,", "-T", "t")
	v8.Refused(t, "version 8", Spec(), "Flow record missing required field for tagging. (version 8.14 has no nexthop,", "-T", "t")
	w.Refused(t, "input", Spec(), "ftio_init(): failed", "-T", "t")
	v5.Refused(t, "help", Spec(), "Usage: flow-tag ", "-h")
}
