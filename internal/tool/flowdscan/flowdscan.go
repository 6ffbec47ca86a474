// Package flowdscan is flow-dscan: it watches a stream for scans and unusually
// large flows.
package flowdscan

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/daemon"
	"flowtools/internal/dscan"
	"flowtools/internal/streamio"
)

// where alerts go
const (
	background = iota // detached, to syslog
	toStderr          // -b
	toSyslog          // -B
)

type options struct {
	dscan.Config
	mode     int
	load     bool
	save     bool
	state    string
	suppress string
}

// Spec describes flow-dscan.
func Spec() *cli.Spec {
	o := &options{
		Config: dscan.Config{Depth: 200, Ports: 64, MaxAge: 90000}, state: "/var/tmp/dscan.state", suppress: "./dscan.suppress",
	}
	number := func(letter byte, long, arg string, p *uint32, help string) cli.Flag {
		return cli.Func(letter, long, arg, func(s string) error {
			if v, ok := clib.ScanUint(s); ok {
				*p = v
			}
			return nil
		}, help)
	}
	list := func(letter byte, long string, p **clib.Set, help string) cli.Flag {
		return cli.Func(letter, long, "list", func(s string) (err error) {
			if *p, err = clib.ParseSet(s, 1<<16); err != nil {
				return fmt.Errorf("%w\nload_lookup(): failed", err)
			}
			return nil
		}, help)
	}
	mode := func(letter byte, long string, mode int, help string) cli.Flag {
		return cli.Func(letter, long, "", func(string) error { o.mode = mode; return nil }, help)
	}
	return &cli.Spec{
		Name:      "flow-dscan",
		Summary:   "watch a flow stream for scans",
		HelpExit:  1,
		UsageExit: 1,
		Flags: []cli.Flag{
			mode('b', "foreground", toStderr, "stay in the foreground, alerts to standard error"),
			mode('B', "syslog", toSyslog, "stay in the foreground, alerts to syslog"),
			cli.Int('d', "debug", "level", &o.Debug, "debug level"),
			number('D', "depth", "destinations", &o.Depth, "destinations of one source that make a host scan (default 200)"),
			list('i', "input", &o.Input, "only flows with these input interfaces"),
			list('I', "output", &o.Output, "only flows with these output interfaces"),
			cli.Bool('l', "load", &o.load, "load the state file first"),
			cli.File('L', "suppress", "base", &o.suppress, "suppress lists BASE.src and BASE.dst (default ./dscan.suppress)"),
			cli.Bool('m', "no-multicast", &o.NoMulticast, "ignore flows with a multicast address"),
			number('O', "octets", "octets", &o.Octets, "report flows with more octets"),
			cli.Bool('p', "save", &o.save, "write the state file at the end"),
			number('P', "packets", "packets", &o.Pkts, "report flows with more packets"),
			cli.File('s', "state", "file", &o.state, "state file (default /var/tmp/dscan.state)"),
			number('S', "ports", "ports", &o.Ports, "ports below 1024 on one destination that make a port scan (default 64)"),
			number('t', "age", "flows", &o.MaxAge, "forget destinations not seen for this many flows; 0 never (default 90000)"),
			number('T', "milliseconds", "ms", &o.Millis, "report flows that lasted longer"),
			cli.Bool('w', "no-web-replies", &o.NoWebReplies, "ignore TCP from port 80 to ports above 1023"),
			cli.Bool('W', "no-web-requests", &o.NoWebRequests, "ignore TCP to port 80 from ports above 1023"),
		},
		Description: "flow-dscan reads flows of version 1, 5, 6 or 7 and reports sources that talk to many destinations (host scan), sources that talk to many " +
			"low ports of one destination (port scan), and flows beyond given limits. Without -b or -B it goes to the background and reports to syslog (facility local6). " +
			"HUP reads the suppress lists again, USR1 writes the state file.",
		Examples: []cli.Example{{Command: "flow-cat /var/log/netflows | flow-dscan -b -m -W", Text: "Look for scans in the archive."}},
		SeeAlso:  []string{"flow-cat(1)", "flow-receive(1)"},
		Run:      o.run,
	}
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	d, err := daemon.Start(env, daemon.Options{
		Detach: o.mode == background, Umask: 0o022, Syslog: daemon.FacilityLocal6, Stdin: true,
	})
	if err != nil {
		return err
	}
	defer d.Close()
	// Compat: from here on a detached process complains to syslog only (golden
	// flow-dscan/daemon-bad-suppress).
	if err := d.Ready(); err != nil {
		return err
	}
	// The daemon's log drops what its sink cannot take in time; alerts wait.
	env.Log = nil
	if o.mode != toStderr {
		sink := daemon.Syslog(daemon.FacilityLocal6, env.Prog)
		env.Log = func(text string) { _ = sink(daemon.Info, text) } // no logger, no message
	}
	return o.watch(env)
}

// watch reads the stream. Signals are caught from the start, so that none ends
// the program, and act before the record after them.
func (o *options) watch(env *cli.Env) error {
	sigs, stop := catch()
	defer stop()
	det := dscan.New(o.Config, nil, env.Zone(), env.Warn)
	if o.load {
		if err := o.read(env, o.state, det.ReadState); err != nil {
			return err
		}
	}
	if err := o.readSuppress(env, det); err != nil {
		return err
	}
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	switch v := in.Layout().Version; v.Export {
	case 1, 5, 6, 7:
	default:
		return fmt.Errorf("Export version %d not supported by format\nUnsupported export version", v.Export)
	}
	det.SetLayout(in.Layout())

	var flows uint64
	for b := range in.Batches() {
		if err := o.signalled(env, det, sigs); err != nil {
			return err
		}
		flows += uint64(b.Len())
		for r := range b.All() {
			det.Flow(r)
		}
	}
	streamio.Warn(env, in)
	if o.save {
		o.writeState(env, det)
	}
	if o.Debug > 0 {
		env.Profile(flows)
	}
	return nil
}

// signals delivers a signal of each kind, however many came.
type signals struct{ usr1, hup chan os.Signal }

// catch catches the signals until stop is called.
func catch() (sigs signals, stop func()) {
	sigs = signals{make(chan os.Signal, 1), make(chan os.Signal, 1)}
	signal.Notify(sigs.usr1, syscall.SIGUSR1)
	signal.Notify(sigs.hup, syscall.SIGHUP)
	return sigs, func() {
		signal.Stop(sigs.usr1)
		signal.Stop(sigs.hup)
	}
}

// signalled acts on the signals that came.
func (o *options) signalled(env *cli.Env, det *dscan.Detector, sigs signals) error {
	told := func() {
		if o.Debug > 0 {
			env.Warn("signal: USR1") // Compat: for either signal
		}
	}
	select {
	case <-sigs.usr1:
		told()
		o.writeState(env, det)
	default:
	}
	select {
	case <-sigs.hup:
		told()
		return o.readSuppress(env, det)
	default:
	}
	return nil
}

func (o *options) readSuppress(env *cli.Env, det *dscan.Detector) error {
	for i, suffix := range []string{".src", ".dst"} {
		env.Warn("load_suppress %d", i)
		err := o.read(env, o.suppress+suffix, func(f io.Reader) error { return det.ReadSuppress(i, f, resolve.IPv4) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *options) read(env *cli.Env, name string, read func(io.Reader) error) error {
	f, err := os.Open(env.Path(name))
	if err != nil {
		return fmt.Errorf("fopen(%s): failed", name) // Compat: the text scripts look for has no reason
	}
	defer f.Close()
	return read(f)
}

// writeState replaces the state file; a failure is reported and no more.
func (o *options) writeState(env *cli.Env, det *dscan.Detector) {
	f, err := os.Create(env.Path(o.state))
	if err == nil {
		err = det.WriteState(f)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		env.Warn("fopen(%s): failed", o.state)
	}
}
