package importer

import (
	"bytes"
	"io"

	"flowtools/internal/export/csv"
	"flowtools/pkg/flow"
)

// CSV reads lines of values separated by commas, in the order of the fields of
// the mask, which a line "#:NAMES" before the first record replaces. What
// flow-export writes comes back as it was.
//
// Compat: every other line is a record, an empty one too; missing values are 0.
func CSV(in io.Reader, o *Options) (Source, error) {
	s := &csvSource{lines: newLines(in), values: newValues(o, 0)}
	mask := o.Layout.Fields
	if o.Mask != nil {
		mask = flow.FieldSet(o.Mask.Bits)
	}
	s.setColumns(mask)
	return s, nil
}

type csvSource struct {
	lines   *lines
	values  *values
	columns []column
	started bool // a record has been read
}

func (s *csvSource) setColumns(mask flow.FieldSet) {
	var fields []flow.Field
	for f := range mask.All() {
		fields = append(fields, f)
	}
	s.columns = columnsOf(csv.Order(fields))
}

func (s *csvSource) Read(b *flow.Batch) error {
	return fill(b, s.lines.in, func() error { return s.line(b) })
}

func (s *csvSource) line(b *flow.Batch) error {
	line, whole, err := s.lines.next()
	switch {
	case err != nil:
		return endOfInput(0, err)
	case !s.started && bytes.HasPrefix(line, []byte("#:")):
		mask, err := flow.ParseFields(string(line[2:]))
		if err != nil {
			return end(255, "%w\nftxfield_parse(): failed", err)
		}
		s.setColumns(mask)
		return nil
	case firstByte(line) == '#':
		return nil
	}
	s.started = true
	r := add(b)
	for i := range s.columns {
		value, rest, more := bytes.Cut(line, comma)
		s.values.put(r, s.columns[i], value)
		if !more {
			break
		}
		line = rest
	}
	if !whole {
		// Compat: golden csv-no-final-newline.
		return end(255, "the last line has no end")
	}
	return nil
}

var comma = []byte{','}
