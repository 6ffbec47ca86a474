// Package sym reads symbol files (names of protocols, ports, AS numbers and
// tags), finds the suite's configuration directory, and has the tables that
// stand in when nothing is installed.
package sym

import (
	"errors"
	"fmt"
	"io"
	"os"

	"flowtools/internal/clib"
)

// The symbol files, by their name below SYSCONFDIR/sym.
const (
	IPProt  = "ip-prot.sym"
	TCPPort = "tcp-port.sym"
	ASN     = "asn.sym"
	Tag     = "tag.sym"
	IPType  = "ip-type.sym"
)

// ErrMissingField is a file that ends behind a number: none of it is used.
var ErrMissingField = errors.New("missing field")

// A Table maps numbers to names and back. A nil *Table is empty.
type Table struct {
	entries []entry
	index   map[uint32]int
}

type entry struct {
	value uint32
	name  string
}

// Name returns the name of a value.
func (t *Table) Name(v uint32) (name string, ok bool) {
	if t == nil {
		return "", false
	}
	i, ok := t.index[v]
	if !ok {
		return "", false
	}
	return t.entries[i].name, true
}

// blockSize is the number of values C keeps in one piece of its table.
const blockSize = 256

// Value returns the value of a name, compared without regard to ASCII case.
//
// Compat: of several values with one name the search finds the first in the last
// block of 256 distinct values that has it, in order of first appearance.
func (t *Table) Value(name string) (v uint32, ok bool) {
	if t == nil {
		return 0, false
	}
	n := len(t.entries)
	for start := (n - 1) / blockSize * blockSize; start >= 0; start -= blockSize {
		for _, e := range t.entries[start:min(start+blockSize, n)] {
			if clib.EqualFold(e.name, name) {
				return e.value, true
			}
		}
	}
	return 0, false
}

// Len is the number of distinct values.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.entries)
}

func (t *Table) put(v uint32, name string) {
	if i, ok := t.index[v]; ok {
		t.entries[i].name = name
		return
	}
	t.index[v] = len(t.entries)
	t.entries = append(t.entries, entry{v, name})
}

// maxFile bounds a symbol file.
const maxFile = 16 << 20

// Parse reads a symbol file: a number in C notation, white space and a name per
// entry, # comments on lines of their own. The error is ErrMissingField or the
// reader's.
//
// Compat: a name keeps its trailing blanks, and a number directly followed by
// the end of its line takes the whole next line as its name.
func Parse(r io.Reader) (*Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, errors.New("file too large")
	}
	return parse(string(data))
}

func parse(s string) (*Table, error) {
	t := &Table{index: make(map[uint32]int)}
	i := 0
	line := func() string { // the rest of the line; steps over its end
		start := i
		for i < len(s) && s[i] != '\n' {
			i++
		}
		text := s[start:i]
		if i < len(s) {
			i++
		}
		return text
	}
	for {
		for i < len(s) && clib.IsSpace(s[i]) {
			i++
		}
		if i == len(s) {
			return t, nil
		}
		if s[i] == '#' {
			line()
			continue
		}
		start := i
		for i < len(s) && !clib.IsSpace(s[i]) {
			i++
		}
		number := s[start:i]
		if i < len(s) {
			i++ // exactly one, even if it is the end of the line
		}
		for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
			i++
		}
		if i == len(s) {
			return nil, ErrMissingField
		}
		t.put(uint32(clib.Uint(number)), line())
	}
}

// Load reads the symbol file at path.
func Load(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// EnvDir is the environment variable that names the configuration directory.
const EnvDir = "FLOW_TOOLS_SYSCONFDIR"

// dirs are searched when EnvDir is not set.
var dirs = []string{"/etc/flow-tools", "/usr/local/etc/flow-tools"}

// Sysconf returns the path of a configuration file named relative to SYSCONFDIR
// ("cfg/filter.cfg", "sym/asn.sym"): below $FLOW_TOOLS_SYSCONFDIR if that is set
// and not empty, else in the first of /etc/flow-tools and
// /usr/local/etc/flow-tools that has it. found is false when no such file exists;
// path is then the one to name in a message.
func Sysconf(lookupEnv func(string) (string, bool), rel string) (path string, found bool) {
	search := dirs
	if dir, ok := lookupEnv(EnvDir); ok && dir != "" {
		search = []string{dir}
	}
	for _, dir := range search {
		p := dir + "/" + rel
		if _, err := os.Stat(p); err == nil {
			return p, true
		}
	}
	return search[0] + "/" + rel, false
}

// Open returns the symbol table of a name (IPProt, TCPPort, ...). An installed
// file wins; without one, and with no directory set in the environment, it is the
// built-in table. With a directory set, a missing or unusable file is an error:
// a tool says so and prints numbers.
func Open(lookupEnv func(string) (string, bool), name string) (*Table, error) {
	path, found := Sysconf(lookupEnv, "sym/"+name)
	if dir, _ := lookupEnv(EnvDir); !found && dir == "" {
		return Builtin(name), nil
	}
	return Load(path)
}
