package report

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// produce runs definition d of a report file on the records and returns what
// goes to standard output.
func produce(t testing.TB, config string, b *flow.Batch) string {
	t.Helper()
	f, err := Parse("test.cfg", []byte(config), Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Definition("d")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	env := &cli.Env{Stdout: &out, LookupEnv: func(string) (string, bool) { return "", false }}
	r, err := d.New(env, ftfile.NewHeader(b.Layout.Version, 0), b.Layout, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Add(b)
	if err := r.Finish(err); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestLiveSeries has an interval on standard output when it closes.
func TestLiveSeries(t *testing.T) {
	f, err := Parse("test.cfg", []byte("stat-report r\ntype ip-tos\noutput\nstat-definition d\nreport r\ntime-series 10\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Definition("d")
	if err != nil {
		t.Fatal(err)
	}
	l := flowtest.Layout(5, 0)
	b := &flow.Batch{Layout: l}
	for _, secs := range []uint64{100, 110, 111} {
		clear(b.Extend(1))
		rec := b.At(b.Len() - 1)
		l.PutUint(rec, flow.UnixSecs, secs)
		l.PutUint(rec, flow.DPkts, 1)
	}
	var out bytes.Buffer
	r, err := d.New(&cli.Env{Stdout: &out}, ftfile.NewHeader(l.Version, 0), l, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Add(b)
	if want := "# recn: ip-tos*,flows,octets,packets,duration\n0,2,0,2,0\n"; out.String() != want || err != nil {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := r.Finish(err); err != nil {
		t.Error(err)
	}
}

// line is an entry of the model.
type line struct {
	key                                 [2]uint64
	flows, octets, packets, time, frecs uint64
	bps, pps                            [3]float64 // average, least, greatest
}

func (e *line) add(l *flow.Layout, r flow.Record) {
	octets, packets, ms := l.Uint(r, flow.DOctets), l.Uint(r, flow.DPkts), uint64(l.Duration(r))
	e.flows++
	e.octets += octets
	e.packets += packets
	if ms == 0 {
		return
	}
	e.time += ms
	e.frecs++
	for rate, v := range map[*[3]float64]float64{&e.bps: float64(octets) * 8 / (float64(ms) / 1000), &e.pps: float64(packets) / (float64(ms) / 1000)} {
		rate[0] += v
		if rate[1] == 0 || v < rate[1] {
			rate[1] = v
		}
		rate[2] = max(rate[2], v)
	}
}

func (e *line) mean(rate [3]float64) float64 {
	if e.frecs == 0 {
		return 0
	}
	return rate[0] / float64(e.frecs)
}

// column is a column of the model: its value and whether it is a float.
type column struct {
	name  string
	rate  bool
	value func(e *line) float64
}

var columns = []column{
	{"flows", false, func(e *line) float64 { return float64(e.flows) }},
	{"octets", false, func(e *line) float64 { return float64(e.octets) }},
	{"packets", false, func(e *line) float64 { return float64(e.packets) }},
	{"duration", false, func(e *line) float64 { return float64(e.time) }},
	{"avg-bps", true, func(e *line) float64 { return e.mean(e.bps) }},
	{"min-bps", true, func(e *line) float64 { return e.bps[1] }},
	{"max-bps", true, func(e *line) float64 { return e.bps[2] }},
	{"avg-pps", true, func(e *line) float64 { return e.mean(e.pps) }},
	{"min-pps", true, func(e *line) float64 { return e.pps[1] }},
	{"max-pps", true, func(e *line) float64 { return e.pps[2] }},
}

// TestText holds whole outputs against a model that prints with fmt.
func TestText(t *testing.T) {
	l := flowtest.Layout(5, 0)
	rng := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		b := flowtest.Traffic(l, rng.IntN(300), rng.Uint64())
		for rec := range b.All() { // few keys, some flows that did not last or are empty
			l.PutUint(rec, flow.SrcAS, rng.Uint64N(40))
			if rng.IntN(4) == 0 {
				l.PutUint(rec, flow.Last, l.Uint(rec, flow.First))
			}
			if rng.IntN(30) == 0 {
				l.PutUint(rec, flow.DPkts, 0)
			}
		}
		textCase(t, rng, b)
		if t.Failed() {
			return
		}
	}
}

func textCase(t *testing.T, rng *rand.Rand, b *flow.Batch) {
	t.Helper()
	l := b.Layout
	type kind struct {
		name, heads string
		keys        []flow.Field
		array       bool
	}
	k := []kind{
		{"source-as", "source-as*", []flow.Field{flow.SrcAS}, true},
		{"source/destination-as", "source-as*,destination-AS*", []flow.Field{flow.SrcAS, flow.DstAS}, false},
		{"last", "Last*", []flow.Field{flow.Last}, false},
	}[rng.IntN(3)]

	// The report.
	config := fmt.Sprintf("stat-report r\ntype %s\noutput\noptions +totals", k.name)
	percent := rng.IntN(2) == 0
	if percent {
		config += ",+percent-total"
	}
	shown := map[string]bool{"index": rng.IntN(2) == 0, "frecs": rng.IntN(2) == 0}
	config += "\nfields "
	rates := false
	for _, c := range append([]column{{name: "index"}, {name: "frecs"}}, columns...) {
		if c.value != nil {
			shown[c.name] = rng.IntN(2) == 0
		}
		config += map[bool]string{true: "+", false: "-"}[shown[c.name]] + c.name + ","
		rates = rates || c.rate && shown[c.name]
	}
	var order *column
	backward := rng.IntN(2) == 0
	if rng.IntN(4) > 0 {
		order = &columns[rng.IntN(len(columns))]
		config += "\nsort " + map[bool]string{true: "+", false: "-"}[backward] + order.name
		rates = rates || order.rate
	}
	limit, tally := rng.IntN(12), rng.IntN(6)
	config += fmt.Sprintf("\nrecords %d\ntally %d\nstat-definition d\nreport r\n", limit, tally)

	// The model.
	var total line
	var entries []*line
	ignores := 0
	for rec := range b.All() {
		if l.Uint(rec, flow.DPkts) == 0 {
			ignores++
			continue
		}
		total.add(l, rec)
		var key [2]uint64
		for i, f := range k.keys {
			key[i] = l.Uint(rec, f)
		}
		i := slices.IndexFunc(entries, func(e *line) bool { return e.key == key })
		if i < 0 {
			i = len(entries)
			entries = append(entries, &line{key: key})
		}
		entries[i].add(l, rec)
	}
	if k.array {
		slices.SortFunc(entries, func(a, b *line) int { return cmp.Compare(a.key[0], b.key[0]) })
	}
	if order != nil {
		slices.SortStableFunc(entries, func(a, b *line) int { return cmp.Compare(order.value(a), order.value(b)) })
		if backward {
			slices.Reverse(entries)
		}
	}
	float := func(format string, v float64) string {
		if math.IsNaN(v) {
			return "-nan"
		}
		return strings.TrimPrefix(fmt.Sprintf(format, v), "+")
	}
	var want strings.Builder
	want.WriteString("# rec1: records,ignores,flows,octets,packets,duration")
	if rates {
		want.WriteString(",avg_bps,min_bps,max_bps,avg_pps,min_pps,max_pps")
	}
	fmt.Fprintf(&want, "\n%d,%d,%d,%d,%d,%d", len(entries), ignores, total.flows, total.octets, total.packets, total.time)
	if rates {
		for _, c := range columns[4:] {
			want.WriteString("," + float("%f", c.value(&total)))
		}
	}
	var names []string
	if shown["index"] {
		names = append(names, "index")
	}
	names = append(names, k.heads)
	for _, c := range columns {
		if shown[c.name] {
			names = append(names, c.name)
		}
	}
	if shown["frecs"] {
		names = append(names, "frecs")
	}
	want.WriteString("\n# recn: " + strings.Join(names, ",") + "\n")
	var sum line
	for i, e := range entries {
		if tally > 0 && i > 0 && i%tally == 0 {
			fmt.Fprintf(&want, "#TALLY %%recs=%s", float("%3.3f", float64(i)/float64(len(entries))*100))
			for j, c := range columns[:3] {
				fmt.Fprintf(&want, " %%%s=%s", columns[j].name, float("%3.3f", c.value(&sum)/c.value(&total)*100))
			}
			if rates {
				fmt.Fprintf(&want, " %%avg-bps=%s %%avg-pps=%s", float("%3.3f", sum.bps[0]/float64(sum.frecs)/total.mean(total.bps)*100),
					float("%3.3f", sum.pps[0]/float64(sum.frecs)/total.mean(total.pps)*100))
			}
			want.WriteString("\n")
		}
		sum.flows += e.flows
		sum.octets += e.octets
		sum.packets += e.packets
		sum.frecs += e.frecs
		sum.bps[0] += e.mean(e.bps) * float64(e.frecs)
		sum.pps[0] += e.mean(e.pps) * float64(e.frecs)

		var cells []string
		if shown["index"] {
			cells = append(cells, fmt.Sprint(i))
		}
		for j := range k.keys {
			cells = append(cells, fmt.Sprint(e.key[j]))
		}
		for _, c := range columns {
			switch v := c.value(e); {
			case !shown[c.name]:
			case percent:
				cells = append(cells, float("%f", v/c.value(&total)*100))
			case c.rate:
				cells = append(cells, float("%f", v))
			default:
				cells = append(cells, fmt.Sprintf("%.0f", v))
			}
		}
		if shown["frecs"] {
			cells = append(cells, fmt.Sprint(e.frecs))
		}
		want.WriteString(strings.Join(cells, ",") + "\n")
		if i+1 == limit {
			want.WriteString("# stop, hit record limit.\n")
			break
		}
	}
	if diff := gocmp.Diff(want.String(), produce(t, config, b)); diff != "" {
		t.Errorf("%s\n%s", config, diff)
	}
}
