// Command flowdumper prints and selects flows.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowdumper"
)

func main() { cli.Main(flowdumper.Spec()) }
