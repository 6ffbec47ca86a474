package daemon

import (
	"fmt"
	"log/syslog"
	"sync"
	"time"
)

// Facility is a syslog facility.
type Facility = syslog.Priority

// The facilities in use: flow-tools logs to local6, fprobe to daemon.
const (
	FacilityLocal6 Facility = syslog.LOG_LOCAL6
	FacilityDaemon Facility = syslog.LOG_DAEMON
)

// Severity is a syslog severity, 0 to 7.
type Severity uint8

// The severities.
const (
	Emerg Severity = iota
	Alert
	Crit
	Err
	Warning
	Notice
	Info
	Debug
)

// Sink writes one message somewhere. It may block.
type Sink func(severity Severity, text string) error

// Syslog returns a sink that is the system's logger. The tag is followed by the
// pid. Without a logger messages vanish; each one tries again to reach it.
func Syslog(f Facility, tag string) Sink {
	var w *syslog.Writer
	return func(s Severity, text string) (err error) {
		if w == nil {
			if w, err = syslog.New(f|syslog.LOG_INFO, tag); err != nil {
				w = nil
				return err
			}
		}
		return [...]func(string) error{w.Emerg, w.Alert, w.Crit, w.Err, w.Warning, w.Notice, w.Info, w.Debug}[s&7](text)
	}
}

// The length of the queue of a Log, and how long Close waits for its sink.
const (
	logQueue    = 1024
	logPatience = 2 * time.Second
)

// Log hands messages to a sink without ever making the caller wait: a sink that
// does not keep up loses messages, which it is told afterwards. A Log is safe
// for concurrent use.
type Log struct {
	sink  Sink
	queue chan message
	done  chan struct{}

	mu     sync.Mutex
	lost   int // messages dropped since the last one that got through
	closed bool
	stuck  bool // closed while the sink did not take what there was
}

type message struct {
	severity Severity
	text     string
}

// NewLog starts a log in front of sink. Close ends it.
func NewLog(sink Sink) *Log {
	l := &Log{sink: sink, queue: make(chan message, logQueue), done: make(chan struct{})}
	go l.run()
	return l
}

func (l *Log) run() {
	defer close(l.done)
	for m := range l.queue {
		// Nobody is left to tell of a failure.
		_ = l.sink(m.severity, m.text)
	}
}

// Print logs one line.
func (l *Log) Print(s Severity, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		if !l.stuck {
			_ = l.sink(s, text)
		}
		return
	}
	if l.lost > 0 {
		select {
		case l.queue <- message{Warning, fmt.Sprintf("%d messages lost: the log does not keep up", l.lost)}:
			l.lost = 0
		default:
			l.lost++
			return
		}
	}
	select {
	case l.queue <- message{s, text}:
	default:
		l.lost++
	}
}

// Close waits until the sink has what was logged, but no longer than a moment if
// the sink is stuck. Messages after Close go to the sink directly.
func (l *Log) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.queue)
	select {
	case <-l.done:
	case <-time.After(logPatience):
		l.stuck = true
	}
}
