package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// signalled is the cause of a context cancelled by a signal.
type signalled struct{ sig os.Signal }

func (s signalled) Error() string { return s.sig.String() }

// Interrupted returns the signal that cancelled ctx, nil if none did.
func Interrupted(ctx context.Context) os.Signal {
	var s signalled
	if errors.As(context.Cause(ctx), &s) {
		return s.sig
	}
	return nil
}

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
		cancel(signalled{<-ch})
		time.Sleep(grace)
		signal.Stop(ch)
	}()
	return ctx
}
