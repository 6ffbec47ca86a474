// Command flow-capture: see its Spec in internal/tool/flowcapture.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowcapture"
)

func main() { cli.Main(flowcapture.Spec()) }
