package flowfanout

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"flowtools/internal/capture"
	"flowtools/internal/cli"
	"flowtools/internal/receive"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/netflow"
)

// retry is how long a destination without room is left alone while no PDUs
// arrive.
const retry = time.Millisecond

// grace is how long the work at hand may take after the end was asked for.
const grace = 2 * time.Second

// relay owns everything behind the socket. One goroutine runs it.
type relay struct {
	*options
	env        *cli.Env
	intake     *capture.Intake
	receiver   *receive.Receiver
	statistics *capture.Statistics
	privacy    capture.Stage // nil without -m
	pipeline   *capture.Pipeline
	load       bool             // the filter is to be read with the next PDU
	encoder    *netflow.Encoder // nil until the version is known
	exporter   netip.Addr       // of the PDU at hand
	fan        fan

	signals <-chan os.Signal
	done    <-chan struct{}  // of the context; nil after the end was asked for
	sleep   *time.Timer      // of pause
	late    <-chan time.Time // receives when grace is over; nil before the end was asked for
	over    bool             // it is
}

func newRelay(o *options, env *cli.Env, signals <-chan os.Signal) *relay {
	r := &relay{
		options:    o,
		env:        env,
		intake:     capture.NewIntake(env.Now, env.Warn),
		statistics: capture.NewStatistics(o.stat, env.Zone(), env.Now()),
		load:       o.rules.Any(),
		fan:        fan{now: env.Now, warn: env.Warn},
		signals:    signals,
	}
	r.intake.ZeroAS = o.zeroAS
	if o.delay > 0 {
		r.sleep = time.NewTimer(0)
		<-r.sleep.C
		r.fan.pause = r.pause
	}
	return r
}

// fix makes v the version of what is sent.
func (r *relay) fix(v flow.Version) error {
	if err := r.intake.Fix(v); err != nil {
		return streamio.VersionError(err)
	}
	return r.encode()
}

// encode prepares for PDUs of the output version.
func (r *relay) encode() error {
	l := r.intake.Layout()
	encoder, err := netflow.NewEncoder(l.Version, netflow.Compat, func(pdu []byte) error {
		r.fan.send(pdu, r.exporter)
		return nil
	})
	if err != nil {
		return err
	}
	r.encoder = encoder
	if r.mask != nil {
		// Masking translated records is the same: addresses go through any
		// translation, and there is none between version 8 and others.
		r.privacy = capture.Mask(l, *r.mask)
	}
	return nil
}

// loop works until it is told to end, by a signal or by ctx. It stops the
// receiver then, and takes what has arrived until bursts is closed.
func (r *relay) loop(ctx context.Context, bursts <-chan *capture.Burst) error {
	r.done = ctx.Done()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	again := time.NewTimer(retry)
	defer again.Stop()
	waiting := false // for again
	for bursts != nil || waiting {
		select {
		case b, ok := <-bursts:
			if !ok {
				bursts = nil
				break
			}
			if err := r.take(b); err != nil {
				return err
			}
		case <-again.C:
			waiting = false
		case <-tick.C:
			r.fan.report()
			r.receiver.Tick(r.fan.draw)
			if now := r.env.Now(); r.statistics.Due(now) {
				r.intake.Print(now, func(e *netflow.Exporter) string {
					return fmt.Sprintf(" filter_drops=%d send_nobufs=%d", e.Dropped, r.fan.nobufs)
				})
			}
		case s := <-r.signals:
			r.signal(s)
		case <-r.done:
			r.end()
		case <-r.late:
			r.over = true
		}
		if r.over {
			break
		}
		if !waiting && !r.fan.flush() {
			waiting = true
			again.Reset(retry)
		}
	}
	r.fan.abandon()
	r.fan.report()
	return nil
}

// signal answers a signal.
func (r *relay) signal(s os.Signal) {
	switch s {
	case syscall.SIGHUP:
		r.env.Warn("SIGHUP")
		r.load = r.rules.Any()
	case syscall.SIGTERM:
		r.env.Warn("SIGTERM")
		r.end()
	case syscall.SIGQUIT:
		r.env.Warn("SIGQUIT")
		r.end()
	}
}

// end begins the end: what has arrived is still sent, if that does not take too
// long.
func (r *relay) end() {
	r.done = nil
	if r.late == nil {
		r.late = time.After(grace)
		r.receiver.Stop()
	}
}

// pause waits after a datagram (-x).
func (r *relay) pause() {
	r.sleep.Reset(time.Duration(r.delay) * time.Microsecond)
	for !r.over {
		select {
		case <-r.sleep.C:
			return
		case s := <-r.signals:
			r.signal(s)
		case <-r.done:
			r.end()
		case <-r.late:
			r.over = true
		}
	}
}

// take sends the flows of a burst, each PDU by itself.
func (r *relay) take(b *capture.Burst) error {
	for d := range r.receiver.Accepted(b) {
		if r.over {
			return nil
		}
		if r.encoder == nil {
			if err := r.encode(); err != nil {
				return err
			}
		}
		if r.load {
			if err := r.loadRules(); err != nil {
				return err
			}
		}
		flows := r.intake.Flows(d)
		if r.privacy != nil {
			r.privacy(flows)
		}
		r.pipeline.Run(flows, r.intake.Exporter())
		r.exporter = d.Src
		if err := r.encoder.Write(flows); err != nil {
			return err
		}
		if err := r.encoder.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// loadRules reads the filter, or reads it again.
//
// Compat: a file that cannot be used ends the program also then (capture-receive-
// send-fanout.md section 4).
func (r *relay) loadRules() error {
	if r.pipeline != nil {
		r.env.Warn("Loading filters.")
	}
	p, err := r.rules.Load(r.env, r.intake.Layout())
	if err != nil {
		return err
	}
	r.pipeline, r.load = p, false
	return nil
}
