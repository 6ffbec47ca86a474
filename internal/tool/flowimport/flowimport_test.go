package flowimport_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"flowtools/internal/cli"
	"flowtools/internal/flowtest"
	"flowtools/internal/tool/flowexport"
	"flowtools/internal/tool/flowimport"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

func run(t testing.TB, spec *cli.Spec, in io.Reader, out io.Writer, args ...string) (status int, messages string) {
	t.Helper()
	var errs bytes.Buffer
	env := &cli.Env{Stdin: in, Stdout: out, Stderr: &errs}
	status = cli.Exec(t.Context(), spec, env, append([]string{"bin/" + spec.Name}, args...))
	return status, errs.String()
}

func TestSpec(t *testing.T) {
	if err := flowimport.Spec().Check(); err != nil {
		t.Error(err)
	}
}

// TestHeader: the bytes of the header, also before an import that fails.
func TestHeader(t *testing.T) {
	want := "\xcf\x10\x01\x03\x38\x00\x00\x00" + "\x02\x00\x02\x00\x05\x00" + "\x08\x00\x04\x00\x08\x00\x00\x00" +
		"\x0f\x00\x0c\x00flow-import\x00" + "\x10\x00\x0c\x00flow-import\x00" + "\x00\x00"
	for _, args := range []string{"-V5 -f2", "-V5 -f1", "-V5 -f3", "-V 5x -f 4"} {
		var out strings.Builder
		run(t, flowimport.Spec(), strings.NewReader(""), &out, strings.Fields(args)...)
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", args, diff)
		}
	}
	var out bytes.Buffer
	run(t, flowimport.Spec(), strings.NewReader(""), &out, "-V8.3", "-f2", "-z6", "-bbig")
	h, err := ftfile.ReadHeader(&out)
	if err != nil {
		t.Fatal(err)
	}
	if h.Version != (flow.Version{Export: 8, Agg: 3}) || h.Flags != ftfile.FlagStreaming|ftfile.FlagCompress || h.Order() != flow.BigEndian || h.Hostname != "flow-import" {
		t.Errorf("header %+v", h)
	}
}

func TestStatus(t *testing.T) {
	const lines = "#:dpkts\n5\n6\n"
	tests := []struct {
		name, in, args string
		status         int
		text           string // of standard error
		nothing        bool   // on standard output
	}{
		{name: "counts", in: lines, args: "-V5 -f2", text: "bin/flow-import: Imported 2 records.\n"},
		{name: "format by name", in: lines, args: "-V5 -f csv", text: "Imported 2 records.\n"},
		{name: "no end of line", in: "#:dpkts\n5\n6", args: "-V5 -f2", status: 255, text: "Imported 2 records.\n"},
		{name: "bad heading", in: "#:nope\n5\n", args: "-V5 -f2", status: 255, text: "Imported 0 records.\nflow-import: Unrecognized field: nope\nflow-import: ftxfield_parse(): failed\n"},
		{name: "bad mask", args: "-V5 -f2 -m nope", status: 1, text: "flow-import: Unrecognized field: nope\n", nothing: true},
		{name: "no version", in: lines, args: "-f2", status: 1, text: "flow-import: Must specify export version to store flows\n", nothing: true},
		{name: "no number", in: lines, args: "-f2 -V x", status: 1, text: "flow-import: Version scan failed\n", nothing: true},
		{name: "unsupported version", in: lines, args: "-f2 -V9", status: 1, text: "ftio_set_ver(): failed\n", nothing: true},
		{name: "version 8 alone", in: lines, args: "-f2 -V8", status: 1, text: "ftio_set_ver(): failed\n", nothing: true},
		{name: "version beyond 16 bits", in: lines, args: "-f2 -V65541", status: 1, text: "ftio_set_ver(): failed\n", nothing: true},
		{name: "method beyond 8 bits", in: lines, args: "-f2 -V8.257", status: 1, text: "ftio_set_ver(): failed\n", nothing: true},
		{name: "no such format", in: lines, args: "-f9", status: 1, text: "flow-import: No such format, 9\n", nothing: true},
		{name: "negative format", in: lines, args: "-V5 -f-1", status: 1, text: "flow-import: No such format, -1\n", nothing: true},
		{name: "format before version", in: lines, args: "-f9", status: 1, text: "No such format", nothing: true},
		{name: "operand", in: lines, args: "-V5 -f2 x", status: 1, text: "Extra arguments starting with x.\n", nothing: true},
		{name: "level", in: lines, args: "-V5 -z10", status: 1, text: "Compression level must be between 0 and 9\n", nothing: true},
		{name: "order", in: lines, args: "-V5 -bmiddle", status: 1, text: "big", nothing: true},
		{name: "pcap", args: "-V5 -f1", status: 255, text: "Not implemented\n"},
		{name: "cflowd", args: "-V5", status: 255, text: "Imported 0 records.\n"},
		{name: "cflowd 1005", args: "-V1005 -f0", status: 255, text: "Unsupported export version\n"},
		{name: "csv 1005", in: "#:src_tag\n7\n", args: "-V1005 -f2", text: "Imported 1 records.\n"},
		{name: "wire", args: "-V5 -f4", status: 255, text: "Imported 0 records.\n"},
		{name: "wire, unknown version", in: strings.Repeat("garbage", 9), args: "-V5 -f4", status: 1, text: "Unrecognized PDU version: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			status, messages := run(t, flowimport.Spec(), strings.NewReader(tt.in), &out, strings.Fields(tt.args)...)
			if status != tt.status || !strings.Contains(messages, tt.text) {
				t.Errorf("status %d, messages %q; want %d, %q", status, messages, tt.status, tt.text)
			}
			if (out.Len() == 0) != tt.nothing {
				t.Errorf("%d octets on standard output", out.Len())
			}
		})
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestOutputFails(t *testing.T) {
	if status, messages := run(t, flowimport.Spec(), strings.NewReader("1\n"), full{}, "-V5", "-f2"); status != 1 || !strings.Contains(messages, "no space left") {
		t.Errorf("status %d, messages %q", status, messages)
	}
}

// TestThereAndBack goes through both tools, in both byte orders, compressed, and
// in bits and pieces.
func TestThereAndBack(t *testing.T) {
	for _, format := range []string{"csv", "json", "wire"} {
		for _, order := range []string{"little", "big"} {
			for _, level := range []string{"0", "6"} {
				l := flowtest.Layout(7, 0)
				b := flowtest.Traffic(l, 1500, 1)
				for r := range b.All() {
					l.PutUint(r, flow.ExAddr, 0) // not part of a PDU
				}
				var middle, out bytes.Buffer
				if status, messages := run(t, flowexport.Spec(), bytes.NewReader(flowtest.Stream(b)), &middle, "-f", format); status != 0 {
					t.Fatal(messages)
				}
				status, messages := run(t, flowimport.Spec(), iotest.HalfReader(&middle), &out, "-V7", "-f", format, "-b", order, "-z", level)
				if status != 0 && format != "wire" || !strings.Contains(messages, "Imported 1500 records.") {
					t.Errorf("%s: status %d, %s", format, status, messages)
				}
				r, err := ftfile.NewReader(&out)
				if err != nil {
					t.Fatal(err)
				}
				var got []byte
				for b := range r.Batches() {
					got = append(got, b.Bytes()...)
				}
				if !bytes.Equal(got, b.Bytes()) {
					t.Errorf("%s, %s endian, level %s: the records differ", format, order, level)
				}
			}
		}
	}
}
