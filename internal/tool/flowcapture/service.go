package flowcapture

import (
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// service tells systemd how we are, where it wants to know (Type=notify,
// WatchdogSec); elsewhere it does nothing.
type service struct {
	watchdog bool
	warn     func(format string, args ...any)
}

func newService(warn func(format string, args ...any)) service {
	interval, err := systemd.SdWatchdogEnabled(false)
	return service{watchdog: err == nil && interval > time.Second, warn: warn}
}

func (s service) notify(state string) {
	if s.warn == nil {
		return
	}
	if _, err := systemd.SdNotify(false, state); err != nil {
		s.warn("sd_notify: %v", err)
	}
}

// ready is called when datagrams are being received, stopping when no more will
// be.
func (s service) ready()    { s.notify(systemd.SdNotifyReady) }
func (s service) stopping() { s.notify(systemd.SdNotifyStopping) }

// alive is called every second by the loop that does the work, and not by a
// goroutine of its own, which would say so of a loop that hangs.
func (s service) alive() {
	if s.watchdog {
		s.notify(systemd.SdNotifyWatchdog)
	}
}
