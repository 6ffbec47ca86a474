package flowexpr

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/expr-lang/expr"

	"flowtools/pkg/flow"
)

// plain evaluates an expression in expr-lang with the library alone: every
// variable is a value in a map.
func plain(l *flow.Layout, r flow.Record, text string) (any, error) {
	s := &state{layout: l, rec: r}
	p, err := Compile(Source{}, Options{})
	if err != nil {
		return nil, err
	}
	s.zone, s.clock = p.state.zone, p.state.clock
	env := (&unit{functions: s.functions()}).env()
	for i := range variables {
		v := &variables[i]
		switch {
		case v.text != nil:
			env[v.name] = string(v.text(s, nil))
		case v.ratio != nil:
			env[v.name] = v.ratio(l, r)
		case v.number != nil:
			env[v.name] = int(v.number(l, r))
		default:
			env[v.name] = int(l.Uint(r, v.field))
		}
	}
	// Not optimized: the library divides constants by zero where nobody asks for the result.
	program, err := expr.Compile(text, expr.Env(env), expr.DisableBuiltin("now"), expr.Optimize(false))
	if err != nil {
		return nil, err
	}
	v, err := expr.Run(program, env)
	if inner := errors.Unwrap(err); inner != nil {
		err = inner
	}
	return v, err
}

// isTrue is the truth of a result.
func isTrue(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		return truth(v), nil
	case nil:
		return false, nil
	}
	if x := reflect.ValueOf(v); x.CanInt() || x.CanFloat() {
		return !x.IsZero(), nil
	}
	return false, fmt.Errorf("%T", v)
}

// checkFused compares what Compile made of an expression with the library alone;
// compared is false where that cannot be done.
func checkFused(t *testing.T, l *flow.Layout, r flow.Record, text string) (compared bool) {
	t.Helper()
	var out bytes.Buffer
	p, err := Compile(Source{Each: text}, Options{Stdout: &out, Stderr: &out})
	if err != nil || p.each.text == "" {
		return false
	}
	p.Use(l)
	native := p.each.text
	got, gotErr := p.Match(append(flow.Record(nil), r...))
	for _, word := range []string{"set_", "get_", "print", "warn", "exit", "format", "text"} {
		if strings.Contains(native, word) {
			return false
		}
	}
	v, err := plain(l, r, native)
	want, wantErr := false, err
	if err == nil {
		want, wantErr = isTrue(v)
	}
	if got != want || (gotErr != nil) != (wantErr != nil) {
		t.Fatalf("%s\n%s\n%v, %v; the library says %v, %v", text, native, got, gotErr, want, wantErr)
	}
	return true
}

func TestFused(t *testing.T) {
	l, r := sample(t, tcpFlow)
	g := generator{rand.New(rand.NewPCG(5, 6))}
	compared := 0
	for range 1500 {
		if checkFused(t, l, r, "$tos; "+g.truth(4)) {
			compared++
		}
	}
	if compared < 1000 {
		t.Errorf("%d compared", compared)
	}
}

func FuzzCompile(f *testing.F) {
	for _, e := range benchmarks {
		f.Add(e.text)
	}
	for _, text := range []string{
		"", ";", "$n-- || exit", `print "a$srcip\x{41}${dstport}\n" if $x = 5; $y .= q{a{b}c}`, "my $x; $x **= 2; -$x", "printf('%5.2f%%', $bytes / 3)",
		"any([srcport, dstport], # in 50..60)", "let x = bytes; x > 5 ? localtime contains '2' : within(srcip, '10.0.0.0/8')", "$srcip !~ m[^[]a]]$]i", "1..5", "0x",
		"unpack('N', inet_aton('1.2.3.4')) == $srcaddr", "$srcport << 70 >> -1", "$n = $n + ($n ? 'x' : 1)", "${", "$", "'", "=~ /", "bytes in {'a': 1}",
		"all(1..300, all(1..300, # > 0))", "$a = $b; $b = $a; $a", "${srcport}xor$dstport", "$x{", "let srcport = 1; srcport", "srcport.foo", "::len(srcip)", "repeat(srcip, 1000000)",
		"any([sort], 0 in 00..0)", "0>0>0>0>0*0%0",
	} {
		f.Add(text)
	}
	l, r := sample(f, tcpFlow)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "..") && strings.Count(text, "(") > 3 {
			return // loops in loops take their time, as they would in any language
		}
		checkFused(t, l, r, text)
	})
}
