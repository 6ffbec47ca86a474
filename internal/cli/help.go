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

const (
	helpColumn = 26 // where the texts of the option table begin
	helpWidth  = 78
)

// usageStream is where a kind of help goes.
func (e *Env) usageStream(what helpKind) io.Writer {
	if e.spec.Stdout || e.spec.HelpStdout && what == shortHelp {
		return e.Stdout
	}
	return e.Stderr
}

// usage prints a kind of help.
func (e *Env) usage(what helpKind) {
	// A full device changes neither what -h is nor its status.
	_, _ = io.WriteString(e.usageStream(what), e.spec.help(what))
}

// help is the text of a kind of help.
func (s *Spec) help(what helpKind) string {
	var b strings.Builder
	if what == fullHelp {
		b.WriteString(s.Name + " - " + s.Summary + "\n\n")
	}
	lead := "Usage: " + s.Name
	for _, line := range s.synopsis() {
		b.WriteString(lead)
		if line != "" {
			b.WriteString(" " + line)
		}
		b.WriteByte('\n')
		lead = blanks(len(lead))
	}
	switch {
	case what == badUsage:
		b.WriteString("Try '" + s.Name + " --help' for more.\n")
		return b.String()
	case what == shortHelp && s.HelpStdout:
		return b.String()
	}
	b.WriteString("\nOptions:\n")
	for _, f := range s.listed() {
		f.row(&b)
	}
	if what == fullHelp {
		s.more(&b)
	}
	return b.String()
}

// more is what --help shows behind the options.
func (s *Spec) more(b *strings.Builder) {
	for i, p := range paragraphs(s.Notes) {
		if i == 0 || !p.kept {
			b.WriteByte('\n')
		}
		if p.kept {
			b.WriteString(p.text + "\n")
			continue
		}
		for _, line := range fold(p.text, helpWidth) {
			b.WriteString(line + "\n")
		}
	}
	if len(s.Examples) == 0 {
		return
	}
	b.WriteString("\nExamples:\n")
	for _, ex := range s.Examples {
		b.WriteString("  " + ex.Command + "\n")
		for _, line := range fold(ex.Text, helpWidth-6) {
			b.WriteString(blanks(6) + line + "\n")
		}
	}
}

// helpLetter reports whether -h is the help.
func (s *Spec) helpLetter() bool {
	if s.NoHelp {
		return false
	}
	for i := range s.Flags {
		if s.Flags[i].Letter == 'h' {
			return false
		}
	}
	return true
}

// listed are the flags shown to users, those every tool has included.
func (s *Spec) listed() []Flag {
	var list []Flag
	for i := range s.Flags {
		if !s.Flags[i].Hidden {
			list = append(list, s.Flags[i])
		}
	}
	help := Flag{Long: "help", Help: "print help with notes and examples"}
	if s.helpLetter() {
		help.Letter = 'h'
		help.Help = "print help; --help adds notes and examples"
	}
	return append(list, help, Flag{Long: "version", Help: "print the version"})
}

// synopsis is the usage lines behind the name: Usage or, without it, "[-hbg] [-f format] operands" made from the flags.
func (s *Spec) synopsis() []string {
	if len(s.Usage) > 0 {
		return s.Usage
	}
	letters := ""
	var words []string
	for _, f := range s.listed() {
		switch {
		case f.Letter == 0 && (f.Long == "help" || f.Long == "version"):
		case f.Letter == 'h' && f.Long == "help":
			letters = "h" + letters
		case f.Letter != 0 && f.Arg == "":
			letters += f.key()
		case f.Letter != 0:
			words = append(words, "["+f.shown()+" "+f.Arg+"]")
		case f.Arg == "":
			words = append(words, "["+f.shown()+"]")
		default:
			words = append(words, "["+f.shown()+"="+f.Arg+"]")
		}
	}
	if letters != "" {
		words = append([]string{"[-" + letters + "]"}, words...)
	}
	if s.Operands != "" {
		words = append(words, s.Operands)
	}
	return wrap(words, helpWidth-len("Usage: "+s.Name+" "))
}

// key is the name of a flag inside the parser.
func (f *Flag) key() string {
	if f.Letter != 0 {
		return string([]byte{f.Letter})
	}
	return f.Long
}

// shown is how a flag is named to users.
func (f *Flag) shown() string {
	if f.Letter != 0 {
		return "-" + f.key()
	}
	return "--" + f.Long
}

// name is a flag with its forms and value: "-f, --format=n"; a long form alone is indented to stand below others.
func (f *Flag) name() string {
	name := blanks(4)
	if f.Letter != 0 {
		name = f.shown()
		if f.Long != "" {
			name += ", "
		}
	}
	if f.Long != "" {
		name += "--" + f.Long
	}
	switch {
	case f.Arg == "":
		return name
	case f.Long != "":
		return name + "=" + f.Arg
	}
	return name + " " + f.Arg
}

// row writes a line of the option table, or more when the text needs them.
func (f *Flag) row(b *strings.Builder) {
	name := "  " + f.name()
	at := len(name)
	b.WriteString(name)
	if at+2 > helpColumn {
		b.WriteByte('\n')
		at = 0
	}
	for _, line := range fold(f.Help, helpWidth-helpColumn) {
		b.WriteString(blanks(helpColumn-at) + line + "\n")
		at = 0
	}
}

func blanks(n int) string { return strings.Repeat(" ", n) }

// fold breaks text at blanks into lines of at most width bytes; a longer word has its own line.
func fold(text string, width int) []string { return wrap(strings.Fields(text), width) }

// wrap joins words with blanks to lines of at most width bytes. There is at least one line.
func wrap(words []string, width int) []string {
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

// paragraph is a piece of a text: words to fill lines with or, kept, lines as they are.
type paragraph struct {
	text string
	kept bool
}

// paragraphs splits a text of a Spec: paragraphs end at empty lines; a run of indented lines is kept as it is.
func paragraphs(text string) []paragraph {
	var list []paragraph
	open := false // the last paragraph may grow
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) == "" {
			open = false
			continue
		}
		kept := line[0] == ' ' || line[0] == '\t'
		line = strings.TrimRight(line, " \t")
		if open && list[len(list)-1].kept == kept {
			list[len(list)-1].text += "\n" + line
			continue
		}
		list = append(list, paragraph{line, kept})
		open = true
	}
	return list
}
