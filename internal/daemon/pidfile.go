package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// PidFile is a file that holds the pid of this process. The zero PidFile is none.
type PidFile struct{ path string }

// WritePid writes the pid of this process and a newline to a file.
func WritePid(path string) (*PidFile, error) {
	if err := os.WriteFile(path, pidText(), 0o644); err != nil {
		return nil, err
	}
	return &PidFile{path}, nil
}

func pidText() []byte { return append(strconv.AppendInt(nil, int64(os.Getpid()), 10), '\n') }

// Remove removes the file unless another process has put its own pid there. A
// file that is gone is no error, and neither is a nil PidFile.
func (p *PidFile) Remove() error {
	if p == nil || p.path == "" {
		return nil
	}
	text, err := os.ReadFile(p.path)
	if err == nil && strings.TrimSpace(string(text)) != strconv.Itoa(os.Getpid()) {
		return fmt.Errorf("unlink(%s): it belongs to process %.20s", p.path, strings.TrimSpace(string(text)))
	}
	if err = os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
