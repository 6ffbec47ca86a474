package capture

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newQueue(t testing.TB, path string) *queue {
	t.Helper()
	q, err := openQueue(path, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestQueueCrash: whatever is cut off the end of the file, the list is one that
// there was.
func TestQueueCrash(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	path := filepath.Join(t.TempDir(), "q")
	q := newQueue(t, path)
	now := time.Unix(1_700_000_000, 0)
	lists := []string{""} // after each line
	for i := range 200 {
		if list := q.list(); len(list) > 0 && rnd.IntN(2) == 0 {
			q.done(list[rnd.IntN(len(list))])
		} else {
			q.add(ftName(i), now.Add(time.Duration(i)*time.Second))
		}
		lists = append(lists, strings.Join(q.list(), " "))
	}
	q.close()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(text) + 1 {
		if cut < len(text)-150 && cut%37 != 0 {
			continue
		}
		if err := os.WriteFile(path, text[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		q := newQueue(t, path)
		want := lists[bytes.Count(text[:cut], []byte("\n"))]
		if got := strings.Join(q.list(), " "); got != want {
			t.Fatalf("%d of %d octets: %s, want %s", cut, len(text), got, want)
		}
		if cut%5 != 0 {
			q.file.Close()
			continue
		}
		q.add(ftName(1000), now) // not glued to what was cut
		q.close()
		q = newQueue(t, path)
		if got := strings.Join(q.list(), " "); got != strings.TrimSpace(want+" "+ftName(1000)) {
			t.Fatalf("%d of %d octets and one more: %s", cut, len(text), got)
		}
		if at := q.entered(ftName(1000), time.Time{}); !at.Equal(now) {
			t.Errorf("came in at %v", at)
		}
		q.close()
	}
}

// TestQueueSize: a file that is used for years stays small.
func TestQueueSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	q := newQueue(t, path)
	q.add(ftName(0), time.Unix(1, 0))
	largest := int64(0)
	for i := 1; i < 3*queueSlack; i++ {
		q.add(ftName(i), time.Unix(int64(i), 0))
		q.done(ftName(i))
		largest = max(largest, q.size)
	}
	if largest > queueSlack*80 {
		t.Errorf("%d octets", largest)
	}
	q.close()
	q = newQueue(t, path)
	if d := cmp.Diff([]string{ftName(0)}, q.list()); d != "" {
		t.Error(d)
	}
	q.close()
	if list := listing(t, filepath.Dir(path)); len(list) != 1 {
		t.Errorf("%v", list)
	}
}

// TestQueueUnwritable: while the file cannot be written the list goes on, and it
// is in the file when that can be written again.
func TestQueueUnwritable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	writeFile(t, filepath.Join(dir, "x"), nil)
	path := filepath.Join(dir, "q")
	var tr transcript
	q, err := openQueue(path, tr.warn)
	if err != nil {
		t.Fatal(err)
	}
	q.add(ftName(0), time.Unix(1, 0))
	q.file.Close() // every write fails
	if err := os.Rename(dir, dir+"2"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 5; i++ {
		q.add(ftName(i), time.Unix(int64(i), 0))
	}
	q.done(ftName(3))
	if !q.heal() || len(tr.lines) != 1 || !strings.HasPrefix(tr.lines[0], "write("+path+"): ") {
		t.Errorf("%q", tr.lines)
	}
	if err := os.Rename(dir+"2", dir); err != nil {
		t.Fatal(err)
	}
	if q.heal() {
		t.Error("still cannot be written")
	}
	want := []string{ftName(0), ftName(1), ftName(2), ftName(4)}
	q.add(ftName(5), time.Unix(5, 0))
	q.file.Close()
	q = newQueue(t, path)
	if d := cmp.Diff(append(want, ftName(5)), q.list()); d != "" {
		t.Error(d)
	}
	q.close()
}

// TestQueueNames: a queue gives no other files to a program than ours.
func TestQueueNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q")
	good := []string{"ft-v05.2000-01-01.000000+0000", "2000/2000-01/2000-01-01/ft-v08m03.2000-01-01.000000-0530"}
	bad := []string{
		"", "/etc/passwd", "../ft-v05.2000-01-01.000000+0000", "a/ft-v05.2000-01-01.000000+0000", "2000/../ft-v05.2000-01-01.000000+0000",
		"/2000/ft-v05.2000-01-01.000000+0000", "2000//ft-v05.2000-01-01.000000+0000", "./ft-v05.2000-01-01.000000+0000",
		"tmp-v05.2000-01-01.000000+0000", "ft-v05.2000-01-01.000000+0000 ", "ft-v05.2000-01-01.000000+0000\x00", "ft-$(id).2000-01-01.000000+0000",
	}
	var text strings.Builder
	for i, name := range slices.Concat(good, bad) {
		fmt.Fprintf(&text, "+ %d %s\n", i, name)
	}
	text.WriteString("+ x " + good[0] + "\n* 1 " + good[0] + "\n- /etc/passwd\n\n")
	writeFile(t, path, []byte(text.String()))
	var tr transcript
	q, err := openQueue(path, tr.warn)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(good, q.list()); d != "" {
		t.Error(d)
	}
	if want := fmt.Sprintf("%s: %d lines make no sense", path, len(bad)+4); len(tr.lines) != 1 || tr.lines[0] != want {
		t.Errorf("%q", tr.lines)
	}
	q.close()
	if err := os.Truncate(path, queueLimit+1); err != nil {
		t.Fatal(err)
	}
	if _, err := openQueue(path, tr.warn); err == nil {
		t.Error("a file too large")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("elsewhere", path); err != nil {
		t.Fatal(err)
	}
	if _, err := openQueue(path, tr.warn); err == nil {
		t.Error("a link")
	}
}

func FuzzQueue(f *testing.F) {
	f.Add([]byte("+ 1 ft-v05.2000-01-01.000000+0000\n- ft-v05.2000-01-01.000000+0000\n+ 2 2000/ft-v05.2000-01-01.000000+0000\n+ 3"))
	f.Add([]byte("\n\n+ \n- \n+ 1 ../x\n"))
	dir := f.TempDir()
	path := filepath.Join(dir, "q")
	f.Fuzz(func(t *testing.T, text []byte) {
		writeFile(t, path, text)
		q, err := openQueue(path, func(string, ...any) {})
		if err != nil {
			t.Fatal(err)
		}
		list := q.list()
		for _, name := range list {
			if !filepath.IsLocal(name) || strings.ContainsAny(name, " \n\x00$`;&|") {
				t.Fatalf("%q", name)
			}
		}
		q.add(ftName(7), time.Unix(7, 0))
		q.close()
		if q, err = openQueue(path, func(string, ...any) {}); err != nil {
			t.Fatal(err)
		}
		want := list
		if !slices.Contains(list, ftName(7)) {
			want = append(want, ftName(7))
		}
		if d := cmp.Diff(want, q.list()); d != "" {
			t.Fatal(d)
		}
		q.close()
	})
}
