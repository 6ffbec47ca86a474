package capture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// storeBench is a Store in a bubble, on a disk that can be made to fail.
type storeBench struct {
	*Store
	t    *testing.T
	dir  string
	log  journal
	want []byte // records written, little-endian

	mu     sync.Mutex
	room   int64            // octets that may still be written; negative is any number
	err    error            // of every write, when set
	stall  chan struct{}    // writes wait for it, when set
	synced map[string]int64 // sizes when they were made safe
}

func newStoreBench(t *testing.T, c StoreConfig) *storeBench {
	t.Helper()
	b := &storeBench{t: t, dir: t.TempDir(), room: -1, synced: map[string]int64{}}
	c.Path = func(name string) string { return filepath.Join(b.dir, name) }
	c.Zone, c.Now, c.Warn = zone("UTC0"), time.Now, b.log.warn
	b.Store = NewStore(c)
	b.disk.writeAt = func(f *os.File, p []byte, off int64) (int, error) {
		b.mu.Lock()
		stall, err, n := b.stall, b.err, len(p)
		if b.room >= 0 {
			if n = int(min(int64(n), b.room)); n < len(p) {
				err = syscall.ENOSPC
			}
			b.room -= int64(n)
		}
		if b.err != nil {
			n = 0
		}
		b.mu.Unlock()
		if stall != nil {
			<-stall
		}
		n, failed := f.WriteAt(p[:n], off)
		if failed != nil {
			err = failed
		}
		return n, err
	}
	b.disk.fsync = func(f *os.File) error {
		info, err := f.Stat()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.synced[filepath.Base(f.Name())] = info.Size()
		return err
	}
	return b
}

func (b *storeBench) set(room int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.room, b.err = room, err
}

// open opens a file for version 5.
func (b *storeBench) openV5() {
	b.t.Helper()
	if err := b.Open(v(5, 0)); err != nil {
		b.t.Fatal(err)
	}
}

// write adds n flows.
func (b *storeBench) write(n int, seed uint64) {
	batch := flowtest.Random(flowtest.Layout(5, 0), n, seed)
	b.want = append(b.want, batch.Bytes()...)
	b.Write(batch)
}

// pass lets time go by.
func (b *storeBench) pass(seconds int) {
	for range seconds {
		time.Sleep(time.Second)
		select {
		case <-b.SyncDue():
			b.SyncNow()
		default:
		}
		b.Tick()
	}
	synctest.Wait()
}

// finish completes the open file and ends the store.
func (b *storeBench) finish() []Closed {
	if b.IsOpen() {
		b.Close(Counts{Lost: 1000})
	}
	b.Drain()
	return b.Take()
}

// content is what a reader finds in a file.
type content struct {
	header  *ftfile.Header
	records []byte
	err     error // damage
}

func contentOf(t testing.TB, name string) content {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ftfile.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer r.Close()
	c := content{header: r.Header()}
	for b := range r.Batches() {
		c.records = append(c.records, b.Bytes()...)
	}
	c.err = r.Err()
	return c
}

// complete checks that a file is well-formed, with its counts, and returns it.
func complete(t testing.TB, name string) content {
	t.Helper()
	c := contentOf(t, name)
	n := len(c.records) / flowtest.Layout(c.header.Version.Export, c.header.Version.Agg).Size
	if c.err != nil || c.header.Flags&ftfile.FlagDone == 0 || int(c.header.Flows) != n || c.header.End < c.header.Start {
		t.Errorf("%s: %d flows, %v, header %+v", name, n, c.err, c.header)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if c.header.Flags&ftfile.FlagCompress == 0 && info.Size() != int64(c.header.Size+len(c.records)) {
		t.Errorf("%s: %d octets", name, info.Size())
	}
	return c
}

var storeOutputs = map[string]streamio.Output{
	"plain": {}, "big endian": {Order: flow.BigEndian}, "level 1": {Level: 1}, "level 6, big endian": {Level: 6, Order: flow.BigEndian},
}

// TestStoreFull: a disk that is full for half a minute loses nothing that memory
// can hold, and the file on it is readable all the time.
func TestStoreFull(t *testing.T) {
	for name, output := range storeOutputs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStoreBench(t, StoreConfig{Output: output, Files: 1})
				b.openV5()
				b.write(5000, 1)
				b.pass(1)
				b.set(100_001, nil)
				for i := range 30 {
					b.write(1000, uint64(i))
					b.pass(1)
					tmp := listing(t, b.dir)[0]
					c := contentOf(t, filepath.Join(b.dir, tmp))
					if output.Level == 0 && c.err != nil {
						t.Fatalf("a torn record on the disk: %v", c.err)
					}
					if !bytes.HasPrefix(b.want, c.records) {
						t.Fatal("something else on the disk")
					}
				}
				if s := b.Stats(); !s.Failing || s.Waiting == 0 || s.Lost != 0 {
					t.Errorf("%+v", s)
				}
				b.set(-1, nil)
				b.write(3, 99)
				b.pass(6)
				if s := b.Stats(); s.Failing || s.Waiting != 0 || s.Lost != 0 {
					t.Errorf("%+v", s)
				}
				closed := b.finish()
				if len(closed) != 1 || closed[0].Err != nil || closed[0].Flows != 35003 {
					t.Fatalf("%+v", closed)
				}
				c := complete(t, filepath.Join(b.dir, closed[0].Name))
				if !bytes.Equal(c.records, b.want) || c.header.Lost != 1000 {
					t.Errorf("%d of %d octets, %d lost", len(c.records), len(b.want), c.header.Lost)
				}
				out := b.log.text()
				for _, want := range []string{"write(tmp-v05.2000-01-01.000000+0000): no space left on device", "capture goes on", "the disk failed for "} {
					if strings.Count(out, want) != 1 {
						t.Errorf("not once %q:\n%s", want, out)
					}
				}
				if !strings.HasSuffix(out, ": 0 flows are lost") {
					t.Errorf("log:\n%s", out)
				}
			})
		})
	}
}

// TestStoreOverrun: what memory cannot hold is lost, and counted. Time after time
// the log says so.
func TestStoreOverrun(t *testing.T) {
	for name, output := range storeOutputs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStoreBench(t, StoreConfig{Output: output, Files: 1})
				b.disk.jobs.limit = 4
				b.openV5()
				b.set(0, nil)
				for i := range 300 {
					b.write(500, uint64(i))
					b.pass(1)
				}
				lost := b.Stats().Lost
				if lost == 0 || lost > 150_000-3*4096 {
					t.Fatalf("%d lost", lost)
				}
				b.set(-1, nil)
				b.pass(10)
				b.write(77, 1000)
				closed := b.finish()
				if len(closed) != 1 || closed[0].Err != nil {
					t.Fatalf("%+v", closed)
				}
				c := complete(t, filepath.Join(b.dir, closed[0].Name))
				if n := uint64(len(c.records) / 64); n+lost != 150_077 || uint64(c.header.Lost) != lost+1000 {
					t.Errorf("%d flows, %d lost, the header says %d", n, lost, c.header.Lost)
				}
				kept := len(c.records) - 77*64
				if !bytes.Equal(c.records[:kept], b.want[:kept]) || !bytes.Equal(c.records[kept:], b.want[len(b.want)-77*64:]) {
					t.Error("other flows")
				}
				out := b.log.text()
				if n := strings.Count(out, "flows are lost so far"); n < 4 || n > 5 {
					t.Errorf("%d reports in 300 s:\n%s", n, out)
				}
				if !strings.Contains(out, "more are lost") || !strings.HasSuffix(out, fmt.Sprintf(": %d flows are lost", lost)) {
					t.Errorf("log:\n%s", out)
				}
			})
		})
	}
}

// TestStoreStall: a disk that takes its time holds nobody up.
func TestStoreStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStoreBench(t, StoreConfig{Files: 1})
		b.disk.jobs.limit = 4
		b.openV5()
		stall := make(chan struct{})
		b.mu.Lock()
		b.stall = stall
		b.mu.Unlock()
		for i := range 10 {
			b.write(4096, uint64(i)) // never waits
		}
		lost := b.Stats().Lost
		if lost != 6*4096 || !b.Stats().Failing {
			t.Errorf("%+v", b.Stats())
		}
		b.Close(Counts{})
		b.openV5() // neither does this
		b.mu.Lock()
		b.stall = nil
		b.mu.Unlock()
		close(stall)
		closed := b.finish()
		if len(closed) != 2 || closed[0].Flows != 4*4096 || closed[1].Flows != 0 {
			t.Fatalf("%+v", closed)
		}
		if c := complete(t, filepath.Join(b.dir, closed[0].Name)); uint64(c.header.Lost) != lost {
			t.Errorf("%+v", c.header)
		}
		if out := b.log.text(); !strings.HasPrefix(out, "the disk does not keep up\n") {
			t.Errorf("log:\n%s", out)
		}
	})
}

// TestStoreBehind: files that a disk does not come to are not asked for without
// end, and those asked for are all made, in order, with names of their own.
func TestStoreBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStoreBench(t, StoreConfig{Files: 1})
		b.openV5()
		stall := make(chan struct{})
		writeAt := b.disk.writeAt
		b.disk.writeAt = func(f *os.File, p []byte, off int64) (int, error) {
			<-stall
			return writeAt(f, p, off)
		}
		rotations := 0
		for !b.IsBehind() {
			b.write(1, uint64(rotations))
			b.Close(Counts{})
			b.openV5()
			rotations++
			synctest.Wait()
		}
		if rotations != makeQueue {
			t.Errorf("behind after %d rotations", rotations)
		}
		close(stall)
		b.pass(2)
		if b.IsBehind() {
			t.Error("still behind")
		}
		var records []byte
		for i, c := range b.finish() {
			if want := fmt.Sprintf("ft-v05.2000-01-01.0000%02d+0000", i); c.Err != nil || c.Name != want {
				t.Errorf("%+v, want %s", c, want)
			}
			records = append(records, complete(t, filepath.Join(b.dir, c.Name)).records...)
		}
		if !bytes.Equal(records, b.want) {
			t.Errorf("%d octets of records, want %d", len(records), len(b.want))
		}
	})
}

// TestStoreBroken: a file that cannot be written for another reason is completed
// with what it has, and another one is opened.
func TestStoreBroken(t *testing.T) {
	for name, output := range storeOutputs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStoreBench(t, StoreConfig{Output: output, Files: 1})
				b.openV5()
				b.write(50_000, 1)
				b.pass(2)
				b.set(-1, syscall.EIO)
				b.write(50_000, 2)
				b.pass(1)
				b.set(-1, nil)
				b.pass(5)
				b.write(50_000, 3)
				closed := b.finish()
				if len(closed) < 2 {
					t.Fatalf("%+v", closed)
				}
				flows, lost := uint64(0), uint64(0)
				var got []byte
				for _, f := range closed {
					if f.Err != nil {
						t.Fatal(f.Err)
					}
					c := complete(t, filepath.Join(b.dir, f.Name))
					flows += f.Flows
					lost += uint64(c.header.Lost)
					got = append(got, c.records...)
				}
				if flows+lost != 151_000 || lost-1000 != b.Stats().Lost || lost == 1000 {
					t.Errorf("%d flows, %d lost, %d by count", flows, lost, b.Stats().Lost)
				}
				if !bytes.HasSuffix(got, b.want[100_000*64:]) {
					t.Error("what came later is not all there")
				}
			})
		})
	}
}

// TestStoreBrokenDisk: a disk on which nothing works is not littered with files.
func TestStoreBrokenDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStoreBench(t, StoreConfig{Files: 96})
		b.openV5()
		b.set(-1, syscall.EIO)
		for i := range 3600 {
			b.write(100, uint64(i))
			b.pass(1)
			if i%900 == 899 {
				b.Close(Counts{})
				b.openV5()
			}
		}
		if n := len(listing(t, b.dir)); n > 10 {
			t.Errorf("%d files", n)
		}
		b.finish()
		if n := strings.Count(b.log.text(), "\n"); n > 200 {
			t.Errorf("%d messages", n)
		}
	})
}

// TestStoreFullAtOnce: a disk that is full at the start is waited for.
func TestStoreFullAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStoreBench(t, StoreConfig{Files: 1})
		b.set(10, nil)
		b.openV5()
		b.write(100, 1)
		b.pass(10)
		if list := listing(t, b.dir); len(list) != 0 {
			t.Errorf("%v", list)
		}
		b.set(-1, nil)
		b.pass(2)
		closed := b.finish()
		if len(closed) != 1 || closed[0].Flows != 100 || closed[0].Name != "ft-v05.2000-01-01.000000+0000" {
			t.Errorf("%+v", closed)
		}
	})
}

// TestStoreNoFile: an interval without a file is an error, and its loss is in the
// next header.
func TestStoreNoFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStoreBench(t, StoreConfig{Files: 1, Nesting: 1})
		b.openV5()
		b.Close(Counts{})
		b.pass(1)
		if err := os.RemoveAll(filepath.Join(b.dir, "2000")); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(b.dir, "2000"), nil)
		b.openV5()
		b.write(100, 1)
		b.Close(Counts{Resets: 5})
		b.pass(10)
		b.openV5()
		b.write(7, 2)
		b.pass(10)
		if err := os.Remove(filepath.Join(b.dir, "2000")); err != nil {
			t.Fatal(err)
		}
		b.pass(2)
		closed := b.finish()
		if len(closed) != 3 || closed[0].Err != nil || closed[1].Err == nil || closed[2].Err != nil {
			t.Fatalf("%+v", closed)
		}
		if c := complete(t, filepath.Join(b.dir, closed[2].Name)); c.header.Flows != 7 || c.header.Lost != 1100 || c.header.Resets != 5 {
			t.Errorf("%+v", c.header)
		}
	})
}

// TestStoreFullAtTheEnd: the end does not wait for ever. What could be kept is
// kept, and whatever is left is there for the next start.
func TestStoreFullAtTheEnd(t *testing.T) {
	for name, output := range storeOutputs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStoreBench(t, StoreConfig{Output: output, Files: 1})
				b.openV5()
				b.write(50_000, 1)
				b.pass(2)
				b.set(777, nil)
				b.write(50_000, 2)
				b.pass(2)
				start := time.Now()
				closed := b.finish()
				if d := time.Since(start); d < endPatience || d > 2*endPatience {
					t.Errorf("ends after %v", d)
				}
				if len(closed) != 1 {
					t.Fatalf("%+v", closed)
				}
				f := closed[0]
				if (output.Level > 0) != (f.Err != nil) {
					t.Errorf("%+v", f)
				}
				if f.Err != nil { // what is compressed has to be written anew, for which there is no room now
					if want := "no space left on device\ntmp-v05.2000-01-01.000000+0000 stays as it is, to be recovered at the next start"; !strings.HasSuffix(f.Err.Error(), want) {
						t.Errorf("%v", f.Err)
					}
					f = recoverAll(t, b.dir)[0]
				} else if c := complete(t, filepath.Join(b.dir, f.Name)); uint64(c.header.Lost) != b.Stats().Lost+1000 || b.Stats().Lost+f.Flows != 100_000 {
					t.Errorf("%d flows, %d lost", f.Flows, c.header.Lost)
				}
				c := complete(t, filepath.Join(b.dir, f.Name))
				if !bytes.HasPrefix(b.want, c.records) || len(c.records) < 30_000*64 {
					t.Errorf("%d flows", len(c.records)/64)
				}
				if list := listing(t, b.dir); len(list) != 1 {
					t.Errorf("%v", list)
				}
			})
		})
	}
}

// recoverAll recovers what is left in a work directory.
func recoverAll(t *testing.T, dir string) []Closed {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	var left []string
	await(t, "end of those who have files open", func() bool {
		var live []string
		left, live = Leftovers(at, t.Logf)
		return len(live) == 0
	})
	s := NewStore(StoreConfig{Path: at, Zone: zone("UTC0"), Now: time.Now, Warn: t.Logf})
	settled := make(chan struct{})
	s.Recover(left, func() { close(settled) })
	<-settled
	s.Drain()
	return s.Take()
}

// TestStoreSync: what is older than Sync is on disk, in files that nobody has
// completed.
func TestStoreSync(t *testing.T) {
	for name, output := range storeOutputs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newStoreBench(t, StoreConfig{Output: output, Files: 96, Sync: 5 * time.Second})
				b.openV5()
				type mark struct {
					at     time.Time
					octets int
				}
				var marks []mark
				for i := range 60 {
					if i%7 < 5 {
						b.write(i, uint64(i))
						marks = append(marks, mark{time.Now(), len(b.want)})
					}
					b.pass(1)
					tmp := listing(t, b.dir)[0]
					got := contentOf(t, filepath.Join(b.dir, tmp)).records
					if !bytes.HasPrefix(b.want, got) {
						t.Fatal("something else on the disk")
					}
					for _, m := range marks {
						if time.Since(m.at) > 5*time.Second && len(got) < m.octets {
							t.Fatalf("%d s: %d octets on the disk, %d are older", i, len(got), m.octets)
						}
					}
				}
				b.pass(10)
				tmp := listing(t, b.dir)[0]
				if info, err := os.Stat(filepath.Join(b.dir, tmp)); err != nil || b.synced[filepath.Base(tmp)] != info.Size() {
					t.Errorf("%d octets are safe: %v", b.synced[filepath.Base(tmp)], err)
				}
				closed := b.finish()
				if c := complete(t, filepath.Join(b.dir, closed[0].Name)); !bytes.Equal(c.records, b.want) {
					t.Error("other flows")
				}
			})
		})
	}
}

// TestStoreNoSync: without it a compressed file has nothing but the header for a
// long time, as the original's.
func TestStoreNoSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStoreBench(t, StoreConfig{Output: streamio.Output{Level: 6}, Files: 96})
		if b.SyncDue() != nil {
			t.Error("something is due")
		}
		b.openV5()
		b.write(10, 1)
		b.pass(100)
		if c := contentOf(t, filepath.Join(b.dir, listing(t, b.dir)[0])); len(c.records) != 0 {
			t.Errorf("%d octets", len(c.records))
		}
		b.finish()
		if len(b.synced) != 0 {
			t.Errorf("%v", b.synced)
		}
	})
}

// TestStoreSlowSync: a disk that takes minutes to make something safe is written
// to meanwhile, and asked once at a time, not counting the new file.
func TestStoreSlowSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newStoreBench(t, StoreConfig{Files: 96, Sync: 2 * time.Second})
		asked, held := 0, make(chan struct{})
		b.disk.fsync = func(*os.File) error {
			b.mu.Lock()
			asked++
			b.mu.Unlock()
			<-held
			return syscall.EIO
		}
		b.openV5()
		for i := range 100 {
			b.write(500, uint64(i))
			b.pass(1)
		}
		if asked != 2 || b.Octets() < 90*500*64 {
			t.Errorf("asked %d times, %d octets written", asked, b.Octets())
		}
		close(held)
		b.pass(2)
		closed := b.finish()
		if len(closed) != 1 || closed[0].Err != nil || closed[0].Flows != 50_000 {
			t.Errorf("%+v", closed)
		}
		if s := b.Stats(); s.SyncErrors < 2 || !strings.Contains(b.log.text(), "fsync(tmp-v05.2000-01-01.000000+0000): input/output error") {
			t.Errorf("%+v\n%s", s, b.log.text())
		}
	})
}

// TestStoreNames: whatever the time and the version, names stay below the work
// directory and are made of numbers.
func TestStoreNames(t *testing.T) {
	ok := func(r rune) bool { return strings.ContainsRune("0123456789-+./vm", r) }
	for _, version := range []flow.Version{v(1, 0), v(5, 0), v(8, 14), v(1005, 0), v(65535, 255)} {
		for _, sec := range []int64{0, 1, 1_700_000_000, 4_102_444_799, 253_402_300_799, -62_135_596_800} {
			for _, tz := range []string{"UTC0", "XYZ-5:30", "A12", "B-14"} {
				z := zone(tz)
				offset, name, _ := z.Offset(sec)
				at := time.Unix(sec, 0).In(time.FixedZone(name, offset))
				for nesting := -3; nesting <= 3; nesting++ {
					tmp := filepath.Join(ftfile.Dir(nesting, at), ftfile.Name(ftfile.PrefixOpen, version, at))
					rest := strings.Replace(tmp, "tmp-", "", 1)
					if !filepath.IsLocal(tmp) || strings.TrimFunc(rest, ok) != "" || strings.Contains(rest, "..") {
						t.Errorf("%q", tmp)
					}
					if at.Year() > 9999 || at.Year() < 0 {
						continue
					}
					if final := finalName(tmp, 0); final != strings.Replace(tmp, "tmp-", "ft-", 1) {
						t.Errorf("%q becomes %q", tmp, final)
					}
				}
			}
		}
	}
}

func TestJobs(t *testing.T) {
	var q jobs
	q.init()
	q.limit = 3
	var got []string
	a, b, c := q.block(64), q.block(64), q.block(60)
	if cap(a) != blockSize || cap(c) != blockSize/60*60 || q.block(64) != nil {
		t.Error("blocks")
	}
	q.release(c)
	if d := q.block(64); cap(d) != blockSize { // memory of another size is given up
		t.Errorf("%d octets", cap(d))
	}
	f := &openFile{}
	q.put(job{kind: jobWrite, block: a[:64]})
	q.put(job{kind: jobWrite, block: b[:128]})
	if q.waiting() != 192 || q.idle() || q.superseded(f) {
		t.Error("queue")
	}
	q.put(job{kind: jobClose, file: f})
	if !q.superseded(f) || q.superseded(&openFile{}) {
		t.Error("superseded")
	}
	q.close()
	for j, ok := q.next(); ok; j, ok = q.next() {
		got = append(got, fmt.Sprint(j.kind, len(j.block)))
		if q.idle() {
			t.Error("idle")
		}
	}
	if d := cmp.Diff([]string{"1 64", "1 128", "3 0"}, got); d != "" || !q.idle() {
		t.Error(d)
	}
	for range 2 * keepBlocks {
		q.release(make([]byte, 0, blockSize))
	}
	if len(q.free) != keepBlocks {
		t.Errorf("%d kept", len(q.free))
	}
	if q.queue != nil {
		t.Error("memory is kept")
	}
}

// BenchmarkStore is what a datagram of 30 flows costs the goroutine that takes
// it, and all others together, while the disk keeps up.
func BenchmarkStore(b *testing.B) {
	for _, level := range []int{0, 1, 6} {
		b.Run(fmt.Sprintf("level %d", level), func(b *testing.B) {
			dir := b.TempDir()
			s := NewStore(StoreConfig{
				Output: streamio.Output{Level: level}, Zone: zone("UTC0"), Files: 1, Now: time.Now, Warn: b.Logf,
				Path: func(name string) string { return filepath.Join(dir, name) },
			})
			if err := s.Open(v(5, 0)); err != nil {
				b.Fatal(err)
			}
			l := flowtest.Layout(5, 0)
			batch := flowtest.Random(l, 30, 1)
			b.SetBytes(int64(len(batch.Bytes())))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				s.Write(batch)
				for n%64 == 0 && s.disk.jobs.waiting() > backlog/2 {
					time.Sleep(100 * time.Microsecond)
				}
				if s.Octets() > 1<<30 {
					s.Close(Counts{})
					for _, c := range s.Take() {
						os.Remove(filepath.Join(dir, c.Name))
					}
					if err := s.Open(v(5, 0)); err != nil {
						b.Fatal(err)
					}
				}
			}
			s.Close(Counts{})
			s.Drain()
			if lost := s.Stats().Lost; lost > 0 {
				b.Fatalf("%d flows are lost", lost)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*30), "ns/record")
		})
	}
}
