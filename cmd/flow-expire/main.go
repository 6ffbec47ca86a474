// Command flow-expire: see its Spec in internal/tool/flowexpire.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowexpire"
)

func main() { cli.Main(flowexpire.Spec()) }
