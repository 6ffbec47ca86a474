// Package flowheader is flow-header: it shows what the header of a stream says.
package flowheader

import (
	"context"
	"fmt"

	"flowtools/internal/cli"
	"flowtools/internal/print"
	"flowtools/internal/streamio"
	"flowtools/pkg/ftfile"
)

type options struct {
	comment byte
	debug   int
}

// Spec describes flow-header.
func Spec() *cli.Spec {
	o := &options{comment: '#'}
	return &cli.Spec{
		Name:    "flow-header",
		Summary: "show the header of a flow stream",
		Flags: []cli.Flag{
			print.CommentFlag(&o.comment),
			streamio.DebugFlag(&o.debug),
		},
		Description: "flow-header prints the header of the flow stream on standard input as lines of text: times, counters, record version and whatever else " +
			"the header says. The records are not looked at.",
		ExitText: "1 when the header cannot be read or its record version is not supported, and when the output cannot be written; else 0, also after a bad option.",
		Examples: []cli.Example{{Command: "flow-header < ft-v05.2026-11-23.120000+0000", Text: "Show when a file was captured, and how many flows it holds."}},
		SeeAlso:  []string{"flow-print(1)", "flow-cat(1)", "flow-capture(1)"},
		Run:      o.run,
	}
}

func (o *options) run(_ context.Context, env *cli.Env) error {
	in, err := streamio.Open(env)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := env.Stdout.Write(print.AppendHeader(nil, in.Header(), o.comment, env.Zone())); err != nil {
		return fmt.Errorf("write(): %w", ftfile.Reason(err))
	}
	return nil
}
