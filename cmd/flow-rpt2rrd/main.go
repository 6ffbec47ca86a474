// Command flow-rpt2rrd: see its Spec in internal/tool/flowrpt2rrd.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowrpt2rrd"
)

func main() { cli.Main(flowrpt2rrd.Spec()) }
