package flowexpire

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"flowtools/internal/flowtest"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// archive makes five files of 80 octets, of different ages, and some that are
// no flow files.
func archive(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	capture := func(start uint32) []byte {
		return tooltest.Capture(t, flow.NewBatch(flowtest.Layout(5, 0)), func(h *ftfile.Header) {
			h.Start, h.Comments = start, strings.Repeat("c", 45)
			h.Mark(ftfile.TagStart, ftfile.TagComments)
		})
	}
	unsupported := capture(3)
	unsupported[12] = 9 // record version
	tooltest.Write(t, dir, map[string][]byte{
		"w/ft-4": capture(4), "w/sub/ft-2": capture(2), "w/sub/deep/cf-1": capture(1), "w/ft-3": unsupported, "w/tmp-5": capture(5),
		"w/other": capture(0), "w/ft-junk": []byte("junk"), "w/a.": capture(0), "w/b./ft-0": capture(0),
	})
	return dir
}

// flows lists the flow files below dir.
func flows(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(filepath.Join(dir, "w"), func(path string, d fs.DirEntry, err error) error {
		if name := d.Name(); err == nil && !d.IsDir() && len(name) == 4 && name != "ft-0" || strings.HasPrefix(name, "tmp") {
			list = append(list, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(a[len(a)-1:], b[len(b)-1:]) })
	return list
}

func TestLimits(t *testing.T) {
	all := []string{"cf-1", "ft-2", "ft-3", "ft-4", "tmp-5"}
	for _, tc := range []struct {
		args string
		gone int // the oldest
	}{
		{"", 0}, {"-e 5", 0}, {"-e 4", 1}, {"-e 1", 4}, {"-e 0", 0}, {"-e all", 0}, {"-e -1", 0}, {"-e 2x", 3}, {"-e 0x1", 0}, {"-e 010", 0}, {"-e 04", 1}, {"-e -2147483648", 0},
		{"-E 400", 0}, {"-E 399", 1}, {"-E 1", 5}, {"-E 0", 0}, {"-E 0x190", 0}, {"-E 0x18f", 1}, {"-E 0620", 0}, {"-E 0617", 1},
		{"-E 1b", 0}, {"-E 1Kilo", 0}, {"-E 1M", 0}, {"-E 1G", 0}, {"-E -2", 0},
		{"-e 3 -E 100", 4}, {"-e 1 -E 1K", 4}, {"-e 1 -e 4", 1}, {"-d 0 -e 4", 1}, {"-d loud -e 4", 1},
	} {
		dir := archive(t)
		r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), append(strings.Fields(tc.args), "-w", "w")...)
		if r.Code != 0 || len(r.Out) != 0 || r.Err != "" {
			t.Errorf("%s: status %d, %s", tc.args, r.Code, r.Err)
		}
		if diff := cmp.Diff(all[tc.gone:], flows(t, dir), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", tc.args, diff)
		}
		for _, name := range []string{"other", "ft-junk", "a.", "b./ft-0", "sub/deep"} {
			if _, err := os.Stat(filepath.Join(dir, "w", name)); err != nil {
				t.Errorf("%s: %v", tc.args, err)
			}
		}
	}
}

// With -d everything is told and nothing done.
func TestDebug(t *testing.T) {
	dir := archive(t)
	path := func(name string) string { return dir + "/w//" + name }
	list := ""
	for i, name := range []string{"sub/deep/cf-1", "sub/ft-2", "ft-3", "ft-4", "tmp-5"} {
		list += fmt.Sprintf("flow-expire: name=%s  size=80  time=%d\n", path(name), i+1)
	}
	r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), "-d1", "-e4", "-E160", "-w", "w/")
	remove := func(why int, name string) string { return fmt.Sprintf("flow-expire: remove/%d %s\n", why, path(name)) }
	want := list + remove(1, "sub/deep/cf-1") + remove(2, "sub/deep/cf-1") + remove(2, "sub/ft-2") + remove(2, "ft-3") + list
	got := r.Err
	for _, line := range []string{
		"flow-expire: ftiheader_read(): Warning, bad magic number\n", "flow-expire: ftiheader_read(ft-junk): Failed, ignoring file.\n", "flow-expire: ignoring: other\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is not in %s", line, got)
		}
		got = strings.Replace(got, line, "", 1)
	}
	if diff := cmp.Diff(want, got); diff != "" || r.Code != 0 {
		t.Errorf("status %d, %s", r.Code, diff)
	}
	if left := flows(t, dir); len(left) != 5 {
		t.Errorf("left %q", left)
	}
}

// A link is removed and what it leads to stays; a file that cannot be removed
// does not change the status.
func TestOddFiles(t *testing.T) {
	dir := archive(t)
	if err := os.Rename(filepath.Join(dir, "w/sub/deep/cf-1"), filepath.Join(dir, "target")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../../target", filepath.Join(dir, "w/sub/deep/cf-1")); err != nil {
		t.Fatal(err)
	}
	if r := (tooltest.World{Dir: dir}).Run(t.Context(), Spec(), "-e4", "-w", "w"); r.Code != 0 {
		t.Errorf("status %d, %s", r.Code, r.Err)
	}
	if diff := cmp.Diff([]string{"ft-2", "ft-3", "ft-4", "tmp-5"}, flows(t, dir)); diff != "" {
		t.Error(diff)
	}
	tooltest.File(t, dir, "target")
}

func TestErrors(t *testing.T) {
	dir := archive(t)
	if err := os.Symlink("nowhere", filepath.Join(dir, "w", "ft-x")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args string
		code int
		err  string
	}{
		{"-w nosuch -d1", 1, "flow-expire: open(" + dir + "/nosuch): no such file or directory\nflow-expire: ftfile_loaddir(): failed\n"},
		{"-w nosuch", 1, "no such file or directory"},
		{"-w w/other -d1", 1, "not a directory"},
		{"-w w -d1 -e1", 1, "flow-expire: stat(" + dir + "/w/ft-x): no such file or directory\n"},
		{"-E 2x", 1, "flow-expire: scan_size(): failed\n"},
		{"-E 2k", 1, "scan_size(): failed"},
		{"-E lots", 1, "scan_size(): failed"},
		{"-E -1", 1, "scan_size(): failed"},
		{"-E 99999999999999999999", 1, "scan_size(): failed"},
		{"stray", 1, "flow-expire: Extra arguments starting with stray.\n"},
		{"-h", 0, "Usage: flow-expire"},
		{"-q", 0, "invalid option -- 'q'"},
		{"-w", 0, "requires an argument"},
	} {
		r := tooltest.World{Dir: dir}.Run(t.Context(), Spec(), strings.Fields(tc.args)...)
		if r.Code != tc.code || len(r.Out) != 0 || !strings.Contains(r.Err, tc.err) {
			t.Errorf("%s: status %d, %s", tc.args, r.Code, r.Err)
		}
	}
	if left := flows(t, dir); len(left) != 6 {
		t.Errorf("left %q", left)
	}
}
