// Package flowfanout is flow-fanout: it passes NetFlow PDUs on to any number of
// collectors.
package flowfanout

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"flowtools/internal/capture"
	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/daemon"
	"flowtools/internal/receive"
	"flowtools/pkg/flow"
)

// program is the name of the tool.
const program = "flow-fanout"

type options struct {
	zeroAS     *uint16
	debug      int
	foreground bool
	rules      capture.Rules
	mask       *uint32
	pid        string
	spoof      bool
	stat       int
	version    *flow.Version
	delay      int // microseconds after each datagram
	receive    receive.Options
}

// Spec describes flow-fanout.
func Spec() *cli.Spec {
	o := &options{pid: "/var/run/flow-fanout.pid"}
	return &cli.Spec{
		Name:        program,
		Summary:     "pass NetFlow PDUs on to several collectors",
		Operands:    "localip/remoteip/port localip/remoteip/port[/ttl] ...",
		MaxOperands: -1,
		UsageExit:   1,
		Flags: append(o.receive.Flags(),
			cli.Func('A', "as", "as", o.setAS, "put this in place of AS numbers that are 0"),
			cli.Int('d', "debug", "level", &o.debug, "no effect"),
			cli.Bool('D', "foreground", &o.foreground, "stay in the foreground; messages go to standard error, no pid file"),
			cli.File('f', "filter-file", "file", &o.rules.Filter.File, "filter file (default SYSCONFDIR/cfg/filter.cfg)"),
			cli.Text('F', "filter", "definition", &o.rules.Filter.Name, "pass only the flows that this definition of the filter file permits"),
			capture.MaskFlag(&o.mask),
			cli.File('p', "pid-file", "file", &o.pid, "pid file, to which .PORT is added; - is none (default /var/run/flow-fanout.pid)"),
			cli.Bool('s', "spoof", &o.spoof, fmt.Sprintf("make the IP and UDP headers here: source localip or, if that is 0, the exporter; source port %d for the first destination, the next for the next", capture.SpoofPort)),
			capture.StatFlag(&o.stat),
			cli.Func('v', "variable", "name=value", o.setVariable, "value of @name in the filter file"),
			capture.VersionFlag(&o.version),
			cli.Int('x', "delay", "usec", &o.delay, "sleep this many microseconds after each datagram sent"),
		),
		Description: `flow-fanout listens for NetFlow of version 1, 5, 6, 7 and 8 as its first operand says - on localip (0 is any) and port, from remoteip (0 is any) - and sends the flows to all other operands, from localip (0 is the system's choice) to remoteip and port.

A PDU received becomes one PDU sent, or more if it does not fit one of the version sent; flows of different PDUs are never combined. All PDUs have one version, that of the first PDU unless -V is given; PDUs of other versions are translated where that is possible and refused where it is not. Sequence numbers begin at 0 and are those of flow-fanout: they are the same for all destinations and go on across exporters, flows lost before are only logged.

Addresses are masked, flows translated and then filtered, in this order. HUP reads the filter file again, with the next PDU; TERM and QUIT end the program.

A destination that cannot take datagrams as they come, because its interface is too slow, does not hold up the others: what waits for it is sent later, and what is too much is lost and counted in the log. To a multicast group the datagrams have the given ttl (default 0). A remoteip of the first operand that is a multicast group is joined; localip is then the exporter.

Without -D the program detaches itself once it is ready to receive: filter, port and destinations have been opened by then, and if that fails the status tells. Its messages go to syslog, facility local6.

` + receive.Notes,
		ExitText: "0 after TERM or QUIT, and when detached; 1 on errors, also those in the filter file met when it is read.",
		Examples: []cli.Example{
			{Command: "flow-fanout 0/0/9995 0/127.0.0.1/9996 0/192.0.2.7/9995", Text: "Pass what arrives to a local and another collector."},
			{Command: "flow-fanout -D -s -m 255.255.255.0 0/0/9995 0/192.0.2.7/9995", Text: "Send with the addresses of the exporters, the hosts made unrecognizable."},
		},
		Files: []string{
			"/var/run/flow-fanout.pid.PORT: the pid",
			"SYSCONFDIR/cfg/filter.cfg: the default filter file",
		},
		SeeAlso: []string{"flow-capture(1)", "flow-receive(1)", "flow-send(1)", "flow-nfilter(1)"},
		Run:     o.run,
	}
}

func (o *options) setAS(s string) error {
	as := uint16(clib.Atoi(s))
	o.zeroAS = &as
	return nil
}

func (o *options) setVariable(s string) error {
	if err := o.rules.Vars.Set(s); err != nil {
		return errors.Join(err, fmt.Errorf("ftvar_pset(%s): failed", s))
	}
	return nil
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	if len(env.Args) < 2 {
		return errors.New("Must define at least source and one destination.")
	}
	d, err := daemon.Start(env, daemon.Options{Detach: !o.foreground, Umask: 0o022, Syslog: daemon.FacilityLocal6, Root: true})
	if err != nil {
		return err
	}
	defer d.Close()
	signals, release := daemon.Signals(syscall.SIGHUP, syscall.SIGTERM, syscall.SIGQUIT)
	defer release()
	r := newRelay(o, env, signals)
	defer r.fan.close()
	if o.version != nil {
		if err := r.fix(*o.version); err != nil {
			return err
		}
	}
	if d.Detached() && o.rules.Any() {
		// Compat: in the foreground errors in the file are found with the first
		// PDU (golden flow-fanout/filter-file-missing).
		if _, err := o.rules.Load(env, r.intake.Layout()); err != nil {
			return err
		}
	}
	if r.receiver, err = o.receive.Open(env, program, env.Args[0], r.intake); err != nil {
		return err
	}
	defer r.receiver.Close()
	for _, operand := range env.Args[1:] {
		if err := o.dial(&r.fan, operand); err != nil {
			return err
		}
	}
	if d.Detached() && o.pid != "" && o.pid != "-" {
		pid, err := daemon.WritePid(env.Path(fmt.Sprintf("%s.%d", o.pid, r.receiver.Addr().Port())))
		if err != nil {
			env.Warn("%v", err)
		}
		defer func() {
			if err := pid.Remove(); err != nil {
				env.Warn("%v", err)
			}
		}()
	}
	if err := d.Ready(); err != nil {
		return err
	}
	return r.loop(ctx, r.receiver.Start())
}

// dial adds a destination.
func (o *options) dial(f *fan, operand string) error {
	a, err := capture.ParseAddress(operand, resolve.IPv4)
	if err != nil {
		return err
	}
	var to *capture.Sender
	if o.spoof {
		to, err = capture.Spoof(a, uint16(capture.SpoofPort+len(f.to)))
	} else {
		to, err = capture.Dial(a)
	}
	if err != nil {
		return err
	}
	f.add(operand, to, !a.Local.IsUnspecified())
	return nil
}
