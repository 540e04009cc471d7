// Package nearest finds the word that was meant. No lesson reads it.
package nearest

// To returns the known word that a misspelt one is closest to, if it is at most two
// changes away, or "".
func To(word string, words []string) (best string) {
	least := min(3, len(word)) // else every word of one letter would be near
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

// editDistance counts the characters to add, remove or replace (Levenshtein distance).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
