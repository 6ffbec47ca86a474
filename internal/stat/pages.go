package stat

import (
	"bufio"
	"math"
	"strconv"
	"strings"

	"flowtools/internal/clib"
	"flowtools/pkg/flow"
	"flowtools/pkg/report"
)

// silent is what pages do with single records: nothing.
type silent struct{}

func (silent) needs() flow.FieldSet                         { return 0 }
func (silent) open(*bufio.Writer, byte)                     {}
func (silent) add(*bufio.Writer, *flow.Layout, *flow.Batch) {}

// unimplemented is a report that the original never had.
type unimplemented struct{ silent }

func (unimplemented) close(w *bufio.Writer, _ byte, _ *report.Report) {
	write(w, []byte("Not implemented.\n"))
}

// short is the short summary.
type short struct{ silent }

func (short) close(w *bufio.Writer, c byte, r *report.Report) {
	t := r.Totals()
	b := append(w.AvailableBuffer(), c, '\n', c)
	b = append(append(b, " Octets            Packets             MBytes\n"...), c, '\n')
	b = clib.AppendUint(clib.AppendUint(b, t.Octets, 20), t.Packets, 20)
	write(w, append(clib.AppendF(b, float64(t.Octets)/1e6, 3), '\n'))
}

// plot lists two points of every record, for plotting programs.
type plot struct {
	field                  flow.Field // of the y axis
	gap                    string
	xmin, xmax, ymin, ymax uint64
	scratch                []byte
}

func newPlot(f flow.Field) *plot {
	p := &plot{field: f, gap: "   ", xmin: math.MaxUint32, ymin: math.MaxUint32}
	if f == flow.DPkts {
		p.gap = "    "
	}
	return p
}

func (p *plot) needs() flow.FieldSet {
	return flow.Fields(flow.DPkts, flow.DOctets, flow.First, flow.Last)
}

// what names the y axis.
func (p *plot) what() string {
	if p.field == flow.DPkts {
		return "packets"
	}
	return "octets"
}

func (p *plot) open(w *bufio.Writer, c byte) {
	what := p.what()
	b := append(w.AvailableBuffer(), c, '\n', c)
	for _, end := range []string{" start", " end"} {
		start := len(b)
		b = append(clib.Pad(append(b, end...), start, 18-len(what)), what...)
		b = append(b, '\n', c)
	}
	write(w, append(b, '\n'))
}

func (p *plot) add(w *bufio.Writer, l *flow.Layout, batch *flow.Batch) {
	for r := range batch.All() {
		first, last, octets, y := l.Uint(r, flow.First), l.Uint(r, flow.Last), l.Uint(r, flow.DOctets), l.Uint(r, p.field)
		b := p.scratch[:0]
		for _, x := range [...]uint64{first, last} {
			b = append(clib.AppendUint(b, x, 10), p.gap...)
			b = append(clib.AppendUint(b, y, 10), '\n')
		}
		p.scratch = append(b, '\n')
		write(w, p.scratch)
		p.xmin, p.xmax = min(p.xmin, first), max(p.xmax, last)
		// Compat: with packets on the y axis octets are compared, and with packets.
		if octets > p.ymax {
			p.ymax = y
		}
		if octets < p.ymin {
			p.ymin = y
		}
	}
}

func (p *plot) close(w *bufio.Writer, c byte, _ *report.Report) {
	b := append(w.AvailableBuffer(), c)
	gap := " "
	for _, v := range []struct {
		name string
		v    uint64
	}{{"xmin=", p.xmin}, {"ymin=", p.ymin}, {"xmax=", p.xmax}, {"ymax=", p.ymax}} {
		b = append(append(b, gap...), v.name...)
		b = clib.AppendUint(b, v.v, 10)
		gap = "   "
	}
	write(w, append(b, '\n'))
}

// summary is the overall summary. Its arithmetic is in single precision, and
// every operand is rounded to it first.
type summary struct{ silent }

func (*summary) close(w *bufio.Writer, _ byte, r *report.Report) {
	t, d := r.Totals(), r.Detail()
	if t.Flows == 0 {
		return
	}
	elapsed := uint64(t.Last - t.First)
	data := uint64(d.MaxLast) - uint64(d.MinFirst)
	flows, octets, packets, seconds := float32(t.Flows), float32(t.Octets), float32(t.Packets), float32(data/1000)
	kbits := float32(t.Octets*8) / 1000
	perSecond := func(v float32) float32 {
		if elapsed == 0 {
			return 0
		}
		return v / float32(elapsed)
	}

	b := w.AvailableBuffer()
	label := func(text string) { b = append(clib.AppendString(b, text, 32, 32), ": "...) }
	count := func(text string, v uint64) {
		label(text)
		b = append(clib.AppendUint(b, v, 0), '\n')
	}
	ratio := func(text string, v float32) {
		label(text)
		start := len(b)
		b = append(clib.Right(clib.AppendF(b, float64(v), 4), start, 4), '\n')
	}
	count("Total Flows", t.Flows)
	count("Total Octets", t.Octets)
	count("Total Packets", t.Packets)
	count("Total Time (1/1000 secs) (flows)", t.Duration)
	count("Duration of data  (realtime)", elapsed)
	count("Duration of data (1/1000 secs)", data)
	ratio("Average flow time (1/1000 secs)", float32(t.Duration)/flows)
	ratio("Average packet size (octets)", octets/packets)
	ratio("Average flow size (octets)", octets/flows)
	ratio("Average packets per flow", packets/flows)
	ratio("Average flows / second (flow)", flows/seconds)
	ratio("Average flows / second (real)", perSecond(flows))
	ratio("Average Kbits / second (flow)", kbits/seconds)
	ratio("Average Kbits / second (real)", perSecond(kbits))
	b = append(b, "\n\n"...)
	for i, counts := range &d.Counts {
		b = distributions[i].append(b, &counts, flows)
	}
	write(w, b)
}

// distribution is how one of the summary's distributions is shown.
type distribution struct {
	title string
	lines [2]string // headings of the bins
	wide  int       // from this bin on two blanks follow
}

// distributions, in the order of report.Distributions.
var distributions = [report.NumDistributions]distribution{
	report.BySize: {"IP packet size distribution:", [2]string{
		"   1-32   64   96  128  160  192  224  256  288  320  352  384  416  448  480",
		"    512  544  576 1024 1536 2048 2560 3072 3584 4096 4608"}, report.NumBuckets},
	report.ByPackets: {"Packets per flow distribution:", [2]string{
		"      1    2    4    8   12   16   20   24   28   32   36   40   44   48   52",
		"     60  100  200  300  400  500  600  700  800  900 >900"}, report.NumBuckets},
	report.ByOctets: {"Octets per flow distribution:", [2]string{
		"     32   64  128  256  512 1280 2048 2816 3584 4352 5120 5888 6656 7424 8192",
		"   8960 9728 10496 11264 12032 12800 13568 14336 15104 15872 >15872"}, 16},
	report.ByDuration: {"Flow time distribution:", [2]string{
		"    10    50  100  200  500 1000 2000 3000 4000 5000 6000 7000 8000 9000 10000",
		"  12000 14000 16000 18000 20000 22000 24000 26000 28000 30000 >30000"}, 13},
}

// binsPerLine is how many bins the first line has.
const binsPerLine = 15

// append appends the distribution.
//
// Compat: a share is shown without its first digit, so all of them is .000.
func (d *distribution) append(b []byte, counts *[report.NumBuckets]uint64, flows float32) []byte {
	b = append(append(b, d.title...), '\n')
	for i, n := range counts {
		if i%binsPerLine == 0 {
			if i > 0 {
				b = append(b, "\n\n"...)
			}
			b = append(append(b, d.lines[i/binsPerLine]...), "\n   "...)
		}
		share := strconv.AppendFloat(nil, float64(float32(n)/flows), 'f', 3, 64)
		b = append(append(b, share[1:]...), strings.Repeat(" ", 1+index(i >= d.wide))...)
	}
	return append(b, "\n\n"...)
}
