// Package cli turns the description of a tool, a Spec, into a program: command line, messages, exit statuses, help,
// manual page and shell completion. Tools see only their Env.
//
// Options behave as glibc's getopt(3) has them, whatever the library underneath would rather do: flags bundle, values are glued or
// apart, operands stand anywhere, everything acts in the order typed, and the first thing wrong stops. Long options are added
// to that. The exit statuses of the usage differ between the tools, as scripts expect. This package and cmd are the only places
// that touch os.Args, os.Stdin, os.Stdout, os.Stderr and os.Exit.
package cli

import (
	"context"
	"io"
	"os"

	"flowtools/internal/clib"
)

// Spec describes one tool. Tool packages export a function returning a fresh Spec whose flags are bound to a fresh options
// struct: a Spec serves one run.
type Spec struct {
	Name     string   // "flow-cat"
	Summary  string   // one line for help, manual page and completion: lower case, no stop
	Usage    []string // synopsis lines after "Usage: NAME "; nil: made from Flags and Operands
	Operands string   // "[file|directory|- ...]"; "" when none are taken
	Flags    []Flag   // in the order of the help; -h is added unless NoHelp is set or a flag takes the letter

	MaxOperands int // one more is `Extra arguments starting with X.`, status 1; -1: any number
	HelpExit    int // status of -h
	UsageExit   int // status after an unknown option or a missing value

	Stdout     bool              // all usage text goes to standard output (fprobe)
	HelpStdout bool              // -h prints the bare usage lines on standard output; a bad option on standard error (the former Python scripts)
	NoHelp     bool              // -h is no option here: it is an unknown one (flow-filter)
	PyGetopt   bool              // options as Python's getopt has them: the first operand ends them, and a bad one anywhere stops the program before any of them acts
	Persistent bool              // -h and bad options print the usage and parsing goes on; after the check of operands status HelpExit (flow-stat, flow-report)
	MoreHelp   func(w io.Writer) // with Persistent: what the second and each later -h or bad option prints in place of the usage
	Once       bool              // options may not be repeated, but for those marked Many (fprobe)
	BadOption  string            // message for any bad option in place of getopt's ("Wrong parameters", fprobe)

	IgnoreSIGPIPE bool        // writing to a closed pipe is an error, not death
	Signals       []os.Signal // each cancels the context of Run, its name being the cause; one half a second later kills

	Description string    // manual page: text
	Notes       string    // after the options in help and manual page: text
	Examples    []Example // help and manual page
	ExitText    string    // manual page, exit status: text
	Files       []string  // manual page: "NAME" or "NAME: what it is"
	Environment []string  // manual page, likewise: EnvTZ, EnvSysconf, ...
	SeeAlso     []string  // manual page: "flow-print(1)"

	Run func(ctx context.Context, env *Env) error
}

// Example is a command line and what it does.
type Example struct {
	Command string
	Text    string
}

// Flag is one option.
type Flag struct {
	Letter byte   // 0: long form only
	Long   string // our additions to the original's letters; "" for none
	Arg    string // name of the value in help; "" when the option takes none
	Help   string
	Set    func(value string) error // called in command line order; an error ends the run (status 1 or that of Fail)
	Hidden bool                     // accepted, not shown
	Files  bool                     // the value is a path, for completion
	Values []string                 // the values there are, for completion
	Many   bool                     // may be repeated where Spec.Once forbids it
}

// Bool is an option without value that sets *p.
func Bool(letter byte, long string, p *bool, help string) Flag {
	return Flag{Letter: letter, Long: long, Help: help, Set: func(string) error { *p = true; return nil }}
}

// Count is an option without value that adds one to *p.
func Count(letter byte, long string, p *int, help string) Flag {
	return Flag{Letter: letter, Long: long, Help: help, Many: true, Set: func(string) error { *p++; return nil }}
}

// Int is an option whose value goes through C's atoi: never an error, 0 without digits, trailing text ignored.
func Int(letter byte, long, arg string, p *int, help string) Flag {
	return Flag{Letter: letter, Long: long, Arg: arg, Help: help, Set: func(s string) error { *p = int(clib.Atoi(s)); return nil }}
}

// Text is an option with any text as value.
func Text(letter byte, long, arg string, p *string, help string) Flag {
	return Flag{Letter: letter, Long: long, Arg: arg, Help: help, Set: func(s string) error { *p = s; return nil }}
}

// File is Text for a path.
func File(letter byte, long, arg string, p *string, help string) Flag {
	f := Text(letter, long, arg, p, help)
	f.Files = true
	return f
}

// Func is an option handled by set; with arg "" set gets "".
func Func(letter byte, long, arg string, set func(string) error, help string) Flag {
	return Flag{Letter: letter, Long: long, Arg: arg, Help: help, Set: set}
}

// Refused is a hidden option that the original's parser accepts and then answers with the usage and status 1; arg "" takes no value.
func Refused(letter byte, arg string) Flag {
	return Flag{Letter: letter, Arg: arg, Hidden: true, Set: func(string) error { return Usage(1) }}
}
