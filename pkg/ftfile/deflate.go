package ftfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"hash/adler32"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// Sizes of blocks in octets.
const (
	serialBlock   = 64 << 10
	parallelBlock = 512 << 10
	window        = 32 << 10
)

// Deflaters is a set of goroutines that compress for Writers. Shared by many
// Writers it keeps each of them small: one that compresses by itself holds
// about a megabyte of tables.
type Deflaters struct {
	level   int
	jobs    int
	size    int        // octets of data in a full block
	joined  bool       // blocks are compressed by themselves, each with the window before it as dictionary
	tasks   chan *task // to the goroutines
	free    chan *task // done with
	workers sync.WaitGroup
}

// NewDeflaters starts n goroutines, 1 at least, that compress at a zlib level
// 1..9. Close ends them.
func NewDeflaters(level, n int) *Deflaters { return newDeflaters(level, n, serialBlock, true) }

// ownDeflaters are those of a single stream: one goroutine goes through it in
// one piece, several take large blocks in turn.
func ownDeflaters(level, n int) *Deflaters {
	if n > 1 {
		return newDeflaters(level, n, parallelBlock, true)
	}
	return newDeflaters(level, 1, serialBlock, false)
}

func newDeflaters(level, n, size int, joined bool) *Deflaters {
	n = max(n, 1)
	d := &Deflaters{level: level, jobs: n, size: size, joined: joined, tasks: make(chan *task, n), free: make(chan *task, 2*n+2)}
	for range n {
		d.workers.Go(d.work)
	}
	return d
}

// Close ends the goroutines. Writers that share them must be closed before.
func (d *Deflaters) Close() {
	close(d.tasks)
	d.workers.Wait()
}

// work is the body of a goroutine.
func (d *Deflaters) work() {
	var zw *flate.Writer
	var out struct{ io.Writer } // a stream in one piece keeps its writer over all blocks
	for t := range d.tasks {
		t.out.Reset()
		out.Writer = &t.out
		// Levels are checked where they come from, and memory takes every
		// write, so nothing here can fail.
		switch dict := t.plain[:t.dict]; {
		case zw == nil:
			zw, _ = flate.NewWriterDict(&out, d.level, dict)
		case d.joined:
			zw.ResetDict(&out, dict)
		}
		zw.Write(t.plain[t.dict:])
		switch {
		case t.last:
			zw.Close()
		case t.flush:
			zw.Flush()
		}
		t.done <- struct{}{}
	}
}

// task returns one to fill.
func (d *Deflaters) task() *task {
	select {
	case t := <-d.free:
		return t
	default:
		return &task{done: make(chan struct{}, 1)}
	}
}

// release takes back a task, or leaves it to the collector if there are many.
func (d *Deflaters) release(t *task) {
	select {
	case d.free <- t:
	default:
	}
}

// task is one block on its way through the goroutines.
type task struct {
	plain []byte // dictionary and data
	dict  int
	flush bool // end on an octet boundary
	last  bool
	out   bytes.Buffer
	done  chan struct{}
}

// deflater writes one zlib stream (RFC 1950). Full blocks are compressed by the
// Deflaters and written in order by a goroutine; the producer waits only while
// all of them are busy.
type deflater struct {
	*Deflaters
	owned bool // the Deflaters are this stream's alone
	out   *bufio.Writer
	sum   hash.Hash32
	block []byte // being filled: the dictionary, then data
	dict  int    // octets of dictionary at the front of block

	queue   chan *task     // the tasks in order, to the writing goroutine; nil before the first
	pending sync.WaitGroup // tasks sent and not written
	writer  sync.WaitGroup
	err     atomic.Pointer[error] // the first write error, or errAborted
}

// errAborted makes the writing goroutine write nothing more.
var errAborted = errors.New("ftfile: stream aborted")

// newDeflater returns a deflater that uses shared, or if that is nil some of its own.
func newDeflater(out *bufio.Writer, shared *Deflaters, level, jobs int) *deflater {
	d := &deflater{Deflaters: shared, out: out, sum: adler32.New()}
	if shared == nil {
		d.Deflaters, d.owned = ownDeflaters(level, jobs), true
	}
	return d
}

// zlibHeader is the first two octets of the stream: deflate with a 32 KiB
// window, the class of the level, and check bits.
func zlibHeader(level int) []byte {
	var class byte
	switch {
	case level >= 7:
		class = 3
	case level == 6:
		class = 2
	case level >= 2:
		class = 1
	}
	h := []byte{0x78, class << 6}
	h[1] += byte(31 - binary.BigEndian.Uint16(h)%31)
	return h
}

// failed returns the first error of the underlying writer so far.
func (d *deflater) failed() error {
	if p := d.err.Load(); p != nil {
		return *p
	}
	return nil
}

// Write appends p to the stream. An error of the underlying writer may come
// with a later call.
func (d *deflater) Write(p []byte) (int, error) {
	n := len(p)
	d.sum.Write(p)
	for len(p) > 0 {
		if err := d.failed(); err != nil {
			return n - len(p), err
		}
		m := min(d.dict+d.size-len(d.block), len(p))
		d.block = append(d.block, p[:m]...)
		p = p[m:]
		if len(d.block) == d.dict+d.size {
			d.send(false, false)
		}
	}
	return n, nil
}

// send hands the block on and starts the next one, where blocks are compressed
// by themselves with the end of this one as dictionary.
func (d *deflater) send(flush, last bool) {
	if d.queue == nil {
		d.queue = make(chan *task, d.jobs)
		d.writer.Go(d.write)
	}
	t := d.task()
	t.plain, d.block = d.block, t.plain[:0]
	t.dict, t.flush, t.last = d.dict, flush || d.joined, last
	if d.joined {
		d.block = append(d.block, t.plain[max(0, len(t.plain)-window):]...)
	}
	d.dict = len(d.block)
	d.pending.Add(1)
	d.queue <- t
	d.tasks <- t
}

// write is the body of the writing goroutine. After an error it goes on taking
// tasks, so that nobody waits for it.
func (d *deflater) write() {
	begun := false
	for t := range d.queue {
		<-t.done
		if d.failed() == nil {
			if !begun {
				d.out.Write(zlibHeader(d.level)) // fits the buffer
				begun = true
			}
			if _, err := d.out.Write(t.out.Bytes()); err != nil {
				d.err.Store(&err)
			}
		}
		d.release(t)
		d.pending.Done()
	}
}

// Flush writes everything so far, ending on an octet boundary that an inflater
// can read up to. Before the first Write it does nothing.
func (d *deflater) Flush() error {
	if len(d.block) > d.dict || d.queue != nil {
		d.send(true, false)
	}
	d.pending.Wait()
	if err := d.failed(); err != nil {
		return err
	}
	return d.out.Flush()
}

// end waits for what is under way and ends the goroutines of this stream.
func (d *deflater) end() {
	if d.queue != nil {
		close(d.queue)
		d.writer.Wait()
	}
	if d.owned {
		d.Deflaters.Close()
	}
}

// Abort ends the goroutines and writes nothing more.
func (d *deflater) Abort() {
	d.err.CompareAndSwap(nil, &errAborted)
	d.end()
}

// Close ends the stream and the goroutines. It does not close the underlying
// writer.
func (d *deflater) Close() error {
	empty := d.queue == nil && len(d.block) == 0
	if !empty {
		d.send(true, true)
	}
	d.end()
	if err := d.failed(); err != nil {
		return err
	}
	if empty { // one empty fixed block, as zlib writes it
		d.out.Write(append(zlibHeader(d.level), 3, 0))
	}
	d.out.Write(d.sum.Sum(nil))
	return d.out.Flush()
}
