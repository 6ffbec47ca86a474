package cli

import "strings"

// Completion returns the completion script of the tool for bash, zsh or fish; ok is false for any other shell.
func (s *Spec) Completion(shell string) (script string, ok bool) {
	switch shell {
	case "bash":
		return s.bash(), true
	case "zsh":
		return s.zsh(), true
	case "fish":
		return s.fish(), true
	}
	return "", false
}

// function is the name of the tool's function in a script.
func (s *Spec) function() string { return "_" + strings.ReplaceAll(s.Name, "-", "_") }

// brief is the first clause of a help text, shortened, without what a script would have to escape.
func brief(help string) string {
	if i := strings.IndexAny(help, ";("); i > 0 {
		help = help[:i]
	}
	if i := strings.Index(help, ". "); i > 0 {
		help = help[:i]
	}
	return fold(unquoted(help), 60)[0]
}

// unquoted is text without the characters that mean something in a script.
func unquoted(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("'\"`[]:\\$\n", r) {
			return -1
		}
		return r
	}, s)
}

// bash writes a function for complete -F. Values may be glued to their option or stand apart; --name=value arrives split at
// the "=", which is a word break there.
func (s *Spec) bash() string {
	var b, words strings.Builder
	fn := s.function()
	b.WriteString("# bash completion for " + s.Name + "\n" + fn + "() {\n" +
		"    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n" +
		"    if [[ $cur == = ]]; then\n        cur=\n" +
		"    elif [[ $prev == = ]]; then\n        prev=${COMP_WORDS[COMP_CWORD-2]}\n    fi\n" +
		"    case $prev in\n")
	for _, f := range s.listed() {
		name := f.shown()
		if f.Letter != 0 && f.Long != "" {
			name += "|--" + f.Long
		}
		if f.Letter != 0 {
			words.WriteString(" " + f.shown())
		}
		if f.Long != "" {
			words.WriteString(" --" + f.Long)
		}
		switch {
		case f.Arg == "":
			continue
		case f.Files:
			b.WriteString("    " + name + ")\n        compopt -o filenames\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n        return ;;\n")
		case len(f.Values) > 0:
			b.WriteString("    " + name + ")\n        mapfile -t COMPREPLY < <(compgen -W '" + strings.Join(f.Values, " ") + "' -- \"$cur\")\n        return ;;\n")
		default:
			b.WriteString("    " + name + ") return ;;\n")
		}
	}
	b.WriteString("    esac\n    if [[ $cur == -* ]]; then\n" +
		"        mapfile -t COMPREPLY < <(compgen -W '" + words.String()[1:] + "' -- \"$cur\")\n")
	if s.MaxOperands != 0 {
		b.WriteString("    else\n        compopt -o filenames\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n")
	}
	b.WriteString("    fi\n}\ncomplete -F " + fn + " " + s.Name + "\n")
	return b.String()
}

// zsh writes a function over _arguments, to be autoloaded from fpath or sourced.
func (s *Spec) zsh() string {
	var b strings.Builder
	fn := s.function()
	b.WriteString("#compdef " + s.Name + "\n" + fn + "() {\n    _arguments -s -S")
	for _, f := range s.listed() {
		b.WriteString(" \\\n        ")
		action := ""
		if f.Arg != "" {
			action = ":" + unquoted(f.Arg) + ":"
			switch {
			case f.Files:
				action += "_files"
			case len(f.Values) > 0:
				action += "(" + strings.Join(f.Values, " ") + ")"
			}
		}
		tail := "[" + brief(f.Help) + "]" + action + "'"
		glue, long := "", ""
		if f.Arg != "" {
			glue, long = "+", "="
		}
		switch {
		case f.Letter != 0 && f.Long != "" && f.Many:
			b.WriteString("'*'{" + f.shown() + glue + ",--" + f.Long + long + "}'" + tail)
		case f.Letter != 0 && f.Long != "":
			b.WriteString("'(" + f.shown() + " --" + f.Long + ")'{" + f.shown() + glue + ",--" + f.Long + long + "}'" + tail)
		case f.Letter != 0:
			b.WriteString("'" + f.shown() + glue + tail)
		default:
			b.WriteString("'" + f.shown() + long + tail)
		}
	}
	if s.MaxOperands != 0 {
		b.WriteString(" \\\n        '*:operand:_files'")
	}
	b.WriteString("\n}\nif [ \"$funcstack[1]\" = " + fn + " ]; then\n    " + fn + " \"$@\"\nelse\n    compdef " + fn + " " + s.Name + "\nfi\n")
	return b.String()
}

// fish writes complete commands.
func (s *Spec) fish() string {
	var b strings.Builder
	b.WriteString("# fish completion for " + s.Name + "\n")
	if s.MaxOperands == 0 {
		b.WriteString("complete -c " + s.Name + " -f\n")
	}
	for _, f := range s.listed() {
		b.WriteString("complete -c " + s.Name)
		if f.Letter != 0 {
			b.WriteString(" -s " + f.key())
		}
		if f.Long != "" {
			b.WriteString(" -l " + f.Long)
		}
		switch {
		case f.Arg == "":
		case f.Files:
			b.WriteString(" -r -F")
		case len(f.Values) > 0:
			b.WriteString(" -x -a '" + strings.Join(f.Values, " ") + "'")
		default:
			b.WriteString(" -x")
		}
		b.WriteString(" -d '" + brief(f.Help) + "'\n")
	}
	return b.String()
}
