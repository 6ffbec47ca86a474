// Command flow-mask replaces the prefix lengths of flows.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowmask"
)

func main() { cli.Main(flowmask.Spec()) }
