// Package flowreport is the command flow-report.
package flowreport

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/config"
	"flowtools/internal/report"
	"flowtools/internal/report/sheet"
	"flowtools/internal/streamio"
	"flowtools/pkg/ftfile"
	engine "flowtools/pkg/report"
)

type options struct {
	file       *string
	definition string
	vars       config.Vars
	debug      int
	form       *sheet.Form
}

// Spec returns the description of flow-report.
func Spec() *cli.Spec {
	o := &options{definition: "default"}
	file := cli.Func('s', "report-file", "file", func(s string) error { o.file = &s; return nil },
		"report file (default SYSCONFDIR/cfg/stat.cfg, or a built-in one)")
	file.Files = true
	return &cli.Spec{
		Name:    "flow-report",
		Summary: "make reports of a flow stream",
		Flags: append(append([]cli.Flag{
			streamio.DebugFlag(&o.debug),
			file,
			cli.Text('S', "report", "definition", &o.definition, "definition in the report file (default \"default\")"),
			cli.Func('v', "variable", "name=value", o.vars.Set, "value of @name in the report file, and in filter and tag files it names"),
		}, sheet.Flags(&o.form)...),
			cli.Refused('b', "byte_order"), cli.Refused('C', "comment"), cli.Refused('k', ""), cli.Refused('z', "z_level")),
		Persistent:    true,
		MoreHelp:      listTypes,
		IgnoreSIGPIPE: true,
		Description: `flow-report reads one flow stream from standard input, makes every report of a definition in the report file, and prints each as comma separated text to standard output, to files or into commands.

Without a report file there is one report, default, in a definition of that name, printed as flow-rptfmt does. Its type is summary-detail unless the variable TYPE says otherwise; SORT, FIELDS, OPTIONS and RPTOPT (the options of flow-rptfmt) replace the other settings. -hh lists the types of reports.

A report has a type and any number of outputs, each with its own columns, order, limit and path. A definition names reports, and may filter, mask and tag the flows before.

With --table, --json or --csv every output goes to standard output in that form, whatever its path; its columns, order and limits stay as they are in the report file.`,
		Notes: `The keywords of report files:

  include-filter, include-tag, include-mask FILE
  stat-report NAME
    type TYPE
    filter NAME
    scale N
    tag-mask SOURCE DESTINATION
    ip-source-address-format, ip-destination-address-format
      address, prefix-len or prefix-mask
    output
      sort +COLUMN (largest first) or -COLUMN
      fields +COLUMN,-COLUMN,...
      options +header,+xheader,+totals,+percent-total,+names
      records N
      tally N
      path FILE or |COMMAND, with the conversions of strftime
      time now, start, mid or end
  stat-definition NAME
    filter NAME
    mask NAME
    tag NAME
    report NAME
    time-series SECONDS`,
		Examples: []cli.Example{
			{Command: "flow-cat ft-v05.* | flow-report", Text: "a summary with averages and distributions"},
			{Command: "flow-report -v TYPE=ip-source/destination-address -v SORT=+octets --table < flows", Text: "pairs of addresses, most octets first, for reading"},
			{Command: "flow-report -s site.cfg -S hourly -v DIR=/var/www/flows < flows", Text: "the reports of definition hourly, with @DIR standing for a folder"},
			{Command: "flow-report -v TYPE=ip-protocol --json < flows", Text: "the same numbers for a program"},
		},
		Files: []string{
			"SYSCONFDIR/cfg/stat.cfg: the default report file",
			"SYSCONFDIR/cfg/filter.cfg, tag.cfg, mask.cfg: what reports may name",
			"SYSCONFDIR/sym/*.sym: names for the option +names",
		},
		SeeAlso:  []string{"flow-stat(1)", "flow-rptfmt(1)", "flow-rpt2rrd(1)", "flow-nfilter(1)", "flow-tag(1)", "flow-mask(1)"},
		ExitText: "0, also after help or a bad option, when the stream is damaged behind its header, when a command in a path fails, and when nobody reads the output; 1 for operands, a report file with errors, an unknown definition, an unreadable stream, records that lack a field, and files that cannot be written.",
		Run:      o.run,
	}
}

// listTypes is what each -h but the first prints.
func listTypes(w io.Writer) {
	var b strings.Builder
	b.WriteString("\nAvailable reports:\n\n")
	for _, t := range engine.Types() {
		b.WriteString("  " + t.Name + "\n")
	}
	io.WriteString(w, b.String())
}

// load reads the report file.
func (o *options) load(env *cli.Env) (*report.File, error) {
	opt := report.Options{
		Vars: o.vars, LookupEnv: env.LookupEnv, Now: env.Now, Resolve: resolve.IPv4, Path: env.Path,
		Filters: env.Config("cfg/filter.cfg"), Tags: env.Config("cfg/tag.cfg"), Masks: env.Config("cfg/mask.cfg"),
		Warn: env.WarnError,
	}
	if o.file != nil {
		return report.Load(env.Path(*o.file), opt)
	}
	path := env.Config("cfg/stat.cfg")
	f, err := report.Load(path, opt)
	var missing *fs.PathError
	if errors.As(err, &missing) && missing.Path == path && errors.Is(err, fs.ErrNotExist) {
		return report.ParseBuiltin(opt)
	}
	return f, err
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	file, err := o.load(env)
	if err != nil {
		return err
	}
	definition, err := file.Definition(o.definition)
	if err != nil {
		return err
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	run, err := definition.New(env, in.Header(), in.Layout(), o.form)
	if err != nil {
		return err
	}
	total, err := count(meter(env, in, definition), in, run)
	if err = run.Finish(err); err != nil {
		return err
	}
	streamio.Warn(env, in)
	if o.debug > 0 {
		env.Profile(total)
	}
	return nil
}

// count is the record loop.
func count(m *cli.Meter, in *ftfile.Reader, run *report.Run) (total uint64, err error) {
	defer m.Done()
	for b := range in.Batches() {
		n := b.Len()
		if err := run.Add(b); err != nil {
			return total, err
		}
		m.Add(int64(n * in.Layout().Size))
		total += uint64(n)
	}
	return total, nil
}

// meter shows how far a file is read, while nothing else is printed.
func meter(env *cli.Env, in *ftfile.Reader, d *report.Definition) *cli.Meter {
	f, ok := env.Stdin.(*os.File)
	if !ok || d.Series != 0 {
		return nil
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	total := info.Size()
	if in.Header().Flags&ftfile.FlagCompress != 0 {
		total = 0 // unknown
	}
	return env.Progress("reading", total)
}
