package flowexpr

import (
	"math"
	"math/bits"
)

// unify is the kind of what is one of two values. Where they differ in more than
// the width of a number it is a text: that has the truth and the look of both, and
// is refused in the place of a number.
func unify(a, b value) kind {
	signless := func(v value) bool { return v.kind == wide || v.kind == integer && v.lo >= 0 }
	switch {
	case a.kind == b.kind || b.kind == none:
		return a.kind
	case a.kind == none:
		return b.kind
	case signless(a) && signless(b):
		return wide
	case a.kind.number() && b.kind.number() && a.kind != boolean && b.kind != boolean:
		return join(a.kind, b.kind)
	}
	return text
}

// convert makes a value of kind k, as unify found it.
func (t *translator) convert(v value, k kind) value {
	switch {
	case v.kind == k || v.kind == none:
		return v
	case k == text:
		return t.asText(v)
	case k == real:
		return realValue(asReal(asNumber(v)))
	}
	return v
}

// either is one of two values of kind k, computed by src.
func either(k kind, a, b value, src string) value {
	return value{src: src, kind: k, lo: min(a.lo, b.lo), hi: max(a.hi, b.hi)}
}

// logic is && and || where the value of a side is the result.
func (t *translator) logic(n *node) value {
	a, b := t.value(n.args[0]), t.value(n.args[1])
	op := library[n.op]
	if a.kind == boolean && b.kind == boolean {
		return boolValue("(" + a.src + " " + op + " " + b.src + ")")
	}
	k := unify(a, b)
	kept := value{src: t.local(), kind: a.kind, lo: a.lo, hi: a.hi}
	first, second := t.convert(kept, k), t.convert(b, k)
	yes, no := first.src, second.src
	if op == "&&" {
		yes, no = no, yes
	}
	return either(k, first, second, "(let "+kept.src+" = "+a.src+"; "+t.asTruth(kept)+" ? "+yes+" : "+no+")")
}

// library are the operators between truth values.
var library = map[string]string{"and": "&&", "&&": "&&", "or": "||", "||": "||"}

// truth is a node in the place of a truth value.
func (t *translator) truth(n *node) string {
	if op, ok := library[n.op]; ok {
		return "(" + t.truth(n.args[0]) + " " + op + " " + t.truth(n.args[1]) + ")"
	}
	return t.asTruth(t.value(n))
}

// effect is a statement whose value does not matter.
func (t *translator) effect(n *node) string {
	if _, ok := library[n.op]; ok {
		return t.truth(n)
	}
	return t.value(n).src
}

// choose is ?:.
func (t *translator) choose(n *node) value {
	cond := t.truth(n.args[0])
	a, b := t.value(n.args[1]), t.value(n.args[2])
	k := unify(a, b)
	a, b = t.convert(a, k), t.convert(b, k)
	return either(k, a, b, "("+cond+" ? "+a.src+" : "+b.src+")")
}

// negate is unary minus.
func (t *translator) negate(v value) value {
	switch {
	case v.kind == real:
		return realValue("(-" + v.src + ")")
	case v.konst != nil && *v.konst != math.MinInt64:
		return constant(integer, -*v.konst)
	case v.lo < -maxInteger:
		return realValue("(-real(" + v.src + "))")
	}
	return integerValue("(-"+v.src+")", -v.hi, -v.lo)
}

// Bounds on what integer arithmetic may give, with sign and without: a little
// inside 64 bits, as they are reals.
const (
	maxInteger  = 9.2e18
	maxUnsigned = 1.84467440737e19
)

// known folds constants.
func known(a, b value, fn func(x, y int) int) (v value, ok bool) {
	if a.konst == nil || b.konst == nil {
		return v, false
	}
	return unsignedConstant(fn(*a.konst, *b.konst)), true
}

// unsignedConstant is what operators on bits give: without sign.
func unsignedConstant(v int) value {
	if v < 0 {
		c := constant(wide, v)
		c.bits = true
		return c
	}
	return constant(integer, v)
}

func (t *translator) complement(n *node) value {
	v := t.bits(n.args[0])
	if n.args[0].op == opString {
		t.fail(n, "Perl's ~ of a string is not available here")
	}
	if v.konst != nil {
		return unsignedConstant(^*v.konst)
	}
	return wideValue("bitnot(" + v.src + ")")
}

// operate is a binary operator on numbers, bits or texts.
func (t *translator) operate(n *node, op string, l, r *node) value {
	switch op {
	case ".":
		return textValue("(" + t.text(l) + " + " + t.text(r) + ")")
	case "&", "|", "^":
		return t.bitwise(n, op, l, r)
	case "<<", ">>":
		return t.shift(op, t.bits(l), t.bits(r))
	case "%":
		return t.modulo(n, t.bits(l), t.bits(r))
	}
	x, y := t.value(l), t.value(r)
	if (x.bits || y.bits) && (op == "+" || op == "-" || op == "*") {
		t.fail(n, "%s on a number of 64 bits is not available here: cut it with & first", op)
	}
	a, b := t.asNumeral(l, x), t.asNumeral(r, y)
	switch op {
	case "/":
		if b.konst != nil && *b.konst != 0 {
			return realValue("(" + a.src + " / " + b.src + ")")
		}
		return realValue("(" + a.src + " / nonzero(" + asReal(b) + "))")
	case "**":
		return realValue("(" + a.src + " ** " + b.src + ")")
	}
	var lo, hi float64
	switch op {
	case "+":
		lo, hi = a.lo+b.lo, a.hi+b.hi
	case "-":
		lo, hi = a.lo-b.hi, a.hi-b.lo
	case "*":
		p, q, r, s := a.lo*b.lo, a.lo*b.hi, a.hi*b.lo, a.hi*b.hi
		lo, hi = min(p, q, r, s), max(p, q, r, s)
	}
	if a.kind == integer && b.kind == integer {
		src := "(" + a.src + " " + op + " " + b.src + ")"
		switch {
		case lo >= -maxInteger && hi <= maxInteger:
			return integerValue(src, lo, hi)
		case op != "-" && a.lo >= 0 && b.lo >= 0 && hi <= maxUnsigned:
			return value{src: src, kind: wide}
		}
	}
	// Like Perl: what does not fit 64 bits goes on as a real.
	return realValue("(" + asReal(a) + " " + op + " " + asReal(b) + ")")
}

func (t *translator) bitwise(n *node, op string, l, r *node) value {
	a, b := t.bits(l), t.bits(r)
	if l.op == opString && r.op == opString {
		t.fail(n, "Perl's %s of strings is not available here", op)
	}
	name := map[string]string{"&": "bitand", "|": "bitor", "^": "bitxor"}[op]
	if v, ok := known(a, b, masks[name]); ok {
		return v
	}
	src := name + "(" + a.src + ", " + b.src + ")"
	signless := func(v value) bool { return v.kind == integer && v.lo >= 0 }
	switch {
	case op == "&" && signless(a) && signless(b):
		return integerValue(src, 0, min(a.hi, b.hi))
	case op == "&" && signless(a):
		return integerValue(src, 0, a.hi)
	case op == "&" && signless(b):
		return integerValue(src, 0, b.hi)
	case op != "&" && signless(a) && signless(b):
		top := bits.Len64(uint64(max(a.hi, b.hi)))
		return integerValue(src, 0, math.Ldexp(1, top))
	}
	return wideValue(src)
}

func (t *translator) shift(op string, a, b value) value {
	left := op == "<<"
	if v, ok := known(a, b, func(x, y int) int { return shift(x, y, left) }); ok {
		return v
	}
	name := "shr"
	if left {
		name = "shl"
	}
	src := name + "(" + a.src + ", " + b.src + ")"
	if a.kind == integer && a.lo >= 0 && b.konst != nil && *b.konst >= 0 && *b.konst < 64 {
		hi := a.hi
		if left {
			hi = math.Ldexp(a.hi, *b.konst)
		}
		if hi <= maxInteger {
			return integerValue(src, 0, hi)
		}
	}
	return wideValue(src)
}

// modulo is Perl's %, of the sign of the right side. Where a side has no sign and
// 64 bits, it is that of numbers without sign.
func (t *translator) modulo(n *node, a, b value) value {
	if a.kind == wide || b.kind == wide {
		if b.kind == integer && b.lo < 0 || a.kind == integer && a.lo < 0 {
			t.fail(n, "%% of a number without sign by one with sign is not available here")
		}
		v := value{src: "umod(" + a.src + ", " + b.src + ")", kind: wide}
		if b.kind == integer {
			v.kind, v.lo, v.hi = integer, 0, b.hi
		}
		return v
	}
	return integerValue("mod("+a.src+", "+b.src+")", min(b.lo, 0), max(b.hi, 0))
}
