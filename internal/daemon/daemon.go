// Package daemon is what programs that stay need from the system: detaching
// from the terminal, logging that never makes the caller wait, pid files,
// giving up privileges, and socket buffers.
package daemon

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"flowtools/internal/cli"
)

// envDetached tells a process that it is the detached copy; its value is the
// pid of the process that started it. Descriptor readyFD is then a pipe on
// which that process waits.
const (
	envDetached = "FLOWTOOLS_DETACHED"
	readyFD     = 3
)

// Options say how a daemon starts.
type Options struct {
	Detach bool
	Umask  int      // of the detached process; negative leaves it alone
	Syslog Facility // where a detached process logs
	Tag    string   // of its log lines; "" is the program's name
	Stdin  bool     // a detached process keeps its standard input
	Root   bool     // a detached process changes to /; relative names stay what they were, see cli.Env.Dir
}

// Daemon is a process that stays, detached or not.
type Daemon struct {
	env      *cli.Env
	detached bool
	stdin    bool // standard input stays
	log      *Log
	ready    *os.File // the starting process waits for a byte here; nil when nobody does
	early    []string // messages so far, for the terminal in case the start fails
}

// Start makes a daemon of this process. With Detach, the process that the user
// started runs a copy of itself, with the same arguments, in a session of its
// own (Go programs cannot fork), waits until that copy calls Ready or ends, and
// Start returns an error there that ends it with the right status: 0, or that of
// the copy, whose messages have then been shown. The copy comes back from Start
// with a Daemon and still has the standard error and, without Root, the working
// directory of the user, so that whatever goes wrong before Ready is seen.
//
// From here on env.Log takes the messages: to syslog, or without Detach to
// standard error, in either case without waiting.
func Start(env *cli.Env, o Options) (*Daemon, error) {
	d := &Daemon{env: env}
	if !o.Detach {
		prefix, w := env.Prog+": ", env.Stderr
		d.log = NewLog(func(_ Severity, text string) error {
			_, err := io.WriteString(w, prefix+text+"\n")
			return err
		})
		env.Log = func(text string) { d.log.Print(Info, text) }
		return d, nil
	}
	if d.ready = inherited(env); d.ready == nil {
		return nil, start(env, o.Stdin)
	}
	if o.Root {
		if err := toRoot(env); err != nil {
			return nil, err
		}
	}
	d.detached, d.stdin = true, o.Stdin
	if o.Umask >= 0 {
		syscall.Umask(o.Umask)
	}
	if o.Tag == "" {
		o.Tag = env.Prog
	}
	d.log = NewLog(Syslog(o.Syslog, o.Tag))
	env.Log = func(text string) {
		if d.ready != nil && len(d.early) < 100 {
			d.early = append(d.early, text)
		}
		d.log.Print(Info, text)
	}
	return d, nil
}

// toRoot changes to / and keeps in env where relative names are relative to.
func toRoot(env *cli.Env) error {
	if env.Dir == "" {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		env.Dir = dir
	}
	return os.Chdir("/")
}

// inherited returns the pipe to the process that started this one as its
// detached copy; nil if none did.
func inherited(env *cli.Env) *os.File {
	v, ok := env.LookupEnv(envDetached)
	if !ok || v != strconv.Itoa(os.Getppid()) {
		return nil
	}
	os.Unsetenv(envDetached) // commands we run are nobody's copy
	syscall.CloseOnExec(readyFD)
	return os.NewFile(readyFD, "ready")
}

// start runs the detached copy and waits for its word.
func start(env *cli.Env, stdin bool) error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("pipe(): %w", err)
	}
	defer r.Close()
	defer w.Close()
	self, err := executable()
	if err != nil {
		return err
	}
	closeInherited()
	cmd := &exec.Cmd{
		Path:        self,
		Args:        append([]string{env.Arg0}, env.Argv[1:]...),
		Env:         append(os.Environ(), envDetached+"="+strconv.Itoa(os.Getpid())),
		ExtraFiles:  []*os.File{w},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
		Stderr:      env.Stderr,
	}
	if stdin {
		cmd.Stdin = env.Stdin
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("fork(): %w", err)
	}
	w.Close()
	if n, _ := r.Read(make([]byte, 1)); n == 1 {
		return cli.Fail(0, "")
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return cli.Fail(0, "")
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return cli.Fail(exit.ExitCode(), "") // it has said why
	}
	return fmt.Errorf("the detached process ended: %w", err)
}

// Detached reports whether this is a detached process.
func (d *Daemon) Detached() bool { return d.detached }

// Ready says that the daemon is at work. A detached process lets go of the
// terminal: /dev/null takes the place of descriptors 0 to 2, messages go to
// syslog only, and the process that started it ends with status 0.
func (d *Daemon) Ready() error {
	if d.ready == nil {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	for fd := range 3 {
		if fd == 0 && d.stdin {
			continue
		}
		if err := redirect(null, fd); err != nil {
			return fmt.Errorf("dup2(%d): %w", fd, err)
		}
	}
	_, err = d.ready.Write([]byte{0})
	d.ready.Close()
	d.ready, d.early = nil, nil
	if errors.Is(err, syscall.EPIPE) {
		return nil // nobody waits any more
	}
	return err
}

// Close ends the log after what is in it. If Ready was never reached, the user
// gets to see all messages, including any that are still to come.
func (d *Daemon) Close() {
	d.log.Close()
	if d.ready == nil {
		return
	}
	show := func(text string) { _, _ = io.WriteString(d.env.Stderr, d.env.Prog+": "+text+"\n") }
	for _, text := range d.early {
		show(text)
	}
	d.early = nil
	d.env.Log = func(text string) {
		show(text)
		d.log.Print(Info, text)
	}
}

// Log returns the log, for messages of other severities than Info.
func (d *Daemon) Log() *Log { return d.log }
