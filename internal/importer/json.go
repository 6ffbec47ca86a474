package importer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"flowtools/pkg/flow"
)

// JSON reads one object a line, members named as fields: numbers, and addresses
// as strings. Other members are ignored, missing ones 0, blank lines passed over.
func JSON(in io.Reader, o *Options) (Source, error) {
	s := &jsonSource{lines: newLines(in), values: newValues(o, 10), columns: map[string]column{}}
	for _, c := range columnsOf(selected(o)) {
		s.columns[c.field.String()] = c
	}
	return s, nil
}

// selected returns the fields of the mask that the records have.
func selected(o *Options) (fields []flow.Field) {
	set := o.Layout.Fields
	if o.Mask != nil {
		set &= flow.FieldSet(o.Mask.Bits)
	}
	for f := range set.All() {
		fields = append(fields, f)
	}
	return fields
}

type jsonSource struct {
	lines   *lines
	values  *values
	columns map[string]column
	number  int // of the line read last
}

func (s *jsonSource) Read(b *flow.Batch) error {
	return fill(b, s.lines.in, func() error { return s.line(b) })
}

func (s *jsonSource) line(b *flow.Batch) error {
	line, whole, err := s.lines.next()
	if err != nil {
		return endOfInput(0, err)
	}
	s.number++
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return nil
	}
	n := b.Len()
	if s.plain(add(b), line) {
		return nil
	}
	b.Truncate(n)
	if err := s.any(add(b), line); err != nil {
		b.Truncate(n)
		if !whole {
			return end(1, "line %d: not a whole object: %w", s.number, err)
		}
		return end(1, "line %d: %w", s.number, err)
	}
	return nil
}

// plain reads objects as flow-export writes them: no blanks, no escapes, no
// nesting. It reports whether line was one; r is only good if it was.
func (s *jsonSource) plain(r flow.Record, line []byte) bool {
	if len(line) < 2 || line[0] != '{' {
		return false
	}
	for p := line[1:]; ; p = p[1:] {
		if len(p) < 2 || p[0] != '"' {
			return false
		}
		end := bytes.IndexByte(p[1:], '"') + 1
		if end <= 0 || end+1 >= len(p) || p[end+1] != ':' {
			return false
		}
		c, known := s.columns[string(p[1:end])]
		p = p[end+2:]
		var value []byte
		if len(p) > 0 && p[0] == '"' {
			if end = bytes.IndexByte(p[1:], '"') + 1; end <= 0 || !c.addr {
				return false
			}
			value, p = p[1:end], p[end+1:]
			if bytes.IndexByte(value, '\\') >= 0 || !dotted(value) {
				return false
			}
		} else {
			end = 0
			for end < len(p) && p[end]-'0' <= 9 {
				end++
			}
			if end == 0 || end > 1 && p[0] == '0' || end > len(largest) || end == len(largest) && string(p[:end]) > largest || c.addr {
				return false
			}
			value, p = p[:end], p[end:]
		}
		if known {
			s.values.put(r, c, value)
		}
		if len(p) == 0 {
			return false
		}
		if p[0] != ',' {
			return len(p) == 1 && p[0] == '}'
		}
	}
}

// largest is the largest number of a record.
const largest = "4294967295"

// dotted reports whether text consists of digits and dots.
func dotted(text []byte) bool {
	for _, c := range text {
		if c-'0' > 9 && c != '.' {
			return false
		}
	}
	return true
}

// any reads every object there is.
func (s *jsonSource) any(r flow.Record, line []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return err
	}
	if members == nil {
		return fmt.Errorf("no object")
	}
	for name, raw := range members {
		c, known := s.columns[name]
		if !known {
			continue
		}
		text := string(raw)
		if raw[0] == '"' {
			if err := json.Unmarshal(raw, &text); err != nil {
				return err
			}
		}
		if c.addr && raw[0] == '"' {
			s.values.put(r, c, []byte(text))
			continue
		}
		v, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%s: %q is no number of a record", name, text)
		}
		s.values.layout.PutUint(r, c.field, v)
	}
	return nil
}
