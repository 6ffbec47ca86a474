package flowexpr

import (
	"fmt"
	"regexp"
	"strings"
)

// translatePattern returns a Perl pattern in the syntax of package regexp, which
// is nearly the same. Without are what a match in linear time cannot have, look
// around and back references, and variables in the pattern.
func translatePattern(text, flags string) (string, error) {
	if text == "" {
		return "", fmt.Errorf("Perl's empty pattern (the last one again) is not available here")
	}
	group := ""
	for _, f := range flags {
		switch f {
		case 'i', 'm', 's':
			if !strings.ContainsRune(group, f) {
				group += string(f)
			}
		case 'o', 'a', 'u', 'n', 'p': // without effect on a match of our texts
		default:
			return "", fmt.Errorf("Perl's flag %c of a pattern is not available here", f)
		}
	}
	var b strings.Builder
	if group != "" {
		b.WriteString("(?" + group + ")")
	}
	class := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch {
		case c == '\\' && next == 'Z':
			b.WriteString(`\z`) // our texts have no line ends
			i++
			continue
		case c == '\\' && i+1 < len(text):
			b.WriteByte(c)
			b.WriteByte(next)
			i++
			continue
		case c == '[' && !class:
			class = true
			b.WriteByte(c)
			if next == '^' { // a bracket that comes first is one of the set
				b.WriteByte(next)
				i++
			}
			if i+1 < len(text) && text[i+1] == ']' {
				b.WriteString(`\]`)
				i++
			}
			continue
		case c == ']':
			class = false
		case c == '$' && (isNameStart(next) || next == '{' || isDigit(next) || class && next != ']'):
			return "", fmt.Errorf("Perl's variable in a pattern is not available here: %s", special(text[i:]))
		case c == '@' && (isNameStart(next) || next == '{'):
			return "", fmt.Errorf("Perl's array in a pattern is not available here: %s", special(text[i:]))
		}
		b.WriteByte(c)
	}
	if _, err := regexp.Compile(b.String()); err != nil {
		return "", fmt.Errorf("%w (Perl's look-around and back references are not available here)", err)
	}
	return b.String(), nil
}
