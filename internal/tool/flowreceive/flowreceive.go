// Package flowreceive is flow-receive: it writes the flows of NetFlow PDUs as a
// stream.
package flowreceive

import (
	"context"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"flowtools/internal/capture"
	"flowtools/internal/cli"
	"flowtools/internal/receive"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// program is the name of the tool.
const program = "flow-receive"

type options struct {
	streamio.Output
	receive receive.Options
	out     string
	stat    int
	version *flow.Version
}

// Spec describes flow-receive.
func Spec() *cli.Spec {
	o := &options{}
	return &cli.Spec{
		Name:        program,
		Summary:     "receive NetFlow PDUs and write a flow stream",
		Operands:    "[localip/remoteip/port]",
		MaxOperands: -1,
		Flags: slices.Concat(o.Flags("bCd"), o.receive.Flags(), []cli.Flag{
			cli.File('o', "output", "file", &o.out, "write to file, with a complete header, instead of standard output"),
			capture.StatFlag(&o.stat),
			capture.VersionFlag(&o.version),
			streamio.LevelFlag(&o.Level),
		}),
		Signals: []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM},
		Description: "flow-receive listens for NetFlow of version 1, 5, 6, 7 and 8 on localip (0 is any) and port, from remoteip (0 is any), and writes the flows until it is told to end by HUP, INT, QUIT or TERM. " +
			"A stream has one version, that of the first PDU unless -V is given; PDUs of other versions are translated where that is possible and refused where it is not. " +
			"A remoteip that is a multicast group is joined; localip is then the exporter.\n\n" +
			receive.Notes,
		ExitText: "0; 1 when nothing could be received or written, and with -o when no PDU ever came.",
		Examples: []cli.Example{
			{Command: "flow-receive 0/0/9995 | flow-print -f5", Text: "Show flows as they arrive."},
			{Command: "flow-receive -o flows 0/192.0.2.1/9995", Text: "Collect the flows of one router in a file."},
		},
		SeeAlso: []string{"flow-capture(1)", "flow-send(1)", "flow-fanout(1)", "flow-print(1)"},
		Run:     o.run,
	}
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	operand := ""
	switch len(env.Args) {
	case 0:
	case 1:
		operand = env.Args[0]
	default:
		return fmt.Errorf("Illegal option: %s", env.Args[1])
	}
	intake := capture.NewIntake(env.Now, env.Warn)
	in, err := o.receive.Open(env, program, operand, intake)
	if err != nil {
		return err
	}
	defer in.Close()
	sink, err := streamio.OpenSink(env, o.out)
	if err != nil {
		return err
	}
	defer sink.Close() // complete by then, or lost anyway
	r := &receiver{options: o, env: env, in: in, sink: sink, intake: intake}
	if o.version != nil {
		if err := r.intake.Fix(*o.version); err != nil {
			return streamio.VersionError(err)
		}
		if err := r.open(); err != nil {
			return err
		}
	}
	if err := r.loop(ctx, in.Start()); err != nil {
		return err
	}
	return r.finish()
}

// receiver writes what arrives.
type receiver struct {
	*options
	env    *cli.Env
	in     *receive.Receiver
	sink   *streamio.Sink
	intake *capture.Intake
	header *ftfile.Header
	out    *ftfile.Writer // nil until the version is known
}

// open writes the header.
func (r *receiver) open() error {
	h := ftfile.NewHeader(r.intake.Layout().Version, ftfile.FlagStreaming)
	h.Start = uint32(r.env.Now().Unix())
	h.Hostname = capture.Hostname()
	h.Mark(ftfile.TagStart, ftfile.TagHostname)
	if r.sink.Regular {
		h.Mark(ftfile.TagEnd, ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt, ftfile.TagResets)
	}
	out, err := r.CreateOn(r.sink.Writer, h)
	if err != nil {
		return err
	}
	r.header, r.out = h, out
	return nil
}

// loop takes bursts until ctx ends, and then what has arrived before.
func (r *receiver) loop(ctx context.Context, bursts <-chan *capture.Burst) error {
	statistics := capture.NewStatistics(r.stat, r.env.Zone(), r.env.Now())
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	done := ctx.Done()
	for {
		select {
		case b, ok := <-bursts:
			if !ok {
				return nil
			}
			if err := r.take(b); err != nil {
				return err
			}
		case <-tick.C:
			r.in.Tick(nil)
			if now := r.env.Now(); statistics.Due(now) {
				r.intake.Print(now, nil)
			}
		case <-done:
			r.env.Warn("Cleaning up")
			r.in.Stop()
			done = nil
		}
	}
}

// take writes the flows of a burst.
func (r *receiver) take(b *capture.Burst) error {
	for d := range r.in.Accepted(b) {
		if r.out == nil {
			if err := r.open(); err != nil {
				return err
			}
		}
		if err := r.out.Write(r.intake.Flows(d)); err != nil {
			return err
		}
	}
	return nil
}

// finish completes the output.
func (r *receiver) finish() error {
	if r.out == nil {
		if r.sink.Regular {
			return streamio.ErrNothing
		}
		return nil
	}
	counts := r.intake.TakeCounts()
	return r.sink.Complete(r.out, r.header, func(h *ftfile.Header) {
		h.End = uint32(r.env.Now().Unix())
		h.Flows, h.Lost, h.Corrupt, h.Resets = uint32(r.out.Flows()), counts.Lost, counts.Corrupt, counts.Resets
	})
}
