// Package rptfmt turns the text of flow-report into aligned text or HTML.
package rptfmt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"flowtools/internal/clib"
)

// maxLine bounds a line of input: what is longer is no report.
const maxLine = 16 << 20

// Report is the text of a report as far as flow-report's format goes.
type Report struct {
	Header  []string          // the lines before the data that are not values
	Totals  map[string]string // of rec1, nil if there are none
	Detail  map[string]string // of rec2, nil if the report is no summary
	Values  []string          // of rec2 by position
	Columns []Column          // of recn
	Lines   []string          // data lines
}

// Column is a column of a report.
type Column struct {
	Name string // lower case
	Key  bool
}

// Scanner reads the lines of a report, blanks at both ends taken off.
type Scanner struct {
	r    *bufio.Reader
	line string
	err  error
}

// NewScanner returns a Scanner of r.
func NewScanner(r io.Reader) *Scanner { return &Scanner{r: bufio.NewReaderSize(r, 64<<10)} }

// Scan goes to the next line.
func (s *Scanner) Scan() bool {
	if s.err != nil {
		return false
	}
	var long []byte
	for {
		part, err := s.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if long = append(long, part...); len(long) > maxLine {
				s.err = errors.New("line too long")
				return false
			}
			continue
		case err != nil:
			s.err = err
			if err != io.EOF || len(long)+len(part) == 0 {
				return false
			}
		}
		s.line = string(part)
		if long != nil {
			s.line = string(append(long, part...))
		}
		s.line = strings.Trim(s.line, " \t\n\v\f\r")
		return true
	}
}

// Text returns the line.
func (s *Scanner) Text() string { return s.line }

// Err returns the error that ended the lines, nil at their end.
func (s *Scanner) Err() error {
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// Split returns the values of a line of names behind "# recX: ".
func Split(line string) []string {
	const label = len("# recX: ")
	return strings.Split(line[min(len(line), label):], ",")
}

// Columns returns the columns of a recn line.
func Columns(line string) []Column {
	var columns []Column
	for _, name := range Split(line) {
		name, key := strings.CutSuffix(name, "*")
		columns = append(columns, Column{clib.Fold(name), key})
	}
	return columns
}

// pairs reads the line of values below a line of names.
func (s *Scanner) pairs() (named map[string]string, values []string, err error) {
	names := Split(s.line)
	if !s.Scan() {
		return nil, nil, fmt.Errorf("no values below %q", s.line)
	}
	values = strings.Split(s.line, ",")
	if len(values) < len(names) {
		return nil, nil, fmt.Errorf("%d values for %d names", len(values), len(names))
	}
	named = make(map[string]string, len(names))
	for i, name := range names {
		named[name] = values[i]
	}
	return named, values, nil
}

// Head reads what is before the data lines; it stops behind the recn line or at
// the end.
func (s *Scanner) Head() (*Report, error) {
	r := &Report{}
	for s.Scan() {
		var err error
		switch line := s.Text(); {
		case strings.HasPrefix(line, "# rec1"):
			r.Totals, _, err = s.pairs()
		case strings.HasPrefix(line, "# rec2"):
			r.Detail, r.Values, err = s.pairs()
		case strings.HasPrefix(line, "# recn"):
			r.Columns = Columns(line)
			return r, nil
		default:
			r.Header = append(r.Header, line)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, s.Err()
}

// Data goes to the next data line: comments, and the totals of further intervals
// of a time series, are passed over.
func (s *Scanner) Data() bool {
	for s.Scan() {
		if !strings.HasPrefix(s.line, "#") {
			return true
		}
		if strings.HasPrefix(s.line, "# rec1") && !s.Scan() {
			return false
		}
	}
	return false
}

// cells splits a data line into n values; what is beyond is left out.
func cells(dst []string, line string, n int) []string {
	for range n - 1 {
		value, rest, ok := strings.Cut(line, ",")
		if !ok {
			break
		}
		dst, line = append(dst, value), rest
	}
	value, _, _ := strings.Cut(line, ",")
	return append(dst, value)
}

// read reads a whole report, at most limit data lines if that is positive.
func read(in io.Reader, limit int) (*Report, error) {
	s := NewScanner(in)
	r, err := s.Head()
	if err != nil || r.Columns == nil {
		return r, err
	}
	for (limit <= 0 || len(r.Lines) < limit) && s.Data() {
		if n := strings.Count(s.line, ",") + 1; n < len(r.Columns) {
			return nil, fmt.Errorf("a line has %d of %d columns: %q", n, len(r.Columns), s.line)
		}
		r.Lines = append(r.Lines, s.line)
	}
	return r, s.Err()
}
