package configs

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// Redacted returns the effective configuration as YAML, in the order of the
// reference: defaults filled in, paths absolute, secrets and their hashes
// redacted. Apart from those it can be loaded again, and is then the same.
func Redacted(c *Config) ([]byte, error) {
	n, err := encode(reflect.ValueOf(c).Elem())
	if err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(n), encoder.Close()); err != nil {
		return nil, fmt.Errorf("writing the configuration: %w", err)
	}
	return b.Bytes(), nil
}

// encode turns a value into a node; nil for what is left out.
func encode(v reflect.Value) (*yaml.Node, error) {
	t := v.Type()
	switch {
	case t == reflect.TypeFor[Policy]():
		return encodePolicy(v.Interface().(Policy)) //nolint:forcetypeassert // the type was compared
	case t.Kind() == reflect.Pointer && v.IsNil():
		return nil, nil //nolint:nilnil // nil means left out
	case t.Kind() == reflect.Pointer:
		return encode(v.Elem())
	case isScalar(t):
		return encodeScalar(v), nil
	case t.Kind() == reflect.Slice:
		return encodeList(v)
	case t.Kind() == reflect.Map:
		return encodeMap(v)
	}
	return encodeSection(v)
}

func encodeSection(v reflect.Value) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, m := range membersOf(v.Type()) {
		n, err := encode(v.Field(m.i))
		if err != nil {
			return nil, err
		}
		if n != nil {
			out.Content = append(out.Content, stringNode(m.name, 0), n)
		}
	}
	return out, nil
}

func encodeList(v reflect.Value) (*yaml.Node, error) {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	if v.Len() == 0 || isScalar(v.Type().Elem()) {
		out.Style = yaml.FlowStyle
	}
	for i := range v.Len() {
		n, err := encode(v.Index(i))
		if err != nil {
			return nil, err
		}
		out.Content = append(out.Content, n)
	}
	return out, nil
}

func encodeMap(v reflect.Value) (*yaml.Node, error) {
	if v.Len() == 0 {
		return nil, nil //nolint:nilnil // nil means left out
	}
	out := new(yaml.Node)
	return out, out.Encode(v.Interface())
}

// encodePolicy shows rules that stand in place; those of a file are shown by
// its name.
func encodePolicy(p Policy) (*yaml.Node, error) {
	if p.Document == nil || p.File != "" {
		return nil, nil //nolint:nilnil // nil means left out
	}
	var document yaml.Node
	if err := yaml.Unmarshal(p.Document, &document); err != nil {
		return nil, err
	}
	return document.Content[0], nil
}

func encodeScalar(v reflect.Value) *yaml.Node {
	n := stringNode("", 0)
	if v.CanAddr() {
		if s, ok := reflect.TypeAssert[scalar](v.Addr()); ok {
			n.Value = s.text()
			return n
		}
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		n.Value = durationText(value)
	case netip.Prefix:
		n.Value = value.String()
	case DSN:
		n.Value = value.redacted()
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(value)
	case int:
		n.Tag, n.Value = "!!int", strconv.Itoa(value)
	case float64:
		n.Tag, n.Value = "!!float", strconv.FormatFloat(value, 'f', -1, 64)
	default:
		n.Value = v.String()
	}
	return n
}
