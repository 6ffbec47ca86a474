// Command flow-rptfmt: see its Spec in internal/tool/flowrptfmt.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowrptfmt"
)

func main() { cli.Main(flowrptfmt.Spec()) }
