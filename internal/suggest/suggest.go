// Package suggest finds what someone who mistyped a word may have meant.
package suggest

import "iter"

// edits is how far off a word may be; shorter ones say nothing.
const edits = 2

// Nearest returns the word that the fewest insertions, deletions and
// replacements make of typed, the first of several; "" if that takes more than
// two.
func Nearest(typed string, words iter.Seq[string]) string {
	if len(typed) <= edits {
		return ""
	}
	best, nearest := edits+1, ""
	for w := range words {
		if len(typed) > len(w)+edits {
			continue // spares the work on long nonsense
		}
		if d := distance(typed, w); d < best {
			best, nearest = d, w
		}
	}
	return nearest
}

// distance is the number of insertions, deletions and replacements between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
