package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// isJSON reports whether a document is JSON. Such a document is read as JSON:
// YAML 1.2 includes JSON, but the YAML library does not know the escape \/ and
// refuses characters beyond U+FFFF that are escaped as surrogate pairs, both of
// which JSON encoders write.
func isJSON(raw []byte) bool { return utf8.Valid(raw) && json.Valid(raw) }

// jsonReader turns JSON into YAML nodes with lines.
type jsonReader struct {
	raw     []byte
	decoder *json.Decoder
	line    int
	counted int64 // how far lines have been counted
}

// readJSON reads a document for which isJSON holds.
func readJSON(raw []byte) (*yaml.Node, error) {
	r := &jsonReader{raw: raw, decoder: json.NewDecoder(bytes.NewReader(raw)), line: 1}
	r.decoder.UseNumber()
	return r.value(0)
}

func (r *jsonReader) next() (json.Token, error) {
	token, err := r.decoder.Token()
	end := r.decoder.InputOffset()
	r.line += bytes.Count(r.raw[r.counted:end], []byte{'\n'})
	r.counted = end
	return token, err
}

func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	token, err := r.next()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line}
	switch t := token.(type) {
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(t)
	case string:
		n.Tag, n.Value, n.Style = "!!str", t, yaml.DoubleQuotedStyle
	case json.Number:
		n.Tag, n.Value = "!!int", t.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case json.Delim:
		return n, r.collection(n, t, depth)
	}
	return n, nil
}

// collection reads the members of an object or array, and its end.
func (r *jsonReader) collection(n *yaml.Node, begin json.Delim, depth int) error {
	if depth >= maxDepth {
		return errTooDeep
	}
	n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
	if begin == '{' {
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
	}
	for r.decoder.More() {
		member, err := r.value(depth + 1) // keys are values of their own here
		if err != nil {
			return err
		}
		n.Content = append(n.Content, member)
	}
	_, err := r.next()
	return err
}
