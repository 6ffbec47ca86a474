// Package flowdumper is flowdumper: it prints the flows of files, or those that
// an expression selects.
package flowdumper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/dumper"
	"flowtools/internal/flowexpr"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// mode is what is written for a flow.
type mode uint8

const (
	printed  mode = iota // text, in options.format
	raw                  // the record as it was read
	repacked             // the record with what the expression assigned
)

type options struct {
	format dumper.Format
	mode   mode
	every  bool // -a
	quiet  bool
	count  bool
	source flowexpr.Source
	each   bool // -e was given
	out    string
	trace  bool // -V
}

// Spec describes flowdumper.
func Spec() *cli.Spec {
	o := &options{}
	set := func(f dumper.Format, m mode) func(string) error {
		return func(string) error { o.format, o.mode = f, m; return nil }
	}
	var verbose bool
	return &cli.Spec{
		Name:        "flowdumper",
		Summary:     "print flows, or those an expression selects",
		Usage:       []string{"[-hacnvV] [-s|-S|-r|-R] [[-I expr] -e expr [-E expr]]", "[-o file] [flow_file|- ...]"},
		Operands:    "[flow_file|- ...]",
		MaxOperands: -1,
		UsageExit:   1,
		Flags: []cli.Flag{
			cli.Bool('a', "all", &o.every, "write all flows, whatever -e says; implied without it"),
			cli.Func('e', "expression", "expr", func(s string) error { return o.setEach(s) }, "evaluate expr for every flow; the flow matches when it is true"),
			cli.Text('I', "before", "expr", &o.source.Init, "evaluate expr before the first flow"),
			cli.Text('E', "after", "expr", &o.source.Last, "evaluate expr after the last flow"),
			cli.Func('s', "short", "", set(dumper.Short, printed), "print a line for every flow that matches"),
			cli.Func('S', "old-short", "", set(dumper.Old, printed), "print a line of fixed columns"),
			cli.Func('r', "raw", "", set(dumper.Long, raw), "write a flow stream of the flows that match"),
			cli.Func('R', "repack", "", set(dumper.Long, repacked), "the same with the fields that the expression assigned to; needs -e"),
			cli.Bool('n', "no-print", &o.quiet, "write no flows; -s, -S, -r and -R have no effect"),
			cli.Bool('c', "count", &o.count, "print the number of flows that match, after them"),
			cli.File('o', "output", "file", &o.out, "write flows to file; %s in its name is the base name of the input file"),
			cli.Bool('v', "verbose", &verbose, "accepted: files that cannot be read are reported in any case"),
			cli.Bool('V', "trace", &o.trace, "report every file, the expression as it is understood, and how many flows matched"),
			refused('B', "bgp", "AS paths from a BGP dump are not available"),
			refused('p', "prefixes", "anonymising by a prefix file is not available; see flow-xlate(1)"),
		},
		Description: `flowdumper reads the flow files named, or standard input, and prints their flows: a block of lines for each or, with -s, one line. Files hold records of version 1, 5, 6 or 7; they are read in the order given, and one that cannot be read is reported and left out.

With -r it is a filter: it reads flow streams and writes one.

Which flows is decided by the expression of -e. It is a condition in expr-lang (https://expr-lang.org) over the variables of a flow, or the same in Perl, which the flowdumper of p5-Cflow took.`,
		Notes:       flowexpr.Notes(),
		Environment: []string{cli.EnvTZ},
		ExitText: "0 when all files were read; 1 when one could not be, when an option or an expression is wrong or fails, and when the output cannot be written; what the expression says " +
			"when it calls exit. A file that is cut short or damaged behind its header gives a warning and the flows before the damage.",
		Examples: []cli.Example{
			{Command: "flowdumper -s ft-v05.2026-11-23.120000+0000", Text: "Print a file, one line a flow."},
			{Command: "flowdumper -se '53 == $srcport || 53 == $dstport' ft-v05.*", Text: "Print the flows of name servers."},
			{Command: "flowdumper -se 'dstport in [53, 853] and within(srcip, \"10.0.0.0/8\")' ft-v05.*", Text: "The same kind of thing in expr-lang."},
			{Command: "flowdumper -nce '$tcp == $protocol && ($tcp_flags & ($TH_SYN|$TH_ACK)) == $TH_SYN' ft-v05.*", Text: "Count attempts to connect that nobody answered."},
			{Command: "flowdumper -re '$bytes / $pkts > 1400' < in | flow-stat -f 10", Text: "Use it as a filter."},
			{Command: "flowdumper -ne '$sum += $bytes' -E 'print \"$sum\\n\"' ft-v05.*", Text: "Add up octets."},
		},
		SeeAlso: []string{"flow-print(1)", "flow-filter(1)", "flow-nfilter(1)", "flow-export(1)"},
		Run:     o.run,
	}
}

// refused is an option of the original that we do not have.
func refused(letter byte, long, why string) cli.Flag {
	return cli.Func(letter, long, "file", func(string) error { return fmt.Errorf("-%c: %s", letter, why) }, "not supported: "+why)
}

func (o *options) setEach(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("-e: the expression is empty")
	}
	o.source.Each, o.each = s, true
	return nil
}

// dump is one run of the tool.
type dump struct {
	*options
	env     *cli.Env
	program *flowexpr.Program
	stdout  *text
	out     *output
	total   uint64
	matched uint64
	skipped bool // an input could not be read
}

func (o *options) run(_ context.Context, env *cli.Env) (err error) {
	if o.mode == repacked && !o.each && !o.quiet {
		return errors.New("-R needs -e")
	}
	if strings.Count(o.out, "%s") > 1 {
		return errors.New("-o: %s may stand once in the name")
	}
	d := &dump{options: o, env: env, stdout: &text{w: env.Stdout}}
	// A stream on standard output leaves no room there for anything else.
	var said io.Writer = d.stdout
	if o.mode != printed && !o.quiet && o.out == "" {
		said = env.Stderr
	}
	d.program, err = flowexpr.Compile(o.source, flowexpr.Options{Zone: env.Zone(), Stdout: said, Stderr: env.Stderr})
	if err != nil {
		return err
	}
	if o.trace {
		for line := range strings.Lines(d.program.Translation()) {
			env.Warn("%s", strings.TrimSuffix(line, "\n"))
		}
	}
	err = d.all(said)
	// Whatever happened, what was written so far goes out.
	if closed := errors.Join(d.out.close(), d.stdout.flush()); err == nil {
		err = closed
	}
	var exit *flowexpr.Exit
	switch {
	case errors.As(err, &exit):
		return cli.Fail(exit.Code, "")
	case err == nil && d.skipped:
		return cli.Fail(1, "")
	}
	return err
}

// all does everything between the first flow and the count.
func (d *dump) all(said io.Writer) error {
	if err := d.program.Begin(); err != nil {
		return err
	}
	names := d.env.Args
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		if err := d.input(name); err != nil {
			return err
		}
	}
	if err := d.program.End(); err != nil {
		return err
	}
	if d.trace {
		d.env.Warn("%d/%d flows matched", d.matched, d.total)
	}
	if d.count {
		if _, err := io.WriteString(said, strconv.FormatUint(d.matched, 10)+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// input does one file. A file that cannot be read is no error here.
func (d *dump) input(name string) error {
	var file io.Reader = d.env.Stdin
	if name != "-" {
		f, err := os.Open(d.env.Path(name))
		if err != nil {
			d.skip(name, ftfile.Reason(err))
			return nil
		}
		defer f.Close()
		file = f
	}
	in, err := d.open(file)
	if err != nil {
		d.skip(name, err)
		return nil
	}
	defer in.Close()
	if d.trace {
		d.env.Warn("%s: records of version %v", name, in.Header().Version)
	}
	if !d.quiet {
		if err := d.direct(name, in.Header().Version); err != nil {
			return err
		}
		if d.out.stream != nil && d.out.version != in.Header().Version {
			d.skip(name, fmt.Errorf("records of version %v do not go into a stream of version %v", in.Header().Version, d.out.version))
			return nil
		}
	}
	if err := d.flows(name, in, streamio.Live(file)); err != nil {
		return err
	}
	if err := in.Err(); err != nil {
		d.env.Warn("%s: %v", name, err)
	}
	return nil
}

// skip reports an input that is left out.
func (d *dump) skip(name string, err error) {
	d.skipped = true
	d.env.Warn("%s: %v", name, err)
}

// open reads a header, and accepts it if its records can be shown.
func (d *dump) open(file io.Reader) (*ftfile.Reader, error) {
	h, err := ftfile.ReadHeader(file)
	if err != nil {
		return nil, err
	}
	if err := dumper.Supports(h.Version); err != nil {
		return nil, err
	}
	return ftfile.NewReaderHeader(file, h)
}

// flows is the record loop. Output goes out with every batch.
func (d *dump) flows(name string, in *ftfile.Reader, live bool) error {
	l := in.Layout()
	d.program.Use(l)
	rows := d.format.Rows(l, d.env.Zone())
	var scratch flow.Record // what -r evaluates: the stream gets the record as it was
	if d.mode == raw && d.program.Sets() {
		scratch = make(flow.Record, l.Size)
	}
	seen := 0
	for b := range in.Batches() {
		for r := range b.All() {
			seen++
			record := r
			if scratch != nil {
				copy(scratch, r)
				record = scratch
			}
			ok, err := d.program.Match(record)
			if err != nil {
				return place(err, name, seen)
			}
			if ok {
				d.matched++
			}
			switch {
			case d.quiet || !ok && !d.every:
			case d.mode == printed:
				d.out.text.buf = rows.Append(d.out.text.buf, r)
			default:
				if err := d.out.stream.WriteRecord(r); err != nil {
					return err
				}
			}
		}
		if err := d.flush(live); err != nil {
			return err
		}
	}
	d.total += uint64(seen)
	return nil
}

// place says where an expression failed.
func place(err error, name string, flow int) error {
	var exit *flowexpr.Exit
	if errors.As(err, &exit) {
		return err
	}
	return fmt.Errorf("%w (flow %d of %s)", err, flow, name)
}

// flush writes what a batch gave.
func (d *dump) flush(live bool) error {
	if d.out != nil {
		if d.out.stream != nil && live {
			if err := d.out.stream.Flush(); err != nil {
				return err
			}
		}
		if err := d.out.text.flush(); err != nil {
			return err
		}
	}
	return d.stdout.flush()
}
