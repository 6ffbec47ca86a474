package capture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// nameTime is the time in the name of a file, behind its version.
const nameTime = "2006-01-02.150405-0700"

// parseOpen takes apart the name of an open file, without directories:
// tmp-vVV.TIME or tmp-vVVmMM.TIME. ok is false for any other name.
func parseOpen(name string) (kind string, t time.Time, ok bool) {
	rest, ok := strings.CutPrefix(name, ftfile.PrefixOpen+"-")
	if !ok {
		return "", t, false
	}
	kind, clock, ok := strings.Cut(rest, ".")
	version, method, agg := strings.Cut(strings.TrimPrefix(kind, "v"), "m")
	number := func(s string) bool { return len(s) >= 2 && strings.Trim(s, "0123456789") == "" }
	if !ok || kind[:min(1, len(kind))] != "v" || !number(version) || agg && !number(method) {
		return "", t, false
	}
	t, err := time.Parse(nameTime, clock)
	return kind, t, err == nil && t.Format(nameTime) == clock
}

// finalName is the name that an open file gets when it is complete, n seconds
// later than its own. tmp is a name that create made.
func finalName(tmp string, n int) string {
	dir, base := path.Split(tmp)
	kind, t, _ := parseOpen(base)
	return dir + ftfile.PrefixDone + "-" + kind + "." + t.Add(time.Duration(n)*time.Second).Format(nameTime)
}

// openLeftover opens and locks a file to recover it. The error is errLocked for
// one that another process has open.
func openLeftover(name string) (f *os.File, err error) {
	if f, err = os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); err != nil {
		return nil, ftfile.Reason(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a plain file")
	}
	if err == nil {
		err = lock(f)
	}
	if err == nil && !isStill(f, name) {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Leftovers looks below the work directory for the open files of a collector.
// Those that no process has open any more are for Recover; live are those of
// others, which must not be touched. Names are relative to the work directory.
// What looks like an open file and cannot be recovered is reported.
func Leftovers(at func(name string) string, warn func(format string, args ...any)) (left, live []string) {
	var walk func(dir string, depth int)
	walk = func(dir string, depth int) {
		entries, err := os.ReadDir(at(path.Join(".", dir)))
		if err != nil {
			if depth > 0 {
				warn("opendir(%s): %v", dir, ftfile.Reason(err))
			}
			return
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if depth < ftfile.NestLimit && isDated(e.Name()) {
				if info, err := os.Stat(at(name)); err == nil && info.IsDir() {
					walk(name, depth+1)
				}
				continue
			}
			base, scratch := strings.CutPrefix(e.Name(), ftfile.PrefixPrivate)
			if _, _, ok := parseOpen(base); !ok {
				continue
			}
			f, err := openLeftover(at(name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err == errLocked:
				live = append(live, name)
				continue
			case err != nil:
				warn("%s: %v: not recovered", name, err)
				live = append(live, name)
				continue
			case scratch: // of a recovery that was broken off
				os.Remove(at(name))
			default:
				left = append(left, name)
			}
			f.Close()
		}
	}
	walk("", 0)
	return left, live
}

// isDated reports whether a directory may be one that ftfile.Dir names.
func isDated(name string) bool {
	for _, layout := range []string{"2006", "2006-01", "2006-01-02"} {
		if len(name) == len(layout) {
			_, err := time.Parse(layout, name)
			return err == nil
		}
	}
	return false
}

// recover completes files left behind.
func (d *disk) recover(names []string, settled func()) {
	for len(names) > 0 {
		var again []string
		for _, name := range names {
			select {
			case <-d.stop:
				return
			default:
			}
			err := d.recoverFile(name)
			if noRoom(err) {
				again = append(again, name)
			}
			if err != nil && !errors.Is(err, errStopped) {
				d.Warn("%s: not recovered: %v", name, err)
			}
		}
		if names = again; len(names) > 0 {
			t := time.NewTimer(recoverDelay)
			select {
			case <-d.stop:
			case <-t.C:
			}
			t.Stop()
		}
	}
	settled()
}

const recoverDelay = time.Minute

var errStopped = errors.New("the program ends")

// recoverFile completes one file left behind. One that is not there any more, or
// that has become somebody else's, is no error.
func (d *disk) recoverFile(name string) error {
	f, err := openLeftover(d.Path(name))
	if errors.Is(err, fs.ErrNotExist) || err == errLocked {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if size := info.Size(); isBlank(f, size) {
		if size == 0 {
			d.Warn("%s: empty, removed", name)
		} else {
			d.Warn("%s: its header never reached the disk, removed", name)
		}
		err = os.Remove(d.Path(name))
		f.Close()
		return err
	}
	// It was written to last when it was closed, or its last records were flows
	// of about that time.
	changed := uint32(info.ModTime().Unix())
	f, h, err := d.salvage(f, name, func(h *ftfile.Header, c remains) {
		h.End = max(changed, h.Start)
		if c.last >= h.Start && c.last < h.End {
			h.End = c.last
		}
		h.Flows = uint32(c.flows)
		add(&h.Lost, c.missing)
		h.Flags |= ftfile.FlagDone
	})
	defer func() { f.Close() }() // or the one that took its place
	if err != nil {
		return err
	}
	c := d.publish(f, name, h)
	c.Recovered = true
	if c.Err == nil {
		d.counts.recovered.Add(1)
		d.Warn("%s: recovered, %d flows", c.Name, c.Flows)
	}
	d.finish(c)
	return nil
}

// remains is what salvage finds in a file.
type remains struct {
	flows   uint64
	missing uint64 // flows that were never written, as far as that is known
	last    uint32 // the router's clock in the last flow, 0 without one
}

// salvage makes a well-formed file of one that was being written: its whole
// records, and a header completed by set. A file that is complete comes back as it
// is.
// What was compressed or has holes is written anew, beside it, and takes its place
// when it is all there; the file returned, locked and to be closed in any case, is
// the one that has the name then.
func (d *disk) salvage(f *os.File, name string, set func(h *ftfile.Header, c remains)) (*os.File, *ftfile.Header, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return f, nil, err
	}
	r, err := ftfile.NewReader(f)
	if err != nil {
		return f, nil, err
	}
	defer r.Close()
	h := *r.Header()
	switch {
	case h.Stream != 3:
		return f, nil, fmt.Errorf("stream version %d", h.Stream)
	case h.Flags&ftfile.FlagDone != 0:
		// After a power cut there may be the last header and not all that it counts.
		whole, err := isWhole(f, r)
		if err != nil {
			return f, nil, err
		}
		if whole {
			return f, &h, nil
		}
		h.Flags &^= ftfile.FlagDone
	}
	if h.Flags&ftfile.FlagCompress != 0 {
		end, err := firstHole(f)
		if err != nil {
			return f, nil, err
		}
		return d.rewrite(f, name, &h, end, &holes{}, set)
	}
	info, err := f.Stat()
	if err != nil {
		return f, nil, err
	}
	record := int64(r.Layout().Size)
	missing, err := findHoles(f, int64(h.Size), info.Size(), int(record))
	if err != nil {
		return f, nil, err
	}
	if missing.count > 0 {
		d.Warn("%s: %d flows never reached the disk", name, missing.count)
		return d.rewrite(f, name, &h, info.Size(), missing, set)
	}
	c := remains{flows: uint64(info.Size()-int64(h.Size)) / uint64(record)}
	end := int64(h.Size) + int64(c.flows)*record
	if c.flows > 0 {
		b := flow.NewBatch(r.Layout())
		if _, err := f.ReadAt(b.Extend(1), end-record); err != nil {
			return f, nil, ftfile.Reason(err)
		}
		if h.Order() == flow.BigEndian {
			r.Layout().SwapOrder(b.Bytes())
		}
		c.last = clock(b)
	}
	set(&h, c)
	head, err := headerOver(&h)
	if err != nil {
		return f, nil, err
	}
	if err := f.Truncate(end); err != nil {
		return f, nil, ftfile.Reason(err)
	}
	_, err = f.WriteAt(head, 0)
	return f, &h, ftfile.Reason(err)
}

// isWhole reports whether a file holds what its header counts, and no more.
func isWhole(f *os.File, r *ftfile.Reader) (bool, error) {
	h := r.Header()
	if h.Flags&ftfile.FlagCompress == 0 {
		info, err := f.Stat()
		size := r.Layout().Size
		if err != nil || info.Size() != int64(h.Size)+int64(h.Flows)*int64(size) {
			return false, err
		}
		missing, err := findHoles(f, int64(h.Size), info.Size(), size)
		return err == nil && missing.count == 0, err
	}
	flows := uint64(0)
	for b := range r.Batches() {
		flows += uint64(b.Len())
	}
	return r.Err() == nil && flows == uint64(h.Flows), nil
}

// headerOver encodes a header to be written over the one that it was read from.
func headerOver(h *ftfile.Header) ([]byte, error) {
	head, err := h.Append(nil)
	if err == nil && len(head) != h.Size {
		err = fmt.Errorf("its header of %d octets is not one of ours", h.Size)
	}
	return head, err
}

// clock is the router's clock in the last record of b.
func clock(b *flow.Batch) uint32 {
	return uint32(b.Layout.Uint(b.At(b.Len()-1), flow.UnixSecs))
}

// rewrite is salvage for a file that is compressed, as far as end, or lacks some
// of its records.
func (d *disk) rewrite(f *os.File, name string, h *ftfile.Header, end int64, missing *holes, set func(h *ftfile.Header, c remains)) (_ *os.File, _ *ftfile.Header, err error) {
	start := int64(h.Size)
	r, err := ftfile.NewReaderHeader(io.NewSectionReader(f, start, max(end-start, 0)), h)
	if err != nil {
		return f, nil, err
	}
	defer r.Close()
	dir, base := path.Split(name)
	scratch := d.Path(dir + ftfile.PrefixPrivate + base)
	out, err := os.OpenFile(scratch, os.O_RDWR|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return f, nil, ftfile.Reason(err)
	}
	if err := lock(out); err == errLocked {
		out.Close()
		return f, nil, err
	}
	replaced := false
	defer func() {
		if !replaced {
			os.Remove(scratch)
			out.Close()
		}
	}()
	level := d.Level
	switch {
	case h.Flags&ftfile.FlagCompress == 0:
		level = 0
	case level == 0:
		level = 6
	}
	w, err := ftfile.NewWriter(out, h, ftfile.Level(level))
	if err != nil {
		return f, nil, err
	}
	defer w.Abort()
	c, record := remains{missing: missing.count}, int64(0)
	for b := range r.Batches() {
		select {
		case <-d.over:
			return f, nil, errStopped
		default:
		}
		if missing.count > 0 {
			b.Keep(func(flow.Record) bool { record++; return !missing.has(record - 1) })
		}
		if b.Len() > 0 {
			c.last = clock(b)
		}
		if err := w.Write(b); err != nil {
			return f, nil, err
		}
	}
	c.flows = w.Flows()
	set(h, c)
	if r.Err() == nil && missing.count == 0 { // only the header was missing
		head, err := headerOver(h)
		if err == nil {
			_, err = f.WriteAt(head, 0)
		}
		return f, h, ftfile.Reason(err)
	}
	if err := w.Finish(h); err != nil {
		return f, nil, err
	}
	if d.Sync > 0 {
		d.fsynced(out, name)
	}
	if err := os.Rename(scratch, d.Path(name)); err != nil {
		return f, nil, err
	}
	replaced = true
	f.Close()
	return out, h, nil
}
