package fprobe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"flowtools/internal/bpfexpr"
	"flowtools/internal/cli"
	"flowtools/internal/daemon"
	"flowtools/internal/metrics"
	"flowtools/internal/pcap"
	"flowtools/internal/probe"
	"flowtools/internal/probe/emit"
	"flowtools/internal/streamio"
	"flowtools/pkg/ftfile"
)

// sensor is one run.
type sensor struct {
	set     *settings
	env     *cli.Env
	log     *logger
	daemon  *daemon.Daemon
	pid     *daemon.PidFile
	meter   *probe.Meter
	emitter *emit.Emitter
	lives   []*pcap.Live
	program *bpfexpr.Program // -f @file
	filters map[pcap.LinkType]*bpfexpr.Program
	stream  *ftfile.Writer
	sink    *streamio.Sink
	metrics *metrics.Meter
	service daemon.Service
	saidIP6 bool
	steps   uint64
	names   map[uint32]uint32 // -X: index by kernel index
}

// fatal is an error that is logged as critical, as well as told to the user.
func (s *sensor) fatal(err error) error {
	s.log.printf(daemon.Crit, "%v", err)
	return err
}

func (s *sensor) run(ctx context.Context) error {
	set := s.set
	s.log = &logger{level: set.level}
	switch {
	case set.systemd:
		s.log.text, s.log.journal = s.env.Stderr, true
	case set.output == "-":
		s.log.text = s.env.Stderr
	case set.dst&logText != 0:
		s.log.text = s.env.Stdout
	}
	if set.dst&logSyslog != 0 && !set.systemd {
		tag := s.env.Prog
		if set.id != "" {
			tag += "[" + set.id + "]"
		}
		sink := daemon.Syslog(daemon.FacilityDaemon, tag)
		if set.chroot != "" {
			// The logger has to be connected while it can be seen.
			_ = sink(daemon.Debug, "root directory "+set.chroot)
		}
		s.log.syslog = daemon.NewLog(sink)
	}
	defer s.log.close()
	plain := func(text string) { _, _ = io.WriteString(s.env.Stderr, text+"\n") }
	s.env.Log = plain
	if !set.foreground() {
		d, err := daemon.Start(s.env, daemon.Options{Detach: true, Umask: -1, Syslog: daemon.FacilityDaemon})
		if err != nil {
			return err
		}
		s.daemon = d
		// Messages go to the logger above; what ends the start is shown without a name in front.
		s.env.Log = plain
		defer func() {
			d.Close()
			s.env.Log = plain
		}()
	}
	if err := s.open(); err != nil {
		s.close()
		return err
	}
	var err error
	if set.offline {
		err = s.files(ctx)
	} else {
		err = s.live(ctx)
	}
	if err = errors.Join(err, s.finish()); err == nil {
		s.log.info("Done.")
	}
	return err
}

// open prepares everything that can fail, before the terminal is let go.
func (s *sensor) open() error {
	set := s.set
	if strings.TrimSpace(set.filter) == "" {
		s.log.warning("Filter expression is empty! Are you sure?")
	}
	if err := s.loadFilter(); err != nil {
		return s.fatal(err)
	}
	if !set.offline {
		if err := s.openLive(); err != nil {
			return s.fatal(err)
		}
	}
	for _, c := range set.collectors {
		if err := c.Open(); err != nil {
			return err
		}
	}
	if err := s.openStream(); err != nil {
		return err
	}
	config := emit.Config{
		Version: set.version, Collectors: set.collectors, PaceBytes: set.paceBytes, PacePause: set.pause,
		Keys: set.parts, Cisco: set.cisco, Sample: int(set.num['j']), Offline: set.offline,
		Stream: s.stream, Live: s.waited(), Now: s.env.Now,
		Warn: func(text string) { s.log.warning("%s", text) },
	}
	if set.source.Is4() {
		b := set.source.As4()
		config.Exporter = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	var err error
	if s.emitter, err = emit.New(config); err != nil {
		return err
	}
	options := set.metering()
	options.Interface = s.interfaces()
	s.meter = probe.NewMeter(options, s.emitter)
	s.metrics, err = metrics.Serve(set.metrics, func(format string, args ...any) { s.log.printf(daemon.Err, format, args...) })
	if err != nil {
		return s.fatal(err)
	}
	if set.systemd {
		s.service = daemon.NewService(s.log.warning)
	}
	return s.settle()
}

// settle writes the pid file, gives up privileges and says that all is well.
func (s *sensor) settle() error {
	set := s.set
	if !set.offline && !set.systemd { // Compat: in the foreground too
		name := "/var/run/" + s.env.Prog + ".pid"
		if set.id != "" {
			name = "/var/run/" + s.env.Prog + "[" + set.id + "].pid"
		}
		var err error
		if s.pid, err = daemon.WritePid(name); err != nil {
			s.log.warning("%v", err)
		}
	}
	if set.priority > 0 {
		if err := realtime(set.priority); err != nil {
			return s.fatal(fmt.Errorf("sched_setscheduler(): %w", err))
		}
	}
	if set.chroot != "" {
		if err := daemon.Chroot(set.chroot); err != nil {
			return s.fatal(err)
		}
	}
	if set.identity != nil {
		if err := set.identity.Become(); err != nil {
			return s.fatal(err)
		}
	}
	s.log.info("Starting 1.1...")
	s.log.info("pid: %d", os.Getpid())
	if !set.offline {
		s.announce()
	}
	if s.daemon != nil {
		return s.daemon.Ready()
	}
	s.service.Ready()
	return nil
}

// announce logs the start-up lines about the captures.
func (s *sensor) announce() {
	skip, promiscuous := int(s.set.num['K']), !s.set.noPromisc
	for _, l := range s.lives {
		s.source(l.Name(), l.Link())
		if link, err := pcap.LinkOf(l.Link()); err == nil && skip < 0 {
			skip = link.Skip
		}
		promiscuous = promiscuous && l.Name() != pcap.Any
	}
	s.announceOptions(skip, promiscuous)
}

func (s *sensor) source(name string, t pcap.LinkType) {
	text, number := "UNKNOWN", int(t)
	if link, err := pcap.LinkOf(t); err == nil {
		text, number = link.Name, link.DLT
	}
	s.log.info("interface: %s, datalink: %s (%d)", name, text, number)
}

func (s *sensor) announceOptions(skip int, promiscuous bool) {
	s.log.info("filter: \"%s\"", s.set.filter)
	s.log.info("%s", s.set.line(max(skip, 0), promiscuous))
	for i, c := range s.set.collectors {
		s.log.info("collector #%d: %s", i+1, c)
	}
}

// loadFilter reads a compiled program; expressions are compiled when the link type is known.
func (s *sensor) loadFilter() error {
	s.filters = map[pcap.LinkType]*bpfexpr.Program{}
	name, ok := strings.CutPrefix(s.set.filter, "@")
	if !ok {
		return nil
	}
	f, err := os.Open(s.env.Path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	if s.program, err = bpfexpr.Load(f); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// filter returns the program for a link type; nil: everything passes.
func (s *sensor) filter(t pcap.LinkType, live bool) (*bpfexpr.Program, error) {
	if s.program != nil {
		return s.program, nil
	}
	if p, ok := s.filters[t]; ok {
		return p, nil
	}
	snap := uint32(pcap.MaxSnap)
	if n := s.set.num['S']; n > 0 && n < pcap.MaxSnap {
		snap = uint32(n)
	}
	p, err := bpfexpr.Compile(s.set.filter, bpfexpr.Options{Link: t, Live: live, Snap: snap})
	if err != nil {
		return nil, err
	}
	s.filters[t] = p
	return p, nil
}

// openStream writes the header of -w.
func (s *sensor) openStream() error {
	set := s.set
	if set.output == "" {
		return nil
	}
	name := set.output
	if name == "-" {
		name = ""
	}
	var err error
	if s.sink, err = streamio.OpenSink(s.env, name); err != nil {
		return err
	}
	h := ftfile.NewHeader(set.record, ftfile.FlagStreaming)
	out := streamio.Output{Level: int(set.num['z'])}
	s.stream, err = out.CreateOn(s.sink, h)
	return err
}

// interfaces returns how flows get their interface indexes.
func (s *sensor) interfaces() func(*pcap.Packet) (in, out uint32) {
	set := s.set
	switch {
	case !set.autoIndex && set.in == 0 && set.out == 0:
		return nil
	case !set.autoIndex:
		return func(*pcap.Packet) (uint32, uint32) { return set.in, set.out }
	}
	index := func(p *pcap.Packet) uint32 { return p.IfIndex }
	if len(set.nameRules) > 0 {
		s.names = map[uint32]uint32{}
		index = s.named
	}
	return func(p *pcap.Packet) (uint32, uint32) {
		if p.Dir == pcap.Out {
			return 0, index(p)
		}
		return index(p), 0
	}
}

// step does what is due between packets: signals, statistics. It returns an error that ends the run.
func (s *sensor) step(signals <-chan os.Signal) error {
	select {
	case sig := <-signals:
		if sig == syscall.SIGHUP {
			s.log.info("SIGHUP received. Emitting flows cache...")
			s.meter.Flush()
			s.emitter.Flush(s.meter.Now())
		} else {
			s.report()
		}
	default:
	}
	if s.meter.ForeignIPv6 > 0 && !s.saidIP6 {
		s.saidIP6 = true
		s.log.warning("IPv6 packets are ignored: this output has no room for them")
	}
	if n := s.meter.Steps; n > s.steps {
		s.steps = n
		s.log.printf(daemon.Notice, "the clock was set back: all flows were emitted")
	}
	s.draw()
	return s.emitter.Err()
}

// catch delivers the signals that do not end the run.
func catch() (<-chan os.Signal, func()) {
	ch := make(chan os.Signal, 4)
	signal.Notify(ch, syscall.SIGHUP, syscall.SIGUSR1)
	return ch, func() { signal.Stop(ch) }
}

// finish sends what is left.
func (s *sensor) finish() error {
	s.service.Stopping()
	s.log.info("SIGTERM received. Emitting flows cache...")
	s.meter.Flush()
	s.emitter.Flush(s.meter.Now())
	err := s.emitter.Err()
	if s.stream != nil && err == nil {
		err = s.closeStream()
	}
	if err != nil {
		err = streamio.WriteError(err, "ftio_write(): failed")
	}
	s.drops()
	s.close()
	if s.set.stats {
		err = errors.Join(err, s.printStats())
	}
	return err
}

// closeStream completes the header of a regular file.
func (s *sensor) closeStream() error {
	h := ftfile.NewHeader(s.set.record, ftfile.FlagStreaming)
	return s.sink.Complete(s.stream, h, func(*ftfile.Header) {})
}

// close lets go of everything that open may have opened.
func (s *sensor) close() {
	s.metrics.Close()
	s.metrics = nil
	if s.emitter != nil {
		s.emitter.Close()
	}
	for _, c := range s.set.collectors {
		c.Close()
	}
	for _, l := range s.lives {
		l.Close()
	}
	if s.sink != nil {
		_ = s.sink.Close()
	}
	if err := s.pid.Remove(); err != nil {
		s.log.warning("%v", err)
	}
	s.pid = nil
}

// files counts the packets of all files, in order.
func (s *sensor) files(ctx context.Context) error {
	signals, stop := catch()
	defer stop()
	for i, name := range s.set.files {
		if err := s.file(ctx, name, i == 0, signals); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	s.log.info("pcap_loop() terminated: Success")
	return nil
}

// checkEvery is how many packets are counted between looks at signals and the like.
const checkEvery = 1024

func (s *sensor) file(ctx context.Context, name string, first bool, signals <-chan os.Signal) error {
	in := s.env.Stdin
	if name != "-" {
		f, err := os.Open(s.env.Path(name))
		if err != nil {
			return s.fatal(err)
		}
		defer f.Close()
		in = f
	}
	size, regular := sizeOf(in)
	if !regular {
		in = newPatient(ctx, in)
	}
	bar := s.env.Progress("reading "+name, size)
	defer bar.Done()
	file, err := pcap.NewFile(&counted{r: in, add: bar.Add})
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return s.fatal(fmt.Errorf("%s: %w", name, err))
	}
	defer file.Close()
	skip := int(s.set.num['K'])
	if t, ok := file.Link(); ok {
		link, err := pcap.LinkOf(t)
		switch {
		case skip >= 0: // whatever it is
		case err != nil:
			return s.fatal(fmt.Errorf("%s: %w, use -K", name, err))
		default:
			skip = link.Skip
		}
		s.source(name, t)
	} else {
		s.log.info("interface: %s, datalink: pcapng", name)
	}
	if first {
		s.announceOptions(skip, !s.set.noPromisc)
	}
	var (
		p       pcap.Packet
		link    pcap.LinkType
		known   bool
		program *bpfexpr.Program
	)
	for n := 1; ; n++ {
		if err := file.Next(&p); err != nil {
			if err != io.EOF && ctx.Err() == nil {
				s.log.warning("%s: %v", name, err)
				if s.log.text == nil || s.log.level < daemon.Warning {
					s.env.Warn("%s: %v", name, err)
				}
			}
			return s.step(signals)
		}
		if n%checkEvery == 0 {
			if err := s.step(signals); err != nil || ctx.Err() != nil {
				return err
			}
		}
		if !known || p.Link != link {
			if program, err = s.filter(p.Link, false); err != nil {
				return s.fatal(err)
			}
			link, known = p.Link, true
		}
		if program == nil || program.Match(p.Data, p.Len) {
			s.meter.Packet(&p)
		}
	}
}

// counted tells how much was read.
type counted struct {
	r   io.Reader
	add func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.add(int64(n))
	return n, err
}

// sizeOf returns the size of a regular file.
func sizeOf(r io.Reader) (size int64, regular bool) {
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size(), true
		}
	}
	return 0, false
}

// waited reports whether somebody may wait for the stream: packets come from an interface or through a pipe.
func (s *sensor) waited() bool {
	for _, name := range s.set.files {
		if info, err := os.Stat(s.env.Path(name)); name == "-" || err == nil && !info.Mode().IsRegular() {
			return true
		}
	}
	return !s.set.offline
}

// patient reads what may never come, such as a pipe, until a context ends: a goroutine of its own waits, and is left behind
// when it waits in vain.
type patient struct {
	ctx   context.Context
	full  chan []byte
	empty chan []byte
	buf   []byte // being read, at rest
	rest  []byte
	err   error // after full is closed
}

func newPatient(ctx context.Context, r io.Reader) *patient {
	const size = 64 << 10
	p := &patient{ctx: ctx, full: make(chan []byte, 2), empty: make(chan []byte, 2)}
	for range cap(p.empty) {
		p.empty <- make([]byte, size)
	}
	go func() {
		defer close(p.full)
		for {
			select {
			case b := <-p.empty:
				n, err := r.Read(b[:size])
				if n > 0 {
					p.full <- b[:n]
				}
				if err != nil {
					p.err = err
					return
				}
			case <-ctx.Done():
				p.err = ctx.Err()
				return
			}
		}
	}()
	return p
}

func (p *patient) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		if p.buf != nil {
			p.empty <- p.buf
			p.buf = nil
		}
		select {
		case full, ok := <-p.full:
			if !ok {
				return 0, p.err
			}
			p.buf, p.rest = full, full
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// clock is the wall clock in ns since 1970.
func (s *sensor) clock() int64 { return s.env.Now().UnixNano() }

const tick = 200 * time.Millisecond
