package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"flowtools/pkg/ftfile"
)

// queue is the list of files that a program has still to be run for with success,
// kept in a file that survives crashes. It grows by lines
//
//   - UNIXTIME NAME
//   - NAME
//
// for a file that came in and one that is done with, each made safe before
// anything else happens; from time to time it is written anew. A line that was
// cut by a crash does not count. While the file cannot be written the list goes on
// in memory. A queue is safe for concurrent use.
type queue struct {
	path string
	warn func(format string, args ...any)

	mu    sync.Mutex
	file  *os.File
	size  int64
	lines int
	stale bool // what is in the file is not the list any more
	names []string
	since map[string]time.Time // when the names came in
}

// Limits of a queue file.
const (
	queueSlack = 1000     // lines that are not needed, before the file is written anew
	queueLimit = 16 << 20 // octets that are read
)

// openQueue opens or makes the file of a queue. It is locked: the error of one
// that another process has open is errLocked.
func openQueue(path string, warn func(format string, args ...any)) (*queue, error) {
	q := &queue{path: path, warn: warn, since: map[string]time.Time{}}
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, ftfile.Reason(err)
		}
		if err := lock(f); err == errLocked {
			f.Close()
			return nil, err
		}
		if isStill(f, path) {
			q.file = f
			break
		}
		f.Close() // it was just written anew, by somebody who is gone
	}
	info, err := q.file.Stat()
	if err == nil && info.Size() > queueLimit {
		err = fmt.Errorf("%d octets are no queue", info.Size())
	}
	var text []byte
	if err == nil {
		text = make([]byte, info.Size())
		_, err = q.file.ReadAt(text, 0)
	}
	if err != nil {
		q.file.Close()
		return nil, ftfile.Reason(err)
	}
	q.replay(text)
	return q, nil
}

// replay makes the list of the lines of a file.
func (q *queue) replay(text []byte) {
	end := bytes.LastIndexByte(text, '\n') + 1
	bad := 0
	for line := range strings.Lines(string(text[:end])) {
		q.lines++
		line = strings.TrimSuffix(line, "\n")
		name, added := strings.CutPrefix(line, "+ ")
		if added {
			var stamp string
			stamp, name, _ = strings.Cut(name, " ")
			sec, err := strconv.ParseInt(stamp, 10, 64)
			if err == nil && isFinal(name) {
				q.enter(name, time.Unix(sec, 0))
				continue
			}
		} else if name, ok := strings.CutPrefix(line, "- "); ok && isFinal(name) {
			q.leave(name)
			continue
		}
		bad++
	}
	if bad > 0 {
		q.warn("%s: %d lines make no sense", q.path, bad)
	}
	q.size, q.stale = int64(end), end != len(text)
}

// isFinal reports whether a name is one that finalName makes: no other file is
// ever given to a program, whatever is in a queue.
func isFinal(name string) bool {
	dir, base := filepath.Split(name)
	if dir != "" && (!filepath.IsLocal(name) || filepath.Clean(dir)+"/" != dir) {
		return false
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
		if dir != "" && !isDated(part) {
			return false
		}
	}
	rest, ok := strings.CutPrefix(base, ftfile.PrefixDone+"-")
	if !ok {
		return false
	}
	_, _, ok = parseOpen(ftfile.PrefixOpen + "-" + rest)
	return ok
}

func (q *queue) enter(name string, since time.Time) {
	if _, there := q.since[name]; !there {
		q.names = append(q.names, name)
	}
	q.since[name] = since
}

func (q *queue) leave(name string) {
	if _, there := q.since[name]; !there {
		return
	}
	delete(q.since, name)
	for i, n := range q.names {
		if n == name {
			q.names = append(q.names[:i], q.names[i+1:]...)
			return
		}
	}
}

// list returns the names in the order in which they came in.
func (q *queue) list() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]string(nil), q.names...)
}

// entered returns when a name came in, entering one that did not.
func (q *queue) entered(name string, now time.Time) time.Time {
	q.mu.Lock()
	since, there := q.since[name]
	q.mu.Unlock()
	if !there {
		q.add(name, now)
		since = now
	}
	return since
}

// add enters a file.
func (q *queue) add(name string, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.enter(name, now)
	q.write(fmt.Sprintf("+ %d %s\n", now.Unix(), name))
}

// done takes a file off the list.
func (q *queue) done(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.leave(name)
	q.write("- " + name + "\n")
}

// write appends a line that says what was done to the list.
func (q *queue) write(line string) {
	if q.stale || q.lines > len(q.names)+queueSlack {
		q.renew()
		return
	}
	_, err := q.file.WriteAt([]byte(line), q.size)
	if err == nil {
		err = q.file.Sync()
	}
	if err != nil {
		q.fail(err)
		return
	}
	q.size += int64(len(line))
	q.lines++
}

// fail says that the file could not be written, once.
func (q *queue) fail(err error) {
	if !q.stale {
		q.warn("write(%s): %v; the list of files to run the program for goes on in memory", q.path, ftfile.Reason(err))
	}
	q.stale = true
}

// heal tries to write a file that could not be written, and reports whether it
// still cannot be.
func (q *queue) heal() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stale {
		q.renew()
	}
	return q.stale
}

// renew writes the file anew, beside itself, and puts it in its place.
func (q *queue) renew() {
	var text []byte
	for _, name := range q.names {
		text = fmt.Appendf(text, "+ %d %s\n", q.since[name].Unix(), name)
	}
	scratch := q.path + ".new"
	f, err := os.OpenFile(scratch, os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o644)
	if err == nil {
		_ = lock(f) // where files cannot be locked nobody else can
		if _, err = f.Write(text); err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = os.Rename(scratch, q.path)
		}
		if err != nil {
			f.Close()
			os.Remove(scratch)
		}
	}
	if err != nil {
		q.fail(err)
		return
	}
	q.file.Close()
	q.file, q.size, q.lines, q.stale = f, int64(len(text)), len(q.names), false
	if dir, err := os.Open(filepath.Dir(q.path)); err == nil {
		_ = dir.Sync() // not all systems can
		dir.Close()
	}
}

func (q *queue) close() {
	q.heal()
	q.file.Close()
}

// gone reports whether there is no such file.
func gone(name string) bool {
	_, err := os.Lstat(name)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}
