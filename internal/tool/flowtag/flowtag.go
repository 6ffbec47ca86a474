// Package flowtag is the command flow-tag.
package flowtag

import (
	"context"
	"fmt"

	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/config"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/tag"
	"flowtools/pkg/xlate"
)

type options struct {
	file       string
	definition string
	vars       config.Vars
	stream     streamio.Output
}

// Spec returns the description of flow-tag.
func Spec() *cli.Spec {
	o := &options{}
	return &cli.Spec{
		Name:    "flow-tag",
		Summary: "set the source and destination tags of flows",
		Flags: append([]cli.Flag{
			cli.File('t', "tag-file", "file", &o.file, "tag file (default SYSCONFDIR/cfg/tag.cfg)"),
			cli.Text('T', "tag", "definition", &o.definition, "definition in the tag file; it must be given"),
			cli.Func('v', "variable", "name=value", o.vars.Set, "value of @name in the tag file"),
		}, o.stream.Flags("bCdkz")...),
		HelpExit:  1,
		UsageExit: 1,
		Description: `flow-tag reads a flow stream of version 5, 6, 7 or 1005 from standard input and writes all flows, as version 1005, to standard output. The terms of a tag definition set their source and destination tags; tags that are there already stay where no action changes them.

A tag file has actions, which look a value of the flow up and set a tag or OR into it, and definitions, whose terms run actions on the flows of some interfaces or exporters. Every term that applies runs, in order.`,
		Examples: []cli.Example{
			{Command: "flow-tag -t site.cfg -T departments < flows | flow-report -s tags.cfg -S by-tag", Text: "count by department"},
		},
		Files:    []string{"SYSCONFDIR/cfg/tag.cfg: the default tag file"},
		SeeAlso:  []string{"flow-nfilter(1)", "flow-report(1)", "flow-xlate(1)"},
		ExitText: "0, also when the input is damaged behind its header; 1 on every error.",
		Notes: `A tag file that marks the source with a department and the destination with a service:

  tag-action department
    type src-prefix
    match 10.1/16 set-src 1
    match 10.2/16 set-src 2
  tag-action service
    type tcp-dst-port
    match 80 set-dst 80
    match 443 set-dst 80
  tag-definition departments
    term
      input-filter 1,2
      action department
      action service`,
		Run: o.run,
	}
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	file, err := tag.Load(env.ConfigFile(o.file, "cfg/tag.cfg"), tag.Options{Vars: o.vars, Resolve: resolve.IPv4, Warn: env.WarnError})
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
	v5, err := flow.LayoutOf(flow.Version{Export: 5})
	if err != nil {
		return err
	}
	if missing := in.Layout().Missing(v5.Fields); missing != 0 {
		return fmt.Errorf("Flow record missing required field for tagging. (version %v has no %v)", in.Layout().Version, missing)
	}
	tagged := flow.Version{Export: 1005}
	convert, err := xlate.NewConverter(in.Layout(), tagged)
	if err != nil {
		return err
	}
	set := definition.Compile(convert.Layout())
	return o.stream.Rewrite(env, in, tagged, func(b *flow.Batch) *flow.Batch {
		b = convert.Batch(b)
		for r := range b.All() {
			set(r)
		}
		return b
	})
}
