package report

import (
	"bufio"
	"fmt"
	"sync"

	"flowtools/internal/cli"
	"flowtools/internal/clib/resolve"
	"flowtools/internal/report/sheet"
	"flowtools/internal/sym"
	"flowtools/pkg/filter"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
	engine "flowtools/pkg/report"
)

// Run makes the reports of a definition of one stream.
type Run struct {
	env    *cli.Env
	def    *Definition
	header *ftfile.Header
	out    *bufio.Writer // standard output
	sheets *sheet.Writer // nil: text, wherever the outputs say

	in      *flow.Layout // of the stream
	layout  *flow.Layout // of the records that are counted
	convert *flow.Plan   // between them, nil where they are the same
	changed *flow.Batch  // converted records
	mask    func(flow.Record)
	tag     func(flow.Record)
	filter  func(flow.Record) bool
	reports []*making

	part     flow.Batch // the part of a batch that belongs to an interval
	start    uint32     // of the interval; 0: none yet
	interval int

	symbols map[string]*sym.Table
	hosts   map[uint32]string // names of addresses, "" for none
}

// making is a report in the making.
type making struct {
	*engine.Report
	conf     *Report
	rates    bool   // kept
	index    uint64 // of the next line
	backward bool   // how the last sorted output was walked
}

// New prepares the reports of d of a stream with header h, whose records have
// layout l. The error says which fields the stream lacks. With a form, which may
// be nil, every output is a sheet on standard output.
func (d *Definition) New(env *cli.Env, h *ftfile.Header, l *flow.Layout, form *sheet.Form) (*Run, error) {
	r := &Run{
		env: env, def: d, header: h, in: l, layout: l, out: bufio.NewWriterSize(deaf{env.Stdout}, 64<<10),
		symbols: map[string]*sym.Table{}, hosts: map[uint32]string{},
	}
	if form != nil {
		r.sheets = form.Writer(r.out, env.Zone())
	}
	offered := l.Fields
	if d.Tag != nil {
		offered |= flow.Fields(flow.SrcTag, flow.DstTag)
		if err := r.tagged(); err != nil {
			return nil, err
		}
		r.tag = d.Tag.Compile(r.layout)
	}
	if d.Mask != nil {
		r.mask = d.Mask.Compile(l)
	}
	if d.Filter != nil {
		r.filter = d.Filter.Compile(r.layout)
	}
	for _, conf := range d.Reports {
		if conf.Type == nil {
			return nil, fmt.Errorf("stat-report %q has no type.", conf.Name)
		}
		if missing := conf.Type.Needs(&conf.Engine) &^ offered; missing != 0 {
			return nil, fmt.Errorf("Flow record missing required field for report %q: version %v has no %v.", conf.Name, l.Version, missing)
		}
		m := &making{conf: conf, rates: conf.rates()}
		o := conf.Engine
		o.Rates = m.rates
		o.Filter = pass(conf.Filter, r.layout)
		var err error
		if m.Report, err = engine.New(conf.Type, r.layout, o); err != nil {
			return nil, err
		}
		r.reports = append(r.reports, m)
	}
	return r, nil
}

func pass(d *filter.Definition, l *flow.Layout) func(flow.Record) bool {
	if d == nil {
		return nil
	}
	return d.Compile(l)
}

// tagged makes the records that are counted have tags.
func (r *Run) tagged() error {
	if r.in.Fields.Has(flow.SrcTag) {
		return nil
	}
	if r.in.Version.Export == 8 {
		return fmt.Errorf("Records of version %v cannot be tagged.", r.in.Version)
	}
	l, err := flow.LayoutOf(flow.Version{Export: 1005})
	if err != nil {
		return err
	}
	r.layout, r.changed = l, flow.NewBatch(l)
	r.convert = flow.NewPlan(l, r.in, 0)
	return nil
}

// rates reports whether an output shows a rate or sorts by one.
func (conf *Report) rates() bool {
	for _, o := range conf.Outputs {
		if o.Fields&engine.Rates() != 0 || o.Sort.Set && o.Sort.Column.Float() {
			return true
		}
	}
	return false
}

// Add counts the records of b, which it may change. With a time series it may
// write outputs; an error of those is final.
func (r *Run) Add(b *flow.Batch) error {
	if r.def.Series == 0 {
		return r.count(b)
	}
	l, records := r.in, b.Bytes()
	from := 0
	for at := 0; at < len(records); at += l.Size {
		now := uint32(l.Uint(flow.Record(records[at:at+l.Size]), flow.UnixSecs))
		if r.start == 0 {
			r.start = now
		}
		if now <= r.start || now-r.start <= r.def.Series {
			continue
		}
		if err := r.countPart(records[from:at]); err != nil {
			return err
		}
		from = at
		if err := r.writeAll(); err != nil {
			return err
		}
		if err := r.out.Flush(); err != nil { // the stream may be a live one
			return err
		}
		for _, m := range r.reports {
			m.Reset()
			m.backward = false
		}
		r.interval++
		r.start = now
	}
	return r.countPart(records[from:])
}

func (r *Run) countPart(records []byte) error {
	r.part.Layout = r.in
	r.part.SetBytes(records)
	return r.count(&r.part)
}

// count runs records through mask, tag, filter and reports.
func (r *Run) count(b *flow.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	if r.mask != nil {
		for rec := range b.All() {
			r.mask(rec)
		}
	}
	if r.convert != nil {
		r.changed.Reset()
		r.convert.Run(r.changed.Extend(b.Len()), b.Bytes(), b.Len(), nil)
		b = r.changed
	}
	if r.tag != nil {
		for rec := range b.All() {
			r.tag(rec)
		}
	}
	if r.filter != nil {
		b.Keep(r.filter)
	}
	for _, m := range r.reports {
		m.Add(b)
		if err := m.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Finish writes the outputs of the last interval and what is left of standard
// output. It has to be called behind an error of Add, too; it writes no
// outputs then.
func (r *Run) Finish(failed error) error {
	err := failed
	if err == nil {
		err = r.writeAll()
	}
	if err == nil && r.sheets != nil {
		err = r.sheets.Close()
	}
	if flushed := r.out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// writeAll writes all outputs of the interval.
func (r *Run) writeAll() error {
	for _, m := range r.reports {
		for _, o := range m.conf.Outputs {
			if err := r.write(m, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Run) write(m *making, o *Output) error {
	if r.sheets != nil {
		return r.writeSheet(m, o)
	}
	t := m.Totals()
	path := ""
	if o.HasPath {
		path = r.env.Zone().Strftime(o.Path, o.Time.instant(t.First, t.Last, r.env.Now()))
		if path == "" {
			return fmt.Errorf("The path of an output of report %q is empty.", m.conf.Name)
		}
	}
	d, err := r.open(path)
	if err != nil {
		return err
	}
	w := newText(r, m, o, d.w)
	err = w.write()
	if closed := d.close(); err == nil {
		err = closed
	}
	return err
}

// symbol returns the name of a value in a symbol table.
func (r *Run) symbol(table string, v uint64) (string, bool) {
	t, ok := r.symbols[table]
	if !ok {
		t = r.env.Symbols(table + ".sym")
		r.symbols[table] = t
	}
	if v>>32 != 0 {
		return "", false
	}
	return t.Name(uint32(v))
}

// lookups is how many host names are asked for at a time.
const lookups = 16

// findHosts asks for the names of addresses that are not known yet. A dead name
// server then costs its patience once for each sixteen of them.
func (r *Run) findHosts(addrs map[uint32]bool) {
	queue := make(chan uint32)
	var lock sync.Mutex
	var workers sync.WaitGroup
	for range min(lookups, len(addrs)) {
		workers.Go(func() {
			for addr := range queue {
				name, _ := resolve.Name(addr)
				lock.Lock()
				r.hosts[addr] = name
				lock.Unlock()
			}
		})
	}
	for addr := range addrs {
		queue <- addr
	}
	close(queue)
	workers.Wait()
}
