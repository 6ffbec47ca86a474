package flowtag

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

// run runs the tool in this process.
func run(dir string, stdin []byte, argv ...string) (stdout []byte, stderr string, status int) {
	var out, msg bytes.Buffer
	env := &cli.Env{Stdin: bytes.NewReader(stdin), Stdout: &out, Stderr: &msg, Dir: dir, LookupEnv: func(name string) (string, bool) {
		return dir, name == "FLOW_TOOLS_SYSCONFDIR"
	}}
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"flow-tag"}, argv...))
	return out.Bytes(), msg.String(), status
}

// records returns the header and records of a stream.
func records(t *testing.T, stream []byte) (*ftfile.Header, *flow.Batch) {
	t.Helper()
	in, err := ftfile.NewReader(bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	all := &flow.Batch{Layout: in.Layout()}
	for b := range in.Batches() {
		for r := range b.All() {
			all.Append(r)
		}
	}
	return in.Header(), all
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// failure is a run that ends with status 1, nothing on standard output and stderr
// in its messages.
type failure struct {
	name   string
	stdin  []byte
	argv   []string
	stderr string
}

func (f *failure) check(t *testing.T, dir string) {
	t.Run(f.name, func(t *testing.T) {
		out, stderr, status := run(dir, f.stdin, f.argv...)
		if status != 1 || len(out) != 0 || !strings.Contains(stderr, f.stderr) {
			t.Errorf("status %d, %d octets of output, stderr\n%s", status, len(out), stderr)
		}
	})
}

const conf = `
tag-action udp
  type any
  match any or-src @{T:-1}
tag-definition t
  term
    action udp
`

// Versions 5, 6, 7 and 1005 come out as 1005 with their common fields; tags that
// were there are changed, not replaced.
func TestTag(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/tag.cfg", conf)
	for _, version := range []uint16{5, 6, 7, 1005} {
		b := flowtest.Traffic(flowtest.Layout(version, 0), 50, 1)
		out, stderr, status := run(dir, flowtest.Stream(b), "-TT", "-vT=0x100")
		if status != 0 || stderr != "" {
			t.Fatalf("version %d: %d %s", version, status, stderr)
		}
		h, got := records(t, out)
		if h.Version.Export != 1005 || got.Len() != b.Len() {
			t.Fatalf("version %d: %d records of version %v", version, got.Len(), h.Version)
		}
		for i := range b.Len() {
			for f := range got.Layout.Fields.All() {
				want := b.Layout.Uint(b.At(i), f)
				if f == flow.SrcTag {
					want |= 0x100
				}
				if v := got.Layout.Uint(got.At(i), f); v != want {
					t.Fatalf("version %d: %v is %d, want %d", version, f, v, want)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/tag.cfg", conf)
	v5 := flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), 3, 1))
	v1 := flowtest.Stream(flowtest.Traffic(flowtest.Layout(1, 0), 3, 1))
	v8 := flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 14), 3, 1))
	for _, f := range []failure{
		{"no definition", v5, nil, `cfg/tag.cfg: no tag-definition "", only t`},
		{"no such file", v5, []string{"-t", "none"}, "none: no such file or directory"},
		{"version 1", v1, []string{"-T", "t"}, "Flow record missing required field for tagging. (version 1 has no engine_type,"},
		{"version 8", v8, []string{"-T", "t"}, "Flow record missing required field for tagging. (version 8.14 has no nexthop,"},
		{"input", nil, []string{"-T", "t"}, "ftio_init(): failed"},
		{"help", v5, []string{"-h"}, "Usage: flow-tag "},
	} {
		f.check(t, dir)
	}
}
