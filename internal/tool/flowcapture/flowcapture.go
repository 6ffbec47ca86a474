// Package flowcapture is flow-capture: it keeps the flows of NetFlow PDUs in
// rotated files.
package flowcapture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"flowtools/internal/capture"
	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/daemon"
	"flowtools/internal/expire"
	"flowtools/internal/receive"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

type options struct {
	streamio.Output
	foreground bool
	keepUmask  bool
	dir        string
	nesting    int
	rotations  int
	limit      expire.Limit
	pid        string
	program    string
	stat       int
	version    *flow.Version
	rules      capture.Rules
	clients    int
	sync       time.Duration
	retry      time.Duration
	receive    receive.Options
}

// program is the name of the tool.
const program = "flow-capture"

// tagged is the record version that has room for tags.
var tagged = flow.Version{Export: 1005}

// Spec describes flow-capture.
func Spec() *cli.Spec {
	_, s := newSpec()
	return s
}

func newSpec() (*options, *cli.Spec) {
	o := &options{
		nesting: ftfile.NestLimit, rotations: 95, pid: "/var/run/flow-capture.pid",
		Output: streamio.Output{Level: 6},
		sync:   defaultSync,
	}
	return o, &cli.Spec{
		Name:        program,
		Summary:     "keep the flows of NetFlow exporters in files",
		Operands:    "localip/remoteip/port",
		MaxOperands: -1,
		UsageExit:   1,
		Flags: slices.Concat(o.Flags("b"), o.receive.Flags(), []cli.Flag{
			cli.Int('c', "clients", "count", &o.clients, "serve so many TCP clients, on the port of the same number"),
			streamio.CommentFlag(&o.Comment),
			cli.Int('d', "debug", "level", &o.Debug, "not 0: list the known files; expiry only says what it would remove"),
			cli.Bool('D', "foreground", &o.foreground, "stay in the foreground; messages go to standard error, no pid file"),
			cli.Func('e', "expire-count", "count", func(s string) error { o.limit.Files = uint32(clib.Atoi(s)); return nil }, "keep at most this many files (0 is all)"),
			cli.Func('E', "expire-size", "bytes[bKMG]", o.setSize, "keep at most this many octets, K M G being powers of 1024 and b 512 (0 is all)"),
			cli.File('f', "filter-file", "file", &o.rules.Filter.File, "filter file (default SYSCONFDIR/cfg/filter.cfg)"),
			cli.Text('F', "filter", "definition", &o.rules.Filter.Name, "keep only the flows that this definition of the filter file permits"),
			cli.Func('n', "rotations", "count", o.setRotations, "rotations a day: one file more than this is made (default 95, every 15 minutes; -1 is never)"),
			cli.Func('N', "nesting", "level", o.setNesting, "directories: 0 none, 1 YYYY, 2 YYYY/YYYY-MM, 3 YYYY/YYYY-MM/YYYY-MM-DD, -1 YYYY-MM-DD, -2 YYYY-MM/YYYY-MM-DD (default 3)"),
			cli.File('p', "pid-file", "file", &o.pid, "pid file, to which .PORT is added; - is none (default /var/run/flow-capture.pid)"),
			cli.File('R', "rotate-program", "program", &o.program, "run for each completed file, with its name as only argument"),
			cli.Func(0, "retry", "time", o.setRetry, "run the program of -R again, less and less often, while it fails, for up to this long (seconds, or a number with s, m, h or d), across restarts too"),
			capture.StatFlag(&o.stat),
			cli.Func(0, "sync", "seconds", o.setSync, fmt.Sprintf("flows older than this are safe on disk if the program is killed or the power fails (0 is never; default %d)", defaultSync/time.Second)),
			cli.File('t', "tag-file", "file", &o.rules.Tag.File, "tag file (default SYSCONFDIR/cfg/tag.cfg)"),
			cli.Func('T', "tag", "definition", o.setTag, "tag flows by this definition of the tag file; files are then of version 1005"),
			cli.Bool('u', "keep-umask", &o.keepUmask, "keep the umask when detaching (it is 022 otherwise)"),
			cli.Func('v', "variable", "name=value", o.rules.Vars.Set, "value of @name in the configuration files"),
			o.versionFlag(),
			cli.File('w', "directory", "directory", &o.dir, "work directory; required, and what all relative names are relative to"),
			cli.File('x', "xlate-file", "file", &o.rules.Xlate.File, "xlate file (default SYSCONFDIR/cfg/xlate.cfg)"),
			cli.Text('X', "xlate", "definition", &o.rules.Xlate.Name, "change flows by this definition of the xlate file"),
			streamio.LevelFlag(&o.Level),
		}),
		Description: `flow-capture listens for NetFlow of version 1, 5, 6, 7 and 8 on localip (0 is any) and port, from remoteip (0 is any), and keeps the flows in files below the work directory. A file is named tmp-vVV.DATE.TIME+ZONE while it is open and ft-vVV.DATE.TIME+ZONE when it is complete, after the local time when it was opened.

The day is divided into equal intervals, at whose ends files are rotated. All files have one version, that of the first PDU unless -V or -T is given; PDUs of other versions are translated where that is possible and refused where it is not. Lost flows are told by the sequence numbers of each exporter and engine.

Flows are tagged, filtered and changed, in this order, before they are kept. A remoteip that is a multicast group is joined; localip is then the exporter.

TCP clients (-c) get a stream, beginning with a header as they connect and never compressed, of all flows that go to files from then on; there are none before the first PDU, unless -V or -T is given. A client that does not keep up is dropped. Who may connect is said by /etc/hosts.allow and /etc/hosts.deny (TCP wrappers) for the service flow-capture-client, by address: host names, user names and commands in these files are left out, with a message.

Capture never waits for the disk. While that is full or fails, up to 128 MiB of flows wait in memory, and writing is tried again every second for as long as it takes. Flows beyond that are lost; the log, the header of the file (lost flows) and the metric disk_lost_flows_total tell how many. A file that cannot be written for another reason than want of room is completed with what it has, and another one opened.

While flows arrive, the file is made safe at least every --sync seconds, and can be read that far, whether it is compressed or not: no more than that is lost when the program is killed or the power fails. Files that a crash has left open below the work directory are completed at the next start: their whole records are kept, the header gets its counts and the end, the file its final name; then they are given to -R and to expiry as any other. Files that another process has open are left alone.

The program of -R has one argument, the name of the file relative to the work directory, where it runs. It is not waited for, up to 32 run at once, and its output and a status other than 0 are logged. With --retry a program that fails is run again, after 10 seconds first and then after twice as long each time, up to 5 minutes, until it succeeds or the time is over. What is to be done is remembered in the work directory by port, and goes on after a crash or a restart; a crash can make a program run again for a file that it was just done with. Expiry does not wait for a program: -e and -E must leave room for as long as it may fail.

HUP rotates at once and reads the configuration files again; TERM and QUIT complete the file and end the program.

Without -D the program detaches itself once it is ready to receive: work directory, configuration and port have been opened by then, and if that fails the status tells. Its messages go to syslog, facility local6.

` + receive.Notes,
		ExitText: "0 after TERM or QUIT, and when detached; 1 on errors at the start, when the first file or the configuration cannot be opened, and when the last file could not be completed.",
		Examples: []cli.Example{
			{Command: "flow-capture -w /var/log/netflows -E 10G 0/192.0.2.1/9995", Text: "Keep the flows of one router, the newest 10 GiB of them."},
			{Command: "flow-capture -c 2 -w flows 0/0/9995; nc localhost 9995 | flow-print", Text: "Watch the flows that are being kept."},
			{Command: "flow-capture -D -n 287 -N -1 -R ./load --retry 2d -w flows 0/0/9995", Text: "Files of 5 minutes, each given to flows/load, again and again if need be."},
		},
		Files: []string{
			"/var/run/flow-capture.pid.PORT: the pid",
			"SYSCONFDIR/cfg/filter.cfg, tag.cfg, xlate.cfg: the default configuration files",
			"/etc/hosts.allow, /etc/hosts.deny: who may be a client",
			"WORKDIR/.flow-capture.PORT.queue: the files that the program of -R has still to be run for (--retry)",
		},
		SeeAlso: []string{"flow-receive(1)", "flow-fanout(1)", "flow-expire(1)", "flow-cat(1)", "flow-nfilter(1)", "flow-tag(1)", "flow-xlate(1)"},
		Run:     o.run,
	}
}

// defaultSync is the age from which on flows survive a crash.
const defaultSync = time.Minute

func (o *options) setSync(s string) error {
	n := clib.Atoi(s)
	if n < 0 || n > 86400 {
		return errors.New("--sync must be between 0 and 86400")
	}
	o.sync = time.Duration(n) * time.Second
	return nil
}

// retryLimit is the most that --retry may be.
const retryLimit = 1000 * 24 * time.Hour

// setRetry reads a number with a unit.
func (o *options) setRetry(s string) error {
	units := map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	number := strings.TrimRight(s, "smhd")
	n, err := strconv.ParseUint(number, 10, 24)
	unit, ok := units[s[len(number):]]
	if err != nil || !ok || n == 0 || n > uint64(retryLimit/unit) {
		return fmt.Errorf("--retry: %q is not a time", s)
	}
	o.retry = time.Duration(n) * unit
	return nil
}

func (o *options) setSize(s string) error {
	v, ok := clib.ScanSize(s)
	if !ok {
		return errors.New("scan_size(): failed")
	}
	o.limit.Bytes = v
	return nil
}

func (o *options) setRotations(s string) error {
	switch o.rotations = int(clib.Atoi(s)); {
	case o.rotations > 1439:
		return errors.New("rotations limited to every 1 minute")
	case o.rotations < -1:
		return errors.New("there cannot be fewer than -1 rotations")
	}
	return nil
}

func (o *options) setNesting(s string) error {
	o.nesting = int(clib.Atoi(s))
	if o.nesting < -ftfile.NestLimit || o.nesting > ftfile.NestLimit {
		return errors.New("-3 <= nesting level <= 3")
	}
	return nil
}

func (o *options) setTag(s string) error {
	o.rules.Tag.Name = s
	o.version = &tagged // Compat: whatever an earlier -V said
	return nil
}

func (o *options) versionFlag() cli.Flag {
	f := capture.VersionFlag(&o.version)
	set := f.Set
	f.Set = func(s string) error {
		if err := set(s); err != nil {
			return err
		}
		if o.rules.Tag.Name != "" && *o.version != tagged {
			return errors.New("Must be v1005 with tagging.")
		}
		return nil
	}
	return f
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	if len(env.Args) != 1 {
		return errors.New("Specify localip/remoteip/port.")
	}
	if o.dir == "" {
		return errors.New("Specify workdir with -w.")
	}
	if o.retry > 0 && o.program == "" {
		return errors.New("--retry is for the program of -R")
	}
	umask := 0o022
	if o.keepUmask {
		umask = -1
	}
	d, err := daemon.Start(env, daemon.Options{Detach: !o.foreground, Umask: umask, Syslog: daemon.FacilityLocal6})
	if err != nil {
		return err
	}
	defer d.Close()
	signals, release := daemon.Signals(syscall.SIGHUP, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGPIPE)
	defer release()
	if err := enter(env, o.dir); err != nil {
		return err
	}
	c, err := o.collector(env)
	if err != nil {
		return err
	}
	if d.Detached() && o.rules.Any() {
		// Compat: in the foreground errors in these files are found when the
		// version is known (golden flow-capture/filter-file-missing).
		if _, err := o.rules.Load(env, c.intake.Layout()); err != nil {
			return err
		}
	}
	c.receiver, err = o.receive.Open(env, program, env.Args[0], c.intake)
	if err != nil {
		return err
	}
	defer c.receiver.Close()
	addr := c.receiver.Addr()
	if err := c.start(addr.Port()); err != nil {
		return err
	}
	if o.clients > 0 {
		c.clients, err = capture.ReserveClients(addr, capture.ClientsConfig{
			Output: o.Output, Max: o.clients, Access: capture.SystemAccess("flow-capture-client", env.Warn), Now: env.Now, Warn: env.Warn,
		})
		if err != nil {
			return err
		}
		defer c.clients.Close()
	}
	var pid *daemon.PidFile
	if d.Detached() && o.pid != "" && o.pid != "-" {
		if pid, err = daemon.WritePid(env.Path(fmt.Sprintf("%s.%d", o.pid, addr.Port()))); err != nil {
			env.Warn("%v", err)
		}
	}
	if err := d.Ready(); err != nil {
		return err
	}
	if err := c.loop(ctx, signals, c.receiver.Start()); err != nil {
		return err
	}
	if err := pid.Remove(); err != nil {
		env.Warn("%v", err)
	}
	return nil
}

// enter makes a directory the one that all relative names are relative to.
func enter(env *cli.Env, dir string) error {
	if env.Dir == "" {
		if err := os.Chdir(dir); err != nil {
			return fmt.Errorf("chdir(%s): %w", dir, ftfile.Reason(err))
		}
		return nil
	}
	path := env.Path(dir) // the process has another one
	if info, err := os.Stat(path); err != nil {
		return fmt.Errorf("chdir(%s): %w", dir, ftfile.Reason(err))
	} else if !info.IsDir() {
		return fmt.Errorf("chdir(%s): %w", dir, syscall.ENOTDIR)
	}
	env.Dir = path
	return nil
}
