package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowfilter"
	"flowtools/internal/tool/flowgen"
)

// tools are the Specs of all commands, one line each.
func tools() []*cli.Spec {
	return []*cli.Spec{
		flowfilter.Spec(),
		flowgen.Spec(),
	}
}
