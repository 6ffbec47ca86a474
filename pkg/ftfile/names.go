package ftfile

import (
	"fmt"
	"path"
	"strings"
	"time"

	"flowtools/pkg/flow"
)

// Prefixes of the names of capture files: open, complete, and imported from
// cflowd by other software.
const (
	PrefixOpen   = "tmp"
	PrefixDone   = "ft"
	PrefixCflowd = "cf"
)

// PrefixPrivate begins the names of what flow-capture keeps for itself beside
// its files. No tool reads such a file as flows, or speaks of it.
const PrefixPrivate = ".flow-capture."

// IsCapture reports whether name begins with one of the prefixes that expiry
// considers.
func IsCapture(name string) bool {
	return strings.HasPrefix(name, PrefixOpen) || strings.HasPrefix(name, PrefixDone) || strings.HasPrefix(name, PrefixCflowd)
}

// Name returns the name of a capture file for records of version v opened at
// local time t: PREFIX-vVV.YYYY-MM-DD.HHMMSS+ZZZZ, with mMM behind the version
// 8 for aggregation method MM. t must be in the local zone.
func Name(prefix string, v flow.Version, t time.Time) string {
	kind := fmt.Sprintf("v%02d", v.Export)
	if v.Export == 8 {
		kind += fmt.Sprintf("m%02d", v.Agg)
	}
	return prefix + "-" + kind + t.Format(".2006-01-02.150405-0700")
}

// NestLimit is the highest nesting level of capture directories; the lowest is
// its negative.
const NestLimit = 3

// Dir returns the directory, relative to the work directory, of a capture file
// opened at local time t for nesting level -3..3: 0 "", 1 YYYY, 2 YYYY/YYYY-MM,
// 3 and -3 YYYY/YYYY-MM/YYYY-MM-DD, -2 YYYY-MM/YYYY-MM-DD, -1 YYYY-MM-DD.
func Dir(nesting int, t time.Time) string {
	levels := []string{t.Format("2006"), t.Format("2006-01"), t.Format("2006-01-02")}
	switch {
	case nesting >= 0:
		levels = levels[:min(nesting, NestLimit)]
	default:
		levels = levels[NestLimit-min(-nesting, NestLimit):]
	}
	return path.Join(levels...)
}
