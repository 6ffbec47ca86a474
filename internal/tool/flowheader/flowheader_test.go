package flowheader

import (
	"strings"
	"testing"

	"flowtools/internal/tooltest"
	"flowtools/pkg/flow"
	"flowtools/pkg/ftfile"
)

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
			got := tooltest.World{Input: c.in}.Run(t.Context(), Spec(), c.argv...)
			if got.Code != c.status || string(got.Out) != c.stdout {
				t.Errorf("%v, want status %d", got, c.status)
			}
			if complains := c.stdout == ""; complains != (got.Err != "") {
				t.Errorf("messages %q", got.Err)
			}
		})
	}
}

func TestOutputFails(t *testing.T) {
	got := tooltest.World{Input: header(t, flow.Version{Export: 5}), Out: &tooltest.Full{}}.Run(t.Context(), Spec())
	if got.Code != 1 || got.Err != "flow-header: write(): no space left on device\n" {
		t.Error(got)
	}
}
