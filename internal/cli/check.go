package cli

import (
	"errors"
	"fmt"
	"strings"
)

// Check reports what is wrong with a Spec: names missing or used twice, texts the generators cannot set. It is for tests; a run
// takes a Spec as it is.
func (s *Spec) Check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(s.Name+": "+format, args...))
	}
	if s.Name == "" || s.Summary == "" || s.Run == nil {
		bad("name, summary or run is missing")
	}
	if strings.HasSuffix(s.Summary, ".") || strings.Contains(s.Summary, "\n") {
		bad("summary %q is not one line without a stop", s.Summary)
	}
	if s.Operands == "" && s.MaxOperands != 0 {
		bad("operands are allowed but not named")
	}
	if s.MoreHelp != nil && !s.Persistent {
		bad("MoreHelp without Persistent")
	}
	letters, longs := map[byte]bool{}, map[string]bool{"help": true, "version": true, "man": true, "completion": true}
	for i := range s.Flags {
		f := &s.Flags[i]
		if f.Letter == 0 && f.Long == "" {
			bad("flag %d has no name", i)
			continue
		}
		name := f.shown()
		if f.Letter != 0 {
			if f.Letter <= ' ' || f.Letter > '~' || strings.IndexByte("-?:;=", f.Letter) >= 0 {
				bad("%s cannot be an option to getopt", name)
			}
			if letters[f.Letter] {
				bad("%s stands twice", name)
			}
			letters[f.Letter] = true
		}
		if f.Long != "" {
			if len(f.Long) < 2 || strings.Trim(f.Long, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || f.Long[0] == '-' {
				bad("--%s is no name for a long option", f.Long)
			}
			if longs[f.Long] {
				bad("--%s stands twice or belongs to all tools", f.Long)
			}
			longs[f.Long] = true
		}
		switch {
		case f.Set == nil:
			bad("%s does nothing", name)
		case f.Help == "" && !f.Hidden:
			bad("%s has no help", name)
		case f.Arg == "" && (f.Files || len(f.Values) > 0):
			bad("%s takes no value but says which", name)
		case strings.ContainsAny(f.Arg, "\n'"):
			bad("%s: value name %q", name, f.Arg)
		case strings.ContainsAny(strings.Join(f.Values, ""), " \n'\"()\\"):
			bad("%s: values %q", name, f.Values)
		}
	}
	for _, ref := range s.SeeAlso {
		if page, section, ok := strings.Cut(ref, "("); !ok || page == "" || len(section) != 2 || section[1] != ')' {
			bad("see also %q is not of the form page(1)", ref)
		}
	}
	for _, ex := range s.Examples {
		if ex.Command == "" || strings.Contains(ex.Command, "\n") || ex.Text == "" {
			bad("example %q: %q", ex.Command, ex.Text)
		}
	}
	return errors.Join(errs...)
}
