// Package sqlite is the target of flow-export -f sqlite: a table in an SQLite
// file, made as needed. One export is one transaction.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite/lib"

	"flowtools/internal/clib"
	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

const (
	defaultTable = "flows"
	busyTimeout  = 60_000 // ms that an export waits for another one
)

// cacheSize is the memory for pages in KiB. What does not fit goes to the file
// before the end.
var cacheSize = 32 << 10

// DefaultIndex is the index of a table made here: it grows at its end, so that
// it costs next to nothing, and most questions name a time.
const DefaultIndex = flow.FieldSet(1 << flow.UnixSecs)

// Open opens or creates the file of -u FILE[:TABLE], makes what is missing of
// the table, and begins the transaction.
func Open(_ context.Context, o *export.Options) (export.Sink, error) {
	file, table := Split(o.DB.URI)
	if file == "" {
		return nil, errors.New("-f sqlite needs a file: -u FILE[:TABLE]")
	}
	if o.DB.Path != nil {
		file = o.DB.Path(file)
	}
	d, err := open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s := &sink{db: d, layout: o.Layout, opt: o.DB, table: table, fields: o.Fields()}
	if err := s.begin(); err != nil {
		s.Abort()
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// Split takes FILE[:TABLE] apart. A colon that a slash follows is part of the
// file name.
func Split(uri string) (file, table string) {
	if i := strings.LastIndexByte(uri, ':'); i >= 0 && !strings.Contains(uri[i:], "/") {
		if uri[i+1:] != "" {
			return uri[:i], uri[i+1:]
		}
		return uri[:i], defaultTable
	}
	return uri, defaultTable
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

type sink struct {
	db     *db
	layout *flow.Layout
	opt    export.Database
	table  string
	fields []flow.Field

	insert  *stmt
	cells   []cell
	scratch []byte
	made    bool // the table is new
	digest  export.Digest
}

// cell is a column of the insert statement; addresses have memory for their text.
type cell struct {
	field flow.Field
	addr  bool
	text  text
}

func (s *sink) exec(sql string) error {
	if s.opt.Trace != nil {
		s.opt.Trace(sql)
	}
	return s.db.exec(sql)
}

func (s *sink) begin() error {
	for _, sql := range []string{
		fmt.Sprintf("PRAGMA busy_timeout=%d", busyTimeout),
		fmt.Sprintf("PRAGMA cache_size=-%d", cacheSize),
		"BEGIN IMMEDIATE",
	} {
		if err := s.exec(sql); err != nil {
			return err
		}
	}
	if len(s.fields) == 0 {
		return nil
	}
	if err := s.makeTable(); err != nil {
		return err
	}
	if s.opt.Ledger != "" {
		if err := s.exec(export.CreateLedger(quote(s.opt.Ledger), "")); err != nil {
			return err
		}
	}
	verb := [...]string{export.Fail: "INSERT", export.Ignore: "INSERT OR IGNORE", export.Replace: "INSERT OR REPLACE"}[s.opt.Conflict]
	sql := fmt.Sprintf("%s INTO %s(%s) VALUES (%s)", verb, quote(s.table), export.List(s.fields),
		strings.TrimSuffix(strings.Repeat("?,", len(s.fields)), ","))
	if s.opt.Trace != nil {
		s.opt.Trace(sql)
	}
	var err error
	if s.insert, err = s.db.prepare(sql); err != nil {
		return err
	}
	for _, f := range s.fields {
		c := cell{field: f, addr: f.Info().Kind == flow.Addr}
		if c.addr {
			if c.text, err = s.db.newText(len("255.255.255.255")); err != nil {
				return err
			}
		}
		s.cells = append(s.cells, c)
	}
	return nil
}

// makeTable makes the table, or the columns that it lacks because records of
// another version came first.
func (s *sink) makeTable() error {
	have := map[string]bool{}
	err := s.db.query("PRAGMA table_info("+quote(s.table)+")", func(r *stmt) { have[strings.ToLower(r.columnText(1))] = true })
	if err != nil {
		return err
	}
	if len(have) == 0 {
		s.made = true
		return s.exec(export.CreateTable(quote(s.table), s.fields, ""))
	}
	for _, f := range s.fields {
		if have[f.String()] {
			continue
		}
		if err := s.exec("ALTER TABLE " + quote(s.table) + " ADD COLUMN " + f.String() + " " + f.Info().SQL); err != nil {
			return err
		}
	}
	return nil
}

func (s *sink) Write(b *flow.Batch) error {
	if s.opt.Ledger != "" {
		s.digest.Add(b)
	}
	if len(s.fields) == 0 {
		return nil
	}
	for r := range b.All() {
		for i := range s.cells {
			c := &s.cells[i]
			v := s.layout.Uint(r, c.field)
			if c.addr {
				s.scratch = clib.AppendIPv4(s.scratch[:0], uint32(v))
				s.insert.bindStatic(i+1, c.text.at, copy(c.text.mem, s.scratch))
			} else {
				s.insert.bindInt(i+1, int64(v))
			}
		}
		if _, err := s.insert.step(); err != nil {
			return err
		}
		s.insert.reset()
	}
	return nil
}

// Close makes the indexes of a new table, when it is filled, and commits.
func (s *sink) Close() error {
	if err := s.finish(); err != nil {
		s.Abort()
		return err
	}
	s.free()
	s.db.close()
	return nil
}

func (s *sink) finish() error {
	if len(s.fields) > 0 {
		index := s.opt.Index
		if s.made && index == 0 {
			index = DefaultIndex
		}
		for _, f := range s.fields {
			if !index.Has(f) {
				continue
			}
			sql := fmt.Sprintf("CREATE INDEX IF NOT EXISTS %s ON %s(%s)", quote(s.table+"_"+f.String()), quote(s.table), f)
			if err := s.exec(sql); err != nil {
				return err
			}
		}
		if err := s.record(); err != nil {
			return err
		}
	}
	return s.exec("COMMIT")
}

// record enters the export into the ledger.
func (s *sink) record() error {
	if s.digest.Records() == 0 {
		return nil
	}
	err := s.exec(fmt.Sprintf("INSERT INTO %s(target,digest,records) VALUES ('%s','%s',%d)", quote(s.opt.Ledger),
		strings.ReplaceAll(s.table, "'", "''"), s.digest.Sum(), s.digest.Records()))
	var e *sqliteError
	if errors.As(err, &e) && e.code&0xff == sqlite3.SQLITE_CONSTRAINT {
		return s.digest.Loaded(s.table)
	}
	return err
}

// Abort closes the connection, which rolls the transaction back.
func (s *sink) Abort() {
	s.free()
	s.db.close()
}

func (s *sink) free() {
	if s.insert != nil {
		s.insert.finalize()
		s.insert = nil
	}
	for _, c := range s.cells {
		if c.addr {
			s.db.freeText(c.text)
		}
	}
	s.cells = nil
}
