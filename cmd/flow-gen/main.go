// Command flow-gen: see its Spec in internal/tool/flowgen.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowgen"
)

func main() { cli.Main(flowgen.Spec()) }
