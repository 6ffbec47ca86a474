// Command flow-cat: see its Spec in internal/tool/flowcat.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowcat"
)

func main() { cli.Main(flowcat.Spec()) }
