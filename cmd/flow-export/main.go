// Command flow-export: see its Spec in internal/tool/flowexport.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowexport"
)

func main() { cli.Main(flowexport.Spec()) }
