package configs

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with a configuration, or a warning about
// it.
type Problem struct {
	// Path is the YAML path, such as "organizations[0].environments[1].hosts[0]";
	// "" for the document as a whole.
	Path string
	// Message says what is wrong and what is wanted. It repeats no secret.
	Message string
	// Line is the line of the file, from 1; 0 if no line says it, as for a
	// default or a value of the environment.
	Line int
	// Place is where in another file it is, as FILE:LINE:COLUMN; "": it is in the
	// configuration itself.
	Place string
}

// String returns "path: message (line 12)", without the parts that are unknown,
// or with the place in another file instead of the line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	switch {
	case p.Place != "":
		fmt.Fprintf(&b, " (%s)", p.Place)
	case p.Line > 0:
		fmt.Fprintf(&b, " (line %d)", p.Line)
	}
	return b.String()
}

// Problems is everything that is wrong with a configuration, in the order of
// the file. It is the error of Load for a file that could be read.
type Problems []Problem //nolint:errname // the plural of what it holds

// Error returns one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, 0, len(ps))
	for _, p := range ps {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

// report collects problems and warnings while a document is read and checked.
type report struct {
	problems Problems
	warnings []Problem
	failed   map[string]bool // paths that have a problem
	root     *yaml.Node      // finds the line of a path; nil before there is a document
}

func newReport() *report { return &report{failed: map[string]bool{}} }

// at reports a problem at a node.
func (r *report) at(n *yaml.Node, path, format string, args ...any) {
	r.failed[path] = true
	r.problems = append(r.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Line: n.Line})
}

// add reports a problem of the check that follows decoding. It is dropped if
// the member, or one around it, could not be read in the first place: then it
// would be about a value that nobody wrote.
func (r *report) add(path, format string, args ...any) {
	if r.hasFailed(path) {
		return
	}
	r.failed[path] = true
	r.problems = append(r.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Line: r.line(path)})
}

func (r *report) warn(path, format string, args ...any) {
	r.warnings = append(r.warnings, Problem{Path: path, Message: fmt.Sprintf(format, args...), Line: r.line(path)})
}

// hasFailed reports whether the path or one around it has a problem.
func (r *report) hasFailed(path string) bool {
	for path != "" {
		if r.failed[path] {
			return true
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return r.failed[""]
}

// given reports whether the document has a value at the path.
func (r *report) given(path string) bool {
	n := r.root
	for n != nil {
		var step string
		if step, path = nextStep(path); step == "" {
			return !isNull(n)
		}
		n, _ = child(n, step, 0)
	}
	return false
}

// sort puts problems and warnings in the order of the file.
func (r *report) sort() {
	byLine := func(a, b Problem) int { return a.Line - b.Line }
	slices.SortStableFunc(r.problems, byLine)
	slices.SortStableFunc(r.warnings, byLine)
}

// line returns the line of the member at the path, or of the nearest one
// around it that was given. Paths built here hold schema names only, so "." and
// "[" always separate.
func (r *report) line(path string) int {
	n, line := r.root, 0
	for n != nil {
		if n.Line > 0 {
			line = n.Line
		}
		var step string
		step, path = nextStep(path)
		if step == "" {
			return line
		}
		n, line = child(n, step, line)
	}
	return line
}

// nextStep splits "a[0].b" into "a" and "[0].b", and "[0].b" into "[0" and "b".
func nextStep(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	if path == "" {
		return "", ""
	}
	end := strings.IndexAny(path[1:], ".[]")
	if end < 0 {
		return path, ""
	}
	return path[:end+1], strings.TrimPrefix(path[end+1:], "]")
}

// child returns the member of a node, and the line of its key.
func child(n *yaml.Node, step string, line int) (*yaml.Node, int) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key := n.Content[i]; key.Value == step {
				return n.Content[i+1], max(key.Line, line)
			}
		}
	case yaml.SequenceNode:
		index, err := wholeNumber(strings.TrimPrefix(step, "["))
		if err == nil && index < int64(len(n.Content)) {
			return n.Content[index], line
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	return nil, line
}
