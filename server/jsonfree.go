package server

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/playgate/playgate/playback"
)

// checkNames refuses an object that names a member twice, anywhere below v.
func checkNames(v *jsonValue, path string) *playback.Error {
	if err := findRepeated(v); err != nil {
		err.Message = under(path, err.Message)
		return err
	}
	return nil
}

// findRepeated is checkNames with a message that begins at v. Like free, it
// puts the path in front on its way back, so that it costs only who made a
// mistake.
func findRepeated(v *jsonValue) *playback.Error {
	if v.repeated {
		return fieldError(join("", v.text), "is given twice")
	}
	for i := range v.children {
		if err := findRepeated(&v.children[i].value); err != nil {
			err.Message = under(below(v, "", i), err.Message)
			return err
		}
	}
	return nil
}

// under puts a step of a path in front of a message that begins with the rest
// of the path, if there is any.
func under(step, message string) string {
	if step == "" || message[0] == '[' || message[0] == ':' {
		return step + message
	}
	return step + "." + message
}

// below returns the path of a child.
func below(v *jsonValue, path string, i int) string {
	if v.kind == jsonArray {
		return path + "[" + strconv.Itoa(i) + "]"
	}
	return join(path, v.children[i].name)
}

// join returns the path of a member: "params.thumbnail". Names that a stranger
// chose are quoted if they are odd, and shortened.
func join(path, name string) string {
	if name == "" || !isName(name, maxName) {
		if len(name) > maxName {
			name = name[:maxName] + "…"
		}
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// free returns a value as rules see JSON: numbers are float64. One that is too
// large for a float64 is refused, with a message that begins at v.
func free(v *jsonValue) (any, *playback.Error) {
	switch v.kind {
	case jsonBool:
		return v.text == "true", nil
	case jsonNumber:
		f, err := strconv.ParseFloat(v.text, 64)
		if err != nil || math.IsInf(f, 0) {
			return nil, fieldError("", "is too large a number")
		}
		return f, nil
	case jsonString:
		return v.text, nil
	case jsonArray:
		out := make([]any, len(v.children))
		for i := range v.children {
			element, err := free(&v.children[i].value)
			if err != nil {
				err.Message = under(below(v, "", i), err.Message)
				return nil, err
			}
			out[i] = element
		}
		return out, nil
	case jsonObject:
		return freeObject(v)
	case jsonNull:
	}
	return nil, nil
}

func freeObject(v *jsonValue) (map[string]any, *playback.Error) {
	out := make(map[string]any, len(v.children))
	for i := range v.children {
		m := &v.children[i]
		member, err := free(&m.value)
		if err != nil {
			err.Message = under(below(v, "", i), err.Message)
			return nil, err
		}
		out[m.name] = member
	}
	return out, nil
}

// appendCanonical appends a value in the one spelling that stands for it:
// names sorted, no space, numbers as they were sent.
func appendCanonical(b []byte, v *jsonValue) []byte {
	switch v.kind {
	case jsonNull:
		return append(b, "null"...)
	case jsonBool, jsonNumber:
		return append(b, v.text...)
	case jsonString:
		return appendString(b, v.text)
	case jsonArray:
		b = append(b, '[')
		for i := range v.children {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, &v.children[i].value)
		}
		return append(b, ']')
	case jsonObject:
	}
	sorted := slices.Clone(v.children)
	slices.SortFunc(sorted, func(a, b jsonMember) int { return cmp.Compare(a.name, b.name) })
	b = append(b, '{')
	for i := range sorted {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, sorted[i].name), ':')
		b = appendCanonical(b, &sorted[i].value)
	}
	return append(b, '}')
}
