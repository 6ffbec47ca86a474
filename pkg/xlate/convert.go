package xlate

import (
	"fmt"

	"flowtools/pkg/flow"
)

// conversions holds the record versions that a version converts to. Records of
// other versions, all of version 8 among them, go as they are or not at all.
var conversions = map[uint16][]uint16{
	1:    {5, 6, 7, 1005},
	5:    {1, 6, 7, 1005},
	6:    {1, 5, 7, 1005},
	7:    {1, 5, 6, 1005},
	1005: {5},
}

// lost returns the fields that both versions have and that a conversion
// nevertheless leaves out.
//
// Compat: the output interface of version 1 survives in version 1005 only
// (goldens flow-xlate, version-1-to-*).
func lost(from, to uint16) flow.FieldSet {
	if from == 1 && to != 1005 {
		return flow.Output.Set()
	}
	return 0
}

// Converter converts records from one version to another. A Converter is for
// one goroutine.
type Converter struct {
	from, to *flow.Layout
	plan     *flow.Plan // nil: records stay as they are
	out      flow.Batch
}

// NewConverter returns the converter of records of layout from to version to.
// Fields that one of the versions does not have are 0 in the result. The error
// says that there is no such version or no such conversion; a version converts
// to itself, unchanged.
func NewConverter(from *flow.Layout, to flow.Version) (*Converter, error) {
	target, err := flow.LayoutOf(to)
	if err != nil {
		return nil, err
	}
	c := &Converter{from: from, to: target, out: flow.Batch{Layout: target}}
	if from == target {
		return c, nil
	}
	for _, v := range conversions[from.Version.Export] {
		if v == target.Version.Export {
			c.plan = flow.NewPlan(target, from, lost(from.Version.Export, v))
			return c, nil
		}
	}
	return nil, fmt.Errorf("no conversion of version %v to version %v", from.Version, target.Version)
}

// Layout returns the layout of converted records.
func (c *Converter) Layout() *flow.Layout { return c.to }

// Batch returns the records of b converted: b itself when there is nothing to
// do, else a batch of the converter's, valid until the next call.
func (c *Converter) Batch(b *flow.Batch) *flow.Batch {
	if c.plan == nil {
		return b
	}
	c.out.Reset()
	n := b.Len()
	c.plan.Run(c.out.Extend(n), b.Bytes(), n, nil)
	return &c.out
}
