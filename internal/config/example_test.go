package config_test

import (
	"fmt"

	"flowtools/internal/config"
)

// The grammar of a small file: lists of ports under a name, and definitions that
// refer to them. A new keyword is a new row.
var grammar = config.Grammar[loader]{
	{Name: "primitive", Opens: inPrimitive, Run: (*loader).primitive},
	{Name: "permit", In: inPrimitive, Run: (*loader).permit},
	{Name: "default", In: inPrimitive, Run: (*loader).fallback},
	{Name: "definition", Opens: inDefinition, Run: (*loader).definition},
	{Name: "match", In: inDefinition, Run: (*loader).match},
}

const (
	inPrimitive config.Section = 1 << iota
	inDefinition
)

// A loader is what the rows build: the name spaces, and the things being read.
type loader struct {
	primitives  config.Names[primitive]
	definitions config.Names[definition]
	prim        *primitive
	def         *definition
	symbols     config.Symbols
}

type primitive struct {
	ports []config.Span
	deny  int
}

type definition struct{ refs []config.Ref }

func (s *loader) primitive(l *config.Line)  { _, s.prim = s.primitives.Define(l, "primitive") }
func (s *loader) definition(l *config.Line) { _, s.def = s.definitions.Define(l, "definition") }

func (s *loader) permit(l *config.Line) {
	spans, _ := l.List("port list", 65535, s.symbols)
	s.prim.ports = append(s.prim.ports, spans...)
}

func (s *loader) fallback(l *config.Line) { s.prim.deny = l.OneOf("permit", "deny") }

func (s *loader) match(l *config.Line) {
	s.def.refs = append(s.def.refs, l.Ref("primitive name"))
}

// load reads a text and resolves what it refers to, which may come later in the
// file.
func load(text string) (*loader, error) {
	s := &loader{symbols: func(name string) (uint32, bool) { return 53, name == "domain" }}
	opt := config.Options{Vars: config.Vars{"EXTRA": "8080"}}
	if err := grammar.Parse("demo.cfg", []byte(text), opt, s); err != nil {
		return nil, err
	}
	for _, d := range s.definitions.All() {
		for _, r := range d.refs {
			if _, ok := s.primitives.Find(r.Name); !ok {
				return nil, r.Errorf("Unknown primitive %q.", r.Name)
			}
		}
	}
	return s, nil
}

func ExampleGrammar() {
	s, err := load(`
# ports of interest
definition d
  match Web
primitive web
  permit domain,80,443,8000-8010
  permit @EXTRA
  default deny
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	web, _ := s.primitives.Find("WEB")
	fmt.Println(web.ports, web.deny)

	for _, text := range []string{
		"primitive a\npermit 80 443",
		"primitive a\ndefault allow",
		"permit 80",
		"definition d\nmatch b",
		"primitive a\npermit smtp",
	} {
		_, err := load(text)
		fmt.Println(err)
	}
	// Output:
	// [{53 53} {80 80} {443 443} {8000 8010} {8080 8080}] 1
	// demo.cfg line 2: Unexpected "443". Expecting the end of the line.
	// demo.cfg line 2: Unexpected "allow". Expecting permit or deny.
	// demo.cfg line 1: Unexpected "permit". Expecting primitive, definition.
	// demo.cfg line 2: Unknown primitive "b".
	// demo.cfg line 2: Unknown symbol "smtp".
}
