// Package rrd feeds round robin databases through the program rrdtool.
package rrd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"flowtools/internal/cli"
)

// Tool runs rrdtool commands. The zero Tool with an Env is ready; Close ends it.
type Tool struct {
	Env *cli.Env

	path   string // of the program, "" before the first command
	script bool
	pipe   *pipe
}

// pipe is a running `rrdtool -`: a command a line, each answered by lines that
// end in OK or ERROR.
type pipe struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Run runs a command given as words. The error has rrdtool's reason.
//
// A program called rrdtool that is a script is a wrapper or a stand-in. Those
// understand `rrdtool create FILE ...` but not always the pipe, and get a
// process a command.
func (t *Tool) Run(words ...string) error {
	if err := t.find(); err != nil {
		return err
	}
	line, ok := quote(words)
	if t.script || !ok {
		return t.once(words)
	}
	if t.pipe == nil {
		p, err := t.start()
		if err != nil {
			return err
		}
		t.pipe = p
	}
	if err := t.pipe.run(line); err != nil {
		return fmt.Errorf("rrdtool %s: %w", words[0], err)
	}
	return nil
}

// find looks for the program.
func (t *Tool) find() error {
	if t.path != "" {
		return nil
	}
	path, err := exec.LookPath("rrdtool")
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var magic [2]byte
	// A file too short to tell is no script either; starting it will fail.
	_, _ = io.ReadFull(f, magic[:])
	t.path, t.script = path, string(magic[:]) == "#!"
	return nil
}

// quote makes the line of a command; ok is false for words that no line can hold.
func quote(words []string) (line string, ok bool) {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		q := "'"
		switch {
		case strings.ContainsAny(w, "\n\r\x00"):
			return "", false
		case w != "" && !strings.ContainsAny(w, " \t'\"\\"):
			q = ""
		case strings.Contains(w, "'"):
			if q = `"`; strings.Contains(w, q) {
				return "", false
			}
		}
		b.WriteString(q + w + q)
	}
	return b.String() + "\n", true
}

// once runs a command in a process of its own.
func (t *Tool) once(words []string) error {
	cmd := exec.Command(t.path, words...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.Env.Dir, t.Env.Stderr, t.Env.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("rrdtool %s: %w", words[0], err)
	}
	return nil
}

func (t *Tool) start() (*pipe, error) {
	cmd := exec.Command(t.path, "-")
	cmd.Dir = t.Env.Dir
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = cmd.Stdout // warnings are lines between the answers
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &pipe{cmd: cmd, in: in, out: bufio.NewReader(out)}, nil
}

func (p *pipe) run(line string) error {
	if _, err := io.WriteString(p.in, line); err != nil {
		return err
	}
	for {
		answer, err := p.out.ReadString('\n')
		if err != nil {
			return fmt.Errorf("no answer: %w", err)
		}
		answer = strings.TrimSpace(answer)
		if answer == "OK" || strings.HasPrefix(answer, "OK ") {
			return nil
		}
		if reason, ok := strings.CutPrefix(answer, "ERROR:"); ok {
			return errors.New(strings.TrimSpace(reason))
		}
	}
}

// Close ends rrdtool and waits for it.
func (t *Tool) Close() error {
	p := t.pipe
	if p == nil {
		return nil
	}
	t.pipe = nil
	if err := p.in.Close(); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, p.out); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// Exists reports whether there is a database file of that name.
func (t *Tool) Exists(name string) (bool, error) {
	_, err := os.Stat(t.Env.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
