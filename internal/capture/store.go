package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"flowtools/internal/cdate"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// StoreConfig says where and how a Store keeps flows.
type StoreConfig struct {
	streamio.Output
	Path    func(name string) string // where a name relative to the work directory is
	Nesting int                      // levels of directories, ftfile.Dir
	Zone    *cdate.Zone              // of file names and rotation
	Files   int                      // a day, for Schedule
	Now     func() time.Time
}

// Store keeps flows in files of a work directory, one open at a time: its name
// begins with tmp- while it is open; when it is complete, its header is, and it
// is renamed to ft-. Completing happens behind the caller, in order. A Store
// belongs to one goroutine.
type Store struct {
	StoreConfig
	schedule Schedule
	open     *openFile // nil before Open
	end      time.Time // of the open file; zero is never
	opened   time.Time

	closing chan *openFile // to the goroutine that completes files
	done    chan struct{}  // a value after each file completed
	ended   chan struct{}
	drained sync.Once

	mu     sync.Mutex
	closed []Closed // completed and not taken yet
}

// openFile is a file from its creation to its renaming.
type openFile struct {
	tmp, name string // relative to the work directory
	file      *countingFile
	out       *ftfile.Writer
	header    *ftfile.Header
}

// countingFile counts what is written to it.
type countingFile struct {
	*os.File
	octets atomic.Int64
}

// Write is os.File.Write.
func (f *countingFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.octets.Add(int64(n))
	return n, err
}

// Closed is a file that was completed and renamed, or could not be.
type Closed struct {
	Name  string // relative to the work directory
	Start uint32 // capture start
	Size  int64
	Err   error
}

// closeQueue is how many files may wait to be completed before Rotate waits.
const closeQueue = 16

// NewStore returns a Store without an open file.
func NewStore(c StoreConfig) *Store {
	s := &Store{
		StoreConfig: c,
		schedule:    Schedule{Files: c.Files, Zone: c.Zone},
		closing:     make(chan *openFile, closeQueue),
		done:        make(chan struct{}, 1),
		ended:       make(chan struct{}),
	}
	go s.closer()
	return s
}

// local returns t in the zone of file names.
func (s *Store) local(t time.Time) time.Time {
	off, name, _ := s.Zone.Offset(t.Unix())
	return t.In(time.FixedZone(name, off))
}

// Open opens a file for records of version v. The error is MKDIR(D): REASON and
// the like.
func (s *Store) Open(v flow.Version) error {
	now := s.Now()
	f, err := s.create(v, now)
	if err != nil {
		return err
	}
	h := ftfile.NewHeader(v, 0)
	h.Start = uint32(now.Unix())
	h.Hostname = Hostname()
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt, ftfile.TagResets, ftfile.TagHostname)
	f.header = h
	if f.out, err = s.CreateOn(f.file, h); err != nil {
		f.file.Close()
		return err
	}
	s.open, s.opened = f, now
	s.end, _ = s.schedule.End(now)
	return nil
}

// create makes the file. Its name has the first second from now on that no
// other file has, open or complete.
func (s *Store) create(v flow.Version, now time.Time) (*openFile, error) {
	for t := s.local(now); ; t = t.Add(time.Second) {
		dir := ftfile.Dir(s.Nesting, t)
		if dir != "" {
			if err := os.MkdirAll(s.Path(dir), 0o755); err != nil {
				return nil, fmt.Errorf("mkdir(%s): %w", dir, ftfile.Reason(err))
			}
		}
		f := &openFile{
			tmp:  path.Join(dir, ftfile.Name(ftfile.PrefixOpen, v, t)),
			name: path.Join(dir, ftfile.Name(ftfile.PrefixDone, v, t)),
		}
		file, err := os.OpenFile(s.Path(f.tmp), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open(%s): %w", f.tmp, ftfile.Reason(err))
		}
		// Completing removes the tmp- name only after there is an ft- name.
		if _, err := os.Lstat(s.Path(f.name)); err == nil {
			file.Close()
			os.Remove(s.Path(f.tmp))
			continue
		}
		f.file = &countingFile{File: file}
		return f, nil
	}
}

// IsOpen reports whether there is an open file.
func (s *Store) IsOpen() bool { return s.open != nil }

// Opened returns when the open file was opened.
func (s *Store) Opened() time.Time { return s.opened }

// Octets returns how much of the open file has been written to disk.
func (s *Store) Octets() int64 {
	if s.open == nil {
		return 0
	}
	return s.open.file.octets.Load()
}

// Flows returns the number of flows in the open file.
func (s *Store) Flows() uint64 {
	if s.open == nil {
		return 0
	}
	return s.open.out.Flows()
}

// End returns when the open file is to be rotated; zero is never.
func (s *Store) End() time.Time { return s.end }

// Reschedule is called after the clock was set back: a file must not stay open
// until the clock is where it was.
func (s *Store) Reschedule() {
	if end, ok := s.schedule.End(s.Now()); ok && s.open != nil && end.Before(s.end) {
		s.end = end
	}
}

// Write adds flows to the open file.
func (s *Store) Write(b *flow.Batch) error { return s.open.out.Write(b) }

// Close hands the open file over to be completed with counts; Done and Take tell
// what becomes of it. There is then no open file.
func (s *Store) Close(c Counts) {
	f := s.open
	f.header.End = uint32(s.Now().Unix())
	f.header.Flows = uint32(f.out.Flows())
	f.header.Lost, f.header.Corrupt, f.header.Resets = c.Lost, c.Corrupt, c.Resets
	f.header.Flags |= ftfile.FlagDone
	s.open, s.end = nil, time.Time{}
	s.closing <- f
}

// Done receives a value when there is something to Take.
func (s *Store) Done() <-chan struct{} { return s.done }

// Take returns the files completed since the last call, in order.
func (s *Store) Take() []Closed {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.closed
	s.closed = nil
	return list
}

// Drain waits for the files still being completed and ends the Store. What
// became of them is still to Take.
func (s *Store) Drain() {
	s.drained.Do(func() { close(s.closing) })
	<-s.ended
}

// closer completes files.
func (s *Store) closer() {
	defer close(s.ended)
	for f := range s.closing {
		c := Closed{Name: f.name, Start: f.header.Start}
		c.Size, c.Err = s.complete(f)
		s.mu.Lock()
		s.closed = append(s.closed, c)
		s.mu.Unlock()
		select {
		case s.done <- struct{}{}:
		default:
		}
	}
}

func (s *Store) complete(f *openFile) (size int64, err error) {
	err = f.out.Finish(f.header)
	if info, failed := f.file.Stat(); failed == nil {
		size = info.Size()
	}
	if failed := f.file.Close(); err == nil && failed != nil {
		err = fmt.Errorf("close(%s): %w", f.tmp, ftfile.Reason(failed))
	}
	if err != nil {
		return size, err
	}
	if err := os.Rename(s.Path(f.tmp), s.Path(f.name)); err != nil {
		var link *os.LinkError
		if errors.As(err, &link) {
			err = link.Err
		}
		return size, fmt.Errorf("rename(%s,%s): %w", f.tmp, f.name, err)
	}
	return size, nil
}
