package config

import (
	"fmt"
	"strings"

	"flowtools/internal/clib"
)

// Names is one name space of a file: its primitives, definitions or actions by
// name, compared without regard to ASCII case, in file order. The zero value is
// empty.
type Names[T any] struct {
	list  []*T
	names []string // as written
	index map[string]*T
}

// Define takes the name of a new thing from the line and returns the thing, zero
// and never nil; a name used before is a failure. what says in messages what it
// is.
func (n *Names[T]) Define(l *Line, what string) (name string, v *T) {
	name = l.Word(what + " name")
	v = new(T)
	if _, ok := n.Find(name); ok {
		l.Failf("The %s %q is defined twice.", what, name)
		return name, v
	}
	if n.index == nil {
		n.index = make(map[string]*T)
	}
	n.index[clib.Fold(name)] = v
	n.list = append(n.list, v)
	n.names = append(n.names, name)
	return name, v
}

// Find returns the thing of a name.
func (n *Names[T]) Find(name string) (v *T, ok bool) {
	v, ok = n.index[clib.Fold(name)]
	return v, ok
}

// Get is Find for a name the user asked for: the error says that file has no such
// thing, and what it has. what says what the thing is.
func (n *Names[T]) Get(file, what, name string) (*T, error) {
	v, ok := n.Find(name)
	switch {
	case ok:
		return v, nil
	case len(n.names) == 0:
		return nil, fmt.Errorf("%s: no %s %q, it has none", file, what, name)
	}
	return nil, fmt.Errorf("%s: no %s %q, only %s", file, what, name, strings.Join(n.names, ", "))
}

// All returns the things in file order.
func (n *Names[T]) All() []*T { return n.list }

// An Include keeps the file of one include directive: read when the first line
// needs it, and once.
type Include[T any] struct {
	path  string
	named bool
	value T
	done  bool
}

// NewInclude returns an Include that reads path unless a directive names another
// file.
func NewInclude[T any](path string) Include[T] { return Include[T]{path: path} }

// Directive takes the PATH of the directive, which may come once. Behind the
// first use of the file it changes nothing.
func (i *Include[T]) Directive(l *Line) {
	path := l.Word("file name")
	if i.named {
		l.Failf("The file is included already: %s.", i.path)
		return
	}
	i.path, i.named = path, true
}

// Use returns what load makes of the file; its error fails the line as it is.
func (i *Include[T]) Use(l *Line, load func(path string) (T, error)) T {
	if !i.done && !l.Failed() {
		v, err := load(i.path)
		if err != nil {
			l.Fail(err)
			return v
		}
		i.value, i.done = v, true
	}
	return i.value
}
