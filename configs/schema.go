package configs

import (
	"net/netip"
	"reflect"
	"strings"
	"time"
)

// member is one member of a section, as its struct tags describe it.
type member struct {
	name string
	typ  reflect.Type
	tag  reflect.StructTag
	i    int // index of the field
}

// list returns the comma-separated values of a tag.
func (m *member) list(key string) []string { return tagList(m.tag, key) }

func tagList(tag reflect.StructTag, key string) []string {
	if text := tag.Get(key); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

// membersOf returns the members of a section in the order of the reference.
func membersOf(t reflect.Type) []member {
	var out []member
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("yaml"); name != "" {
			out = append(out, member{name, f.Type, f.Tag, i})
		}
	}
	return out
}

// announced returns the members of a section that only a future version has.
func announced(t reflect.Type) []string {
	var out []string
	for f := range t.Fields() {
		if f.Name == "_" {
			out = append(out, tagList(f.Tag, "later")...)
		}
	}
	return out
}

// isScalar reports whether one YAML scalar fills the type.
func isScalar(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[scalar]()) || t == reflect.TypeFor[netip.Prefix]() {
		return true
	}
	switch t.Kind() { //nolint:exhaustive // the kinds that configurations use
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	case reflect.Pointer:
		return isScalar(t.Elem())
	}
	return false
}

// isSection reports whether the type is a struct of members.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !isScalar(t) && t != reflect.TypeFor[Policy]()
}

// sectionOf returns the section that a member holds: itself, what it points
// to, or what it lists; nil if it holds none.
func sectionOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if isSection(t) {
		return t
	}
	return nil
}

// typeName returns a type's name for messages and the reference.
func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[Rate]():
		return "rate"
	case reflect.TypeFor[Path]():
		return "path"
	case reflect.TypeFor[Time]():
		return "time"
	case reflect.TypeFor[netip.Prefix]():
		return "CIDR"
	case reflect.TypeFor[Policy]():
		return "mapping"
	}
	switch t.Kind() { //nolint:exhaustive // the kinds that configurations use
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Map:
		return "mapping"
	case reflect.Struct:
		if isSection(t) {
			return "mapping"
		}
	}
	return "string"
}
