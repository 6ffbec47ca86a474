package export

import (
	"fmt"

	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// Mask is a value of -m: mask bits, and whether they were given as names.
type Mask struct {
	Bits  uint64
	Names bool
}

// AllFields is the mask without -m.
var AllFields = Mask{Bits: 1<<64 - 1}

// ParseMask reads a value of -m. A text that starts with a letter is a list of
// field names; anything else is a number in C notation and never an error.
func ParseMask(s string) (Mask, error) {
	if s == "" || !clib.IsAlpha(s[0]) {
		return Mask{Bits: clib.Uint(s)}, nil
	}
	set, err := flow.ParseFields(s)
	if err != nil {
		return Mask{}, fmt.Errorf("%w\nftxfield_parse(): failed", err)
	}
	return Mask{Bits: uint64(set), Names: true}, nil
}
