package cli

import "strings"

// Markdown returns the tool's section of the option tables: heading, usage, options.
func (s *Spec) Markdown() string {
	var b strings.Builder
	b.WriteString("## " + s.Name + "\n\n" + strings.ToUpper(s.Summary[:1]) + s.Summary[1:] + ".\n\n```\n")
	lead := s.Name
	for _, line := range s.synopsis() {
		b.WriteString(lead + " " + line + "\n")
		lead = blanks(len(lead))
	}
	b.WriteString("```\n\n| option | |\n|---|---|\n")
	for _, f := range s.listed() {
		b.WriteString("| `" + cell.Replace(strings.TrimSpace(f.name())) + "` | " + cell.Replace(strings.TrimSpace(f.Help)) + " |\n")
	}
	return b.String()
}

// cell makes text fit a table.
var cell = strings.NewReplacer("|", `\|`, "\n", " ")
