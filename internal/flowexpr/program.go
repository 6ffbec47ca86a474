package flowexpr

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"flowtools/internal/cdate"
	"flowtools/internal/dumper"
	"flowtools/pkg/flow"
)

// Limits on an expression: octets of its text, nodes of its tree, and what the
// library counts as memory in one evaluation.
const (
	maxText   = 16 << 10
	maxNodes  = 20_000
	maxMemory = 1 << 20
)

// Source are the expressions of a run; empty ones are not there.
type Source struct {
	Init string // evaluated before the first flow
	Each string // evaluated for every flow: the flow matches when it is true
	Last string // evaluated after the last flow
}

// Options are what expressions see besides the flow.
type Options struct {
	Zone   *cdate.Zone // of localtime; nil: UTC
	Stdout io.Writer   // of print
	Stderr io.Writer   // of print STDERR
}

// Program is a compiled Source. It is not safe for concurrent use.
type Program struct {
	state            *state
	init, each, last code
	sets             bool
}

// code is a compiled expression.
type code struct {
	what    string // what messages call it: "-e"
	text    string // in expr-lang; "" if there is none
	program *vm.Program
	machine vm.VM
	test    func() bool // in place of the program, if not nil
}

// Compile compiles the expressions of src. Errors name the option and the place
// or the construct.
func Compile(src Source, o Options) (*Program, error) {
	layout, err := flow.LayoutOf(flow.Version{Export: 5})
	if err != nil {
		return nil, err
	}
	if o.Zone == nil {
		o.Zone = cdate.UTC()
	}
	s := &state{layout: layout, zone: o.Zone, clock: dumper.NewClock(o.Zone), stdout: o.Stdout, stderr: o.Stderr}
	s.rec = make(flow.Record, layout.Size)
	p := &Program{state: s, init: code{what: "-I"}, each: code{what: "-e"}, last: code{what: "-E"}}
	u := &unit{state: s, functions: s.functions(), texts: make(map[string]string)}

	var perl []*script
	for _, e := range []struct {
		code *code
		text string
	}{{&p.init, src.Init}, {&p.each, src.Each}, {&p.last, src.Last}} {
		switch {
		case len(e.text) > maxText:
			return nil, fmt.Errorf("%s: expression of more than %d octets", e.code.what, maxText)
		case isPerl(e.text):
			perl = append(perl, &script{code: e.code, perl: e.text})
		case strings.TrimSpace(e.text) != "":
			e.code.text = e.text
		}
	}
	if err := u.translate(perl); err != nil {
		return nil, err
	}
	p.sets = u.sets
	for _, c := range []*code{&p.init, &p.each, &p.last} {
		if err := u.compile(c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.what, err)
		}
	}
	return p, nil
}

// Translation returns what the expressions are in expr-lang, a line each.
func (p *Program) Translation() string {
	var b strings.Builder
	for _, c := range []*code{&p.init, &p.each, &p.last} {
		if c.text != "" {
			fmt.Fprintf(&b, "%s: %s\n", c.what, c.text)
		}
	}
	return b.String()
}

// Sets reports whether an expression assigns to fields of the flow: Match then
// changes the record.
func (p *Program) Sets() bool { return p.sets }

// Begin evaluates the expression for before the first flow. An error is an
// [*Exit] when the expression says so.
func (p *Program) Begin() error {
	_, err := p.init.eval()
	return err
}

// Use makes l the layout of the records for Match.
func (p *Program) Use(l *flow.Layout) { p.state.layout = l }

// Match evaluates the expression for a flow and reports whether it is true; it
// is when there is no expression. Errors are as with Begin.
func (p *Program) Match(r flow.Record) (bool, error) {
	p.state.rec = r
	if p.each.test != nil {
		return p.each.test(), nil
	}
	return p.each.eval()
}

// End evaluates the expression for after the last flow. Flow variables have no
// value there, as in Begin. Errors are as with Begin.
func (p *Program) End() error {
	p.state.rec = make(flow.Record, p.state.layout.Size)
	_, err := p.last.eval()
	return err
}

// noEnv is what programs run with: fields and functions are compiled in. The
// machine looks there for the name of a function that is not called, and finds
// nothing.
var noEnv any = map[string]any(nil)

func (c *code) eval() (bool, error) {
	if c.test != nil {
		return c.test(), nil
	}
	if c.program == nil {
		return true, nil
	}
	v, err := c.machine.Run(c.program, noEnv)
	if err != nil {
		var exit *Exit
		if errors.As(err, &exit) {
			return false, exit
		}
		return false, fmt.Errorf("%s: %w", c.what, place(err))
	}
	switch v := v.(type) {
	case bool:
		return v, nil
	case int:
		return v != 0, nil
	case float64:
		return v != 0, nil
	case string:
		return truth(v), nil
	case nil:
		return false, nil
	}
	return false, fmt.Errorf("%s: the result is a %T, neither true nor false", c.what, v)
}

// place rewrites an error of the library in one line.
func place(err error) error {
	var e *file.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Prev != nil {
		return e.Prev
	}
	if e.Line > 1 {
		return fmt.Errorf("line %d column %d: %s", e.Line, e.Column+1, e.Message)
	}
	return fmt.Errorf("column %d: %s", e.Column+1, e.Message)
}

// unit is the compilation of one Source.
type unit struct {
	state     *state
	functions map[string]function
	texts     map[string]string
	sets      bool
}

// env declares the names there are.
func (u *unit) env() map[string]any {
	env := make(map[string]any)
	for i := range variables {
		v := &variables[i]
		switch {
		case v.text != nil:
			env[v.name] = ""
		case v.ratio != nil:
			env[v.name] = 0.0
		default:
			env[v.name] = 0
		}
	}
	for name, c := range constants() {
		env[name] = c
	}
	for name := range u.texts {
		env[name] = ""
	}
	for name, f := range u.functions {
		env[name] = f.fn
	}
	return env
}

// compile makes a program of c.text.
func (u *unit) compile(c *code) error {
	if c.text == "" {
		return nil
	}
	f := &fuser{state: u.state, functions: u.functions, texts: u.texts, callees: make(map[ast.Node]string), nodes: make(map[ast.Node]fused)}
	program, err := expr.Compile(c.text, expr.Env(u.env()), expr.MaxNodes(maxNodes), expr.Patch(f),
		expr.DisableBuiltin("now")) // time does not come from the run's environment there
	if err == nil {
		err = f.err
	}
	if err != nil {
		return place(err)
	}
	root := program.Node()
	switch t := root.Type(); t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Float64, reflect.String, reflect.Interface:
	default:
		return fmt.Errorf("the result is %v, neither true nor false", t)
	}
	c.program = program
	c.machine.MemoryBudget = maxMemory
	if is, ok := f.nodes[root]; ok && is.test != nil && !is.risky {
		c.test = is.test
	}
	return nil
}
