package flowexpr

import (
	"bytes"
	"cmp"
	"math"
	"regexp"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker/nature"

	"flowtools/pkg/flow"
)

// fuser replaces names in the library's syntax tree by calls of closures that
// fetch the value from the record, and whole subtrees by one closure where they
// hold nothing but numbers, texts compared with constants, and logic over those.
// The machine calls a closure in two instructions and without allocation; by
// itself it allocates every number above 255 and every text.
//
// The library visits operands before their operator, so each visit only looks at
// what its operands became.
type fuser struct {
	state     *state
	functions map[string]function
	texts     map[string]string // constants that have no literal
	callees   map[ast.Node]string
	nodes     map[ast.Node]fused
	err       error
}

// fused is what a node became: exactly one of number, ratio, test and text is set.
type fused struct {
	number func() int
	ratio  func() float64
	test   func() bool
	text   *variable
	value  *int        // the constant that number is
	field  *flow.Field // the field that number is
	risky  bool        // it may panic, which only the machine makes an error of
}

// Visit implements ast.Visitor.
func (f *fuser) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		f.name(node, n.Value)
	case *ast.CallNode:
		f.call(node, n)
	case *ast.BuiltinNode:
		f.builtin(node, n)
	case *ast.UnaryNode:
		f.unary(node, n)
	case *ast.BinaryNode:
		f.binary(node, n)
	case *ast.ConditionalNode:
		f.conditional(node, n)
	}
}

// Reset and ShouldRepeat make the library visit the tree last of all: it checks
// the tree before each round of visitors, forgets the errors, and then trusts the
// types of the calls it has seen.
func (f *fuser) Reset() {}

// ShouldRepeat is documented with Reset.
func (f *fuser) ShouldRepeat() bool { return false }

// put makes node a call of what it became.
func (f *fuser) put(node *ast.Node, is fused) {
	var fn any
	switch {
	case is.number != nil:
		fn = is.number
	case is.ratio != nil:
		fn = is.ratio
	case is.test != nil:
		fn = is.test
	default:
		s, v := f.state, is.text
		fn = func() string {
			s.scratch = v.text(s, s.scratch[:0])
			return string(s.scratch)
		}
	}
	call := &ast.CallNode{Callee: &ast.ConstantNode{Value: fn}}
	ast.Patch(node, call)
	f.nodes[call] = is
}

// operand is what a node is as part of a larger one; ok is false for one that is
// left to the machine.
func (f *fuser) operand(n ast.Node) (is fused, ok bool) {
	switch n := n.(type) {
	case *ast.IntegerNode:
		v := n.Value
		return fused{number: func() int { return v }, value: &v}, true
	case *ast.FloatNode:
		v := n.Value
		return fused{ratio: func() float64 { return v }}, true
	case *ast.BoolNode:
		v := n.Value
		return fused{test: func() bool { return v }}, true
	}
	is, ok = f.nodes[n]
	return is, ok
}

// real is a number of either kind as a ratio, nil for none.
func (o fused) real() func() float64 {
	if number := o.number; number != nil {
		return func() float64 { return float64(number()) }
	}
	return o.ratio
}

// name replaces a name that is not a local one.
func (f *fuser) name(node *ast.Node, name string) {
	if fn, ok := f.functions[name]; ok {
		callee := &ast.ConstantNode{Value: fn.fn}
		ast.Patch(node, callee)
		f.callees[callee] = name
		return
	}
	if text, ok := f.texts[name]; ok {
		ast.Patch(node, &ast.StringNode{Value: text})
		return
	}
	if c, ok := constants()[name]; ok {
		ast.Patch(node, &ast.IntegerNode{Value: c})
		return
	}
	v := variableNamed(name)
	if v == nil {
		return
	}
	s := f.state
	switch {
	case v.text != nil:
		f.put(node, fused{text: v})
	case v.ratio != nil:
		ratio := v.ratio
		f.put(node, fused{ratio: func() float64 { return ratio(s.layout, s.rec) }})
	case v.plain():
		field := v.field
		f.put(node, fused{number: func() int { return int(s.layout.Uint(s.rec, field)) }, field: &field})
	default:
		number := v.number
		f.put(node, fused{number: func() int { return int(number(s.layout, s.rec)) }})
	}
}

// call fuses calls of our functions on numbers and truth values.
func (f *fuser) call(node *ast.Node, n *ast.CallNode) {
	// The checker trusts the type it found before the callee was replaced, and
	// would not look at the arguments again.
	n.SetNature(nature.Nature{})
	callee, ok := n.Callee.(*ast.ConstantNode)
	if !ok {
		return
	}
	name := f.callees[callee]
	risky := !f.functions[name].pure
	args := make([]fused, len(n.Arguments))
	switch name {
	case "within":
		f.within(node, n)
		return
	case "print":
		f.print(node, n)
		return
	}
	for i, a := range n.Arguments {
		if args[i], ok = f.operand(a); !ok {
			return
		}
		risky = risky || args[i].risky
	}
	switch {
	case name == "truth" && len(args) == 1 && args[0].text != nil:
		f.testText(node, args[0].text, func(b []byte) bool { return len(b) > 1 || len(b) == 1 && b[0] != '0' })
		return
	}
	var is fused
	switch fn := callee.Value.(type) {
	case func() int:
		is.number = fn
	case func() float64:
		is.ratio = fn
	case func() bool:
		is.test = fn
	case func(int) bool:
		if x := argument(args).number; x != nil {
			is.test = func() bool { return fn(x()) }
		}
	case func(int) int:
		if x := argument(args).number; x != nil {
			is.number = func() int { return fn(x()) }
		}
	case func(int) float64:
		if x := argument(args).number; x != nil {
			is.ratio = func() float64 { return fn(x()) }
		}
	case func(float64) float64:
		if x := argument(args).real(); x != nil {
			is.ratio = func() float64 { return fn(x()) }
		}
	case func(float64) int:
		if x := argument(args).real(); x != nil {
			is.number = func() int { return fn(x()) }
		}
	case func(bool) bool:
		if x := argument(args).test; x != nil {
			is.test = func() bool { return fn(x()) }
		}
	case func(int, int) int:
		if len(args) == 2 && args[0].number != nil && args[1].number != nil {
			x, y := args[0].number, args[1].number
			is.number = func() int { return fn(x(), y()) }
		}
	}
	if is.number != nil || is.ratio != nil || is.test != nil {
		is.risky = risky
		f.put(node, is)
	}
}

// print fuses print of a constant or of a variable's text.
func (f *fuser) print(node *ast.Node, n *ast.CallNode) {
	if len(n.Arguments) != 1 {
		return
	}
	s := f.state
	if c, ok := n.Arguments[0].(*ast.StringNode); ok {
		text := []byte(c.Value)
		f.put(node, fused{test: func() bool { return s.write(text) }, risky: true})
		return
	}
	if a, _ := f.operand(n.Arguments[0]); a.text != nil {
		v := a.text
		f.put(node, fused{test: func() bool {
			s.scratch = v.text(s, s.scratch[:0])
			return s.write(s.scratch)
		}, risky: true})
	}
}

// argument is the only one.
func argument(args []fused) fused {
	if len(args) != 1 {
		return fused{}
	}
	return args[0]
}

var masks = map[string]func(a, b int) int{
	"bitand": func(a, b int) int { return a & b },
	"bitor":  func(a, b int) int { return a | b },
	"bitxor": func(a, b int) int { return a ^ b },
}

// builtin fuses the library's functions on bits.
func (f *fuser) builtin(node *ast.Node, n *ast.BuiltinNode) {
	if n.Name == "bitnot" && len(n.Arguments) == 1 {
		if a, ok := f.operand(n.Arguments[0]); ok && a.number != nil {
			x := a.number
			f.put(node, fused{number: func() int { return ^x() }, risky: a.risky})
		}
		return
	}
	mask, ok := masks[n.Name]
	if !ok || len(n.Arguments) != 2 {
		return
	}
	a, _ := f.operand(n.Arguments[0])
	b, _ := f.operand(n.Arguments[1])
	if a.number == nil || b.number == nil {
		return
	}
	x, y := a.number, b.number
	is := fused{number: func() int { return mask(x(), y()) }, risky: a.risky || b.risky}
	if n.Name == "bitand" && a.field != nil && b.value != nil { // a test of flags, an address in a prefix
		s, field, bits := f.state, *a.field, *b.value
		is.number = func() int { return int(s.layout.Uint(s.rec, field)) & bits }
	}
	f.put(node, is)
}

func (f *fuser) unary(node *ast.Node, n *ast.UnaryNode) {
	a, ok := f.operand(n.Node)
	if !ok {
		return
	}
	is := fused{risky: a.risky}
	switch {
	case (n.Operator == "!" || n.Operator == "not") && a.test != nil:
		x := a.test
		is.test = func() bool { return !x() }
	case n.Operator == "-" && a.value != nil:
		ast.Patch(node, &ast.IntegerNode{Value: -*a.value})
		return
	case n.Operator == "-" && a.number != nil:
		x := a.number
		is.number = func() int { return -x() }
	case n.Operator == "-" && a.ratio != nil:
		x := a.ratio
		is.ratio = func() float64 { return -x() }
	default:
		return
	}
	f.put(node, is)
}

func (f *fuser) binary(node *ast.Node, n *ast.BinaryNode) {
	a, aok := f.operand(n.Left)
	b, bok := f.operand(n.Right)
	switch {
	case aok && a.text != nil:
		f.compareText(node, n.Operator, a.text, n.Right)
	case bok && b.text != nil && (n.Operator == "==" || n.Operator == "!="):
		f.compareText(node, n.Operator, b.text, n.Left)
	case aok && n.Operator == "in":
		f.member(node, a, n.Right)
	case !aok || !bok:
	case a.test != nil && b.test != nil:
		f.logic(node, n.Operator, a, b)
	case a.number != nil && b.number != nil:
		f.integers(node, n.Operator, a, b)
	default:
		if x, y := a.real(), b.real(); x != nil && y != nil {
			f.reals(node, n.Operator, x, y, a.risky || b.risky)
		}
	}
}

func (f *fuser) conditional(node *ast.Node, n *ast.ConditionalNode) {
	cond, ok := f.operand(n.Cond)
	a, aok := f.operand(n.Exp1)
	b, bok := f.operand(n.Exp2)
	if !ok || cond.test == nil || !aok || !bok {
		return
	}
	test := cond.test
	is := fused{risky: cond.risky || a.risky || b.risky}
	switch {
	case a.test != nil && b.test != nil:
		is.test = choose(test, a.test, b.test)
	case a.number != nil && b.number != nil:
		is.number = choose(test, a.number, b.number)
	case a.ratio != nil && b.ratio != nil:
		is.ratio = choose(test, a.ratio, b.ratio)
	default:
		return
	}
	f.put(node, is)
}

func choose[T any](test func() bool, yes, no func() T) func() T {
	return func() T {
		if test() {
			return yes()
		}
		return no()
	}
}

func (f *fuser) logic(node *ast.Node, op string, a, b fused) {
	x, y := a.test, b.test
	is := fused{risky: a.risky || b.risky}
	switch op {
	case "&&", "and":
		is.test = func() bool { return x() && y() }
	case "||", "or":
		is.test = func() bool { return x() || y() }
	case "==":
		is.test = func() bool { return x() == y() }
	case "!=":
		is.test = func() bool { return x() != y() }
	default:
		return
	}
	f.put(node, is)
}

// integers fuses an operator on two integers, as the library defines it.
func (f *fuser) integers(node *ast.Node, op string, a, b fused) {
	x, y := a.number, b.number
	is := fused{risky: a.risky || b.risky}
	switch op {
	case "+":
		is.number = func() int { return x() + y() }
	case "-":
		is.number = func() int { return x() - y() }
	case "*":
		is.number = func() int { return x() * y() }
	case "/", "**", "^":
		f.reals(node, op, a.real(), b.real(), is.risky)
		return
	default:
		switch {
		case b.value != nil:
			is.test = f.compareConstant(op, a, *b.value)
		case a.value != nil:
			is.test = f.compareConstant(mirrored(op), b, *a.value)
		default:
			is.test = compare(op, x, y)
		}
		if is.test == nil {
			return
		}
	}
	f.put(node, is)
}

// mirrored is the operator with its sides exchanged.
func mirrored(op string) string {
	switch op {
	case "<":
		return ">"
	case "<=":
		return ">="
	case ">":
		return "<"
	case ">=":
		return "<="
	}
	return op
}

// compareConstant is what most expressions consist of.
func (f *fuser) compareConstant(op string, a fused, c int) func() bool {
	s, x := f.state, a.number
	if a.field != nil {
		field := *a.field
		switch op {
		case "==":
			return func() bool { return int(s.layout.Uint(s.rec, field)) == c }
		case "!=":
			return func() bool { return int(s.layout.Uint(s.rec, field)) != c }
		case ">":
			return func() bool { return int(s.layout.Uint(s.rec, field)) > c }
		case "<":
			return func() bool { return int(s.layout.Uint(s.rec, field)) < c }
		}
	}
	switch op {
	case "==":
		return func() bool { return x() == c }
	case "!=":
		return func() bool { return x() != c }
	}
	return compare(op, x, func() int { return c })
}

// compare returns the comparison of two values, nil for another operator.
func compare[T cmp.Ordered](op string, x, y func() T) func() bool {
	switch op {
	case "==":
		return func() bool { return x() == y() }
	case "!=":
		return func() bool { return x() != y() }
	case "<":
		return func() bool { return x() < y() }
	case "<=":
		return func() bool { return x() <= y() }
	case ">":
		return func() bool { return x() > y() }
	case ">=":
		return func() bool { return x() >= y() }
	}
	return nil
}

// reals fuses an operator of which a side at least is not an integer.
func (f *fuser) reals(node *ast.Node, op string, x, y func() float64, risky bool) {
	is := fused{risky: risky}
	switch op {
	case "+":
		is.ratio = func() float64 { return x() + y() }
	case "-":
		is.ratio = func() float64 { return x() - y() }
	case "*":
		is.ratio = func() float64 { return x() * y() }
	case "/":
		is.ratio = func() float64 { return x() / y() }
	case "**", "^":
		is.ratio = func() float64 { return math.Pow(x(), y()) }
	default:
		if is.test = compare(op, x, y); is.test == nil {
			return
		}
	}
	f.put(node, is)
}

// testText fuses a question about the text of a variable.
func (f *fuser) testText(node *ast.Node, v *variable, ask func([]byte) bool) {
	s := f.state
	f.put(node, fused{test: func() bool {
		s.scratch = v.text(s, s.scratch[:0])
		return ask(s.scratch)
	}})
}

// testAddr fuses a question about the address that a variable spells.
func (f *fuser) testAddr(node *ast.Node, v *variable, ask func(uint32) bool) {
	s, field := f.state, v.field
	f.put(node, fused{test: func() bool { return ask(uint32(s.layout.Uint(s.rec, field))) }})
}

// compareText fuses an operator on a variable's text and a constant.
func (f *fuser) compareText(node *ast.Node, op string, v *variable, other ast.Node) {
	if op == "in" {
		f.memberText(node, v, other)
		return
	}
	constant, ok := other.(*ast.StringNode)
	if !ok {
		return
	}
	c := constant.Value
	if addr, ok := parseQuad(c); ok && v.address && (op == "==" || op == "!=") {
		equal := op == "=="
		f.testAddr(node, v, func(a uint32) bool { return (a == addr) == equal })
		return
	}
	var ask func([]byte) bool
	switch op {
	case "==":
		ask = func(b []byte) bool { return string(b) == c }
	case "!=":
		ask = func(b []byte) bool { return string(b) != c }
	case "<":
		ask = func(b []byte) bool { return string(b) < c }
	case "<=":
		ask = func(b []byte) bool { return string(b) <= c }
	case ">":
		ask = func(b []byte) bool { return string(b) > c }
	case ">=":
		ask = func(b []byte) bool { return string(b) >= c }
	case "contains":
		ask = func(b []byte) bool { return bytes.Contains(b, []byte(c)) }
	case "startsWith":
		ask = func(b []byte) bool { return len(b) >= len(c) && string(b[:len(c)]) == c }
	case "endsWith":
		ask = func(b []byte) bool { return len(b) >= len(c) && string(b[len(b)-len(c):]) == c }
	case "matches":
		re, err := regexp.Compile(c)
		if err != nil {
			return // the library says so
		}
		ask = re.Match
	default:
		return
	}
	f.testText(node, v, ask)
}

// member fuses a number in a list or a range of constants.
func (f *fuser) member(node *ast.Node, a fused, list ast.Node) {
	if a.number == nil {
		return
	}
	x := a.number
	is := fused{risky: a.risky}
	switch n := list.(type) {
	case *ast.BinaryNode:
		low, ok := n.Left.(*ast.IntegerNode)
		high, ok2 := n.Right.(*ast.IntegerNode)
		if n.Operator != ".." || !ok || !ok2 {
			return
		}
		from, to := low.Value, high.Value
		is.test = func() bool { v := x(); return from <= v && v <= to }
	case *ast.ArrayNode:
		set := make(map[int]struct{}, len(n.Nodes))
		for _, e := range n.Nodes {
			c, ok := e.(*ast.IntegerNode)
			if !ok {
				return
			}
			set[c.Value] = struct{}{}
		}
		is.test = func() bool { _, ok := set[x()]; return ok }
	default:
		return
	}
	f.put(node, is)
}

// memberText fuses a text in a list of constants.
func (f *fuser) memberText(node *ast.Node, v *variable, list ast.Node) {
	n, ok := list.(*ast.ArrayNode)
	if !ok {
		return
	}
	set := make(map[string]struct{}, len(n.Nodes))
	addrs := make(map[uint32]struct{}, len(n.Nodes))
	for _, e := range n.Nodes {
		c, ok := e.(*ast.StringNode)
		if !ok {
			return
		}
		set[c.Value] = struct{}{}
		if a, ok := parseQuad(c.Value); ok {
			addrs[a] = struct{}{}
		}
	}
	if v.address { // a text that is no address is in no flow
		f.testAddr(node, v, func(a uint32) bool { _, ok := addrs[a]; return ok })
		return
	}
	f.testText(node, v, func(b []byte) bool { _, ok := set[string(b)]; return ok })
}

// within fuses within(variable, constant).
func (f *fuser) within(node *ast.Node, n *ast.CallNode) {
	if len(n.Arguments) != 2 {
		return
	}
	a, _ := f.operand(n.Arguments[0])
	c, ok := n.Arguments[1].(*ast.StringNode)
	if a.text == nil || !a.text.address || !ok {
		return
	}
	p, err := parsePrefix(c.Value)
	if err != nil {
		f.err = err
		return
	}
	mask := uint32(0)
	if p.Bits() > 0 {
		mask = ^uint32(0) << (32 - p.Bits())
	}
	net := quad(p.Addr()) & mask
	f.testAddr(node, a.text, func(addr uint32) bool { return addr&mask == net })
}
