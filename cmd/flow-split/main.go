// Command flow-split: see its Spec in internal/tool/flowsplit.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowsplit"
)

func main() { cli.Main(flowsplit.Spec()) }
