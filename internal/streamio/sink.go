package streamio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"flowtools/internal/cli"
	"flowtools/pkg/ftfile"
)

// Sink is where a stream goes: standard output, or the file of option -o. A
// regular file named with -o is completed at the end: its header then has final
// times and counts.
type Sink struct {
	Writer  io.Writer
	Regular bool // the output is completed at the end
	Debug   int  // level of -d: above 1 the octets written are told, above 6 each write

	env     *cli.Env
	file    *os.File
	written int64
}

// OutputFlag is -o. An empty name is that of a file that cannot be created, and
// not standard output, which *p is "" for.
func OutputFlag(p *string) cli.Flag {
	f := cli.Func('o', "output", "file", func(s string) error {
		if s == "" {
			return fmt.Errorf("open(): %w", syscall.ENOENT)
		}
		*p = s
		return nil
	}, "write to file instead of standard output")
	f.Files = true
	return f
}

// OpenSink creates or truncates the file name; "" is standard output.
func OpenSink(env *cli.Env, name string) (*Sink, error) {
	if name == "" {
		return &Sink{Writer: env.Stdout, env: env}, nil
	}
	f, err := os.OpenFile(env.Path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open(%s): %w", name, ftfile.Reason(err))
	}
	info, err := f.Stat()
	return &Sink{Writer: f, Regular: err == nil && info.Mode().IsRegular(), env: env, file: f}, nil
}

// Write writes to the output and keeps count.
func (s *Sink) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	s.written += int64(n)
	if s.Debug > 6 {
		s.env.Warn("write: %d", n)
	}
	return n, err
}

// Seek moves in a regular file.
func (s *Sink) Seek(offset int64, whence int) (int64, error) { return s.file.Seek(offset, whence) }

// ErrNothing is the failure to complete a regular file whose record version
// never became known.
var ErrNothing = errors.New("Set d_version and byte_order first\nftio_write_header(): failed")

// Complete ends the stream out and closes the output. On a regular file header
// h, with the values that set puts in, is written over the first one, marked
// done.
func (s *Sink) Complete(out *ftfile.Writer, h *ftfile.Header, set func(h *ftfile.Header)) error {
	var err error
	if s.Regular {
		set(h)
		h.Flags = h.Flags&^ftfile.FlagStreaming | ftfile.FlagDone
		err = out.Finish(h)
	} else {
		err = out.Close()
	}
	if s.Debug > 1 {
		s.env.Warn("Bytes written=%d", s.written)
	}
	return errors.Join(err, s.Close())
}

// Close closes the file of -o, if it is open. Standard output stays open.
func (s *Sink) Close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	if err := f.Close(); err != nil {
		return fmt.Errorf("close(%s): %w", f.Name(), ftfile.Reason(err))
	}
	return nil
}
