package cli

import (
	"slices"
	"strconv"
	"strings"
)

// Rows of Spec.Environment that several tools share.
const (
	EnvTZ = "TZ: time zone of the times printed and given, a name of the system's database or a POSIX rule; " +
		"without it the system's local time."
	EnvSysconf = "FLOW_TOOLS_SYSCONFDIR: folder of the default files (cfg and sym in it), looked at before /etc/flow-tools and " +
		"/usr/local/etc/flow-tools."
	envPosix = "POSIXLY_CORRECT: if set, the first operand ends the options."
)

// Man returns the manual page: section 1, written with the man macros of roff.
func (s *Spec) Man() string {
	m := &roff{}
	m.line(".TH " + strings.ToUpper(s.Name) + ` 1 "" flowtools "flowtools manual"`)
	m.line(".nh", ".ad l") // hyphens and wide gaps would be misread in commands
	m.section("NAME")
	m.text(s.Name + " - " + s.Summary)
	m.section("SYNOPSIS")
	m.line(".HP")
	m.line(bold(s.Name) + " " + unbroken(strings.Join(s.synopsis(), " ")))
	if s.Description != "" {
		m.section("DESCRIPTION")
		m.prose(s.Description)
	}
	m.section("OPTIONS")
	for _, f := range s.listed() {
		m.line(".TP", f.roff())
		m.text(f.Help)
	}
	if s.Notes != "" {
		m.section("NOTES")
		m.prose(s.Notes)
	}
	m.section("EXIT STATUS")
	m.prose(s.exitStatus())
	m.entries("FILES", s.Files)
	environment := s.Environment
	if !s.PyGetopt {
		environment = append(slices.Clip(environment), envPosix)
	}
	m.entries("ENVIRONMENT", environment)
	if len(s.Examples) > 0 {
		m.section("EXAMPLES")
		for _, ex := range s.Examples {
			m.line(".TP", bold(ex.Command))
			m.text(ex.Text)
		}
	}
	if len(s.SeeAlso) > 0 {
		m.section("SEE ALSO")
		for i, name := range s.SeeAlso {
			page, section, _ := strings.Cut(name, "(")
			ref := bold(page)
			if section != "" {
				ref += "(" + escape(section)
			}
			if i+1 < len(s.SeeAlso) {
				ref += ","
			}
			m.line(ref)
		}
	}
	return m.String()
}

// exitStatus is ExitText followed by the statuses of usage, which differ between the tools.
func (s *Spec) exitStatus() string {
	text := s.ExitText
	if text == "" {
		text = "0 on success, 1 when the run failed."
	}
	usage := "\n\nAn unknown option, or one that lacks its value, ends with status " + strconv.Itoa(s.UsageExit)
	if s.helpLetter() {
		usage += ", -h with status " + strconv.Itoa(s.HelpExit)
	}
	return text + usage + "."
}

// roff builds a page.
type roff struct{ strings.Builder }

// line writes lines that are roff already.
func (m *roff) line(lines ...string) {
	for _, l := range lines {
		m.WriteString(l + "\n")
	}
}

func (m *roff) section(name string) { m.line(".SH " + name) }

// text writes words to fill lines with.
func (m *roff) text(s string) {
	if s == "" {
		return // an empty line would show
	}
	for _, l := range fold(s, helpWidth) {
		m.line(guard(escape(l)))
	}
}

// prose writes paragraphs.
func (m *roff) prose(s string) {
	for i, p := range paragraphs(s) {
		switch {
		case p.kept:
			m.line(".PP", ".nf")
			for l := range strings.SplitSeq(p.text, "\n") {
				m.line(guard(escape(l)))
			}
			m.line(".fi")
		default:
			if i > 0 {
				m.line(".PP")
			}
			m.text(p.text)
		}
	}
}

// entries writes a section that is a list of "NAME: text".
func (m *roff) entries(name string, list []string) {
	if len(list) == 0 {
		return
	}
	m.section(name)
	for _, e := range list {
		name, text, _ := strings.Cut(e, ": ")
		m.line(".TP", bold(name))
		m.text(text)
	}
}

// roff is the heading of the flag in the list of options.
func (f *Flag) roff() string {
	var t string
	if f.Letter != 0 {
		t = bold(f.shown())
		if f.Long != "" {
			t += ", "
		}
	}
	if f.Long != "" {
		t += bold("--" + f.Long)
	}
	switch {
	case f.Arg == "":
	case f.Long != "":
		t += "=" + italic(f.Arg)
	default:
		t += " " + italic(f.Arg)
	}
	return t
}

func bold(s string) string   { return `\fB` + escape(s) + `\fR` }
func italic(s string) string { return `\fI` + escape(s) + `\fR` }

// escape makes text of roff: backslashes and hyphens are printed as they are, so that commands can be copied from the page.
func escape(s string) string { return escapes.Replace(s) }

var escapes = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", "\\(ga", `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`)

// guard keeps a line of text from being taken for a request.
func guard(line string) string {
	if strings.HasPrefix(line, ".") {
		return `\&` + line
	}
	return line
}

// unbroken escapes a synopsis; blanks inside brackets become unbreakable.
func unbroken(s string) string {
	var b strings.Builder
	depth := 0
	for _, r := range s {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ' ' && depth > 0:
			b.WriteString(`\ `)
			continue
		}
		b.WriteString(escape(string(r)))
	}
	return b.String()
}
