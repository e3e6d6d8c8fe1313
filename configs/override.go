package configs

import (
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const variablePrefix = "PLAYGATE_"

// override puts the PLAYGATE_* variables of the environment over what the file
// says, and returns the tree and the names of those that name nothing, sorted.
func (d *decoder) override(root *yaml.Node, environ []string) (*yaml.Node, []string) {
	var ignored []string
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(variable, variablePrefix)
		if !ours {
			continue
		}
		names := resolve(reflect.TypeFor[Config](), rest)
		if names == nil {
			ignored = append(ignored, variable)
			continue
		}
		scalar := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
		d.origin[scalar] = variable
		root = set(root, names, scalar)
	}
	slices.Sort(ignored)
	return root, slices.Compact(ignored)
}

// resolve returns the members that a variable's name leads through, nil if it
// names no scalar. An underscore may separate members or be part of a name, so
// it tries every member that the rest of the name starts with.
func resolve(section reflect.Type, rest string) []string {
	for _, m := range membersOf(section) {
		upper := strings.ToUpper(m.name)
		if rest == upper && isScalar(m.typ) {
			return []string{m.name}
		}
		deeper, ok := strings.CutPrefix(rest, upper+"_")
		if !ok || !isSection(m.typ) {
			continue
		}
		if names := resolve(m.typ, deeper); names != nil {
			return append([]string{m.name}, names...)
		}
	}
	return nil
}

// set puts a value into a tree, and makes the mappings on the way to it that
// are left out. Where something else than a mapping is in the way, that stays:
// decoding reports it.
func set(n *yaml.Node, names []string, value *yaml.Node) *yaml.Node {
	if len(names) == 0 {
		return value
	}
	if n == nil || isNull(n) {
		n = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	}
	if n.Kind != yaml.MappingNode {
		return n
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == names[0] {
			n.Content[i+1] = set(n.Content[i+1], names[1:], value)
			return n
		}
	}
	n.Content = append(n.Content, stringNode(names[0], 0), set(nil, names[1:], value))
	return n
}
