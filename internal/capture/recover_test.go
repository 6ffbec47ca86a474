package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/flowtest"
	"flowtools/internal/streamio"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// openText makes the content of an open file of a collector.
func openText(t testing.TB, l *flow.Layout, o streamio.Output, start uint32, batches ...*flow.Batch) []byte {
	t.Helper()
	h := ftfile.NewHeader(l.Version, 0)
	h.Start, h.Hostname = start, "router"
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt, ftfile.TagResets, ftfile.TagHostname)
	var out bytes.Buffer
	w, err := o.CreateOn(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func writeFile(t testing.TB, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// finished returns the content of an open file with the header that it gets at the
// end, as a power cut can leave it: whatever else of the file there is.
func finished(t testing.TB, text []byte, flows uint32) []byte {
	t.Helper()
	h := contentHeader(t, text)
	size := h.Size
	h.Flags |= ftfile.FlagDone
	h.Flows, h.End = flows, h.Start
	head, err := h.Append(nil)
	if err != nil || len(head) != size {
		t.Fatalf("header of %d octets over %d: %v", len(head), size, err)
	}
	return append(head, text[size:]...)
}

// TestRecoverCut: an open file that is cut anywhere becomes a well-formed file
// with all the records that a reader finds in it, whether its header says that
// it is complete or not.
func TestRecoverCut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, version := range []flow.Version{v(1, 0), v(5, 0), v(7, 0), v(8, 3), v(8, 14), v(1005, 0)} {
		for name, output := range storeOutputs {
			l := flowtest.Layout(version.Export, version.Agg)
			text := openText(t, l, output, 1_700_000_000, flowtest.Random(l, 700, 1), flowtest.Random(l, 1, 2), flowtest.Random(l, 900, 3))
			head := contentHeader(t, text)
			cuts := []int{head.Size, head.Size + 1, head.Size + l.Size, len(text) - 1, len(text) - 4, len(text) - 5, len(text)}
			for range 8 {
				cuts = append(cuts, head.Size+rnd.IntN(len(text)-head.Size))
			}
			for i, cut := range append(cuts, cuts...) {
				text := text
				if i >= len(cuts) {
					text = finished(t, text, 1601)
				}
				dir := t.TempDir()
				tmp := "2023/2023-11/2023-11-14/" + ftfile.Name(ftfile.PrefixOpen, version, time.Unix(1_700_000_000, 0).UTC())
				at := filepath.Join(dir, tmp)
				writeFile(t, at, text[:cut])
				before := contentOf(t, at)
				closed := recoverAll(t, dir)
				if len(closed) != 1 || closed[0].Err != nil || !closed[0].Recovered || closed[0].Name != strings.Replace(tmp, "tmp-", "ft-", 1) {
					t.Fatalf("%v %s at %d: %+v", version, name, cut, closed)
				}
				if d := cmp.Diff([]string{closed[0].Name}, listing(t, dir)); d != "" {
					t.Fatalf("%v %s at %d: %s", version, name, cut, d)
				}
				c := complete(t, filepath.Join(dir, closed[0].Name))
				if !bytes.Equal(c.records, before.records) || c.header.Order() != output.Order && output.Order == flow.BigEndian {
					t.Errorf("%v %s at %d: %d octets, %d before", version, name, cut, len(c.records), len(before.records))
				}
				if info, err := os.Stat(filepath.Join(dir, closed[0].Name)); err != nil || info.Size() != closed[0].Size || info.Mode() != 0o644 {
					t.Errorf("%v %+v", info, closed[0])
				}
				if h := c.header; h.Start != 1_700_000_000 || h.Hostname != "router" || uint64(h.Flows) != closed[0].Flows {
					t.Errorf("%+v", h)
				}
			}
		}
	}
}

func contentHeader(t testing.TB, text []byte) *ftfile.Header {
	t.Helper()
	h, err := ftfile.ReadHeader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestRecoverEnd: the end is that of the last flow if that makes sense, else the
// time when the file was written to last.
func TestRecoverEnd(t *testing.T) {
	const start, changed = 1_700_000_000, 1_700_000_500
	l := flowtest.Layout(5, 0)
	for _, tc := range []struct{ last, want uint32 }{
		{start, start}, {start + 99, start + 99}, {changed, changed}, {changed + 1, changed}, {start - 1, changed}, {0, changed},
	} {
		for _, output := range storeOutputs {
			b := flowtest.Random(l, 3, 1)
			l.PutUint(b.At(2), flow.UnixSecs, uint64(tc.last))
			dir := t.TempDir()
			at := filepath.Join(dir, "tmp-v05.2023-11-14.221320+0000")
			text := openText(t, l, output, start, b)
			writeFile(t, at, text[:len(text)-2*(min(1, output.Level))])
			when := time.Unix(changed, 0)
			if err := os.Chtimes(at, when, when); err != nil {
				t.Fatal(err)
			}
			closed := recoverAll(t, dir)
			if c := complete(t, filepath.Join(dir, closed[0].Name)); c.header.End != tc.want || c.header.Flows != 3 {
				t.Errorf("last flow %d: %+v", tc.last, c.header)
			}
		}
	}
}

func TestRecoverOthers(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	l := flowtest.Layout(5, 0)
	text := openText(t, l, streamio.Output{}, 1_700_000_000, flowtest.Random(l, 10, 1))
	done := contentHeader(t, text)
	done.Flags |= ftfile.FlagDone
	done.Flows, done.End, done.Lost = 10, 1_700_000_900, 7
	head, err := done.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"tmp-v05.2023-11-14.221320+0000":                              text,                                  // taken
		"ft-v05.2023-11-14.221320+0000":                               []byte("precious"),                    //
		"ft-v05.2023-11-14.221321+0000":                               []byte("precious"),                    //
		"2023/tmp-v05.2023-11-14.221500+0100":                         slices.Concat(head, text[len(head):]), // complete but for its name
		"2023/2023-11/tmp-v05.2023-11-14.221600-0530":                 {},
		"2023-11-14/tmp-v05.2023-11-14.221700+0000":                   text[:20], // no header
		"2023-11-14/tmp-v05.2023-11-14.221701+0000":                   bytes.Repeat([]byte{1}, 500),
		"2023-11-14/tmp-v05.2023-11-14.221702+0000":                   append(make([]byte, 4096), text...), // its first page was never written
		"2023-11-14/tmp-v05.2023-11-14.221800+0000":                   text,                                // somebody has it open
		".flow-capture.tmp-v05.2023-11-14.221320+0000":                []byte("of a recovery that was broken off"),
		".flow-capture.9995.queue":                                    []byte("something else"),
		"tmp-v5.2023-11-14.221320+0000":                               text,
		"tmp-v05.2023-11-14.221320":                                   text,
		"tmp-v05.2023-13-14.221320+0000":                              text,
		"tmp-v05.2023-11-14.221320+0000.gz":                           text,
		"tmp-d":                                                       text,
		"other/tmp-v05.2023-11-14.221320+0000":                        text,
		"2023/2023-11/2023-11-14/2023/tmp-v05.2023-11-14.221320+0000": text,
	} {
		writeFile(t, at(name), text)
	}
	if err := os.MkdirAll(at("tmp-v05.2023-11-14.230000+0000"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("ft-v05.2023-11-14.221320+0000", at("tmp-v05.2023-11-14.230001+0000")); err != nil {
		t.Fatal(err)
	}
	holder, err := os.OpenFile(at("2023-11-14/tmp-v05.2023-11-14.221800+0000"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	if err := lock(holder); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	var j journal
	left, live := Leftovers(at, j.warn)
	slices.Sort(left)
	slices.Sort(live)
	if d := cmp.Diff([]string{
		"2023-11-14/tmp-v05.2023-11-14.221700+0000", "2023-11-14/tmp-v05.2023-11-14.221701+0000", "2023-11-14/tmp-v05.2023-11-14.221702+0000", "2023/2023-11/tmp-v05.2023-11-14.221600-0530",
		"2023/tmp-v05.2023-11-14.221500+0100", "tmp-v05.2023-11-14.221320+0000",
	}, left); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"2023-11-14/tmp-v05.2023-11-14.221800+0000", "tmp-v05.2023-11-14.230000+0000", "tmp-v05.2023-11-14.230001+0000"}, live); d != "" {
		t.Error(d)
	}
	s := NewStore(StoreConfig{Path: at, Zone: zone("UTC0"), Now: time.Now, Warn: j.warn})
	settled := make(chan struct{})
	s.Recover(append(left, live...), func() { close(settled) })
	<-settled
	<-s.Done()
	s.Drain()
	var names []string
	for _, c := range s.Take() {
		names = append(names, fmt.Sprintf("%s %d %v", c.Name, c.Flows, c.Err))
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{"2023/ft-v05.2023-11-14.221500+0100 10 <nil>", "ft-v05.2023-11-14.221322+0000 10 <nil>"}, names); d != "" {
		t.Error(d)
	}
	if h := complete(t, at("2023/ft-v05.2023-11-14.221500+0100")).header; h.Lost != 7 || h.End != 1_700_000_900 {
		t.Errorf("%+v", h)
	}
	complete(t, at("ft-v05.2023-11-14.221322+0000"))
	if s := s.Stats(); s.Recovered != 2 || s.Files != 2 {
		t.Errorf("%+v", s)
	}
	gone := []string{
		"2023-11-14/tmp-v05.2023-11-14.221702+0000",
		".flow-capture.tmp-v05.2023-11-14.221320+0000", "2023/2023-11/tmp-v05.2023-11-14.221600-0530",
		"2023/tmp-v05.2023-11-14.221500+0100", "tmp-v05.2023-11-14.221320+0000",
	}
	want := slices.DeleteFunc(before, func(name string) bool { return slices.Contains(gone, name) })
	want = append(want, "2023/ft-v05.2023-11-14.221500+0100", "ft-v05.2023-11-14.221322+0000")
	slices.Sort(want)
	after := listing(t, dir)
	slices.Sort(after)
	if d := cmp.Diff(want, after); d != "" {
		t.Error(d)
	}
	for _, name := range []string{"ft-v05.2023-11-14.221320+0000", "ft-v05.2023-11-14.221321+0000"} {
		if text, err := os.ReadFile(at(name)); err != nil || string(text) != "precious" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for _, want := range []string{
		"ft-v05.2023-11-14.221322+0000: recovered, 10 flows", "221600-0530: empty, removed",
		"221700+0000: not recovered: Short read while loading header",
		"221702+0000: its header never reached the disk, removed",
		"221701+0000: not recovered: ftiheader_read(): Warning, bad magic number",
		"tmp-v05.2023-11-14.230001+0000: too many levels of symbolic links: not recovered",
		"tmp-v05.2023-11-14.230000+0000: is a directory: not recovered",
	} {
		if !strings.Contains(j.text(), want) {
			t.Errorf("no %q in\n%s", want, j.text())
		}
	}
}

// TestStoreLocks: the open file of a live store is nobody's leftover, in this or
// another process, and files of two stores do not meet.
func TestStoreLocks(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	clock := time.Unix(1_700_000_000, 0)
	var stores []*Store
	for range 3 {
		s := newStore(t, dir, &clock, 96, 0)
		if err := s.Open(v(5, 0)); err != nil {
			t.Fatal(err)
		}
		stores = append(stores, s)
		if left, live := Leftovers(at, t.Logf); len(left) != 0 || len(live) != len(stores) {
			t.Errorf("left %v, live %v", left, live)
		}
	}
	for _, s := range stores {
		s.Close(Counts{})
		s.Drain()
		if c := s.Take(); len(c) != 1 || c[0].Err != nil {
			t.Errorf("%+v", c)
		}
	}
	if n := len(listing(t, dir)); n != 3 {
		t.Errorf("%d files", n)
	}
}

// TestStoreLeft: a store that ends without closing its file leaves all flows for
// the next one.
func TestStoreLeft(t *testing.T) {
	for _, output := range storeOutputs {
		dir := t.TempDir()
		s := NewStore(StoreConfig{
			Output: output, Zone: zone("UTC0"), Now: time.Now, Warn: t.Logf, Path: func(name string) string { return filepath.Join(dir, name) },
		})
		if err := s.Open(v(5, 0)); err != nil {
			t.Fatal(err)
		}
		b := flowtest.Random(flowtest.Layout(5, 0), 1234, 1)
		s.Write(b)
		s.Drain()
		closed := recoverAll(t, dir)
		if c := complete(t, filepath.Join(dir, closed[0].Name)); !bytes.Equal(c.records, b.Bytes()) {
			t.Errorf("%d octets", len(c.records))
		}
	}
}

func TestParseOpen(t *testing.T) {
	for name, want := range map[string]string{
		"tmp-v05.2023-11-14.221320+0000":    "v05 1700000000",
		"tmp-v1005.2023-11-14.221320-0530":  "v1005 1700019800",
		"tmp-v08m14.2024-02-29.000000+1400": "v08m14 1709114400",
		"tmp-v05.2023-02-29.000000+0000":    "",
		"ft-v05.2023-11-14.221320+0000":     "",
		"tmp-5.2023-11-14.221320+0000":      "",
		"tmp-v.2023-11-14.221320+0000":      "",
		"tmp-v0/5.2023-11-14.221320+0000":   "",
		"tmp-v05m.2023-11-14.221320+0000":   "",
		"tmp-v05m1.2023-11-14.221320+0000":  "",
		"tmp-v05.2023-11-14.221320+0000\n":  "",
		"tmp-v05.2023-11-14.221320+0000.":   "",
		"tmp-v05.2023-1-14.221320+0000":     "",
		"tmp-v05.2023-11-14.221320.5+0000":  "",
		"tmp-":                              "",
		"":                                  "",
	} {
		got := ""
		if kind, at, ok := parseOpen(name); ok {
			got = fmt.Sprint(kind, " ", at.Unix())
			if final := finalName("2023/"+name, 0); final != "2023/ft"+name[3:] {
				t.Errorf("%q becomes %q", name, final)
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	if got := finalName("a/tmp-v05.2023-12-31.235959-0100", 2); got != "a/ft-v05.2024-01-01.000001-0100" {
		t.Error(got)
	}
}

// FuzzRecover: whatever a crash leaves, there is a well-formed file afterwards or
// the same as before.
func FuzzRecover(f *testing.F) {
	l := flowtest.Layout(5, 0)
	for _, output := range storeOutputs {
		text := openText(f, l, output, 1_700_000_000, flowtest.Random(l, 3, 1), flowtest.Random(l, 2, 2))
		f.Add(text)
		f.Add(text[:len(text)-9])
	}
	f.Add([]byte{})
	f.Add([]byte{0})
	f.Add(make([]byte, 100))
	f.Add([]byte{0xCF, 0x10, 1, 1})
	dir := f.TempDir()
	const tmp, final = "tmp-v05.2023-11-14.221320+0000", "ft-v05.2023-11-14.221320+0000"
	at := func(name string) string { return filepath.Join(dir, name) }
	f.Fuzz(func(t *testing.T, text []byte) {
		writeFile(t, at(tmp), text)
		s := NewStore(StoreConfig{Path: at, Zone: zone("UTC0"), Now: time.Now, Warn: func(string, ...any) {}})
		settled := make(chan struct{})
		s.Recover([]string{tmp}, func() { close(settled) })
		<-settled
		s.Drain()
		if list := s.Take(); len(list) > 0 {
			c := list[0]
			if c.Err != nil || c.Name != final {
				t.Fatalf("%+v", c)
			}
			file, err := os.Open(at(final))
			if err != nil {
				t.Fatal(err)
			}
			r, err := ftfile.NewReader(file)
			if err != nil {
				t.Fatal(err)
			}
			h := contentHeader(t, text)
			n := uint64(0)
			for b := range r.Batches() {
				n += uint64(b.Len())
			}
			if was := h.Flags&ftfile.FlagDone != 0; !was && (r.Err() != nil || r.Header().Flags&ftfile.FlagDone == 0 || c.Flows != n) {
				t.Fatalf("%d flows, %v, %+v", n, r.Err(), r.Header())
			}
			r.Close()
			file.Close()
			os.Remove(at(final))
			return
		}
		now, err := os.ReadFile(at(tmp))
		if blank := isZero(text[:min(len(text), recordHead)]); blank != errors.Is(err, fs.ErrNotExist) || !blank && !bytes.Equal(now, text) {
			t.Fatalf("changed and not recovered: %v", err)
		}
		if list := listing(t, dir); len(list) > 1 {
			t.Fatalf("%v", list)
		}
		os.Remove(at(tmp))
	})
}

func BenchmarkRecover(b *testing.B) {
	l := flowtest.Layout(5, 0)
	batch := flowtest.Random(l, 100_000, 1)
	for name, output := range map[string]streamio.Output{"plain": {}, "level 6": {Level: 6}} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			text := openText(b, l, output, 1_700_000_000, batch)
			text = text[:len(text)-100]
			b.SetBytes(int64(len(batch.Bytes())))
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				at := func(name string) string { return filepath.Join(dir, name) }
				writeFile(b, at("tmp-v05.2023-11-14.221320+0000"), text)
				s := NewStore(StoreConfig{Output: output, Path: at, Zone: zone("UTC0"), Now: time.Now, Warn: func(string, ...any) {}})
				b.StartTimer()
				settled := make(chan struct{})
				s.Recover([]string{"tmp-v05.2023-11-14.221320+0000"}, func() { close(settled) })
				<-settled
				s.Drain()
				b.StopTimer()
				if c := s.Take(); len(c) != 1 || c[0].Err != nil {
					b.Fatalf("%+v", c)
				}
				os.Remove(at("ft-v05.2023-11-14.221320+0000"))
				b.StartTimer()
			}
		})
	}
}

// TestRecoverHoles: pages that a power cut kept from the disk are read as zeros.
// Flows in them are left out and counted as lost, those before and behind them in
// a plain file stay, and no others appear.
func TestRecoverHoles(t *testing.T) {
	const flows = 2000
	l := flowtest.Layout(5, 0)
	records := flowtest.Random(l, flows, 1)
	for name, output := range storeOutputs {
		open := openText(t, l, output, 1_700_000_000, records)
		head := contentHeader(t, open).Size
		record := func(offset int) int { return (offset - head) / l.Size }
		written := head + 100*l.Size // in the middle of a page
		page := (written/pageSize + 1) * pageSize
		// From where a write ended or a page began, to the end of a page or of the file.
		holes := [][2]int{{written, page}, {written, page + pageSize}, {page, page + pageSize}, {page, len(open)}, {written, len(open)}, {}}
		for i, hole := range slices.Concat(holes, holes) {
			text, at := open, fmt.Sprintf("%s, hole at %d", name, hole)
			if i >= len(holes) { // its header was written, as it is at the end
				text, at = finished(t, open, flows), at+", finished"
			}
			if hole[1] > len(text) {
				t.Fatalf("%s: %d octets", at, len(text))
			}
			broken := slices.Clone(text)
			clear(broken[hole[0]:hole[1]])
			dir := t.TempDir()
			writeFile(t, filepath.Join(dir, ftfile.Name(ftfile.PrefixOpen, l.Version, time.Unix(1_700_000_000, 0).UTC())), broken)
			closed := recoverAll(t, dir)
			if len(closed) != 1 || closed[0].Err != nil {
				t.Fatalf("%s: %+v", at, closed)
			}
			c := complete(t, filepath.Join(dir, closed[0].Name))
			all := records.Bytes()
			if output.Level > 0 && hole[1] > 0 {
				// As far as it goes, and no further: a hole is not data.
				if !bytes.HasPrefix(all, c.records) || len(c.records) == 0 {
					t.Errorf("%s: %d flows, not what was written", at, len(c.records)/l.Size)
				}
				continue
			}
			from, to := 0, 0
			if hole[1] > 0 {
				from, to = record(hole[0]), record(hole[1]+l.Size-1)
			}
			want := slices.Concat(all[:from*l.Size], all[to*l.Size:])
			if !bytes.Equal(c.records, want) {
				t.Errorf("%s: %d flows, want %d", at, len(c.records)/l.Size, len(want)/l.Size)
			}
			if lost := uint32(to - from); c.header.Lost != lost || c.header.Flows != flows-lost {
				t.Errorf("%s: header counts %d flows and %d lost, want %d and %d", at, c.header.Flows, c.header.Lost, flows-lost, lost)
			}
		}
	}
}
