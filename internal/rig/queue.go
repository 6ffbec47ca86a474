//go:build linux

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"flowtools/internal/capture"
	"flowtools/internal/daemon"
)

// Queue is the receive queue of a UDP socket of this host, as the system tells.
type Queue struct {
	port  uint16
	mu    sync.Mutex // of what follows
	file  *os.File
	buf   []byte
	limit uint64 // octets in the queue that Await lets pass
	skip  int    // calls of Await between those that look
	ahead int    // calls of Await until it looks again
}

// QueueState is the state of a Queue.
type QueueState struct {
	Octets uint64 // of memory, which is more than what the datagrams hold
	Drops  uint64 // datagrams that found no room
}

// NewQueue watches the sockets bound to a UDP port over IPv4. They are taken to
// have the receive buffer that flow-capture asks for, or what of it the system
// grants.
func NewQueue(port uint16) (*Queue, error) {
	size, err := grantedBuffer()
	if err != nil {
		return nil, err
	}
	f, err := os.Open("/proc/net/udp")
	if err != nil {
		return nil, err
	}
	q := &Queue{port: port, file: f, buf: make([]byte, 64<<10), limit: uint64(size) / 4}
	q.skip = max(size/4/batchMemory-1, 0)
	return q, nil
}

// batchMemory is more than a batch of datagrams takes of a receive buffer.
const batchMemory = maxBatch * 4608

// grantedBuffer returns the memory that flow-capture gets for a socket.
func grantedBuffer() (int, error) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	_, granted, err := daemon.ReceiveBuffer(raw, capture.ReceiveBuffer)
	return 2 * granted, err // Linux counts its own needs in
}

// Close ends watching.
func (q *Queue) Close() error { return q.file.Close() }

var errNotBound = errors.New("no socket is bound to the port")

// State returns the state, of all sockets of the port together.
func (q *Queue) State() (QueueState, error) {
	var st QueueState
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, err := q.file.Seek(0, 0); err != nil {
		return st, err
	}
	n := 0
	for n < len(q.buf) {
		m, err := q.file.Read(q.buf[n:])
		if n += m; m == 0 || err != nil {
			break
		}
	}
	want := fmt.Appendf(nil, ":%04X", q.port)
	found := false
	for line := range bytes.Lines(q.buf[:n]) {
		// sl local remote st tx:rx tr:when retr uid timeout inode ref pointer drops
		f := bytes.Fields(line)
		if len(f) < 13 || !bytes.HasSuffix(f[1], want) {
			continue
		}
		found = true
		_, rx, _ := bytes.Cut(f[4], []byte{':'})
		octets, err := strconv.ParseUint(string(rx), 16, 64)
		if err != nil {
			return st, fmt.Errorf("/proc/net/udp: %q", line)
		}
		drops, err := strconv.ParseUint(string(f[12]), 10, 64)
		if err != nil {
			return st, fmt.Errorf("/proc/net/udp: %q", line)
		}
		st.Octets += octets
		st.Drops += drops
	}
	if !found {
		return st, errNotBound
	}
	return st, nil
}

// Await waits until a batch of datagrams finds room. Where the receive buffer is
// large it looks every now and then only.
func (q *Queue) Await(ctx context.Context) error {
	if q.ahead > 0 {
		q.ahead--
		return nil
	}
	for {
		st, err := q.State()
		if err != nil {
			return err
		}
		if st.Octets < q.limit {
			q.ahead = q.skip
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Microsecond):
		}
	}
}
