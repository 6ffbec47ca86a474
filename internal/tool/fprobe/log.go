package fprobe

import (
	"fmt"
	"io"

	"flowtools/internal/daemon"
)

// Log destinations, bits of -l.
const (
	logSyslog = 1
	logText   = 2
)

var levelNames = [...]string{"EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"}

// logger writes messages up to a level to where -l says.
type logger struct {
	level   daemon.Severity
	text    io.Writer   // nil: none
	journal bool        // lines of text begin with <level> for systemd's journal instead
	syslog  *daemon.Log // nil: none
}

func (l *logger) printf(level daemon.Severity, format string, args ...any) {
	if level > l.level {
		return
	}
	text := fmt.Sprintf(format, args...)
	if l.text != nil {
		line := "[" + levelNames[level] + "]: " + text + "\n"
		if l.journal {
			line = fmt.Sprintf("<%d>%s\n", level, text)
		}
		_, _ = io.WriteString(l.text, line) // nobody left to tell
	}
	if l.syslog != nil {
		l.syslog.Print(level, text)
	}
}

func (l *logger) info(format string, args ...any)    { l.printf(daemon.Info, format, args...) }
func (l *logger) warning(format string, args ...any) { l.printf(daemon.Warning, format, args...) }

// close waits for the system's logger.
func (l *logger) close() {
	if l.syslog != nil {
		l.syslog.Close()
	}
}
