package capture

import (
	"slices"
	"sync"
	"time"
)

// jobKind is what is to be done with a file.
type jobKind int

const (
	jobOpen jobKind = iota
	jobWrite
	jobSync
	jobClose
)

// job is one thing to do for the goroutine that writes.
type job struct {
	kind   jobKind
	file   *openFile
	block  []byte     // jobWrite
	result chan error // jobOpen: gets how it goes, when somebody waits
	closing
}

// closing is what jobClose says.
type closing struct {
	counts Counts
	lost   uint64 // flows of the file that were never handed over
	end    time.Time
}

// jobs is a queue from the owner of a Store to the goroutine that writes. What
// has to wait is bounded by the memory for blocks; the owner is never held up.
type jobs struct {
	mu     sync.Mutex
	queue  []job
	busy   bool // one is being done
	closed bool
	ready  chan struct{} // there is something new
	free   [][]byte
	made   int // blocks in use or free
	limit  int // of made
}

// keepBlocks is how many free blocks are kept for later.
const keepBlocks = 32

func (q *jobs) init() { q.ready, q.limit = make(chan struct{}, 1), backlog/blockSize }

func (q *jobs) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

func (q *jobs) put(j job) {
	q.mu.Lock()
	q.queue = append(q.queue, j)
	q.mu.Unlock()
	q.signal()
}

// close ends the queue after what is in it.
func (q *jobs) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}

// next waits for a job, the one before being done; false at the end.
func (q *jobs) next() (job, bool) {
	for {
		q.mu.Lock()
		if len(q.queue) > 0 {
			j := q.queue[0]
			q.queue[0] = job{}
			if q.queue = q.queue[1:]; len(q.queue) == 0 {
				q.queue = nil
			}
			q.busy = true
			q.mu.Unlock()
			return j, true
		}
		q.busy = false
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return job{}, false
		}
		<-q.ready
	}
}

// idle reports whether nothing is waiting or being done.
func (q *jobs) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.queue) == 0 && !q.busy
}

// superseded reports whether a file is to be closed without having been opened.
func (q *jobs) superseded(f *openFile) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.queue, func(j job) bool { return j.kind == jobClose && j.file == f })
}

// block returns an empty block for records of a size, nil when too much waits
// already.
func (q *jobs) block(record int) []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := blockSize / record * record
	for len(q.free) > 0 {
		b := q.free[len(q.free)-1]
		if q.free = q.free[:len(q.free)-1]; cap(b) == size {
			return b
		}
		q.made-- // of another record version
	}
	if q.made >= q.limit {
		return nil
	}
	q.made++
	return make([]byte, 0, size)
}

// release takes back a block.
func (q *jobs) release(b []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.free) >= keepBlocks {
		q.made--
		return
	}
	q.free = append(q.free, b[:0])
}

// waiting is about how many octets wait.
func (q *jobs) waiting() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := int64(0)
	for i := range q.queue {
		n += int64(len(q.queue[i].block))
	}
	return n
}
