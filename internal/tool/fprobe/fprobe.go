// Package fprobe is fprobe: a sensor that turns packets, from interfaces or capture files, into NetFlow.
package fprobe

import (
	"context"
	"os"
	"syscall"

	"flowtools/internal/cli"
)

// options are the values as given; parse makes settings of them.
type options struct {
	text       map[byte]string // by letter, of options that take a number or a list
	interfaces []string
	files      []string // -r and --read
	priority   string   // -r with a number
	filter     string
	from       string // -a
	indexes    string // -x
	pace       string
	chroot     string
	user       string
	log        string
	output     string // -w
	keys       string
	rules      string // -X
	icmp       string
	metrics    string
	noPromisc  bool
	wire       bool
	endOfFlow  bool
	stats      bool
	systemd    bool
}

// Spec describes fprobe.
func Spec() *cli.Spec {
	o := &options{text: map[byte]string{}}
	number := func(letter byte, long, arg, help string) cli.Flag {
		return cli.Func(letter, long, arg, func(s string) error { o.text[letter] = s; return nil }, help)
	}
	many := func(f cli.Flag) cli.Flag { f.Many = true; return f }
	file := func(f cli.Flag) cli.Flag { f.Files = true; return f }
	values := func(f cli.Flag, v ...string) cli.Flag { f.Values = v; return f }
	return &cli.Spec{
		Name:        "fprobe",
		Summary:     "NetFlow sensor",
		Usage:       []string{"[options] remote:port[/[local][/type]] ..."},
		Operands:    "remote:port[/[local][/type]] ...",
		MaxOperands: -1,
		Stdout:      true,
		Once:        true,
		BadOption:   "Wrong parameters",
		Flags: []cli.Flag{
			cli.Bool('p', "", &o.noPromisc, "do not put the interface into promiscuous mode; on loopback count outgoing packets too"),
			many(cli.Func('i', "interface", "name", o.addInterface, "capture on this interface (default the first usable one); any: on all; -: read a capture file from standard input; may be repeated")),
			many(file(cli.Func('r', "", "file|priority", o.addFile, "read this pcap or pcapng file, compressed or not, - is standard input, may be repeated; a number is a real-time priority, 1 to 99"))),
			many(file(cli.Func(0, "read", "file", func(s string) error { o.files = append(o.files, s); return nil }, "the same for a file whose name is a number"))),
			cli.Text('f', "filter", "expression", &o.filter, "count only packets that match, see pcap-filter(7); @file: a program from tcpdump -ddd"),
			number('n', "", "version", "NetFlow version to send: 1, 5, 7, 9, or 10 for IPFIX (default 5)"),
			file(cli.Text('w', "write", "file", &o.output, "write a flow stream, - to standard output; collectors are then optional")),
			number('V', "", "version", "record version of that stream: 1, 5, 6, 7 or 1005 (default 5)"),
			number('z', "", "level", "zlib level of that stream, 0 to 9 (default 0)"),
			number('s', "", "seconds", "time between scans for flows that ended (default 5)"),
			number('g', "", "seconds", "lifetime of incomplete sets of fragments (default 30)"),
			number('d', "", "seconds", "lifetime of flows without packets (default 60)"),
			number('e', "", "seconds", "lifetime of flows with packets (default 300)"),
			cli.Bool('E', "", &o.endOfFlow, "end TCP flows two seconds after RST or FIN in both directions"),
			values(cli.Text('T', "", "parts", &o.keys, "parts of the flow key beyond addresses, protocol and ports: a list of tos, vlan, mac, if"), "tos", "vlan", "mac", "if"),
			values(cli.Text(0, "icmp", "way", &o.icmp, "ports of ICMP flows: ports (type and code) or cisco (destination type * 256 + code); default ports, with -w, -n 9 and 10 cisco"), "ports", "cisco"),
			number('j', "", "N", "count one packet in N; counters are not scaled up"),
			cli.Text('a', "", "address", &o.from, "local address to send from"),
			cli.Text('x', "", "in[:out]", &o.indexes, "interface indexes to send (default 0); auto: those of the capture interface, by direction"),
			cli.Text('X', "", "rules", &o.rules, "indexes by interface name: eth:100,ppp:200 makes eth1 101"),
			cli.Text('t', "", "B:N", &o.pace, "after B octets sent pause for N nanoseconds"),
			number('S', "", "octets", "octets to capture of each packet, 0 for all (default 256)"),
			number('K', "", "octets", "skip link headers of this length instead of reading them"),
			cli.Bool('k', "", &o.wire, "count octets of whole frames, not of IP packets"),
			number('m', "", "KiB", "memory for flows, 0 for any (default 0)"),
			number('b', "", "flows", "flows to allocate memory for at a time (default 10000)"),
			number('q', "", "packets", "packets to take from one interface before looking at the next (default 100)"),
			number('B', "", "KiB", "size of the kernel's capture buffer (default 8192)"),
			cli.Text('c', "", "directory", &o.chroot, "change the root directory"),
			cli.Text('u', "", "user", &o.user, "run as this user once everything is open"),
			number('v', "", "level", "log messages up to this syslog level (default 6, with -w - 4)"),
			cli.Text('l', "", "[dst][:id]", &o.log, "log to 0 nothing, 1 syslog and the background, 2 standard output, 3 both (default 1; 2 with files); id goes into the tag and the name of the pid file"),
			cli.Bool(0, "stats", &o.stats, "at the end of files print what was counted to standard error; collectors are then optional"),
			cli.Text(0, "metrics", "address", &o.metrics, "serve Prometheus metrics on http://address/metrics"),
			cli.Bool(0, "systemd", &o.systemd, "stay in the foreground, log to standard error for the journal, notify systemd of readiness and life"),
		},
		Signals:       []os.Signal{syscall.SIGTERM, syscall.SIGINT},
		IgnoreSIGPIPE: true,
		Description: "fprobe counts packets into flows and sends the flows that ended to collectors as NetFlow, and to a file as a flow stream. " +
			"A packet belongs to the flow of its addresses, protocol and ports (and -T). A flow ends when it had no packet for the time of -d, when it is older than that of -e, and at the end.\n\n" +
			"Every collector gets all datagrams unless its type is r: those take turns. local is an address to send from that overrides -a. " +
			"IPv6 collectors are written [address]:port.\n\n" +
			"Packets come from interfaces of Linux or from capture files. With files their time stamps are the clock: the result does not depend on when or how fast they are read.\n\n" +
			"IPv6 packets are counted with -n 9 and -n 10 and without collectors and -w; older versions of NetFlow and flow streams have no room for them.",
		ExitText: "0 after the end of the files or SIGTERM or SIGINT, with -h and after a wrong option or none at all; 1 on errors.",
		Examples: []cli.Example{
			{Command: "fprobe -i eth0 -f ip 192.0.2.10:9995", Text: "Watch an interface in the background and send NetFlow 5."},
			{Command: "fprobe -r trace.pcap -f ip -w - | flow-stat -f 10", Text: "Summarize a capture file by address pairs."},
			{Command: "fprobe -i eth0 -i eth1 -x auto -n 10 --metrics :9100 collector:4739", Text: "Send IPFIX for two interfaces, with metrics."},
			{Command: "fprobe -r trace.pcapng.zst --stats", Text: "Only say what is in a capture file."},
		},
		Files:   []string{"/var/run/fprobe.pid: process number of a sensor in the background; with -l :ID /var/run/fprobe[ID].pid"},
		SeeAlso: []string{"flow-capture(1)", "flow-receive(1)", "pcap-filter(7)"},
		Notes: "Signals: SIGTERM and SIGINT send all flows and end; SIGHUP sends all flows and goes on; SIGUSR1 logs the counters.\n\n" +
			"A filter compiled for an interface sees frames without the VLAN tag that the kernel takes off, as with tcpdump: 'ip' accepts tagged packets too, 'vlan and ip' only those.",
		Run: o.run,
	}
}

func (o *options) addInterface(s string) error {
	if s == "-" {
		o.files = append(o.files, s)
		return nil
	}
	o.interfaces = append(o.interfaces, s)
	return nil
}

// addFile is -r: all digits are a priority.
func (o *options) addFile(s string) error {
	for _, c := range s {
		if c < '0' || c > '9' {
			o.files = append(o.files, s)
			return nil
		}
	}
	o.priority = s
	return nil
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	if len(env.Args) == 0 && o.output == "" && !o.stats {
		return cli.Usage(0)
	}
	set, err := o.parse(env)
	if err != nil {
		// Compat: fprobe's messages have no name in front.
		env.Log = func(text string) { _, _ = env.Stderr.Write([]byte(text + "\n")) }
		return err
	}
	s := &sensor{set: set, env: env}
	return s.run(ctx)
}
