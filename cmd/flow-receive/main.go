// Command flow-receive: see its Spec in internal/tool/flowreceive.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowreceive"
)

func main() { cli.Main(flowreceive.Spec()) }
