package flowexpr

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is the type of a value. Perl finds it out when it runs; we have to know
// before.
type kind uint8

const (
	none    kind = iota // of a scalar that nothing has been assigned to
	boolean             // what comparisons give
	integer             // 64 bits with sign
	wide                // 64 bits without, held in an int
	real
	text
	mixed // of a scalar that is assigned texts and numbers
)

func (k kind) number() bool { return k == boolean || k == integer || k == wide || k == real }

// join is the kind of a scalar that is assigned values of both kinds.
func join(a, b kind) kind {
	switch {
	case a == none || a == b:
		return b
	case b == none:
		return a
	case a.number() && b.number():
		if a == real || b == real || a == wide || b == wide {
			return real
		}
		return integer
	}
	return mixed
}

// value is an expression in expr-lang with what is known of it.
type value struct {
	src    string
	kind   kind
	lo, hi float64 // bounds of an integer
	konst  *int    // constant of an integer or wide
	lit    *string // constant of a text
	bits   bool    // a wide that operators on bits made
	guard  string  // when a number is defined, "" for always: undefined is 0, but as a text empty
}

// script is one of the expressions.
type script struct {
	code *code
	perl string
	tree []*node
}

// translator writes Perl in expr-lang.
type translator struct {
	unit    *unit
	scalars map[string]*scalar
	script  *script
	err     error
	locals  int
}

// translate turns the scripts into the texts of their codes.
func (u *unit) translate(scripts []*script) error {
	t := &translator{unit: u, scalars: make(map[string]*scalar)}
	for _, s := range scripts {
		var err error
		if s.tree, err = parse(s.perl); err != nil {
			return fmt.Errorf("%s: %w", s.code.what, err)
		}
		if len(s.tree) == 0 && s.code.what == "-e" { // nothing but comments
			return errors.New("-e: the expression is empty")
		}
	}
	// The kinds of scalars depend on each other: translate until they stay. Every
	// round makes one of them wider at least, which each can be a few times.
	for range 4*maxScalars + 2 {
		before := t.kinds()
		t.err = nil
		for _, s := range scripts {
			t.write(s)
		}
		if t.kinds() == before {
			break
		}
	}
	for _, s := range t.scalars {
		if s.kind == none {
			s.kind = integer
		}
	}
	t.err, t.locals = nil, 0
	for _, s := range scripts {
		s.code.text = t.write(s)
		if t.err != nil {
			return t.err
		}
	}
	return nil
}

// kinds is what the rounds compare.
func (t *translator) kinds() string {
	count := make([]int, mixed+1)
	for _, s := range t.scalars {
		count[s.kind]++
	}
	return fmt.Sprint(count)
}

func (t *translator) fail(n *node, format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf("%s: %w", t.script.code.what, &placed{src: t.script.perl, pos: n.pos, text: fmt.Sprintf(format, args...)})
	}
}

// write translates one script.
func (t *translator) write(s *script) string {
	t.script = s
	parts := make([]string, len(s.tree))
	for i, n := range s.tree {
		if i == len(s.tree)-1 && s.code.what == "-e" {
			parts[i] = t.truth(n)
			break
		}
		parts[i] = t.effect(n)
	}
	return strings.Join(parts, "; ")
}

// Values of each kind.

func integerValue(src string, lo, hi float64) value {
	return value{src: src, kind: integer, lo: lo, hi: hi}
}

func boolValue(src string) value { return value{src: src, kind: boolean} }

func realValue(src string) value { return value{src: src, kind: real} }

// wideValue is what operators on bits give.
func wideValue(src string) value { return value{src: src, kind: wide, bits: true} }

func textValue(src string) value { return value{src: src, kind: text} }

// constant is a known integer, or with kind wide one of 64 bits without sign.
func constant(k kind, v int) value {
	src := strconv.Itoa(v)
	if v == math.MinInt64 {
		src = "(-9223372036854775807 - 1)"
	} else if v < 0 {
		src = "(" + src + ")"
	}
	return value{src: src, kind: k, lo: float64(v), hi: float64(v), konst: &v}
}

func realConstant(v float64) value {
	src := strconv.FormatFloat(v, 'g', -1, 64)
	switch {
	case math.IsInf(v, 0): // there is no literal
		src = "(1e308 * 10.0)"
	case !strings.ContainsAny(src, ".e"):
		src += ".0"
	}
	return realValue(src)
}

// quote is a text constant.
func (t *translator) quote(s string) value {
	v := value{kind: text, lit: &s}
	if utf8.ValidString(s) {
		v.src = strconv.Quote(s)
		return v
	}
	// expr-lang has no literal for octets that are no UTF-8.
	v.src = "text" + strconv.Itoa(len(t.unit.texts)+1)
	t.unit.texts[v.src] = s
	return v
}

// Conversions, as Perl makes them.

func (t *translator) asTruth(v value) string {
	switch v.kind {
	case boolean:
		return v.src
	case real:
		return "(" + v.src + " != 0.0)"
	case text:
		if v.lit != nil {
			return strconv.FormatBool(truth(*v.lit))
		}
		return "truth(" + v.src + ")"
	}
	return "(" + v.src + " != 0)"
}

// number is a value in the place of a number: integer or real.
func (t *translator) number(n *node) value {
	return t.asNumeral(n, t.value(n))
}

func (t *translator) asNumeral(n *node, v value) value {
	if v.kind == text {
		return t.numeral(n, v)
	}
	return asNumber(v)
}

func asNumber(v value) value {
	switch v.kind {
	case boolean:
		return integerValue("("+v.src+" ? 1 : 0)", 0, 1)
	case wide:
		return realValue("unsigned(" + v.src + ")")
	case none, mixed:
		return constant(integer, 0) // reported where it is assigned
	}
	return v
}

// numeral is a text as a number: only constants that are nothing else.
func (t *translator) numeral(n *node, v value) value {
	if v.lit == nil {
		t.fail(n, "a string stands where a number is needed: use eq, ne, lt, gt or =~ for strings, and the variable without \"ip\" for the number of an address")
		return constant(integer, 0)
	}
	s := strings.TrimLeft(*v.lit, " \t\n")
	p := &parser{src: s}
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, p.pos = s[:1], 1
	}
	if plain := strings.Trim(s[p.pos:], "0123456789.eE+-") == "" && s[p.pos:] != ""; plain {
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			if i, err := strconv.ParseInt(strings.TrimPrefix(s, "+"), 10, 64); err == nil {
				return constant(integer, int(i))
			}
			return realConstant(f)
		}
	}
	t.fail(n, "the string %q stands where a number is needed: use eq, ne, lt, gt or =~ for strings", sign+s[len(sign):])
	return constant(integer, 0)
}

// text is a value in the place of a string.
func (t *translator) text(n *node) string { return t.asText(t.value(n)).src }

func (t *translator) asText(v value) value {
	switch v.kind {
	case text:
		return v
	case boolean:
		return textValue("(" + v.src + ` ? "1" : "")`)
	case real:
		return textValue("ftoa(" + v.src + ")")
	case wide:
		return textValue("utoa(" + v.src + ")")
	}
	switch {
	case v.konst != nil:
		return t.quote(strconv.Itoa(*v.konst))
	case v.guard != "":
		return textValue("(" + v.guard + " ? itoa(" + v.src + `) : "")`)
	}
	return textValue("itoa(" + v.src + ")")
}

// bits is a value in the place of an integer of 64 bits: integer or wide.
func (t *translator) bits(n *node) value { return t.asBits(n, t.value(n)) }

func (t *translator) asBits(n *node, v value) value {
	if v.kind == wide {
		return v
	}
	if v.kind == text {
		v = t.numeral(n, v)
	}
	return asInteger(asNumber(v))
}

// asInteger cuts a number.
func asInteger(v value) value {
	if v.kind == real {
		return integerValue("trunc("+v.src+")", -1<<53, 1<<53)
	}
	return v
}

// asReal is a number of either kind as a real.
func asReal(v value) string {
	if v.kind == integer {
		return "real(" + v.src + ")"
	}
	return v.src
}

// value translates a node.
func (t *translator) value(n *node) value {
	switch n.op {
	case opNumber:
		if n.num.kind == real {
			return realConstant(n.num.real)
		}
		return constant(n.num.kind, int(n.num.bits))
	case opString:
		return t.quote(n.text)
	case opConcat:
		parts := make([]string, len(n.args))
		for i, a := range n.args {
			parts[i] = t.text(a)
		}
		return textValue("(" + strings.Join(parts, " + ") + ")")
	case opVar:
		return t.variable(n)
	case opMy:
		return t.reset(n)
	case opCall:
		return t.call(n)
	case opPlus:
		return t.value(n.args[0])
	case opNeg:
		return t.negate(t.number(n.args[0]))
	case "!":
		return boolValue("not " + parens(t.truth(n.args[0])))
	case "~":
		return t.complement(n)
	case "and", "&&", "or", "||":
		return t.logic(n)
	case "xor":
		return boolValue("(" + t.truth(n.args[0]) + " != " + t.truth(n.args[1]) + ")")
	case opTest:
		return t.choose(n)
	case ",":
		first := t.value(n.args[0])
		v := t.value(n.args[1])
		v.src, v.lit, v.konst = "("+first.src+"; "+v.src+")", nil, nil
		return v
	case "==", "!=", "<", "<=", ">", ">=":
		a, b := t.number(n.args[0]), t.number(n.args[1])
		return boolValue("(" + a.src + " " + n.op + " " + b.src + ")")
	case "eq", "ne", "lt", "le", "gt", "ge":
		return boolValue("(" + t.text(n.args[0]) + " " + comparisons[n.op] + " " + t.text(n.args[1]) + ")")
	case "=~":
		return boolValue("(" + t.text(n.args[0]) + " matches " + t.quote(n.args[1].text).src + ")")
	case "!~":
		return boolValue("not (" + t.text(n.args[0]) + " matches " + t.quote(n.args[1].text).src + ")")
	case "+", "-", "*", "/", "%", "**", ".", "&", "|", "^", "<<", ">>":
		return t.operate(n, n.op, n.args[0], n.args[1])
	case "=":
		return t.assign(n, n.args[0], func() value { return t.value(n.args[1]) })
	case "+=", "-=", "*=", "/=", "%=", "**=", ".=", "&=", "|=", "^=", "<<=", ">>=":
		return t.assign(n, n.args[0], func() value {
			return t.operate(n, strings.TrimSuffix(n.op, "="), &node{op: opVar, pos: n.args[0].pos, text: n.args[0].text}, n.args[1])
		})
	case opPreInc, opPreDec, opInc, opDec:
		return t.step(n)
	}
	t.fail(n, "%s is not available here", n.op)
	return constant(integer, 0)
}

var comparisons = map[string]string{"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}

// parens puts parentheses round what does not have them; a call or a name does not need them.
func parens(src string) string {
	if strings.HasPrefix(src, "(") && strings.HasSuffix(src, ")") || strings.IndexByte(src, ' ') < 0 {
		return src
	}
	return "(" + src + ")"
}
