package streamio

import (
	"errors"
	"fmt"
	"io"
	"os"

	"flowtools/internal/cli"
	"flowtools/pkg/ftfile"
)

// Sink is where a stream goes: standard output, or the file of option -o. A
// regular file named with -o is completed at the end: its header then has final
// times and counts.
type Sink struct {
	io.Writer
	Regular bool // the output is completed at the end
	file    *os.File
}

// OpenSink creates or truncates the file name; "" is standard output.
func OpenSink(env *cli.Env, name string) (*Sink, error) {
	if name == "" {
		return &Sink{Writer: env.Stdout}, nil
	}
	f, err := os.OpenFile(env.Path(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open(%s): %w", name, ftfile.Reason(err))
	}
	info, err := f.Stat()
	return &Sink{Writer: f, Regular: err == nil && info.Mode().IsRegular(), file: f}, nil
}

// ErrNothing is the failure to complete a regular file whose record version
// never became known.
var ErrNothing = errors.New("Set d_version and byte_order first\nftio_write_header(): failed")

// Complete ends the stream out. On a regular file header h, with the values
// that set puts in, is written over the first one, marked done.
func (s *Sink) Complete(out *ftfile.Writer, h *ftfile.Header, set func(h *ftfile.Header)) error {
	if !s.Regular {
		return out.Close()
	}
	set(h)
	h.Flags = h.Flags&^ftfile.FlagStreaming | ftfile.FlagDone
	return out.Finish(h)
}

// Close closes the file of -o. Standard output stays open.
func (s *Sink) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
