package export

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// URI is a value of -u taken apart.
type URI struct {
	User, Password, Host, Port, Name, Table string

	Query url.Values // of a URL, without its table; nil for the six part form
}

// Built-in values of the original.
const (
	defaultUser     = "netflow"
	defaultPassword = "netflow"
	defaultHost     = "localhost"
	defaultName     = "netflow"
	defaultTable    = "raw"
)

// uriLimit is the length from which the original refuses a six part form.
const uriLimit = 256

var errTooLong = errors.New("dbaseURI string too long.")

// CheckURI refuses a text that is too long to be USER:PASSWORD:HOST:PORT:NAME:TABLE.
// URLs and file names may have any length.
func CheckURI(s string) error {
	file := strings.Contains(s, "/") && strings.Count(s, ":") < 5
	if len(s) >= uriLimit && !strings.Contains(s, "://") && !file {
		return errTooLong
	}
	return nil
}

// ParseURI reads a value of -u: six parts between colons, or a URL with one of
// the given schemes: SCHEME://USER:PASSWORD@HOST:PORT/NAME?table=TABLE&.... An
// empty text stands for the built-in values. The password of db is used where
// the text has none.
//
// Compat: parts after the sixth are ignored, and no part can hold a colon.
func ParseURI(db *Database, schemes ...string) (u URI, err error) {
	scheme, _, isURL := strings.Cut(db.URI, "://")
	switch {
	case isURL:
		if u, err = parseURL(db.URI, scheme, schemes); err != nil {
			return u, err
		}
	case db.URI == "":
		u = URI{User: defaultUser, Host: defaultHost, Name: defaultName, Table: defaultTable}
		if db.Password == "" {
			u.Password = defaultPassword
		}
	default:
		if len(db.URI) >= uriLimit {
			return u, errTooLong
		}
		p := strings.SplitN(db.URI, ":", 7)
		if len(p) < 6 {
			return u, ErrURI
		}
		u = URI{User: p[0], Password: p[1], Host: p[2], Port: p[3], Name: p[4], Table: p[5]}
	}
	if u.Password == "" {
		u.Password = db.Password
	}
	return u, nil
}

func parseURL(s, scheme string, schemes []string) (u URI, err error) {
	known := false
	for _, name := range schemes {
		known = known || name == scheme
	}
	if !known {
		return u, fmt.Errorf("-u: %s:// does not fit the format, which takes %s://", scheme, schemes[0])
	}
	p, err := url.Parse(s)
	if err != nil {
		// The text of the error would show the password.
		return u, errors.New("-u: not a valid URL")
	}
	u = URI{User: p.User.Username(), Host: p.Hostname(), Port: p.Port(), Name: strings.TrimPrefix(p.Path, "/"), Table: defaultTable}
	u.Password, _ = p.User.Password()
	if u.Query, err = url.ParseQuery(p.RawQuery); err != nil {
		return u, errors.New("-u: bad query in the URL")
	}
	if t := u.Query.Get("table"); t != "" {
		u.Table = t
	}
	u.Query.Del("table")
	return u, nil
}
