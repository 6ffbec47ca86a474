package flowxlate

import (
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
)

const conf = `
xlate-action double
  type scale
  scale @{N:-2}
xlate-action tags
  type tag-mask
xlate-definition default
  term
    filter udp
    action double
xlate-definition tags
  term
    action tags
`

const filters = `
filter-primitive udp
  type ip-protocol
  permit 17
filter-definition udp
  match ip-protocol udp
`

// Actions work on the records of the input, then the version is converted.
func TestXlate(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/xlate.cfg": conf, "cfg/filter.cfg": filters})
	b := flowtest.Traffic(flowtest.Layout(5, 0), 100, 1)
	for _, c := range []struct {
		argv    []string
		version uint16
		factor  uint64
	}{
		{nil, 5, 2}, {[]string{"-vN=3", "-V7"}, 7, 3}, {[]string{"-nV1005"}, 1005, 1}, {[]string{"-n", "-V 6x", "-V", "01.9"}, 1, 1}, {[]string{"-n"}, 5, 1},
	} {
		res := w.Reads(flowtest.Stream(b)).Run(t.Context(), Spec(), c.argv...)
		if res.Code != 0 || res.Err != "" {
			t.Fatalf("%q: %d %s", c.argv, res.Code, res.Err)
		}
		h, got := tooltest.Stream(t, res.Out)
		if h.Version.Export != c.version || got.Len() != b.Len() {
			t.Fatalf("%q: %d records of version %v", c.argv, got.Len(), h.Version)
		}
		for i := range b.Len() {
			for f := range (got.Layout.Fields & b.Layout.Fields).All() {
				want := b.Layout.Uint(b.At(i), f)
				if (f == flow.DPkts || f == flow.DOctets) && b.Layout.Uint(b.At(i), flow.Prot) == 17 {
					want *= c.factor
				}
				if v := got.Layout.Uint(got.At(i), f); v != want {
					t.Fatalf("%q: %v is %d, want %d", c.argv, f, v, want)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/xlate.cfg": conf, "cfg/filter.cfg": filters})
	v5 := w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), 3, 1)))
	v8 := w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 1), 3, 1)))
	v5.Refused(t, "no version", Spec(), "Version scan failed", "-nV", "abc")
	v5.Refused(t, "version 8", Spec(), "Unsupported agg_method 0", "-nV", "8")
	v5.Refused(t, "version 9", Spec(), "Unsupported d_version 9", "-nV", "9")
	v5.Refused(t, "to aggregation", Spec(), "no conversion of version 5 to version 8.1", "-nV", "8.1")
	v8.Refused(t, "from aggregation", Spec(), "no conversion of version 8.1 to version 5", "-nV", "5")
	v5.Refused(t, "file though only -V matters", Spec(), "none: no such file or directory", "-V7", "-x", "none")
	v5.Refused(t, "no such definition", Spec(), `cfg/xlate.cfg: no xlate-definition "x", only default, tags`, "-X", "x")
	v5.Refused(t, "fields of actions", Spec(), "Xlate references a field not in flow. (version 5 has no src_tag,dst_tag)", "-X", "tags", "-V1005")
	v8.Refused(t, "fields of filters", Spec(), "Xlate references a field not in flow. (version 8.1 has no prot)")
	w.Refused(t, "input", Spec(), "ftio_init(): failed", "-n")
	v5.Refused(t, "help", Spec(), "Usage: flow-xlate ", "-h")
}
