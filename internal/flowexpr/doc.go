// Package flowexpr evaluates the expressions of flowdumper over flow records.
//
// The language is that of github.com/expr-lang/expr with a name for every fact of
// a flow. Expressions in Perl, which the original took, are translated to it: a
// parser of a subset of Perl infers types and writes the same thing in
// expr-lang; what it cannot say the same it refuses by name. Compile then has the
// library compile the text, and replaces what most expressions consist of -
// comparisons of a field with constants - by closures, so that neither a value
// nor anything else is allocated for them.
package flowexpr
