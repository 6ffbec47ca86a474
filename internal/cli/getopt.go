package cli

import (
	"strings"

	"flowtools/internal/suggest"
)

// syntax is what the normaliser has to know about the options.
type syntax struct {
	short   [256]arity
	long    []longOption
	inOrder bool // the first operand ends the options
}

type arity uint8

const (
	unknown arity = iota
	bare          // takes no value
	valued        // takes a value
)

type longOption struct {
	name  string
	key   string // name of the flag it sets
	arity arity
	exact bool // may not be abbreviated
}

// defect is a command line error. It travels among the flags, to be reported when its turn comes.
type defect byte

const (
	invalidOption defect = 'i' // a letter
	missingValue  defect = 'm' // a letter
	invalidLong   defect = 'I' // a long option as typed, without dashes and value
	missingLong   defect = 'M' // a long option's name
	unwantedValue defect = 'v' // a long option's name
	ambiguousLong defect = 'a' // a long option as typed, without dashes and value
)

// defectKey is the name of the internal flag whose value is a defect and what it is about. No tool can have an option -?:
// that is what getopt returns for an unknown one.
const defectKey = "?"

// normalised is a command line in the order getopt acts on it.
type normalised struct {
	flags    []string // "-x", "value", "-y", ...: one element a flag, its value following
	operands []string
	argv     []string // the arguments as typed, in the order getopt leaves them: options first
	bad      []string // the first defect among flags, nil if there is none
}

func (n *normalised) flag(key string, a arity, value string) {
	n.flags = append(n.flags, "-"+key)
	if a == valued {
		n.flags = append(n.flags, value)
	}
}

func (n *normalised) defect(d defect, what string) {
	n.flag(defectKey, valued, string(rune(d))+what)
	if n.bad == nil {
		n.bad = n.flags[len(n.flags)-2:]
	}
}

// normalise reads args (without argv[0]) as glibc's getopt does: flags may be bundled, a value is glued or the next
// argument and may look like anything, operands may stand among options, "--" ends the options, "-" is an operand.
// Long options are an addition: --name, --name=value, --name value and unambiguous beginnings. Any other --word is what
// it is to getopt, a bundle that starts with the letter '-'.
func normalise(args []string, syn *syntax) normalised {
	n := normalised{flags: make([]string, 0, 2*len(args)), argv: make([]string, 0, len(args))}
	// next takes the following argument as a value.
	next := func(i *int) (string, bool) {
		if *i+1 == len(args) {
			return "", false
		}
		*i++
		n.argv = append(n.argv, args[*i])
		return args[*i], true
	}
scan:
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case len(arg) < 2 || arg[0] != '-':
			if syn.inOrder {
				n.operands = append(n.operands, args[i:]...)
				break scan
			}
			n.operands = append(n.operands, arg)
			continue
		case arg == "--":
			n.argv = append(n.argv, arg)
			n.operands = append(n.operands, args[i+1:]...)
			break scan
		}
		n.argv = append(n.argv, arg)

		bundle := arg[1:]
		if bundle[0] == '-' {
			name, value, glued := strings.Cut(bundle[1:], "=")
			opt, matches := syn.lookup(name)
			switch {
			case matches == 0:
				n.defect(invalidLong, name)
				bundle = bundle[1:]
			case matches > 1:
				n.defect(ambiguousLong, name)
				continue
			case opt.arity == bare:
				if glued {
					n.defect(unwantedValue, opt.name)
				} else {
					n.flag(opt.key, bare, "")
				}
				continue
			default:
				ok := glued
				if !glued {
					value, ok = next(&i)
				}
				if ok {
					n.flag(opt.key, valued, value)
				} else {
					n.defect(missingLong, opt.name)
				}
				continue
			}
		}
		for bundle != "" {
			letter := bundle[:1]
			bundle = bundle[1:]
			switch syn.short[letter[0]] {
			case unknown:
				n.defect(invalidOption, letter)
			case bare:
				n.flag(letter, bare, "")
			case valued:
				value, ok := bundle, bundle != ""
				bundle = ""
				if !ok {
					value, ok = next(&i)
				}
				if ok {
					n.flag(letter, valued, value)
				} else {
					n.defect(missingValue, letter)
				}
			}
		}
	}
	n.argv = append(n.argv, n.operands...)
	return n
}

// lookup finds a long option by its name or a beginning of it; matches is the number of options meant.
func (syn *syntax) lookup(name string) (opt *longOption, matches int) {
	if name == "" {
		return nil, 0
	}
	for i := range syn.long {
		o := &syn.long[i]
		if o.name == name {
			return o, 1
		}
		if !o.exact && strings.HasPrefix(o.name, name) {
			opt = o
			matches++
		}
	}
	return opt, matches
}

// nearest is the long option that word may have been meant to be, "" if there is none.
func (syn *syntax) nearest(word string) string {
	return suggest.Nearest(word, func(yield func(string) bool) {
		for i := range syn.long {
			if o := &syn.long[i]; !o.exact && !yield(o.name) {
				return
			}
		}
	})
}
