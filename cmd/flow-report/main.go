// Command flow-report: see its Spec in internal/tool/flowreport.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowreport"
)

func main() { cli.Main(flowreport.Spec()) }
