// Package pgsql is the target of flow-export -f5: a table of a PostgreSQL
// server. One export is one transaction; the rows travel by COPY.
package pgsql

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

// Open connects and begins the transaction.
func Open(ctx context.Context, o *export.Options) (export.Sink, error) {
	dsn, table, err := connString(&o.DB)
	if err != nil {
		return nil, err
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, connectError(err)
	}
	s := &sink{ctx: ctx, layout: o.Layout, opt: o.DB, table: table, fields: o.Fields()}
	s.queue = export.NewQueue(s.load)
	if s.conn, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, connectError(err)
	}
	if len(s.fields) > 0 {
		if err := s.begin(); err != nil {
			s.Abort()
			return nil, failed(err)
		}
	}
	return s, nil
}

// connString makes the driver's connection string of -u. Parts that are empty
// are left to the defaults of libpq: PG* variables, the local socket.
func connString(db *export.Database) (dsn, table string, err error) {
	u, err := export.ParseURI(db, "postgres", "postgresql")
	if err != nil {
		return "", "", err
	}
	if u.Query != nil {
		p := url.URL{Scheme: "postgres", Host: hostPort(u), Path: "/" + u.Name, RawQuery: u.Query.Encode()}
		switch {
		case u.Password != "":
			p.User = url.UserPassword(u.User, u.Password)
		case u.User != "":
			p.User = url.User(u.User)
		}
		return p.String(), u.Table, nil
	}
	var words []string
	for _, w := range []struct{ key, value string }{
		{"user", u.User}, {"password", u.Password}, {"host", u.Host}, {"port", u.Port}, {"dbname", u.Name},
	} {
		if w.value != "" {
			words = append(words, w.key+"='"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(w.value)+"'")
		}
	}
	return strings.Join(words, " "), u.Table, nil
}

func hostPort(u export.URI) string {
	host := u.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if u.Port != "" {
		host += ":" + u.Port
	}
	return host
}

func failed(err error) error { return fmt.Errorf("PQexec(): %w", err) }

func connectError(err error) error { return fmt.Errorf("PQsetdbLogin(): %w", err) }

const uniqueViolation = "23505"

type sink struct {
	ctx    context.Context
	conn   *pgx.Conn
	layout *flow.Layout
	opt    export.Database
	table  string
	fields []flow.Field

	queue  *export.Queue
	sent   int64
	digest export.Digest
	closed bool
}

func (s *sink) exec(statement string, args ...any) error {
	if s.opt.Trace != nil {
		s.opt.Trace(statement)
	}
	_, err := s.conn.Exec(s.ctx, statement, args...)
	return err
}

func (s *sink) begin() error {
	if s.opt.Create {
		if err := s.create(export.CreateTable(s.table, s.fields, "")); err != nil {
			return err
		}
	}
	if s.opt.Ledger != "" {
		if err := s.create(export.CreateLedger(s.opt.Ledger, "")); err != nil {
			return err
		}
	}
	return s.exec("BEGIN")
}

// create makes a table unless there is one. Two exports doing that at the same
// time can meet in the catalogue in spite of IF NOT EXISTS; the table is there
// then.
func (s *sink) create(statement string) error {
	err := s.exec(statement)
	switch code(err) {
	case uniqueViolation, "42710", "42P07": // duplicate object, duplicate table
		return s.exec(statement)
	}
	return err
}

func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func (s *sink) Write(b *flow.Batch) error {
	if s.opt.Ledger != "" {
		s.digest.Add(b)
	}
	if len(s.fields) == 0 {
		return nil
	}
	s.sent += int64(b.Len())
	return s.queue.Write(b)
}

// stage is a table of this transaction that rows pass through where their keys
// may be taken: COPY itself knows no conflicts.
const stage = "flow_export_stage"

// load runs in the goroutine of the queue.
func (s *sink) load(src *export.Source) error {
	cols := export.List(s.fields)
	table := s.table
	if s.opt.Conflict != export.Fail {
		table = stage
		if err := s.exec("CREATE TEMP TABLE " + stage + " ON COMMIT DROP AS SELECT " + cols + " FROM " + s.table + " WITH NO DATA"); err != nil {
			return failed(err)
		}
	}
	statement := "COPY " + table + "(" + cols + ") FROM STDIN"
	if s.opt.Trace != nil {
		s.opt.Trace(statement)
	}
	text := export.NewText(s.layout, s.fields, export.Style{Sep: "\t", Close: "\n"})
	tag, err := s.conn.PgConn().CopyFrom(s.ctx, src.Reader(text), statement)
	switch {
	case err != nil:
		return failed(err)
	case tag.RowsAffected() != s.sent: // final: the reader came to its end
		return failed(fmt.Errorf("%d of %d rows were taken", tag.RowsAffected(), s.sent))
	case s.opt.Conflict == export.Fail:
		return nil
	}
	if err := s.unstage(cols); err != nil {
		return failed(err)
	}
	return nil
}

// unstage moves the rows to their table.
func (s *sink) unstage(cols string) error {
	if s.opt.Conflict == export.Ignore {
		return s.exec("INSERT INTO " + s.table + "(" + cols + ") SELECT " + cols + " FROM " + stage + " ON CONFLICT DO NOTHING")
	}
	key, err := s.key()
	if err != nil {
		return err
	}
	if key == "" { // nothing can be in conflict
		return s.exec("INSERT INTO " + s.table + "(" + cols + ") SELECT " + cols + " FROM " + stage)
	}
	set := make([]string, len(s.fields))
	for i, f := range s.fields {
		set[i] = f.String() + "=EXCLUDED." + f.String()
	}
	return s.exec("INSERT INTO " + s.table + "(" + cols + ") SELECT DISTINCT ON (" + key + ") " + cols + " FROM " + stage +
		" ORDER BY " + key + ", ctid DESC ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(set, ","))
}

// key returns the columns of the table's primary key, or else of its first
// unique index, separated by commas.
func (s *sink) key() (string, error) {
	var key string
	err := s.conn.QueryRow(s.ctx, "SELECT string_agg(quote_ident(a.attname), ',' ORDER BY k.n) FROM "+
		"(SELECT indexrelid, indrelid, indkey FROM pg_index WHERE indrelid = $1::regclass AND indisunique AND indpred IS NULL AND indexprs IS NULL "+
		"ORDER BY indisprimary DESC, indexrelid LIMIT 1) i "+
		"CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, n) "+
		"JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum GROUP BY i.indexrelid", s.table).Scan(&key)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return key, err
}

// Close commits.
func (s *sink) Close() error {
	if s.closed {
		return nil
	}
	if err := s.finish(); err != nil {
		s.Abort()
		return err
	}
	s.closed = true
	s.conn.Close(s.ctx)
	return nil
}

func (s *sink) finish() error {
	if len(s.fields) == 0 {
		return nil
	}
	if err := s.queue.Close(); err != nil {
		return err
	}
	if s.digest.Records() > 0 {
		err := s.exec("INSERT INTO "+s.opt.Ledger+"(target,digest,records) VALUES ($1,$2,$3)", s.table, s.digest.Sum(), s.digest.Records())
		switch {
		case code(err) == uniqueViolation:
			return s.digest.Loaded(s.table)
		case err != nil:
			return failed(err)
		}
	}
	if err := s.exec("COMMIT"); err != nil {
		if code(err) == "" {
			return fmt.Errorf("%w; whether the rows are in %s is not known", failed(err), s.table)
		}
		return failed(err)
	}
	return nil
}

// Abort closes the connection, which rolls back.
func (s *sink) Abort() {
	if s.closed {
		return
	}
	s.closed = true
	s.queue.Abort()
	s.conn.Close(s.ctx)
}
