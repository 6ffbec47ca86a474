package filter

import (
	"strings"
	"sync"

	"flowtools/internal/clib"
	"flowtools/pkg/flow"
)

// kinds is a set of the kinds of values that primitives test and criteria have.
type kinds uint32

// The kinds: those of the fields, and of what is derived from several.
const (
	instant kinds = 1 << (32 - 1 - iota) // seconds since 1970
	ratio                                // a real number
	chance                               // nothing of the record
)

func kindOf(k flow.Kind) kinds { return 1 << k }

// subject is what a match line names: a field, or a value derived from several.
type subject struct {
	names   []string
	kind    kinds
	needs   flow.FieldSet
	field   flow.Field // when derived and real are nil
	derived func(l *flow.Layout, r flow.Record) uint64
	real    func(l *flow.Layout, r flow.Record) float64
}

// derivedSubjects are the criteria that are no fields of the registry.
var derivedSubjects = []subject{
	{names: []string{"duration"}, kind: kindOf(flow.Count), needs: span,
		derived: func(l *flow.Layout, r flow.Record) uint64 { return uint64(l.Duration(r)) }},
	{names: []string{"start-time"}, kind: instant, needs: flow.TimeFields | flow.First.Set(),
		derived: func(l *flow.Layout, r flow.Record) uint64 { return uint64(flow.Seconds(l.Millis(r, flow.First))) }},
	{names: []string{"end-time"}, kind: instant, needs: flow.TimeFields | flow.Last.Set(),
		derived: func(l *flow.Layout, r flow.Record) uint64 { return uint64(flow.Seconds(l.Millis(r, flow.Last))) }},
	{names: []string{"bps"}, kind: ratio, needs: span | flow.DOctets.Set(),
		real: func(l *flow.Layout, r flow.Record) float64 { return perSecond(l, r, l.Uint(r, flow.DOctets)*8) }},
	{names: []string{"pps"}, kind: ratio, needs: span | flow.DPkts.Set(),
		real: func(l *flow.Layout, r flow.Record) float64 { return perSecond(l, r, l.Uint(r, flow.DPkts)) }},
	{names: []string{"random-sample"}, kind: chance},
}

var span = flow.Fields(flow.First, flow.Last)

// perSecond is n by the duration of r in seconds, 0 when it has none.
func perSecond(l *flow.Layout, r flow.Record, n uint64) float64 {
	ms := l.Duration(r)
	if ms == 0 {
		return 0
	}
	return float64(n) / (float64(ms) / 1000)
}

// subjects holds the criteria by name: the fields with match words in the
// registry, then the derived ones.
var subjects = sync.OnceValue(func() map[string]*subject {
	m := map[string]*subject{}
	for f := range flow.AllFields() {
		info := f.Info()
		s := &subject{kind: kindOf(info.Kind), needs: f.Set(), field: f}
		for _, name := range []string{info.Match, info.Long} {
			if name != "" {
				s.names = append(s.names, name)
				m[name] = s
			}
		}
	}
	for i := range derivedSubjects {
		s := &derivedSubjects[i]
		m[s.names[0]] = s
	}
	return m
})

func subjectNamed(name string) (*subject, bool) {
	s, ok := subjects()[name]
	return s, ok
}

// subjectNames lists the first names of the criteria for messages.
func subjectNames() string {
	var names []string
	for f := range flow.AllFields() {
		if name := f.Info().Match; name != "" {
			names = append(names, name)
		}
	}
	for i := range derivedSubjects {
		names = append(names, derivedSubjects[i].names[0])
	}
	return strings.Join(names, ", ")
}

func typeNamed(name string) (*primitiveType, bool) {
	for i := range types {
		if clib.EqualFold(types[i].name, name) {
			return &types[i], true
		}
	}
	return nil, false
}

// typeNames lists the types for messages.
func typeNames() string { return fitting(^kinds(0)) }

// fitting lists the types that fit a kind of values.
func fitting(k kinds) string {
	var names []string
	for i := range types {
		if types[i].fits&k != 0 {
			names = append(names, types[i].name)
		}
	}
	return strings.Join(names, ", ")
}
