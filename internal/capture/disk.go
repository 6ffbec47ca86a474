package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// How often and how long something is tried again.
const (
	retryDelay   = time.Second      // a full disk, a file that cannot be made
	retryLongest = time.Minute      // a disk on which file after file fails
	endPatience  = 10 * time.Second // at the end of the program
	quietTime    = 3 * time.Second  // without failures until a disk is well again
	repeatTime   = time.Minute      // between messages about one that is not
)

// makeQueue is how many files may wait to be made before another one is not worth
// it.
const makeQueue = 16

// closeQueue is how many files may wait to be completed before the next one does.
const closeQueue = 16

// disk is the half of a Store that may have to wait: the goroutine that creates
// and writes files, the one that completes them, and others that come and go.
type disk struct {
	*StoreConfig
	jobs    jobs
	syncing atomic.Bool  // a jobSync is under way
	opening atomic.Int32 // jobOpens waiting or under way
	closer  chan func()  // to the goroutine that completes files

	// Of the goroutine that writes.
	batch flow.Batch
	delay time.Duration // before the next file, when one was broken
	taken span          // seconds that have a file
	carry closing       // of intervals that have no file

	stop       chan struct{} // the end has begun
	over       chan struct{} // and there is no more patience
	ended      sync.WaitGroup
	background sync.WaitGroup // waited for after those of ended

	done   chan struct{} // a value when something was completed
	mu     sync.Mutex
	closed []Closed // completed and not taken yet

	trouble trouble
	counts  struct{ lost, files, recovered, syncErrors atomic.Uint64 }

	// What tests put something else in place of.
	writeAt func(f *os.File, p []byte, off int64) (int, error)
	fsync   func(f *os.File) error
}

// span is a run of seconds, from the first to before the last.
type span struct{ from, to time.Time }

// start starts the goroutines.
func (d *disk) start(c *StoreConfig) {
	d.StoreConfig = c
	d.jobs.init()
	d.closer = make(chan func(), closeQueue)
	d.stop, d.over, d.done = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	d.writeAt, d.fsync = (*os.File).WriteAt, (*os.File).Sync
	d.ended.Go(d.run)
	d.ended.Go(func() {
		for complete := range d.closer {
			complete()
		}
	})
}

// end ends the goroutines when they have done everything, or waited for too long.
func (d *disk) end() {
	close(d.stop)
	d.jobs.close()
	patience := time.AfterFunc(endPatience, func() { close(d.over) })
	defer patience.Stop()
	d.ended.Wait()
	d.background.Wait()
	d.report(true)
}

// run is the body of the goroutine that writes.
func (d *disk) run() {
	defer close(d.closer)
	var open *openFile
	for j, ok := d.jobs.next(); ok; j, ok = d.jobs.next() {
		switch j.kind {
		case jobOpen:
			open = j.file
			d.open(j.file, j.file.opened, j.result)
			d.opening.Add(-1)
		case jobWrite:
			d.write(j.file, j.block)
			d.jobs.release(j.block)
		case jobSync:
			d.sync(j.file)
		case jobClose:
			open = nil
			d.close(j)
		}
	}
	if open != nil && open.out != nil { // the program fails: what is there stays, for the next one
		_ = open.out.Sync()
		open.out.Abort()
		open.file.Close()
	}
}

// noRoom reports whether a failure goes away by itself when there is room.
func noRoom(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// wait waits before something is tried again; false when it is not worth it.
func (d *disk) wait(delay time.Duration) bool {
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-d.over:
		return false
	}
}

// open makes the file, however long it takes. result gets the first failure,
// which is then the last if it is not for want of room.
func (d *disk) open(f *openFile, now time.Time, result chan<- error) {
	for {
		err := d.create(f, now)
		if result != nil {
			if noRoom(err) {
				result <- nil
			} else {
				result <- err
				if err != nil {
					return
				}
			}
			result = nil
		}
		if err == nil {
			return
		}
		d.failed(err)
		if !noRoom(err) && d.jobs.superseded(f) || !d.wait(retryDelay) {
			return
		}
	}
}

// create makes the file and writes its header. Its name has the first second
// from now on that no other file has, open or complete.
func (d *disk) create(f *openFile, now time.Time) error {
	h := ftfile.NewHeader(f.layout.Version, 0)
	h.Start = uint32(now.Unix())
	h.Hostname = Hostname()
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt, ftfile.TagResets, ftfile.TagHostname)
	offset, zone, _ := d.Zone.Offset(now.Unix())
	if now.Before(d.taken.from) || !now.Before(d.taken.to) {
		d.taken = span{now, now}
	}
	for ; ; d.taken.to = d.taken.to.Add(time.Second) {
		t := d.taken.to.In(time.FixedZone(zone, offset))
		dir := ftfile.Dir(d.Nesting, t)
		if dir != "" {
			if err := os.MkdirAll(d.Path(dir), 0o755); err != nil {
				return fmt.Errorf("mkdir(%s): %w", dir, ftfile.Reason(err))
			}
		}
		tmp := path.Join(dir, ftfile.Name(ftfile.PrefixOpen, f.layout.Version, t))
		file, err := os.OpenFile(d.Path(tmp), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("open(%s): %w", tmp, ftfile.Reason(err))
		}
		// Another flow-capture may have taken it for one left behind.
		if lock(file) == errLocked || !isStill(file, d.Path(tmp)) {
			file.Close()
			continue
		}
		// Completing removes the tmp- name only after there is an ft- name.
		if _, err := os.Lstat(d.Path(finalName(tmp, 0))); err == nil {
			os.Remove(d.Path(tmp))
			file.Close()
			continue
		}
		df := &diskFile{File: file, disk: d, name: tmp, octets: &f.octets, made: now}
		out, err := d.CreateOn(df, h)
		if err != nil {
			os.Remove(d.Path(tmp))
			file.Close()
			f.octets.Store(0)
			return err
		}
		df.head = df.end
		if d.Level == 0 {
			df.record = int64(f.layout.Size)
		}
		df.patient = true
		f.tmp, f.file, f.out, f.header = tmp, df, out, h
		d.taken.to = d.taken.to.Add(time.Second)
		if d.Sync > 0 {
			d.background.Go(func() {
				d.fsynced(file, tmp)
				d.syncDirs(tmp)
			})
		}
		return nil
	}
}

// write puts records into the file.
func (d *disk) write(f *openFile, records []byte) {
	d.batch.Layout = f.layout
	d.batch.SetBytes(records)
	if f.out == nil {
		d.drop(f, uint64(d.batch.Len()))
		return
	}
	before := f.out.Flows()
	if err := f.out.Write(&d.batch); err != nil {
		select {
		case <-d.over: // the end: it is completed with what it has
			d.drop(f, uint64(d.batch.Len())-(f.out.Flows()-before))
		default:
			d.broken(f, err)
		}
	}
}

// drop counts flows of a file that the disk did not take.
func (d *disk) drop(f *openFile, n uint64) {
	f.gone += n
	d.counts.lost.Add(n)
}

// broken completes a file that cannot be written any more and opens another one
// for what follows.
func (d *disk) broken(f *openFile, err error) {
	d.failed(err)
	now := d.Now()
	if now.Sub(f.file.made) > retryLongest {
		d.delay = 0
	}
	old := &openFile{layout: f.layout, header: f.header, tmp: f.tmp, file: f.file, out: f.out}
	c := &closing{end: now, lost: f.gone}
	f.out, f.gone = nil, 0
	d.closer <- func() { d.finish(d.salvaged(old, c, err)) }
	if d.delay > 0 && !d.wait(d.delay) {
		return
	}
	d.delay = min(max(2*d.delay, retryDelay), retryLongest)
	d.open(f, d.Now(), nil)
}

// sync makes what is in the file safe. The disk may take its time for that,
// while the file is written.
func (d *disk) sync(f *openFile) {
	if f.out == nil {
		d.syncing.Store(false)
		return
	}
	if err := f.out.Sync(); err != nil {
		d.syncing.Store(false)
		d.broken(f, err)
		return
	}
	file, name := f.file.File, f.tmp
	d.background.Go(func() {
		d.fsynced(file, name)
		d.syncing.Store(false)
	})
}

// fsynced makes a file safe.
func (d *disk) fsynced(file *os.File, name string) {
	if err := d.fsync(file); err != nil && !errors.Is(err, os.ErrClosed) {
		d.counts.syncErrors.Add(1)
		d.failed(fmt.Errorf("fsync(%s): %w", name, ftfile.Reason(err)))
	}
}

// syncDirs makes the name of a file safe.
func (d *disk) syncDirs(name string) {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if f, err := os.Open(d.Path(dir)); err == nil {
			_ = f.Sync() // not all systems can
			f.Close()
		}
		if dir == "." {
			return
		}
	}
}

// close hands a file on to be completed.
func (d *disk) close(j job) {
	c := &j.closing
	c.counts.Corrupt += d.carry.counts.Corrupt
	c.counts.Lost += d.carry.counts.Lost
	c.counts.Resets += d.carry.counts.Resets
	c.lost += d.carry.lost + j.file.gone
	d.carry = closing{}
	if j.file.out == nil {
		d.carry = *c
		d.finish(Closed{Err: fmt.Errorf("there is no file for the flows since %s: %d are lost", j.file.opened.UTC().Format(time.DateTime), c.lost)})
		return
	}
	d.closer <- func() { d.finish(d.complete(j.file, c)) }
}

// set puts what is known at the end into the header of a file.
func (c *closing) set(h *ftfile.Header, flows uint64) {
	h.End = max(uint32(c.end.Unix()), h.Start)
	h.Flows = uint32(flows)
	h.Lost, h.Corrupt, h.Resets = c.counts.Lost, c.counts.Corrupt, c.counts.Resets
	add(&h.Lost, c.lost)
	h.Flags |= ftfile.FlagDone
}

// complete completes a file.
func (d *disk) complete(f *openFile, c *closing) Closed {
	c.set(f.header, f.out.Flows())
	if err := f.out.Finish(f.header); err != nil {
		d.failed(err)
		return d.salvaged(f, c, err)
	}
	result := d.publish(f.file.File, f.tmp, f.header)
	if err := f.file.Close(); err != nil {
		d.failed(fmt.Errorf("close(%s): %w", result.Name, ftfile.Reason(err)))
	}
	return result
}

// salvaged completes a file that could not be written to its end, because of cause.
func (d *disk) salvaged(f *openFile, c *closing, cause error) Closed {
	taken := f.out.Flows()
	f.out.Abort()
	file, h, err := d.salvage(f.file.File, f.tmp, func(h *ftfile.Header, found remains) {
		c := *c
		if found.flows < taken {
			c.lost += taken - found.flows
			d.counts.lost.Add(taken - found.flows)
		}
		c.set(h, found.flows)
	})
	defer func() { file.Close() }() // or the one that took its place
	if err != nil {
		if err == errStopped {
			err = cause
		}
		return Closed{Name: f.tmp, Start: f.header.Start, Err: fmt.Errorf("%w\n%s stays as it is, to be recovered at the next start", err, f.tmp)}
	}
	return d.publish(file, f.tmp, h)
}

// publish gives a complete file its final name.
func (d *disk) publish(file *os.File, tmp string, h *ftfile.Header) Closed {
	c := Closed{Name: tmp, Start: h.Start, Flows: uint64(h.Flows)}
	if d.Sync > 0 {
		d.fsynced(file, tmp)
	}
	if info, err := file.Stat(); err == nil {
		c.Size = info.Size()
	}
	for n := 0; ; n++ {
		name := finalName(tmp, n)
		if _, err := os.Lstat(d.Path(name)); err == nil {
			continue
		}
		if d.Announce != nil {
			d.Announce(name)
		}
		err := renameNew(d.Path(tmp), d.Path(name))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			c.Err = fmt.Errorf("rename(%s,%s): %w", tmp, name, err)
			return c
		}
		c.Name = name
		break
	}
	if d.Sync > 0 {
		d.syncDirs(c.Name)
	}
	d.counts.files.Add(1)
	return c
}

// finish tells of a file that was completed, or could not be.
func (d *disk) finish(c Closed) {
	d.mu.Lock()
	d.closed = append(d.closed, c)
	d.mu.Unlock()
	select {
	case d.done <- struct{}{}:
	default:
	}
}

func (d *disk) take() []Closed {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.closed
	d.closed = nil
	return list
}

func (d *disk) stats() StoreStats {
	c := &d.counts
	return StoreStats{
		Lost: c.lost.Load(), Waiting: d.jobs.waiting(), Failing: d.trouble.active.Load(),
		Files: c.files.Load(), Recovered: c.recovered.Load(), SyncErrors: c.syncErrors.Load(),
	}
}

// diskFile is a file that is being written. What does not go for want of room is
// tried again; meanwhile the file ends with a whole record, if its records have
// a size.
type diskFile struct {
	*os.File
	disk    *disk
	name    string
	octets  *atomic.Int64 // = end
	at, end int64
	head    int64     // octets of the header, 0 before it is written
	record  int64     // octets of a record, 0 when they are compressed
	patient bool      // try again
	made    time.Time // when
}

// Write writes at the offset that Seek set, or behind what was written.
func (f *diskFile) Write(p []byte) (int, error) {
	for done := 0; ; {
		n, err := f.disk.writeAt(f.File, p[done:], f.at)
		if err == nil {
			f.advance(int64(n))
			return done + n, nil
		}
		if f.record > 0 && f.at >= f.head && f.at+int64(n) > f.end {
			whole := int64(n) - (f.at-f.head+int64(n))%f.record
			if whole >= 0 && f.Truncate(f.at+whole) == nil {
				n = int(whole)
			}
		}
		f.advance(int64(n))
		done += n
		err = fmt.Errorf("write(%s): %w", f.name, ftfile.Reason(err))
		if !f.patient || !noRoom(err) {
			return done, err
		}
		f.disk.failed(err)
		if !f.disk.wait(retryDelay) {
			return done, err
		}
	}
}

func (f *diskFile) advance(n int64) {
	f.at += n
	f.end = max(f.end, f.at)
	f.octets.Store(f.end)
}

// Seek is io.Seeker.
func (f *diskFile) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.end
	}
	if offset < 0 {
		return f.at, fs.ErrInvalid
	}
	f.at = offset
	return offset, nil
}

// trouble is a time in which the disk does not take what it should.
type trouble struct {
	active atomic.Bool
	mu     sync.Mutex
	since  time.Time
	last   time.Time // failure
	said   time.Time // last message
	err    error     // of the last failure
	lost   uint64    // flows, before
	losing bool      // said that flows are lost
}

// failed notes that something failed that will be tried again.
func (d *disk) failed(err error) {
	t, now := &d.trouble, d.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err, t.last = err, now
	if t.active.Load() {
		return
	}
	t.since, t.said, t.losing, t.lost = now, now, false, d.counts.lost.Load()
	t.active.Store(true)
	for line := range strings.Lines(err.Error()) {
		d.Warn("%s", strings.TrimSuffix(line, "\n"))
	}
	d.Warn("capture goes on; up to %d MiB of flows wait for the disk", backlog>>20)
}

var errBehind = errors.New("the disk does not keep up")

// overrun notes flows that have no room to wait any more.
func (d *disk) overrun(n uint64) {
	if !d.trouble.active.Load() {
		d.failed(errBehind)
	}
	d.counts.lost.Add(n)
	t, now := &d.trouble, d.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = now
	if !t.losing {
		t.losing = true
		d.Warn("too many flows wait for the disk: more are lost")
	}
}

// report says from time to time how it stands with the disk, and when it is
// well; final is at the end.
func (d *disk) report(final bool) {
	t := &d.trouble
	if !t.active.Load() {
		return
	}
	now, idle := d.Now(), d.jobs.idle()
	t.mu.Lock()
	defer t.mu.Unlock()
	lost, seconds := d.counts.lost.Load()-t.lost, int64(now.Sub(t.since)/time.Second)
	switch well := idle && now.Sub(t.last) >= quietTime; {
	case well || final:
		t.active.Store(false)
		d.Warn("the disk failed for %d s: %d flows are lost", int64(t.last.Sub(t.since)/time.Second), lost)
	case now.Sub(t.said) >= repeatTime:
		t.said = now
		why, _, _ := strings.Cut(t.err.Error(), "\n")
		d.Warn("%s, for %d s: %d flows are lost so far", why, seconds, lost)
	}
}
