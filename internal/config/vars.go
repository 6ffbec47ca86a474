package config

import (
	"errors"
	"fmt"
	"strings"

	"flowtools/internal/clib"
)

// Vars are the values of variables, by name. Names are case-sensitive.
type Vars map[string]string

// Set adds the binding NAME=VALUE of a -v option. Both parts must be there; the
// last binding of a name counts.
func (v *Vars) Set(text string) error {
	name, value, _ := strings.Cut(text, "=")
	if name == "" || value == "" {
		return fmt.Errorf("variable %q: expecting NAME=VALUE", text)
	}
	if *v == nil {
		*v = make(Vars)
	}
	(*v)[name] = value
	return nil
}

// Expand replaces the variable references of a line: @NAME, @{NAME} and
// @{NAME:-DEFAULT}, names being letters and digits. Values are not looked at
// again.
//
// Compat: comments are expanded too, and a lone @ vanishes (it names the empty
// variable).
func (v Vars) Expand(line string) (string, error) {
	at := strings.IndexByte(line, '@')
	if at < 0 {
		return line, nil
	}
	var b strings.Builder
	for ; at >= 0; at = strings.IndexByte(line, '@') {
		b.WriteString(line[:at])
		line = line[at+1:]
		braced := strings.HasPrefix(line, "{")
		if braced {
			line = line[1:]
		}
		n := 0
		for n < len(line) && (clib.IsAlpha(line[n]) || clib.IsDigit(line[n])) {
			n++
		}
		name := line[:n]
		line = line[n:]
		var fallback string
		if braced {
			body, rest, ok := strings.Cut(line, "}")
			if !ok {
				return "", errors.New("missing } behind @{")
			}
			if body != "" {
				if fallback, ok = strings.CutPrefix(body, ":-"); !ok {
					return "", fmt.Errorf("unexpected %q behind @{%s, expecting } or :-", body, name)
				}
			}
			line = rest
		}
		if value, ok := v[name]; ok && name != "" {
			b.WriteString(value)
		} else {
			b.WriteString(fallback)
		}
		if b.Len() > maxLine {
			return "", errors.New("line too long")
		}
	}
	b.WriteString(line)
	return b.String(), nil
}
