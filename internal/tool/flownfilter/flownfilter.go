// Package flownfilter is the command flow-nfilter.
package flownfilter

import (
	"context"

	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/config"
	"flowtools/internal/streamio"
	"flowtools/pkg/filter"
	"flowtools/pkg/flow"
)

type options struct {
	file       string
	definition string
	vars       config.Vars
	stream     streamio.Output
}

// Spec returns the description of flow-nfilter.
func Spec() *cli.Spec {
	o := &options{definition: "default"}
	return &cli.Spec{
		Name:    "flow-nfilter",
		Summary: "pass the flows that a definition of a filter file permits",
		Flags: append([]cli.Flag{
			cli.File('f', "filter-file", "file", &o.file, "filter file (default SYSCONFDIR/cfg/filter.cfg)"),
			cli.Text('F', "filter", "definition", &o.definition, "definition in the filter file (default \"default\")"),
			cli.Func('v', "variable", "name=value", o.vars.Set, "value of @name in the filter file"),
		}, o.stream.Flags("bCdkz")...),
		HelpExit:  1,
		UsageExit: 1,
		Description: `flow-nfilter reads a flow stream from standard input and writes the flows that a filter definition permits to standard output.

A filter file has primitives, each a list of permitted and denied values of one type, and definitions, which match primitives against fields. Consecutive match lines must all permit a flow; an or line begins an alternative; invert turns the answer round. A list goes from a number or symbol to the next comma, A-B is a range. What a primitive does not list is denied unless a default line says otherwise. Lines beginning with # are comments.`,
		Examples: []cli.Example{
			{Command: "flow-cat ft-v05.* | flow-nfilter -f web.cfg -F web | flow-print", Text: "print what definition web permits"},
			{Command: "flow-nfilter -f site.cfg -F net -v NET=10.1/16 < flows > part", Text: "with @NET in the file standing for 10.1/16"},
		},
		Files:    []string{"SYSCONFDIR/cfg/filter.cfg: the default filter file", "SYSCONFDIR/sym/ip-prot.sym, tcp-port.sym, tag.sym: symbols in lists"},
		SeeAlso:  []string{"flow-filter(1)", "flow-tag(1)", "flow-xlate(1)", "flow-report(1)"},
		ExitText: "0, also when the input is damaged behind its header; 1 on every error.",
		Notes: `A filter file for flows from or to web servers, but not within 10.0.0.0/8:

  filter-primitive web
    type ip-port
    permit 80,443,8080-8090
  filter-primitive inside
    type ip-address-prefix
    permit 10/8
  filter-primitive outside
    type ip-address-prefix
    deny 10/8
    default permit
  filter-definition web
    match ip-source-port web
    match ip-destination-address outside
    or
    match ip-destination-port web
    match ip-source-address outside`,
		Run: o.run,
	}
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	file, err := filter.Load(env.ConfigFile(o.file, "cfg/filter.cfg"), filter.Options{
		Vars: o.vars, LookupEnv: env.LookupEnv, Now: env.Now, Resolve: resolve.IPv4, Warn: env.WarnError,
	})
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
	if err := filter.Check("Filter", in.Layout(), definition.Needs()); err != nil {
		return err
	}
	pass := definition.Compile(in.Layout())
	return o.stream.Rewrite(env, in, in.Header().Version, func(b *flow.Batch) *flow.Batch {
		b.Keep(pass)
		return b
	})
}
