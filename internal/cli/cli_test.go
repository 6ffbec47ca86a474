package cli

import (
	"bytes"
	"context"
	"testing"
)

func TestExecOrder(t *testing.T) {
	var f int
	var w bool
	s := &Spec{Name: "flow-x", UsageExit: 3, Flags: []Flag{Int('f', "format", "n", &f, "format"), Bool('w', "wide", &w, "wide")},
		MaxOperands: -1,
		Run:         func(_ context.Context, env *Env) error { return Fail(7, "f=%d w=%t %q %q", f, w, env.Args, env.Argv) }}
	var out, errs bytes.Buffer
	code := Exec(context.Background(), s, &Env{Stdout: &out, Stderr: &errs}, []string{"/bin/flow-x", "a", "-wf5", "--format=6x", "--", "-f"})
	if want := "flow-x: f=6 w=true [\"a\" \"-f\"] [\"/bin/flow-x\" \"-wf5\" \"--format=6x\" \"--\" \"a\" \"-f\"]\n"; code != 7 || errs.String() != want || out.Len() > 0 {
		t.Errorf("status %d, stderr %q, want 7, %q", code, errs.String(), want)
	}
}
