package report

import (
	"strconv"

	engine "flowtools/pkg/report"
)

// detailValue is one column of summary-detail.
type detailValue struct {
	name string
	v    float64
}

// bucketNames are the names of bounds that are not just prefix and number.
//
// Compat: what is called more than 4096 is up to 4096.
var bucketNames = map[string]string{"psize4096": ">psize4096"}

// detailValues are the columns of a summary-detail report; the first is a whole
// number.
//
// Compat: real time is the last export time and fps counts from uptime 0, since
// the least start never moves from 0; the averages are integer divisions. No
// flows make the distributions -nan.
func detailValues(r *engine.Report) []detailValue {
	t, d := r.Totals(), r.Detail()
	whole := func(a, b uint64) float64 {
		if b == 0 {
			return 0
		}
		return float64(a / b)
	}
	ratio := func(a, b float64) float64 {
		if b == 0 {
			return 0
		}
		return a / b
	}
	values := []detailValue{
		{"time_real", float64(t.Last)},
		{"aflowtime", whole(t.Duration, t.Flows)},
		{"aps", whole(t.Octets, t.Packets)},
		{"afs", whole(t.Octets, t.Flows)},
		{"apf", whole(t.Packets, t.Flows)},
		{"fps", ratio(float64(t.Flows), float64(d.MaxLast)/1000)},
		{"fps_real", ratio(float64(t.Flows), float64(t.Last))},
	}
	for i := range engine.Distributions() {
		b := &engine.Distributions()[i]
		for j, n := range d.Counts[i] {
			name := b.Name + "_other"
			if j < len(b.Bounds) {
				name = b.Name + strconv.FormatUint(uint64(b.Bounds[j]), 10)
			}
			if odd, ok := bucketNames[name]; ok {
				name = odd
			}
			values = append(values, detailValue{name, float64(n) / float64(t.Flows)})
		}
	}
	return values
}
