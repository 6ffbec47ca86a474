package daemon

import (
	"os"
	"os/signal"
)

// Signals catches signals: they come out of the channel until release is called.
func Signals(sigs ...os.Signal) (ch <-chan os.Signal, release func()) {
	c := make(chan os.Signal, 16)
	signal.Notify(c, sigs...)
	return c, func() { signal.Stop(c) }
}
