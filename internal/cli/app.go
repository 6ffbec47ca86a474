package cli

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"
)

// option is one flag as urfave/cli and, below it, the standard flag package see it. GenericFlag would do, but runs a regular
// expression over every name.
type option struct {
	name string
	bare bool
	set  func(string) error
	seen int
}

func (o *option) Apply(fs *flag.FlagSet) error { fs.Var(o, o.name, ""); return nil }
func (o *option) Names() []string              { return []string{o.name} }
func (o *option) IsSet() bool                  { return o.seen > 0 }
func (o *option) IsBoolFlag() bool             { return o.bare }
func (o *option) String() string               { return o.name }

func (o *option) Set(v string) error {
	o.seen++
	return o.set(v)
}

// invocation is one run of a Spec.
type invocation struct {
	spec  *Spec
	env   *Env
	asked int   // times the usage was asked for
	stop  error // what ended the options
}

// key is the name of a flag inside the parser.
func (f *Flag) key() string {
	if f.Letter != 0 {
		return string([]byte{f.Letter})
	}
	return f.Long
}

func (f *Flag) arity() arity {
	if f.Arg == "" {
		return bare
	}
	return valued
}

// shown is how messages and help spell a flag.
func (f *Flag) shown() string {
	if f.Letter != 0 {
		return "-" + f.key()
	}
	return "--" + f.Long
}

// builtin are the options every tool has.
func (in *invocation) builtin() []Flag {
	own := []Flag{
		{Long: "help", Help: "print this help", Set: func(string) error { return in.help(fullHelp, in.spec.UsageExit) }},
		{Long: "man", Hidden: true, Help: "print the manual page", Set: func(string) error { return in.show(in.spec.Man()) }},
		{Long: "completion", Arg: "shell", Hidden: true, Help: "print a completion script", Set: in.completion},
	}
	if !in.spec.NoHelp && !in.spec.has('h') {
		own = append(own, Flag{Letter: 'h', Many: true, Set: func(string) error { return in.help(shortHelp, in.spec.HelpExit) }})
	}
	return own
}

func (s *Spec) has(letter byte) bool {
	for i := range s.Flags {
		if s.Flags[i].Letter == letter {
			return true
		}
	}
	return false
}

// show prints a generated text and ends the run.
func (in *invocation) show(text string) error {
	if _, err := io.WriteString(in.env.Stdout, text); err != nil {
		return err
	}
	return Fail(0, "")
}

func (in *invocation) completion(shell string) error {
	script, ok := in.spec.Completion(shell)
	if !ok {
		return Fail(1, "no completion for shell %q: bash, zsh or fish", shell)
	}
	return in.show(script)
}

// help answers -h, --help and, with what == badUsage, a bad option.
func (in *invocation) help(what helpKind, code int) error {
	in.asked++
	if in.spec.Persistent {
		if in.asked > 1 && in.spec.MoreHelp != nil {
			in.spec.MoreHelp(in.env.usageStream(what))
		} else {
			in.env.usage(what)
		}
		return nil
	}
	in.env.usage(what)
	return Fail(code, "")
}

// defect reports a command line error as getopt words it.
func (in *invocation) defect(what string) error {
	text := in.spec.BadOption
	if text == "" {
		detail := what[1:]
		switch defect(what[0]) {
		case invalidOption:
			text = "invalid option -- '" + detail + "'"
		case missingValue:
			text = "option requires an argument -- '" + detail + "'"
		case missingLong:
			text = "option '--" + detail + "' requires an argument"
		case unwantedValue:
			text = "option '--" + detail + "' doesn't allow an argument"
		case ambiguousLong:
			text = "option '" + detail + "' is ambiguous"
		}
		text = in.env.Arg0 + ": " + text
	}
	io.WriteString(in.env.Stderr, text+"\n")
	return in.help(badUsage, in.spec.UsageExit)
}

// app builds the urfave application and what the normaliser has to know about its options.
func (in *invocation) app() (*urfave.App, *syntax) {
	syn := &syntax{inOrder: in.spec.NoPermute}
	if _, set := in.env.LookupEnv("POSIXLY_CORRECT"); set {
		syn.inOrder = true
	}
	own := in.builtin()
	flags := make([]urfave.Flag, 0, len(in.spec.Flags)+len(own)+1)
	add := func(f *Flag, exact bool) {
		o := &option{name: f.key(), bare: f.arity() == bare}
		o.set = func(v string) error {
			if o.bare {
				v = ""
			}
			in.stop = in.set(f, o, v)
			return in.stop
		}
		flags = append(flags, o)
		if f.Letter != 0 {
			syn.short[f.Letter] = f.arity()
		}
		if f.Long != "" {
			syn.long = append(syn.long, longOption{name: f.Long, key: f.key(), arity: f.arity(), exact: exact})
		}
	}
	for i := range in.spec.Flags {
		add(&in.spec.Flags[i], false)
	}
	for i := range own {
		add(&own[i], own[i].Hidden)
	}
	flags = append(flags, &option{name: defectKey, set: func(v string) error {
		in.stop = in.defect(v)
		return in.stop
	}})
	return &urfave.App{
		Name:            in.spec.Name,
		Usage:           in.spec.Summary,
		ArgsUsage:       in.spec.Operands,
		Flags:           flags,
		HideHelp:        true, // `flow-cat help` opens a file of that name
		HideHelpCommand: true,
		HideVersion:     true,
		Compiled:        time.Unix(0, 0), // unset, urfave would stat the binary
		Reader:          in.env.Stdin,
		Writer:          io.Discard, // all text is ours
		ErrWriter:       io.Discard,
		ExitErrHandler:  func(*urfave.Context, error) {},
		OnUsageError: func(_ *urfave.Context, err error, _ bool) error {
			if in.stop != nil {
				return in.stop
			}
			return err
		},
		Action: in.run,
	}, syn
}

// set hands a value to its flag.
func (in *invocation) set(f *Flag, o *option, v string) error {
	if in.spec.Once && !f.Many && o.seen > 1 {
		io.WriteString(in.env.Stderr, "Option `"+f.shown()+"': repeat not allowed\n")
		return in.help(badUsage, in.spec.UsageExit)
	}
	return f.Set(v)
}

// run is reached when all options were good.
func (in *invocation) run(c *urfave.Context) error {
	s, env := in.spec, in.env
	if n := len(env.Args); s.MaxOperands >= 0 && n > s.MaxOperands {
		return Fail(1, "Extra arguments starting with %s.", env.Args[s.MaxOperands])
	}
	if s.Persistent && in.asked > 0 {
		return Fail(s.HelpExit, "")
	}
	return s.Run(c.Context, env)
}

// Exec runs a tool in this process and returns its exit status. argv includes argv[0]. Signals are left alone.
func Exec(ctx context.Context, s *Spec, env *Env, argv []string) int {
	if len(argv) == 0 {
		argv = []string{s.Name}
	}
	env.prepare(s, argv[0])
	in := &invocation{spec: s, env: env}
	app, syn := in.app()
	line := normalise(argv[1:], syn)
	env.Args = line.operands
	env.Argv = append([]string{argv[0]}, line.argv...)

	err := app.RunContext(ctx, append(append([]string{argv[0]}, line.flags...), "--"))
	if env.out != nil {
		if flushed := env.out.Flush(); flushed != nil && err == nil {
			err = flushed
		}
	}
	return env.finish(err)
}

// finish prints what a run returned and picks the exit status.
func (e *Env) finish(err error) int {
	var (
		f *failure
		u *usageError
	)
	code := ExitStatus(err)
	switch {
	case err == nil:
	case errors.As(err, &u):
		e.usage(badUsage)
	case errors.As(err, &f) && f.err == nil:
	default:
		for text := range strings.SplitSeq(err.Error(), "\n") {
			e.message(text)
		}
	}
	return code
}

// Main runs a tool as the process: it never returns.
func Main(s *Spec) {
	ctx, stop := signals(s)
	env := &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now, LookupEnv: os.LookupEnv}
	code := Exec(ctx, s, env, os.Args)
	stop()
	os.Exit(code)
}
