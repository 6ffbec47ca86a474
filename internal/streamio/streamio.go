// Package streamio is what the tools that read and write flow streams share:
// opening the input with the specified messages, the options of the output,
// the record loop, and the end of a run.
package streamio

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// Open opens the flow stream on standard input. A stream that cannot be read
// ends the tool with status 1 after the messages of stream-format.md section 12.
func Open(env *cli.Env) (*ftfile.Reader, error) {
	in, err := ftfile.NewReader(env.Stdin)
	if err != nil {
		return nil, InitError(err)
	}
	return in, nil
}

// InitError makes the chain of messages for a stream whose header cannot be used.
func InitError(err error) error {
	why := "ftiheader_read(): failed"
	if errors.As(err, new(*flow.VersionError)) {
		why = "Unsupported record type"
	}
	return fmt.Errorf("%w\n%s\nftio_init(): failed", err, why)
}

// Output holds the options of a written stream.
type Output struct {
	Order   flow.Order
	Level   int // zlib level, 0 none
	Comment *string
	Keep    bool // -k: the capture times of the input matter
	Debug   int
}

// Flags returns the options among "bCdkz" that letters names, in its order. The
// zero Output writes plain little-endian streams.
func (o *Output) Flags(letters string) []cli.Flag {
	var flags []cli.Flag
	for _, letter := range letters {
		switch letter {
		case 'b':
			flags = append(flags, orderFlag(&o.Order))
		case 'C':
			flags = append(flags, CommentFlag(&o.Comment))
		case 'd':
			flags = append(flags, DebugFlag(&o.Debug))
		case 'k':
			flags = append(flags, cli.Bool('k', "keep-times", &o.Keep, "mark the output as preloaded if the input has capture times; they are written as 0"))
		case 'z':
			flags = append(flags, LevelFlag(&o.Level))
		default:
			panic(fmt.Sprintf("streamio: no output option %q", letter))
		}
	}
	return flags
}

// orderFlag is -b.
func orderFlag(p *flow.Order) cli.Flag {
	f := cli.Func('b', "byte-order", "big|little", func(s string) error {
		switch {
		case clib.EqualFold(s, "big"):
			*p = flow.BigEndian
		case clib.EqualFold(s, "little"):
			*p = flow.LittleEndian
		default:
			return fmt.Errorf("expecting \"big\" or \"little\", not %q", s)
		}
		return nil
	}, "byte order of the output (default little)")
	f.Values = []string{"big", "little"}
	return f
}

// CommentFlag is -C.
func CommentFlag(p **string) cli.Flag {
	return cli.Func('C', "comment", "text", func(s string) error { *p = &s; return nil }, "comment in the output header")
}

// DebugFlag is -d.
func DebugFlag(p *int) cli.Flag {
	return cli.Int('d', "debug", "level", p, "debug level; messages go to standard error")
}

// LevelFlag is -z; *p is the default.
func LevelFlag(p *int) cli.Flag {
	return cli.Func('z', "compress", "level", func(s string) error {
		level := int(clib.Atoi(s))
		if level < 0 || level > 9 {
			return errors.New("Compression level must be between 0 and 9")
		}
		*p = level
		return nil
	}, fmt.Sprintf("zlib level of the output, 0 (none) to 9 (default %d)", *p))
}

// Apply sets byte order and comment in h.
func (o *Output) Apply(h *ftfile.Header) {
	if o.Order == flow.BigEndian {
		h.OrderByte = byte(flow.BigEndian)
	}
	if o.Comment != nil {
		h.Comments = *o.Comment
		h.Mark(ftfile.TagComments)
	}
}

// Create writes header h, with the options applied, to standard output.
func (o *Output) Create(env *cli.Env, h *ftfile.Header) (*ftfile.Writer, error) {
	return o.CreateOn(env.Stdout, h)
}

// CreateOn is Create for another writer; opts go beyond the options of the tool.
func (o *Output) CreateOn(w io.Writer, h *ftfile.Header, opts ...ftfile.Option) (*ftfile.Writer, error) {
	o.Apply(h)
	out, err := ftfile.NewWriter(w, h, append(opts, ftfile.Level(o.Level))...)
	if err != nil {
		return nil, WriteError(err, "ftio_write_header(): failed")
	}
	return out, nil
}

// WriteError makes a failed write end the tool with status 1 and a message that
// ends in context.
func WriteError(err error, context string) error {
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), context) {
		return err
	}
	return errors.Join(err, errors.New(context))
}

// Copy runs the record loop of a filter: change sees every batch, which it may
// alter in place or replace; what it returns is written, nil meaning nothing.
// Behind a live input every batch goes out at once, so that a pipeline keeps
// the latency of its producer.
func Copy(env *cli.Env, in *ftfile.Reader, out *ftfile.Writer, change func(*flow.Batch) *flow.Batch) error {
	live := Live(env.Stdin)
	for b := range in.Batches() {
		if b = change(b); b == nil {
			continue
		}
		if err := out.Write(b); err != nil {
			return err
		}
		if live {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Live reports whether r may have to wait for its producer: everything but a
// regular file.
func Live(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err != nil || !info.Mode().IsRegular()
}

// Finish ends a run: damage of the input is a warning, a failed write an error.
func Finish(env *cli.Env, in *ftfile.Reader, out *ftfile.Writer) error {
	Warn(env, in)
	return out.Close()
}

// Warn reports damage of the input, if any.
func Warn(env *cli.Env, in *ftfile.Reader) {
	if err := in.Err(); err != nil {
		env.WarnError(err)
	}
}

// ParseVersion reads the value of -V: N or 8.M, cut to 16 and 8 bits; agg tells
// whether an M was there. What follows is ignored, as is an M behind another N.
func ParseVersion(s string) (v flow.Version, agg bool, err error) {
	n, m, fields := clib.ScanVersion(s)
	if fields == 0 {
		return v, false, errors.New("Version scan failed")
	}
	v.Export = uint16(n)
	if v.Export == 8 {
		v.Agg = uint8(m)
	}
	return v, fields == 2, nil
}

// VersionFlag is -V: the record version of the output. Whether there is such a
// version shows when it is used.
func VersionFlag(p **flow.Version, help string) cli.Flag {
	return cli.Func('V', "record-version", "version", func(s string) error {
		v, _, err := ParseVersion(s)
		if err != nil {
			return err
		}
		*p = &v
		return nil
	}, help)
}

// VersionError makes the chain of messages for a record version that cannot be
// written.
func VersionError(err error) error {
	return fmt.Errorf("%w\nUnsupported record type\nftio_set_ver(): failed", err)
}
