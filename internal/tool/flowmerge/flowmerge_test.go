package flowmerge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// ended returns version 5 records that ended at the given milliseconds, marked
// by their source port.
func ended(mark uint64, ends ...uint64) *flow.Batch {
	l := flowtest.Layout(5, 0)
	b := flowtest.Random(l, len(ends), mark)
	for i, end := range ends {
		for f, v := range map[flow.Field]uint64{flow.UnixSecs: 1700000000, flow.UnixNsecs: 0, flow.SysUptime: 0, flow.Last: end, flow.SrcPort: mark} {
			l.PutUint(b.At(i), f, v)
		}
	}
	return b
}

// order lists the marks of records, one letter each.
func order(t *testing.T, stream []byte) string {
	t.Helper()
	_, b := tooltest.Stream(t, stream)
	var s strings.Builder
	for r := range b.All() {
		s.WriteByte(byte('a' - 1 + b.Layout.Uint(r, flow.SrcPort)))
	}
	return s.String()
}

func TestMerge(t *testing.T) {
	dir := t.TempDir()
	at := func(start uint32) func(h *ftfile.Header) {
		return func(h *ftfile.Header) { h.Start = start; h.Mark(ftfile.TagStart) }
	}
	tooltest.Write(t, dir, map[string][]byte{
		"a": tooltest.Capture(t, ended(1, 10, 20, 30), at(9)), "b": tooltest.Capture(t, ended(2, 10, 20, 30), at(5)),
		"c": flowtest.Stream(ended(3, 25, 5, 35)), "none": flowtest.Stream(ended(4)), "tmp-e": flowtest.Stream(ended(5, 1)),
		"d/2": tooltest.Capture(t, ended(6, 10, 20), at(20)), "d/1": tooltest.Capture(t, ended(7, 10, 20), at(30)),
	})
	for _, tc := range []struct{ args, want string }{
		{"a", "aaa"},
		{"", "zzz"},
		{"a b", "ababab"},
		{"b a", "bababa"},
		{"-g a b", "bababa"},
		{"a b c", "ababccabc"},
		{"none a none", "aaa"},
		{"none", ""},
		{"a - b", "azbazbazb"},
		{"-g a - b", "zbazbazba"},
		{"tmp-e a", "aaa"},
		{"-a tmp-e a", "eaaa"},
		{"d", "fgfg"},
		{"a d", "afgafga"},
		{"nosuch a", "aaa"},
		{"-m a a", "aaaaaa"},
	} {
		r := tooltest.World{Dir: dir, Stdin: bytes.NewReader(flowtest.Stream(ended(26, 10, 20, 30)))}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		if r.Code != 0 || r.Err != "" && !strings.Contains(tc.args, "nosuch") {
			t.Errorf("%s: status %d, %s", tc.args, r.Code, r.Err)
			continue
		}
		if got := order(t, r.Out); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.args, got, tc.want)
		}
	}
}

// naive merges by looking at every stream for every record.
func naive(l *flow.Layout, streams []*flow.Batch) []byte {
	at := make([]int, len(streams))
	end := func(i int) (secs uint32, ms uint64) {
		sum := l.Millis(streams[i].At(at[i]), flow.Last)
		return flow.Seconds(sum), sum % 1000
	}
	var out []byte
	for {
		best := -1
		for i := range streams {
			if at[i] == streams[i].Len() {
				continue
			}
			if best >= 0 {
				s, ms := end(i)
				bs, bms := end(best)
				if s > bs || s == bs && ms >= bms {
					continue
				}
			}
			best = i
		}
		if best < 0 {
			return out
		}
		out = append(out, streams[best].At(at[best])...)
		at[best]++
	}
}

// Every version, sorted streams and unsorted ones, many ties, times that wrap.
func TestNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		for _, n := range []int{1, 2, 3, 20} {
			dir := t.TempDir()
			var streams []*flow.Batch
			var args []string
			for i := range n {
				b := flowtest.Random(l, rng.IntN(3)*rng.IntN(200), uint64(i))
				last := rng.Uint64N(100)
				if rng.IntN(4) > 0 { // otherwise any times at all
					for r := range b.All() {
						last += rng.Uint64N(3)
						for f, value := range map[flow.Field]uint64{flow.UnixSecs: 0, flow.UnixNsecs: 0, flow.SysUptime: 100, flow.Last: last} {
							l.PutUint(r, f, value)
						}
					}
				}
				name := fmt.Sprint(i)
				tooltest.Write(t, dir, map[string][]byte{name: flowtest.Stream(b, ftfile.Level(rng.IntN(2)))})
				streams, args = append(streams, b), append(args, name)
			}
			r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), args...)
			if _, got := tooltest.Stream(t, r.Out); r.Code != 0 || !bytes.Equal(got.Bytes(), naive(l, streams)) {
				t.Errorf("%v, %d streams: status %d, %s, %d records", v, n, r.Code, r.Err, got.Len())
			}
		}
	}
}

func TestOutputFile(t *testing.T) {
	dir := t.TempDir()
	times := func(start, end uint32) func(h *ftfile.Header) {
		return func(h *ftfile.Header) {
			h.Start, h.End, h.Lost = start, end, 9
			h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagLost)
		}
	}
	tooltest.Write(t, dir, map[string][]byte{
		"a": tooltest.Capture(t, ended(1, 10, 20), times(500, 600)), "b": tooltest.Capture(t, ended(2, 10, 20), times(400, 450)), "c": flowtest.Stream(ended(3)),
	})
	for _, tc := range []struct {
		args       string
		start, end uint32
		flows      uint32
	}{{"a b", 400, 600, 4}, {"b a", 400, 600, 4}, {"-z3 -C text a c", 0, 600, 2}, {"c", 0, 0, 0}, {"-b big b", 400, 450, 2}} {
		r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), append(strings.Fields(tc.args), "-o", "out")...)
		h, b := tooltest.File(t, dir, "out")
		if r.Code != 0 || len(r.Out) != 0 || h.Start != tc.start || h.End != tc.end || h.Flows != tc.flows || b.Len() != int(tc.flows) ||
			h.Flags&(ftfile.FlagDone|ftfile.FlagStreaming) != ftfile.FlagDone || h.Has(ftfile.TagLost) || h.Has(ftfile.TagComments) != strings.Contains(tc.args, "-C") {
			t.Errorf("%s: status %d, %+v, %d records", tc.args, r.Code, h, b.Len())
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	head, err := ftfile.NewHeader(flow.Version{Export: 9}, 0).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	tooltest.Write(t, dir, map[string][]byte{
		"a": flowtest.Stream(ended(1, 1)), "v7": flowtest.Stream(flowtest.Random(flowtest.Layout(7, 0), 1, 1)), "v9": head, "junk": []byte("what is this"),
	})
	for _, tc := range []struct {
		args string
		code int
		out  int // octets: a header has 24
		err  string
	}{
		{"a v7", 1, 24, "flow-merge: data version or sub version changed!\n"},
		{"a v9", 1, 24, "flow-merge: Unsupported d_version 9\nflow-merge: Unsupported record type\nflow-merge: ftio_init(): failed\n"},
		{"v9 a", 1, 0, "flow-merge: Unsupported d_version 9\n"},
		{"nosuch", 0, 0, "flow-merge: open(nosuch): no such file or directory\n"},
		{"junk", 0, 0, "Failed, ignoring file."},
		{"-z6 nosuch", 0, 0, "open(nosuch)"},
		{"-o out nosuch", 1, 0, "flow-merge: Set d_version and byte_order first\nflow-merge: ftio_write_header(): failed\n"},
		{"", 1, 0, "short read while loading header top.\nflow-merge: ftiheader_read(): failed\nflow-merge: ftio_init(): failed\n"},
		{"-i 3 a", 1, 0, "Usage: flow-merge"},
		{"-p a", 1, 0, "invalid option -- 'p'"},
		{"-h", 1, 0, "Usage: flow-merge"},
		{"-z 12 a", 1, 0, "Compression level must be between 0 and 9"},
		{"-b bigger a", 1, 0, "expecting \"big\" or \"little\""},
	} {
		r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		if r.Code != tc.code || len(r.Out) != tc.out || !strings.Contains(r.Err, tc.err) {
			t.Errorf("%s: status %d, %d octets, %s", tc.args, r.Code, len(r.Out), r.Err)
		}
	}
}

// A cut stream ends early and the others go on.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	cut := flowtest.Stream(ended(1, 10, 20, 30))
	tooltest.Write(t, dir, map[string][]byte{"cut": cut[:len(cut)-1], "b": flowtest.Stream(ended(2, 15, 25, 35))})
	r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), "cut", "b")
	if got := order(t, r.Out); r.Code != 0 || got != "ababb" || !strings.Contains(r.Err, "partial record") {
		t.Errorf("status %d, %s, %s", r.Code, got, r.Err)
	}
}

// Records go out before a live stream is waited for, and a signal ends the
// merge as soon as that gives something.
func TestLive(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{"a": flowtest.Stream(ended(1, 10, 50, 60))})
	live := flowtest.Stream(ended(2, 5, 20, 30))
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, tool, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := out.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil { // not for ever, should it fail
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan tooltest.Result, 1)
	go func() {
		defer tool.Close()
		done <- tooltest.World{Dir: dir, Stdin: stdin, Out: tool}.Run(ctx, Spec(), "-", "a")
	}()
	const size = 64
	feed.Write(live[:24+2*size])
	got := make([]byte, 24+3*size) // the live ones and a's first
	if _, err := io.ReadFull(out, got); err != nil {
		t.Fatal(err)
	}
	if got := order(t, got); got != "bab" {
		t.Errorf("%s before the live stream goes on", got)
	}
	cancel()
	feed.Write(live[24+2*size:])
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if r := <-done; r.Code != 0 || len(rest) > 0 {
		t.Errorf("status %d, %s, %d octets after the signal", r.Code, r.Err, len(rest))
	}
	feed.Close()
}

func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{
		"a":  flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), 100000, 1), ftfile.Level(1)),
		"v7": flowtest.Stream(flowtest.Random(flowtest.Layout(7, 0), 1, 1)),
	})
	tooltest.NothingLeft(t)
	for range 3 {
		for _, args := range [][]string{{"-z1", "a", "v7"}, {"-z1", "a", "a"}} {
			room := tooltest.Room(100000)
			if r := (tooltest.World{Dir: dir, Out: &room}).Run(t.Context(), Spec(), args...); r.Code != 1 {
				t.Errorf("%q: status %d", args, r.Code)
			}
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	const records = 200000
	for _, n := range []int{2, 50} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			var args []string
			for i := range n {
				name := filepath.Join(dir, fmt.Sprint(i))
				if err := os.WriteFile(name, flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), records/n, uint64(i))), 0o644); err != nil {
					b.Fatal(err)
				}
				args = append(args, name)
			}
			b.ReportAllocs()
			for b.Loop() {
				if r := (tooltest.World{Out: io.Discard}).Run(b.Context(), Spec(), args...); r.Code != 0 {
					b.Fatal(r.Err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
		})
	}
}
