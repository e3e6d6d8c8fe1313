package policy

import (
	"encoding/json"

	"cel.dev/cel-go/common/types/ref"
)

const (
	// maxExplanation bounds what an explanation of one type holds, as JSON: those of
	// all nine types of token are below 1 MiB together.
	maxExplanation = 96 << 10
	maxReading     = 256  // values within a value that is shown
	maxProblem     = 1000 // characters of an error's message that are shown
)

// room is how many bytes an explanation may still grow. nil: any number.
type room struct{ left int }

// takes reports whether something fits as JSON, and makes room for it.
func (r *room) takes(v any) bool {
	if r == nil {
		return true
	}
	text, err := json.Marshal(v)
	if err != nil || len(text) > r.left {
		return false
	}
	r.left -= len(text)
	return true
}

// fits reports whether a value is short enough to be shown.
func fits(v ref.Val) bool { return weigh(v, maxReading) <= maxReading }
