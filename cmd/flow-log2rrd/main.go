// Command flow-log2rrd: see its Spec in internal/tool/flowlog2rrd.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowlog2rrd"
)

func main() { cli.Main(flowlog2rrd.Spec()) }
