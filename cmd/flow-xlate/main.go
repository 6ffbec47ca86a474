// Command flow-xlate changes the fields and the version of flows.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowxlate"
)

func main() { cli.Main(flowxlate.Spec()) }
