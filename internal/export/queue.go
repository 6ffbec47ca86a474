package export

import (
	"errors"
	"io"
	"sync"

	"flowtools/pkg/flow"
)

// Queue carries batches to a loader that runs in a goroutine of its own: the
// bulk loading calls of database drivers ask for their data, while flow-export
// hands records out. The loader starts with the first batch.
type Queue struct {
	load func(*Source) error
	full chan *flow.Batch
	free chan *flow.Batch
	stop chan struct{} // closed by Abort
	done chan struct{} // closed when the loader has returned
	err  error         // of the loader, valid after done

	running bool
	closing sync.Once
}

// queueDepth is the number of batches under way: one being filled, one being
// loaded, one between them.
const queueDepth = 3

var errAborted = errors.New("export given up")

// NewQueue returns a queue to the given loader.
func NewQueue(load func(*Source) error) *Queue {
	return &Queue{
		load: load,
		full: make(chan *flow.Batch, queueDepth),
		free: make(chan *flow.Batch, queueDepth),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
}

// Write hands a copy of b to the loader. The error is the loader's.
func (q *Queue) Write(b *flow.Batch) error {
	if !q.running {
		q.running = true
		for range queueDepth {
			q.free <- &flow.Batch{Layout: b.Layout}
		}
		go func() {
			defer close(q.done)
			q.err = q.load(&Source{q: q})
		}()
	}
	select {
	case c := <-q.free:
		c.Reset()
		copy(c.Extend(b.Len()), b.Bytes())
		q.full <- c // never blocks: there are no more batches than places
		return nil
	case <-q.done:
		if q.err == nil {
			return errors.New("the loader ended before the records")
		}
		return q.err
	}
}

// Close waits until the loader has dealt with all records and returns its error.
func (q *Queue) Close() error {
	q.closing.Do(func() { close(q.full) })
	if !q.running {
		return nil
	}
	<-q.done
	return q.err
}

// Abort makes the loader fail and waits for it to return. After Close it does
// nothing.
func (q *Queue) Abort() {
	q.closing.Do(func() { close(q.stop) })
	if q.running {
		<-q.done
	}
}

// Source is the loader's end of a Queue.
type Source struct {
	q    *Queue
	last *flow.Batch
}

// Next returns the next batch, valid until the following call, or nil after the
// last one. The error says that the export was given up.
func (s *Source) Next() (*flow.Batch, error) {
	if s.last != nil {
		s.q.free <- s.last
		s.last = nil
	}
	select {
	case b, ok := <-s.q.full:
		if !ok {
			return nil, nil
		}
		s.last = b
		return b, nil
	case <-s.q.stop:
		return nil, errAborted
	}
}

// Reader returns the records as text.
func (s *Source) Reader(t *Text) io.Reader { return &textReader{src: s, text: t} }

type textReader struct {
	src  *Source
	text *Text
	buf  []byte
	rest []byte
}

func (r *textReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		b, err := r.src.Next()
		if err != nil {
			return 0, err
		}
		if b == nil {
			return 0, io.EOF
		}
		r.buf = r.text.Append(r.buf[:0], b)
		r.rest = r.buf
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
