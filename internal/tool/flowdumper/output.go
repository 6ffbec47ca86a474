package flowdumper

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// text collects what is printed and writes it.
type text struct {
	w   io.Writer
	buf []byte
}

// Write is for what expressions print.
func (t *text) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if len(t.buf) < 2*flow.SlabSize {
		return len(p), nil
	}
	return len(p), t.flush()
}

func (t *text) flush() error {
	if len(t.buf) == 0 {
		return nil
	}
	_, err := t.w.Write(t.buf)
	t.buf = t.buf[:0]
	if err != nil {
		return fmt.Errorf("write(): %w", ftfile.Reason(err))
	}
	return nil
}

// output is where flows go: text, or a stream of one record version.
type output struct {
	file    *os.File // nil: standard output
	text    *text
	stream  *ftfile.Writer
	version flow.Version
}

// direct makes d.out the output for the flows of an input: the one there is,
// unless every input has its own.
func (d *dump) direct(name string, v flow.Version) error {
	if d.out != nil && !strings.Contains(d.options.out, "%s") {
		return nil
	}
	if err := d.out.close(); err != nil {
		return err
	}
	d.out = &output{text: d.stdout, version: v}
	var w io.Writer = d.env.Stdout
	if d.options.out != "" {
		f, err := os.Create(d.env.Path(outputName(d.options.out, name)))
		if err != nil {
			d.out = nil
			return fmt.Errorf("open(%s): %w", outputName(d.options.out, name), ftfile.Reason(err))
		}
		d.out.file, d.out.text = f, &text{w: f}
		w = f
	}
	if d.mode == printed {
		return nil
	}
	var err error
	d.out.stream, err = ftfile.NewWriter(w, ftfile.NewHeader(v, ftfile.FlagStreaming))
	return err
}

// outputName is printf's of a name with %s in it.
func outputName(name, input string) string {
	return strings.NewReplacer("%s", filepath.Base(input), "%%", "%").Replace(name)
}

// close finishes an output; nil is none.
func (o *output) close() error {
	if o == nil {
		return nil
	}
	var err error
	if o.stream != nil {
		err = o.stream.Close()
	}
	if flushed := o.text.flush(); err == nil {
		err = flushed
	}
	if o.file != nil {
		if closed := o.file.Close(); err == nil {
			err = closed
		}
	}
	return err
}
