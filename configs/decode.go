package configs

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/yamldoc"
)

// decoder fills a Config from a tree of nodes. Strictness lives here: a member
// that the schema does not have, or a value of another type than it says, is a
// problem, and decoding goes on to find the next one.
type decoder struct {
	report     *report
	dir        string                // where the file's relative paths start
	cwd        string                // where those of the environment start
	origin     map[*yaml.Node]string // values of the environment, with the variable
	schemas    map[reflect.Type][]member
	prototypes map[reflect.Type]reflect.Value
	taking
}

func newDecoder(r *report, dir, cwd string) *decoder {
	return &decoder{
		report: r, dir: dir, cwd: cwd, origin: map[*yaml.Node]string{},
		schemas: map[reflect.Type][]member{}, prototypes: map[reflect.Type]reflect.Value{},
	}
}

// place is where a value goes: the member that describes it and its path.
type place struct {
	member *member
	path   string
}

func (d *decoder) membersOf(t reflect.Type) []member {
	members, ok := d.schemas[t]
	if !ok {
		members = membersOf(t)
		d.schemas[t] = members
	}
	return members
}

// withDefaults returns a section in which everything is left out.
func (d *decoder) withDefaults(t reflect.Type) reflect.Value {
	if prototype, ok := d.prototypes[t]; ok {
		return prototype
	}
	section := reflect.New(t).Elem()
	members := d.membersOf(t)
	for i := range members {
		m := &members[i]
		switch text, ok := m.tag.Lookup("default"); {
		case isSection(m.typ):
			section.Field(m.i).Set(d.withDefaults(m.typ))
		case ok:
			// A default that does not fit its own type is found by the tests.
			_ = d.setText(section.Field(m.i), text, m, d.dir)
		}
	}
	d.prototypes[t] = section
	return section
}

// section fills v, which holds the defaults, from a mapping.
func (d *decoder) section(n *yaml.Node, v reflect.Value, path string) {
	switch {
	case isNull(n):
	case n.Kind != yaml.MappingNode:
		d.report.at(n, path, "want a mapping of members, not %s", kindOf(n))
		return
	}
	members := d.membersOf(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if yamldoc.IsExtension(key.Value) {
			continue
		}
		at := join(path, key.Value)
		j := slices.IndexFunc(members, func(m member) bool { return m.name == key.Value })
		if j < 0 {
			d.report.at(key, at, "%s", unknown(v.Type(), members, key.Value))
			continue
		}
		if !isNull(value) { // null: left out
			d.value(value, v.Field(members[j].i), place{&members[j], at})
		}
	}
	for i := range members {
		m := &members[i]
		at := join(path, m.name)
		if m.tag.Get("required") == "true" && isMissing(n, m.name, v.Field(m.i)) && !d.report.hasFailed(at) {
			d.report.at(n, at, "is required")
		}
	}
}

// isMissing reports whether a member that is required was left out, or says
// nothing. Zero is something where it is a number.
func isMissing(n *yaml.Node, name string, v reflect.Value) bool {
	if !v.CanUint() {
		return v.IsZero()
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return isNull(n.Content[i+1])
		}
	}
	return true
}

// unknown words the refusal of a member.
func unknown(section reflect.Type, members []member, name string) string {
	if slices.Contains(announced(section), name) {
		return "unknown key: not available in this version"
	}
	names := make([]string, 0, len(members))
	for _, m := range members {
		names = append(names, m.name)
	}
	if word := playback.Nearest(name, names); word != "" {
		return fmt.Sprintf("unknown key; is it %q that is meant?", word)
	}
	return "unknown key; want one of " + strings.Join(names, ", ")
}

// value fills any member.
func (d *decoder) value(n *yaml.Node, v reflect.Value, p place) {
	switch t := v.Type(); {
	case t == reflect.TypeFor[Policy]():
		d.policy(n, v, p.path)
	case isScalar(t):
		d.scalar(n, v, p)
	case t.Kind() == reflect.Pointer:
		if n.Kind == yaml.MappingNode && len(n.Content) == 0 {
			return // an empty map takes its default, which is none
		}
		v.Set(reflect.New(t.Elem()))
		v.Elem().Set(d.withDefaults(t.Elem()))
		d.section(n, v.Elem(), p.path)
	case t.Kind() == reflect.Slice:
		d.list(n, v, p)
	case t.Kind() == reflect.Map:
		d.meta(n, v, p.path)
	default:
		d.section(n, v, p.path)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, p place) {
	if n.Kind != yaml.SequenceNode {
		d.report.at(n, p.path, "want a list, not %s", kindOf(n))
		return
	}
	items := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		at := place{p.member, fmt.Sprintf("%s[%d]", p.path, i)}
		v := items.Index(i)
		if into, ok := reflect.TypeAssert[*Environment](v.Addr()); ok {
			if e, known := d.take(item, at.path); known {
				*into = *e
				continue
			}
		}
		if isSection(v.Type()) {
			v.Set(d.withDefaults(v.Type()))
		}
		if isNull(item) {
			d.report.at(item, at.path, "is empty")
			continue
		}
		d.value(item, v, at)
	}
	v.Set(items)
}

// policy keeps the rules as YAML of their own, for the policy room to read.
func (d *decoder) policy(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.report.at(n, path, "want the rules as a mapping, not %s", kindOf(n))
		return
	}
	if len(n.Content) == 0 {
		return
	}
	document, err := yaml.Marshal(restyled(n))
	if err != nil {
		d.report.at(n, path, "cannot be written as YAML: %s", err)
		return
	}
	v.Set(reflect.ValueOf(Policy{Document: document, Path: path}))
}

// restyled copies a tree in block style. The encoder quotes strings that would
// be read as something else; those that it would write as literal blocks, which
// it does not read back faithfully in every case, are quoted here.
func restyled(n *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value}
	if n.Tag == "!!str" && strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
		out.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		out.Content = append(out.Content, restyled(c))
	}
	return out
}

// absolute returns a path that no longer depends on where it was named.
func absolute(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindOf names what a node is, for messages.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode, yaml.DocumentNode, yaml.AliasNode:
	}
	switch n.Tag {
	case "!!str":
		return "a string"
	case "!!bool":
		return "a boolean"
	case "!!null":
		return "nothing"
	}
	return "a number"
}
