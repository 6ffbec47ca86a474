// Package inputs turns the operands of flow-cat and flow-merge into the list of
// streams to read: files, the files below directories, and standard input.
package inputs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/streamio"
	"flowtools/pkg/ftfile"
)

// Options are what the tools' options say about operands.
type Options struct {
	Open  bool // -a: also files still being written (tmp*)
	Group bool // -g: one list for all operands, by capture start
}

// Flags returns the options -a and -g, and -m, which is accepted and ignored:
// files are never mapped.
func (o *Options) Flags() []cli.Flag {
	return []cli.Flag{
		cli.Bool('a', "all", &o.Open, "also take files still being written (tmp*)"),
		cli.Bool('g', "group", &o.Group, "order all operands by capture start, not each by itself"),
		cli.Func('m', "no-mmap", "", func(string) error { return nil }, "accepted and ignored: files are never mapped"),
	}
}

// Input is one stream to read.
type Input struct {
	ftfile.Entry // Path "-" is standard input; Header is nil then
	env          *cli.Env
}

// Stdin reports whether the stream is standard input, whose header is only
// known once it is opened.
func (in *Input) Stdin() bool { return in.Header == nil }

// start is the capture start; that of standard input counts as 0.
func (in *Input) start() uint32 {
	if in.Header == nil {
		return 0
	}
	return in.Header.Start
}

// Collect lists the streams that the operands name; none means standard input.
// What cannot be read is reported and left out. Within one operand's list, or
// in all of it with Group, files come by ascending capture start.
func Collect(env *cli.Env, operands []string, opt Options) ([]Input, error) {
	if len(operands) == 0 {
		operands = []string{"-"}
	}
	var all []Input
	scanner := ftfile.Scanner{Open: opt.Open, Warn: func(text string) { env.Warn("%s", text) }}
	for _, operand := range operands {
		found, err := collect(env, &scanner, operand)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if opt.Group {
		sortByStart(all)
	}
	return all, nil
}

func collect(env *cli.Env, scanner *ftfile.Scanner, operand string) ([]Input, error) {
	if operand == "-" {
		return []Input{{Entry: ftfile.Entry{Path: "-"}, env: env}}, nil
	}
	// Opening comes first: an operand that cannot be opened is skipped, whatever it is.
	info, err := os.Stat(env.Path(operand))
	if err == nil && (info.Mode().IsRegular() || info.IsDir()) {
		err = readable(env.Path(operand))
	}
	switch {
	case err != nil:
		env.Warn("open(%s): %v", operand, ftfile.Reason(err))
		return nil, nil
	case info.IsDir():
		entries, err := scanner.Scan(env.Path(operand))
		if err != nil {
			return nil, fmt.Errorf("%w\nload_dir(): failed\nftfile_loaddir(%s): failed", err, operand)
		}
		found := make([]Input, len(entries))
		for i, e := range entries {
			found[i] = Input{Entry: e, env: env}
		}
		return found, nil
	case !info.Mode().IsRegular():
		env.Warn("odd file, skipping: %s", operand)
		return nil, nil
	case strings.HasPrefix(operand, ftfile.PrefixOpen) && !scanner.Open: // Compat: the name as typed
		return nil, nil
	}
	entry, err := scanner.File(env.Path(operand))
	if err != nil {
		return nil, nil // reported by the scanner
	}
	return []Input{{Entry: entry, env: env}}, nil
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// Stream is an opened input.
type Stream struct {
	*ftfile.Reader
	Name string // path, "-" for standard input
	Live bool   // it may have to wait for its producer
	file io.Closer
}

// Close ends the reader and closes the file.
func (s *Stream) Close() error {
	s.Reader.Close()
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Start opens the stream. The error is [ErrGone], which has been reported, or
// ends the tool.
func (in *Input) Start() (*Stream, error) {
	if in.Stdin() {
		r, err := streamio.Open(in.env)
		if err != nil {
			return nil, err
		}
		return &Stream{Reader: r, Name: in.Path, Live: streamio.Live(in.env.Stdin)}, nil
	}
	f, err := os.Open(in.Path)
	if errors.Is(err, fs.ErrNotExist) {
		in.env.Warn("open(%s): %v", in.Path, ErrGone)
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("open(%s): %w", in.Path, ftfile.Reason(err))
	}
	r, err := ftfile.NewReader(f)
	if err != nil {
		f.Close()
		return nil, streamio.InitError(err)
	}
	return &Stream{Reader: r, Name: in.Path, file: f}, nil
}

// ErrGone is the failure to open a file that was there when the operands were
// looked at: capture rotates and expires files of a directory at any time.
var ErrGone = errors.New("file has gone since it was found, skipping")

func sortByStart(inputs []Input) {
	slices.SortStableFunc(inputs, func(a, b Input) int { return cmp.Compare(a.start(), b.start()) })
}
