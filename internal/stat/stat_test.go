package stat

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/pkg/flow"
)

// render runs a report over batches and returns what it prints.
func render(t testing.TB, n int, l *flow.Layout, o Options, batches ...*flow.Batch) string {
	t.Helper()
	f, err := Lookup(n)
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.New(l, o)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := bufio.NewWriter(&buf)
	out := r.Text(w)
	out.Open()
	for _, b := range batches {
		out.Add(b)
	}
	if err := r.Arrange(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// model is a keyed report made with maps, slices and package fmt, straight from
// the specification.
type model struct {
	key     func(r reader) [][]string // labels by row that the record counts in, two labels for pairs
	rank    func(label string) uint64 // what a label is sorted by
	heading string                    // narrow label part of the heading
	wideHead,
	percentHead string // where they differ
	width, wide int // label columns
	pctWide     int // with -w and -P
	table       bool
	n20         bool
	only        func(r reader) bool
	totals      uint64 // how often a record counts in the totals
}

type reader struct {
	l *flow.Layout
	r flow.Record
}

func (r reader) u(f flow.Field) uint64  { return r.l.Uint(r.r, f) }
func (r reader) ip(f flow.Field) string { return r.l.Addr(r.r, f).String() }

func (r reader) prefix(addr, mask flow.Field) string {
	a, n := uint32(r.u(addr)), r.u(mask)
	if n >= 1 && n <= 32 {
		a &= uint32(math.MaxUint32 << (32 - n))
	}
	octets := []string{fmt.Sprint(a >> 24), fmt.Sprint(a >> 16 & 255), fmt.Sprint(a >> 8 & 255), fmt.Sprint(a & 255)}
	for len(octets) > 1 && octets[len(octets)-1] == "0" {
		octets = octets[:len(octets)-1]
	}
	shown := n
	if n > 32 {
		shown = 0
	}
	// The length behind the NUL tells rows apart that print alike.
	return fmt.Sprintf("%s/%d\x00%d", strings.Join(octets, "."), shown, n)
}

func one(f flow.Field) func(reader) [][]string {
	return func(r reader) [][]string { return [][]string{{strconv.FormatUint(r.u(f), 10)}} }
}

func address(fs ...flow.Field) func(reader) [][]string {
	return func(r reader) (rows [][]string) {
		for _, f := range fs {
			rows = append(rows, []string{r.ip(f)})
		}
		return rows
	}
}

func pair(a, b flow.Field) func(reader) [][]string {
	return func(r reader) [][]string {
		return [][]string{{strconv.FormatUint(r.u(a), 10), strconv.FormatUint(r.u(b), 10)}}
	}
}

// byNumber and byAddr are the orders of labels.
func byNumber(label string) uint64 {
	n, err := strconv.ParseUint(label, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func byAddr(label string) uint64 {
	addr, _, _ := strings.Cut(label, "/")
	v := uint64(0)
	octets := append(strings.Split(addr, "."), "0", "0", "0")
	for _, o := range octets[:4] {
		v = v<<8 | byNumber(o)
	}
	return v
}

func tcpUDP(r reader) bool { return r.u(flow.Prot) == 6 || r.u(flow.Prot) == 17 }

var models = func() map[int]model {
	table := func(narrow, wide string, key func(reader) [][]string) model {
		return model{key: key, rank: byNumber, heading: narrow, wideHead: wide, percentHead: wide, width: 10, wide: 15, pctWide: 15, table: true, n20: true}
	}
	port := func(key func(reader) [][]string) model {
		m := table("port      ", "port           ", key)
		m.only = tcpUDP
		return m
	}
	both := port(func(r reader) [][]string {
		return [][]string{{fmt.Sprint(r.u(flow.SrcPort))}, {fmt.Sprint(r.u(flow.DstPort))}}
	})
	both.totals = 2
	number := func(heading string, key func(reader) [][]string) model {
		return model{key: key, rank: byNumber, heading: heading + "  ", width: 10, wide: 15, pctWide: 10}
	}
	addr := func(key func(reader) [][]string) model {
		return model{key: key, rank: byAddr, heading: "IPaddr         ", width: 15, wide: 15, pctWide: 15}
	}
	prefix := func(heading string, key func(reader) []string) model {
		return model{key: func(r reader) [][]string { return [][]string{key(r)} }, rank: byAddr, heading: heading, width: 18, wide: 18, pctWide: 18}
	}
	m := map[int]model{
		1: number("Pkt Size", func(r reader) [][]string {
			if r.u(flow.DPkts) == 0 {
				return nil
			}
			return [][]string{{fmt.Sprint(r.u(flow.DOctets) / r.u(flow.DPkts))}}
		}),
		2:  number("Packets ", one(flow.DPkts)),
		3:  number("Octets  ", one(flow.DOctets)),
		5:  port(one(flow.DstPort)),
		6:  port(one(flow.SrcPort)),
		7:  both,
		8:  addr(address(flow.DstAddr)),
		9:  addr(address(flow.SrcAddr)),
		10: {key: func(r reader) [][]string { return [][]string{{r.ip(flow.SrcAddr), r.ip(flow.DstAddr)}} }, rank: byAddr, heading: "src IPaddr     dst IPaddr       ", width: 15, wide: 15, pctWide: 15, n20: true},
		11: addr(address(flow.SrcAddr, flow.DstAddr)),
		12: table("protocol  ", "protocol       ", one(flow.Prot)),
		16: addr(address(flow.NextHop)),
		17: table("interface ", "interface      ", one(flow.Input)),
		18: table("interface ", "interface      ", one(flow.Output)),
		19: table("src AS    ", "src AS         ", one(flow.SrcAS)),
		20: table("dst AS    ", "dst AS         ", one(flow.DstAS)),
		21: {key: pair(flow.SrcAS, flow.DstAS), rank: byNumber, heading: "src AS          dst AS            ", width: 16, wide: 16, pctWide: 16, n20: true},
		22: table("ToS       ", "ToS            ", one(flow.ToS)),
		23: {key: pair(flow.Input, flow.Output), rank: byNumber, heading: "in   out    ", width: 5, wide: 5, pctWide: 5, n20: true},
		24: prefix("Source Prefix     ", func(r reader) []string { return []string{r.prefix(flow.SrcAddr, flow.SrcMask)} }),
		25: prefix("Source Prefix     ", func(r reader) []string { return []string{r.prefix(flow.DstAddr, flow.DstMask)} }),
		26: prefix("Source Prefix     Destination Prefix  ", func(r reader) []string {
			return []string{r.prefix(flow.SrcAddr, flow.SrcMask), r.prefix(flow.DstAddr, flow.DstMask)}
		}),
		27: addr(address(flow.ExAddr)),
		28: table("engine_id ", "engine_id      ", one(flow.EngineID)),
		29: table("engine_typ", "engine_type    ", one(flow.EngineType)),
		30: number("Src Tag ", one(flow.SrcTag)),
		31: number("Dst Tag ", one(flow.DstTag)),
		32: {key: pair(flow.SrcTag, flow.DstTag), rank: byNumber, heading: "Src Tag   Dst Tag     ", width: 10, wide: 10, pctWide: 10},
	}
	return m
}()

type modelRow struct {
	labels []string
	sums   [4]uint64
}

func (m *model) render(o Options, batch *flow.Batch) string {
	var rows []*modelRow
	index := map[string]*modelRow{}
	var total [4]uint64
	for rec := range batch.All() {
		r := reader{batch.Layout, rec}
		if m.only != nil && !m.only(r) {
			continue
		}
		sums := [4]uint64{1, r.u(flow.DOctets), r.u(flow.DPkts), uint64(uint32(r.u(flow.Last)) - uint32(r.u(flow.First)))}
		if r.l.Fields.Has(flow.DFlows) {
			sums[0] = r.u(flow.DFlows)
		}
		for i := range total {
			total[i] += max(1, m.totals) * sums[i]
		}
		for _, labels := range m.key(r) {
			k := strings.Join(labels, " ")
			row := index[k]
			if row == nil {
				row = &modelRow{labels: labels}
				index[k] = row
				rows = append(rows, row)
			}
			for i := range sums {
				row.sums[i] += sums[i]
			}
		}
	}
	m.order(o, &rows)

	c := string([]byte{o.Comment})
	heading, percent := m.heading, m.heading
	if o.Wide && m.wideHead != "" {
		heading, percent = m.wideHead, m.percentHead
	}
	var b strings.Builder
	switch {
	case o.Percent && o.Wide:
		b.WriteString(c + "\n" + c + " " + percent + "flows    octets   packets  duration\n" + c + "\n")
	case o.Percent:
		b.WriteString(c + "\n" + c + " " + percent + "flows    octets   packets\n" + c + "\n")
	case o.Wide:
		b.WriteString(c + "\n" + c + " " + heading + "flows                 octets                packets               duration\n" + c + "\n")
	default:
		b.WriteString(c + "\n" + c + " " + heading + "flows                 octets                packets\n" + c + "\n")
	}
	share := func(v, whole uint64) string {
		if v == 0 && whole == 0 {
			return "-nan  "
		}
		return strings.ReplaceAll(fmt.Sprintf("%-6.3f", float64(v)/float64(whole)*100), "+Inf", "inf ")
	}
	var running [4]uint64
	for i, row := range rows {
		if o.Percent && m.table && o.Tally != 0 && i > 0 && i%max(o.Tally, -o.Tally) == 0 {
			fmt.Fprintf(&b, "%sSUB %s  %s   %s   %s   %s\n", c, share(uint64(i), uint64(len(rows))),
				share(running[0], total[0]), share(running[1], total[1]), share(running[2], total[2]), share(running[3], total[3]))
		}
		for j := range running {
			running[j] += row.sums[j]
		}
		width := m.width
		if o.Wide {
			if width = m.wide; o.Percent {
				width = m.pctWide
			}
		}
		for _, label := range row.labels {
			label, _, _ = strings.Cut(label, "\x00")
			fmt.Fprintf(&b, "%-*.*s  ", width, width, label)
		}
		s := row.sums
		switch {
		case o.Percent && o.Wide:
			fmt.Fprintf(&b, "%s   %s   %s   %s\n", share(s[0], total[0]), share(s[1], total[1]), share(s[2], total[2]), share(s[3], total[3]))
		case o.Percent:
			fmt.Fprintf(&b, "%s   %s   %s\n", share(s[0], total[0]), share(s[1], total[1]), share(s[2], total[2]))
		case o.Wide:
			fmt.Fprintf(&b, "%-20d  %-20d  %-20d  %d\n", s[0], s[1], s[2], s[3])
		case m.n20:
			fmt.Fprintf(&b, "%-20d  %-20d  %-20d\n", s[0], s[1], s[2])
		default:
			fmt.Fprintf(&b, "%-20d  %-20d  %d\n", s[0], s[1], s[2])
		}
	}
	return b.String()
}

// order puts the rows in order, and leaves out those of tables without flows.
func (m *model) order(o Options, rows *[]*modelRow) {
	value := func(r *modelRow, column int) uint64 {
		if column < len(r.labels) {
			return m.rank(r.labels[column])
		}
		return r.sums[column-len(r.labels)]
	}
	by := func(column int) func(a, b *modelRow) int {
		return func(a, b *modelRow) int {
			x, y := value(a, column), value(b, column)
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		}
	}
	column := int(max(o.Sort, -o.Sort)) - 1
	if m.table {
		*rows = slices.DeleteFunc(*rows, func(r *modelRow) bool { return r.sums[0] == 0 })
		slices.SortFunc(*rows, by(0))
		if o.Sort == 0 {
			slices.Reverse(*rows)
		}
	}
	if o.Sort != 0 {
		slices.SortStableFunc(*rows, by(column))
		if o.Sort > 0 {
			slices.Reverse(*rows)
		}
	}
}

// records makes n records with few distinct values and all sizes of counters.
func records(rng *rand.Rand, l *flow.Layout, n int) *flow.Batch {
	b := flow.NewBatch(l)
	for range n {
		r := flow.Record(b.Extend(1))
		clear(r)
		for f := range l.Fields.All() {
			v := rng.Uint64N(6)
			switch rng.UintN(10) {
			case 0:
				v = math.MaxUint64
			case 1:
				v = rng.Uint64() >> rng.UintN(64)
			}
			l.PutUint(r, f, v)
		}
		if rng.UintN(3) > 0 {
			l.PutUint(r, flow.Prot, 6+11*rng.Uint64N(2))
			l.PutUint(r, flow.SrcMask, 8*rng.Uint64N(6))
			l.PutUint(r, flow.DstMask, 8*rng.Uint64N(6))
			l.PutUint(r, flow.SrcAddr, rng.Uint64N(4)<<8|10<<24)
			l.PutUint(r, flow.DstAddr, rng.Uint64N(4)<<16|172<<24)
		}
	}
	return b
}

// TestKeyed holds every keyed report against the model, on every record version
// and for every option.
func TestKeyed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := 0
	for n := range Count {
		m, keyed := models[n]
		f, err := Lookup(n)
		if err != nil {
			t.Fatal(err)
		}
		if keyed != (f.row.page == nil) {
			t.Fatalf("format %d: keyed %v", n, keyed)
		}
		if !keyed {
			continue
		}
		for _, v := range flow.Versions() {
			l, err := flow.LayoutOf(v)
			if err != nil {
				t.Fatal(err)
			}
			if l.Missing(f.Needs()) != 0 {
				continue
			}
			seen++
			columns := 5
			if strings.Contains(f.Name(), "Source/Destination") || n == 23 {
				columns = 6
			}
			for sort := -columns; sort <= columns; sort++ {
				if v.Export != 1005 && v != (flow.Version{Export: 8, Agg: 5}) && rng.UintN(4) != 0 {
					continue // all of them on two versions, some on the others
				}
				o := Options{Comment: '#', Percent: rng.UintN(2) == 0, Wide: rng.UintN(2) == 0, Sort: Sort(sort), Tally: rng.IntN(7) - 3}
				batch := records(rng, l, 1+rng.IntN(200))
				if diff := cmp.Diff(m.render(o, batch), render(t, n, l, o, batch)); diff != "" {
					t.Fatalf("format %d, version %v, %+v: (-want +got)\n%s", n, v, o, diff)
				}
			}
		}
	}
	if seen < 200 {
		t.Errorf("only %d pairs of format and version were tried", seen)
	}
}

// TestEmpty: a report of nothing is its heading.
func TestEmpty(t *testing.T) {
	for n, m := range models {
		for _, v := range []uint16{5, 1005} {
			l, err := flow.LayoutOf(flow.Version{Export: v})
			if err != nil {
				t.Fatal(err)
			}
			f, _ := Lookup(n)
			if l.Missing(f.Needs()) != 0 {
				continue
			}
			for _, o := range []Options{{Comment: ';'}, {Comment: ';', Percent: true, Tally: 2, Sort: Descending(1)}} {
				if diff := cmp.Diff(m.render(o, flow.NewBatch(l)), render(t, n, l, o)); diff != "" {
					t.Errorf("format %d: %s", n, diff)
				}
			}
		}
	}
}

// TestVersions pins which record versions a format works on.
func TestVersions(t *testing.T) {
	const (
		flows = "1 5 6 7 1005"
		ports = flows + " 8.2 8.8 8.10 8.14"
		both  = flows + " 8.5 8.7 8.8 8.13 8.14"
		ases  = "5 6 7 1005 8.1 8.5 8.9 8.13"
		agg   = "8.1 8.2 8.3 8.4 8.5 8.6 8.7 8.8 8.9 8.10 8.11 8.12 8.13 8.14"
		all   = flows + " " + agg
	)
	want := map[int]string{
		5: ports, 6: ports, 7: ports, 12: ports, 10: both, 11: both, 16: flows, 21: ases,
		8:  flows + " 8.4 8.5 8.6 8.7 8.8 8.12 8.13 8.14",
		9:  flows + " 8.3 8.5 8.7 8.8 8.11 8.13 8.14",
		17: flows + " 8.1 8.3 8.5 8.7 8.8 8.9 8.11 8.13 8.14",
		18: flows + " 8.1 8.4 8.5 8.6 8.7 8.8 8.9 8.12 8.13 8.14",
		19: "5 6 7 1005 8.1 8.3 8.5 8.9 8.11 8.13",
		20: "5 6 7 1005 8.1 8.4 8.5 8.9 8.12 8.13",
		22: flows + " 8.6 8.7 8.8 8.9 8.10 8.11 8.12 8.13 8.14",
		23: flows + " 8.1 8.5 8.7 8.8 8.9 8.13 8.14",
		24: "5 6 7 1005 8.3 8.5 8.11 8.13 8.14",
		25: "5 6 7 1005 8.4 8.5 8.12 8.13 8.14",
		26: "5 6 7 1005 8.5 8.13 8.14",
		28: "5 6 7 1005 " + agg, 29: "5 6 7 1005 " + agg,
		30: "1005", 31: "1005", 32: "1005",
	}
	for n := range Count {
		f, _ := Lookup(n)
		list, ok := want[n]
		if !ok {
			list = all
		}
		works := strings.Fields(list)
		for _, v := range flow.Versions() {
			l, _ := flow.LayoutOf(v)
			if got := l.Missing(f.Needs()) == 0; got != slices.Contains(works, v.String()) {
				t.Errorf("format %d works on version %v: %v (missing %v)", n, v, got, l.Missing(f.Needs()))
			}
			if _, err := f.New(l, Options{}); (err == nil) != slices.Contains(works, v.String()) {
				t.Errorf("format %d, version %v: %v", n, v, err)
			}
		}
	}
}

func TestSort(t *testing.T) {
	for _, c := range []struct {
		s    Sort
		want string
		bad  string
	}{
		{Descending(0), "Descending Field 0", ""},
		{Ascending(4), "Ascending Field 4", ""},
		{Descending(5), "Descending Field 5", "can't sort on field 6"},
		{Ascending(5), "Ascending Field 5", "can't sort on field -6"},
		{Ascending(-1), "None", ""},
		{Descending(-1), "None", ""},
		{Descending(-2), "Ascending Field 0", ""},
		{Ascending(-3), "Descending Field 1", ""},
		{Descending(math.MaxInt32), "Ascending Field 2147483647", "can't sort on field -2147483648"},
	} {
		if got := c.s.String(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		l, _ := flow.LayoutOf(flow.Version{Export: 5})
		for n, limit := range map[int]bool{9: true, 12: true, 10: false, 0: false, 13: false, 15: false} {
			f, _ := Lookup(n)
			r, err := f.New(l, Options{Sort: c.s})
			if err != nil {
				t.Fatal(err)
			}
			err = r.Arrange()
			if limit && (err == nil) != (c.bad == "") || limit && err != nil && err.Error() != c.bad {
				t.Errorf("format %d, %v: %v", n, c.s, err)
			}
			if (n == 0 || n == 13 || n == 15) && err != nil {
				t.Errorf("format %d, %v: %v", n, c.s, err)
			}
		}
	}
}

// TestNames: names are cut, then fitted to the column; what has none is a number.
func TestNames(t *testing.T) {
	l, _ := flow.LayoutOf(flow.Version{Export: 5})
	b := flow.NewBatch(l)
	for range 2 {
		r := flow.Record(b.Extend(1))
		clear(r)
		l.PutUint(r, flow.SrcAS, uint64(b.Len()))
	}
	long := names{1: strings.Repeat("x", 30)}
	for n, want := range map[int]string{
		19: "2           1                     0                     0                   \nxxxxxxxxxx  1                     0                     0                   \n",
		21: "xxxxxxxxxxxxxxxx  0                 1                     0                     0                   \n2                 0                 1                     0                     0                   \n",
		9:  "0.0.0.0          2                     0                     0\n",
	} {
		got := render(t, n, l, Options{Comment: '#', Names: long}, b)
		if diff := cmp.Diff(want, strings.Join(strings.SplitAfter(got, "\n")[3:], "")); diff != "" {
			t.Errorf("format %d: %s", n, diff)
		}
	}
	got := render(t, 19, l, Options{Comment: '#', Names: long, Wide: true}, b)
	if !strings.Contains(got, "\n"+strings.Repeat("x", 15)+"  1") {
		t.Errorf("wide: %q", got)
	}
}

type names map[uint32]string

func (t names) Name(v uint32) (string, bool) { s, ok := t[v]; return s, ok }

// TestSummary holds the overall summary against package fmt.
func TestSummary(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	edges := [4][]uint64{
		nil,
		{1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 60, 100, 200, 300, 400, 500, 600, 700, 800, 900},
		{32, 64, 128, 256, 512},
		{10, 50, 100, 200, 500, 1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10000, 12000, 14000, 16000, 18000, 20000, 22000, 24000, 26000, 28000, 30000},
	}
	for e := uint64(32); e <= 576; e += 32 {
		edges[0] = append(edges[0], e)
	}
	for e := uint64(1024); e <= 4608; e += 512 {
		edges[0] = append(edges[0], e)
	}
	for e := uint64(1280); e <= 15872; e += 768 {
		edges[2] = append(edges[2], e)
	}
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		for round := range 6 {
			batch := records(rng, l, 1+rng.IntN(50)*round)
			if round > 2 { // durations and counters that fill the bins
				for r := range batch.All() {
					l.PutUint(r, flow.Last, l.Uint(r, flow.First)+rng.Uint64N(40000))
					l.PutUint(r, flow.DPkts, 1+rng.Uint64N(1000))
					l.PutUint(r, flow.DOctets, rng.Uint64N(20000))
				}
			}
			var flows, octets, packets, duration uint64
			first, last := uint64(math.MaxUint32), uint64(0)
			start, end := uint64(math.MaxUint32), uint64(0)
			var bins [4][26]uint64
			bogus := 0
			for rec := range batch.All() {
				r := reader{l, rec}
				if r.u(flow.DPkts) == 0 {
					bogus++
					continue
				}
				n := uint64(1)
				if l.Fields.Has(flow.DFlows) {
					n = r.u(flow.DFlows)
				}
				d := uint64(uint32(r.u(flow.Last)) - uint32(r.u(flow.First)))
				flows, octets, packets, duration = flows+n, octets+r.u(flow.DOctets), packets+r.u(flow.DPkts), duration+d
				first, last = min(first, r.u(flow.UnixSecs)), max(last, r.u(flow.UnixSecs))
				start, end = min(start, r.u(flow.First)), max(end, r.u(flow.Last))
				for i, value := range []uint64{r.u(flow.DOctets) / r.u(flow.DPkts), r.u(flow.DPkts), r.u(flow.DOctets), d} {
					bin := slices.IndexFunc(edges[i], func(e uint64) bool { return value <= e })
					if bin < 0 {
						bin = len(edges[i])
					}
					if bin < 26 {
						bins[i][bin]++
					}
				}
			}
			want := ""
			if flows != 0 {
				want = summaryText(flows, octets, packets, duration, last-first, end-start, &bins)
			}
			complaints := 0
			got := render(t, 0, l, Options{Bogus: func() { complaints++ }}, batch)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("version %v: (-want +got)\n%s", v, diff)
			}
			if complaints != bogus {
				t.Errorf("%d complaints of %d", complaints, bogus)
			}
		}
	}
}

func summaryText(flows, octets, packets, duration, real, data uint64, bins *[4][26]uint64) string {
	f := func(v uint64) float32 { return float32(v) }
	num := func(v float32) string {
		s := fmt.Sprintf("%4.4f", v)
		s = strings.ReplaceAll(s, "+Inf", "inf")
		if strings.Contains(s, "NaN") {
			s = "-nan"
		}
		return fmt.Sprintf("%4s", strings.TrimSpace(s))
	}
	realRate := func(v float32) float32 {
		if real == 0 {
			return 0
		}
		return v / f(real)
	}
	kbits := f(octets*8) / 1000
	var b strings.Builder
	for _, line := range []struct {
		label string
		value string
	}{
		{"Total Flows                     ", fmt.Sprint(flows)},
		{"Total Octets                    ", fmt.Sprint(octets)},
		{"Total Packets                   ", fmt.Sprint(packets)},
		{"Total Time (1/1000 secs) (flows)", fmt.Sprint(duration)},
		{"Duration of data  (realtime)    ", fmt.Sprint(real)},
		{"Duration of data (1/1000 secs)  ", fmt.Sprint(data)},
		{"Average flow time (1/1000 secs) ", num(f(duration) / f(flows))},
		{"Average packet size (octets)    ", num(f(octets) / f(packets))},
		{"Average flow size (octets)      ", num(f(octets) / f(flows))},
		{"Average packets per flow        ", num(f(packets) / f(flows))},
		{"Average flows / second (flow)   ", num(f(flows) / f(data/1000))},
		{"Average flows / second (real)   ", num(realRate(f(flows)))},
		{"Average Kbits / second (flow)   ", num(kbits / f(data/1000))},
		{"Average Kbits / second (real)   ", num(realRate(kbits))},
	} {
		b.WriteString(line.label + ": " + line.value + "\n")
	}
	b.WriteString("\n\n")
	text := []string{`IP packet size distribution:
   1-32   64   96  128  160  192  224  256  288  320  352  384  416  448  480
`, `
    512  544  576 1024 1536 2048 2560 3072 3584 4096 4608
`, `Packets per flow distribution:
      1    2    4    8   12   16   20   24   28   32   36   40   44   48   52
`, `
     60  100  200  300  400  500  600  700  800  900 >900
`, `Octets per flow distribution:
     32   64  128  256  512 1280 2048 2816 3584 4352 5120 5888 6656 7424 8192
`, `
   8960 9728 10496 11264 12032 12800 13568 14336 15104 15872 >15872
`, `Flow time distribution:
    10    50  100  200  500 1000 2000 3000 4000 5000 6000 7000 8000 9000 10000
`, `
  12000 14000 16000 18000 20000 22000 24000 26000 28000 30000 >30000
`}
	for i := range bins {
		for j, n := range bins[i] {
			if j%15 == 0 {
				b.WriteString(text[2*i+j/15] + "   ")
			}
			b.WriteString(fmt.Sprintf("%.3f", float32(n)/f(flows))[1:] + " ")
			if i == 2 && j >= 16 || i == 3 && j >= 13 {
				b.WriteString(" ")
			}
			if j == 14 {
				b.WriteString("\n")
			}
		}
		b.WriteString("\n\n")
	}
	return b.String()
}

// TestPlot holds the plots against package fmt.
func TestPlot(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		for n, c := range map[int]struct {
			field flow.Field
			head  string
			gap   string
		}{13: {flow.DOctets, "#\n# start      octets\n# end        octets\n#\n", "   "}, 14: {flow.DPkts, "#\n# start     packets\n# end       packets\n#\n", "    "}} {
			batch := records(rng, l, rng.IntN(100))
			var b strings.Builder
			b.WriteString(c.head)
			xmin, xmax, ymin, ymax := uint64(math.MaxUint32), uint64(0), uint64(math.MaxUint32), uint64(0)
			for rec := range batch.All() {
				r := reader{l, rec}
				y := r.u(c.field)
				fmt.Fprintf(&b, "%-10d%s%-10d\n%-10d%s%-10d\n\n", r.u(flow.First), c.gap, y, r.u(flow.Last), c.gap, y)
				xmin, xmax = min(xmin, r.u(flow.First)), max(xmax, r.u(flow.Last))
				if r.u(flow.DOctets) > ymax {
					ymax = y
				}
				if r.u(flow.DOctets) < ymin {
					ymin = y
				}
			}
			fmt.Fprintf(&b, "# xmin=%-10d   ymin=%-10d   xmax=%-10d   ymax=%-10d\n", xmin, ymin, xmax, ymax)
			if diff := cmp.Diff(b.String(), render(t, n, l, Options{Comment: '#'}, batch)); diff != "" {
				t.Fatalf("format %d, version %v: %s", n, v, diff)
			}
		}
	}
}

// TestNULComment: the comment character of all lines may be NUL.
func TestNULComment(t *testing.T) {
	l, _ := flow.LayoutOf(flow.Version{Export: 1005})
	for n := range Count {
		batch := records(rand.New(rand.NewPCG(7, 8)), l, 5)
		o := Options{Percent: true, Tally: 1}
		nul := render(t, n, l, o, batch)
		o.Comment = '#'
		if hash := render(t, n, l, o, batch); nul != strings.ReplaceAll(hash, "#", "\x00") {
			t.Errorf("format %d: %q", n, nul)
		}
	}
}

func BenchmarkReport(b *testing.B) {
	l, _ := flow.LayoutOf(flow.Version{Export: 5})
	batch := records(rand.New(rand.NewPCG(9, 10)), l, 1000)
	for _, n := range []int{0, 5, 10, 13} {
		f, _ := Lookup(n)
		b.Run(fmt.Sprintf("format=%d", n), func(b *testing.B) {
			r, err := f.New(l, Options{Comment: '#'})
			if err != nil {
				b.Fatal(err)
			}
			out := r.Text(bufio.NewWriter(discard{}))
			b.ReportAllocs()
			for b.Loop() {
				out.Add(batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch.Len()), "ns/record")
		})
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// TestAddAllocatesNothing: a warm report takes records without allocating.
func TestAddAllocatesNothing(t *testing.T) {
	l, _ := flow.LayoutOf(flow.Version{Export: 1005})
	batch := records(rand.New(rand.NewPCG(9, 10)), l, 500)
	for n := range Count {
		f, _ := Lookup(n)
		r, err := f.New(l, Options{Comment: '#', Bogus: func() {}})
		if err != nil {
			t.Fatal(err)
		}
		out := r.Text(bufio.NewWriter(discard{}))
		out.Add(batch)
		if a := testing.AllocsPerRun(5, func() { out.Add(batch) }); a != 0 {
			t.Errorf("format %d: %v allocations in %d records", n, a, batch.Len())
		}
	}
}
