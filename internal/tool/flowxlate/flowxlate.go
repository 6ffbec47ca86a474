// Package flowxlate is the command flow-xlate.
package flowxlate

import (
	"context"

	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/config"
	"flowtools/internal/streamio"
	"flowtools/pkg/filter"
	"flowtools/pkg/flow"
	"flowtools/pkg/xlate"
)

type options struct {
	file       string
	definition string
	noFile     bool
	version    *flow.Version // nil: that of the input
	vars       config.Vars
	stream     streamio.Output
}

// Spec returns the description of flow-xlate.
func Spec() *cli.Spec {
	o := &options{definition: "default"}
	return &cli.Spec{
		Name:    "flow-xlate",
		Summary: "change the fields and the version of flows",
		Flags: append([]cli.Flag{
			cli.File('x', "xlate-file", "file", &o.file, "xlate file (default SYSCONFDIR/cfg/xlate.cfg)"),
			cli.Text('X', "xlate", "definition", &o.definition, "definition in the xlate file (default \"default\")"),
			cli.Bool('n', "no-file", &o.noFile, "use no xlate file, only convert the version"),
			streamio.VersionFlag(&o.version, "record version of the output: 1, 5, 6, 7, 8.N or 1005 (default that of the input)"),
			cli.Func('v', "variable", "name=value", o.vars.Set, "value of @name in the xlate file"),
		}, o.stream.Flags("bCdkz")...),
		HelpExit:  1,
		UsageExit: 1,
		Description: `flow-xlate reads a flow stream from standard input, changes the flows by a definition of an xlate file, converts them to another record version if one is given, and writes all of them to standard output.

Actions clear host bits, mask addresses, ports and tags, multiply the counters of sampled flows, replace AS 0, and anonymize addresses so that common prefixes stay common. The terms of a definition run actions on the flows that a filter definition permits; stop keeps such flows from later terms.

Versions 1, 5, 6, 7 and 1005 convert to each other, but 1005 only to 5. What the target has no field for is lost, what the source does not know is 0.`,
		Examples: []cli.Example{
			{Command: "flow-xlate -n -V5 < flows.v7 > flows.v5", Text: "convert to version 5"},
			{Command: "flow-xlate -x site.cfg -X publish < flows | flow-export -f2", Text: "change flows by definition publish before exporting them"},
		},
		Files: []string{
			"SYSCONFDIR/cfg/xlate.cfg: the default xlate file",
			"SYSCONFDIR/cfg/filter.cfg: filters, unless the xlate file names another file with include-filter",
		},
		SeeAlso:  []string{"flow-nfilter(1)", "flow-tag(1)", "flow-mask(1)"},
		ExitText: "0, also when the input is damaged behind its header; 1 on every error.",
		Notes: `An xlate file that scales sampled flows and hides hosts:

  xlate-action sampled
    type scale
    scale 100
  xlate-action hide
    type ip-address-anonymize
    algorithm cryptopan-aes128
    key-file /etc/flow-tools/secret
    key-file-refresh 60
  xlate-definition publish
    term
      action sampled
      action hide`,
		Run: o.run,
	}
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	definition, err := o.load(env)
	if err != nil {
		return err
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	version := in.Header().Version
	if o.version != nil {
		version = *o.version
	}
	convert, err := xlate.NewConverter(in.Layout(), version)
	if err != nil {
		return err
	}
	change := func(flow.Record) {}
	if definition != nil {
		if err := filter.Check("Xlate", in.Layout(), definition.Needs()); err != nil {
			return err
		}
		change = definition.Compile(in.Layout())
	}
	return o.stream.Rewrite(env, in, version, func(b *flow.Batch) *flow.Batch {
		for r := range b.All() {
			change(r)
		}
		return convert.Batch(b)
	})
}

// load returns the definition to apply, nil for none.
func (o *options) load(env *cli.Env) (*xlate.Definition, error) {
	if o.noFile {
		return nil, nil
	}
	file, err := xlate.Load(env.ConfigFile(o.file, "cfg/xlate.cfg"), xlate.Options{
		Vars: o.vars, Dir: env.Dir, LookupEnv: env.LookupEnv, Now: env.Now, Resolve: resolve.IPv4, Warn: env.WarnError,
	})
	if err != nil {
		return nil, err
	}
	return file.Definition(o.definition)
}
