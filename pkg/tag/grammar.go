package tag

import (
	"strings"

	"flowtools/internal/config"
)

// Sections of tag files.
const (
	inAction config.Section = 1 << iota
	inDefinition
)

var grammar = config.Grammar[loader]{
	{Name: "tag-action", Opens: inAction, Run: (*loader).action},
	{Name: "type", In: inAction, Run: (*loader).actionType},
	{Name: "match", In: inAction, Run: (*loader).match},
	{Name: "tag-definition", Opens: inDefinition, Run: (*loader).definition},
	{Name: "term", In: inDefinition, Run: (*loader).newTerm},
	{Name: "input-filter", In: inDefinition, Run: func(ld *loader, l *config.Line) { ld.interfaces(l, "input-filter", true) }},
	{Name: "output-filter", In: inDefinition, Run: func(ld *loader, l *config.Line) { ld.interfaces(l, "output-filter", false) }},
	{Name: "exporter", In: inDefinition, Run: (*loader).exporter},
	{Name: "action", In: inDefinition, Run: (*loader).useAction},
}

// loader is a tag file as it is read.
type loader struct {
	file    *File
	actions config.Names[action]
	act     *action
	def     *Definition

	// term is the last one read.
	//
	// Compat: a new definition does not end it; lines before the definition's first
	// term still belong to it (goldens flow-tag, def-carried, def-no-term-here).
	term  *term
	terms []*term // of all definitions
}

func (ld *loader) action(l *config.Line) {
	name, a := ld.actions.Define(l, "tag-action")
	a.name = name
	ld.act = a
}

func (ld *loader) actionType(l *config.Line) {
	a := ld.act
	if a.typ != nil {
		l.Failf("The type of tag-action %q is set already: %s.", a.name, a.typ.names[0])
		return
	}
	if t := config.Choose(l, "a type: "+typeNames(), typeNamed); t != nil {
		a.typ, a.keys = t, t.keys()
	}
}

func typeNames() string {
	var names []string
	for i := range actionTypes {
		names = append(names, actionTypes[i].names[0])
	}
	return strings.Join(names, ", ")
}

// operations are the words behind the value of a match line.
var operations = []struct {
	names []string
	dst   bool
	or    bool
}{
	{names: []string{"set-src", "set-source"}},
	{names: []string{"set-dst", "set-destination"}, dst: true},
	{names: []string{"or-src", "or-source"}, or: true},
	{names: []string{"or-dst", "or-destination"}, dst: true, or: true},
}

func (ld *loader) match(l *config.Line) {
	if ld.act.typ == nil {
		l.Failf("Must set type first. Expecting type.")
		return
	}
	e := ld.act.keys.entry(l)
	op := config.Choose(l, "set-src, set-dst, or-src or or-dst", func(word string) (int, bool) {
		for i := range operations {
			for _, name := range operations[i].names {
				if name == word {
					return i, true
				}
			}
		}
		return 0, false
	})
	value := uint32(l.Uint("a tag", 32))
	if l.Failed() {
		return
	}
	c := &e.src
	if operations[op].dst {
		c = &e.dst
	}
	if !c.add(operations[op].or, value) {
		l.Failf("Only one set per source/destination per match. Expecting one set or several ors for a value and tag.")
	}
}

func (ld *loader) definition(l *config.Line) {
	name, d := ld.file.definitions.Define(l, "tag-definition")
	d.name = name
	ld.def = d
}

func (ld *loader) newTerm(*config.Line) {
	ld.term = new(term)
	ld.terms = append(ld.terms, ld.term)
	ld.def.terms = append(ld.def.terms, ld.term)
}

// started reports whether there is a term, and fails the line otherwise.
func (ld *loader) started(l *config.Line) bool {
	if ld.term == nil {
		l.Failf("Must start term. Expecting term.")
	}
	return ld.term != nil
}

func (ld *loader) interfaces(l *config.Line, keyword string, input bool) {
	if !ld.started(l) {
		return
	}
	p := &ld.term.output
	if input {
		p = &ld.term.input
	}
	if *p != nil {
		l.Failf("The term has an %s already.", keyword)
		return
	}
	*p = l.Set("a list of interfaces", 1<<16)
}

func (ld *loader) exporter(l *config.Line) {
	if !ld.started(l) {
		return
	}
	if ld.term.exporter != nil {
		l.Failf("The term has an exporter already.")
		return
	}
	addr := l.IPv4("an address")
	ld.term.exporter = &addr
}

func (ld *loader) useAction(l *config.Line) {
	if ld.started(l) {
		ld.term.refs = append(ld.term.refs, l.Ref("the name of a tag-action"))
	}
}

// resolve finds the actions of all terms.
func (ld *loader) resolve() error {
	for _, t := range ld.terms {
		for _, ref := range t.refs {
			a, ok := ld.actions.Find(ref.Name)
			switch {
			case !ok:
				return ref.Errorf("Unexpected %q. Expecting the name of a tag-action.", ref.Name)
			case a.typ == nil:
				return ref.Errorf("tag-action %q has no type.", a.name)
			}
			t.actions = append(t.actions, a)
		}
	}
	return nil
}
