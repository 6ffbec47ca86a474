package flowcat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/inputs"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// marked returns n version 5 records whose source port tells where they are from.
func marked(n int, mark uint64) *flow.Batch {
	b := flowtest.Random(flowtest.Layout(5, 0), n, mark)
	for r := range b.All() {
		b.Layout.PutUint(r, flow.SrcPort, mark)
	}
	return b
}

// marks lists the marks of a stream's records, each run once.
func marks(t *testing.T, stream []byte) []uint64 {
	t.Helper()
	_, b := tooltest.Stream(t, stream)
	var list []uint64
	for r := range b.All() {
		list = append(list, b.Layout.Uint(r, flow.SrcPort))
	}
	return slices.Compact(list)
}

// started returns a capture file of records marked 1, 2, ... that began at start.
func started(t *testing.T, mark uint64, start uint32) []byte {
	return tooltest.Capture(t, marked(3, mark), func(h *ftfile.Header) {
		h.Start, h.End = start, start+10
		h.Mark(ftfile.TagStart, ftfile.TagEnd)
	})
}

// Which files come, and in what order.
func TestOperands(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{
		"a": started(t, 1, 30), "b": started(t, 2, 20), "c": flowtest.Stream(marked(3, 3)),
		"tmp-d": started(t, 4, 10), "junk": []byte("nothing of ours"), "empty": nil,
		"dir/ft-1": started(t, 11, 50), "dir/sub/ft-2": started(t, 12, 15), "dir/tmp-3": started(t, 13, 60), "dir/.hid": started(t, 14, 55),
		"dir/x.": started(t, 15, 1), "dir/y./z": started(t, 16, 1), "dir/tmpdir/ft-7": started(t, 17, 70), "dir/junk": []byte("junk"),
		"bare/x": nil,
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "dir", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		want []uint64 // nil: no stream comes, status 1
		err  string   // part of standard error
	}{
		{"", []uint64{9}, ""},
		{"-", []uint64{9}, ""},
		{"a b", []uint64{1, 2}, ""},
		{"-g a b", []uint64{2, 1}, ""},
		{"a b -g", []uint64{2, 1}, ""},
		{"-g a c b", []uint64{3, 2, 1}, ""},
		{"a - b", []uint64{1, 9, 2}, ""},
		{"-g a - b", []uint64{9, 2, 1}, ""},
		{"a a", []uint64{1}, ""},
		{"tmp-d a", []uint64{1}, ""},
		{"./tmp-d a", []uint64{4, 1}, ""},
		{"-a tmp-d a", []uint64{4, 1}, ""},
		{"tmp-d", nil, "no flow stream to copy"},
		{"nosuch a", []uint64{1}, "flow-cat: open(nosuch): no such file or directory\n"},
		{"nosuch", nil, "flow-cat: open(nosuch): no such file or directory\n"},
		{"junk a empty", []uint64{1}, "bad magic number\nflow-cat: ftiheader_read(" + dir + "/junk): Failed, ignoring file.\n"},
		{"empty", nil, "short read while loading header top"},
		{"dir", []uint64{12, 11, 14, 17}, "flow-cat: not plain, skipping: pipe\n"},
		{"-a dir", []uint64{12, 11, 14, 13, 17}, "not plain"},
		{"a dir b", []uint64{1, 12, 11, 14, 17, 2}, "not plain"},
		{"-g a dir b", []uint64{12, 2, 1, 11, 14, 17}, "not plain"},
		{"dir/ a", []uint64{12, 11, 14, 17, 1}, "not plain"},
		{"dir/pipe a", []uint64{1}, "flow-cat: odd file, skipping: dir/pipe\n"},
		{"/dev/null a", []uint64{1}, "flow-cat: odd file, skipping: /dev/null\n"},
		{"bare", nil, "short read"},
		{"-- a", []uint64{1}, ""},
	} {
		t.Run(tc.args, func(t *testing.T) {
			r := tooltest.World{Dir: dir, Stdin: bytes.NewReader(flowtest.Stream(marked(3, 9)))}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
			if tc.want == nil {
				if r.Code != 1 || len(r.Out) != 0 || !strings.Contains(r.Err, tc.err) {
					t.Errorf("status %d, %d octets, %s", r.Code, len(r.Out), r.Err)
				}
				return
			}
			if r.Code != 0 || !strings.Contains(r.Err, tc.err) || tc.err == "" && r.Err != "" {
				t.Fatalf("status %d, %s", r.Code, r.Err)
			}
			if diff := cmp.Diff(tc.want, marks(t, r.Out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A link that leads nowhere ends the program, one level or fifty down.
func TestDirectoryErrors(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{"a": started(t, 1, 1), "d/ft-1": started(t, 2, 2)})
	if err := os.Symlink("nowhere", filepath.Join(dir, "d", "ft-2")); err != nil {
		t.Fatal(err)
	}
	r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), "a", "d")
	want := "flow-cat: stat(" + dir + "/d/ft-2): no such file or directory\nflow-cat: load_dir(): failed\nflow-cat: ftfile_loaddir(d): failed\n"
	if r.Code != 1 || len(r.Out) != 0 || r.Err != want {
		t.Errorf("status %d, %d octets, %s", r.Code, len(r.Out), r.Err)
	}
	dir = t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{strings.Repeat("d/", 50) + "ft": started(t, 1, 1)})
	if r := (tooltest.World{Dir: dir}).Run(t.Context(), Spec(), "d"); r.Code != 0 {
		t.Errorf("50 levels: status %d, %s", r.Code, r.Err)
	}
	if r := (tooltest.World{Dir: dir}).Run(t.Context(), Spec(), "."); r.Code != 1 || !strings.Contains(r.Err, "Limit of 50 nested directories reached.\n") {
		t.Errorf("51 levels: status %d, %s", r.Code, r.Err)
	}
}

// Bad values stop before anything is opened or created.
func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{"a": started(t, 1, 1)})
	for _, tc := range []struct{ args, err string }{
		{"-o out -b middle a", "expecting \"big\" or \"little\""},
		{"-o out -z 10 a", "Compression level must be between 0 and 9\n"},
		{"-o out -z -1 a", "Compression level must be between 0 and 9\n"},
		{"-o out -t nonsense a", "flow-cat: Error parsing time: nonsense.\n"},
		{"-o out -T 32/1/2024 a", "flow-cat: Error parsing time: 32/1/2024.\n"},
		{"-o out -t nonsense -t 1/1/2024 a", "Error parsing time: nonsense."},
		{"-o out -t nonsense -z 99 a", "Error parsing time: nonsense."},
		{"-o out -z 99 -t nonsense a", "Compression level"},
		{"-o out -h a", "Usage: flow-cat"},
		{"-o out -Q a", "invalid option -- 'Q'"},
		{"-o out a -d", "option requires an argument -- 'd'"},
		{"-o no/such/dir a", "flow-cat: open(no/such/dir): no such file or directory\n"},
		{"-o . a", "flow-cat: open(.): is a directory\n"},
	} {
		r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		if r.Code != 1 || len(r.Out) != 0 || !strings.Contains(r.Err, tc.err) {
			t.Errorf("%s: status %d, %d octets, %s", tc.args, r.Code, len(r.Out), r.Err)
		}
		if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
			t.Errorf("%s: the output was created", tc.args)
		}
	}
	if r := (tooltest.World{Dir: dir}).Run(t.Context(), Spec(), "-o", "", "a"); r.Code != 1 || len(r.Out) != 0 || r.Err != "flow-cat: open(): no such file or directory\n" {
		t.Errorf("-o '': status %d, %s", r.Code, r.Err)
	}
}

var ignore = []cmp.Option{cmpopts.IgnoreUnexported(ftfile.Header{}), cmpopts.IgnoreFields(ftfile.Header{}, "Size")}

// present are the fields of a header in place.
func present(h *ftfile.Header) (tags []ftfile.Tag) {
	for tag := ftfile.TagVendor; tag <= ftfile.TagIfAlias; tag++ {
		if h.Has(tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// What the header of the output says, with and without the options that carry
// things over.
func TestHeader(t *testing.T) {
	const (
		version, flags                 = ftfile.TagVersion, ftfile.TagFlags
		start, end                     = ftfile.TagStart, ftfile.TagEnd
		count, lost, corrupt, comments = ftfile.TagFlows, ftfile.TagLost, ftfile.TagCorrupt, ftfile.TagComments
	)
	dir := t.TempDir()
	full := func(h *ftfile.Header) {
		h.Start, h.End, h.Flows, h.Lost, h.Corrupt, h.Misordered, h.Resets = 1000, 1100, 3, 7, 2, 4, 5
		h.Vendor, h.Exporter, h.Rotation, h.Hostname, h.Comments = 1, 0x0a000001, 96, "first", "one"
		h.Mark(start, end, count, lost, corrupt, ftfile.TagMisordered, ftfile.TagResets, ftfile.TagVendor, ftfile.TagExporter, ftfile.TagRotation,
			ftfile.TagHostname, comments)
	}
	v1 := make([]byte, 360+60) // stream version 1, record version 5, start, end, rotation, flows, lost, misordered
	copy(v1, []byte{0xCF, 0x10, 1, 1, 5, 0, 0, 0, 0x20, 3, 0, 0, 0x30, 3, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 8, 0, 0, 0, 'h'})
	tooltest.Write(t, dir, map[string][]byte{
		"full": tooltest.Capture(t, marked(3, 1), full),
		"some": tooltest.Capture(t, marked(4, 2), func(h *ftfile.Header) {
			h.Start, h.End, h.Lost, h.Comments = 900, 950, 1, "two"
			h.Mark(start, end, lost, comments)
		}),
		"bare": flowtest.Stream(marked(2, 3)),
		"open": tooltest.Capture(t, marked(1, 4), func(h *ftfile.Header) { h.Flags, h.Start = 0, 1200; h.Mark(start) }),
		"v1":   v1,
	})
	streaming := func(set func(h *ftfile.Header)) ftfile.Header {
		h := ftfile.Header{OrderByte: 1, Stream: 3, Version: flow.Version{Export: 5}, Flags: ftfile.FlagStreaming}
		if set != nil {
			set(&h)
		}
		return h
	}
	preloaded := func(set func(h *ftfile.Header)) ftfile.Header {
		return streaming(func(h *ftfile.Header) {
			h.Flags |= ftfile.FlagPreloaded
			set(h)
		})
	}
	for _, tc := range []struct {
		args    string
		want    ftfile.Header
		present []ftfile.Tag
	}{
		{"full some", streaming(nil), []ftfile.Tag{version, flags}},
		{"-b BIG -z 3 bare", streaming(func(h *ftfile.Header) { h.OrderByte = 2; h.Flags |= ftfile.FlagCompress }), []ftfile.Tag{version, flags}},
		{"-C c -C mine full", streaming(func(h *ftfile.Header) { h.Comments = "mine" }), []ftfile.Tag{version, flags, comments}},
		{"-p full some", preloaded(func(h *ftfile.Header) {
			full(h)
			h.Start, h.Lost, h.Comments = 900, 8, "two"
		}), []ftfile.Tag{
			ftfile.TagVendor, version, ftfile.TagExporter, start, end, flags, ftfile.TagRotation, count, lost, ftfile.TagMisordered, corrupt, ftfile.TagResets,
			ftfile.TagHostname, comments,
		}},
		{"-p -C mine some full", preloaded(func(h *ftfile.Header) { full(h); h.Start, h.Lost = 900, 8 }), []ftfile.Tag{
			ftfile.TagVendor, version, ftfile.TagExporter, start, end, flags, ftfile.TagRotation, count, lost, ftfile.TagMisordered, corrupt, ftfile.TagResets,
			ftfile.TagHostname, comments,
		}},
		{"-p -C mine bare", preloaded(func(h *ftfile.Header) { h.Comments = "mine" }), []ftfile.Tag{version, flags, count, lost, corrupt, comments}},
		{"-p", preloaded(func(*ftfile.Header) {}), []ftfile.Tag{version, flags, count, lost, corrupt}},
		// A file has a start and no end: there is neither, unless another has one.
		{"-p open", preloaded(func(*ftfile.Header) {}), []ftfile.Tag{version, flags, count, lost, corrupt}},
		{"-p open some", preloaded(func(h *ftfile.Header) { h.Start, h.End, h.Lost, h.Comments = 900, 950, 1, "two" }), []ftfile.Tag{
			version, start, end, flags, count, lost, corrupt, comments}},
		// Files of the old format give no times, and three fields more.
		{"-p v1", preloaded(func(h *ftfile.Header) { h.Flows, h.Lost, h.Rotation, h.Hostname = 1, 6, 9, "h" }), []ftfile.Tag{
			ftfile.TagVendor, version, ftfile.TagAggVersion, flags, ftfile.TagRotation, count, lost, corrupt, ftfile.TagHostname}},
		// Times count even of the files that the window drops; nothing else of them does.
		{"-T 00:18:20,1/1/1970 some full", preloaded(func(h *ftfile.Header) { full(h); h.Start = 900 }), []ftfile.Tag{
			ftfile.TagVendor, version, ftfile.TagExporter, start, end, flags, ftfile.TagRotation, count, lost, ftfile.TagMisordered, corrupt, ftfile.TagResets,
			ftfile.TagHostname, comments,
		}},
	} {
		for _, output := range []string{"", "out"} {
			t.Run(tc.args+" to "+output, func(t *testing.T) {
				args := strings.Fields(strings.ReplaceAll(tc.args, ",", " "))
				if i := slices.Index(args, "-T"); i >= 0 { // one value of two words
					args = slices.Replace(args, i+1, i+3, args[i+1]+" "+args[i+2])
				}
				w := tooltest.World{Dir: dir, Stdin: bytes.NewReader(flowtest.Stream(marked(2, 9)))}
				if output != "" {
					args = append(args, "-o", output)
				}
				r := w.Run(t.Context(), Spec(), args...)
				if r.Code != 0 || r.Err != "" {
					t.Fatalf("status %d, %s", r.Code, r.Err)
				}
				want, tags := tc.want, tc.present
				var got *ftfile.Header
				if output == "" {
					got, _ = tooltest.Stream(t, r.Out)
				} else {
					var b *flow.Batch
					got, b = tooltest.File(t, dir, output)
					want.Flows = uint32(b.Len())
					want.Flags = want.Flags&^ftfile.FlagStreaming | ftfile.FlagDone
					want.Start, want.End = got.Start, got.End // see TestCompletion
					tags = slices.Compact(slices.Sorted(slices.Values(slices.Concat(tags, []ftfile.Tag{start, end, count, lost, corrupt}))))
				}
				if diff := cmp.Diff(&want, got, ignore...); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tags, present(got)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// With -o to a regular file the times are the extremes of the streams copied,
// those without counting as 0.
func TestCompletion(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{
		"a": started(t, 1, 500), "b": started(t, 2, 400), "c": flowtest.Stream(marked(1, 3)),
	})
	for _, tc := range []struct {
		args       string
		start, end uint32
		flows      uint32
	}{
		{"a b", 400, 510, 6}, {"a", 500, 510, 3}, {"a c b", 0, 510, 7}, {"c", 0, 0, 1}, {"a -", 0, 510, 8}, {"-z9 -b big a b", 400, 510, 6},
	} {
		r := tooltest.World{Dir: dir, Stdin: bytes.NewReader(flowtest.Stream(marked(5, 9)))}.Run(t.Context(), Spec(), append(strings.Fields(tc.args), "-o", "out")...)
		h, b := tooltest.File(t, dir, "out")
		if r.Code != 0 || h.Start != tc.start || h.End != tc.end || h.Flows != tc.flows || b.Len() != int(tc.flows) || h.Flags&(ftfile.FlagDone|ftfile.FlagStreaming) != ftfile.FlagDone {
			t.Errorf("%s: status %d, %+v, %d records", tc.args, r.Code, h, b.Len())
		}
	}
	r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), "nosuch", "-o", "out")
	if p, err := os.ReadFile(filepath.Join(dir, "out")); err != nil || len(p) != 0 || r.Code != 1 ||
		!strings.HasSuffix(r.Err, "flow-cat: Set d_version and byte_order first\nflow-cat: ftio_write_header(): failed\n") {
		t.Errorf("nothing read: status %d, %d octets, %s", r.Code, len(p), r.Err)
	}
}

// -t alone keeps the old files, -T alone the new ones, both those that began
// between.
func TestWindow(t *testing.T) {
	dir := t.TempDir()
	const day = 1704067200 // 2024-01-01
	files := []string{"-p"}
	for i := range uint32(4) {
		name := string(rune('a' + i))
		tooltest.Write(t, dir, map[string][]byte{name: started(t, uint64(i+1), day+100*i)}) // to +10
		files = append(files, name)
	}
	all := []uint64{1, 2, 3, 4}
	for _, tc := range []struct {
		low, high string
		want      []uint64
	}{
		{"", "", all},
		{"2024-01-01 00:01:40", "", []uint64{1, 2}},
		{"2024-01-01 00:01:39", "", []uint64{1}},
		{"", "2024-01-01 00:03:30", []uint64{3, 4}},
		{"", "2024-01-01 00:03:31", []uint64{4}},
		{"2024-01-01 00:01:40", "2024-01-01 00:03:20", []uint64{2, 3}},
		{"2024-01-01 00:01:41", "2024-01-01 00:03:19", nil},
		{"1970-01-01", "", all},
		{"1970-01-01", "2024-01-01 00:03:30", []uint64{3, 4}},
		{"2 minutes ago", "", []uint64{1}},
		// Not dates on the first of January 1970, in UTC, or not yet.
		{"", "2 months ago", all},
		{"", "last year", all},
		{"", "01:00 +0500", all},
		{"Feb 29", "", all},
		{"2020-01-01", "", nil},
		{"", "2025-01-01", nil},
		{"empty", "", all}, // midnight
		{"", "empty", all},
		{"empty", "empty", []uint64{1}},
	} {
		var args []string
		for flag, value := range map[string]string{"-t": tc.low, "-T": tc.high} {
			switch value {
			case "":
			case "empty":
				args = append(args, flag, "")
			default:
				args = append(args, flag, value)
			}
		}
		w := tooltest.World{Dir: dir, Now: time.Unix(day+150, 0)}
		if tc.low == "empty" && tc.high == "" {
			w.Now = w.Now.Add(24 * time.Hour)
		}
		r := w.Run(t.Context(), Spec(), append(args, files...)...)
		if tc.want == nil {
			if r.Code != 1 || len(r.Out) != 0 || r.Err == "" {
				t.Errorf("%q to %q: status %d, %d octets", tc.low, tc.high, r.Code, len(r.Out))
			}
			continue
		}
		if diff := cmp.Diff(tc.want, marks(t, r.Out)); r.Code != 0 || diff != "" {
			t.Errorf("%q to %q: status %d, %s%s", tc.low, tc.high, r.Code, r.Err, diff)
		}
	}
	// The last of an option counts, but none may be wrong.
	for _, tc := range []struct {
		args []string
		want []uint64
	}{
		{[]string{"-t", "2020-01-01", "-t", "2024-01-01 00:01:40"}, []uint64{1, 2}},
		{[]string{"-t", "no date", "-t", "2024-01-01 00:01:40"}, nil},
		{[]string{"-t", "30 Feb 2024"}, nil},
	} {
		r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), append(tc.args, files...)...)
		if tc.want == nil {
			if want := "flow-cat: Error parsing time: " + tc.args[1] + ".\n"; r.Code != 1 || len(r.Out) != 0 || r.Err != want {
				t.Errorf("%q: status %d, %d octets, %s", tc.args, r.Code, len(r.Out), r.Err)
			}
			continue
		}
		if diff := cmp.Diff(tc.want, marks(t, r.Out)); r.Code != 0 || diff != "" {
			t.Errorf("%q: status %d, %s%s", tc.args, r.Code, r.Err, diff)
		}
	}
	// Standard input is never dropped.
	w := tooltest.World{Dir: dir, Stdin: bytes.NewReader(flowtest.Stream(marked(1, 9)))}
	if r := w.Run(t.Context(), Spec(), "-t", "2001-01-01", "a", "-"); r.Code != 0 || !cmp.Equal(marks(t, r.Out), []uint64{9}) {
		t.Errorf("status %d, %s", r.Code, r.Err)
	}
}

// A stream of another version ends the program; what it had buffered is lost,
// also where the first stream came through a pipe.
func TestVersionsDoNotMix(t *testing.T) {
	dir := t.TempDir()
	v5, v7 := flowtest.Random(flowtest.Layout(5, 0), 1300, 1), flowtest.Random(flowtest.Layout(7, 0), 1, 1)
	bad := ftfile.NewHeader(flow.Version{Export: 9}, 0)
	bytes9, err := bad.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	tooltest.Write(t, dir, map[string][]byte{
		"v5": flowtest.Stream(v5), "v7": flowtest.Stream(v7), "v9": bytes9,
		"v8.1": flowtest.Stream(flowtest.Random(flowtest.Layout(8, 1), 1, 1)), "v8.2": flowtest.Stream(flowtest.Random(flowtest.Layout(8, 2), 1, 1)),
	})
	const changed = "flow-cat: data version or sub version changed!\n"
	const unsupported = "flow-cat: Unsupported d_version 9\nflow-cat: Unsupported record type\nflow-cat: ftio_init(): failed\n"
	for _, tc := range []struct {
		args    string
		records int // that get out; -1: not even a header
		err     string
	}{
		{"v5 v7", 1024, changed}, // 512 fit the buffer
		{"- v7", 1024, changed},  // a pipe, which is flushed where nothing follows
		{"v8.1 v8.2", 0, changed},
		{"v5 v9", 1024, unsupported},
		{"- v9", 1024, unsupported},
		{"v9 v5", -1, unsupported},
		{"-p v5 v9", -1, unsupported},
		{"-p v5 v7", 1024, changed},
		{"-z1 v8.1 v8.2", 0, changed},
	} {
		pipe, feed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			feed.Write(flowtest.Stream(v5))
			feed.Close()
		}()
		r := tooltest.World{Dir: dir, Stdin: pipe}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		pipe.Close()
		if r.Code != 1 || r.Err != tc.err {
			t.Errorf("%s: status %d, %s", tc.args, r.Code, r.Err)
		}
		if tc.records < 0 {
			if len(r.Out) != 0 {
				t.Errorf("%s: %d octets", tc.args, len(r.Out))
			}
			continue
		}
		in, err := ftfile.NewReader(bytes.NewReader(r.Out))
		if err != nil {
			t.Fatalf("%s: %v", tc.args, err)
		}
		n := 0
		for b := range in.Batches() {
			n += b.Len()
		}
		if n != tc.records {
			t.Errorf("%s: %d records, want %d", tc.args, n, tc.records)
		}
	}
}

// Whatever a stream is cut into, compressed how and in which order, it comes
// out as it was.
func TestPieces(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		whole := flowtest.Random(l, 2000, 1)
		if v.Export == 1005 { // big-endian streams hold 16 bits of a tag
			for r := range whole.All() {
				l.PutUint(r, flow.SrcTag, l.Uint(r, flow.SrcTag)&0xffff)
				l.PutUint(r, flow.DstTag, l.Uint(r, flow.DstTag)&0xffff)
			}
		}
		dir := t.TempDir()
		var args []string
		for rest := whole.Bytes(); len(rest) > 0; {
			n := min(len(rest), rng.IntN(600)*l.Size)
			part := &flow.Batch{Layout: l}
			part.SetBytes(rest[:n])
			rest = rest[n:]
			name := fmt.Sprint(len(args))
			tooltest.Write(t, dir, map[string][]byte{name: tooltest.Capture(t, part, func(h *ftfile.Header) { h.OrderByte = byte(1 + rng.IntN(2)) }, ftfile.Level(rng.IntN(3)*3))})
			args = append(args, name)
		}
		order := [...]string{"big", "little"}[rng.IntN(2)]
		r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), append(args, "-b", order, "-z", fmt.Sprint(rng.IntN(3)))...)
		if r.Code != 0 {
			t.Fatalf("%v: status %d, %s", v, r.Code, r.Err)
		}
		if _, got := tooltest.Stream(t, r.Out); !bytes.Equal(got.Bytes(), whole.Bytes()) {
			t.Errorf("%v: %d records, want %d", v, got.Len(), whole.Len())
		}
	}
}

// Damage is a warning, and the next stream comes.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	plain, zip := flowtest.Stream(marked(10, 1)), flowtest.Stream(marked(2000, 1), ftfile.Level(6))
	flipped := bytes.Clone(zip)
	flipped[len(flipped)-1] ^= 1
	tooltest.Write(t, dir, map[string][]byte{
		"plain": plain[:len(plain)-7], "zip": zip[:len(zip)*2/3], "sum": flipped, "head": zip[:25], "next": flowtest.Stream(marked(1, 2)),
	})
	for name, want := range map[string]string{
		"plain": "partial record before EOF", "zip": "partial inflated record before EOF", "sum": "inflate(): failed", "head": "stream is cut",
	} {
		for _, m := range []string{"", "-m"} {
			r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), append(strings.Fields(m), name, "next")...)
			list := marks(t, r.Out)
			if r.Code != 0 || !strings.Contains(r.Err, want) || list[len(list)-1] != 2 {
				t.Errorf("%s: status %d, %s", name, r.Code, r.Err)
			}
		}
	}
}

// parts comes in parts, once it may.
type parts struct {
	list    [][]byte
	waiting chan struct{} // told before the first
	release chan struct{}
	begun   bool
}

func (p *parts) Read(buf []byte) (n int, err error) {
	if !p.begun {
		p.begun = true
		p.waiting <- struct{}{}
		<-p.release
	}
	if len(p.list) == 0 {
		return 0, io.EOF
	}
	n = copy(buf, p.list[0])
	p.list = p.list[1:]
	return n, nil
}

// A signal stops the copy after the records at hand; the output is completed.
func TestSignal(t *testing.T) {
	for _, level := range []string{"0", "6"} {
		dir := t.TempDir()
		tooltest.Write(t, dir, map[string][]byte{"next": flowtest.Stream(marked(5, 2))})
		stream := flowtest.Stream(marked(20, 1))
		in := &parts{list: slices.Collect(slices.Chunk(stream[24:], 64)), waiting: make(chan struct{}), release: make(chan struct{})}
		w := tooltest.World{Dir: dir, Stdin: io.MultiReader(bytes.NewReader(stream[:24]), in)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan tooltest.Result)
		go func() { done <- w.Run(ctx, Spec(), "-z", level, "-o", "out", "-", "next") }()
		<-in.waiting
		cancel()
		close(in.release)
		if r := <-done; r.Code != 0 || r.Err != "" {
			t.Errorf("status %d, %s", r.Code, r.Err)
		}
		h, b := tooltest.File(t, dir, "out")
		if b.Len() != 1 || h.Flows != 1 || h.Flags&ftfile.FlagDone == 0 {
			t.Errorf("%d records, %+v", b.Len(), h)
		}
	}
}

// Standard input is not waited for before its turn.
func TestStdinInTurn(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{"a": flowtest.Stream(marked(1, 1))})
	var out bytes.Buffer
	early := false
	stdin := io.MultiReader(reader(func() { early = out.Len() == 0 }), bytes.NewReader(flowtest.Stream(marked(1, 3))))
	r := tooltest.World{Dir: dir, Stdin: stdin, Out: &out}.Run(t.Context(), Spec(), "a", "-")
	if r.Code != 0 || early || !cmp.Equal(marks(t, out.Bytes()), []uint64{1, 3}) {
		t.Errorf("status %d, %s, read early: %v", r.Code, r.Err, early)
	}
}

// reader is empty and calls a function when it is read.
type reader func()

func (r reader) Read([]byte) (int, error) { r(); return 0, io.EOF }

// A failed run leaves nothing running.
func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{
		"a":  flowtest.Stream(marked(100000, 1), ftfile.Level(1)), // more than is inflated ahead
		"v7": flowtest.Stream(flowtest.Random(flowtest.Layout(7, 0), 1, 1)),
	})
	tooltest.NothingLeft(t)
	for range 5 {
		tooltest.World{Dir: dir}.Run(t.Context(), Spec(), "-z1", "v7", "a")
		tooltest.World{Dir: dir, Out: room(1000)}.Run(t.Context(), Spec(), "-z1", "v7", "a")
		tooltest.World{Dir: dir, Out: room(100000)}.Run(t.Context(), Spec(), "-z1", "a", "a")
	}
}

func room(octets int) io.Writer { return (*tooltest.Room)(&octets) }

// A failed write ends the program, at whatever point it is noticed.
func TestWriteError(t *testing.T) {
	for _, level := range []string{"0", "6"} {
		for octets, want := range map[int]string{
			0:     "flow-cat: writen(): no space left on device\nflow-cat: ftio_write_header(): failed\n",
			100:   "flow-cat: ftio_write(): failed: no space left on device\n",
			30000: "flow-cat: ftio_write(): failed: no space left on device\n",
		} {
			r := tooltest.World{Stdin: bytes.NewReader(flowtest.Stream(marked(1500, 1))), Out: room(octets)}.Run(t.Context(), Spec(), "-z", level)
			if r.Code != 1 || r.Err != want {
				t.Errorf("level %s, room for %d: status %d, %s", level, octets, r.Code, r.Err)
			}
		}
	}
}

// A file that was there when the operands were looked at may have gone.
func TestGone(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{"a": started(t, 1, 1), "b": started(t, 2, 2), "c": started(t, 3, 3)})
	var said strings.Builder
	for ahead := 1; ahead <= 3; ahead++ {
		spec := &cli.Spec{Name: "cat", MaxOperands: -1, Run: func(_ context.Context, env *cli.Env) error {
			all, err := inputs.Collect(env, []string{"a", "b", "c"}, inputs.Options{})
			if err != nil {
				return err
			}
			for i := range all {
				if i != ahead-1 {
					continue
				}
				all[i].Path += ".gone"
			}
			q := opener{inputs: all, ahead: ahead}
			defer q.close()
			for n := 0; ; n++ {
				s, err := q.next()
				if err != nil || s == nil {
					if err == nil && n != 2 {
						err = errors.New("not two streams")
					}
					return err
				}
				s.Close()
			}
		}}
		said.Reset()
		env := &cli.Env{Dir: dir, Stderr: &said}
		if code := cli.Exec(t.Context(), spec, env, []string{"cat"}); code != 0 || strings.Count(said.String(), "has gone") != 1 {
			t.Errorf("%d ahead: status %d, %s", ahead, code, said.String())
		}
	}
}

func TestDebug(t *testing.T) {
	for level, want := range map[string][]string{
		"0": nil, "word": nil, "1": {"flow-cat: processed 1 flows\n"}, "2": {"Bytes written=88\n", "processed"}, "6": {"working file=-\n", "flow-cat: flows: 1\n"}, "7": {"write: 24\n", "write: 64\n"},
	} {
		r := tooltest.World{Stdin: bytes.NewReader(flowtest.Stream(marked(1, 1)))}.Run(t.Context(), Spec(), "-d", level)
		for _, part := range want {
			if !strings.Contains(r.Err, part) {
				t.Errorf("level %s: %q is not in %s", level, part, r.Err)
			}
		}
		if r.Code != 0 || len(want) == 0 && r.Err != "" || len(r.Out) != 88 {
			t.Errorf("level %s: status %d, %d octets, %s", level, r.Code, len(r.Out), r.Err)
		}
	}
}

func BenchmarkCat(b *testing.B) {
	const records = 200000
	stream := flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), records, 1))
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r := tooltest.World{Stdin: bytes.NewReader(stream), Out: io.Discard}.Run(b.Context(), Spec())
		if r.Code != 0 {
			b.Fatal(r.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
