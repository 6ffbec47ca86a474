package capture

import (
	"flowtools/internal/cli"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// VersionFlag is -V: the output version.
func VersionFlag(p **flow.Version) cli.Flag {
	return streamio.VersionFlag(p, "version of the flows, N or 8.M (default: as they come)")
}

// Translate returns the conversion of batches of version src into batches of
// version dst, each valid until the next call; between equal versions a batch
// comes back as it is. The error says that there is no translation.
func Translate(dst, src flow.Version) (func(*flow.Batch) *flow.Batch, error) {
	if dst == src {
		return func(b *flow.Batch) *flow.Batch { return b }, nil
	}
	plan, err := netflow.Translate(dst, src, netflow.Compat)
	if err != nil {
		return nil, err
	}
	l, err := flow.LayoutOf(dst)
	if err != nil {
		return nil, err
	}
	out := flow.NewBatch(l)
	return func(b *flow.Batch) *flow.Batch {
		out.Reset()
		plan.Run(out.Extend(b.Len()), b.Bytes(), b.Len(), nil)
		return out
	}, nil
}
