// Command flow-filter passes the flows of a stream that fit options and access lists.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowfilter"
)

func main() { cli.Main(flowfilter.Spec()) }
