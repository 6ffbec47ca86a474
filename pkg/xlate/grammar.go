package xlate

import (
	"flowtools/internal/config"
	"flowtools/internal/sym"
	"flowtools/pkg/filter"
)

// Sections of xlate files.
const (
	inAction config.Section = 1 << iota
	inDefinition
)

var grammar = config.Grammar[loader]{
	{Name: "include-filter", Run: func(ld *loader, l *config.Line) { ld.filters.Directive(l) }},
	{Name: "xlate-action", Opens: inAction, Run: (*loader).action},
	{Name: "type", In: inAction, Run: (*loader).actionType},
	{Name: "mask", In: inAction, Run: (*loader).mask},
	{Name: "scale", In: inAction, Run: (*loader).scale},
	{Name: "as", In: inAction, Run: (*loader).as},
	{Name: "algorithm", In: inAction, Run: (*loader).algorithm},
	{Name: "key", In: inAction, Run: (*loader).key},
	{Name: "key-file", In: inAction, Run: (*loader).keyFile},
	{Name: "key-file-refresh", In: inAction, Run: (*loader).keyFileRefresh},
	{Name: "xlate-definition", Opens: inDefinition, Run: (*loader).definition},
	{Name: "term", In: inDefinition, Run: (*loader).newTerm},
	{Name: "filter", In: inDefinition, Run: (*loader).filter},
	{Name: "action", In: inDefinition, Run: (*loader).useAction},
	{Name: "stop", In: inDefinition, Run: (*loader).stop},
}

// loader is an xlate file as it is read.
type loader struct {
	file    *File
	opt     *Options
	filters config.Include[*filter.File]
	actions config.Names[action]
	act     *action
	def     *Definition
	term    *term // of def; nil before its first
}

func newLoader(path string, opt *Options) *loader {
	filters, _ := sym.Sysconf(opt.lookupEnv, "cfg/filter.cfg")
	return &loader{file: &File{path: path}, opt: opt, filters: config.NewInclude[*filter.File](filters)}
}

func (ld *loader) action(l *config.Line) {
	name, a := ld.actions.Define(l, "xlate-action")
	a.name = name
	a.crypto.pos = l.Pos
	ld.act = a
}

func (ld *loader) actionType(l *config.Line) {
	a := ld.act
	if a.typ != nil {
		l.Failf("The type of xlate-action %q is set already: %s.", a.name, a.typ.name)
		return
	}
	a.typ = config.Choose(l, "a type: "+typeNames(), typeNamed)
}

// takes reports whether the action's type has a sub-command, and fails the line
// otherwise.
func (ld *loader) takes(l *config.Line, sub subcommands) bool {
	switch t := ld.act.typ; {
	case t == nil:
		l.Failf("Must set type first. Expecting type.")
	case t.takes&sub == 0:
		l.Failf("Illegal keyword. Type %s does not take it.", t.name)
	default:
		return true
	}
	return false
}

// Compat: masks are numbers; a dotted one is the number before its first dot.
func (ld *loader) mask(l *config.Line) {
	if ld.takes(l, takesMask) {
		bits := ld.act.typ.bits
		ld.act.masks = [2]uint64{l.Uint("a source mask", bits), l.Uint("a destination mask", bits)}
	}
}

func (ld *loader) scale(l *config.Line) {
	if ld.takes(l, takesScale) {
		ld.act.factor = l.Dec("a factor", 32)
	}
}

func (ld *loader) as(l *config.Line) {
	if ld.takes(l, takesAS) {
		ld.act.as = l.Dec("an AS number", 16)
	}
}

func (ld *loader) algorithm(l *config.Line) {
	if ld.takes(l, takesKey) {
		l.OneOf("cryptopan-aes128")
		ld.act.crypto.algorithm = true
	}
}

func (ld *loader) key(l *config.Line) {
	if !ld.takes(l, takesKey) {
		return
	}
	key, err := parseKey(l.Word("a key"))
	if err != nil {
		l.Failf("%v", err)
	}
	ld.act.crypto.key = key
}

// keyFile reads the key at once. A file that cannot be used is a warning, but
// the key is then 0, which is an error in the end.
func (ld *loader) keyFile(l *config.Line) {
	if !ld.takes(l, takesKey) {
		return
	}
	path := l.Word("a file name")
	if l.Failed() {
		return
	}
	c := &ld.act.crypto
	c.keyFile = ld.opt.path(path)
	var err error
	if c.key, err = readKey(c.keyFile); err != nil {
		l.Warnf("%v", err)
	}
}

func (ld *loader) keyFileRefresh(l *config.Line) {
	if !ld.takes(l, takesKey) {
		return
	}
	c := &ld.act.crypto
	minutes := int64(int32(l.Dec("a number of minutes", 32)))
	if !l.Failed() && minutes <= 0 {
		l.Failf("Expecting a number of minutes above 0.")
		return
	}
	c.minutes, c.at = min(minutes, maxMinutes), nil
	if l.More() {
		at := l.Clock("a time of day H:M:S")
		if at < 0 || at >= 86400 {
			l.Failf("Expecting a time of day H:M:S.")
		}
		c.at = &at
	}
}

func (ld *loader) definition(l *config.Line) {
	name, d := ld.file.definitions.Define(l, "xlate-definition")
	d.name, d.opt = name, ld.opt
	ld.def, ld.term = d, nil
}

func (ld *loader) newTerm(*config.Line) {
	ld.term = new(term)
	ld.def.terms = append(ld.def.terms, ld.term)
}

// started reports whether the definition has a term, and fails the line
// otherwise.
func (ld *loader) started(l *config.Line) bool {
	if ld.term == nil {
		l.Failf("Must start term. Expecting term.")
	}
	return ld.term != nil
}

func (ld *loader) filter(l *config.Line) {
	if !ld.started(l) {
		return
	}
	if ld.term.filter != nil {
		l.Failf("The term has a filter already: %s.", ld.term.filter.Name())
		return
	}
	name := l.Word("the name of a filter-definition")
	file := ld.filters.Use(l, ld.loadFilters)
	if l.Failed() {
		return
	}
	d, err := file.Definition(name)
	if err != nil {
		l.Failf("Unexpected %q. Expecting the name of a filter-definition. (%v)", name, err)
		return
	}
	ld.term.filter = d
}

// loadFilters reads the filter file.
//
// Compat: @ is an ordinary character in it.
func (ld *loader) loadFilters(path string) (*filter.File, error) {
	return filter.Load(ld.opt.path(path), filter.Options{
		NoVars: true, LookupEnv: ld.opt.LookupEnv, Now: ld.opt.Now, Resolve: ld.opt.Resolve, Warn: ld.opt.Warn,
	})
}

func (ld *loader) useAction(l *config.Line) {
	if ld.started(l) {
		ld.term.refs = append(ld.term.refs, l.Ref("the name of an xlate-action"))
	}
}

func (ld *loader) stop(l *config.Line) {
	if ld.started(l) {
		ld.term.stop = true
	}
}

// resolve finds the actions of all terms and checks the keys of all actions.
func (ld *loader) resolve() error {
	for _, a := range ld.actions.All() {
		if a.typ != nil && a.typ.takes&takesKey != 0 {
			if err := a.crypto.check(a.name); err != nil {
				return err
			}
		}
	}
	for _, d := range ld.file.definitions.All() {
		for _, t := range d.terms {
			for _, ref := range t.refs {
				a, ok := ld.actions.Find(ref.Name)
				switch {
				case !ok:
					return ref.Errorf("Unexpected %q. Expecting the name of an xlate-action.", ref.Name)
				case a.typ == nil:
					return ref.Errorf("xlate-action %q has no type.", a.name)
				}
				t.actions = append(t.actions, a)
			}
		}
	}
	return nil
}
