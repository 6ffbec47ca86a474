package cli

import (
	"strconv"
	"syscall"
	"time"
)

// Profile prints the summary that -d 1 asks for: the number of flows, then seconds and flows a second in processor time and in
// elapsed time.
//
// Compat: it starts with argv[0] as typed, and both lines say "sys".
func (e *Env) Profile(flows uint64) {
	elapsed := e.Now().Sub(e.start)
	var cpu time.Duration
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err == nil {
		cpu = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	b := append([]byte(nil), e.Arg0...)
	b = append(b, ": processed "...)
	b = strconv.AppendUint(b, flows, 10)
	b = append(b, " flows\n"...)
	for _, d := range [...]time.Duration{cpu, elapsed} {
		b = append(b, "  sys: seconds="...)
		b = strconv.AppendFloat(b, d.Seconds(), 'f', 3, 64)
		b = append(b, " flows/second="...)
		rate := 0.0
		if d > 0 {
			rate = float64(flows) / d.Seconds()
		}
		b = append(strconv.AppendFloat(b, rate, 'f', 6, 64), '\n')
	}
	e.stderr(string(b))
}
