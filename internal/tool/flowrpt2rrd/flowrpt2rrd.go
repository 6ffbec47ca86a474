// Package flowrpt2rrd is the command flow-rpt2rrd.
package flowrpt2rrd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/rptfmt"
	"flowtools/internal/rrd"
)

type options struct {
	keys     []string
	keyFile  string // instead of keys, if not empty
	fields   string
	folder   string
	postfix  string
	archives []archive
	verbose  bool
	debug    bool
	names    bool
}

// archive is a resolution that is kept.
type archive struct {
	steps int
	rows  string // "": not kept
}

// resolutions are the steps of the archives: 5 minutes, 30 minutes, 2 hours and
// a day.
var resolutions = [...]int{1, 6, 24, 288}

// Spec returns the description of flow-rpt2rrd.
func Spec() *cli.Spec {
	o := &options{fields: "flows,octets,packets", folder: "./"}
	if err := o.setArchives("600:600:600:732"); err != nil {
		panic(err)
	}
	return &cli.Spec{
		Name:    "flow-rpt2rrd",
		Summary: "store lines of a flow-report in round robin databases",
		Usage: []string{
			"[-nv] [-k keys] [-K keyfile] [-f fields]",
			"[-p rrd_path] [-P fname_postfix]",
			"[-r rrd_storage 5_min:30_min:2_hr:1_day ]",
		},
		Flags: []cli.Flag{
			cli.Bool('d', "debug", &o.debug, "print the rrdtool commands on standard error"),
			cli.Text('f', "fields", "names", &o.fields, "columns to store, separated by commas (default flows,octets,packets)"),
			cli.Func('k', "keys", "keys", o.setKeys, "keys to store, separated by commas; values of several key columns are joined by -; total_COLUMN is a total"),
			keyFile(o),
			cli.Bool('n', "names", &o.names, "keys are names of ports, protocols, AS numbers and tags"),
			cli.File('p', "path", "folder", &o.folder, "folder of the databases (default ./)"),
			cli.Text('P', "postfix", "text", &o.postfix, "comes behind the key in file names"),
			cli.Func('r', "storage", "a:b:c:d", o.setArchives, "values kept of 5 minutes, 30 minutes, 2 hours and a day (default 600:600:600:732); an empty part keeps none"),
			cli.Bool('v', "verbose", &o.verbose, "name the files that are updated"),
		},
		Operands:    "[word ...]",
		MaxOperands: -1,
		UsageExit:   1,
		HelpStdout:  true,
		PyGetopt:    true,
		Description: `flow-rpt2rrd reads the text of a flow-report with the option +header from standard input and stores its lines in round robin databases, one per key, at the time of the report's first flow. Databases that are missing are made. A key that is not in the report is stored as 0.

Reading ends at an empty line. Words behind the options are ignored.`,
		Examples: []cli.Example{
			{Command: "flow-report -s site.cfg -S protocols < flows | flow-rpt2rrd -k 6,17,total_octets -p /var/rrd", Text: "store TCP, UDP and the total of octets"},
		},
		Files:    []string{"FOLDER/KEYPOSTFIX.rrd: the databases"},
		SeeAlso:  []string{"flow-report(1)", "flow-log2rrd(1)", "rrdtool(1)"},
		ExitText: "1 for bad options, a report without header, and when rrdtool is missing or fails; 0 otherwise.",
		Run:      o.run,
	}
}

func (o *options) setKeys(s string) error {
	o.keys, o.keyFile = strings.Split(s, ","), ""
	return nil
}

func keyFile(o *options) cli.Flag {
	f := cli.Func('K', "key-file", "file", func(s string) error {
		if s == "" {
			return errors.New("-K needs the name of a file")
		}
		o.keyFile = s
		return nil
	}, "file with a key a line, up to the first empty one")
	f.Files = true
	return f
}

func (o *options) setArchives(s string) error {
	parts := strings.Split(s, ":")
	if len(parts) != len(resolutions) {
		return fmt.Errorf("-r %q has %d parts, not %d", s, len(parts), len(resolutions))
	}
	o.archives = nil
	for i, rows := range parts {
		o.archives = append(o.archives, archive{resolutions[i], rows})
	}
	return nil
}

// readKeys reads a key file.
func readKeys(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var keys []string
	for s := rptfmt.NewScanner(f); ; {
		if !s.Scan() || s.Text() == "" {
			return keys, s.Err()
		}
		if !strings.HasPrefix(s.Text(), "#") {
			keys = append(keys, s.Text())
		}
	}
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	if o.keyFile != "" {
		var err error
		if o.keys, err = readKeys(env.Path(o.keyFile)); err != nil {
			return err
		}
	}
	if len(o.keys) == 0 {
		return errors.New("no keys: give them with -k or -K")
	}
	f := &feeder{options: o, env: env, out: env.Text(), tool: rrd.Tool{Env: env}}
	err := f.feed(rptfmt.NewScanner(env.Stdin))
	if closed := f.tool.Close(); err == nil {
		err = closed
	}
	return err
}

var errNoTime = errors.New("the report has no first-flow line: it needs the option +header")

// feeder stores one report.
type feeder struct {
	*options
	env  *cli.Env
	out  *bufio.Writer
	tool rrd.Tool
	time string // of the report's first flow, "" before it is known
	want []string
}

// totalPrefix is what keys of totals begin with; they are stored under
// totalsKey.
const (
	totalPrefix = "total_"
	totalsKey   = "totals"
)

func (f *feeder) feed(s *rptfmt.Scanner) error {
	var totals []string
	for _, key := range f.keys {
		if name, ok := strings.CutPrefix(key, totalPrefix); ok {
			totals = append(totals, name)
		} else if !slices.Contains(f.want, key) {
			f.want = append(f.want, key)
		}
	}
	var columns []rptfmt.Column
	for columns == nil && s.Scan() && s.Text() != "" {
		line := s.Text()
		switch {
		case strings.HasPrefix(line, "# first-flow:"):
			if words := strings.Fields(line); len(words) > 2 {
				f.time = words[2]
			}
		case strings.HasPrefix(line, "# rec1"):
			names := rptfmt.Split(line)
			if !s.Scan() {
				break
			}
			if err := f.storeSome(totalsKey, names, strings.Split(s.Text(), ","), totals); err != nil {
				return err
			}
		case strings.HasPrefix(line, "# recn"):
			columns = rptfmt.Columns(line)
		}
	}
	if err := s.Err(); err != nil {
		return err
	}
	switch {
	case f.time == "":
		return errNoTime
	case columns == nil && len(f.want) > 0:
		return errors.New("the report has no recn line, and so no keys")
	}
	return f.feedLines(s, columns)
}

// feedLines stores the data lines of wanted keys, then what was not among them.
func (f *feeder) feedLines(s *rptfmt.Scanner, columns []rptfmt.Column) error {
	var names []string
	for _, c := range columns {
		names = append(names, c.Name)
	}
	wanted := strings.Split(f.fields, ",")
	keyOf := f.keyer(columns)
	for len(f.want) > 0 && s.Scan() && s.Text() != "" {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		values := strings.Split(s.Text(), ",")
		if len(values) < len(columns) {
			return fmt.Errorf("a line has %d of %d columns: %q", len(values), len(columns), s.Text())
		}
		key := keyOf(values)
		at := slices.Index(f.want, key)
		if at < 0 {
			continue
		}
		f.want = slices.Delete(f.want, at, at+1)
		if err := f.storeSome(key, names, values, wanted); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil {
		return err
	}
	zeros := make([]string, len(names))
	for i := range zeros {
		zeros[i] = "0"
	}
	for _, key := range f.want {
		if err := f.storeSome(key, names, zeros, wanted); err != nil {
			return err
		}
	}
	return nil
}

// keyer returns the function that makes the key of a line.
func (f *feeder) keyer(columns []rptfmt.Column) func(values []string) string {
	var names []func(string) string
	for _, c := range columns {
		show := func(s string) string { return s }
		if c.Key && f.names {
			show = rptfmt.Namer(f.env.Symbols, c.Name)
		}
		names = append(names, show)
	}
	return func(values []string) string {
		var parts []string
		for i, c := range columns {
			if c.Key {
				parts = append(parts, names[i](values[i]))
			}
		}
		return strings.Join(parts, "-")
	}
}

// storeSome stores the wanted ones of the values of a key, in the order of the
// report.
func (f *feeder) storeSome(key string, names, values, wanted []string) error {
	var sources, row []string
	for i, name := range names {
		if slices.Contains(wanted, name) && i < len(values) {
			sources, row = append(sources, name), append(row, values[i])
		}
	}
	if key == totalsKey && len(sources) == 0 && len(wanted) == 0 {
		return nil // no totals are wanted
	}
	if f.time == "" {
		return errNoTime
	}
	return f.store(key, sources, row)
}

func (f *feeder) store(key string, sources, values []string) error {
	file := f.folder + "/" + strings.ReplaceAll(key, "/", "-") + f.postfix + ".rrd"
	exists, err := f.tool.Exists(file)
	if err != nil {
		return err
	}
	if !exists {
		if err := f.create(file, sources); err != nil {
			return err
		}
	}
	if f.verbose {
		if err := f.say("Updating RRD " + file); err != nil {
			return err
		}
	}
	return f.call("update", file, f.time+":"+strings.Join(values, ":"))
}

func (f *feeder) create(file string, sources []string) error {
	start, err := strconv.ParseInt(f.time, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of the first flow, %q, is not a number", f.time)
	}
	if err := f.say("Creating RRD " + file); err != nil {
		return err
	}
	words := []string{"create", file, "--start", strconv.FormatInt(start-300, 10)}
	for _, name := range sources {
		words = append(words, "DS:"+name+":ABSOLUTE:600:U:U")
	}
	for _, a := range f.archives {
		if a.rows != "" {
			for _, how := range [...]string{"AVERAGE", "MAX"} {
				words = append(words, fmt.Sprintf("RRA:%s:0.5:%d:%s", how, a.steps, a.rows))
			}
		}
	}
	return f.call(words...)
}

// say prints a line at once: people watch.
func (f *feeder) say(text string) error {
	_, err := f.out.WriteString(text + "\n")
	if err != nil {
		return err
	}
	return f.out.Flush()
}

func (f *feeder) call(words ...string) error {
	if f.debug {
		// A message that cannot be printed has nowhere to go.
		_, _ = io.WriteString(f.env.Stderr, strings.Join(words, " ")+"\n")
	}
	return f.tool.Run(words...)
}
