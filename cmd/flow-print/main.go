// Command flow-print: see its Spec in internal/tool/flowprint.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowprint"
)

func main() { cli.Main(flowprint.Spec()) }
