package cli

import (
	"io"
	"os"
)

// Meter shows how far a run got. The one that draws is progress.Bar, in a package of its own: only tools that show progress
// link it, and with it the libraries it needs.
type Meter interface {
	Add(n int64) // n more units are done
	Done()       // removes the display
}

// ProgressFunc makes a Meter drawing on w; total is -1 when unknown.
type ProgressFunc func(w io.Writer, what string, total int64) Meter

// Progress returns a meter for total units of what, -1 when unknown. It draws only if the Spec has a Progress function and
// standard error is a terminal that nobody else is likely to write to: not when standard output is a pipe, whose reader may
// print to the same terminal. Otherwise it is a no-op.
func (e *Env) Progress(what string, total int64) Meter {
	if e.spec.Progress == nil || !e.IsTerminal(e.Stderr) || isPipe(e.Stdout) {
		return idle{}
	}
	return e.spec.Progress(e.Stderr, what, total)
}

func isPipe(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

type idle struct{}

func (idle) Add(int64) {}
func (idle) Done()     {}
