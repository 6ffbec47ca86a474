package export

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"flowtools/pkg/flow"
)

// List joins the names of fields as columns of a statement.
func List(fields []flow.Field) string {
	var b strings.Builder
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(f.String())
	}
	return b.String()
}

// CreateTable is the statement that makes a table for fields, unless there is
// one. Table names go into statements as typed, as the original has it.
func CreateTable(table string, fields []flow.Field, suffix string) string {
	cols := make([]string, len(fields))
	for i, f := range fields {
		cols[i] = f.String() + " " + f.Info().SQL
	}
	return "CREATE TABLE IF NOT EXISTS " + table + " (" + strings.Join(cols, ", ") + ")" + suffix
}

// CreateLedger is the statement that makes the table of the loads done, unless
// there is one.
func CreateLedger(name, suffix string) string {
	return "CREATE TABLE IF NOT EXISTS " + name + " (target VARCHAR(190) NOT NULL, digest CHAR(64) NOT NULL, " +
		"records BIGINT NOT NULL, loaded TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL, PRIMARY KEY (target, digest))" + suffix
}

// Digest tells streams apart by their records, whatever file or pipe they came
// from. The zero Digest is ready for use.
type Digest struct {
	hash    hash.Hash
	records uint64
}

// Add takes in the records of b.
func (d *Digest) Add(b *flow.Batch) {
	if d.hash == nil {
		d.hash = sha256.New()
		fmt.Fprintf(d.hash, "%v\n", b.Layout.Version)
	}
	d.hash.Write(b.Bytes())
	d.records += uint64(b.Len())
}

// Records returns the number of records taken in.
func (d *Digest) Records() uint64 { return d.records }

// Sum returns the digest in hexadecimal.
func (d *Digest) Sum() string {
	if d.hash == nil {
		return ""
	}
	return hex.EncodeToString(d.hash.Sum(nil))
}

// Loaded is the error of a Close that found the records in the ledger.
func (d *Digest) Loaded(table string) error {
	return fmt.Errorf("these %d records are in %s already: %w, nothing was loaded now", d.records, table, ErrLoaded)
}
