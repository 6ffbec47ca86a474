package expire_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/expire"
	"flowtools/pkg/ftfile"
)

// sample returns a list of files of the given sizes, f0 the oldest.
func sample(sizes ...int64) *expire.List {
	l := &expire.List{}
	for i, size := range sizes {
		l.Add(expire.File{Path: fmt.Sprintf("f%d", i), Size: size, Start: uint32(i)})
	}
	return l
}

func paths(l *expire.List) []string {
	var all []string
	for _, f := range l.All() {
		all = append(all, f.Path)
	}
	return all
}

func TestSweep(t *testing.T) {
	sizes := []int64{100, 200, 300, 400}
	for _, tc := range []struct {
		name   string
		lim    expire.Limit
		open   uint64
		report []string
		left   []string
	}{
		{"no limit", expire.Limit{}, 0, nil, []string{"f0", "f1", "f2", "f3"}},
		{"as many", expire.Limit{Files: 4}, 0, nil, []string{"f0", "f1", "f2", "f3"}},
		{"fewer", expire.Limit{Files: 3}, 0, []string{"remove/1 f0"}, []string{"f1", "f2", "f3"}},
		{"one", expire.Limit{Files: 1}, 0, []string{"remove/1 f0", "remove/1 f1", "remove/1 f2"}, []string{"f3"}},
		{"-e -1", expire.Limit{Files: 1<<32 - 1}, 0, nil, []string{"f0", "f1", "f2", "f3"}},
		{"just fits", expire.Limit{Bytes: 1000}, 0, nil, []string{"f0", "f1", "f2", "f3"}},
		{"an octet less", expire.Limit{Bytes: 999}, 0, []string{"remove/2 f0"}, []string{"f1", "f2", "f3"}},
		{"none fits", expire.Limit{Bytes: 1}, 0, []string{"remove/2 f0", "remove/2 f1", "remove/2 f2", "remove/2 f3"}, nil},
		{"both", expire.Limit{Files: 3, Bytes: 500}, 0, []string{"remove/1 f0", "remove/2 f1", "remove/2 f2"}, []string{"f3"}},
		{"open file counts", expire.Limit{Bytes: 1000}, 1, []string{"remove/2 f0"}, []string{"f1", "f2", "f3"}},
		{"open file alone too large", expire.Limit{Bytes: 1000}, 5000, []string{"remove/2 f0", "remove/2 f1", "remove/2 f2", "remove/2 f3"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := sample(sizes...)
			var said, removed []string
			l.Sweep(tc.lim, tc.open, func(path string) error { removed = append(removed, path); return nil },
				func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
			if diff := cmp.Diff(tc.report, said); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tc.left, paths(l)); diff != "" {
				t.Error(diff)
			}
			if len(removed)+len(l.All()) != len(sizes) {
				t.Errorf("removed %q", removed)
			}
		})
	}
}

// Without removal the list stays, and the sizes are looked at from the oldest
// file on again.
func TestSweepDry(t *testing.T) {
	l := sample(100, 200, 300, 400)
	var said []string
	for range 2 {
		said = nil
		l.Sweep(expire.Limit{Files: 3, Bytes: 500}, 0, nil, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	}
	if diff := cmp.Diff([]string{"remove/1 f0", "remove/2 f0", "remove/2 f1", "remove/2 f2"}, said); diff != "" {
		t.Error(diff)
	}
	if len(l.All()) != 4 {
		t.Errorf("%d files left", len(l.All()))
	}
}

func TestSweepFails(t *testing.T) {
	l := sample(100, 200)
	var said []string
	fail := func(path string) error { return &fs.PathError{Op: "remove", Path: path, Err: errors.New("not today")} }
	l.Sweep(expire.Limit{Files: 1}, 0, fail, func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) })
	if diff := cmp.Diff([]string{"remove/1 f0", "unlink(f0): not today"}, said); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"f1"}, paths(l)); diff != "" {
		t.Error(diff)
	}
}

// Whatever is added and swept in whatever order: the longest run of the newest
// files that is within the limits stays.
func TestSweepModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	quiet := func(string, ...any) {}
	for range 200 {
		l := &expire.List{}
		var model []expire.File
		for turn := range 30 {
			f := expire.File{Path: fmt.Sprint(turn), Size: rng.Int64N(100)}
			l.Add(f)
			model = append(model, f)
			if rng.IntN(3) > 0 {
				continue
			}
			lim := expire.Limit{Files: rng.Uint32N(12), Bytes: rng.Uint64N(500)}
			open := rng.Uint64N(50)
			l.Sweep(lim, open, func(string) error { return nil }, quiet)
			for len(model) > 0 && !within(model, lim, open) {
				model = slices.Delete(model, 0, 1)
			}
			if diff := cmp.Diff(model, l.All()); diff != "" {
				t.Fatalf("%+v, open %d: %s", lim, open, diff)
			}
		}
	}
}

func within(files []expire.File, lim expire.Limit, open uint64) bool {
	sum := open
	for _, f := range files {
		sum += uint64(f.Size)
	}
	return (lim.Files == 0 || len(files) <= int(lim.Files)) && (lim.Bytes == 0 || sum <= lim.Bytes)
}

func TestNewList(t *testing.T) {
	l := expire.NewList([]ftfile.Entry{{Path: "a", Size: 3, Header: &ftfile.Header{Start: 9}}})
	if diff := cmp.Diff([]expire.File{{Path: "a", Size: 3, Start: 9}}, l.All()); diff != "" {
		t.Error(diff)
	}
}

// TestInsert: a file that comes late takes its place by capture start.
func TestInsert(t *testing.T) {
	l := sample(1, 10, 100)
	for _, f := range []expire.File{{Path: "new", Size: 1000, Start: 7}, {Path: "old", Size: 10_000}, {Path: "same", Size: 100_000, Start: 1}} {
		l.Insert(f)
	}
	if diff := cmp.Diff([]string{"f0", "old", "f1", "same", "f2", "new"}, paths(l)); diff != "" {
		t.Error(diff)
	}
	l.Sweep(expire.Limit{Bytes: 101_111}, 0, func(string) error { return nil }, func(string, ...any) {})
	if diff := cmp.Diff([]string{"f1", "same", "f2", "new"}, paths(l)); diff != "" {
		t.Error(diff)
	}
}
