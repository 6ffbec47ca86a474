package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// grace is how long after the first signal others do nothing: a terminal that closes sends HUP twice, a service manager TERM
// and HUP, and what the first one began is to be completed.
const grace = 500 * time.Millisecond

// notify makes the context of a process: without Signals in the Spec nothing is caught and every signal does what it does by
// default. The first caught signal restores the default a little later, so that a second one ends a program stuck in a read.
func notify(s *Spec) context.Context {
	if s.IgnoreSIGPIPE {
		// Caught rather than ignored: the commands we start must get the default action.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	}
	if len(s.Signals) == 0 {
		return context.Background()
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, s.Signals...)
	go func() {
		cancel(errors.New((<-ch).String()))
		time.Sleep(grace)
		signal.Stop(ch)
	}()
	return ctx
}
