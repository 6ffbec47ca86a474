package cli

import (
	"io"
	"strings"
)

type helpKind uint8

const (
	badUsage  helpKind = iota // after a bad option
	shortHelp                 // -h
	fullHelp                  // --help
)

// usageStream is where a kind of help goes.
func (e *Env) usageStream(what helpKind) io.Writer {
	if e.spec.Stdout || e.spec.HelpStdout && what == shortHelp {
		return e.Stdout
	}
	return e.Stderr
}

func (e *Env) usage(what helpKind) {
	s := e.spec
	var b strings.Builder
	if what == fullHelp {
		b.WriteString(s.Name + " - " + s.Summary + "\n\n")
	}
	s.synopsis(&b)
	switch {
	case what == badUsage:
		b.WriteString("Try '" + s.Name + " --help' for the options.\n")
	case what == shortHelp && s.HelpStdout:
		// The former Python scripts print the bare lines on standard output, where they are compared.
	default:
		b.WriteByte('\n')
		s.options(&b)
	}
	if what == fullHelp {
		s.tail(&b)
	}
	io.WriteString(e.usageStream(what), b.String())
}

// synopsis writes the classic usage lines.
func (s *Spec) synopsis(b *strings.Builder) {
	lead := "Usage: " + s.Name
	b.WriteString(lead)
	for i, line := range s.usageLines() {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", len(lead)))
		}
		b.WriteString(" " + line + "\n")
	}
}

// usageLines is Usage or, without it, "[-bg] [-f format] operands" made from the flags and folded.
func (s *Spec) usageLines() []string {
	if len(s.Usage) > 0 {
		return s.Usage
	}
	var words []string
	letters := ""
	if !s.NoHelp && !s.has('h') {
		letters = "h"
	}
	for i := range s.Flags {
		f := &s.Flags[i]
		switch {
		case f.Hidden:
		case f.Letter == 0 && f.Arg == "":
			words = append(words, "[--"+f.Long+"]")
		case f.Letter == 0:
			words = append(words, "[--"+f.Long+"="+f.Arg+"]")
		case f.Arg == "":
			letters += f.key()
		default:
			words = append(words, "["+f.shown()+" "+f.Arg+"]")
		}
	}
	if letters != "" {
		words = append([]string{"[-" + letters + "]"}, words...)
	}
	if s.Operands != "" {
		words = append(words, s.Operands)
	}
	width := 78 - len("Usage: ") - len(s.Name)
	lines := []string{""}
	for _, w := range words {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = w
		case len(*last)+1+len(w) > width:
			lines = append(lines, w)
		default:
			*last += " " + w
		}
	}
	return lines
}

const (
	helpColumn = 26
	helpWidth  = 78
)

// options writes the table of options.
func (s *Spec) options(b *strings.Builder) {
	b.WriteString("Options:\n")
	for i := range s.Flags {
		if f := &s.Flags[i]; !f.Hidden {
			row(b, f.names(), f.Help)
		}
	}
	name := "-h, --help"
	if s.NoHelp || s.has('h') {
		name = "    --help"
	}
	row(b, name, "print this help")
}

// names is the left column of the table.
func (f *Flag) names() string {
	var t string
	switch {
	case f.Letter == 0:
		t = "    --" + f.Long
	case f.Long == "":
		t = f.shown()
		if f.Arg != "" {
			t += " "
		}
		return t + f.Arg
	default:
		t = f.shown() + ", --" + f.Long
	}
	if f.Arg != "" {
		t += "=" + f.Arg
	}
	return t
}

func row(b *strings.Builder, name, text string) {
	b.WriteString("  " + name)
	at := 2 + len(name)
	if at+2 > helpColumn {
		b.WriteByte('\n')
		at = 0
	}
	for _, line := range fold(text, helpWidth-helpColumn) {
		b.WriteString(strings.Repeat(" ", helpColumn-at) + line + "\n")
		at = 0
	}
}

// fold breaks text at blanks into lines of at most width bytes, longer words apart.
func fold(text string, width int) []string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}

// tail writes what --help shows after the options.
func (s *Spec) tail(b *strings.Builder) {
	if s.Notes != "" {
		b.WriteString("\n" + strings.TrimRight(s.Notes, "\n") + "\n")
	}
	if len(s.Examples) > 0 {
		b.WriteString("\nExamples:\n")
		for _, ex := range s.Examples {
			b.WriteString("  " + ex.Command + "\n")
			for _, line := range fold(ex.Text, helpWidth-6) {
				b.WriteString("      " + line + "\n")
			}
		}
	}
}
