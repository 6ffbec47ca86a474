// Command flow-tag sets the tags of flows.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowtag"
)

func main() { cli.Main(flowtag.Spec()) }
