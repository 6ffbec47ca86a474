package daemon

import (
	"os"
	"os/signal"
	"sync"
)

// Signals catches signals: they come out of the channel until release is called.
// A signal that comes again before it was taken comes out once, and however many
// of one kind there are, none of another kind is lost.
func Signals(sigs ...os.Signal) (ch <-chan os.Signal, release func()) {
	out := make(chan os.Signal)
	stop := make(chan struct{})
	var relays sync.WaitGroup
	var caught []chan os.Signal
	for _, sig := range sigs {
		c := make(chan os.Signal, 1)
		caught = append(caught, c)
		signal.Notify(c, sig)
		relays.Go(func() {
			for {
				select {
				case s := <-c:
					select {
					case out <- s:
					case <-stop:
						return
					}
				case <-stop:
					return
				}
			}
		})
	}
	return out, func() {
		for _, c := range caught {
			signal.Stop(c)
		}
		close(stop)
		relays.Wait()
	}
}
