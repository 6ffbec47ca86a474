// Command flow-merge: see its Spec in internal/tool/flowmerge.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowmerge"
)

func main() { cli.Main(flowmerge.Spec()) }
