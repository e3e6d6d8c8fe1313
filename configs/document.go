package configs

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/yamldoc"
)

const (
	// maxDepth is deeper than any configuration; rules and meta may nest.
	maxDepth = 64
	// maxAliased bounds the nodes that aliases and merges repeat, so that a few
	// lines cannot become billions of nodes.
	maxAliased = 200_000
)

var errTooDeep = fmt.Errorf("is nested more than %d levels deep", maxDepth)

// parseDocument reads one YAML or JSON document into a tree without aliases,
// merges and repeated keys, and reports what is wrong with it. nil means that
// nothing could be read.
func parseDocument(raw []byte, r *report) *yaml.Node {
	parsed, err := readDocument(raw)
	if err != nil {
		r.problems = append(r.problems, syntaxProblem(err))
		return nil
	}
	e := expander{report: r}
	return e.node(parsed, "", 0)
}

func readDocument(raw []byte) (*yaml.Node, error) {
	if isJSON(raw) {
		return readJSON(raw)
	}
	root, err := yamldoc.Parse(raw)
	if root == nil && err == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}, nil
	}
	return root, err
}

// syntaxProblem takes the line out of the YAML library's message.
func syntaxProblem(err error) Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`\Aline (\d+): `).FindStringSubmatch(message); m != nil {
		line, _ := strconv.Atoi(m[1]) // a number too large leaves 0, unknown
		return Problem{Message: message[len(m[0]):], Line: line}
	}
	return Problem{Message: message}
}

// expander copies a tree of nodes without aliases and merges.
type expander struct {
	report  *report
	aliased int  // nodes reached through an alias so far
	inside  int  // aliases that the current node was reached through
	gaveUp  bool // the bound was exceeded, and reported
}

// null stands for what could not be read.
func null(n *yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line}
}

func (e *expander) node(n *yaml.Node, path string, depth int) *yaml.Node {
	if e.inside > 0 {
		e.aliased++
	}
	switch {
	case e.gaveUp:
		return null(n)
	case e.aliased > maxAliased:
		e.gaveUp = true
		e.report.at(n, path, "aliases repeat more than %d nodes", maxAliased)
		return null(n)
	case depth > maxDepth:
		e.report.at(n, path, "%s", errTooDeep)
		return null(n)
	}
	switch n.Kind {
	case yaml.AliasNode:
		e.inside++
		defer func() { e.inside-- }()
		return e.node(n.Alias, path, depth+1)
	case yaml.MappingNode:
		return e.mapping(n, path, depth)
	case yaml.SequenceNode:
		out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: n.Style, Line: n.Line}
		for i, item := range n.Content {
			out.Content = append(out.Content, e.node(item, fmt.Sprintf("%s[%d]", path, i), depth+1))
		}
		return out
	case yaml.ScalarNode:
		return e.scalar(n, path)
	case yaml.DocumentNode:
	}
	return null(n)
}

func (e *expander) scalar(n *yaml.Node, path string) *yaml.Node {
	tag := n.ShortTag()
	switch tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp":
	case "!!merge": // "<<" where no key stands
		tag = "!!str"
	default:
		e.report.at(n, path, "the tag %s means nothing here", tag)
		return null(n)
	}
	if n.Style&yaml.TaggedStyle != 0 && tag != "!!str" {
		plain := (&yaml.Node{Kind: yaml.ScalarNode, Value: n.Value}).ShortTag()
		if plain != tag && (tag != "!!float" || plain != "!!int") {
			e.report.at(n, path, "%q is no %s", clipped(n.Value), tag)
			return null(n)
		}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: n.Value, Style: n.Style &^ yaml.TaggedStyle, Line: n.Line}
}

// mapping copies a mapping. Its own keys go over those that it merges in with
// <<, the first merged mapping over the later ones.
func (e *expander) mapping(n *yaml.Node, path string, depth int) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: n.Style, Line: n.Line}
	lines := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			merges = append(merges, value)
			continue
		}
		name, ok := e.key(key, path)
		if !ok {
			continue
		}
		at := join(path, name)
		if line, repeated := lines[name]; repeated {
			e.report.at(key, at, "is already given in line %d", line)
			continue
		}
		lines[name] = key.Line
		out.Content = append(out.Content, stringNode(name, key.Line), e.node(value, at, depth+1))
	}
	for _, source := range merges {
		for _, m := range e.sources(source, path, depth) {
			for i := 0; i+1 < len(m.Content); i += 2 {
				if name := m.Content[i].Value; lines[name] == 0 {
					lines[name] = n.Line
					out.Content = append(out.Content, m.Content[i], m.Content[i+1])
				}
			}
		}
	}
	return out
}

// key returns the text of a key, which may be an alias too.
func (e *expander) key(key *yaml.Node, path string) (string, bool) {
	if key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Kind != yaml.ScalarNode {
		e.report.at(key, path, "a key must be a string")
		return "", false
	}
	return key.Value, true
}

// sources returns the mappings that one << names.
func (e *expander) sources(source *yaml.Node, path string, depth int) []*yaml.Node {
	merged := e.node(source, path, depth+1)
	list := []*yaml.Node{merged}
	if merged.Kind == yaml.SequenceNode {
		list = merged.Content
	}
	for _, m := range list {
		if m.Kind != yaml.MappingNode {
			e.report.at(source, join(path, "<<"), "want a mapping, or a list of mappings")
			return nil
		}
	}
	return list
}

func stringNode(text string, line int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: line}
}

// join appends a member's name to a path. A name that no schema has, such as
// one with a dot in it, is quoted.
func join(path, name string) string {
	if !plainName(name) {
		name = strconv.Quote(clipped(name))
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func plainName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= 80
}

// clipped shortens what a message quotes.
func clipped(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
