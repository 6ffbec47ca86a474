package flowmask

import (
	"bytes"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
)

const conf = `
mask-definition default
  prefix 10/8 9
mask-definition none
`

func TestMask(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/mask.cfg": conf})
	for _, v := range flow.Versions() {
		b := flowtest.Traffic(flowtest.Layout(v.Export, v.Agg), 50, 1)
		for _, argv := range [][]string{nil, {"-M", "NONE"}} {
			res := w.Reads(flowtest.Stream(b)).Run(t.Context(), Spec(), argv...)
			if res.Code != 0 || res.Err != "" {
				t.Fatalf("version %v: %d %s", v, res.Code, res.Err)
			}
			want := append([]byte(nil), b.Bytes()...)
			if l := b.Layout; argv == nil && l.Missing(flow.Fields(flow.SrcAddr, flow.SrcMask)) == 0 {
				for i := range b.Len() { // every source is in 10/8, no destination
					l.PutUint(want[i*l.Size:], flow.SrcMask, 9)
				}
			}
			if h, got := tooltest.Stream(t, res.Out); h.Version != v || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("version %v, %q: other records than expected", v, argv)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	w := tooltest.Installed(t, map[string]string{"cfg/mask.cfg": conf})
	in := w.Reads(flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), 3, 1)))
	in.Refused(t, "no such file", Spec(), "none: no such file or directory", "-m", "none")
	in.Refused(t, "no such definition", Spec(), `cfg/mask.cfg: no mask-definition "x", only default, none`, "-M", "x")
	in.Refused(t, "no variables", Spec(), "invalid option -- 'v'", "-v", "A=1")
	w.Refused(t, "input", Spec(), "ftio_init(): failed")
	in.Refused(t, "help", Spec(), "Usage: flow-mask ", "-h")
}
