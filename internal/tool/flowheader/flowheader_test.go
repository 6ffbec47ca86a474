package flowheader

import (
	"bytes"
	"context"
	"io"
	"strings"
	"syscall"
	"testing"

	"flowtools/internal/cli"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

func run(stdin io.Reader, stdout io.Writer, argv ...string) (status int, stderr string) {
	var msg bytes.Buffer
	env := &cli.Env{Stdin: stdin, Stdout: stdout, Stderr: &msg}
	status = cli.Exec(context.Background(), Spec(), env, append([]string{"flow-header"}, argv...))
	return status, msg.String()
}

// header is an encoded header of version v.
func header(t *testing.T, v flow.Version) []byte {
	t.Helper()
	p, err := ftfile.NewHeader(v, ftfile.FlagStreaming).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const v5 = `%
% mode:                 streaming
% compress:             off
% byte order:           little
% stream version:       3
% export version:       5
%
`

func TestRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		argv   []string
		in     []byte
		status int
		stdout string
	}{
		{"first octet of -c", []string{"-c", "%!"}, header(t, flow.Version{Export: 5}), 0, v5},
		{"last -c wins", []string{"-cx", "-c%", "-d7"}, header(t, flow.Version{Export: 5}), 0, v5},
		{"empty -c", []string{"-c", ""}, header(t, flow.Version{Export: 5}), 0, strings.ReplaceAll(v5, "%", "\x00")},
		{"records are not looked at", []string{"-c%"}, append(header(t, flow.Version{Export: 5}), "no record"...), 0, v5},
		{"unsupported version", nil, header(t, flow.Version{Export: 9}), 1, ""},
		{"cut", nil, header(t, flow.Version{Export: 5})[:20], 1, ""},
		{"empty", nil, nil, 1, ""},
		{"operand", []string{"x"}, header(t, flow.Version{Export: 5}), 1, ""},
		{"help", []string{"-h"}, nil, 0, ""},
		{"unknown option", []string{"-x"}, nil, 0, ""},
		{"missing value", []string{"-c"}, nil, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			status, stderr := run(bytes.NewReader(c.in), &out, c.argv...)
			if status != c.status || out.String() != c.stdout {
				t.Errorf("status %d, want %d; output %q", status, c.status, out.String())
			}
			if complains := c.stdout == ""; complains != (stderr != "") {
				t.Errorf("messages %q", stderr)
			}
		})
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestOutputFails(t *testing.T) {
	status, stderr := run(bytes.NewReader(header(t, flow.Version{Export: 5})), full{})
	if status != 1 || stderr != "flow-header: write(): no space left on device\n" {
		t.Errorf("status %d, messages %q", status, stderr)
	}
}
