// Package flowsend is flow-send: it sends the flows of a stream as NetFlow PDUs.
package flowsend

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"flowtools/internal/capture"
	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	"flowtools/pkg/netflow"
)

type options struct {
	debug   int
	mask    *uint32
	spoof   bool
	version *flow.Version
	delay   int // microseconds after each datagram
}

// Spec describes flow-send.
func Spec() *cli.Spec {
	o := &options{}
	return &cli.Spec{
		Name:        "flow-send",
		Summary:     "send a flow stream as NetFlow PDUs",
		Operands:    "localip/remoteip/port[/ttl]",
		MaxOperands: -1,
		Flags: []cli.Flag{
			streamio.DebugFlag(&o.debug),
			capture.MaskFlag(&o.mask),
			cli.Bool('s', "spoof", &o.spoof, fmt.Sprintf("make the IP and UDP headers here: source localip, source port %d", capture.SpoofPort)),
			capture.VersionFlag(&o.version),
			cli.Int('x', "delay", "usec", &o.delay, "sleep this many microseconds after each datagram"),
		},
		Description: "flow-send reads a flow stream from standard input and sends it from localip (0 is the system's choice) to remoteip and port as NetFlow of version 1, 5, 6, 7 or 8. " +
			"Flows that the exporter sent in one PDU are sent in one again as far as the stream still shows it. Sequence numbers begin at 0. " +
			"There is no pacing but -x. To a multicast group the datagrams have the given ttl (default 0).",
		ExitText: "0 when the last PDU sent was full and when there were no flows, 1 when it was not full, which is the usual case, and on errors.",
		Examples: []cli.Example{
			{Command: "flow-cat flows | flow-send 0/192.0.2.10/9995", Text: "Replay captured flows to another collector."},
		},
		SeeAlso: []string{"flow-receive(1)", "flow-fanout(1)", "flow-capture(1)"},
		Run:     o.run,
	}
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	if len(env.Args) != 1 {
		return cli.Usage(1)
	}
	addr, err := capture.ParseAddress(env.Args[0], resolve.IPv4)
	if err != nil {
		return err
	}
	to, err := o.dial(addr)
	if err != nil {
		return err
	}
	defer to.Close()
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()

	from := in.Layout().Version
	version := from
	if o.version != nil {
		version = *o.version
	}
	translate, err := capture.Translate(version, from)
	if err != nil {
		return errors.Join(err, errors.New("ftrec_xlate_func(): failed"))
	}
	pdus, err := netflow.NewEncoder(version, netflow.Compat, func(pdu []byte) error {
		if err := to.Send(pdu, netip.Addr{}); err != nil {
			env.Warn("send(): %v", err) // and go on
		}
		if o.delay > 0 {
			time.Sleep(time.Duration(o.delay) * time.Microsecond)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return o.send(env, in, translate, pdus)
}

func (o *options) dial(addr capture.Address) (*capture.Sender, error) {
	if o.spoof {
		return capture.Spoof(addr, capture.SpoofPort)
	}
	return capture.Dial(addr)
}

// send is the record loop.
func (o *options) send(env *cli.Env, in *ftfile.Reader, translate func(*flow.Batch) *flow.Batch, pdus *netflow.Encoder) error {
	var mask capture.Stage
	if o.mask != nil {
		mask = capture.Mask(in.Layout(), *o.mask)
	}
	var flows uint64
	for b := range in.Batches() {
		flows += uint64(b.Len())
		if mask != nil {
			mask(b)
		}
		if err := pdus.Write(translate(b)); err != nil {
			return err
		}
	}
	streamio.Warn(env, in)
	left := pdus.Pending()
	if err := pdus.Flush(); err != nil {
		return err
	}
	if o.debug > 0 {
		env.Profile(flows)
	}
	if left > 0 {
		return cli.Fail(1, "") // Compat: goldens flow-send/status-last-pdu-*
	}
	return nil
}
