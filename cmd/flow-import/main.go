// Command flow-import: see its Spec in internal/tool/flowimport.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowimport"
)

func main() { cli.Main(flowimport.Spec()) }
