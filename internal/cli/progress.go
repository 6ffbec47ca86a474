package cli

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// Meter draws a line on a terminal that tells how far a run got. A nil Meter does nothing, for nothing.
//
// It is our own because the libraries for it bring net/http into every tool: 5 MB and a quarter of the start-up time.
type Meter struct {
	w     io.Writer
	now   func() time.Time
	what  string
	unit  string
	total int64 // not positive: unknown
	done  int64
	begun time.Time
	due   time.Time // of the next drawing
	drawn bool
}

const (
	meterPatience = 500 * time.Millisecond // short runs draw nothing
	meterInterval = 100 * time.Millisecond
	meterWidth    = 20
)

// Progress returns a meter for total octets of what, not positive when unknown. It is nil unless standard error is a
// terminal that nobody else is likely to write to: not when standard output is a pipe, whose reader may print to the same
// terminal, nor when it is a terminal itself and the caller writes there.
func (e *Env) Progress(what string, total int64) *Meter {
	if !e.isTerminal(e.Stderr) || isPipe(e.Stdout) {
		return nil
	}
	now := e.Now()
	return &Meter{w: e.Stderr, now: e.Now, what: what, unit: "B", total: total, begun: now, due: now.Add(meterPatience)}
}

func isPipe(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// Of makes the meter count something else than octets: "flows".
func (m *Meter) Of(unit string) *Meter {
	if m != nil {
		m.unit = unit
	}
	return m
}

// Add says that n more octets are done. It may be called for every batch.
func (m *Meter) Add(n int64) {
	if m == nil {
		return
	}
	m.done += n
	now := m.now()
	if now.Before(m.due) {
		return
	}
	m.due = now.Add(meterInterval)
	m.drawn = true
	m.write("\r" + m.line(now) + "\x1b[K")
}

// Done removes the line. The Meter may be used on.
func (m *Meter) Done() {
	if m != nil && m.drawn {
		m.drawn = false
		m.write("\r\x1b[K")
	}
}

// write draws; a terminal that cannot be written to is no reason to stop.
func (m *Meter) write(s string) { _, _ = io.WriteString(m.w, s) }

// line is "copying [=====>    ] 52% 1.3 GB, 410.2 MB/s, 3 s left" or, without a total, "copying 1.3 GB, 410.2 MB/s".
func (m *Meter) line(now time.Time) string {
	rate := float64(m.done) / max(now.Sub(m.begun).Seconds(), 1e-3)
	text := m.amount(float64(m.done)) + ", " + m.amount(rate) + "/s"
	if m.total <= 0 {
		return m.what + " " + text
	}
	share := min(float64(m.done)/float64(m.total), 1) // a total may have been a guess
	full := int(share * meterWidth)
	left := 0
	if rate > 0 {
		left = int(float64(m.total-m.done)/rate + 0.5)
	}
	return m.what + " [" + strings.Repeat("=", full) + blanks(meterWidth-full) + "] " + strconv.Itoa(int(share*100)) + "% " +
		text + ", " + strconv.Itoa(max(left, 0)) + " s left"
}

// amount is a number with a decimal prefix and the unit: "1.3 GB", "20.0 k flows".
func (m *Meter) amount(n float64) string {
	const prefixes = " kMGT"
	i := 0
	for n >= 1000 && i+1 < len(prefixes) {
		n /= 1000
		i++
	}
	if i == 0 {
		return strconv.FormatFloat(n, 'f', 0, 64) + " " + m.unit
	}
	text := strconv.FormatFloat(n, 'f', 1, 64) + " " + prefixes[i:i+1]
	if m.unit != "B" {
		text += " "
	}
	return text + m.unit
}
