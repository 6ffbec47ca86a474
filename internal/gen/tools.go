package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowcat"
	"flowtools/internal/tool/flowfilter"
	"flowtools/internal/tool/flowgen"
	"flowtools/internal/tool/flowheader"
	"flowtools/internal/tool/flowmask"
	"flowtools/internal/tool/flownfilter"
	"flowtools/internal/tool/flowprint"
)

// tools are the Specs of all commands, one line each.
func tools() []*cli.Spec {
	return []*cli.Spec{
		flowcat.Spec(),
		flowfilter.Spec(),
		flowgen.Spec(),
		flowheader.Spec(),
		flowmask.Spec(),
		flownfilter.Spec(),
		flowprint.Spec(),
	}
}
