//go:build linux

package rig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// Audit is what the files of a work directory hold.
type Audit struct {
	Files   []File
	Others  []string // files with other names than those of captures
	Flows   uint64   // in all files
	Numbers map[Stream]*Numbers
	Altered uint64 // flows that are not what was sent

	// Of the headers of complete files.
	Lost, Corrupt, Resets uint64

	// Problems are in the way of using a file: a name that no capture has, a
	// header that cannot be read or says something else than the file holds, a
	// complete file that is damaged.
	Problems []string

	traffic *Traffic
	names   *regexp.Regexp
	last    Stream
	current *Numbers
}

// File is one capture file.
type File struct {
	Name   string // relative to the work directory
	Size   int64
	Flows  uint64
	Done   bool // complete, as its name and header say
	Header *ftfile.Header
	Damage error // why reading ended early, nil if it did not
}

// Stream names an engine of an exporter.
type Stream struct {
	Exporter uint32
	Engine   uint16 // type and id
}

// Stream returns the name of e in files.
func (e *Engine) Stream() Stream {
	s := Stream{Exporter: 127<<24 + 1, Engine: uint16(e.Type)<<8 | uint16(e.ID)}
	if e.Source.IsValid() {
		b := e.Source.As4()
		s.Exporter = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	}
	return s
}

// captureNames are the names of files of the versions in use.
const captureNames = `^(tmp|ft)-v(05|1005)\.\d{4}-\d\d-\d\d\.\d{6}[+-]\d{4}$`

// NewAudit returns an empty audit. Without traffic flows are only counted.
func NewAudit(t *Traffic) *Audit {
	return &Audit{Numbers: map[Stream]*Numbers{}, traffic: t, names: regexp.MustCompile(captureNames)}
}

// Inspect reads all files below dir.
func Inspect(dir string, t *Traffic) (*Audit, error) {
	a := NewAudit(t)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if base := filepath.Base(name); !ftfile.IsCapture(base) {
			a.Others = append(a.Others, name)
			return nil
		} else if !a.names.MatchString(base) {
			a.problem("%s is no name of a capture file", name)
		}
		f := File{Name: name}
		if err := a.read(dir, &f); err != nil {
			return err
		}
		a.Files = append(a.Files, f)
		return nil
	})
	a.finish()
	return a, err
}

func (a *Audit) problem(format string, args ...any) {
	a.Problems = append(a.Problems, fmt.Sprintf(format, args...))
}

func (a *Audit) read(dir string, f *File) error {
	file, err := os.Open(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	f.Size = info.Size()
	open := strings.HasPrefix(filepath.Base(f.Name), ftfile.PrefixOpen)
	r, err := ftfile.NewReader(file)
	if err != nil {
		if !open || f.Size > 0 {
			a.problem("%s: %v", f.Name, err)
		}
		return nil
	}
	defer r.Close()
	before := a.Flows
	a.Stream(r)
	f.Flows, f.Header, f.Damage = a.Flows-before, r.Header(), r.Err()
	f.Done = !open && f.Header.Flags&ftfile.FlagDone != 0
	if f.Damage != nil && !errors.As(f.Damage, new(*ftfile.Damage)) {
		return fmt.Errorf("%s: %w", f.Name, f.Damage)
	}
	switch {
	case open:
		return nil
	case !f.Done:
		a.problem("%s: its header says that it is not complete", f.Name)
	case f.Damage != nil:
		a.problem("%s: %v", f.Name, f.Damage)
	case uint64(f.Header.Flows) != f.Flows:
		a.problem("%s: %d flows, its header says %d", f.Name, f.Flows, f.Header.Flows)
	}
	a.Lost += uint64(f.Header.Lost)
	a.Corrupt += uint64(f.Header.Corrupt)
	a.Resets += uint64(f.Header.Resets)
	return nil
}

// Stream takes the flows of one stream into the audit, as far as it can be read.
func (a *Audit) Stream(r *ftfile.Reader) {
	for b := range r.Batches() {
		a.Flows += uint64(b.Len())
		if a.traffic == nil || b.Layout.Version != V5 {
			continue
		}
		for rec := range b.All() {
			a.flow(b.Layout, rec)
		}
	}
}

// ReadStream takes a stream of its own, such as a client gets, into the audit.
func (a *Audit) ReadStream(in io.Reader) error {
	r, err := ftfile.NewReader(in)
	if err != nil {
		return err
	}
	defer r.Close()
	a.Stream(r)
	a.finish()
	return r.Err()
}

// strangers are the addresses from which on sources are no exporters: their
// flows are counted and no more.
const strangers = 127<<24 + noise

// noise is the offset of strangers in 127.0.0.0/8.
const noise = 0x300000

func (a *Audit) flow(l *flow.Layout, r flow.Record) {
	s := Stream{
		Exporter: uint32(l.Uint(r, flow.ExAddr)),
		Engine:   uint16(l.Uint(r, flow.EngineType)<<8 | l.Uint(r, flow.EngineID)),
	}
	if s.Exporter >= strangers {
		return
	}
	if a.current == nil || s != a.last {
		if a.current = a.Numbers[s]; a.current == nil {
			a.current = &Numbers{}
			a.Numbers[s] = a.current
		}
		a.last = s
	}
	n, ok := a.traffic.Number(r)
	if !ok {
		a.Altered++
		return
	}
	a.current.add(n)
}

func (a *Audit) finish() {
	for _, n := range a.Numbers {
		n.merge()
	}
	slices.SortFunc(a.Files, func(x, y File) int { return strings.Compare(x.Name, y.Name) })
}

// Of returns the numbers of the flows of e that are there.
func (a *Audit) Of(e *Engine) *Numbers {
	if n := a.Numbers[e.Stream()]; n != nil {
		return n
	}
	return &Numbers{}
}

// Open returns how many files are not complete.
func (a *Audit) Open() int {
	n := 0
	for _, f := range a.Files {
		if !f.Done {
			n++
		}
	}
	return n
}

// Numbers is a set of flow numbers of one engine.
type Numbers struct {
	Count  uint64
	Double uint64 // how many came again
	runs   []span
}

// span is the numbers from from to below to.
type span struct{ from, to uint32 }

func (n *Numbers) add(v uint32) {
	n.Count++
	if i := len(n.runs) - 1; i >= 0 && n.runs[i].to == v {
		n.runs[i].to++
		return
	}
	n.runs = append(n.runs, span{v, v + 1})
}

// merge puts the runs in order and joins them.
func (n *Numbers) merge() {
	slices.SortFunc(n.runs, func(a, b span) int {
		if a.from != b.from {
			return int(int64(a.from) - int64(b.from))
		}
		return int(int64(a.to) - int64(b.to))
	})
	merged := n.runs[:0]
	for _, r := range n.runs {
		if i := len(merged) - 1; i >= 0 && r.from <= merged[i].to {
			last := &merged[i]
			n.Double += uint64(min(last.to, r.to) - r.from)
			last.to = max(last.to, r.to)
			continue
		}
		merged = append(merged, r)
	}
	n.runs = merged
}

// Missing returns how many of the numbers below end are not there.
func (n *Numbers) Missing(end uint32) uint64 {
	missing, at := uint64(0), uint32(0)
	for _, r := range n.runs {
		if r.from >= end {
			break
		}
		missing += uint64(r.from - at)
		at = r.to
	}
	if at < end {
		missing += uint64(end - at)
	}
	return missing
}

// Prefix returns how many numbers from 0 on are there without a gap, and whether
// that is all of them.
func (n *Numbers) Prefix() (end uint32, whole bool) {
	if len(n.runs) == 0 {
		return 0, true
	}
	if n.runs[0].from != 0 {
		return 0, false
	}
	return n.runs[0].to, len(n.runs) == 1
}

// Has reports whether a number is there.
func (n *Numbers) Has(v uint32) bool {
	for _, r := range n.runs {
		if v >= r.from && v < r.to {
			return true
		}
	}
	return false
}
