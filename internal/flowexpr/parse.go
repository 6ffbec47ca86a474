package flowexpr

import (
	"fmt"
	"slices"
	"strings"
)

// Limits on Perl: how deep its operators nest and how many operands there are.
const (
	maxDepth   = 100
	maxTerms   = 4000
	maxScalars = 64
)

// node is a piece of a Perl expression. op is an operator as Perl spells it, or
// one of the words below.
type node struct {
	op   string
	pos  int    // octet of the text where it stands
	text string // name, or value of a string or a pattern
	num  literal
	args []*node
}

// What op is where it is no operator.
const (
	opNumber = "number"
	opString = "string"
	opVar    = "variable"
	opMy     = "my"    // declaration of a variable
	opMatch  = "match" // the pattern right of =~
	opCall   = "call"  // of the function called text
	opConcat = "concat"
	opTest   = "?:"
	opNeg    = "negate"
	opPlus   = "plus"
	opPreInc = "++x"
	opPreDec = "--x"
	opInc    = "x++"
	opDec    = "x--"
)

// Precedences, as perlop lists them, from loose to tight.
const (
	precOr = iota + 1
	precAnd
	precNot
	precList
	precComma
	precAssign
	precTest
	precRange
	precOrOr
	precAndAnd
	precBitOr
	precBitAnd
	precEqual
	precRelate
	precUniop
	precShift
	precAdd
	precMul
	precBind
	precUnary
	precPower
)

type grouping uint8

const (
	left grouping = iota
	right
	alone
)

type operator struct {
	prec  int
	group grouping
}

var operators = map[string]operator{
	"or": {precOr, left}, "xor": {precOr, left}, "and": {precAnd, left},
	",": {precComma, left}, "=>": {precComma, left},
	"=": {precAssign, right}, "+=": {precAssign, right}, "-=": {precAssign, right}, "*=": {precAssign, right},
	"/=": {precAssign, right}, "%=": {precAssign, right}, "**=": {precAssign, right}, ".=": {precAssign, right},
	"&=": {precAssign, right}, "|=": {precAssign, right}, "^=": {precAssign, right}, "<<=": {precAssign, right}, ">>=": {precAssign, right},
	"?":  {precTest, right},
	"||": {precOrOr, left}, "&&": {precAndAnd, left},
	"|": {precBitOr, left}, "^": {precBitOr, left}, "&": {precBitAnd, left},
	"==": {precEqual, alone}, "!=": {precEqual, alone}, "eq": {precEqual, alone}, "ne": {precEqual, alone},
	"<": {precRelate, alone}, ">": {precRelate, alone}, "<=": {precRelate, alone}, ">=": {precRelate, alone},
	"lt": {precRelate, alone}, "gt": {precRelate, alone}, "le": {precRelate, alone}, "ge": {precRelate, alone},
	"<<": {precShift, left}, ">>": {precShift, left},
	"+": {precAdd, left}, "-": {precAdd, left}, ".": {precAdd, left},
	"*": {precMul, left}, "/": {precMul, left}, "%": {precMul, left},
	"=~": {precBind, left}, "!~": {precBind, left},
	"**": {precPower, right},
}

// foreign are operators of Perl that are not translated, with what they are.
var foreign = map[string]string{
	"<=>": "comparison <=>", "cmp": "comparison cmp", "~~": "smart match ~~", "isa": "isa",
	"..": "range operator ..", "...": "range operator ...", "//": "defined-or operator //",
	"||=": "assignment ||=", "&&=": "assignment &&=", "//=": "assignment //=", "x=": "assignment x=",
	"x": "repetition operator x", "->": "arrow ->", "::": "package name",
	"while": "loop while", "until": "loop until", "for": "loop for", "foreach": "loop foreach",
	"[": "array element", "{": "hash element or block",
}

// symbols are the operators that are no words, longest first.
var symbols = []string{
	"<=>", "**=", "||=", "&&=", "//=", "...", "<<=", ">>=",
	"=>", "->", "++", "--", "**", "=~", "!~", "==", "!=", "<=", ">=", "&&", "||", "//", "..", "::", "+=", "-=", "*=", "/=", ".=", "%=",
	"&=", "|=", "^=", "<<", ">>", "~~",
	"=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", ".", "?", ":", ",", ";", ")", "]", "}", "(", "[", "{",
}

// statements are words that begin what is Perl for sure.
var statements = map[string]string{
	"if": "block if (...) {...} (write EXPR if COND)", "unless": "block unless (...) {...} (write EXPR unless COND)",
	"while": "loop while", "until": "loop until", "for": "loop for", "foreach": "loop foreach",
	"do": "do block", "eval": "eval", "sub": "subroutine", "use": "module", "no": "module", "require": "module", "package": "package",
	"return": "return (the value of the last statement counts)", "next": "next", "last": "last", "redo": "redo", "goto": "goto",
	"local": "local", "say": "say (use print)", "BEGIN": "block", "END": "block",
	"print": "", "printf": "", "exit": "", "my": "", "our": "", "defined": "", "scalar": "", "sprintf": "", "unpack": "",
}

// isPerl reports whether an expression is taken for Perl: it has a $variable, or
// begins with a word that only Perl has there.
func isPerl(text string) bool {
	p := &parser{src: text}
	p.space()
	if word := p.peekWord(); word != "" {
		if _, ok := statements[word]; ok {
			return true
		}
	}
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quote != 0:
			i++
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\'' || c == '`'):
			quote = c
		case c == '$' && (quote == 0 || quote == '"') && i+1 < len(text) && (isNameStart(text[i+1]) || text[i+1] == '{' || text[i+1] == ':'):
			return text[i+1:nameEnd(text, i+1)] != "env" // the library's own
		}
	}
	return false
}

// parser reads Perl. After an error it goes to the end of the text, so that all
// loops end.
type parser struct {
	src   string
	pos   int
	depth int
	terms int
	err   error
}

// parse reads a whole text as statements.
func parse(text string) ([]*node, error) {
	p := &parser{src: text}
	var list []*node
	for p.space(); p.err == nil && p.pos < len(p.src); p.space() {
		if p.accept(";") || p.socket() {
			continue
		}
		list = append(list, p.statement())
		p.space()
		if p.pos < len(p.src) && !p.accept(";") {
			p.unexpected()
		}
	}
	return list, p.err
}

// socket skips "use Socket", with or without a list: what of it there is needs no
// such line.
func (p *parser) socket() bool {
	if p.peekWord() != "use" {
		return false
	}
	line, _, _ := strings.Cut(p.src[p.pos:], ";")
	words := strings.Fields(line)
	if len(words) < 2 || words[1] != "Socket" || len(words) > 2 && !strings.HasPrefix(words[2], "qw") {
		return false
	}
	p.pos += len(line)
	return true
}

// fail records the first error and ends the parsing.
func (p *parser) fail(pos int, format string, args ...any) {
	if p.err == nil {
		p.err = &placed{src: p.src, pos: pos, text: fmt.Sprintf(format, args...)}
	}
	p.pos = len(p.src)
}

// placed is an error at a place of a text.
type placed struct {
	src  string
	pos  int
	text string
}

func (e *placed) Error() string {
	before := e.src[:min(e.pos, len(e.src))]
	column := len(before) - strings.LastIndexByte(before, '\n') // counts from 1
	if line := strings.Count(before, "\n") + 1; line > 1 {
		return fmt.Sprintf("line %d column %d: %s", line, column, e.text)
	}
	return fmt.Sprintf("column %d: %s", column, e.text)
}

// refuse reports a construct that is not translated.
func (p *parser) refuse(pos int, what string) {
	p.fail(pos, "Perl's %s is not available here", what)
}

func (p *parser) unexpected() {
	if p.pos >= len(p.src) {
		p.fail(p.pos, "the expression ends too early")
		return
	}
	if what, ok := foreign[p.operator()]; ok {
		p.refuse(p.pos, what)
		return
	}
	p.fail(p.pos, "unexpected %q", firstWord(p.src[p.pos:]))
}

// firstWord is what an error message shows of a text.
func firstWord(s string) string {
	end := strings.IndexAny(s, " \t\n;,()")
	if end == 0 {
		end = 1
	}
	if end < 0 || end > 20 {
		end = min(len(s), 20)
	}
	return s[:end]
}

// space skips blanks and comments.
func (p *parser) space() {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			p.pos++
		case c == '#':
			end := strings.IndexByte(p.src[p.pos:], '\n')
			if end < 0 {
				end = len(p.src) - p.pos
			}
			p.pos += end
		default:
			return
		}
	}
}

// peek is the next octet, 0 at the end.
func (p *parser) peek() byte {
	if p.pos >= len(p.src) {
		return 0
	}
	return p.src[p.pos]
}

// at is the octet n places on, 0 beyond the end.
func (p *parser) at(n int) byte {
	if p.pos+n >= len(p.src) {
		return 0
	}
	return p.src[p.pos+n]
}

func isDigit(c byte) bool     { return '0' <= c && c <= '9' }
func isNameStart(c byte) bool { return c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z' }
func isName(c byte) bool      { return isNameStart(c) || isDigit(c) }

// nameEnd is where the name that begins at i ends.
func nameEnd(s string, i int) int {
	for i < len(s) && isName(s[i]) {
		i++
	}
	return i
}

// peekWord is the name at the next octet, "" if there is none.
func (p *parser) peekWord() string {
	if !isNameStart(p.peek()) {
		return ""
	}
	return p.src[p.pos:nameEnd(p.src, p.pos)]
}

// operator is the operator at the next octet, where one may stand; "" for none.
func (p *parser) operator() string {
	if word := p.peekWord(); word != "" {
		if word[0] == 'x' && strings.Trim(word[1:], "0123456789") == "" { // "x3" is x and 3
			if len(word) == 1 && p.at(1) == '=' && p.at(2) != '=' && p.at(2) != '~' {
				return "x="
			}
			return "x"
		}
		return word
	}
	for _, s := range symbols {
		if strings.HasPrefix(p.src[p.pos:], s) {
			return s
		}
	}
	return ""
}

// accept skips the operator op if it is next.
func (p *parser) accept(op string) bool {
	p.space()
	if p.operator() != op {
		return false
	}
	p.pos += len(op)
	return true
}

func (p *parser) want(op string) {
	if !p.accept(op) {
		p.space()
		if p.pos < len(p.src) {
			p.unexpected()
		} else {
			p.fail(p.pos, "%q is missing", op)
		}
	}
}

// statement is an expression with or without a condition behind it.
func (p *parser) statement() *node {
	n := p.expr(precOr)
	p.space()
	pos := p.pos
	switch word := p.operator(); word {
	case "if", "unless":
		p.pos += len(word)
		// X if C is C and X, X unless C is C or X: in value, too.
		op := "and"
		if word == "unless" {
			op = "or"
		}
		return &node{op: op, pos: pos, args: []*node{p.expr(precOr), n}}
	}
	return n
}

// expr reads operators that bind at least as tight as prec.
func (p *parser) expr(prec int) *node {
	defer func() { p.depth-- }()
	if p.depth++; p.depth > maxDepth {
		p.fail(p.pos, "more than %d levels", maxDepth)
		return &node{op: opNumber}
	}
	p.space()
	pos := p.pos
	var n *node
	if prec <= precNot && p.peekWord() == "not" {
		p.pos += len("not")
		n = &node{op: "!", pos: pos, args: []*node{p.expr(precNot)}}
	} else {
		n = p.unary()
	}
	for p.err == nil {
		p.space()
		pos := p.pos
		word := p.operator()
		op, ok := operators[word]
		if !ok {
			if what, ok := foreign[word]; ok && word != "while" && word != "until" && word != "for" && word != "foreach" {
				p.refuse(pos, what)
			}
			return n
		}
		if op.prec < prec {
			return n
		}
		p.pos += len(word)
		n = p.binary(n, word, op, pos)
	}
	return n
}

// binary reads the right side of an operator.
func (p *parser) binary(l *node, word string, op operator, pos int) *node {
	n := &node{op: word, pos: pos}
	switch word {
	case "?":
		yes := p.expr(precAssign)
		p.want(":")
		n.op, n.args = opTest, []*node{l, yes, p.expr(precTest)}
		return n
	case "=~", "!~":
		n.args = []*node{l, p.pattern()}
		return n
	case "=>":
		p.refuse(pos, "pair =>")
	case ",":
		p.space()
		if c := p.peek(); c == 0 || c == ';' || c == ')' {
			return l // a comma at the end
		}
	}
	if op.prec == precAssign && l.op != opVar && l.op != opMy {
		p.fail(pos, "only a variable can be assigned to")
	}
	switch op.group {
	case right:
		n.args = []*node{l, p.expr(op.prec)}
	default:
		n.args = []*node{l, p.expr(op.prec + 1)}
	}
	if op.group == alone {
		p.space()
		if next := p.operator(); operators[next].prec == op.prec {
			p.fail(p.pos, "%s behind %s needs parentheses or &&", next, word)
		}
	}
	return n
}

// unary reads an operand with what stands before and behind it.
func (p *parser) unary() *node {
	p.space()
	pos := p.pos
	if p.terms++; p.terms > maxTerms {
		p.fail(pos, "more than %d operands", maxTerms)
		return &node{op: opNumber}
	}
	prefix := func(op string, skip int) *node {
		p.pos += skip
		return &node{op: op, pos: pos, args: []*node{p.expr(precUnary)}}
	}
	switch c, next := p.peek(), p.at(1); {
	case c == '!':
		return prefix("!", 1)
	case c == '~':
		return prefix("~", 1)
	case c == '+' && next == '+', c == '-' && next == '-':
		op := opPreInc
		if c == '-' {
			op = opPreDec
		}
		n := prefix(op, 2)
		if p.err == nil && n.args[0].op != opVar {
			p.fail(pos, "only a variable can be incremented")
		}
		return n
	case c == '+':
		return prefix(opPlus, 1)
	case c == '-' && isNameStart(next) && !isName(p.at(2)):
		p.refuse(pos, "file test "+p.src[pos:pos+2])
	case c == '-':
		return prefix(opNeg, 1)
	}
	n := p.term()
	p.space()
	op := p.operator()
	switch op {
	case "++", "--":
		if n.op != opVar {
			p.fail(p.pos, "only a variable can be incremented")
			return n
		}
		p.pos += 2
		return &node{op: "x" + op, pos: pos, args: []*node{n}}
	}
	return n
}

// term reads an operand.
func (p *parser) term() *node {
	pos := p.pos
	n := &node{pos: pos}
	switch c := p.peek(); {
	case c == 0:
		p.fail(pos, "the expression ends too early")
	case c == '(':
		p.pos++
		if p.accept(")") {
			p.refuse(pos, "empty list ()")
			return n
		}
		n = p.expr(precOr)
		p.want(")")
	case c == '$':
		n.op, n.text = opVar, p.variable()
	case c == '\'':
		p.pos++
		n.op, n.text = opString, p.single(c)
	case c == '"':
		p.pos++
		return p.double(pos, c)
	case isDigit(c), c == '.' && isDigit(p.at(1)):
		n.op, n.num = opNumber, p.number()
	case isNameStart(c):
		return p.word()
	case c == '/':
		p.refuse(pos, "match of $_ (write $variable =~ /.../)")
	case c == '@':
		p.refuse(pos, "array "+firstWord(p.src[pos:]))
	case c == '%':
		p.refuse(pos, "hash "+firstWord(p.src[pos:]))
	case c == '&':
		p.refuse(pos, "subroutine call "+firstWord(p.src[pos:]))
	case c == '\\':
		p.refuse(pos, "reference \\")
	case c == '<':
		p.refuse(pos, "input operator <>")
	case c == '`':
		p.refuse(pos, "command in backquotes")
	case c == '[', c == '{':
		p.refuse(pos, "list or block in brackets")
	default:
		p.unexpected()
	}
	return n
}

// variable reads $name, with or without the package of the original's module.
func (p *parser) variable() string {
	pos := p.pos
	name, end := variableAt(p.src, pos)
	if name == "" {
		p.refuse(pos, "special variable "+special(p.src[pos:]))
		return ""
	}
	p.pos = end
	p.space()
	switch p.operator() {
	case "[":
		p.refuse(pos, "array element $"+name+"[...]")
	case "{":
		p.refuse(pos, "hash element $"+name+"{...}")
	}
	return name
}

// variableAt returns the name of the variable whose $ stands at i and where it
// ends; "" for anything else.
func variableAt(s string, i int) (name string, end int) {
	i++
	braced := i < len(s) && s[i] == '{'
	if braced {
		i++
	}
	for _, pack := range []string{"Cflow::", "main::", "::"} {
		if strings.HasPrefix(s[i:], pack) {
			i += len(pack)
			break
		}
	}
	if i >= len(s) || !isNameStart(s[i]) {
		return "", i
	}
	end = nameEnd(s, i)
	name = s[i:end]
	if braced {
		if end >= len(s) || s[end] != '}' {
			return "", i
		}
		end++
	}
	if name == "_" || strings.HasPrefix(s[end:], "::") {
		return "", i
	}
	return name, end
}

// special is what a message shows of a special variable.
func special(s string) string {
	end := 1
	switch {
	case end < len(s) && isName(s[end]):
		end = nameEnd(s, end)
	case end < len(s):
		end++
	}
	return s[:end]
}

// word reads what begins with a name.
func (p *parser) word() *node {
	pos := p.pos
	word := p.peekWord()
	n := &node{op: opCall, pos: pos, text: word}
	p.pos += len(word)
	if slices.Contains(quoteLike, word) {
		if closing, ok := p.delimiter(); ok {
			switch word {
			case "q":
				return &node{op: opString, pos: pos, text: p.single(closing)}
			case "qq":
				return p.double(pos, closing)
			case "m":
				p.refuse(pos, "match of $_ (write $variable =~ m/.../)")
			default:
				p.refuse(pos, word+"//")
			}
			return n
		}
	}
	switch word {
	case "my", "our":
		p.space()
		if p.peek() != '$' {
			p.refuse(pos, "list of variables behind "+word)
			return n
		}
		n.op, n.text = opMy, p.variable()
	case "print", "printf":
		p.printed(n)
	case "defined", "scalar", "localtime", "int", "abs", "length", "exit":
		p.argument(n)
	case "sprintf", "unpack", "pack", "inet_aton", "within":
		p.arguments(n)
	default:
		p.name(n, word)
	}
	return n
}

// name reports a word that is none of ours.
func (p *parser) name(n *node, word string) {
	if what, ok := statements[word]; ok {
		p.refuse(n.pos, what)
		return
	}
	if _, ok := constants()[word]; ok || variableNamed(word) != nil {
		p.fail(n.pos, "%s needs a $ before it", word)
		return
	}
	p.space()
	if p.peek() == '(' {
		p.refuse(n.pos, "function "+word+"()")
		return
	}
	p.refuse(n.pos, "word "+word)
}

// argument reads what a named unary operator takes.
func (p *parser) argument(n *node) {
	p.space()
	switch c := p.peek(); {
	case c == '(':
		p.pos++
		if !p.accept(")") {
			n.args = []*node{p.expr(precOr)}
			p.want(")")
		}
	case c == '$' || c == '"' || c == '\'' || c == '-' || c == '+' || isDigit(c) || c == '~' || c == '!':
		n.args = []*node{p.expr(precUniop + 1)}
	case isNameStart(c):
		if word := p.operator(); operators[word].prec == 0 && foreign[word] == "" && word != "if" && word != "unless" {
			n.args = []*node{p.expr(precUniop + 1)}
		}
	}
}

// arguments reads a list, with or without parentheses.
func (p *parser) arguments(n *node) {
	if p.accept("(") {
		if !p.accept(")") {
			p.list(n)
			p.want(")")
		}
		return
	}
	p.list(n)
}

// list reads operands separated by commas.
func (p *parser) list(n *node) {
	for p.err == nil {
		n.args = append(n.args, p.expr(precAssign))
		if !p.accept(",") {
			return
		}
		p.space()
		if c := p.peek(); c == 0 || c == ';' || c == ')' {
			return
		}
	}
}

// printed reads the stream and the list of print and printf.
func (p *parser) printed(n *node) {
	open := p.accept("(")
	p.space()
	switch word := p.peekWord(); word {
	case "STDERR", "STDOUT":
		p.pos += len(word)
		if word == "STDERR" {
			n.text += " STDERR"
		}
		p.space()
	}
	if c := p.peek(); c == '{' {
		p.refuse(n.pos, "print to a handle {...}")
		return
	}
	if c := p.peek(); c == 0 || c == ';' || c == ')' || p.operator() == "if" || p.operator() == "unless" {
		p.refuse(n.pos, "print of $_")
		return
	}
	p.list(n)
	if open {
		p.want(")")
	}
}
