package daemon

import (
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// Service tells systemd how the program is, where it wants to know (Type=notify,
// WatchdogSec). The zero Service, and one that no systemd watches, tells nobody.
type Service struct {
	warn   func(format string, args ...any)
	every  time.Duration // between signs of life; 0 is never
	last   time.Time     // sign of life
	ending bool          // it was told
}

// NewService returns a Service that reports its own problems to warn.
func NewService(warn func(format string, args ...any)) Service {
	s := Service{warn: warn}
	if interval, err := systemd.SdWatchdogEnabled(false); err == nil {
		s.every = interval / 2 // as sd_watchdog_enabled(3) advises
	}
	return s
}

func (s *Service) notify(state string) {
	if s.warn == nil {
		return
	}
	if _, err := systemd.SdNotify(false, state); err != nil {
		s.warn("sd_notify: %v", err)
	}
}

// Ready says that the program does its work from now on.
func (s *Service) Ready() { s.notify(systemd.SdNotifyReady) }

// Stopping says, once, that the end has begun.
func (s *Service) Stopping() {
	if !s.ending {
		s.ending = true
		s.notify(systemd.SdNotifyStopping)
	}
}

// Alive gives a sign of life if one is due. It is for the loop that does the
// work: a goroutine of its own would say so of a loop that hangs.
func (s *Service) Alive(now time.Time) {
	if age := now.Sub(s.last); s.every > 0 && (age >= s.every || age < 0) {
		s.last = now
		s.notify(systemd.SdNotifyWatchdog)
	}
}
