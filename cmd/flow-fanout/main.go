// Command flow-fanout: see its Spec in internal/tool/flowfanout.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowfanout"
)

func main() { cli.Main(flowfanout.Spec()) }
