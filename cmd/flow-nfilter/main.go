// Command flow-nfilter passes the flows that a definition of a filter file permits.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flownfilter"
)

func main() { cli.Main(flownfilter.Spec()) }
