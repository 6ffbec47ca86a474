// Command flow-send: see its Spec in internal/tool/flowsend.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowsend"
)

func main() { cli.Main(flowsend.Spec()) }
