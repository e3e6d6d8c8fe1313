package playback

import "strings"

// DidYouMean returns "; did you mean plan?" where one of the words is near
// enough to what was written, else "".
func DidYouMean(written string, words []string) string {
	if word := Nearest(written, words); word != "" {
		return "; did you mean " + word + "?"
	}
	return ""
}

// WantOneOf returns what follows a word that is none of a closed set's: the word
// that was probably meant, else all of them if they are few.
func WantOneOf(written string, words []string) string {
	const few = 20
	if meant := DidYouMean(written, words); meant != "" || len(words) > few || len(words) == 0 {
		return meant
	}
	return "; want one of " + strings.Join(words, ", ")
}

// Nearest returns the word with the fewest typing errors, "" if none has at most
// one for three letters. Capitals do not count.
func Nearest(written string, words []string) string {
	if len(written) > maxWord {
		return ""
	}
	written = strings.ToLower(written)
	best, word := 1+len(written)/3, ""
	for _, w := range words {
		if d := typingErrors(written, strings.ToLower(w), best); d < best || d == best && word == "" && d <= 1 {
			best, word = d, w
		}
	}
	return word
}

// maxWord bounds what is compared, bytes: nothing that could be meant is longer.
const maxWord = 64

// typingErrors is the number of letters that are inserted, left out, replaced or
// exchanged with their neighbour (optimal string alignment); more than most where
// the lengths alone tell.
func typingErrors(a, b string, most int) int {
	if max(len(a)-len(b), len(b)-len(a)) > most {
		return most + 1
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
