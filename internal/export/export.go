// Package export is what flow-export turns records into: the targets, one
// package each below this one, and the parts they share.
//
// A target is a function that opens a [Sink]; the list of them stands in
// internal/tool/flowexport. Drivers are imported by the targets only.
package export

import (
	"context"
	"errors"
	"io"

	"flowtools/pkg/flow"
)

// A Sink takes the records of one run. It is for one goroutine.
type Sink interface {
	// Write hands over records. The batch is the caller's again on return. After
	// an error the sink takes no more and only Abort is of use.
	Write(b *flow.Batch) error

	// Close completes the export: when it returns nil, everything written is
	// with its receiver; a database has committed it.
	Close() error

	// Abort gives up what a database has not committed and frees what the sink
	// holds. After Close it does nothing.
	Abort()
}

// Opener opens a target.
type Opener func(ctx context.Context, o *Options) (Sink, error)

// Target is one row of the list of formats.
type Target struct {
	Name   string // value of -f in words
	Number int    // value of -f in the original; -1 for those it did not have
	Help   string
	Open   Opener
	Status int // exit status of a failed export; 0 is 1

	// Check, unless nil, looks at the options before the input is opened.
	Check func(o *Options) error
}

// Options is what a target is opened with.
type Options struct {
	Layout *flow.Layout // of the records; nil for Target.Check
	Mask   Mask
	Out    io.Writer // standard output, unbuffered
	DB     Database
}

// Database is the part of the options that concerns databases.
type Database struct {
	URI      string // -u as typed, "" without it
	Path     func(name string) string
	Password string   // used when URI has none
	Create   bool     // make the table if there is none
	Conflict Conflict // what becomes of a row whose key is there already
	Ledger   string   // table of the loads done; "" keeps none
	Index    flow.FieldSet

	Warn  func(format string, args ...any)
	Trace func(statement string) // nil unless statements are to be shown
}

// Conflict says what becomes of a row that violates a unique key.
type Conflict uint8

// The ways out of a conflict.
const (
	Fail    Conflict = iota // nothing is loaded at all
	Ignore                  // the row that is there stays
	Replace                 // the new row takes its place
)

// Conflicts are the words for the values of Conflict.
var Conflicts = [...]string{Fail: "fail", Ignore: "ignore", Replace: "replace"}

// ErrMissing says that the records lack a field that the target cannot do without.
var ErrMissing = errors.New("Flow record missing required field for format.")

// ErrURI says that -u is not what it should be; the database was not contacted.
var ErrURI = errors.New("Missing field in dbaseURI, expecting user:pwd:host:port:name:table.")

// ErrLoaded is wrapped by the error of a Close that found the records in the
// ledger. Nothing was loaded then, and nothing is wrong.
var ErrLoaded = errors.New("loaded before")

// Fields returns the selected fields that the records have, in mask order.
func (o *Options) Fields() []flow.Field {
	var fs []flow.Field
	for f := range (o.Layout.Fields & flow.FieldSet(o.Mask.Bits)).All() {
		fs = append(fs, f)
	}
	return fs
}
