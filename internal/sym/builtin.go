package sym

import (
	"embed"
	"sync"
)

//go:generate go run ./gen

//go:embed builtin/*.sym
var builtinFiles embed.FS

var builtins sync.Map // name -> *Table

// Builtin returns the table used when no file is installed: protocols and ports
// as the IANA registers them (from Debian's netbase, see gen), the address types,
// and nothing for AS numbers and tags. Tables are read on first use.
func Builtin(name string) *Table {
	if t, ok := builtins.Load(name); ok {
		return t.(*Table)
	}
	t := &Table{}
	if data, err := builtinFiles.ReadFile("builtin/" + name); err == nil {
		if parsed, err := parse(string(data)); err == nil {
			t = parsed
		}
	}
	actual, _ := builtins.LoadOrStore(name, t)
	return actual.(*Table)
}
