package playback

import "strings"

// Nearest returns the word with the fewest typing errors in what was written, ""
// if none has at most one for three letters.
func Nearest(written string, words []string) string {
	best, word := 1+min(len(written), maxWord)/3, ""
	for _, w := range words {
		if d := distance(strings.ToLower(written), strings.ToLower(w)); d < best || d == best && word == "" && d <= 1 {
			best, word = d, w
		}
	}
	return word
}

// maxWord bounds what is compared: nothing that could be meant is longer.
const maxWord = 64

// distance is the number of letters that are inserted, left out, replaced or
// exchanged with their neighbour (optimal string alignment).
func distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return maxWord
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if j > 1 && i > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
