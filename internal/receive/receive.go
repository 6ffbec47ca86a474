// Package receive is the front of the programs that receive PDUs: the sockets
// that their operand, --listen, --sockets and systemd give them, the datagrams
// accepted there, what the system dropped, and how Prometheus and systemd are
// told.
package receive

import (
	"fmt"
	"iter"
	"net/netip"

	"github.com/coreos/go-systemd/v22/activation"

	"flowtools/internal/capture"
	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/daemon"
	"flowtools/internal/metrics"
)

// Options are the options of all receivers.
type Options struct {
	listen  []string
	sockets int
	metrics string
}

// Flags are --listen, --metrics and --sockets.
func (o *Options) Flags() []cli.Flag {
	listen := cli.Func(0, "listen", "localip/remoteip/port", func(s string) error { o.listen = append(o.listen, s); return nil },
		"also receive there; may be repeated")
	listen.Many = true
	return []cli.Flag{
		listen,
		cli.Text(0, "metrics", "address", &o.metrics, "serve counters to Prometheus at http://ADDRESS/metrics"),
		cli.Func(0, "sockets", "count", o.setSockets,
			"receive with so many sockets on each address (SO_REUSEPORT): the system divides the exporters among them, and each has a buffer of its own (default 1)"),
	}
}

// Notes is a paragraph of the manual of every receiver.
const Notes = "Datagrams that the system drops because they come faster than they are taken are counted and logged. " +
	"The receive buffer asked for is 64 MiB; what is granted without privilege is limited by net.core.rmem_max, and logged. " +
	"--metrics shows this, the flows lost by sequence number, the datagrams refused by reason, and the exporters with the most flows. " +
	"Started by systemd, the program takes the sockets of a .socket unit instead of opening those of its operand, and tells when it is ready, alive and about to end (Type=notify, WatchdogSec)."

// socketLimit is the most that --sockets may be.
const socketLimit = 64

func (o *Options) setSockets(s string) error {
	o.sockets = int(clib.Atoi(s))
	if o.sockets < 1 || o.sockets > socketLimit {
		return fmt.Errorf("--sockets must be between 1 and %d", socketLimit)
	}
	return nil
}

// Source is what datagrams come from: a [capture.Sockets].
type Source interface {
	Addr() netip.AddrPort
	Start() (bursts <-chan *capture.Burst, end func())
	Stop()
	Close()
}

// Receiver receives. It belongs to one goroutine, the one that works on the
// datagrams.
type Receiver struct {
	env     *cli.Env
	intake  *capture.Intake
	source  Source
	bursts  <-chan *capture.Burst
	end     func() // nil before Start
	kernel  kernelDrops
	series  series
	meter   *metrics.Meter
	service daemon.Service
}

// Open opens the sockets of the operand LOCALIP/REMOTEIP/PORT and of --listen,
// or takes those that systemd hands over, and the address of --metrics. program
// is the name that metrics begin with. What is accepted is entered into the
// books of in.
func (o *Options) Open(env *cli.Env, program, operand string, in *capture.Intake) (*Receiver, error) {
	var addrs []capture.Address
	for _, text := range append([]string{operand}, o.listen...) {
		a, err := capture.ParseAddress(text, resolve.IPv4)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	inherited, err := activation.PacketConns()
	if err != nil {
		return nil, fmt.Errorf("socket activation: %w", err)
	}
	sockets, err := capture.OpenSockets(inherited, addrs, max(o.sockets, 1), env.Warn)
	if err != nil {
		return nil, err
	}
	r := New(env, program, sockets, in)
	if r.meter, err = metrics.Serve(o.metrics, env.Warn); err != nil {
		sockets.Close()
		return nil, err
	}
	r.service = daemon.NewService(env.Warn)
	return r, nil
}

// New returns a Receiver of source that nobody watches.
func New(env *cli.Env, program string, source Source, in *capture.Intake) *Receiver {
	return &Receiver{env: env, intake: in, source: source, series: newSeries(program)}
}

// Addr returns the address that the operand's socket is bound to.
func (r *Receiver) Addr() netip.AddrPort { return r.source.Addr() }

// Start begins to receive, and tells systemd. Bursts come out of the channel
// until Stop, and then those that had arrived before; it is then closed.
func (r *Receiver) Start() <-chan *capture.Burst {
	r.bursts, r.end = r.source.Start()
	r.service.Ready()
	return r.bursts
}

// Stop ends receiving.
func (r *Receiver) Stop() {
	r.service.Stopping()
	r.source.Stop()
}

// Close gives up everything, what has arrived included.
func (r *Receiver) Close() {
	if r.end != nil {
		r.service.Stopping()
		r.end()
	}
	r.source.Close()
	r.meter.Close()
}

// Accepted enters the datagrams of a burst into the books and returns those
// that are to be used, one by one, so that the intake can decode the one at
// hand. The burst is given back behind the last one.
func (r *Receiver) Accepted(b *capture.Burst) iter.Seq[*capture.Datagram] {
	return func(yield func(*capture.Datagram) bool) {
		defer b.Release()
		r.kernel.see(b)
		r.intake.Remote = b.Remote
		for i := range b.Datagrams {
			if d := &b.Datagrams[i]; r.intake.Accept(d, b.Port) && !yield(d) {
				return
			}
		}
	}
}

// Tick is called every second: it logs what the system has dropped, shows the
// counters, with those that draw adds, and gives systemd a sign of life. draw
// may be nil.
func (r *Receiver) Tick(draw func(p metrics.Pen)) {
	r.kernel.tell(r.env.Warn)
	r.meter.Draw(func(p metrics.Pen) {
		r.series.draw(p, r)
		if draw != nil {
			draw(p)
		}
	})
	r.service.Alive(r.env.Now())
}
