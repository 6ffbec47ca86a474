package main

import (
	"strings"

	"flowtools/internal/dumper"
	"flowtools/internal/flowexpr"
	"flowtools/pkg/flow"
)

// dumperPage is the manual of flowdumper's formats and expressions.
func dumperPage() (string, error) {
	l, err := flow.LayoutOf(flow.Version{Export: 5})
	if err != nil {
		return "", err
	}
	r := make(flow.Record, l.Size)
	for f, v := range map[flow.Field]uint64{
		flow.UnixSecs: 1795437942, flow.SysUptime: 60_000, flow.First: 60_000, flow.Last: 63_500, flow.ExAddr: 0xc0000201,
		flow.SrcAddr: 0xc0000225, flow.DstAddr: 0xc6336407, flow.NextHop: 0xc00002fe, flow.Input: 9, flow.Output: 1, flow.SrcPort: 51459, flow.DstPort: 443,
		flow.DPkts: 12, flow.DOctets: 3421, flow.Prot: dumper.TCP, flow.TCPFlags: 0x1b, flow.SrcAS: 64500, flow.DstAS: 64511, flow.SrcMask: 24, flow.DstMask: 24,
	} {
		l.PutUint(r, f, v)
	}
	var b strings.Builder
	b.WriteString("# flowdumper" + note + `
flowdumper prints the flows of files, or those an expression selects, as the program of that name in p5-Cflow did. Its options are in
[options.md](options.md#flowdumper).

## Formats

`)
	for _, f := range []struct {
		format dumper.Format
		text   string
	}{
		{dumper.Short, "With -s a flow is a line: local time of its start, addresses with ports, protocol, packets, octets. TCP flags, and the ICMP code or type, stand in parentheses behind the protocol."},
		{dumper.Old, "With -S the line has columns of fixed width."},
		{dumper.Long, "Without either it is a block of lines, an empty one behind it. The index is the constant the original printed. Version 1 lacks the AS numbers, prefix lengths and engine: they are 0."},
	} {
		b.WriteString(f.text + "\n\n```\n" + string(f.format.Rows(l, nil).Append(nil, r)) + "```\n\n")
	}
	b.WriteString(`With -r or -R the output is a flow stream. On standard output nothing else can stand there: what the expression prints, and the count of -c, go to standard error then.

## Differences from the original

- Expressions are not run by Perl; see below.
- -B (AS paths from a BGP dump) and -p (anonymising) are refused; flow-xlate anonymises.
- Files are flow-tools files and streams of record version 1, 5, 6 or 7. Those of cflowd are read by way of ` + "`flow-import -f0`" + `; other record versions are reported and left out.
- A file that cannot be read makes the exit status 1, after all others were read.

## Expressions

` + flowexpr.Markdown())
	return b.String(), nil
}
