// Package nearest finds the word that was meant. No lesson reads it.
package nearest

// To returns the known word that a misspelt one is closest to, or "". It may be one change away, and if the word has
// six letters or more, two: nope is not done.
func To(word string, words []string) (best string) {
	least := 1 + min(2, len(word)/2)
	if len(word) < 6 {
		least = min(2, least)
	}
	for _, w := range words {
		if d := editDistance(word, w); d < least {
			best, least = w, d
		}
	}
	return best
}

// Hint is a line of a message that asks whether the word near a misspelt one was meant, or "": also
// for one that is spelt right.
func Hint(word string, words []string) string {
	if near := To(word, words); near != "" && near != word {
		return "\n     did you mean " + near + "?"
	}
	return ""
}

// editDistance counts the characters to add, remove or replace, and the neighbours to exchange
// (optimal string alignment).
func editDistance(a, b string) int {
	above, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			change := row[j]
			if a[i] != b[j] {
				change++
			}
			next[j+1] = min(change, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], above[j-1]+1)
			}
		}
		above, row = row, next
	}
	return row[len(b)]
}
