package netflow

import (
	"fmt"

	"flowtools/pkg/flow"
)

// dropped returns the fields that do not survive the way from records of
// version src to records of version dst although both have them, and whether
// there is such a way at all.
func dropped(dst, src flow.Version, m Mode) (except flow.FieldSet, ok bool) {
	switch {
	case dst == src:
		return 0, true
	case dst.Export == 8 || src.Export == 8:
		return 0, false
	case src.Export == 1005:
		return 0, dst.Export == 5
	case src.Export == 1 && dst.Export != 1005 && m == Compat:
		// Compat: 1 -> 5, 6, 7 loses output (goldens flow-send/from-v1,
		// flow-receive/to-v7).
		return flow.Output.Set(), true
	}
	return 0, true
}

// Translate compiles the conversion of stream records of version src into
// records of version dst: what both have is copied, the rest is 0. A plan from
// a version to itself does not carry padding; callers copy such records. The
// error says that there is no translation: from or to version 8, and from 1005
// to anything but 5.
func Translate(dst, src flow.Version, m Mode) (*flow.Plan, error) {
	d, err := flow.LayoutOf(dst)
	if err != nil {
		return nil, err
	}
	s, err := flow.LayoutOf(src)
	if err != nil {
		return nil, err
	}
	except, ok := dropped(d.Version, s.Version, m)
	if !ok {
		return nil, fmt.Errorf("no translation from version %v to %v", s.Version, d.Version)
	}
	return flow.NewPlan(d, s, except), nil
}
