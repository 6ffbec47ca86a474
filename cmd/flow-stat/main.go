// Command flow-stat: see its Spec in internal/tool/flowstat.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowstat"
)

func main() { cli.Main(flowstat.Spec()) }
