// Command fprobe: see its Spec in internal/tool/fprobe.
package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/fprobe"
)

func main() { cli.Main(fprobe.Spec()) }
