// Package flowprint is flow-print: it prints the records of a stream as text.
package flowprint

import (
	"context"
	"io"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/print"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

type options struct {
	comment byte
	debug   int
	format  *int // nil: by record version
	flush   bool
	names   bool
	header  bool
	wide    bool
}

// Spec describes flow-print.
func Spec() *cli.Spec {
	o := &options{comment: '#'}
	return &cli.Spec{
		Name:    "flow-print",
		Summary: "print the records of a flow stream",
		Flags: []cli.Flag{
			print.CommentFlag(&o.comment),
			streamio.DebugFlag(&o.debug),
			cli.Func('f', "format", "format", o.setFormat, "format number, see below (default by record version)"),
			cli.Bool('l', "line-buffered", &o.flush, "write every record at once"),
			cli.Bool('n', "names", &o.names, "names of ports, protocols, AS numbers and tags where the format has room for them"),
			cli.Bool('p', "header", &o.header, "print the stream header first"),
			cli.Bool('w', "wide", &o.wide, "wide layout, where the format has one"),
		},
		Description: "flow-print prints every record of the flow stream on standard input in one of several formats of columns. A format works on every record version that has the " +
			"fields it shows.",
		Notes: print.Help(),
		ExitText: "1 for an unknown format and a stream that cannot be read; 255 when the records lack a field that the format shows. 0 otherwise, also after a bad option, and even " +
			"when standard output cannot be written: that is reported on standard error only, as it was never a failure in the original.",
		Examples: []cli.Example{
			{Command: "flow-cat /var/log/netflows | flow-print -f 5", Text: "Print all flows with start and end time, one a line."},
			{Command: "flow-print -n -w -f 3 < ft-v05.2026-11-23.120000+0000", Text: "Print a file with the names of ports and protocols."},
		},
		Files: []string{
			"SYSCONFDIR/sym/tcp-port.sym: names of ports",
			"SYSCONFDIR/sym/ip-prot.sym: names of protocols",
			"SYSCONFDIR/sym/asn.sym: names of autonomous systems",
			"SYSCONFDIR/sym/tag.sym: names of tags",
		},
		SeeAlso: []string{"flow-cat(1)", "flow-stat(1)", "flow-report(1)", "flow-header(1)", "flow-export(1)"},
		Run:     o.run,
	}
}

func (o *options) setFormat(s string) error {
	n := int(clib.Atoi(s))
	o.format = &n
	return nil
}

// sink collects text and writes it.
type sink struct {
	w   io.Writer
	buf []byte
}

// flush writes what was collected.
//
// Compat: output that cannot be written is no failure (status 0); unlike the
// original we say so and stop.
func (s *sink) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	if err != nil {
		return cli.Fail(0, "write(): %w", ftfile.Reason(err))
	}
	return nil
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	if o.format != nil {
		if _, err := print.Lookup(*o.format); err != nil {
			return err
		}
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()

	n := print.Default(in.Header().Version)
	if o.format != nil {
		n = *o.format
	}
	format, err := print.Lookup(n)
	if err != nil {
		return err
	}
	out := &sink{w: env.Stdout, buf: make([]byte, 0, 4*flow.SlabSize)}
	if o.header {
		out.buf = print.AppendHeader(out.buf, in.Header(), o.comment, env.Zone())
	}
	if in.Layout().Missing(format.Needs()) != 0 {
		if err := out.flush(); err != nil {
			env.WarnError(err)
		}
		return cli.Fail(255, "Flow record missing required field for format.")
	}
	rows := format.Rows(in.Layout(), o.options(env, format))
	out.buf = append(out.buf, rows.Heading()...)
	total, err := o.print(in, rows, out)
	if err != nil {
		return err
	}
	streamio.Warn(env, in)
	if o.debug > 0 {
		env.Profile(total)
	}
	return nil
}

// options loads what the format needs.
func (o *options) options(env *cli.Env, format print.Format) print.Options {
	opt := print.Options{
		Wide: o.wide,
		Zone: env.Zone(),
		// Without program name, unlike all other messages. A failure to print it has nowhere to go.
		Bogus: func() { _, _ = io.WriteString(env.Stderr, "Ignoring bogus flow dPkts=0\n") },
	}
	if o.names {
		opt.Names = make(map[string]print.Names)
		for _, table := range format.Symbols() {
			opt.Names[table] = env.Symbols(table + ".sym")
		}
	}
	return opt
}

// print is the record loop. Output goes out with every batch, or every record,
// so that a pipeline keeps the latency of its producer.
func (o *options) print(in *ftfile.Reader, rows *print.Rows, out *sink) (total uint64, err error) {
	if o.flush {
		if err := out.flush(); err != nil {
			return 0, err
		}
	}
	for b := range in.Batches() {
		for r := range b.All() {
			out.buf = rows.Append(out.buf, r)
			if o.flush {
				if err := out.flush(); err != nil {
					return total, err
				}
			}
		}
		if err := out.flush(); err != nil {
			return total, err
		}
		total += uint64(b.Len())
	}
	return total, out.flush()
}
