//go:build linux

// Command load sends NetFlow version 5 to a collector at a steady rate: full
// PDUs with right sequence numbers, from as many exporters as wanted.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"flowtools/internal/cli"
	"flowtools/internal/rig"
)

type options struct {
	rate      float64
	duration  time.Duration
	exporters int
	engines   int
	plain     bool
	wait      bool
}

func main() {
	o := &options{rate: 100_000, duration: 10 * time.Second, exporters: 1, engines: 1}
	cli.Main(&cli.Spec{
		Name: "load", Summary: "send NetFlow to a collector on this host at a steady rate",
		Operands: "address:port", MaxOperands: 1, UsageExit: 1, Run: o.run,
		Flags: []cli.Flag{
			cli.Func('r', "rate", "flows", func(s string) (err error) { o.rate, err = strconv.ParseFloat(s, 64); return err }, "flows a second; 0 is as fast as it goes (default 100000)"),
			cli.Func('t', "time", "duration", func(s string) (err error) { o.duration, err = time.ParseDuration(s); return err }, "how long to send (default 10s)"),
			cli.Int('x', "exporters", "count", &o.exporters, "exporters, with addresses from 127.1.0.1 on (default 1)"),
			cli.Int('e', "engines", "count", &o.engines, "engines of each exporter (default 1)"),
			cli.Bool('p', "plain", &o.plain, "send each datagram by itself, without UDP_SEGMENT"),
			cli.Bool('q', "queue", &o.wait, "wait for room in the collector's queue"),
		},
	})
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	if len(env.Args) != 1 {
		return fmt.Errorf("expecting the address and port of a collector")
	}
	to, err := netip.ParseAddrPort(env.Args[0])
	if err != nil {
		return err
	}
	if !to.Addr().IsLoopback() {
		return fmt.Errorf("%v: this load is for loopback addresses only", to)
	}
	traffic, err := rig.NewTraffic(1)
	if err != nil {
		return err
	}
	l := &rig.Load{To: to, Rate: o.rate, Engines: rig.Exporters(max(o.exporters, 1), max(o.engines, 1)), Segment: !o.plain, Wait: o.wait, Traffic: traffic}
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	if err := l.Run(ctx); err != nil {
		return err
	}
	rate, late := l.Pace()
	fmt.Fprintf(env.Stdout, "%d flows, %.0f a second; at most %v behind\n", l.Sent(), rate, late.Round(time.Microsecond))
	return nil
}
