// Package flowmask is the command flow-mask.
package flowmask

import (
	"context"

	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/mask"
)

type options struct {
	file       string
	definition string
	stream     streamio.Output
}

// Spec returns the description of flow-mask.
func Spec() *cli.Spec {
	o := &options{definition: "default"}
	return &cli.Spec{
		Name:    "flow-mask",
		Summary: "replace the prefix lengths of flows",
		Flags: append([]cli.Flag{
			cli.File('m', "mask-file", "file", &o.file, "mask file (default SYSCONFDIR/cfg/mask.cfg)"),
			cli.Text('M', "mask", "definition", &o.definition, "definition in the mask file (default \"default\")"),
		}, o.stream.Flags("bCdkz")...),
		HelpExit:  1,
		UsageExit: 1,
		Description: `flow-mask reads a flow stream from standard input and writes all flows to standard output. Where the longest prefix of a mask definition that holds a flow's source address says so, the source prefix length is replaced; likewise for the destination. Addresses that no prefix holds, and records without prefix lengths, stay as they are.

A mask file has definitions of prefix lines: a prefix in the notation 10.1/16, and the length to set.`,
		Examples: []cli.Example{
			{Command: "flow-mask -m site.cfg < flows | flow-stat -f24", Text: "count by the prefixes of the site, not by those of the router"},
		},
		Files:    []string{"SYSCONFDIR/cfg/mask.cfg: the default mask file"},
		SeeAlso:  []string{"flow-report(1)", "flow-xlate(1)", "flow-tag(1)"},
		ExitText: "0, also when the input is damaged behind its header; 1 on every error.",
		Notes: `A mask file:

  mask-definition default
    prefix 10/8 24
    prefix 10.9/16 20
    prefix 0/0 16`,
		Run: o.run,
	}
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	file, err := mask.Load(env.ConfigFile(o.file, "cfg/mask.cfg"), mask.Options{Resolve: resolve.IPv4, Warn: env.WarnError})
	if err != nil {
		return err
	}
	definition, err := file.Definition(o.definition)
	if err != nil {
		return err
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	replace := definition.Compile(in.Layout())
	return o.stream.Rewrite(env, in, in.Header().Version, func(b *flow.Batch) *flow.Batch {
		for r := range b.All() {
			replace(r)
		}
		return b
	})
}
