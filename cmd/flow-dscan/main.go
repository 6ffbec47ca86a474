// Command flow-dscan: see its Spec in internal/tool/flowdscan.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowdscan"
)

func main() { cli.Main(flowdscan.Spec()) }
