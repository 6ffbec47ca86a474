// Package progress draws the progress bar behind cli.Env.Progress.
package progress

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"flowtools/internal/cli"
)

// patience is how long a run may take before a bar appears: short runs should not flicker.
const patience = 500 * time.Millisecond

// Bar is a cli.ProgressFunc. Units are taken for bytes.
func Bar(w io.Writer, what string, total int64) cli.Meter {
	return &bar{w: w, what: what, total: total, due: time.Now().Add(patience)}
}

type bar struct {
	w     io.Writer
	what  string
	total int64
	done  int64
	due   time.Time
	shown *progressbar.ProgressBar
}

func (b *bar) Add(n int64) {
	b.done += n
	if b.shown == nil {
		if time.Now().Before(b.due) {
			return
		}
		b.shown = progressbar.NewOptions64(b.total,
			progressbar.OptionSetWriter(b.w),
			progressbar.OptionSetDescription(b.what),
			progressbar.OptionShowBytes(true),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionSetWidth(20),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionSetSpinnerChangeInterval(0), // no goroutine: it turns as we add
			progressbar.OptionSetPredictTime(b.total > 0),
		)
	}
	// A terminal that cannot be written to is no reason to stop.
	_ = b.shown.Set64(b.bounded())
}

// bounded keeps a total that was guessed too small from being an error.
func (b *bar) bounded() int64 {
	if b.total > 0 {
		return min(b.done, b.total)
	}
	return b.done
}

func (b *bar) Done() {
	if b.shown != nil {
		_ = b.shown.Clear()
		_ = b.shown.Exit()
	}
}
