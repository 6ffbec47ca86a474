package report

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"flowtools/internal/cli"
	"flowtools/internal/rptfmt"
)

// dest is where the text of an output goes.
type dest struct {
	w     *bufio.Writer
	close func() error // flushes w
}

// open opens an expanded path: a command, a file, or "" for standard output.
func (r *Run) open(path string) (*dest, error) {
	command, piped := strings.CutPrefix(path, "|")
	switch {
	case path == "":
		return &dest{w: r.out, close: func() error { return nil }}, nil
	case piped && r.def.builtin:
		if words, ok := formatterWords(command); ok {
			return r.openFormatter(words)
		}
		return r.openCommand(command)
	case piped:
		return r.openCommand(command)
	}
	return r.openFile(path)
}

func (r *Run) openFile(name string) (*dest, error) {
	name = r.env.Path(name)
	if err := makeFolders(name); err != nil {
		return nil, err
	}
	mode := os.O_TRUNC
	if r.interval > 0 {
		mode = os.O_APPEND
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|mode, 0o666)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	return &dest{w: w, close: func() error {
		return errors.Join(w.Flush(), f.Close())
	}}, nil
}

// makeFolders makes the folders in front of a file name, one after the other as
// they are named: a path may go up again from one that is new.
func makeFolders(name string) error {
	for i := 1; i < len(name); i++ {
		if name[i] != '/' || name[i-1] == '/' {
			continue
		}
		if err := os.Mkdir(name[:i], 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// openCommand starts a command of the shell. How it ends, and whether it reads
// all it is given, does not matter but for a warning.
func (r *Run) openCommand(command string) (*dest, error) {
	// What we wrote so far comes first, whatever the command does.
	if err := r.out.Flush(); err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdout, cmd.Stderr, cmd.Dir = r.env.Stdout, r.env.Stderr, r.env.Dir
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(deaf{stdin}, 64<<10)
	return &dest{w: w, close: func() error {
		err := w.Flush()
		stdin.Close() // an error was seen by Flush
		if err := cmd.Wait(); err != nil {
			r.env.Warn("%s: %v", command, err)
		}
		return err
	}}, nil
}

// formatterWords splits a call of flow-rptfmt as the shell does; ok is false for
// other commands and what needs a shell.
func formatterWords(command string) (words []string, ok bool) {
	const special = "|&;<>()$`\\\"'\n*?[]#~=%!{}"
	words = strings.Fields(command)
	return words, len(words) > 0 && words[0] == "flow-rptfmt" && !strings.ContainsAny(command, special)
}

// deaf is a writer that takes no notice of a broken pipe.
//
// Compat: that nobody reads an output any more is no failure and loses no other
// output (golden flow-report/closed-pipe).
type deaf struct{ w io.Writer }

func (d deaf) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		return len(p), nil
	}
	return n, err
}

// openFormatter runs flow-rptfmt in this process.
func (r *Run) openFormatter(words []string) (*dest, error) {
	pr, pw := io.Pipe()
	done := make(chan int, 1)
	go func() {
		env := &cli.Env{Stdin: pr, Stdout: r.out, Stderr: r.env.Stderr, Now: r.env.Now, LookupEnv: r.env.LookupEnv, Dir: r.env.Dir}
		status := cli.Exec(context.Background(), rptfmt.Spec(), env, words)
		pr.CloseWithError(syscall.EPIPE) // it may stop before the end
		done <- status
	}()
	w := bufio.NewWriterSize(deaf{pw}, 64<<10)
	return &dest{w: w, close: func() error {
		err := w.Flush()
		pw.CloseWithError(err)
		if status := <-done; status != 0 {
			r.env.Warn("%s: exit status %d", strings.Join(words, " "), status)
		}
		return err
	}}, nil
}
