// Package config is the language that filter, tag, xlate, mask and report files
// share: lines of words, @variables, sections opened by keywords, and the number,
// address and list words. A file kind is a Grammar, a table with one row per
// keyword; see the example of Grammar.
package config

import (
	"fmt"
	"io"
	"os"
	"strings"

	"flowtools/internal/clib"
)

// A Section is a set of the sections of a grammar, which numbers its own from
// 1<<0 up.
type Section uint32

// A Keyword is one row of a grammar.
type Keyword[S any] struct {
	Name string
	// In has the sections the keyword is valid in; 0 is everywhere, also before
	// the first section. Two rows may share a name if their sections differ.
	In Section
	// Opens is the section that begins with this line; 0 stays in the current one.
	Opens Section
	// Run takes the words of the line it knows; what it leaves is an error, and so
	// is any failure it latches in the line. It goes on with zero values behind a
	// failure: the load ends when it returns.
	Run func(s *S, l *Line)
}

// A Grammar is the keyword table of one kind of file; S is the state its rows
// build.
type Grammar[S any] []Keyword[S]

// Options says how a file is read.
type Options struct {
	Vars   Vars // values of @variables
	NoVars bool // @ is an ordinary character: no variables in this file
	// MaxLine is the longest line, after substitution, that is read; a longer one
	// ends the file there with a warning. 0 is no limit.
	MaxLine int
	Warn    func(error)   // takes warnings; nil drops them
	Resolve clib.Resolver // resolves host names; nil knows none
}

// ReportMaxLine is the MaxLine of report files.
//
// Compat: a line of 1023 bytes or more ends a report file with a warning.
const ReportMaxLine = 1022

// Limits against files that are no configuration: devices, and variables that
// multiply.
const (
	maxFile = 16 << 20
	maxLine = 16 << 20
)

// A Pos is a place in a file.
type Pos struct {
	File string
	Line int
}

// Errorf returns an *Error at p.
func (p Pos) Errorf(format string, args ...any) error {
	return &Error{Pos: p, Msg: fmt.Sprintf(format, args...)}
}

// An Error is something wrong with a line.
type Error struct {
	Pos
	Msg string
}

func (e *Error) Error() string { return fmt.Sprintf("%s line %d: %s", e.File, e.Line, e.Msg) }

// A Ref is a name used before it may be defined, with the place to complain
// about.
type Ref struct {
	Pos
	Name string
}

// Load reads the file at path whole, pipes too, and returns what parse makes of
// it: the Parse of one kind of file.
func Load[F, O any](path string, opt O, parse func(path string, text []byte, opt O) (F, error)) (F, error) {
	text, err := readFile(path)
	if err != nil {
		var none F
		return none, err
	}
	return parse(path, text, opt)
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: file too large", path)
	}
	return data, nil
}

// Parse reads a text into s; file names it in messages. The error is an *Error
// unless a row failed its line with another one.
func (g Grammar[S]) Parse(file string, text []byte, opt Options, s *S) error {
	l := &Line{Pos: Pos{File: file}, opt: &opt}
	var section Section
	for rest := string(text); rest != ""; {
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		l.Line++
		if !opt.NoVars {
			var err error
			if line, err = opt.Vars.Expand(line); err != nil {
				return l.Errorf("%v.", err)
			}
		}
		if opt.MaxLine > 0 && len(line) > opt.MaxLine {
			l.Warnf("Line too long, the rest of the file is ignored.")
			return nil
		}
		l.text, l.more = line, true
		word, ok := l.next()
		if !ok || word[0] == '#' {
			continue
		}
		k := g.find(word, section)
		if k == nil {
			return l.unexpected(word, strings.Join(g.valid(section), ", "))
		}
		if k.Opens != 0 {
			section = k.Opens
		}
		k.Run(s, l)
		if l.err == nil {
			if word, ok := l.next(); ok {
				l.err = l.unexpected(word, "the end of the line")
			}
		}
		if l.err != nil {
			return l.err
		}
	}
	return nil
}

func (k *Keyword[S]) validIn(section Section) bool { return k.In == 0 || k.In&section != 0 }

func (g Grammar[S]) find(word string, section Section) *Keyword[S] {
	for i := range g {
		if k := &g[i]; k.validIn(section) && clib.EqualFold(k.Name, word) {
			return k
		}
	}
	return nil
}

func (g Grammar[S]) valid(section Section) []string {
	var names []string
	for i := range g {
		if g[i].validIn(section) {
			names = append(names, g[i].Name)
		}
	}
	return names
}
