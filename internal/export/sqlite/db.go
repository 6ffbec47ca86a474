package sqlite

import (
	"encoding/binary"
	"fmt"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// db is a connection through SQLite's own interface. Binding through
// database/sql boxes every value and costs twice the time of the insert itself.
type db struct {
	tls *libc.TLS
	h   uintptr // sqlite3*
	out uintptr // room for one pointer that SQLite returns
}

// sqliteError is a result code with the text that SQLite has for it.
type sqliteError struct {
	code int32
	text string
}

func (e *sqliteError) Error() string { return fmt.Sprintf("sqlite: %s (%d)", e.text, e.code) }

const pointerSize = 8 // of every platform that modernc.org/sqlite supports but 32 bit ones, where 8 is enough

// open opens or creates a database file. One goroutine at a time may use it.
func open(path string) (*db, error) {
	d := &db{tls: libc.NewTLS()}
	d.out = libc.Xmalloc(d.tls, pointerSize)
	name, err := libc.CString(path)
	if err != nil || d.out == 0 {
		d.close()
		return nil, fmt.Errorf("sqlite: out of memory")
	}
	defer libc.Xfree(d.tls, name)
	const flags = lib.SQLITE_OPEN_READWRITE | lib.SQLITE_OPEN_CREATE | lib.SQLITE_OPEN_NOMUTEX
	rc := lib.Xsqlite3_open_v2(d.tls, name, d.out, flags, 0)
	d.h = d.returned()
	if rc != lib.SQLITE_OK {
		err := d.err(rc)
		d.close()
		return nil, err
	}
	lib.Xsqlite3_extended_result_codes(d.tls, d.h, 1)
	return d, nil
}

// returned is the pointer in out.
func (d *db) returned() uintptr {
	return uintptr(binary.NativeEndian.Uint64(libc.GoBytes(d.out, pointerSize)))
}

func (d *db) clearOut() { clear(libc.GoBytes(d.out, pointerSize)) }

// close closes the connection, rolling back what is not committed.
func (d *db) close() {
	if d.tls == nil {
		return
	}
	if d.h != 0 {
		lib.Xsqlite3_close_v2(d.tls, d.h)
	}
	libc.Xfree(d.tls, d.out)
	d.tls.Close()
	d.tls = nil
}

func (d *db) err(rc int32) error {
	text := libc.GoString(lib.Xsqlite3_errstr(d.tls, rc))
	if d.h != 0 {
		text = libc.GoString(lib.Xsqlite3_errmsg(d.tls, d.h))
	}
	return &sqliteError{rc, text}
}

// stmt is a prepared statement.
type stmt struct {
	*db
	p uintptr // sqlite3_stmt*
}

func (d *db) prepare(sql string) (*stmt, error) {
	text, err := libc.CString(sql)
	if err != nil {
		return nil, err
	}
	defer libc.Xfree(d.tls, text)
	d.clearOut()
	if rc := lib.Xsqlite3_prepare_v2(d.tls, d.h, text, -1, d.out, 0); rc != lib.SQLITE_OK {
		return nil, d.err(rc)
	}
	return &stmt{d, d.returned()}, nil
}

func (s *stmt) finalize() {
	if s.p != 0 {
		lib.Xsqlite3_finalize(s.tls, s.p)
		s.p = 0
	}
}

// step runs the statement to its next row, if it has one.
func (s *stmt) step() (row bool, err error) {
	switch rc := lib.Xsqlite3_step(s.tls, s.p); rc {
	case lib.SQLITE_ROW:
		return true, nil
	case lib.SQLITE_DONE:
		return false, nil
	default:
		return false, s.err(rc)
	}
}

func (s *stmt) reset() { lib.Xsqlite3_reset(s.tls, s.p) }

func (s *stmt) bindInt(i int, v int64) {
	lib.Xsqlite3_bind_int64(s.tls, s.p, int32(i), v)
}

// bindStatic binds text in C memory that stays as it is until the next reset.
func (s *stmt) bindStatic(i int, text uintptr, n int) {
	lib.Xsqlite3_bind_text(s.tls, s.p, int32(i), text, int32(n), lib.SQLITE_STATIC)
}

func (s *stmt) columnText(i int) string {
	return libc.GoString(lib.Xsqlite3_column_text(s.tls, s.p, int32(i)))
}

// exec runs one statement and drops its rows.
func (d *db) exec(sql string) error { return d.query(sql, func(*stmt) {}) }

// query runs one statement and calls row for each of its rows.
func (d *db) query(sql string, row func(*stmt)) error {
	s, err := d.prepare(sql)
	if err != nil {
		return err
	}
	defer s.finalize()
	for {
		more, err := s.step()
		if !more || err != nil {
			return err
		}
		row(s)
	}
}

// text is a piece of C memory for short texts.
type text struct {
	at  uintptr
	mem []byte
}

func (d *db) newText(size int) (text, error) {
	p := libc.Xmalloc(d.tls, lib.Tsize_t(size))
	if p == 0 {
		return text{}, fmt.Errorf("sqlite: out of memory")
	}
	return text{p, libc.GoBytes(p, size)}, nil
}

func (d *db) freeText(t text) { libc.Xfree(d.tls, t.at) }
