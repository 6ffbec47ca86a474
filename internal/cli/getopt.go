package cli

import "strings"

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

// defect is a command line error, reported when its turn comes among the options.
type defect byte

const (
	invalidOption defect = 'i' // followed by the letter
	missingValue  defect = 'm' // followed by the letter
	missingLong   defect = 'M' // followed by the long name
	unwantedValue defect = 'v' // followed by the long name
	ambiguousLong defect = 'a' // followed by the word as typed
)

// defectKey is the name of the internal flag that carries a defect. A letter '?' cannot be an option of a tool: getopt
// returns it for unknown ones.
const defectKey = "?"

// normalised is a command line in the order getopt would act on it.
type normalised struct {
	flags    []string // "-x", "value", "-y", ...: one element a flag, its value following
	operands []string
	argv     []string // the arguments as typed, in the order getopt leaves them: options first
}

// normalise reads args (without argv[0]) as glibc's getopt does: flags may be bundled, a value is glued or the next
// argument and may look like anything, operands may stand between options, "--" ends the options, "-" is an operand.
// Long options are an addition: --name, --name=value, --name value and unambiguous beginnings; any other --word is what
// it is to getopt, a bundle that starts with the letter '-'.
func normalise(args []string, syn *syntax) normalised {
	out := normalised{flags: make([]string, 0, 2*len(args)), argv: make([]string, 0, len(args))}
	emit := func(key, value string, a arity) {
		out.flags = append(out.flags, "-"+key)
		if a == valued {
			out.flags = append(out.flags, value)
		}
	}
	fault := func(d defect, what string) { emit(defectKey, string(rune(d))+what, valued) }

	for i := 0; i < len(args); i++ {
		arg := args[i]
		if len(arg) < 2 || arg[0] != '-' {
			if syn.inOrder {
				out.operands = append(out.operands, args[i:]...)
				break
			}
			out.operands = append(out.operands, arg)
			continue
		}
		out.argv = append(out.argv, arg)
		if arg == "--" {
			out.operands = append(out.operands, args[i+1:]...)
			break
		}
		if strings.HasPrefix(arg, "--") {
			name, value, glued := strings.Cut(arg[2:], "=")
			opt, match := syn.lookup(name)
			switch {
			case match > 1:
				fault(ambiguousLong, arg)
				continue
			case match == 1 && opt.arity == bare && glued:
				fault(unwantedValue, opt.name)
				continue
			case match == 1 && opt.arity == valued && !glued:
				if i+1 == len(args) {
					fault(missingLong, opt.name)
					continue
				}
				i++
				out.argv = append(out.argv, args[i])
				value = args[i]
				fallthrough
			case match == 1:
				emit(opt.key, value, opt.arity)
				continue
			}
		}
		for j := 1; j < len(arg); j++ {
			letter := arg[j : j+1]
			switch syn.short[arg[j]] {
			case unknown:
				fault(invalidOption, letter)
				continue
			case bare:
				emit(letter, "", bare)
				continue
			}
			switch {
			case j+1 < len(arg):
				emit(letter, arg[j+1:], valued)
			case i+1 < len(args):
				i++
				out.argv = append(out.argv, args[i])
				emit(letter, args[i], valued)
			default:
				fault(missingValue, letter)
			}
			break
		}
	}
	out.argv = append(out.argv, out.operands...)
	return out
}

// lookup finds a long option by its name or an unambiguous beginning of at least one letter; match is the number of options meant.
func (syn *syntax) lookup(name string) (opt *longOption, match int) {
	for i := range syn.long {
		o := &syn.long[i]
		if o.name == name {
			return o, 1
		}
		if name != "" && !o.exact && strings.HasPrefix(o.name, name) {
			opt = o
			match++
		}
	}
	return opt, match
}
