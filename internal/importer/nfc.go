package importer

import (
	"bytes"
	"errors"
	"io"

	"flowtools/pkg/flow"
)

// schemes are the aggregation schemes of NFCollector files, by the third field
// of the heading, with the columns of the record lines. Values are in decimal.
var schemes = map[string][]flow.Field{
	"AGGREGATION CallRecord": {flow.SrcAddr, flow.DstAddr, flow.SrcPort, flow.DstPort, flow.Prot, flow.ToS,
		flow.DPkts, flow.DOctets, flow.DFlows, flow.First, flow.Last, ignored},
	"AGGREGATION HostMatrix": {flow.SrcAddr, flow.DstAddr, flow.DPkts, flow.DOctets, flow.DFlows},
	"AGGREGATION SourceNode": {flow.SrcAddr, flow.DPkts, flow.DOctets, flow.DFlows},
	"AGGREGATION DestNode":   {flow.DstAddr, flow.DPkts, flow.DOctets, flow.DFlows},
}

// ignored is a number that no field has: no layout offers it.
const ignored = flow.Field(11)

// headingFields is the number of fields in the first line.
const headingFields = 9

// NFCollector reads the ASCII files of Cisco's NFCollector.
//
// Compat: its good end is status 1.
func NFCollector(in io.Reader, o *Options) (Source, error) {
	s := &nfcSource{lines: newLines(in), values: newValues(o, 10), warn: o.Warn, number: 1}
	line, _, err := s.lines.next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return nil, end(255, "No header")
		}
		return nil, end(255, "read(): %w", err)
	}
	heading := bytes.Split(line, bar)
	if len(heading) != headingFields {
		return nil, end(255, "Unregconized format line")
	}
	if format := string(heading[1]); format != "FORMAT A" {
		return nil, end(255, "Unregocnized format %q", format)
	}
	scheme := string(heading[2])
	fields, ok := schemes[scheme]
	if !ok {
		return nil, end(255, "Unsupported aggrecation scheme %q", scheme)
	}
	if o.Trace != nil {
		o.Trace("Input format %s", scheme)
	}
	s.columns = columnsOf(fields)
	return s, nil
}

var bar = []byte{'|'}

type nfcSource struct {
	lines   *lines
	values  *values
	columns []column
	number  int // of the line read last, the heading being 1
	warn    func(format string, args ...any)
}

func (s *nfcSource) Read(b *flow.Batch) error {
	return fill(b, s.lines.in, func() error { return s.line(b) })
}

func (s *nfcSource) line(b *flow.Batch) error {
	line, _, err := s.lines.next()
	if err != nil {
		return endOfInput(1, err)
	}
	s.number++
	if bytes.Count(line, bar) != len(s.columns)-1 {
		s.warn("Broken record at line %d (not output)", s.number)
		return nil
	}
	r := add(b)
	for _, c := range s.columns {
		value, rest, _ := bytes.Cut(line, bar)
		s.values.put(r, c, value)
		line = rest
	}
	return nil
}
