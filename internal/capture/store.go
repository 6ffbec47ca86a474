package capture

import (
	"math"
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
	Path     func(name string) string // where a name relative to the work directory is
	Nesting  int                      // levels of directories, ftfile.Dir
	Zone     *cdate.Zone              // of file names and rotation
	Files    int                      // a day, for Schedule
	Sync     time.Duration            // how old flows may get that a crash can lose; 0 leaves it to chance
	Now      func() time.Time
	Warn     func(format string, args ...any)
	Announce func(name string) // called before a file gets its final name, by other goroutines; may be nil
}

// Store keeps flows in files of a work directory, one open at a time: its name
// begins with tmp- while it is open; when it is complete, its header is, and it
// is renamed to ft-. A Store belongs to one goroutine, which never waits for the
// disk: others create, write and complete the files.
//
// A disk that takes nothing loses nothing but what exceeds the memory there is
// for waiting flows, and it never ends the program: what can be tried again is,
// for as long as it takes. A file that cannot be written any more for another
// reason than a full disk is completed as it is, if possible, and another one
// opened.
type Store struct {
	StoreConfig
	schedule Schedule
	open     *openFile // nil before Open
	end      time.Time // of the open file; zero is never
	ever     bool      // there was a file
	block    []byte    // records of the open file that were not handed over
	layout   *flow.Layout

	dirty     bool        // there are flows that no Sync has covered
	syncTimer *time.Timer // nil without Sync

	disk    disk
	drained sync.Once
}

// openFile is a file from the wish for it to its renaming.
type openFile struct {
	layout *flow.Layout
	opened time.Time
	header *ftfile.Header
	flows  uint64       // accepted
	lost   uint64       // not accepted, since too many were waiting
	octets atomic.Int64 // on disk

	// The rest belongs to the goroutine that writes, and then the one that
	// completes.
	tmp  string // relative to the work directory
	file *diskFile
	out  *ftfile.Writer // nil when the file could not be made or kept
	gone uint64         // flows lost on the way to the disk
}

// Closed is a file that was completed and renamed, or could not be.
type Closed struct {
	Name      string // relative to the work directory; the open file's when it could not be renamed
	Start     uint32 // capture start
	Size      int64
	Flows     uint64
	Recovered bool // it was left behind by another run
	Err       error
}

// StoreStats counts what became of flows and files.
type StoreStats struct {
	Lost       uint64 // flows that the disk did not take
	Waiting    int64  // octets of flows that wait for the disk, roughly
	Failing    bool   // the disk takes nothing, or too little
	Files      uint64 // completed
	Recovered  uint64 // of another run, completed
	SyncErrors uint64
}

// Sizes of what lies between flows and the disk, in octets.
const (
	blockSize = 256 << 10
	backlog   = 128 << 20 // flows that may wait
)

// NewStore returns a Store without an open file. Drain ends it.
func NewStore(c StoreConfig) *Store {
	s := &Store{StoreConfig: c, schedule: Schedule{Files: c.Files, Zone: c.Zone}}
	if c.Sync > 0 {
		s.syncTimer = time.NewTimer(time.Hour)
		s.syncTimer.Stop()
	}
	s.disk.start(&s.StoreConfig)
	return s
}

// Open opens a file for records of version v. The first one is waited for, and
// unless the disk is full a failure is an error, which reads mkdir(D): REASON and
// the like. What happens to later ones is told by Take.
func (s *Store) Open(v flow.Version) error {
	l, err := flow.LayoutOf(v)
	if err != nil {
		return err
	}
	now := s.Now()
	f := &openFile{layout: l, opened: now}
	j := job{file: f, kind: jobOpen}
	if !s.ever {
		j.result = make(chan error, 1)
	}
	s.disk.opening.Add(1)
	s.disk.jobs.put(j)
	if j.result != nil {
		if err := <-j.result; err != nil {
			return err
		}
	}
	s.open, s.ever, s.layout = f, true, l
	s.end, _ = s.schedule.End(now)
	return nil
}

// IsOpen reports whether there is an open file.
func (s *Store) IsOpen() bool { return s.open != nil }

// IsBehind reports whether so many files wait to be made that the open one should
// not be closed without need.
func (s *Store) IsBehind() bool { return s.disk.opening.Load() >= makeQueue }

// Opened returns when the open file was opened.
func (s *Store) Opened() time.Time { return s.open.opened }

// Octets returns how much of the open file has been written to disk.
func (s *Store) Octets() int64 {
	if s.open == nil {
		return 0
	}
	return s.open.octets.Load()
}

// Flows returns the number of flows in the open file, or on their way there.
func (s *Store) Flows() uint64 {
	if s.open == nil {
		return 0
	}
	return s.open.flows
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
func (s *Store) Write(b *flow.Batch) {
	records := b.Bytes()
	for len(records) > 0 {
		if s.block == nil {
			if s.block = s.disk.jobs.block(s.layout.Size); s.block == nil {
				n := uint64(len(records) / s.layout.Size)
				s.open.lost += n
				s.disk.overrun(n)
				return
			}
		}
		n := min(cap(s.block)-len(s.block), len(records))
		s.block = append(s.block, records[:n]...)
		s.open.flows += uint64(n / s.layout.Size)
		records = records[n:]
		if len(s.block) == cap(s.block) {
			s.push()
		}
	}
	if !s.dirty && s.syncTimer != nil {
		s.dirty = true
		// A little early: it takes its time, and what is older than Sync has to be safe.
		s.syncTimer.Reset(s.Sync - min(s.Sync/2, time.Second))
	}
}

// push hands over the block being filled.
func (s *Store) push() {
	if s.block != nil {
		s.disk.jobs.put(job{kind: jobWrite, file: s.open, block: s.block})
		s.block = nil
	}
}

// Tick is called about every second: flows do not wait for a full block longer
// than that, and what has to be said about the disk is.
func (s *Store) Tick() {
	if s.disk.jobs.idle() {
		s.push()
	}
	s.disk.report(false)
}

// SyncDue receives a value when it is time for SyncNow.
func (s *Store) SyncDue() <-chan time.Time {
	if s.syncTimer == nil {
		return nil
	}
	return s.syncTimer.C
}

// SyncNow makes all flows so far safe, behind the caller.
func (s *Store) SyncNow() {
	s.dirty = false
	if s.open == nil {
		return
	}
	if !s.disk.syncing.CompareAndSwap(false, true) {
		s.dirty = true // the last one is not done yet
		s.syncTimer.Reset(s.Sync / 4)
		return
	}
	s.push()
	s.disk.jobs.put(job{kind: jobSync, file: s.open})
}

// Close hands the open file over to be completed with counts; Done and Take tell
// what becomes of it. There is then no open file.
func (s *Store) Close(c Counts) {
	s.push()
	f := s.open
	s.disk.jobs.put(job{kind: jobClose, file: f, closing: closing{c, f.lost, s.Now()}})
	s.open, s.end, s.dirty = nil, time.Time{}, false
}

// Recover completes files that Leftovers has found, behind the caller; Done and
// Take tell what becomes of them. settled is called when all that could be done
// is.
func (s *Store) Recover(leftovers []string, settled func()) {
	s.disk.background.Go(func() { s.disk.recover(leftovers, settled) })
}

// Background runs f, which may wait for the disk, beside everything else. Drain
// waits for it.
func (s *Store) Background(f func()) { s.disk.background.Go(f) }

// Done receives a value when there is something to Take.
func (s *Store) Done() <-chan struct{} { return s.disk.done }

// Take returns the files completed since the last call, in order.
func (s *Store) Take() []Closed { return s.disk.take() }

// Drain waits for the files still being completed and ends the Store; a disk
// that takes nothing is not waited for for long. What became of the files is
// still to Take. A file that is still open stays as it is.
func (s *Store) Drain() {
	s.drained.Do(func() {
		if s.open != nil {
			s.push()
		}
		s.disk.end()
	})
}

// Stats counts flows and files; it is safe for concurrent use.
func (s *Store) Stats() StoreStats { return s.disk.stats() }

// add adds to a counter of a header, which does not wrap.
func add(p *uint32, n uint64) { *p = uint32(min(uint64(*p)+n, math.MaxUint32)) }
