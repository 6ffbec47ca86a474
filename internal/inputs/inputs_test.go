package inputs_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/inputs"
	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// within runs f as a tool does, in dir.
func within(t *testing.T, dir string, f func(env *cli.Env) error) (stderr string) {
	t.Helper()
	spec := &cli.Spec{Name: "tool", MaxOperands: -1, Run: func(_ context.Context, env *cli.Env) error { return f(env) }}
	r := tooltest.World{Dir: dir, Stdin: bytes.NewReader(stream(2))}.Run(t.Context(), spec)
	return r.Err
}

// stream returns a stream of n records.
func stream(n int) []byte { return flowtest.Stream(flowtest.Random(flowtest.Layout(5, 0), n, 1)) }

func TestCollect(t *testing.T) {
	dir := t.TempDir()
	capture := func(start uint32) []byte {
		return tooltest.Capture(t, flow.NewBatch(flowtest.Layout(5, 0)), func(h *ftfile.Header) { h.Start = start; h.Mark(ftfile.TagStart) })
	}
	tooltest.Write(t, dir, map[string][]byte{
		"late": capture(9), "early": capture(3), "bare": stream(1), "tmp-x": capture(1), "junk": []byte("junk"),
		"d/b": capture(5), "d/a": capture(7), "d/tmp-c": capture(6), "d/tmp-dir/e": capture(2),
	})
	for _, tc := range []struct {
		operands string
		opt      inputs.Options
		want     string
		err      string // in the messages
	}{
		{"", inputs.Options{}, "-", ""},
		{"late early", inputs.Options{}, "late early", ""},
		{"late early - bare", inputs.Options{Group: true}, "- bare early late", ""},
		{"bare late - early", inputs.Options{Group: true}, "bare - early late", ""},
		{"d", inputs.Options{}, "d/tmp-dir/e d/b d/a", ""},
		{"d", inputs.Options{Open: true}, "d/tmp-dir/e d/b d/tmp-c d/a", ""},
		{"late d early", inputs.Options{Group: true}, "d/tmp-dir/e early d/b d/a late", ""},
		{"tmp-x ./tmp-x", inputs.Options{}, "./tmp-x", ""},
		{"tmp-x", inputs.Options{Open: true}, "tmp-x", ""},
		{"nosuch junk late", inputs.Options{}, "late", "tool: open(nosuch): no such file or directory\n"},
		{"junk late", inputs.Options{}, "late", "bad magic number"},
		{"/dev/null late", inputs.Options{}, "late", "tool: odd file, skipping: /dev/null\n"},
	} {
		var got []string
		stderr := within(t, dir, func(env *cli.Env) error {
			all, err := inputs.Collect(env, strings.Fields(tc.operands), tc.opt)
			for _, in := range all {
				if in.Stdin() != (in.Path == "-") {
					t.Errorf("%s: standard input: %v", in.Path, in.Stdin())
				}
				got = append(got, strings.TrimPrefix(in.Path, dir+"/"))
			}
			return err
		})
		if diff := cmp.Diff(strings.Fields(tc.want), got); diff != "" || !strings.Contains(stderr, tc.err) || tc.err == "" && stderr != "" {
			t.Errorf("%q %+v: %s%s", tc.operands, tc.opt, stderr, diff)
		}
	}
}

func TestCollectFails(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{"d/a": stream(1)})
	if err := os.Symlink("nowhere", filepath.Join(dir, "d", "link")); err != nil {
		t.Fatal(err)
	}
	stderr := within(t, dir, func(env *cli.Env) error {
		_, err := inputs.Collect(env, []string{"d"}, inputs.Options{})
		return err
	})
	if want := "tool: stat(" + dir + "/d/link): no such file or directory\ntool: load_dir(): failed\ntool: ftfile_loaddir(d): failed\n"; stderr != want {
		t.Errorf("%q", stderr)
	}
}

func TestStart(t *testing.T) {
	dir := t.TempDir()
	tooltest.Write(t, dir, map[string][]byte{"a": stream(1), "gone": stream(1), "cut": stream(1)})
	within(t, dir, func(env *cli.Env) error {
		all, err := inputs.Collect(env, []string{"a", "-", "gone", "cut"}, inputs.Options{})
		if err != nil || len(all) != 4 {
			t.Fatalf("%d inputs, %v", len(all), err)
		}
		if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, "cut"), 10); err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{1, 2} {
			s, err := all[i].Start()
			if err != nil {
				t.Fatal(err)
			}
			if b := s.Next(); b == nil || b.Len() != want || s.Live || s.Name != all[i].Path {
				t.Errorf("%s: %+v", all[i].Path, s)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := all[2].Start(); !errors.Is(err, inputs.ErrGone) {
			t.Errorf("gone: %v", err)
		}
		if _, err := all[3].Start(); err == nil || err.Error() != "Short read while loading header\nftiheader_read(): failed\nftio_init(): failed" {
			t.Errorf("cut: %v", err)
		}
		return nil
	})
}

// Standard input is live unless it is a file.
func TestLive(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		w.Write(stream(1))
		w.Close()
	}()
	spec := &cli.Spec{Name: "tool", Run: func(_ context.Context, env *cli.Env) error {
		all, err := inputs.Collect(env, nil, inputs.Options{})
		if err != nil {
			return err
		}
		s, err := all[0].Start()
		if err != nil {
			return err
		}
		if !s.Live {
			t.Error("a pipe is not live")
		}
		return s.Close()
	}}
	if res := (tooltest.World{Stdin: io.Reader(r)}).Run(t.Context(), spec); res.Code != 0 {
		t.Error(res.Err)
	}
}
