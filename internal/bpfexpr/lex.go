package bpfexpr

import (
	"fmt"
	"strings"
)

// Error is what is wrong with an expression, and where.
type Error struct {
	Token string // the word or sign not understood; "" at the end of the expression
	Pos   int    // its offset in the expression, in octets
	Text  string
}

func (e *Error) Error() string {
	if e.Token == "" {
		return fmt.Sprintf("filter expression: %s at the end", e.Text)
	}
	return fmt.Sprintf("filter expression: %s at %q (column %d)", e.Text, e.Token, e.Pos+1)
}

type token struct {
	text string // "" at the end
	pos  int
	word bool // a word and not a sign
}

// Signs, longest first.
var signs = []string{"&&", "||", "==", "!=", "<=", ">=", "<<", ">>",
	"(", ")", "[", "]", ":", "!", "&", "|", "^", "=", "<", ">", "+", "-", "*", "/", "%"}

const maxExpression = 64 << 10

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }

// scan cuts an expression into tokens. Within brackets a colon separates offset and size and a minus joins only words that
// begin with a letter (icmp-echo); elsewhere both belong to words: addresses, port ranges.
func scan(s string) ([]token, error) {
	if len(s) > maxExpression {
		return nil, &Error{Token: s[:20] + "...", Text: fmt.Sprintf("expression of %d octets is too long", len(s))}
	}
	var list []token
	depth := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c == ' ' || '\t' <= c && c <= '\r' {
			i++
			continue
		}
		start := i
		switch {
		case letter(c) || digit(c) || c == '\\' || c == ':' && depth == 0 && strings.HasPrefix(s[i:], "::"):
			for i++; i < len(s); i++ {
				c := s[i]
				if letter(c) || digit(c) {
					continue
				}
				if depth == 0 && (c == '.' || c == ':' || c == '-') || c == '-' && letter(s[start]) && i+1 < len(s) && letter(s[i+1]) {
					continue
				}
				break
			}
			for s[i-1] == '-' {
				i--
			}
			list = append(list, token{s[start:i], start, true})
			continue
		}
		sign := ""
		for _, t := range signs {
			if strings.HasPrefix(s[i:], t) {
				sign = t
				break
			}
		}
		if sign == "" {
			return nil, &Error{Token: s[i : i+1], Pos: i, Text: "unexpected character"}
		}
		switch sign {
		case "[":
			depth++
		case "]":
			depth = max(depth-1, 0)
		}
		i += len(sign)
		list = append(list, token{sign, start, false})
	}
	return append(list, token{pos: len(s)}), nil
}
