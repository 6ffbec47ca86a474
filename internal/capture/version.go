package capture

import (
	"flowtools/internal/cli"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// VersionFlag is -V: the output version. Whether there is such a version shows
// when it is used.
func VersionFlag(p **flow.Version) cli.Flag {
	return cli.Func('V', "record-version", "version", func(s string) error {
		v, _, err := streamio.ParseVersion(s)
		if err != nil {
			return err
		}
		if v.Export != 8 {
			v.Agg = 0 // an M behind another N means nothing
		}
		*p = &v
		return nil
	}, "version of the flows, N or 8.M (default: as they come)")
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
