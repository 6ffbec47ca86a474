// Package flowstat is flow-stat: it sums up a stream in one of several reports.
package flowstat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/print"
	"flowtools/internal/report/sheet"
	"flowtools/internal/stat"
	"flowtools/internal/streamio"
	"flowtools/pkg/ftfile"
)

type options struct {
	stat.Options
	debug  int
	format int
	names  bool
	header bool
	title  *string
	form   *sheet.Form // nil: the original's text
}

// Spec describes flow-stat.
func Spec() *cli.Spec {
	o := &options{Options: stat.Options{Comment: '#'}}
	return &cli.Spec{
		Name:       "flow-stat",
		Summary:    "summarize a flow stream",
		Persistent: true,
		MoreHelp:   func(w io.Writer) { _, _ = io.WriteString(w, stat.List()) },
		Flags: append([]cli.Flag{
			print.CommentFlag(&o.Comment),
			streamio.DebugFlag(&o.debug),
			cli.Int('f', "format", "format", &o.format, "report number, see below (default 0)"),
			cli.Bool('n', "names", &o.names, "names of ports, protocols, AS numbers and tags"),
			cli.Bool('p', "header", &o.header, "print the stream header too"),
			cli.Bool('P', "percent", &o.Percent, "percentages of the total in place of counts"),
			cli.Func('s', "ascending", "column", o.sort(stat.Ascending), "sort by a column, the first being 0"),
			cli.Func('S', "descending", "column", o.sort(stat.Descending), "sort by a column, largest first"),
			cli.Int('t', "tally", "lines", &o.Tally, "with -P: running percentages every so many lines, in reports by port, protocol, interface, AS, ToS and engine"),
			cli.Func('T', "title", "title", func(s string) error { o.title = &s; return nil }, "title line in the report information"),
			cli.Bool('w', "wide", &o.Wide, "wide labels, and the sum of durations"),
		}, sheet.Flags(&o.form)...),
		Description: "flow-stat prints one report on the flow stream on standard input: sums of flows, octets, packets and duration by port, address, interface, AS and " +
			"others, or a summary of everything.",
		Notes: stat.List(),
		ExitText: "1 for an unknown report and a stream whose header cannot be read. 0 otherwise: after a bad option, when records lack a field that the report needs, when there " +
			"is no such column to sort by, and when standard output cannot be written. These are reported on standard error; with --table, --json or --csv their status is 1.",
		Examples: []cli.Example{
			{Command: "flow-cat /var/log/netflows | flow-stat -f 10 -S 3", Text: "Octets by pair of addresses, the largest first."},
			{Command: "flow-cat /var/log/netflows | flow-stat --table -f 9 -S 2", Text: "Octets by source address, for people."},
			{Command: "flow-stat -n -P -f 5 -S 2 < ft-v05.2026-11-23.120000+0000", Text: "Shares of the services in a file."},
		},
		Files: []string{
			"SYSCONFDIR/sym/tcp-port.sym: names of ports",
			"SYSCONFDIR/sym/ip-prot.sym: names of protocols",
			"SYSCONFDIR/sym/asn.sym: names of autonomous systems",
			"SYSCONFDIR/sym/tag.sym: names of tags, and of the values of reports 1 to 3",
		},
		SeeAlso: []string{"flow-cat(1)", "flow-print(1)", "flow-report(1)"},
		Run:     o.run,
	}
}

func (o *options) sort(direction func(int) stat.Sort) func(string) error {
	return func(s string) error {
		o.Sort = direction(int(clib.Atoi(s)))
		return nil
	}
}

// Compat: once the stream header was read nothing makes the status of a report
// in text other than 0.
func (o *options) run(_ context.Context, env *cli.Env) error {
	format, err := stat.Lookup(o.format)
	if err != nil {
		return err
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	w := bufio.NewWriterSize(env.Stdout, 64<<10)
	if o.form == nil {
		// Errors of w stay in it until the end.
		_, _ = w.Write(o.information(nil, format, env.Argv))
		if o.header {
			_, _ = w.Write(print.AppendHeader(nil, in.Header(), o.Comment, env.Zone()))
		}
	}
	err = o.report(env, in, format, w)
	if flushed := w.Flush(); flushed != nil {
		err = errors.Join(err, fmt.Errorf("write(): %w", ftfile.Reason(flushed)))
	}
	if err != nil && o.form == nil {
		return cli.Fail(0, "%w", err)
	}
	return err
}

// report reads the stream and prints the report. Errors of w stay in it.
func (o *options) report(env *cli.Env, in *ftfile.Reader, format stat.Format, w *bufio.Writer) error {
	if in.Layout().Missing(format.Needs()) != 0 {
		return errors.New("Flow record missing required field for format.")
	}
	if table := format.Symbols(); o.names && table != "" {
		o.Names = env.Symbols(table + ".sym")
	}
	// Without program name, unlike all other messages. A failure to print it has nowhere to go.
	o.Bogus = func() { _, _ = io.WriteString(env.Stderr, "Ignoring bogus flow dPkts=0\n") }
	r, err := format.New(in.Layout(), o.Options)
	if err != nil {
		return err
	}
	if o.form == nil {
		return o.produce(env, in, r, r.Text(w))
	}
	sheets := o.form.Writer(w, env.Zone())
	title := ""
	if o.title != nil {
		title = *o.title
	}
	if err := o.produce(env, in, r, r.Sheet(sheets, title)); err != nil {
		return err
	}
	return sheets.Close()
}

// produce is the record loop and what follows it.
func (o *options) produce(env *cli.Env, in *ftfile.Reader, r *stat.Report, out stat.Output) error {
	var meter *cli.Meter // nil: none, as for pipes, whose other end has one
	if !streamio.Live(env.Stdin) {
		total := int64(-1)
		if h := in.Header(); h.Has(ftfile.TagFlows) && h.Flows > 0 {
			total = int64(h.Flows)
		}
		meter = env.Progress("reading", total).Of("flows")
	}
	defer meter.Done()
	out.Open()
	records := uint64(0)
	for b := range in.Batches() {
		out.Add(b)
		records += uint64(b.Len())
		meter.Add(int64(b.Len()))
	}
	meter.Done()
	streamio.Warn(env, in)
	if err := r.Err(); err != nil {
		return err
	}
	if err := r.Arrange(); err != nil {
		// With the comment character where other messages have the program's name.
		_, _ = env.Stderr.Write(append([]byte{o.Comment, ' '}, err.Error()+".\n"...))
		return cli.Fail(1, "")
	}
	out.Close()
	if o.debug > 0 {
		env.Profile(records)
	}
	return nil
}

// information appends the lines that say what is reported.
func (o *options) information(b []byte, format stat.Format, argv []string) []byte {
	line := func(label, text string) {
		b = append(b, o.Comment, ' ')
		b = clib.AppendString(b, label, 11, 11)
		b = append(append(b, text...), '\n')
	}
	bare := func() { b = append(b, o.Comment, '\n') }

	b = append(append(b, o.Comment), "  --- ---- ---- Report Information --- --- ---\n"...)
	bare()
	if o.title != nil {
		line("Title:", *o.title)
	}
	fields, symbols := "Total", "Disabled"
	if o.Percent {
		fields = "Percent Total"
	}
	if o.names {
		symbols = "Enabled"
	}
	line("Fields:", fields)
	line("Symbols:", symbols)
	line("Sorting:", o.Sort.String())
	line("Name:", format.Name())
	bare()
	line("Args:", printable(argv))
	bare()
	return b
}

// printable joins arguments, each with a blank behind it, and leaves out what is
// not printable ASCII.
func printable(argv []string) string {
	var b []byte
	for _, arg := range argv {
		for i := range len(arg) {
			if ' ' <= arg[i] && arg[i] <= '~' {
				b = append(b, arg[i])
			}
		}
		b = append(b, ' ')
	}
	return string(b)
}
