package flowxlate

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
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"flow-xlate"}, argv...))
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
xlate-action double
  type scale
  scale @{N:-2}
xlate-action tags
  type tag-mask
xlate-definition default
  term
    filter udp
    action double
xlate-definition tags
  term
    action tags
`

const filters = `
filter-primitive udp
  type ip-protocol
  permit 17
filter-definition udp
  match ip-protocol udp
`

// Actions work on the records of the input, then the version is converted.
func TestXlate(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/xlate.cfg", conf)
	write(t, dir+"/cfg/filter.cfg", filters)
	b := flowtest.Traffic(flowtest.Layout(5, 0), 100, 1)
	for _, c := range []struct {
		argv    []string
		version uint16
		factor  uint64
	}{
		{nil, 5, 2}, {[]string{"-vN=3", "-V7"}, 7, 3}, {[]string{"-nV1005"}, 1005, 1}, {[]string{"-n", "-V 6x", "-V", "01.9"}, 1, 1}, {[]string{"-n"}, 5, 1},
	} {
		out, stderr, status := run(dir, flowtest.Stream(b), c.argv...)
		if status != 0 || stderr != "" {
			t.Fatalf("%q: %d %s", c.argv, status, stderr)
		}
		h, got := records(t, out)
		if h.Version.Export != c.version || got.Len() != b.Len() {
			t.Fatalf("%q: %d records of version %v", c.argv, got.Len(), h.Version)
		}
		for i := range b.Len() {
			for f := range (got.Layout.Fields & b.Layout.Fields).All() {
				want := b.Layout.Uint(b.At(i), f)
				if (f == flow.DPkts || f == flow.DOctets) && b.Layout.Uint(b.At(i), flow.Prot) == 17 {
					want *= c.factor
				}
				if v := got.Layout.Uint(got.At(i), f); v != want {
					t.Fatalf("%q: %v is %d, want %d", c.argv, f, v, want)
				}
			}
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/cfg/xlate.cfg", conf)
	write(t, dir+"/cfg/filter.cfg", filters)
	v5 := flowtest.Stream(flowtest.Traffic(flowtest.Layout(5, 0), 3, 1))
	v8 := flowtest.Stream(flowtest.Traffic(flowtest.Layout(8, 1), 3, 1))
	for _, f := range []failure{
		{"no version", v5, []string{"-nV", "abc"}, "Version scan failed"},
		{"version 8", v5, []string{"-nV", "8"}, "Unsupported agg_method 0"},
		{"version 9", v5, []string{"-nV", "9"}, "Unsupported d_version 9"},
		{"to aggregation", v5, []string{"-nV", "8.1"}, "no conversion of version 5 to version 8.1"},
		{"from aggregation", v8, []string{"-nV", "5"}, "no conversion of version 8.1 to version 5"},
		{"file though only -V matters", v5, []string{"-V7", "-x", "none"}, "none: no such file or directory"},
		{"no such definition", v5, []string{"-X", "x"}, `cfg/xlate.cfg: no xlate-definition "x", only default, tags`},
		{"fields of actions", v5, []string{"-X", "tags", "-V1005"}, "Xlate references a field not in flow. (version 5 has no src_tag,dst_tag)"},
		{"fields of filters", v8, nil, "Xlate references a field not in flow. (version 8.1 has no prot)"},
		{"input", nil, []string{"-n"}, "ftio_init(): failed"},
		{"help", v5, []string{"-h"}, "Usage: flow-xlate "},
	} {
		f.check(t, dir)
	}
}
