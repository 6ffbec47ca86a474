package streamio

import (
	"flowtools/internal/cli"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// Rewrite writes the records of in, of version v once change has seen them, as a
// new stream to standard output: the second half of flow-nfilter, flow-tag,
// flow-xlate and flow-mask. See Copy for change.
func (o *Output) Rewrite(env *cli.Env, in *ftfile.Reader, v flow.Version, change func(*flow.Batch) *flow.Batch) error {
	out, err := o.Create(env, o.rewritten(in.Header(), v))
	if err != nil {
		return err
	}
	flows := uint64(0)
	if err := Copy(env, in, out, func(b *flow.Batch) *flow.Batch {
		flows += uint64(b.Len())
		return change(b)
	}); err != nil {
		out.Close()
		return err
	}
	if err := Finish(env, in, out); err != nil {
		return err
	}
	if o.Debug > 0 {
		env.Profile(flows)
	}
	return nil
}

// rewritten makes the header of those four tools: times and flow count are there
// and 0, and nothing is taken over from the input.
//
// Compat: -k, meant to keep the capture times of the input, only adds the
// preloaded flag where it has both; flow-filter does keep them.
func (o *Output) rewritten(in *ftfile.Header, v flow.Version) *ftfile.Header {
	h := ftfile.NewHeader(v, ftfile.FlagStreaming)
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows)
	if o.Keep && in.Has(ftfile.TagStart) && in.Has(ftfile.TagEnd) && in.Start != 0 && in.End != 0 {
		h.Flags |= ftfile.FlagPreloaded
	}
	return h
}
