package capture

import (
	"errors"
	"fmt"

	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/config"
	"flowtools/pkg/filter"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
	"flowtools/pkg/tag"
	"flowtools/pkg/xlate"
)

// Rules are the definitions of configuration files that flows go through: a tag
// definition, a filter definition, an xlate definition, in this order. Those
// without a name are left out.
type Rules struct {
	Tag, Filter, Xlate Rule
	Vars               config.Vars
}

// Rule names a definition in a file; the file "" is the default one.
type Rule struct {
	File string
	Name string
}

// Any reports whether there are rules at all.
func (r *Rules) Any() bool { return r.Tag.Name != "" || r.Filter.Name != "" || r.Xlate.Name != "" }

// failed adds the messages of the original to an error.
func failed(err error, format string, args ...any) error {
	return errors.Join(err, fmt.Errorf(format, args...))
}

// Pipeline is what Rules do to the flows of one layout.
type Pipeline struct {
	tag   func(flow.Record)
	pass  func(flow.Record) bool
	xlate func(flow.Record)
}

// Load reads the files and compiles the rules for records of l, or checks the
// files alone when l is nil. The error of a rule whose file or definition cannot
// be used, or which needs fields that l lacks, comes with the message of the
// original.
func (r *Rules) Load(env *cli.Env, l *flow.Layout) (*Pipeline, error) {
	p := &Pipeline{}
	if r.Tag.Name != "" {
		file, err := tag.Load(env.ConfigFile(r.Tag.File, "cfg/tag.cfg"), tag.Options{Vars: r.Vars, Resolve: resolve.IPv4, Warn: env.WarnError})
		if err != nil {
			return nil, failed(err, "fttag_load(): failed")
		}
		definition, err := file.Definition(r.Tag.Name)
		if err != nil {
			return nil, failed(err, "fttag_load(): failed")
		}
		if l != nil {
			p.tag = definition.Compile(l)
		}
	}
	if r.Filter.Name != "" {
		path := env.ConfigFile(r.Filter.File, "cfg/filter.cfg")
		file, err := filter.Load(path, filter.Options{
			Vars: r.Vars, LookupEnv: env.LookupEnv, Now: env.Now, Resolve: resolve.IPv4, Warn: env.WarnError,
		})
		if err != nil {
			return nil, failed(err, "ftfil_load(%s): failed", path)
		}
		definition, err := file.Definition(r.Filter.Name)
		if err != nil {
			return nil, failed(err, "ftfil_def_find(%s): failed", r.Filter.Name)
		}
		if l != nil {
			if err := filter.Check("Filter", l, definition.Needs()); err != nil {
				return nil, err
			}
			p.pass = definition.Compile(l)
		}
	}
	if r.Xlate.Name != "" {
		path := env.ConfigFile(r.Xlate.File, "cfg/xlate.cfg")
		file, err := xlate.Load(path, xlate.Options{
			Vars: r.Vars, Dir: env.Dir, LookupEnv: env.LookupEnv, Now: env.Now, Resolve: resolve.IPv4, Warn: env.WarnError,
		})
		if err != nil {
			return nil, failed(err, "ftxlate_load(%s): failed", path)
		}
		definition, err := file.Definition(r.Xlate.Name)
		if err != nil {
			return nil, failed(err, "ftlate_def_find(%s): failed", r.Xlate.Name)
		}
		if l != nil {
			if err := filter.Check("Xlate", l, definition.Needs()); err != nil {
				return nil, err
			}
			p.xlate = definition.Compile(l)
		}
	}
	return p, nil
}

// Run takes a batch through the rules, in place; what the filter denies is
// counted for the exporter.
func (p *Pipeline) Run(b *flow.Batch, e *netflow.Exporter) {
	if p == nil {
		return
	}
	if p.tag != nil {
		for r := range b.All() {
			p.tag(r)
		}
	}
	if p.pass != nil {
		n := b.Len()
		b.Keep(p.pass)
		e.Dropped += uint32(n - b.Len())
	}
	if p.xlate != nil {
		for r := range b.All() {
			p.xlate(r)
		}
	}
}

// Reload reads the rules again, saying so. A set of rules that cannot be used is
// reported, and the ones in force stay.
func (r *Rules) Reload(env *cli.Env, l *flow.Layout, old *Pipeline) *Pipeline {
	for _, part := range []struct {
		rule Rule
		what string
	}{{r.Tag, "tags"}, {r.Filter, "filters"}, {r.Xlate, "translations"}} {
		if part.rule.Name != "" {
			env.Warn("Reloading %s.", part.what)
		}
	}
	p, err := r.Load(env, l)
	if err != nil {
		env.WarnError(err)
		env.Warn("the rules read before stay in force")
		return old
	}
	return p
}
