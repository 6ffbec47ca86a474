// Package flowexpire is flow-expire: it deletes the oldest flow files of a
// directory.
package flowexpire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"flowtools/internal/cli"
	"flowtools/internal/clib"
	"flowtools/internal/daemon"
	"flowtools/internal/expire"
	"flowtools/pkg/ftfile"
)

type options struct {
	debug int
	limit expire.Limit
	dir   string
}

// Spec describes flow-expire.
func Spec() *cli.Spec {
	o := &options{dir: "."}
	return &cli.Spec{
		Name:    "flow-expire",
		Summary: "delete the oldest flow files",
		Flags: []cli.Flag{
			cli.Int('d', "debug", "level", &o.debug, "not 0: list on standard error what would be done, delete nothing"),
			cli.Func('e', "count", "count", func(s string) error { o.limit.Files = uint32(clib.Atoi(s)); return nil }, "keep at most this many files"),
			cli.Func('E', "size", "bytes[bKMG]", o.setSize, "keep at most this many octets, K M G being powers of 1024 and b 512"),
			cli.File('w', "directory", "directory", &o.dir, "where the files are, with all below (default .)"),
		},
		Description: "flow-expire deletes flow files, oldest capture start first, until no more than the given number and the given sum of sizes are left. " +
			"Only files whose names begin with ft, cf or tmp and that have a readable header count. Without -d messages go to syslog (facility local6).",
		ExitText: "1 when the directory cannot be read; a file that cannot be deleted is only reported.",
		Examples: []cli.Example{{Command: "flow-expire -E 10G -w /var/log/netflows", Text: "Keep the newest 10 GiB."}},
		SeeAlso:  []string{"flow-capture(1)", "flow-cat(1)"},
		Run:      o.run,
	}
}

func (o *options) setSize(s string) error {
	v, ok := clib.ScanSize(s)
	if !ok {
		return errors.New("scan_size(): failed")
	}
	o.limit.Bytes = v
	return nil
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	if o.debug != 0 {
		return o.sweep(env)
	}
	sink := daemon.Syslog(daemon.FacilityLocal6, env.Prog)
	env.Log = func(text string) { _ = sink(daemon.Info, text) } // no logger, no message
	err := o.sweep(env)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			env.Warn("%s", line)
		}
	}
	env.Log = nil // a failing status says why on standard error too
	return err
}

func (o *options) sweep(env *cli.Env) error {
	scanner := ftfile.Scanner{Capture: true, Warn: func(text string) { env.Warn("%s", text) }}
	found, err := scanner.Scan(env.Path(o.dir))
	if err != nil {
		return fmt.Errorf("%w\nftfile_loaddir(): failed", err)
	}
	files := expire.NewList(found)
	if o.debug == 0 {
		files.Sweep(o.limit, 0, os.Remove, env.Warn)
		return nil
	}
	list(env, files)
	files.Sweep(o.limit, 0, nil, env.Warn)
	list(env, files)
	return nil
}

func list(env *cli.Env, files *expire.List) {
	for _, f := range files.All() {
		env.Warn("name=%s  size=%d  time=%d", f.Path, f.Size, f.Start)
	}
}
