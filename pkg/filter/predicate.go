package filter

import "flowtools/pkg/flow"

// All returns a predicate that passes what every test passes, asked in order;
// everything when there is none.
func All(tests ...func(flow.Record) bool) func(flow.Record) bool {
	// The short ones are worth their lines: a loop costs as much as a test.
	switch len(tests) {
	case 0:
		return func(flow.Record) bool { return true }
	case 1:
		return tests[0]
	case 2:
		a, b := tests[0], tests[1]
		return func(r flow.Record) bool { return a(r) && b(r) }
	case 3:
		a, b, c := tests[0], tests[1], tests[2]
		return func(r flow.Record) bool { return a(r) && b(r) && c(r) }
	}
	return func(r flow.Record) bool {
		for _, t := range tests {
			if !t(r) {
				return false
			}
		}
		return true
	}
}

// Any returns a predicate that passes what at least one test passes, asked in
// order up to that one; nothing when there is none.
func Any(tests ...func(flow.Record) bool) func(flow.Record) bool {
	switch len(tests) {
	case 0:
		return func(flow.Record) bool { return false }
	case 1:
		return tests[0]
	case 2:
		a, b := tests[0], tests[1]
		return func(r flow.Record) bool { return a(r) || b(r) }
	}
	return func(r flow.Record) bool {
		for _, t := range tests {
			if t(r) {
				return true
			}
		}
		return false
	}
}

// Not returns a predicate that passes what test does not.
func Not(test func(flow.Record) bool) func(flow.Record) bool {
	return func(r flow.Record) bool { return !test(r) }
}
