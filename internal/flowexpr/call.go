package flowexpr

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// call translates a function.
func (t *translator) call(n *node) value {
	one := func() *node {
		if len(n.args) != 1 {
			t.fail(n, "%s needs one argument here", n.text)
			return &node{op: opNumber, pos: n.pos, num: literal{kind: integer}}
		}
		return n.args[0]
	}
	switch n.text {
	case "print", "print STDERR":
		return t.print(n, n.args)
	case "printf", "printf STDERR":
		return t.print(n, []*node{{op: opCall, pos: n.pos, text: "sprintf", args: n.args}})
	case "sprintf":
		return t.sprintf(n)
	case "exit":
		if len(n.args) == 0 {
			return boolValue("exit(0)")
		}
		return boolValue("exit(" + asInteger(t.number(one())).src + ")")
	case "defined":
		return t.defined(n, one())
	case "scalar":
		return t.value(one())
	case "localtime":
		if len(n.args) == 0 {
			t.fail(n, "Perl's localtime without an argument is not available here")
		}
		return textValue("ctime(" + asInteger(t.number(one())).src + ")")
	case "int":
		if v := t.value(one()); v.kind != wide {
			return t.cut(n, v)
		} else {
			return v
		}
	case "abs":
		if v := t.value(one()); v.kind != wide {
			return t.abs(n, v)
		} else {
			return v
		}
	case "length":
		v := integerValue("length("+t.text(one())+")", 0, maxString)
		if of := variableNamed(one().text); of != nil && one().op == opVar {
			v.guard = of.guard()
		}
		return v
	case "within":
		if len(n.args) == 2 {
			return boolValue("within(" + t.text(n.args[0]) + ", " + t.text(n.args[1]) + ")")
		}
		t.fail(n, "within needs an address and a prefix: within($srcip, '10.0.0.0/8')")
	case "unpack":
		return t.unpack(n)
	default:
		t.fail(n, "Perl's %s is only available as unpack('N', inet_aton('10.0.0.1')) and unpack('N', pack('C4', 10, 0, 0, 1))", n.text)
	}
	return constant(integer, 0)
}

// cut is int().
func (t *translator) cut(n *node, v value) value {
	if v = t.asNumeral(n, v); v.kind == real {
		return realValue("fint(" + v.src + ")")
	}
	return v
}

func (t *translator) abs(n *node, v value) value {
	v = t.asNumeral(n, v)
	switch {
	case v.kind == real:
		return realValue("fabs(" + v.src + ")")
	case v.lo >= 0:
		return v
	case v.lo < -maxInteger:
		return realValue("fabs(real(" + v.src + "))")
	}
	return integerValue("iabs("+v.src+")", 0, max(-v.lo, v.hi))
}

func (t *translator) defined(n, of *node) value {
	if of.op != opVar {
		t.fail(n, "Perl's defined is only available for variables of the flow")
		return boolValue("true")
	}
	v := variableNamed(of.text)
	switch {
	case v == nil:
		t.fail(n, "Perl's defined is only available for variables of the flow")
	case v.proto != 0:
		return boolValue("(" + v.guard() + ")")
	}
	return boolValue("true")
}

// unpack is an address in one of the spellings that are used for it.
func (t *translator) unpack(n *node) value {
	bad := func() value {
		t.fail(n, "Perl's unpack is only available as unpack('N', inet_aton('10.0.0.1')) and unpack('N', pack('C4', 10, 0, 0, 1))")
		return constant(integer, 0)
	}
	if len(n.args) != 2 || n.args[0].op != opString || n.args[0].text != "N" || n.args[1].op != opCall {
		return bad()
	}
	switch inner := n.args[1]; {
	case inner.text == "inet_aton" && len(inner.args) == 1 && inner.args[0].op == opString:
		if a, ok := parseQuad(inner.args[0].text); ok {
			return constant(integer, int(a))
		}
		t.fail(inner, "%q is no address", inner.args[0].text)
	case inner.text == "pack" && len(inner.args) == 5 && inner.args[0].op == opString && inner.args[0].text == "C4":
		addr := uint64(0)
		for _, a := range inner.args[1:] {
			if a.op != opNumber || a.num.kind != integer || a.num.bits > 255 {
				return bad()
			}
			addr = addr<<8 | a.num.bits
		}
		return constant(integer, int(addr))
	default:
		return bad()
	}
	return constant(integer, 0)
}

// print writes its list, piece by piece.
func (t *translator) print(n *node, list []*node) value {
	stderr := strings.HasSuffix(n.text, "STDERR")
	var parts []string
	for _, a := range list {
		if a.op == opCall && a.text == "localtime" {
			t.fail(a, "Perl's localtime in a list is not available here: write scalar(localtime(...))")
		}
		pieces := []*node{a}
		if a.op == opConcat {
			pieces = a.args
		}
		for _, piece := range pieces {
			v := t.value(piece)
			switch {
			case stderr:
				parts = append(parts, "warn("+t.asText(v).src+")")
			case v.kind == integer && v.konst == nil && v.guard == "":
				parts = append(parts, "print_int("+v.src+")")
			default:
				parts = append(parts, "print("+t.asText(v).src+")")
			}
		}
	}
	return boolValue("(" + strings.Join(parts, " && ") + ")")
}

// sprintf turns a constant format into the texts it is made of.
func (t *translator) sprintf(n *node) value {
	if len(n.args) == 0 || n.args[0].op != opString {
		t.fail(n, "the format of %s has to be a string without variables", n.text)
		return t.quote("")
	}
	format, args := n.args[0].text, n.args[1:]
	var parts []string
	plain := ""
	flush := func() {
		if plain != "" {
			parts = append(parts, t.quote(plain).src)
			plain = ""
		}
	}
	for format != "" {
		before, rest, found := strings.Cut(format, "%")
		plain += before
		if !found {
			break
		}
		if strings.HasPrefix(rest, "%") {
			plain, format = plain+"%", rest[1:]
			continue
		}
		end := len(rest) - len(strings.TrimLeft(rest, "-+ 0#123456789."))
		if end >= len(rest) {
			t.fail(n, "%%%s at the end of a format", rest)
			return t.quote("")
		}
		verb, arg := rest[:end+1], &node{op: opString, pos: n.pos}
		format = rest[end+1:]
		if len(args) > 0 {
			arg, args = args[0], args[1:]
		} else {
			t.fail(n, "the format of %s has more than its arguments", n.text)
		}
		flush()
		parts = append(parts, t.directive(arg, verb))
	}
	flush()
	if len(parts) == 0 {
		return t.quote("")
	}
	if len(args) > 0 {
		t.fail(args[0], "an argument that the format does not use")
	}
	return textValue("(" + strings.Join(parts, " + ") + ")")
}

// directive is one argument of sprintf as %flags.precision verb.
func (t *translator) directive(arg *node, verb string) string {
	flags, conv := verb[:len(verb)-1], verb[len(verb)-1]
	for _, width := range strings.FieldsFunc(flags, func(r rune) bool { return r < '0' || r > '9' }) {
		if len(width) > 3 {
			t.fail(arg, "%%%s: no more than 999 places", verb)
			return `""`
		}
	}
	if arg.op == opCall && arg.text == "localtime" {
		t.fail(arg, "Perl's localtime in a list is not available here: write scalar(localtime(...))")
	}
	format := "%" + flags
	var fn any
	var src string
	switch conv {
	case 's':
		format += "s"
		fn, src = func(v string) string { return fmt.Sprintf(format, v) }, t.text(arg)
	case 'd', 'i':
		v := t.value(arg)
		if v.kind == real && !strings.Contains(flags, ".") {
			format += ".0f"
			fn, src = func(v float64) string { return fmt.Sprintf(format, math.Trunc(v)+0) }, v.src
			break
		}
		format += "d"
		fn, src = func(v int) string { return fmt.Sprintf(format, v) }, t.asBits(arg, v).src
	case 'u', 'x', 'X', 'o', 'b':
		format += strings.Replace(string(conv), "u", "d", 1)
		fn, src = func(v int) string { return fmt.Sprintf(format, uint64(v)) }, t.bits(arg).src
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if !strings.Contains(flags, ".") {
			format += ".6"
		}
		format += string(conv)
		fn, src = func(v float64) string { return fmt.Sprintf(format, v) }, asReal(t.number(arg))
	default:
		t.fail(arg, "%%%s of a format is not available here", verb)
		return `""`
	}
	name := "format" + strconv.Itoa(len(t.unit.functions)) // after the argument, which may have some
	t.unit.functions[name] = function{fn: fn, pure: true}
	return name + "(" + src + ")"
}
