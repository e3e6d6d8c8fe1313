package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a document.
type Problem struct {
	Path    string // rules[2].grant.params.video.max_resolution; "" is the document
	File    string // the included file that it stands in; "" is the document itself
	Line    int    // in the file, from 1; 0 unknown
	Column  int    // the same
	Message string
}

// String returns "path: message (line 7, column 12)", with the file where it is
// not the document itself.
func (p Problem) String() string {
	text := p.What()
	var place []string
	if p.File != "" {
		place = append(place, p.File)
	}
	if p.Line > 0 {
		place = append(place, fmt.Sprintf("line %d", p.Line))
	}
	if p.Column > 0 {
		place = append(place, fmt.Sprintf("column %d", p.Column))
	}
	if len(place) > 0 {
		text += " (" + strings.Join(place, ", ") + ")"
	}
	return text
}

// Place returns FILE:LINE:COLUMN, without the numbers that are unknown. document
// is the file of the document itself.
func (p Problem) Place(document string) string {
	place := cmp.Or(p.File, document)
	if p.Line == 0 {
		return place
	}
	place += ":" + strconv.Itoa(p.Line)
	if p.Column == 0 {
		return place
	}
	return place + ":" + strconv.Itoa(p.Column)
}

// What returns "path: message", without the place.
func (p Problem) What() string {
	if p.Path == "" {
		return p.Message
	}
	return p.Path + ": " + p.Message
}

// Problems is everything that is wrong with a document, in the order of its
// lines; included files come behind the document. It is the error of Compile, Check and Test.
type Problems []Problem //nolint:errname // the same word as configs.Problems

// Error returns one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts the problems of one file in the order of its lines.
func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
}

// err returns the problems as an error, nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
