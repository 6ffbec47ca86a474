package flownfilter

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
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"flow-nfilter"}, argv...))
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
filter-primitive p
  type ip-protocol
  permit @{P:-17}
filter-definition default
  match ip-protocol p
filter-definition all
  invert
`

// The installed file, its default definition and variables.
func TestFilter(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/filter.cfg", conf)
	b := flowtest.Traffic(flowtest.Layout(5, 0), 300, 1)
	for _, c := range []struct {
		argv []string
		prot uint64 // 0: everything
	}{{nil, 17}, {[]string{"-vP=17", "-vP=6"}, 6}, {[]string{"-FALL"}, 0}, {[]string{"-f", "cfg/filter.cfg"}, 17}} {
		out, stderr, status := run(dir, flowtest.Stream(b), append(c.argv, "-b", "big")...)
		if status != 0 || stderr != "" {
			t.Fatalf("%q: %d %s", c.argv, status, stderr)
		}
		want := &flow.Batch{Layout: b.Layout}
		for r := range b.All() {
			if c.prot == 0 || b.Layout.Uint(r, flow.Prot) == c.prot {
				want.Append(r)
			}
		}
		if h, got := records(t, out); !bytes.Equal(got.Bytes(), want.Bytes()) || h.Order() != flow.BigEndian {
			t.Errorf("%q: %d records, want %d", c.argv, got.Len(), want.Len())
		}
	}
}

// The header has times and flow count of 0; -k keeps the times of the input.
func TestHeader(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/filter.cfg", conf)
	h := ftfile.NewHeader(flow.Version{Export: 5}, ftfile.FlagDone)
	h.Start, h.End, h.Flows, h.Comments = 7, 9, 3, "old"
	h.Mark(ftfile.TagStart, ftfile.TagEnd, ftfile.TagFlows, ftfile.TagComments)
	var in bytes.Buffer
	w, err := ftfile.NewWriter(&in, h)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	out, _, _ := run(dir, in.Bytes())
	got, _ := records(t, out)
	if got.Start != 0 || !got.Has(ftfile.TagStart) || !got.Has(ftfile.TagEnd) || !got.Has(ftfile.TagFlows) || got.Flows != 0 || got.Has(ftfile.TagComments) || got.Flags != ftfile.FlagStreaming {
		t.Errorf("%+v", got)
	}
	out, _, _ = run(dir, in.Bytes(), "-kC", "new")
	if got, _ := records(t, out); got.Start != 7 || got.End != 9 || got.Comments != "new" || got.Flags != ftfile.FlagStreaming|ftfile.FlagPreloaded {
		t.Errorf("-k: %+v", got)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/filter.cfg", conf)
	write(t, dir+"/bad", "filter-primitive p\ntyp as\n")
	stream := flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 1), 3, 1))
	for _, f := range []failure{
		{"no such file", stream, []string{"-f", "none"}, "none: no such file or directory"},
		{"place", stream, []string{"-f", "bad"}, `bad line 2: Unexpected "typ". Expecting filter-primitive, type, `},
		{"no such definition", stream, []string{"-F", "x"}, `cfg/filter.cfg: no filter-definition "x", only default, all`},
		{"file before input", nil, []string{"-F", "x"}, `no filter-definition "x"`},
		{"input", nil, nil, "ftio_init(): failed"},
		{"missing field", stream, nil, "Filter references a field not in flow. (version 8.1 has no prot)"},
		{"variable", stream, []string{"-v", "x="}, `variable "x=": expecting NAME=VALUE`},
		{"help", stream, []string{"-h"}, "Usage: flow-nfilter "},
		{"operand", stream, []string{"x"}, "Extra arguments starting with x."},
	} {
		f.check(t, dir)
	}
}
