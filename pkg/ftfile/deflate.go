package ftfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash"
	"hash/adler32"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// Block sizes of the deflater. In parallel, blocks are deflated independently,
// each with the window before it as dictionary, so that they form one stream.
const (
	serialBlock   = 64 << 10
	parallelBlock = 512 << 10
	window        = 32 << 10
)

// deflater writes one zlib stream (RFC 1950). Full blocks are deflated by up to
// jobs goroutines and written in order by another one; the producer waits only
// while all of them are busy.
type deflater struct {
	out   *bufio.Writer
	level int
	jobs  int
	size  int // octets of data in a full block
	sum   hash.Hash32
	block []byte // being filled: the dictionary, then data
	dict  int    // octets of dictionary at the front of block
	sent  bool   // a block was sent

	tasks   chan *task // to the deflating goroutines
	queue   chan *task // the same tasks in order, to the writing goroutine
	free    chan *task
	pending sync.WaitGroup // tasks sent and not written
	workers sync.WaitGroup
	err     atomic.Pointer[error] // the first write error
}

// task is one block on its way through the deflater.
type task struct {
	plain []byte // dictionary and data
	dict  int
	flush bool // end on an octet boundary
	last  bool
	out   bytes.Buffer
	done  chan struct{}
}

func newDeflater(out *bufio.Writer, level, jobs int) *deflater {
	d := &deflater{out: out, level: level, jobs: max(jobs, 1), size: serialBlock, sum: adler32.New()}
	if d.jobs > 1 {
		d.size = parallelBlock
	}
	d.tasks = make(chan *task, d.jobs)
	d.queue = make(chan *task, d.jobs)
	d.free = make(chan *task, 2*d.jobs+2)
	d.block = make([]byte, 0, window+d.size)
	for range d.jobs {
		d.workers.Go(d.deflate)
	}
	d.workers.Go(d.write)
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

// send hands the block on and starts the next one, in parallel with the end of
// this one as dictionary.
func (d *deflater) send(flush, last bool) {
	var t *task
	select {
	case t = <-d.free:
	default:
		t = &task{plain: make([]byte, 0, window+d.size), done: make(chan struct{}, 1)}
	}
	t.plain, d.block = d.block, t.plain[:0]
	t.dict, t.flush, t.last = d.dict, flush || d.jobs > 1, last
	if d.jobs > 1 {
		d.block = append(d.block, t.plain[max(0, len(t.plain)-window):]...)
	}
	d.dict = len(d.block)
	d.sent = true
	d.pending.Add(1)
	d.queue <- t
	d.tasks <- t
}

// deflate is the body of a deflating goroutine.
func (d *deflater) deflate() {
	var zw *flate.Writer
	var out struct{ io.Writer } // a serial stream keeps its writer over all blocks
	for t := range d.tasks {
		t.out.Reset()
		out.Writer = &t.out
		// Levels are checked where they come from, and memory takes every
		// write, so nothing here can fail.
		switch dict := t.plain[:t.dict]; {
		case zw == nil:
			zw, _ = flate.NewWriterDict(&out, d.level, dict)
		case d.jobs > 1:
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
		select {
		case d.free <- t:
		default:
		}
		d.pending.Done()
	}
}

// Flush writes everything so far, ending on an octet boundary that an inflater
// can read up to. Before the first Write it does nothing.
func (d *deflater) Flush() error {
	if len(d.block) > d.dict || d.sent {
		d.send(true, false)
	}
	d.pending.Wait()
	if err := d.failed(); err != nil {
		return err
	}
	return d.out.Flush()
}

// Close ends the stream and the goroutines. It does not close the underlying
// writer.
func (d *deflater) Close() error {
	empty := !d.sent && len(d.block) == 0
	if !empty {
		d.send(true, true)
	}
	close(d.tasks)
	close(d.queue)
	d.workers.Wait()
	if err := d.failed(); err != nil {
		return err
	}
	if empty { // one empty fixed block, as zlib writes it
		d.out.Write(append(zlibHeader(d.level), 3, 0))
	}
	d.out.Write(d.sum.Sum(nil))
	return d.out.Flush()
}
