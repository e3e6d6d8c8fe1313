package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/yamldoc"
)

const (
	maxDocument = 1 << 20 // bytes
	maxValues   = 100_000 // YAML nodes that are looked at, aliases followed
	maxJSON     = 32      // nesting of claims, meta and the like
)

// decoder reads a YAML document strictly and collects every problem instead of
// stopping at the first.
type decoder struct {
	path     string                // of the file, "" if there is none around the document
	file     string                // the same for an included file, "" for the document itself
	source   []byte                // its text
	line     func(path string) int // see Options.Line
	problems Problems
	values   int
}

// node is a YAML node and where it stands in the document.
type node struct {
	*yaml.Node
	path string
}

// isNull reports whether the value was left empty: that is as if the key was
// left out.
func (n node) isNull() bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func (d *decoder) problem(n node, format string, args ...any) {
	p := Problem{Path: n.path, File: d.file, Message: fmt.Sprintf(format, args...)}
	if n.Node != nil {
		p.Line, p.Column = n.Line, n.Column
	}
	d.problems = append(d.problems, p)
}

// document parses the text of a document.
func (d *decoder) document(text []byte) (node, bool) {
	root := node{path: ""}
	if len(text) > maxDocument {
		d.problem(root, "the document is larger than %d bytes", maxDocument)
		return root, false
	}
	parsed, err := yamldoc.Parse(text)
	switch _, several := errors.AsType[*yamldoc.SeveralError](err); {
	case several:
		d.problem(root, "there is more than one YAML document")
		return root, false
	case err != nil:
		d.malformed(err)
		return root, false
	case parsed == nil:
		d.problem(root, "the document is empty; want at least version: 1")
		return root, false
	}
	if d.line != nil {
		relocate(parsed, "", d.line)
	}
	return d.follow(node{parsed, ""})
}

// relocate gives the nodes of a document the lines that it has in the file that it
// is a part of.
func relocate(n *yaml.Node, path string, line func(string) int) {
	n.Line, n.Column = line(path), 0
	for i, c := range n.Content {
		switch n.Kind {
		case yaml.MappingNode:
			at := join(path, n.Content[i-i%2].Value)
			relocate(c, at, line)
		case yaml.SequenceNode:
			relocate(c, fmt.Sprintf("%s[%d]", path, i), line)
		case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
			relocate(c, path, line)
		}
	}
}

// follow resolves an alias and counts what is looked at, so that a few lines of
// aliases of aliases cannot become a billion values.
func (d *decoder) follow(n node) (node, bool) {
	if d.values++; d.values > maxValues {
		if d.values == maxValues+1 {
			d.problem(n, "the document has more than %d values", maxValues)
		}
		return n, false
	}
	if n.Kind == yaml.AliasNode {
		return node{n.Alias, n.path}, true // an alias of an alias does not exist
	}
	return n, true
}

// fields reads a mapping: each key at most once, and only those that have a
// reader. A null is read as an absent key.
func (d *decoder) fields(n node, readers map[string]func(node)) {
	d.members(n, func(name string, value node) {
		read, known := readers[name]
		if !known {
			all := slices.Sorted(maps.Keys(readers))
			d.problem(value, "unknown key; want one of %s%s", strings.Join(all, ", "), didYouMean(name, all))
			return
		}
		if !value.isNull() {
			read(value)
		}
	})
}

// members calls visit for each key of a mapping whose names have a meaning here.
// Keys that begin with x- are the document's own.
func (d *decoder) members(n node, visit func(name string, value node)) {
	d.pairs(n, func(name string, value node) {
		if !yamldoc.IsExtension(name) {
			visit(name, value)
		}
	})
}

// pairs calls visit for each key of a mapping whose names may be any.
func (d *decoder) pairs(n node, visit func(name string, value node)) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, "want a mapping, not %s", kindOf(n))
		return
	}
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, name := n.Content[i], n.Content[i].Value
		at := node{key, join(n.path, name)}
		switch {
		case key.Tag == "!!merge":
			d.problem(at, "merge keys are not supported; use an alias for the whole value")
			continue
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			d.problem(node{key, n.path}, "a key must be a string")
			continue
		case seen[name]:
			d.problem(at, "the key is given twice")
			continue
		}
		seen[name] = true
		if value, ok := d.follow(node{n.Content[i+1], at.path}); ok {
			visit(name, value)
		}
	}
}

// items calls visit for each item of a sequence.
func (d *decoder) items(n node, visit func(node)) {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, "want a list, not %s", kindOf(n))
		return
	}
	for i, c := range n.Content {
		if item, ok := d.follow(node{c, n.path + "[" + strconv.Itoa(i) + "]"}); ok {
			visit(item)
		}
	}
}

// names reads a list of strings.
func (d *decoder) names(n node, visit func(name string, at node)) {
	d.items(n, func(item node) {
		if name, ok := d.text(item); ok {
			visit(name, item)
		}
	})
}

func (d *decoder) text(n node) (string, bool) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		return n.Value, true
	}
	d.problem(n, "want a string, not %s", kindOf(n))
	return "", false
}

// expression reads CEL. `when: true` without quotes is a boolean to YAML, and
// the same thing to CEL.
func (d *decoder) expression(n node) (string, bool) {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!bool" && (n.Value == "true" || n.Value == "false") || n.Tag == "!!int") {
		return n.Value, true
	}
	return d.text(n)
}

func (d *decoder) boolean(n node) bool {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		d.problem(n, "want true or false, not %s", kindOf(n))
		return false
	}
	return strings.EqualFold(n.Value, "true")
}

func (d *decoder) number(n node) (float64, bool) {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float") {
		var f float64
		if err := n.Decode(&f); err == nil {
			return f, true
		}
	}
	d.problem(n, "want a number, not %s", kindOf(n))
	return 0, false
}

func (d *decoder) duration(n node) time.Duration {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!int" {
		d.problem(n, "want a duration (integer seconds, or 90s, 15m, 1h, 7d), not %s", kindOf(n))
		return 0
	}
	value, err := playback.ParseDuration(n.Value)
	if err == nil && value <= 0 {
		err = errors.New("must be positive")
	}
	if err != nil {
		d.problem(n, "%s", err)
	}
	return value
}

func (d *decoder) time(n node) time.Time {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!timestamp" {
		d.problem(n, "want a time such as 2027-01-01T00:00:00Z, not %s", kindOf(n))
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, n.Value)
	if err != nil {
		d.problem(n, "%.40q is not a time such as 2027-01-01T00:00:00Z", n.Value)
	}
	return t
}

// scalar reads a parameter's value as the text it was written with, so that
// its grammar, and not YAML's, decides what a number is.
func (d *decoder) scalar(n node) (string, bool) {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return n.Value, true
	}
	d.problem(n, "want a single value, not %s", kindOf(n))
	return "", false
}

// json reads any value as JSON has it, with float64 numbers.
func (d *decoder) json(n node, depth int) any {
	if depth > maxJSON {
		d.problem(n, "is nested more than %d deep", maxJSON)
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		d.pairs(n, func(name string, value node) { m[name] = d.json(value, depth+1) })
		return m
	case yaml.SequenceNode:
		list := []any{}
		d.items(n, func(item node) { list = append(list, d.json(item, depth+1)) })
		return list
	default:
		return d.jsonScalar(n)
	}
}

func (d *decoder) jsonScalar(n node) (value any) {
	switch n.Tag {
	case "!!null":
	case "!!bool":
		value = d.boolean(n)
	case "!!int", "!!float":
		value, _ = d.number(n)
	case "!!str", "!!timestamp":
		value = n.Value
	default:
		d.problem(n, "JSON has no %s", kindOf(n))
	}
	return value
}

// object reads a JSON object.
func (d *decoder) object(n node) map[string]any {
	if n.Kind != yaml.MappingNode {
		d.problem(n, "want a mapping, not %s", kindOf(n))
		return nil
	}
	m, _ := d.json(n, 0).(map[string]any)
	return m
}

func kindOf(n node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!str":
		return "a string"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return fmt.Sprintf("the number %.40s", n.Value)
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a time"
	}
	return n.Tag
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
