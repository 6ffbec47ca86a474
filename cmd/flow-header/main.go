// Command flow-header: see its Spec in internal/tool/flowheader.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowheader"
)

func main() { cli.Main(flowheader.Spec()) }
