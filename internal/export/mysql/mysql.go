// Package mysql is the target of flow-export -f3: a table of a MySQL or MariaDB
// server. One export is one transaction. The rows travel by LOAD DATA from a
// reader, or as inserts of many rows where the server does not allow that.
package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	driver "github.com/go-sql-driver/mysql"

	"flowtools/internal/export"
	"flowtools/pkg/flow"
)

// Open connects and begins the transaction.
func Open(ctx context.Context, o *export.Options) (export.Sink, error) {
	cfg, table, err := config(&o.DB)
	if err != nil {
		return nil, err
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, failed("mysql_real_connect()", err)
	}
	s := &sink{ctx: ctx, db: sql.OpenDB(connector), layout: o.Layout, opt: o.DB, table: table, fields: o.Fields()}
	s.queue = export.NewQueue(s.load)
	if s.conn, err = s.db.Conn(ctx); err != nil {
		s.db.Close()
		return nil, failed("mysql_real_connect()", err)
	}
	if len(s.fields) > 0 {
		if err := s.begin(); err != nil {
			s.Abort()
			return nil, err
		}
	}
	return s, nil
}

// failed words an error as the original does: the call, then what the server said.
func failed(call string, err error) error {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %s (%d)", call, e.Message, e.Number)
	}
	return fmt.Errorf("%s: %w", call, err)
}

func query(err error) error { return failed("mysql_real_query()", err) }

func errorNumber(err error) uint16 {
	var e *driver.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// Error numbers of the server.
const (
	errDuplicate = 1062
)

// refusals are what servers and proxies say to LOAD DATA LOCAL that is not allowed.
var refusals = map[uint16]bool{
	1148: true, // ER_NOT_ALLOWED_COMMAND
	3948: true, // ER_CLIENT_LOCAL_FILES_DISABLED
	4166: true, // ER_LOAD_INFILE_CAPABILITY_DISABLED (MariaDB)
}

// conversions are the warnings that an INSERT would give as well, unless
// sql_mode is strict: values that do not fit their column.
var conversions = map[uint16]bool{
	1048: true, // ER_BAD_NULL_ERROR
	1264: true, // ER_WARN_DATA_OUT_OF_RANGE
	1265: true, // WARN_DATA_TRUNCATED
	1292: true, // ER_TRUNCATED_WRONG_VALUE
	1364: true, // ER_NO_DEFAULT_FOR_FIELD
	1366: true, // ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
}

type sink struct {
	ctx    context.Context
	db     *sql.DB
	conn   *sql.Conn
	layout *flow.Layout
	opt    export.Database
	table  string
	fields []flow.Field

	queue  *export.Queue
	sent   int64 // records given to the server
	strict bool  // sql_mode makes bad values errors
	digest export.Digest
	closed bool
}

func (s *sink) exec(statement string, args ...any) (sql.Result, error) {
	if s.opt.Trace != nil {
		s.opt.Trace(statement)
	}
	return s.conn.ExecContext(s.ctx, statement, args...)
}

// session are settings of the connection: the server has to wait for a slow
// input, and to keep all warnings, for checkWarnings looks at every one.
const session = "SET SESSION net_read_timeout=28800, max_error_count=65535"

func (s *sink) begin() error {
	if _, err := s.exec(session); err != nil {
		return query(err)
	}
	var mode string
	if err := s.conn.QueryRowContext(s.ctx, "SELECT @@SESSION.sql_mode").Scan(&mode); err != nil {
		return query(err)
	}
	s.strict = strings.Contains(mode, "STRICT_TRANS_TABLES") || strings.Contains(mode, "STRICT_ALL_TABLES")
	if s.opt.Create {
		if _, err := s.exec(export.CreateTable(s.table, s.fields, " ENGINE=InnoDB")); err != nil {
			return query(err)
		}
	}
	if s.opt.Ledger != "" {
		if _, err := s.exec(export.CreateLedger(s.opt.Ledger, " ENGINE=InnoDB")); err != nil {
			return query(err)
		}
	}
	s.checkEngine()
	if _, err := s.exec("START TRANSACTION"); err != nil {
		return query(err)
	}
	return nil
}

// checkEngine warns when the table cannot roll back.
func (s *sink) checkEngine() {
	schema, table, ok := strings.Cut(strings.ReplaceAll(s.table, "`", ""), ".")
	if !ok {
		schema, table = "", schema
	}
	var engine, transactions sql.NullString
	err := s.conn.QueryRowContext(s.ctx, "SELECT t.ENGINE, e.TRANSACTIONS FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE "+
		"WHERE t.TABLE_SCHEMA = COALESCE(NULLIF(?, ''), DATABASE()) AND t.TABLE_NAME = ?", schema, table).Scan(&engine, &transactions)
	if err == nil && transactions.String != "YES" && s.opt.Warn != nil {
		s.opt.Warn("table %s has the engine %s, which knows no transactions: an export that fails will leave part of its rows behind", s.table, engine.String)
	}
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

// load runs in the goroutine of the queue.
func (s *sink) load(src *export.Source) error {
	err := s.loadData(src)
	if refusals[errorNumber(err)] {
		// Refused before any data was asked for.
		err = s.insert(src)
	}
	return err
}

var readers atomic.Uint64

// loadData sends the records as the content of a file.
func (s *sink) loadData(src *export.Source) error {
	name := fmt.Sprintf("flow-export-%d", readers.Add(1))
	text := export.NewText(s.layout, s.fields, export.Style{Sep: ",", Close: "\n"})
	driver.RegisterReaderHandler(name, func() io.Reader { return src.Reader(text) })
	defer driver.DeregisterReaderHandler(name)

	conflict := [...]string{export.Fail: "", export.Ignore: "IGNORE ", export.Replace: "REPLACE "}[s.opt.Conflict]
	res, err := s.exec("LOAD DATA LOCAL INFILE 'Reader::" + name + "' " + conflict + "INTO TABLE " + s.table +
		" CHARACTER SET ascii FIELDS TERMINATED BY ',' (" + export.List(s.fields) + ")")
	if err != nil {
		if refusals[errorNumber(err)] {
			return err
		}
		return query(err)
	}
	return s.checkLoad(res, s.sent) // final: the reader came to its end
}

// insert sends the records in statements of many rows.
func (s *sink) insert(src *export.Source) error {
	verb := [...]string{export.Fail: "INSERT INTO ", export.Ignore: "INSERT IGNORE INTO ", export.Replace: "REPLACE INTO "}[s.opt.Conflict]
	head := verb + s.table + "(" + export.List(s.fields) + ") VALUES "
	text := export.NewText(s.layout, s.fields, export.Style{Open: "(", Sep: ",", Quote: "'", Close: "),"})
	// With a batch more than that it stays below 1 MiB, the smallest
	// max_allowed_packet that servers come with.
	const statementSize = 512 << 10
	buf := append(make([]byte, 0, 1<<20), head...)
	var rows int64
	flush := func() error {
		if rows == 0 {
			return nil
		}
		res, err := s.exec(string(buf[:len(buf)-1]))
		if err != nil {
			return query(err)
		}
		err = s.checkLoad(res, rows)
		buf, rows = buf[:len(head)], 0
		return err
	}
	for {
		b, err := src.Next()
		if err != nil {
			return err
		}
		if b == nil {
			return flush()
		}
		buf = text.Append(buf, b)
		rows += int64(b.Len())
		if len(buf) > statementSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

// checkLoad finds the rows that were not taken as they are. LOAD DATA LOCAL
// turns errors into warnings, because the server cannot stop the client; so does
// IGNORE. Whatever would be an error of a plain INSERT is made one here.
func (s *sink) checkLoad(res sql.Result, rows int64) error {
	taken, err := res.RowsAffected()
	if err != nil {
		return query(err)
	}
	var shown, total int64
	if err := s.conn.QueryRowContext(s.ctx, "SHOW COUNT(*) WARNINGS").Scan(&total); err != nil {
		return query(err)
	}
	if total > 0 {
		list, err := s.conn.QueryContext(s.ctx, "SHOW WARNINGS")
		if err != nil {
			return query(err)
		}
		defer list.Close()
		for list.Next() {
			var (
				level, message string
				number         uint16
			)
			if err := list.Scan(&level, &number, &message); err != nil {
				return query(err)
			}
			shown++
			switch {
			case level == "Note":
			case number == errDuplicate && s.opt.Conflict == export.Ignore:
			case conversions[number] && !s.strict:
			default:
				return fmt.Errorf("mysql_real_query(): %s (%d)", message, number)
			}
		}
		if err := list.Err(); err != nil {
			return query(err)
		}
	}
	switch {
	case s.opt.Conflict == export.Fail && taken != rows:
		return fmt.Errorf("mysql_real_query(): %d of %d rows were taken", taken, rows)
	case s.opt.Conflict == export.Ignore && s.strict && shown < total && total > rows-taken:
		return fmt.Errorf("mysql_real_query(): %d warnings for %d rows left out", total, rows-taken)
	}
	return nil
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
	s.conn.Close()
	s.db.Close()
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
		_, err := s.exec("INSERT INTO "+s.opt.Ledger+"(target,digest,records) VALUES (?,?,?)", s.table, s.digest.Sum(), s.digest.Records())
		switch {
		case errorNumber(err) == errDuplicate:
			return s.digest.Loaded(s.table)
		case err != nil:
			return query(err)
		}
	}
	if _, err := s.exec("COMMIT"); err != nil {
		if errorNumber(err) == 0 {
			return fmt.Errorf("%w; whether the rows are in %s is not known", query(err), s.table)
		}
		return query(err)
	}
	return nil
}

// Abort rolls back.
func (s *sink) Abort() {
	if s.closed {
		return
	}
	s.closed = true
	s.queue.Abort()
	s.conn.ExecContext(s.ctx, "ROLLBACK") // closing the connection would do
	s.conn.Close()
	s.db.Close()
}
