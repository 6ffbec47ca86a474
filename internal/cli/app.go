package cli

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	urfave "github.com/urfave/cli/v2"
)

// option is one flag as urfave/cli and, below it, the standard flag package see it. urfave's own GenericFlag would do, but
// runs a regular expression over every name.
type option struct {
	names []string // one; a slice because urfave asks for it again and again
	bare  bool
	set   func(string) error
	seen  int
}

func (o *option) Apply(fs *flag.FlagSet) error { fs.Var(o, o.names[0], ""); return nil }
func (o *option) Names() []string              { return o.names }
func (o *option) IsSet() bool                  { return o.seen > 0 }
func (o *option) IsBoolFlag() bool             { return o.bare }

// String is part of both interfaces; the flag package calls it on a zero option, too.
func (o *option) String() string { return strings.Join(o.names, "") }

func (o *option) Set(v string) error {
	o.seen++
	if o.bare {
		v = "" // the flag package says "true"
	}
	return o.set(v)
}

// invocation is one run of a Spec.
type invocation struct {
	spec  *Spec
	env   *Env
	syn   syntax
	asked int   // times the usage was asked for
	stop  error // what ended the options
}

// builtin are the options every tool has besides its own.
func (in *invocation) builtin() []Flag {
	s := in.spec
	own := []Flag{
		{Long: "help", Set: func(string) error { return in.help(fullHelp, s.UsageExit) }},
		{Long: "version", Set: func(string) error { return in.show(s.Name + " (flowtools) " + version() + "\n") }},
		{Long: "man", Hidden: true, Set: func(string) error { return in.show(s.Man()) }},
		{Long: "completion", Arg: "shell", Hidden: true, Set: in.completion},
	}
	if s.helpLetter() {
		own = append(own, Flag{Letter: 'h', Many: true, Set: func(string) error { return in.help(shortHelp, s.HelpExit) }})
	}
	return own
}

// version is that of the module, as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
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
		return Fail(1, "no completion for %q: bash, zsh or fish", shell)
	}
	return in.show(script)
}

// help answers -h, --help and bad options.
func (in *invocation) help(what helpKind, code int) error {
	in.asked++
	if !in.spec.Persistent {
		in.env.usage(what)
		return Fail(code, "")
	}
	if in.asked > 1 && in.spec.MoreHelp != nil {
		in.spec.MoreHelp(in.env.usageStream(what))
	} else {
		in.env.usage(what)
	}
	return nil
}

// defect reports a command line error, a letter's in the words of getopt, and answers with the usage.
func (in *invocation) defect(value string) error {
	text := in.spec.BadOption
	kind, about := defect(value[0]), value[1:]
	if text == "" {
		text = in.env.Arg0 + ": " + kind.text(about)
	}
	text += "\n"
	if kind == invalidLong {
		if name := in.syn.nearest(about); name != "" {
			text += in.env.Prog + ": did you mean --" + name + "?\n"
		}
	}
	in.env.stderr(text)
	return in.help(badUsage, in.spec.UsageExit)
}

func (d defect) text(about string) string {
	switch d {
	case missingValue:
		return "option requires an argument -- '" + about + "'"
	case invalidLong:
		return "invalid option -- '-'" // there are no long options to getopt
	case missingLong:
		return "option '--" + about + "' requires an argument"
	case unwantedValue:
		return "option '--" + about + "' doesn't allow an argument"
	case ambiguousLong:
		return "option '--" + about + "' is ambiguous"
	}
	return "invalid option -- '" + about + "'"
}

// add makes a flag known to urfave and to the normaliser.
func (in *invocation) add(flags []urfave.Flag, f *Flag) []urfave.Flag {
	o := &option{names: []string{f.key()}, bare: f.Arg == ""}
	o.set = func(v string) error {
		if in.spec.Once && !f.Many && o.seen > 1 {
			in.env.stderr("Option `" + f.shown() + "': repeat not allowed\n")
			in.stop = in.help(badUsage, in.spec.UsageExit)
		} else {
			in.stop = f.Set(v)
		}
		return in.stop
	}
	a := valued
	if o.bare {
		a = bare
	}
	if f.Letter != 0 {
		in.syn.short[f.Letter] = a
	}
	if f.Long != "" {
		in.syn.long = append(in.syn.long, longOption{name: f.Long, key: f.key(), arity: a, exact: f.Hidden})
	}
	return append(flags, o)
}

// app builds the urfave application and tells the normaliser about its options.
func (in *invocation) app() *urfave.App {
	s := in.spec
	_, posix := in.env.LookupEnv("POSIXLY_CORRECT")
	in.syn.inOrder = posix || s.PyGetopt
	own := in.builtin()
	flags := make([]urfave.Flag, 0, len(s.Flags)+len(own)+1)
	for i := range s.Flags {
		flags = in.add(flags, &s.Flags[i])
	}
	for i := range own {
		flags = in.add(flags, &own[i])
	}
	flags = append(flags, &option{names: []string{defectKey}, set: func(v string) error {
		in.stop = in.defect(v)
		return in.stop
	}})
	return &urfave.App{
		Name:            s.Name,
		Usage:           s.Summary,
		ArgsUsage:       s.Operands,
		Flags:           flags,
		HideHelp:        true, // `flow-cat help` has to open a file of that name
		HideHelpCommand: true,
		HideVersion:     true,
		Compiled:        time.Unix(1, 0), // unset, urfave would stat the binary
		Reader:          in.env.Stdin,
		Writer:          io.Discard, // every text is ours
		ErrWriter:       io.Discard,
		ExitErrHandler:  func(*urfave.Context, error) {},
		OnUsageError: func(_ *urfave.Context, err error, _ bool) error {
			if in.stop != nil {
				return in.stop // err is the flag package's wording of it
			}
			return err
		},
		Action: func(c *urfave.Context) error { return in.run(c.Context) },
	}
}

// run is reached when the options are done.
func (in *invocation) run(ctx context.Context) error {
	s, env := in.spec, in.env
	if s.MaxOperands >= 0 && len(env.Args) > s.MaxOperands {
		return Fail(1, "Extra arguments starting with %s.", env.Args[s.MaxOperands])
	}
	if in.asked > 0 {
		return Fail(s.HelpExit, "")
	}
	return s.Run(ctx, env)
}

// Exec runs a tool in this process and returns its exit status. argv begins with argv[0]. Signals are left alone.
func Exec(ctx context.Context, s *Spec, env *Env, argv []string) int {
	if len(argv) == 0 {
		argv = []string{s.Name}
	}
	env.prepare(s, argv[0])
	in := &invocation{spec: s, env: env}
	app := in.app()
	line := normalise(argv[1:], &in.syn)
	env.Args = line.operands
	env.Argv = append([]string{argv[0]}, line.argv...)
	flags := line.flags
	if s.PyGetopt && line.bad != nil {
		flags = line.bad
	}

	// Operands stay behind: urfave would take them for names of commands.
	err := app.RunContext(ctx, append([]string{argv[0]}, flags...))
	if env.out != nil {
		if flushed := env.out.Flush(); err == nil {
			err = flushed
		}
	}
	env.report(err)
	return exitStatus(err)
}

// report prints the error a run returned: every line of it is a message, so the causes joined to an error come first.
func (e *Env) report(err error) {
	if err == nil {
		return
	}
	for text := range strings.SplitSeq(err.Error(), "\n") {
		if text != "" {
			e.message(text)
		}
	}
	var u *usageError
	if errors.As(err, &u) {
		e.usage(badUsage)
	}
}

// Main runs a tool as this process and never returns.
func Main(s *Spec) {
	ctx := notify(s)
	env := &Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now, LookupEnv: os.LookupEnv}
	os.Exit(Exec(ctx, s, env, os.Args))
}
