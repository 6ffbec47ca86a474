package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"flowtools/internal/cdate"
)

// Env is all a tool sees of the world. Exec fills in what is left out: no input, output discarded, an empty environment, the
// real clock.
type Env struct {
	Prog   string   // last path component of argv[0]
	Arg0   string   // argv[0] as typed
	Args   []string // operands
	Argv   []string // arguments in the order getopt leaves them, argv[0] first
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Now    func() time.Time

	LookupEnv func(string) (string, bool)
	Dir       string            // what relative names are relative to; "" is the process's working directory
	Log       func(text string) // when set, messages go here and not to Stderr (syslog); text has no prefix

	spec  *Spec
	zone  *cdate.Zone
	out   *bufio.Writer
	said  atomic.Bool // a message was printed, by any goroutine
	start time.Time
}

// messageLimit is where a message is cut, roughly as the original's buffer does.
const messageLimit = 1000

// prepare fills in what a caller left out.
func (e *Env) prepare(s *Spec, arg0 string) {
	e.spec, e.Arg0 = s, arg0
	e.Prog = arg0[strings.LastIndexByte(arg0, '/')+1:]
	if e.Prog == "" {
		e.Prog = s.Name
	}
	if e.Stdin == nil {
		e.Stdin = strings.NewReader("")
	}
	if e.Stdout == nil {
		e.Stdout = io.Discard
	}
	if e.Stderr == nil {
		e.Stderr = io.Discard
	}
	if e.Now == nil {
		e.Now = time.Now
	}
	if e.LookupEnv == nil {
		e.LookupEnv = func(string) (string, bool) { return "", false }
	}
	e.start = e.Now()
}

// Warn prints one message, `PROG: text` on Stderr (or wherever Log sends it), cut at about 1000 bytes. It does not touch
// the exit status.
func (e *Env) Warn(format string, args ...any) { e.message(fmt.Sprintf(format, args...)) }

// WarnError is Warn for an error.
func (e *Env) WarnError(err error) { e.message(err.Error()) }

// Warned reports whether a message was printed: a failure that it explains needs none of its own.
func (e *Env) Warned() bool { return e.said.Load() }

func (e *Env) message(text string) {
	e.said.Store(true)
	if len(text) > messageLimit {
		text = text[:messageLimit]
	}
	if e.Log != nil {
		e.Log(text)
		return
	}
	e.stderr(e.Prog + ": " + text + "\n")
}

// stderr writes text in one piece, so that lines of several processes do not mix. There is nowhere to report a failure.
func (e *Env) stderr(text string) { _, _ = io.WriteString(e.Stderr, text) }

// Text is buffered standard output for text. It is flushed after Run, whatever Run returns; a failed write ends the program
// with a message and status 1 unless Run failed by itself.
func (e *Env) Text() *bufio.Writer {
	if e.out == nil {
		e.out = bufio.NewWriterSize(e.Stdout, 64<<10)
	}
	return e.out
}

// Path is the name to open for a file name given by the user: relative names are relative to Dir.
func (e *Env) Path(name string) string {
	if e.Dir == "" || name == "" || filepath.IsAbs(name) {
		return name
	}
	return e.Dir + "/" + name
}

// isTerminal reports whether w is a terminal.
func (e *Env) isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	// Not f.Fd(): it would make a non-blocking descriptor blocking.
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	if err := conn.Control(func(fd uintptr) { terminal = term.IsTerminal(int(fd)) }); err != nil {
		return false
	}
	return terminal
}
