// Package flowlog2rrd is the command flow-log2rrd.
package flowlog2rrd

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/rptfmt"
	"flowtools/internal/rrd"
)

type options struct{ folder string }

// Spec returns the description of flow-log2rrd.
func Spec() *cli.Spec {
	o := &options{folder: "."}
	return &cli.Spec{
		Name:        "flow-log2rrd",
		Summary:     "store the statistics lines of flow-capture and flow-fanout in round robin databases",
		Flags:       []cli.Flag{cli.File('p', "path", "folder", &o.folder, "folder of the databases (default .)")},
		Operands:    "[word ...]",
		MaxOperands: -1,
		UsageExit:   1,
		NoHelp:      true,
		PyGetopt:    true,
		Description: `flow-log2rrd reads syslog lines from standard input and stores the statistics that flow-capture and flow-fanout log (option -S) in round robin databases, one per daemon, host, exporter, destination and export version. Other lines are passed over. Databases that are missing are made.`,
		Examples: []cli.Example{
			{Command: "grep STAT: /var/log/flows | flow-log2rrd -p /var/rrd", Text: "store what was logged"},
		},
		Files:    []string{"FOLDER/DAEMON.HOST.SOURCE.DESTINATION.VERSION.rrd: the databases"},
		SeeAlso:  []string{"flow-capture(1)", "flow-fanout(1)", "flow-rpt2rrd(1)", "rrdtool(1)"},
		ExitText: "1 for a bad option, a statistics line of another program or without a value that is needed, and when rrdtool is missing or fails; 0 otherwise.",
		Run:      o.run,
	}
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	tool := &rrd.Tool{Env: env}
	err := o.feed(env, tool)
	if closed := tool.Close(); err == nil {
		err = closed
	}
	return err
}

func (o *options) feed(env *cli.Env, tool *rrd.Tool) error {
	s := rptfmt.NewScanner(env.Stdin)
	for n := 1; s.Scan(); n++ {
		sample, err := parse(s.Text())
		if err == nil && sample != nil {
			err = o.store(env, tool, sample)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s.Err()
}

// daemon is a program whose statistics are stored.
type daemon struct {
	name    string
	sources []source
}

// source is a value that is stored, with its name in the log.
type source struct{ name, word string }

var (
	common  = []source{{"flows", "flows"}, {"pkts", "pkts"}, {"lost", "lost"}}
	daemons = []daemon{
		{"capture", common},
		{"fanout", append(common[:len(common):len(common)], source{"nobufs", "send_nobufs"})},
	}
)

// sample is what a line says.
type sample struct {
	file   string // name, without the folder
	now    int64
	daemon *daemon
	values []string
}

// The words of a syslog line: month, day, time, host, program, text.
const (
	wordHost    = 3
	wordProgram = 4
	wordMark    = 5
	programName = len("flow-") // into the program's word
)

// parse reads a line; it is nil for lines without statistics.
func parse(line string) (*sample, error) {
	words := strings.Fields(line)
	if len(words) <= wordMark || words[wordMark] != "STAT:" {
		return nil, nil
	}
	program := words[wordProgram]
	program = program[min(programName, len(program)):]
	var s sample
	for i := range daemons {
		if strings.HasPrefix(program, daemons[i].name) {
			s.daemon = &daemons[i]
		}
	}
	if s.daemon == nil {
		return nil, fmt.Errorf("statistics of %q, which is neither flow-capture nor flow-fanout", words[wordProgram])
	}
	set := map[string]string{}
	for _, w := range words {
		if name, value, ok := strings.Cut(w, "="); ok && !strings.Contains(value, "=") {
			set[name] = value
		}
	}
	var missing string
	get := func(name string) string {
		v, ok := set[name]
		if !ok && missing == "" {
			missing = name
		}
		return v
	}
	name := strings.Join([]string{s.daemon.name, words[wordHost], get("src_ip"), get("dst_ip"), get("d_ver"), "rrd"}, ".")
	s.file = strings.ReplaceAll(name, "/", "-") // lines come from the network
	now := get("now")
	for _, src := range s.daemon.sources {
		s.values = append(s.values, get(src.word))
	}
	if missing != "" {
		return nil, fmt.Errorf("statistics without %s=", missing)
	}
	var err error
	if s.now, err = strconv.ParseInt(now, 10, 64); err != nil {
		return nil, fmt.Errorf("now=%s is not a number", now)
	}
	return &s, nil
}

func (o *options) store(env *cli.Env, tool *rrd.Tool, s *sample) error {
	file := o.folder + "/" + s.file
	exists, err := tool.Exists(file)
	if err != nil {
		return err
	}
	if !exists {
		w := env.Text()
		w.WriteString("Creating RRD  " + file + "\n")
		if err := w.Flush(); err != nil {
			return err
		}
		words := []string{"create", file, "--start", strconv.FormatInt(s.now-300, 10)}
		for _, src := range s.daemon.sources {
			words = append(words, "DS:"+src.name+":COUNTER:600:U:U")
		}
		if err := tool.Run(append(words, "RRA:AVERAGE:0.5:1:2016", "RRA:AVERAGE:0.5:288:365")...); err != nil {
			return err
		}
	}
	return tool.Run("update", file, strconv.FormatInt(s.now, 10)+":"+strings.Join(s.values, ":"))
}
