package cli

import "strings"

// Man returns the manual page, section 1, in the man macros of roff.
func (s *Spec) Man() string {
	var b strings.Builder
	b.WriteString(".TH " + strings.ToUpper(s.Name) + " 1\n.SH NAME\n" + s.Name + " \\- " + s.Summary + "\n")
	return b.String()
}
