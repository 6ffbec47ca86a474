// Package flowimport is flow-import: it makes a flow stream of records in other
// formats.
package flowimport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/export"
	"flowtools/internal/importer"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

type options struct {
	streamio.Output
	format  string
	mask    *export.Mask
	version *flow.Version
}

// Spec describes flow-import.
func Spec() *cli.Spec {
	o := &options{}
	s := &cli.Spec{
		Name:      "flow-import",
		Summary:   "make a flow stream of records in other formats",
		Usage:     []string{"-V pdu_version [-h] [-b big|little] [-d debug_level] [-f format]", "[-m mask_fields] [-z z_level] > stream"},
		HelpExit:  0,
		UsageExit: 0,
		Flags: append([]cli.Flag{
			cli.Func('V', "record-version", "version", o.setVersion, "version of the records to make, such as 5 or 8.1; required"),
			cli.Text('f', "format", "format", &o.format, "number or name of the format; see below"),
			cli.Func('m', "mask", "mask_fields", o.setMask, "columns of the CSV input, members of JSON objects to take: a number, or names separated by commas in the order of the fields (default: all of the version)"),
		}, o.Flags("bdz")...),
		Description: "flow-import reads records from standard input and writes a flow stream to standard output. " +
			"CSV files of flow-export come back as they were: a line \"#:\" and field names before the first record tells the columns.",
		Notes: notes(),
		Examples: []cli.Example{
			{Command: "flow-export -f2 < flows | flow-import -V5 -f2 > again", Text: "There and back."},
			{Command: "printf '10.0.0.1,10.0.0.2,53\\n' | flow-import -V5 -f2 -m srcaddr,dstaddr,dstport | flow-print", Text: "A record by hand."},
		},
		ExitText: "Scripts know these, odd as they are. A good end is 0 for CSV and JSON, 255 for cflowd and PDUs, 1 for NFCollector. " +
			"CSV ends with 255 when its last line is a record without a newline (it is imported) or a line of names is bad; JSON with 1 at a line that is no object of numbers and addresses; " +
			"NFCollector with 255 when its heading is bad; PDUs with 1 when one is cut short, of an unknown version or not to be translated. " +
			"Wrong options, and an output that cannot be written, are 1.",
		SeeAlso: []string{"flow-export(1)", "flow-print(1)"},
		Run:     o.run,
	}
	for i := range s.Flags {
		if s.Flags[i].Long == "format" {
			for _, f := range importer.Formats() {
				s.Flags[i].Values = append(s.Flags[i].Values, f.Name)
			}
		}
	}
	return s
}

func notes() string {
	var b strings.Builder
	b.WriteString("Formats:\n")
	for _, f := range importer.Formats() {
		number := " "
		if f.Number >= 0 {
			number = strconv.Itoa(f.Number)
		}
		fmt.Fprintf(&b, "  %s %-8s %s\n", number, f.Name, f.Help)
	}
	return b.String()
}

func (o *options) setVersion(s string) error {
	n, m, fields := clib.ScanVersion(s)
	if fields == 0 {
		return errors.New("Version scan failed")
	}
	v := flow.Version{Export: uint16(n)}
	if uint32(v.Export) != n { // the original takes the low 16 bits
		v.Export = 0
	}
	if v.Export == 8 && m < 256 {
		v.Agg = uint8(m)
	}
	o.version = &v
	return nil
}

func (o *options) setMask(s string) error {
	m, err := export.ParseMask(s)
	o.mask = &m
	return err
}

// format finds what a value of -f means: a name in full, else the number that
// C's atoi sees.
func format(value string) (importer.Format, error) {
	all := importer.Formats()
	i := slices.IndexFunc(all, func(f importer.Format) bool { return f.Name == value })
	if i < 0 {
		n := int(clib.Atoi(value))
		if i = slices.IndexFunc(all, func(f importer.Format) bool { return f.Number == n && n >= 0 }); i < 0 {
			return importer.Format{}, fmt.Errorf("No such format, %d", n)
		}
	}
	return all[i], nil
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	f, err := format(o.format)
	if err != nil {
		return err
	}
	if o.version == nil {
		return errors.New("Must specify export version to store flows")
	}
	layout, err := flow.LayoutOf(*o.version)
	if err != nil {
		return streamio.VersionError(err)
	}
	h := ftfile.NewHeader(layout.Version, ftfile.FlagStreaming)
	h.Hostname, h.Comments = "flow-import", "flow-import"
	h.Mark(ftfile.TagHostname, ftfile.TagComments)
	out, err := o.Create(env, h)
	if err != nil {
		return err
	}
	opt := importer.Options{Layout: layout, Mask: o.mask, Resolve: resolve.IPv4, Warn: env.Warn}
	if o.Debug > 0 {
		opt.Trace = env.Warn
	}
	source, err := f.Open(env.Stdin, &opt)
	if err == nil {
		err = copyAll(env, source, out)
	}
	if failed := out.Close(); failed != nil {
		return failed
	}
	var end *importer.End
	if !errors.As(err, &end) {
		return err
	}
	// Compat: argv[0] as typed; a full stop, unlike flow-export.
	fmt.Fprintf(env.Stderr, "%s: Imported %d records.\n", env.Arg0, out.Flows())
	if end.Err == nil {
		return cli.Fail(end.Status, "")
	}
	return cli.Fail(end.Status, "%w", end.Err)
}

// copyAll moves records until the source ends; its error is that end, or a
// failed write.
func copyAll(env *cli.Env, source importer.Source, out *ftfile.Writer) error {
	b := flow.NewBatch(out.Layout())
	live := streamio.Live(env.Stdin)
	meter := env.Progress("importing", -1).Of("flows")
	defer meter.Done()
	for {
		b.Reset()
		end := source.Read(b)
		meter.Add(int64(b.Len()))
		if err := out.Write(b); err != nil {
			return err
		}
		if end != nil {
			return end
		}
		if live {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}
