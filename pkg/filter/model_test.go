package filter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
)

// A model is a random filter file with what it means, put together line by line
// and evaluated without any of the machinery under test.
type model struct {
	text  strings.Builder
	prims []*modelPrim
	defs  []*modelDef
}

type modelPrim struct {
	name, typ string
	mask      uint64
	deflt     bool
	choose    string // which of the applying lines counts: "first", "last", "longest"
	lines     []modelLine
}

type modelLine struct {
	permit bool
	length int
	hit    func(v uint64, f float64) bool
}

func (p *modelPrim) permits(v uint64, f float64) bool {
	v &= p.mask
	answer, length, found := p.deflt, -1, false
	for _, ln := range p.lines {
		if !ln.hit(v, f) {
			continue
		}
		switch {
		case p.choose == "first" && found:
		case p.choose == "longest" && ln.length <= length:
		default:
			answer, length = ln.permit, ln.length
		}
		found = true
	}
	return answer
}

type modelDef struct {
	name   string
	groups [][]modelMatch
	invert bool
}

type modelMatch struct {
	subject string
	prim    *modelPrim
}

// typeOf says what the words of match lines take; the table of flow-nfilter.md.
var typeOf = map[string][]string{
	"src-as": {"as"}, "destination-as": {"as"}, "ip-protocol": {"ip-protocol"},
	"src-ip-addr-prefix-len": {"ip-address-prefix-len"}, "ip-destination-address-prefix-len": {"ip-address-prefix-len"},
	"ip-tos": {"ip-tos"}, "ip-marked-tos": {"ip-tos"}, "ip-tcp-flags": {"ip-tcp-flags"},
	"src-ip-port": {"ip-port"}, "ip-destination-port": {"ip-port"}, "input-interface": {"ifindex"}, "dst-ifindex": {"ifindex"},
	"engine-id": {"engine"}, "engine-type": {"engine"},
	"flows": {"counter"}, "octets": {"counter"}, "packets": {"counter"}, "extra-packets": {"counter"}, "duration": {"counter"},
	"start-time": {"time", "time-date"}, "end-time": {"time", "time-date"},
	"source-tag": {"tag", "tag-mask"}, "dst-tag": {"tag", "tag-mask"},
	"nexthop-ip-addr":        {"ip-address", "ip-address-mask", "ip-address-prefix"},
	"ip-shortcut-address":    {"ip-address", "ip-address-mask", "ip-address-prefix"},
	"src-ip-addr":            {"ip-address", "ip-address-mask", "ip-address-prefix"},
	"ip-destination-address": {"ip-address", "ip-address-mask", "ip-address-prefix"},
	"exporter-ip-addr":       {"ip-address", "ip-address-mask", "ip-address-prefix"},
	"bps":                    {"double"}, "pps": {"double"},
}

var fieldOf = map[string]flow.Field{
	"src-as": flow.SrcAS, "destination-as": flow.DstAS, "ip-protocol": flow.Prot,
	"src-ip-addr-prefix-len": flow.SrcMask, "ip-destination-address-prefix-len": flow.DstMask,
	"ip-tos": flow.ToS, "ip-marked-tos": flow.MarkedToS, "ip-tcp-flags": flow.TCPFlags,
	"src-ip-port": flow.SrcPort, "ip-destination-port": flow.DstPort, "input-interface": flow.Input, "dst-ifindex": flow.Output,
	"engine-id": flow.EngineID, "engine-type": flow.EngineType,
	"flows": flow.DFlows, "octets": flow.DOctets, "packets": flow.DPkts, "extra-packets": flow.ExtraPkts,
	"source-tag": flow.SrcTag, "dst-tag": flow.DstTag,
	"nexthop-ip-addr": flow.NextHop, "ip-shortcut-address": flow.RouterSC, "src-ip-addr": flow.SrcAddr,
	"ip-destination-address": flow.DstAddr, "exporter-ip-addr": flow.ExAddr,
}

// value is what a primitive of type typ gets to see of a record. Local time is
// four hours behind UTC.
func value(l *flow.Layout, r flow.Record, subject, typ string) (uint64, float64) {
	ms := (l.Uint(r, flow.Last) - l.Uint(r, flow.First)) & 0xffffffff
	clock := func(f flow.Field) uint64 {
		sec := (l.Uint(r, flow.UnixSecs)*1000 + l.Uint(r, flow.UnixNsecs)/1000000 - l.Uint(r, flow.SysUptime) + l.Uint(r, f)) / 1000 & 0xffffffff
		if typ == "time" {
			return (sec + 86400 - 4*3600) % 86400
		}
		return sec
	}
	switch subject {
	case "duration":
		return ms, 0
	case "start-time":
		return clock(flow.First), 0
	case "end-time":
		return clock(flow.Last), 0
	case "bps", "pps":
		n := float64(l.Uint(r, flow.DPkts))
		if subject == "bps" {
			n = float64(l.Uint(r, flow.DOctets) * 8)
		}
		if ms == 0 {
			return 0, 0
		}
		return 0, n / (float64(ms) / 1000.0)
	}
	return l.Uint(r, fieldOf[subject]), 0
}

func (d *modelDef) permits(l *flow.Layout, r flow.Record) bool {
	answer := false
	for _, g := range d.groups {
		all := len(g) > 0
		for _, m := range g {
			v, f := value(l, r, m.subject, m.prim.typ)
			all = all && m.prim.permits(v, f)
		}
		answer = answer || all
	}
	return answer != d.invert
}

// Values near each other, so that random lines and records meet.
var pool = []uint64{0, 1, 2, 6, 7, 8, 17, 24, 31, 32, 33, 80, 254, 255}

var addrs = []uint32{0, 0x0a000001, 0x0a000002, 0x0a010203, 0x80920001, 0xe0000001, 0xffffffff}

func pick[T any](rnd *rand.Rand, from []T) T { return from[rnd.IntN(len(from))] }

func dotted(a uint32) string { return fmt.Sprintf("%d.%d.%d.%d", a>>24, a>>16&255, a>>8&255, a&255) }

var comparisons = map[string]func(order int) bool{
	"lt": func(o int) bool { return o < 0 }, "gt": func(o int) bool { return o > 0 }, "eq": func(o int) bool { return o == 0 },
	"ne": func(o int) bool { return o != 0 }, "ge": func(o int) bool { return o >= 0 }, "le": func(o int) bool { return o <= 0 },
}

func order[T int64 | uint64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// line makes a permit or deny line of a primitive.
func (p *modelPrim) line(rnd *rand.Rand) (text string) {
	ln := modelLine{permit: rnd.IntN(2) == 0}
	action := "deny"
	if ln.permit {
		action = "permit"
	}
	op := pick(rnd, []string{"lt", "gt", "eq", "ne", "ge", "le"})
	switch p.typ {
	case "ip-address":
		a := pick(rnd, addrs)
		ln.hit = func(v uint64, _ float64) bool { return v == uint64(a) }
		text = dotted(a)
	case "ip-address-mask":
		a, m := pick(rnd, addrs), pick(rnd, []uint32{0, 0xff, 0xff000000, 0xffffff00, 0xffffffff})
		ln.hit = func(v uint64, _ float64) bool { return uint32(v)&m == a }
		text = dotted(a) + " " + dotted(m)
	case "ip-address-prefix":
		n := rnd.IntN(33)
		a := pick(rnd, addrs) &^ uint32(1<<(32-n)-1)
		for _, other := range p.lines { // the first of equal ones stays
			if other.length == n && other.hit(uint64(a), 0) {
				n = -1
			}
		}
		ln.length = n
		ln.hit = func(v uint64, _ float64) bool { return n >= 0 && (v^uint64(a))>>(32-n) == 0 }
		if n < 0 {
			return ""
		}
		text = fmt.Sprintf("%s/%d", dotted(a), n)
	case "tag":
		t := pick(rnd, pool)
		ln.hit = func(v uint64, _ float64) bool { return v == t }
		text = fmt.Sprintf("%#x", t)
	case "tag-mask":
		t, m := pick(rnd, pool), pick(rnd, []uint64{0, 1, 0x7, 0xff, 0xffffffff})
		ln.hit = func(v uint64, _ float64) bool { return v&m == t }
		text = fmt.Sprintf("%d %#x", t, m)
	case "counter":
		n := pick(rnd, pool)
		ln.hit = func(v uint64, _ float64) bool { return comparisons[op](order(v, n)) }
		text = fmt.Sprintf("%s %d", op, n)
	case "double":
		n := pick(rnd, []float64{0, 0.5, 8, 1000, 1e6})
		ln.hit = func(_ uint64, f float64) bool { return comparisons[op](order(f, n)) }
		text = fmt.Sprintf("%s %g", op, n)
	case "time":
		h, m, s := rnd.IntN(26)-1, rnd.IntN(61), rnd.IntN(60)
		t := int64(3600*h + 60*m + s)
		ln.hit = func(v uint64, _ float64) bool { return comparisons[op](order(int64(v), t)) }
		text = fmt.Sprintf("%s %d:%d:%d", op, h, m, s)
	case "time-date":
		t := uint64(rnd.IntN(1 << 30))
		ln.hit = func(v uint64, _ float64) bool { return comparisons[op](order(v, t)) }
		days := int(t / 86400)
		text = fmt.Sprintf("%s 1970-01-01 %d:%d:%d gmt +%d days", op, t/3600%24, t/60%60, t%60, days)
	default: // lists of numbers
		var spans [][2]uint64
		limit := uint64(255)
		if p.typ == "ip-address-prefix-len" {
			limit = 32
		}
		var words []string
		for range 1 + rnd.IntN(3) {
			a, b := min(pick(rnd, pool), limit), min(pick(rnd, pool), limit)
			if rnd.IntN(2) == 0 {
				words = append(words, fmt.Sprint(a))
				b = a
			} else {
				words = append(words, fmt.Sprintf("%d-%d", a, b))
			}
			spans = append(spans, [2]uint64{a, max(a, b)})
		}
		ln.hit = func(v uint64, _ float64) bool {
			for _, s := range spans {
				if s[0] <= v && v <= s[1] {
					return true
				}
			}
			return false
		}
		text = strings.Join(words, ",")
		if rnd.IntN(5) == 0 {
			text = "!" + text
			ln.permit = !ln.permit
		}
	}
	p.lines = append(p.lines, ln)
	return action + " " + text
}

func (m *model) primitive(rnd *rand.Rand, typ string) *modelPrim {
	p := &modelPrim{name: fmt.Sprintf("p%d", len(m.prims)), typ: typ, mask: 1<<64 - 1, choose: "last"}
	switch typ {
	case "ip-address-mask", "tag-mask", "counter", "double", "time", "time-date":
		p.choose = "first"
	case "ip-address-prefix":
		p.choose = "longest"
	}
	fmt.Fprintf(&m.text, "filter-primitive %s\n type %s\n", p.name, typ)
	for range rnd.IntN(12) {
		if ln := p.line(rnd); ln != "" {
			fmt.Fprintf(&m.text, " %s\n", ln)
		}
	}
	if p.deflt = rnd.IntN(3) == 0; p.deflt {
		m.text.WriteString(" default permit\n")
	}
	if (typ == "ip-tos" || typ == "ip-tcp-flags") && rnd.IntN(2) == 0 {
		p.mask = pick(rnd, pool)
		fmt.Fprintf(&m.text, " mask %d\n", p.mask)
	}
	m.prims = append(m.prims, p)
	return p
}

// definition makes a definition that matches subjects, and its primitives.
func (m *model) definition(rnd *rand.Rand, subjects []string) {
	d := &modelDef{name: fmt.Sprintf("d%d", len(m.defs)), groups: [][]modelMatch{nil}}
	var lines []string
	for range rnd.IntN(7) {
		switch rnd.IntN(8) {
		case 0, 1:
			lines = append(lines, "or")
			d.groups = append(d.groups, nil)
		case 2:
			lines = append(lines, "invert")
			d.invert = true
		default:
			s := pick(rnd, subjects)
			p := m.primitive(rnd, pick(rnd, typeOf[s]))
			lines = append(lines, "match "+s+" "+p.name)
			last := len(d.groups) - 1
			d.groups[last] = append(d.groups[last], modelMatch{s, p})
		}
	}
	fmt.Fprintf(&m.text, "filter-definition %s\n %s\n", d.name, strings.Join(lines, "\n "))
	m.defs = append(m.defs, d)
}

// near sets the fields of random records to values that the lines talk about.
func near(rnd *rand.Rand, b *flow.Batch) {
	l := b.Layout
	for r := range b.All() {
		for f := range l.Fields.All() {
			switch {
			case rnd.IntN(4) == 0:
			case f.Info().Kind == flow.Addr:
				l.PutUint(r, f, uint64(pick(rnd, addrs)))
			case f.Info().Kind == flow.Time && f != flow.First && f != flow.Last:
				l.PutUint(r, f, rnd.Uint64N(1<<30))
			default:
				l.PutUint(r, f, pick(rnd, pool))
			}
		}
	}
}

// Compiled definitions decide as their text read plainly does: every layout,
// every criterion it has fields for, random files and records.
func TestAgainstModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	env := func(name string) (string, bool) { return "XYZ4", name == "TZ" }
	passed, total := 0, 0
	for _, v := range flow.Versions() {
		l := flowtest.Layout(v.Export, v.Agg)
		b := flowtest.Random(l, 60, 3)
		near(rnd, b)
		var subjects []string
		for s := range typeOf {
			if f, ok := fieldOf[s]; !ok || l.Fields.Has(f) {
				subjects = append(subjects, s)
			}
		}
		slices.Sort(subjects)
		for range 40 {
			var m model
			for range 3 {
				m.definition(rnd, subjects)
			}
			file, err := Parse("model", []byte(m.text.String()), Options{LookupEnv: env})
			if err != nil {
				t.Fatalf("%v\n%s", err, m.text.String())
			}
			for _, d := range m.defs {
				def, err := file.Definition(d.name)
				if err != nil {
					t.Fatal(err)
				}
				if missing := l.Missing(def.Needs()); missing != 0 {
					t.Fatalf("version %v: needs %v\n%s", v, missing, m.text.String())
				}
				pass := def.Compile(l)
				for r := range b.All() {
					got, want := pass(r), d.permits(l, r)
					if got != want {
						t.Fatalf("version %v, definition %s: %v, want %v\nrecord %x\n%s", v, d.name, got, want, r, m.text.String())
					}
					total++
					if got {
						passed++
					}
				}
			}
		}
	}
	if passed*10 < total || passed*10 > total*9 {
		t.Errorf("%d of %d records pass: the test does not discriminate", passed, total)
	}
}
