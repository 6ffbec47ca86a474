package flowmask

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
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"flow-mask"}, argv...))
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
mask-definition default
  prefix 10/8 9
mask-definition none
`

func TestMask(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/mask.cfg", conf)
	for _, v := range flow.Versions() {
		b := flowtest.Traffic(flowtest.Layout(v.Export, v.Agg), 50, 1)
		for _, argv := range [][]string{nil, {"-M", "NONE"}} {
			out, stderr, status := run(dir, flowtest.Stream(b), argv...)
			if status != 0 || stderr != "" {
				t.Fatalf("version %v: %d %s", v, status, stderr)
			}
			want := append([]byte(nil), b.Bytes()...)
			if l := b.Layout; argv == nil && l.Missing(flow.Fields(flow.SrcAddr, flow.SrcMask)) == 0 {
				for i := range b.Len() { // every source is in 10/8, no destination
					l.PutUint(want[i*l.Size:], flow.SrcMask, 9)
				}
			}
			if h, got := records(t, out); h.Version != v || !bytes.Equal(got.Bytes(), want) {
				t.Errorf("version %v, %q: other records than expected", v, argv)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/mask.cfg", conf)
	stream := flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), 3, 1))
	for _, f := range []failure{
		{"no such file", stream, []string{"-m", "none"}, "none: no such file or directory"},
		{"no such definition", stream, []string{"-M", "x"}, `cfg/mask.cfg: no mask-definition "x", only default, none`},
		{"no variables", stream, []string{"-v", "A=1"}, "invalid option -- 'v'"},
		{"input", nil, nil, "ftio_init(): failed"},
		{"help", stream, []string{"-h"}, "Usage: flow-mask "},
	} {
		f.check(t, dir)
	}
}
