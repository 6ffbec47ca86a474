package flowexpr

import (
	"strconv"

	"flowtools/internal/suggest"
)

const (
	maxExact  = 1 << 62 // integers of scalars stay below
	maxString = 1 << 20 // texts of scalars, octets
)

// scalar is a variable of the user's.
type scalar struct {
	name   string
	kind   kind
	set    bool // something is assigned to it
	number int
	ratio  float64
	truth  bool
	text   string
}

// variable is one of the flow's, a named number, or one of the user's.
func (t *translator) variable(n *node) value {
	if c, ok := constants()[n.text]; ok {
		v := constant(integer, c)
		v.src = n.text
		return v
	}
	if v := variableNamed(n.text); v != nil {
		switch {
		case v.text != nil:
			return textValue(v.name)
		case v.ratio != nil:
			return realValue(v.name)
		}
		is := integerValue(v.name, 0, float64(v.limit()))
		is.guard = v.guard()
		return is
	}
	s := t.scalar(n)
	if !s.set {
		t.fail(n, "%s", unknown(n.text))
	}
	src := "get_" + s.name + "()"
	switch s.kind {
	case boolean:
		return boolValue(src)
	case real:
		return realValue(src)
	case text:
		return textValue(src)
	case none:
		return value{kind: none, src: src}
	}
	return integerValue(src, -maxExact, maxExact)
}

// unknown is the message for a variable that there is not.
func unknown(name string) string {
	switch name {
	case "raw", "reraw":
		return "the flow as a record, $" + name + ", is not available here: write records with -r or -R"
	case "a", "b":
		return "$" + name + " is assigned nowhere"
	}
	nearest := suggest.Nearest(name, func(yield func(string) bool) {
		for i := range variables {
			if !yield(variables[i].name) {
				return
			}
		}
	})
	if nearest != "" {
		return "there is no variable $" + name + "; did you mean $" + nearest + "?"
	}
	return "there is no variable $" + name + ", and nothing is assigned to it"
}

// scalar finds or makes a variable of the user's.
func (t *translator) scalar(n *node) *scalar {
	if s := t.scalars[n.text]; s != nil {
		return s
	}
	s := &scalar{name: n.text}
	if len(t.scalars) == maxScalars {
		t.fail(n, "more than %d variables", maxScalars)
		return s
	}
	t.scalars[n.text] = s
	return s
}

// grow says how large a scalar may become: what Perl would go on with as a real
// must not wrap round.
type grow struct{ name string }

func (g grow) Error() string { return "$" + g.name + " is beyond 2**62, or longer than a megabyte" }

// functions makes the pair that reads and writes the scalar.
func (s *scalar) functions(to map[string]function) {
	var get, set any
	switch s.kind {
	case boolean:
		get = func() bool { return s.truth }
		set = func(v bool) bool { s.truth = v; return v }
	case real:
		get = func() float64 { return s.ratio }
		set = func(v float64) float64 { s.ratio = v; return v }
	case text:
		get = func() string { return s.text }
		set = func(v string) string {
			if len(v) > maxString {
				panic(grow{s.name})
			}
			s.text = v
			return v
		}
	default:
		get = func() int { return s.number }
		set = func(v int) int {
			if v > maxExact || v < -maxExact {
				panic(grow{s.name})
			}
			s.number = v
			return v
		}
	}
	to["get_"+s.name] = function{fn: get, pure: true}
	to["set_"+s.name] = function{fn: set, pure: s.kind == boolean || s.kind == real}
}

// assign sets a variable to what from translates.
func (t *translator) assign(n, to *node, from func() value) value {
	if _, ok := constants()[to.text]; ok {
		t.fail(to, "$%s is a constant", to.text)
		return constant(integer, 0)
	}
	if v := variableNamed(to.text); v != nil {
		return t.assignField(n, to, v, from())
	}
	s := t.scalar(to)
	s.set = true
	v := from()
	k := v.kind
	if k == wide {
		k = real
	}
	if s.kind = join(s.kind, k); s.kind == mixed {
		t.fail(n, "$%s is assigned both strings and numbers", s.name)
	}
	s.functions(t.unit.functions)
	set := func(src string) string { return "set_" + s.name + "(" + src + ")" }
	switch s.kind {
	case boolean:
		return boolValue(set(t.asTruth(v)))
	case real:
		return realValue(set(asReal(asNumber(v))))
	case text:
		return textValue(set(v.src))
	}
	return integerValue(set(asNumber(v).src), -maxExact, maxExact)
}

// assignField sets a field of the record.
func (t *translator) assignField(n, to *node, v *variable, from value) value {
	if !v.plain() || to.op == opMy {
		t.fail(to, "$%s cannot be assigned to: it is made of other variables", v.name)
		return constant(integer, 0)
	}
	switch from.kind {
	case text:
		from = t.numeral(n, from)
	case wide:
	default:
		from = asNumber(from)
	}
	t.unit.sets = true
	s, field := t.unit.state, v.field
	t.unit.functions["set_"+v.name] = function{pure: true, fn: func(x int) int {
		s.layout.PutUint(s.rec, field, uint64(x))
		return int(s.layout.Uint(s.rec, field))
	}}
	return integerValue("set_"+v.name+"("+asInteger(from).src+")", 0, float64(v.limit()))
}

// reset is a declaration without a value: the variable becomes empty.
func (t *translator) reset(n *node) value {
	if variableNamed(n.text) != nil {
		t.fail(n, "$%s is a variable of the flow", n.text)
		return constant(integer, 0)
	}
	empty := constant(integer, 0)
	switch s := t.scalar(n); s.kind {
	case text:
		empty = t.quote("")
	case boolean:
		empty = boolValue("false")
	case none:
		s.set = true
		return empty
	}
	return t.assign(n, n, func() value { return empty })
}

// step is ++ and --.
func (t *translator) step(n *node) value {
	op, back := "+", "-"
	if n.op == opPreDec || n.op == opDec {
		op, back = back, op
	}
	one := &node{op: opNumber, pos: n.pos, num: literal{bits: 1, kind: integer}}
	target := n.args[0]
	if variableNamed(target.text) == nil {
		s := t.scalar(target)
		if s.kind == text {
			t.fail(n, "Perl's ++ of a string is not available here: $%s", s.name)
			return constant(integer, 0)
		}
		if s.kind == boolean { // it becomes a number
			s.kind = integer
		}
		s.set = true
	}
	after := t.assign(n, target, func() value { return t.operate(n, op, target, one) })
	if n.op == opPreInc || n.op == opPreDec {
		return after
	}
	if variableNamed(target.text) != nil {
		// A field wraps round: what it was cannot be told from what it is.
		name := t.local()
		return integerValue("(let "+name+" = "+target.text+"; "+after.src+"; "+name+")", after.lo, after.hi)
	}
	after.src = "(" + after.src + " " + back + " 1)"
	return after
}

// local is a fresh name.
func (t *translator) local() string {
	t.locals++
	return "t" + strconv.Itoa(t.locals)
}
