//go:build linux

// Command reliability runs the scenarios of internal/rig and prints their
// figures, as tables in Markdown; scripts/reliability is the way to run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"flowtools/internal/cli"
	"flowtools/internal/rig"
)

type options struct {
	bin   string
	dir   string
	seed  uint64
	light bool
	list  bool
}

func main() {
	rig.Main()
	rig.Isolate()
	o := &options{seed: uint64(time.Now().UnixNano())}
	cli.Main(&cli.Spec{
		Name: "reliability", Summary: "hold flow-capture to what docs/reliability.md promises",
		Operands: "[scenario ...]", MaxOperands: -1, UsageExit: 1, Run: o.run,
		Flags: []cli.Flag{
			cli.File('b', "bin", "directory", &o.bin, "where flow-capture is; required"),
			cli.File('d', "directory", "directory", &o.dir, "where to make files; up to 20 GB of them (default $TMPDIR)"),
			cli.Bool('l', "light", &o.light, "the light forms, as in go test"),
			cli.Bool('n', "names", &o.list, "list the scenarios"),
			cli.Func('s', "seed", "number", func(s string) (err error) { o.seed, err = strconv.ParseUint(s, 10, 64); return err }, "repeat a run"),
		},
	})
}

func (o *options) run(ctx context.Context, env *cli.Env) error {
	var chosen []rig.Scenario
	for _, s := range rig.Scenarios() {
		if o.list {
			fmt.Fprintf(env.Stdout, "%-10s %s\n", s.Name, s.Title)
		}
		if len(env.Args) == 0 || slices.Contains(env.Args, s.Name) {
			chosen = append(chosen, s)
		}
	}
	switch {
	case o.list:
		return nil
	case len(env.Args) > len(chosen):
		return fmt.Errorf("no such scenario among %s; -n lists them", strings.Join(env.Args, ", "))
	case o.bin == "":
		return errors.New("expecting -b, the directory of flow-capture")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	capture, err := filepath.Abs(filepath.Join(o.bin, "flow-capture"))
	if err != nil {
		return err
	}
	traffic, err := rig.NewTraffic(1)
	if err != nil {
		return err
	}
	peer, _ := exec.LookPath("nfcapd") // "" if there is none
	fmt.Fprintf(env.Stdout, "Seed %d.\n", o.seed)
	broken := 0
	for _, s := range chosen {
		env.Warn("%s: %s", s.Name, s.Title)
		b := &rig.Bench{
			Heavy: !o.light, Dir: o.dir, Traffic: traffic, Seed: o.seed, Peer: peer,
			Capture: rig.Program{Name: "flow-capture", Path: capture},
			Self:    rig.Program{Name: "flow-capture", Path: self},
			Say:     func(format string, args ...any) { env.Warn("%s", fmt.Sprintf(s.Name+": "+format, args...)) },
		}
		machine, began := rig.Machine(), time.Now()
		err := s.Execute(ctx, b)
		switch {
		case errors.Is(err, rig.ErrSkip):
			b.Figure("not run", "%v", err)
		case err != nil:
			b.Fail("the scenario ended early: %v", err)
		}
		broken += len(b.Failures)
		b.Figure("measured", "%s; %v", machine, time.Since(began).Round(time.Second))
		fmt.Fprintf(env.Stdout, "\n%s", b.Table(&s))
	}
	if broken > 0 {
		return cli.Fail(1, "%d promises broken", broken)
	}
	return nil
}
