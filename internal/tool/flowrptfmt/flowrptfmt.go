// Package flowrptfmt is the command flow-rptfmt.
package flowrptfmt

import (
	"flowtools/internal/cli"
	"flowtools/internal/rptfmt"
)

// Spec returns the description of flow-rptfmt. It lives with the formatter,
// which flow-report runs by its options, too.
func Spec() *cli.Spec { return rptfmt.Spec() }
