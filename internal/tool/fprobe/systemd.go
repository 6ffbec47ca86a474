package fprobe

import (
	systemd "github.com/coreos/go-systemd/v22/daemon"
)

// notify tells systemd something, if it wants to know.
func (s *sensor) notify(state string) {
	if !s.set.systemd {
		return
	}
	if _, err := systemd.SdNotify(false, state); err != nil {
		s.log.warning("sd_notify: %v", err)
	}
}

// watchdog returns what has to be called at every turn of the loop: it tells systemd, twice in its interval, that the sensor
// is alive.
func (s *sensor) watchdog() func(now int64) {
	if !s.set.systemd {
		return func(int64) {}
	}
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		return func(int64) {}
	}
	var last int64
	return func(now int64) {
		if now-last >= int64(interval/2) || now < last {
			last = now
			s.notify(systemd.SdNotifyWatchdog)
		}
	}
}
