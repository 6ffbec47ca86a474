package capture

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"flowtools/pkg/ftfile"
)

// Program is run for each completed file (-R).
type Program struct {
	Name string // as given: without a slash it is a file of the work directory
	Dir  string // work directory, "" for the current one; where the program runs
	Warn func(format string, args ...any)
}

// Limits of what is logged of a program's output.
const (
	outputLimit = 64 << 10
	lineLimit   = 200
)

// Start runs the program with one argument, the name of a file. It is not waited
// for: its output and a failure are logged when it ends.
func (p *Program) Start(file string) {
	name := p.Name
	if !strings.Contains(name, "/") {
		name = "./" + name
	}
	// A child of a relative name is looked for from Dir.
	cmd := &exec.Cmd{Path: name, Args: []string{p.Name, file}, Dir: p.Dir}
	if p.Dir != "" && !filepath.IsAbs(name) {
		cmd.Path = filepath.Join(p.Dir, name)
	}
	out := spool()
	if out != nil {
		cmd.Stdout, cmd.Stderr = out, out
	}
	if err := cmd.Start(); err != nil {
		p.Warn("exec(%s): %v", p.Name, ftfile.Reason(err))
		p.Warn("Child %d exit_status=1", 0)
		if out != nil {
			out.Close()
		}
		return
	}
	go func() {
		err := cmd.Wait()
		p.report(cmd.Process.Pid, err, out)
	}()
}

// spool returns a file without a name for the output of a program: unlike a
// pipe it does not kill a program that outlives us. nil if there cannot be one.
func spool() *os.File {
	f, err := os.CreateTemp("", "flow-capture-output-*")
	if err != nil {
		return nil
	}
	os.Remove(f.Name())
	return f
}

func (p *Program) report(pid int, err error, out *os.File) {
	if out != nil {
		defer out.Close()
		text, _ := io.ReadAll(io.NewSectionReader(out, 0, outputLimit))
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, outputLimit+1)
		for n := 0; lines.Scan() && n < lineLimit; n++ {
			p.Warn("%s[%d]: %s", filepath.Base(p.Name), pid, lines.Text())
		}
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		status, ok := exit.Sys().(syscall.WaitStatus)
		if ok && status.Signaled() {
			p.Warn("Child %d signal=%d", pid, int(status.Signal()))
		} else {
			p.Warn("Child %d exit_status=%d", pid, exit.ExitCode())
		}
	default:
		p.Warn("wait(%s): %v", p.Name, err)
	}
}
