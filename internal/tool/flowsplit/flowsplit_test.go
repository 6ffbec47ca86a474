package flowsplit

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

func runIn(t *testing.T, dir string, stdin []byte, args ...string) tooltest.Result {
	t.Helper()
	return tooltest.World{Dir: dir, Stdin: bytes.NewReader(stdin)}.Run(t.Context(), Spec(), args...)
}

// names lists the files of dir in the order of their numbers.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(name[strings.LastIndexByte(name, '.')+1:])
		return n
	}
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	return list
}

// at returns version 1005 records of the given times and source tags; the
// destination tags are 10 more.
func at(pairs ...[2]uint64) *flow.Batch {
	l := flowtest.Layout(1005, 0)
	b := flowtest.Random(l, len(pairs), 1)
	for i, p := range pairs {
		l.PutUint(b.At(i), flow.UnixSecs, p[0])
		l.PutUint(b.At(i), flow.SrcTag, p[1])
		l.PutUint(b.At(i), flow.DstTag, p[1]+10)
	}
	return b
}

// file is what a test looks at in a file.
type file struct {
	name              string
	start, end, flows uint32
}

func TestSplit(t *testing.T) {
	sequence := func(secs ...uint64) (pairs [][2]uint64) {
		for _, s := range secs {
			pairs = append(pairs, [2]uint64{s, 0})
		}
		return pairs
	}
	tags := [][2]uint64{{100, 1}, {101, 2}, {150, 1}, {160, 3}, {205, 1}, {210, 2}, {211, 1}}
	for _, tc := range []struct {
		args string
		in   [][2]uint64 // time, tag
		want []file
	}{
		{"", nil, nil},
		{"", sequence(5, 9, 7), []file{{"split.0", 5, 7, 3}}},
		{"-N 0", sequence(5, 9, 7), []file{{"split.0", 5, 7, 3}}},
		{"-N 0x2", sequence(5, 9, 7), []file{{"split.0", 5, 7, 3}}},
		{"-N -1", sequence(5, 9, 7), []file{{"split.0", 5, 7, 3}}},
		{"-N 2 -o part", sequence(5, 9, 7), []file{{"part.0", 5, 9, 2}, {"part.1", 7, 7, 1}}},
		{"-N 3", sequence(5, 9, 7), []file{{"split.0", 5, 7, 3}}},
		{"-N 1", sequence(5, 9), []file{{"split.0", 5, 5, 1}, {"split.1", 9, 9, 1}}},
		{"-n -N 1", sequence(5, 9), []file{{"split.0", 5, 5, 1}, {"split.1", 9, 9, 1}}},
		// The record beyond the interval is the last of its file and gives it its start.
		{"-T 10", sequence(100, 110, 111, 112), []file{{"split.0", 111, 111, 3}, {"split.1", 112, 112, 1}}},
		{"-T 10", sequence(100, 90, 95, 110), []file{{"split.0", 100, 110, 4}}},
		{"-T 10x", sequence(100, 111), []file{{"split.0", 111, 111, 2}}},
		{"-T 1", sequence(0, 0, 1, 2), []file{{"split.0", 2, 2, 4}}},
		{"-T 10 -N 2", sequence(100, 101, 102, 120, 121), []file{{"split.0", 100, 101, 2}, {"split.1", 120, 120, 2}, {"split.2", 121, 121, 1}}},
		{"-g", tags, []file{{"split.1.0", 100, 211, 4}, {"split.2.0", 101, 210, 2}, {"split.3.0", 160, 160, 1}}},
		{"-G -o x", tags, []file{{"x.11.0", 100, 211, 4}, {"x.12.0", 101, 210, 2}, {"x.13.0", 160, 160, 1}}},
		{"-gg -N 3", tags, []file{{"split.1.0", 100, 205, 3}, {"split.2.0", 101, 210, 2}, {"split.3.0", 160, 160, 1}, {"split.1.1", 211, 211, 1}}},
		{"-g -T 50", tags, []file{{"split.1.0", 205, 205, 3}, {"split.2.0", 210, 210, 2}, {"split.3.0", 160, 160, 1}, {"split.1.1", 211, 211, 1}}},
	} {
		t.Run(tc.args, func(t *testing.T) {
			dir := t.TempDir()
			r := runIn(t, dir, flowtest.Stream(at(tc.in...)), strings.Fields(tc.args)...)
			if r.Code != 0 || len(r.Out) != 0 || r.Err != "" {
				t.Errorf("status %d, %d octets, %s", r.Code, len(r.Out), r.Err)
			}
			var got []file
			for _, name := range names(t, dir) {
				h, b := tooltest.File(t, dir, name)
				if h.Flags != ftfile.FlagDone|ftfile.FlagCompress || b.Len() != int(h.Flows) || h.Has(ftfile.TagComments) {
					t.Errorf("%s: %+v, %d records", name, h, b.Len())
				}
				got = append(got, file{name, h.Start, h.End, h.Flows})
			}
			if diff := gocmp.Diff(tc.want, got, gocmp.AllowUnexported(file{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The pieces of a stream, in order, are the stream; with tags those of each tag
// are what a filter would give.
func TestRejoin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, v := range flow.Versions() {
		l, _ := flow.LayoutOf(v)
		whole := flowtest.Traffic(l, 1500, 1)
		for _, options := range []string{"-N %d -z%d", "-T %d -z%d", "-g -N %d -z%d", "-G -N %d -z%d"} {
			tag := flow.SrcTag
			if strings.HasPrefix(options, "-G") {
				tag = flow.DstTag
			}
			tagged := !strings.HasPrefix(options, "-N") && !strings.HasPrefix(options, "-T")
			if tagged && v.Export != 1005 {
				continue
			}
			dir := t.TempDir()
			args := fmt.Sprintf(options, 1+rng.IntN(400), rng.IntN(3))
			if r := runIn(t, dir, flowtest.Stream(whole), append(strings.Fields(args), "-o", "p")...); r.Code != 0 || r.Err != "" {
				t.Fatalf("%v %s: status %d, %s", v, args, r.Code, r.Err)
			}
			got := map[string][]byte{}
			for _, name := range names(t, dir) {
				_, b := tooltest.File(t, dir, name)
				series := name[:strings.LastIndexByte(name, '.')]
				got[series] = append(got[series], b.Bytes()...)
			}
			want := map[string][]byte{}
			for r := range whole.All() {
				series := "p"
				if tagged {
					series += "." + fmt.Sprint(l.Uint(r, tag))
				}
				want[series] = append(want[series], r...)
			}
			if !maps.EqualFunc(want, got, bytes.Equal) {
				t.Errorf("%v %s: the pieces do not make the whole", v, args)
			}
		}
	}
}

// Names of tags come from the symbol file; tags of one name share their files.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	long := strings.Repeat("n", 40)
	tooltest.Write(t, dir, map[string][]byte{"conf/sym/tag.sym": []byte("1 customers\n2 peers\n3 customers\n0x4 " + long + "\n")})
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o755); err != nil {
		t.Fatal(err)
	}
	in := flowtest.Stream(at([2]uint64{1, 1}, [2]uint64{2, 2}, [2]uint64{3, 3}, [2]uint64{4, 4}, [2]uint64{5, 5}))
	w := tooltest.World{Dir: dir, Stdin: bytes.NewReader(in), Env: map[string]string{"FLOW_TOOLS_SYSCONFDIR": filepath.Join(dir, "conf")}}
	if r := w.Run(t.Context(), Spec(), "-gn", "-o", "out/x"); r.Code != 0 || r.Err != "" {
		t.Fatalf("status %d, %s", r.Code, r.Err)
	}
	want := []string{"x.5.0", "x.customers.0", "x." + long[:31] + ".0", "x.peers.0"}
	if diff := gocmp.Diff(want, names(t, filepath.Join(dir, "out"))); diff != "" {
		t.Error(diff)
	}
	if h, b := tooltest.File(t, dir, "out/x.customers.0"); h.Flows != 2 || b.Len() != 2 || h.Start != 1 || h.End != 3 {
		t.Errorf("%+v", h)
	}
	// A symbol file that is rejected leaves the numbers.
	tooltest.Write(t, dir, map[string][]byte{"conf/sym/tag.sym": []byte("1")})
	w.Stdin = bytes.NewReader(in)
	if r := w.Run(t.Context(), Spec(), "-gn", "-o", "out/y"); r.Code != 0 || !strings.Contains(r.Err, "tag.sym") {
		t.Errorf("status %d, %s", r.Code, r.Err)
	}
	tooltest.File(t, dir, "out/y.1.0")
}

func TestHeaders(t *testing.T) {
	dir := t.TempDir()
	if r := runIn(t, dir, flowtest.Stream(at([2]uint64{7, 1})), "-b", "big", "-C", "text", "-z0"); r.Code != 0 {
		t.Fatal(r.Err)
	}
	h, _ := tooltest.File(t, dir, "split.0")
	if h.OrderByte != 2 || h.Comments != "text" || h.Flags != ftfile.FlagDone || h.Start != 7 {
		t.Errorf("%+v", h)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	v5 := flowtest.Stream(flowtest.Random(flowtest.Layout(5, 0), 3, 1))
	tagged := flowtest.Stream(at([2]uint64{1, 1}))
	for _, tc := range []struct {
		stdin []byte
		args  string
		err   string
	}{
		{v5, "-g", "flow-split: Flow record missing source tag.\n"},
		{v5, "-G", "flow-split: Flow record missing destination tag.\n"},
		{tagged, "-g -G", "flow-split: Split on destination or source.\n"},
		{v5, "-o no/dir", "flow-split: open(no/dir.0): no such file or directory\n"},
		{v5, "-o " + strings.Repeat("a", 232), "flow-split: base output too long\n"},
		{v5, "-z 99", "Compression level must be between 0 and 9"},
		{v5, "-b x", "expecting \"big\" or \"little\""},
		{v5, "stray", "flow-split: Extra arguments starting with stray.\n"},
		{v5, "-h", "Usage: flow-split"},
		{v5, "-p", "invalid option -- 'p'"},
		{[]byte("text"), "", "bad magic number\nflow-split: ftiheader_read(): failed\nflow-split: ftio_init(): failed\n"},
		{nil, "", "short read while loading header top"},
	} {
		r := runIn(t, dir, tc.stdin, strings.Fields(tc.args)...)
		if r.Code != 1 || len(r.Out) != 0 || !strings.Contains(r.Err, tc.err) {
			t.Errorf("%s: status %d, %d octets, %s", tc.args, r.Code, len(r.Out), r.Err)
		}
		if left := names(t, dir); len(left) > 0 {
			t.Fatalf("%s: files %q", tc.args, left)
		}
	}
}

// A failure part of the way leaves the files open at that point incomplete.
func TestFailure(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "split.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := runIn(t, dir, flowtest.Stream(at([2]uint64{1, 1}, [2]uint64{2, 1})), "-N", "1")
	if r.Code != 1 || r.Err != "flow-split: open(split.1): is a directory\n" {
		t.Errorf("status %d, %s", r.Code, r.Err)
	}
	if h, b := tooltest.File(t, dir, "split.0"); h.Flags&ftfile.FlagDone == 0 || b.Len() != 1 {
		t.Errorf("%+v", h)
	}
}

// A damaged stream is split as far as it goes.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	in := flowtest.Stream(flowtest.Random(flowtest.Layout(5, 0), 10, 1))
	r := runIn(t, dir, in[:len(in)-1], "-N", "4")
	if r.Code != 0 || !strings.Contains(r.Err, "partial record") || len(names(t, dir)) != 3 {
		t.Errorf("status %d, %s, %q", r.Code, r.Err, names(t, dir))
	}
	if h, _ := tooltest.File(t, dir, "split.2"); h.Flows != 1 {
		t.Errorf("%+v", h)
	}
}

func BenchmarkSplit(b *testing.B) {
	const records = 100000
	stream := flowtest.Stream(flowtest.Traffic(flowtest.Layout(1005, 0), records, 1))
	for _, args := range []string{"-z0", "-z0 -g", "-z1 -g"} {
		b.Run(args, func(b *testing.B) {
			dir := b.TempDir()
			b.ReportAllocs()
			for b.Loop() {
				env := &cli.Env{Dir: dir, Stdin: bytes.NewReader(stream)}
				if code := cli.Exec(context.Background(), Spec(), env, append([]string{"flow-split"}, strings.Fields(args)...)); code != 0 {
					b.Fatal(code)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
		})
	}
}
