package main

import (
	"flowtools/internal/cli"
	"flowtools/internal/tool/flowcapture"
	"flowtools/internal/tool/flowcat"
	"flowtools/internal/tool/flowdscan"
	"flowtools/internal/tool/flowdumper"
	"flowtools/internal/tool/flowexpire"
	"flowtools/internal/tool/flowexport"
	"flowtools/internal/tool/flowfanout"
	"flowtools/internal/tool/flowfilter"
	"flowtools/internal/tool/flowgen"
	"flowtools/internal/tool/flowheader"
	"flowtools/internal/tool/flowimport"
	"flowtools/internal/tool/flowlog2rrd"
	"flowtools/internal/tool/flowmask"
	"flowtools/internal/tool/flowmerge"
	"flowtools/internal/tool/flownfilter"
	"flowtools/internal/tool/flowprint"
	"flowtools/internal/tool/flowreceive"
	"flowtools/internal/tool/flowreport"
	"flowtools/internal/tool/flowrpt2rrd"
	"flowtools/internal/tool/flowrptfmt"
	"flowtools/internal/tool/flowsend"
	"flowtools/internal/tool/flowsplit"
	"flowtools/internal/tool/flowstat"
	"flowtools/internal/tool/flowtag"
	"flowtools/internal/tool/flowxlate"
	"flowtools/internal/tool/fprobe"
)

// tools are the Specs of all commands, one line each.
func tools() []*cli.Spec {
	return []*cli.Spec{
		flowcapture.Spec(),
		flowcat.Spec(),
		flowdscan.Spec(),
		flowdumper.Spec(),
		flowexpire.Spec(),
		flowexport.Spec(),
		flowfanout.Spec(),
		flowfilter.Spec(),
		flowgen.Spec(),
		flowheader.Spec(),
		flowimport.Spec(),
		flowlog2rrd.Spec(),
		flowmask.Spec(),
		flowmerge.Spec(),
		flownfilter.Spec(),
		flowprint.Spec(),
		flowreceive.Spec(),
		flowreport.Spec(),
		flowrpt2rrd.Spec(),
		flowrptfmt.Spec(),
		flowsend.Spec(),
		flowsplit.Spec(),
		flowstat.Spec(),
		flowtag.Spec(),
		flowxlate.Spec(),
		fprobe.Spec(),
	}
}
