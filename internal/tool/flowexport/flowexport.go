// Package flowexport is flow-export: it turns flow records into other formats
// and into rows of databases.
package flowexport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/export"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// passwordVariable names the environment variable that holds a password.
const passwordVariable = "FLOW_EXPORT_PASSWORD"

// defaultLedger is the table of --once.
const defaultLedger = "flow_exports"

type options struct {
	format   string
	mask     export.Mask
	debug    int
	db       export.Database
	once     bool
	password string // file
}

// Spec describes flow-export.
func Spec() *cli.Spec {
	o := &options{mask: export.AllFields}
	s := &cli.Spec{
		Name:    "flow-export",
		Summary: "export flows to other formats and to databases",
		Usage: []string{"[-h] [-d debug_level] [-f format] [-m mask_fields]",
			"[-u user:password:host:port:name:table] < stream"},
		HelpExit:  0,
		UsageExit: 0,
		Flags: []cli.Flag{
			streamio.DebugFlag(&o.debug),
			cli.Text('f', "format", "format", &o.format, "number or name of the format; see below"),
			cli.Func('m', "mask", "mask_fields", o.setMask, "fields to export: a number, or names separated by commas in the order of the fields (default all)"),
			cli.Func('u', "uri", "uri", o.setURI, "database: USER:PASSWORD:HOST:PORT:NAME:TABLE, a URL, or FILE[:TABLE] of SQLite"),
			cli.File(0, "password-file", "file", &o.password, "file whose first line is the password, when -u has none; "+passwordVariable+" in the environment does the same"),
			cli.Bool(0, "create", &o.db.Create, "make the table if there is none (SQLite always does)"),
			cli.Func(0, "on-conflict", "what", o.setConflict, "a row whose key is there already: fail (nothing is loaded, the default), ignore or replace it"),
			cli.Bool(0, "once", &o.once, "load no records twice: remember each load in the table "+defaultLedger),
			cli.Text(0, "ledger", "table", &o.db.Ledger, "the table of --once, which this implies"),
			cli.Func(0, "index", "fields", o.setIndex, "fields to index in an SQLite table (default unix_secs)"),
		},
		Description: "flow-export reads a flow stream from standard input and writes it in another format to standard output, or as rows to a database.\n\n" +
			"An export to a database is one transaction: all rows of the input are there at the end, or none. Every error of the database is printed on standard error " +
			"and makes the exit status 1; the original went on after a failed MySQL statement and ended with status 0, and kept the rows before a failed PostgreSQL statement. " +
			"Rows travel by LOAD DATA (as inserts of many rows where the server does not allow it), COPY, and prepared inserts.",
		Notes: notes(),
		Examples: []cli.Example{
			{Command: "flow-cat /var/log/netflows | flow-export -f2 -m0x303000", Text: "Addresses, protocol and destination port as CSV."},
			{Command: "flow-export -f3 -u netflow:secret:localhost:3306:netflow:flows < ft-v05.2026-11-23.101500+0000", Text: "Fill a MySQL table."},
			{Command: "FLOW_EXPORT_PASSWORD=secret flow-export -f5 --create --once -u 'postgres://netflow@db/netflow?sslmode=verify-full&table=flows' < ft-v05.2026-11-23.101500+0000",
				Text: "Fill a PostgreSQL table over TLS, made when it is missing, at most once with these records."},
			{Command: "flow-export -f sqlite -u flows.db < ft-v05.2026-11-23.101500+0000", Text: "Fill the table flows of an SQLite file."},
		},
		ExitText: "0; 1 after an error of the input, an output that cannot be written, or a database that does not take the rows; " +
			"255 for -f1 when records lack a field or the output cannot be written, and for a -u with less than six parts. Damage in the input is a warning: what was read is exported.",
		SeeAlso: []string{"flow-import(1)", "flow-cat(1)", "flow-print(1)"},
		Run:     o.run,
	}
	for i := range s.Flags {
		switch s.Flags[i].Long {
		case "format":
			for _, t := range Targets() {
				s.Flags[i].Values = append(s.Flags[i].Values, t.Name)
			}
		case "on-conflict":
			s.Flags[i].Values = export.Conflicts[:]
		}
	}
	return s
}

// notes lists the formats and the fields.
func notes() string {
	var b strings.Builder
	b.WriteString("Formats:\n")
	for _, t := range Targets() {
		number := " "
		if t.Number >= 0 {
			number = strconv.Itoa(t.Number)
		}
		fmt.Fprintf(&b, "  %s %-8s %s\n", number, t.Name, t.Help)
	}
	b.WriteString("\nFields, with their bits in a number for -m:\n")
	for f := range flow.AllFields() {
		fmt.Fprintf(&b, "  0x%-10x %s\n", uint64(f.Set()), f)
	}
	b.WriteString("\nDatabase URLs:\n" +
		"  mysql://USER:PASSWORD@HOST:PORT/NAME?table=TABLE\n" +
		"      also tls=true|skip-verify|preferred, ssl-ca=FILE, ssl-cert=FILE,\n" +
		"      ssl-key=FILE, socket=PATH, and the parameters of go-sql-driver/mysql\n" +
		"  postgres://USER:PASSWORD@HOST:PORT/NAME?table=TABLE\n" +
		"      also sslmode=, sslrootcert=, host=/SOCKET/DIRECTORY and the other\n" +
		"      parameters of libpq\n")
	return b.String()
}

func (o *options) setMask(s string) (err error) {
	o.mask, err = export.ParseMask(s)
	return err
}

func (o *options) setURI(s string) error {
	o.db.URI = s
	return export.CheckURI(s)
}

func (o *options) setConflict(s string) error {
	for i, word := range export.Conflicts {
		if word == s {
			o.db.Conflict = export.Conflict(i)
			return nil
		}
	}
	return fmt.Errorf("--on-conflict: %q is none of %s", s, strings.Join(export.Conflicts[:], ", "))
}

func (o *options) setIndex(s string) error {
	m, err := export.ParseMask(s)
	o.db.Index = flow.FieldSet(m.Bits)
	return err
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	t, err := target(o.format)
	if err != nil {
		return err
	}
	opt := export.Options{Mask: o.mask, Out: env.Stdout, DB: o.db}
	if t.Check != nil {
		if err := t.Check(&opt); err != nil {
			return err
		}
	}
	if err := o.database(env, &opt.DB); err != nil {
		return err
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	opt.Layout = in.Layout()
	n, err := o.copy(ctx, env, in, t.Open, &opt)
	switch {
	case errors.Is(err, export.ErrURI):
		// Compat: goldens uri-short-*.
		env.Warn("%v", err)
		exported(env, 0)
		return cli.Fail(255, "")
	case errors.Is(err, export.ErrLoaded):
		env.Warn("%v", err)
		n = 0
	case err != nil && t.Status != 0:
		return cli.Fail(t.Status, "%w", err)
	case err != nil:
		return err
	}
	if o.debug > 0 {
		env.Profile(n)
	}
	exported(env, n)
	return nil
}

// exported prints the last line.
//
// Compat: it starts with argv[0] as typed.
func exported(env *cli.Env, n uint64) {
	fmt.Fprintf(env.Stderr, "%s: Exported %d records\n", env.Arg0, n)
}

// copy moves the records and returns their number.
func (o *options) copy(ctx context.Context, env *cli.Env, in *ftfile.Reader, open export.Opener, opt *export.Options) (n uint64, err error) {
	sink, err := open(ctx, opt)
	if err != nil {
		return 0, err
	}
	defer sink.Abort()
	total := int64(-1)
	if h := in.Header(); h.Has(ftfile.TagFlows) && h.Flows > 0 {
		total = int64(h.Flows)
	}
	meter := env.Progress("exporting", total).Of("flows")
	defer meter.Done()
	for b := range in.Batches() {
		n += uint64(b.Len())
		if err := sink.Write(b); err != nil {
			return n, err
		}
		meter.Add(int64(b.Len()))
	}
	streamio.Warn(env, in)
	return n, sink.Close()
}

// database completes the options of databases.
func (o *options) database(env *cli.Env, db *export.Database) error {
	db.Path, db.Warn = env.Path, env.Warn
	if o.once && db.Ledger == "" {
		db.Ledger = defaultLedger
	}
	if o.debug > 0 {
		db.Trace = func(statement string) { fmt.Fprintf(env.Stderr, "query=%s\n", statement) }
	}
	db.Password, _ = env.LookupEnv(passwordVariable)
	if o.password != "" {
		text, err := os.ReadFile(env.Path(o.password))
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		db.Password, _, _ = strings.Cut(string(text), "\n")
		db.Password = strings.TrimSuffix(db.Password, "\r")
	}
	return nil
}
