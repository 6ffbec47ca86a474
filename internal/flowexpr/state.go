package flowexpr

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"strconv"

	"flowtools/internal/cdate"
	"flowtools/internal/dumper"
	"flowtools/pkg/flow"
)

// state is what the functions of compiled expressions see: the current record.
type state struct {
	layout  *flow.Layout
	rec     flow.Record
	zone    *cdate.Zone
	clock   *dumper.Clock
	stdout  io.Writer
	stderr  io.Writer
	scratch []byte // text of a variable
	digits  [24]byte
}

// Exit is the error of an expression that called exit.
type Exit struct{ Code int }

func (e *Exit) Error() string { return "exit " + strconv.Itoa(e.Code) }

var (
	errDivision = errors.New("Illegal division by zero")
	errModulus  = errors.New("Illegal modulus zero")
	errRange    = errors.New("a number is too large to be cut to an integer")
)

// function is one that expressions can call.
type function struct {
	fn any
	// pure ones neither panic nor do anything but return a value.
	pure bool
}

// functions are what expressions can call besides the library's own: what Perl's
// operators need that expr-lang does not have, and within. Failures are panics
// with an error, which the library's machine returns from its run.
func (s *state) functions() map[string]function {
	return map[string]function{
		"exit":      {fn: func(code int) bool { panic(&Exit{code & 0xff}) }},
		"print":     {fn: func(text string) bool { return s.print(s.stdout, text) }},
		"print_int": {fn: s.printInt},
		"warn":      {fn: func(text string) bool { return s.print(s.stderr, text) }},
		"itoa":      {fn: strconv.Itoa, pure: true},
		"utoa":      {fn: func(v int) string { return strconv.FormatUint(uint64(v), 10) }, pure: true},
		"ftoa":      {fn: func(v float64) string { return string(appendReal(nil, v)) }, pure: true},
		"truth":     {fn: truth, pure: true},
		"real":      {fn: func(v int) float64 { return float64(v) }, pure: true},
		"unsigned":  {fn: func(v int) float64 { return float64(uint64(v)) }, pure: true},
		"trunc":     {fn: trunc},
		"fint":      {fn: math.Trunc, pure: true},
		"length":    {fn: func(text string) int { return len(text) }, pure: true},
		"iabs":      {fn: func(v int) int { return max(v, -v) }, pure: true},
		"fabs":      {fn: math.Abs, pure: true},
		"shl":       {fn: func(v, n int) int { return shift(v, n, true) }, pure: true},
		"shr":       {fn: func(v, n int) int { return shift(v, n, false) }, pure: true},
		"ctime":     {fn: func(sec int) string { return s.zone.Ctime(int64(sec)) }, pure: true},
		"nonzero":   {fn: nonzero},
		"mod":       {fn: mod},
		"umod":      {fn: umod},
		"within":    {fn: within},
	}
}

// print is Perl's print: a failed write ends the run.
func (s *state) print(w io.Writer, text string) bool {
	if _, err := io.WriteString(w, text); err != nil {
		panic(err)
	}
	return true
}

func (s *state) printInt(v int) bool { return s.write(strconv.AppendInt(s.digits[:0], int64(v), 10)) }

func (s *state) write(p []byte) bool {
	if _, err := s.stdout.Write(p); err != nil {
		panic(err)
	}
	return true
}

// appendReal writes a number as Perl does, %.15g, but for whole numbers that Perl
// would have kept as integers.
func appendReal(dst []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(dst, "Inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-Inf"...)
	case v != v:
		return append(dst, "NaN"...)
	case v == 0:
		return append(dst, '0') // and not -0
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return strconv.AppendInt(dst, int64(v), 10)
	}
	return strconv.AppendFloat(dst, v, 'g', 15, 64)
}

// truth is Perl's of a string.
func truth(s string) bool { return s != "" && s != "0" }

// trunc cuts toward zero. Beyond 2**53 a real may be what Perl has as an integer,
// and lacks digits of it: better an error than something else.
func trunc(v float64) int {
	if !(math.Abs(v) <= 1<<53) {
		panic(errRange)
	}
	return int(v)
}

// nonzero is a divisor.
func nonzero(v float64) float64 {
	if v == 0 {
		panic(errDivision)
	}
	return v
}

// mod is Perl's %: the result has the sign of the right side.
func mod(a, b int) int {
	switch b {
	case 0:
		panic(errModulus)
	case -1:
		return 0 // math.MinInt % -1 included
	}
	m := a % b
	if m != 0 && (m < 0) != (b < 0) {
		m += b
	}
	return m
}

// umod is mod of an unsigned number by one that is not negative.
func umod(a, b int) int {
	if b == 0 {
		panic(errModulus)
	}
	return int(uint64(a) % uint64(b))
}

// shift moves 64 bits; beyond them nothing is left, and less than no places is
// the other way.
func shift(v, n int, left bool) int {
	if n < 0 {
		left, n = !left, -n
	}
	switch {
	case n < 0 || n > 63:
		return 0
	case left:
		return int(uint64(v) << n)
	}
	return int(uint64(v) >> n)
}

// within reports whether the address ip lies in a prefix such as 10.0.0.0/8; a
// prefix without length is one address.
func within(ip, prefix string) bool {
	p, err := parsePrefix(prefix)
	if err != nil {
		panic(err)
	}
	a, err := netip.ParseAddr(ip)
	return err == nil && p.Contains(a)
}

// parsePrefix reads an IPv4 prefix or address.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return netip.PrefixFrom(a, 32), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() {
		return p, fmt.Errorf("%q is no prefix such as 10.0.0.0/8", s)
	}
	return p, nil
}

// parseQuad reads an address written as the variables write it.
func parseQuad(s string) (uint32, bool) {
	a, err := netip.ParseAddr(s) // strict: no leading zeros, four octets
	if err != nil || !a.Is4() {
		return 0, false
	}
	return quad(a), true
}

func quad(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
