package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of objects and arrays in headers, claims and
// keys. Real ones need three or four levels.
const maxDepth = 32

// decodeObject reads exactly one JSON object, more strictly than
// encoding/json: no member twice at any depth (RFC 7515 §4 and RFC 7519 §4
// leave the choice of refusing to us; parsers that disagree on which one
// counts are how signatures get reinterpreted), no bytes that are not UTF-8,
// no lone surrogate, no number beyond float64, nothing after the object.
// Values are string, float64, bool, nil, []any and map[string]any.
func decodeObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	if hasLoneSurrogate(data) {
		return nil, errors.New("a lone surrogate is escaped")
	}
	r := objectReader{json.NewDecoder(bytes.NewReader(data))}
	r.UseNumber()
	if first, err := r.Token(); err != nil || first != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	object, err := r.object(1)
	if err != nil {
		return nil, err
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return object, nil
}

type objectReader struct{ *json.Decoder }

// object reads the members after "{" and the closing brace.
func (r objectReader) object(depth int) (map[string]any, error) {
	object := make(map[string]any)
	for r.More() {
		token, err := r.Token()
		if err != nil {
			return nil, fmt.Errorf("reading a member's name: %w", err)
		}
		name, ok := token.(string)
		if !ok {
			return nil, errors.New("a member's name is not a string")
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("member %.40q is given twice", name)
		}
		value, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		object[name] = value
	}
	return object, r.close()
}

func (r objectReader) array(depth int) ([]any, error) {
	array := []any{}
	for r.More() {
		value, err := r.value(depth)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	return array, r.close()
}

func (r objectReader) close() error {
	if _, err := r.Token(); err != nil {
		return fmt.Errorf("reading a closing bracket: %w", err)
	}
	return nil
}

func (r objectReader) value(depth int) (any, error) {
	token, err := r.Token()
	if err != nil {
		return nil, fmt.Errorf("reading a value: %w", err)
	}
	switch t := token.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
		}
		if t == '[' {
			return r.array(depth + 1)
		}
		return r.object(depth + 1)
	case json.Number:
		f, err := strconv.ParseFloat(string(t), 64)
		if err != nil {
			return nil, errors.New("a number is out of range")
		}
		return f, nil
	default:
		return t, nil
	}
}

// hasLoneSurrogate looks for half of a surrogate pair written as an escape.
// encoding/json reads each as U+FFFD, which would make different subjects
// equal. The input is valid JSON, so backslashes occur in strings only.
func hasLoneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // the escaped character
		switch unit := escapedUnit(data[i:]); {
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return true
		case unit >= 0xD800 && unit <= 0xDBFF:
			rest := data[i+5:]
			if len(rest) < 2 || rest[0] != '\\' {
				return true
			}
			if low := escapedUnit(rest[1:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6 // past the first escape and the second one's backslash
		}
	}
	return false
}

// escapedUnit returns the UTF-16 unit of "uXXXX", or -1.
func escapedUnit(s []byte) int64 {
	if len(s) < 5 || s[0] != 'u' {
		return -1
	}
	unit, err := strconv.ParseInt(string(s[1:5]), 16, 32)
	if err != nil {
		return -1
	}
	return unit
}
