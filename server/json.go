package server

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/playgate/playgate/playback"
)

const (
	maxDepth  = 32    // of a body's nesting
	maxValues = 50000 // in a body: some 4 MB once parsed
)

// jsonKind is the type of a JSON value.
type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

// jsonValue is a JSON value as it was sent: numbers keep their spelling,
// objects their order and what encoding/json would hide, a repeated name.
type jsonValue struct {
	kind     jsonKind
	repeated bool   // an object that names a member twice: text
	text     string // the string; the number's or bool's literal
	children []jsonMember
}

// jsonMember is a member of an object, or an element of an array (no name).
type jsonMember struct {
	name  string
	value jsonValue
}

// jsonReader reads one JSON text (RFC 8259), strictly, in time linear in its
// length. encoding/json would accept repeated names, invalid UTF-8 and half
// surrogate pairs, and could not name the path of a mistake.
type jsonReader struct {
	src    []byte
	at     int
	depth  int
	values int
}

// parse lets a body be parsed, and interpreted, until done is called. What a body
// becomes when it is parsed takes several times its bytes, so there is one large body
// at a time for each core: more would not be faster.
func (s *Server) parse(body []byte) (done func()) {
	if len(body) <= freeBody {
		return func() {}
	}
	s.parsing <- struct{}{}
	return func() { <-s.parsing }
}

// fieldError is the refusal of what is well-formed JSON but not what is asked
// for. The path is where.
func fieldError(path, problem string) *playback.Error {
	return playback.Errorf(playback.CodeInvalidField, "%s: %s", path, problem)
}

// readJSON reads a body that must be one object. Everything it returns is a
// copy. What follows the object is reported by trailing, because others of a
// body's mistakes come first.
func readJSON(body []byte) (v jsonValue, trailing, err *playback.Error) {
	if !utf8.Valid(body) {
		return v, nil, playback.Errorf(playback.CodeInvalidJSON, "The body is not UTF-8.")
	}
	r := &jsonReader{src: body}
	r.space()
	if v, err = r.value(); err != nil {
		return v, nil, err
	}
	if v.kind != jsonObject {
		return v, nil, fieldError("body", "want an object")
	}
	r.space()
	if r.at < len(r.src) {
		trailing = fieldError("body", "has bytes after the object")
	}
	return v, trailing, nil
}

func (r *jsonReader) malformed() *playback.Error {
	return playback.Errorf(playback.CodeInvalidJSON, "The body is not well-formed JSON: see byte %d.", r.at)
}

// peek returns the next byte, 0 at the end (which is no part of JSON either).
func (r *jsonReader) peek() byte {
	if r.at < len(r.src) {
		return r.src[r.at]
	}
	return 0
}

func (r *jsonReader) space() {
	for r.at < len(r.src) {
		switch r.src[r.at] {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

func (r *jsonReader) value() (jsonValue, *playback.Error) {
	if r.values++; r.values > maxValues {
		return jsonValue{}, fieldError("body", "has more than "+strconv.Itoa(maxValues)+" values")
	}
	switch c := r.peek(); {
	case c == '{':
		return r.nested((*jsonReader).object)
	case c == '[':
		return r.nested((*jsonReader).array)
	case c == '"':
		text, err := r.text()
		return jsonValue{kind: jsonString, text: text}, err
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	}
	for _, word := range [...]struct {
		text string
		kind jsonKind
	}{{"null", jsonNull}, {"true", jsonBool}, {"false", jsonBool}} {
		if strings.HasPrefix(string(r.src[r.at:min(len(r.src), r.at+len(word.text))]), word.text) {
			r.at += len(word.text)
			return jsonValue{kind: word.kind, text: word.text}, nil
		}
	}
	return jsonValue{}, r.malformed()
}

func (r *jsonReader) nested(read func(*jsonReader) (jsonValue, *playback.Error)) (jsonValue, *playback.Error) {
	if r.depth++; r.depth > maxDepth {
		return jsonValue{}, fieldError("body", "is nested deeper than "+strconv.Itoa(maxDepth))
	}
	r.at++ // the bracket
	v, err := read(r)
	r.depth--
	return v, err
}

func (r *jsonReader) array() (jsonValue, *playback.Error) {
	out := jsonValue{kind: jsonArray, children: r.room()}
	for {
		r.space()
		if r.peek() == ']' && len(out.children) == 0 {
			r.at++
			return out, nil
		}
		element, err := r.value()
		if err != nil {
			return out, err
		}
		out.children = append(out.children, jsonMember{value: element})
		if more, err := r.more(']'); err != nil || !more {
			return out, err
		}
	}
}

func (r *jsonReader) object() (jsonValue, *playback.Error) {
	out := jsonValue{kind: jsonObject, children: r.room()}
	var names map[string]struct{}
	for {
		r.space()
		if r.peek() == '}' && len(out.children) == 0 {
			r.at++
			return out, nil
		}
		if r.peek() != '"' {
			return out, r.malformed()
		}
		name, err := r.text()
		if err != nil {
			return out, err
		}
		r.space()
		if r.peek() != ':' {
			return out, r.malformed()
		}
		r.at++
		r.space()
		member, err := r.value()
		if err != nil {
			return out, err
		}
		names = out.add(name, member, names)
		if more, err := r.more('}'); err != nil || !more {
			return out, err
		}
	}
}

// room returns room for a few members at once, which most objects and arrays
// have; not in a large body, where it would multiply what the body takes.
func (r *jsonReader) room() []jsonMember {
	const few, large = 4, 100
	if r.values > large {
		return nil
	}
	return make([]jsonMember, 0, few)
}

// manyMembers is from where on names are looked up in a map, so that a large
// object costs no quadratic time.
const manyMembers = 16

// add appends a member, or marks the object if it has the name already.
func (v *jsonValue) add(name string, member jsonValue, names map[string]struct{}) map[string]struct{} {
	_, known := names[name]
	if names == nil {
		_, known = v.member(name)
	}
	if known {
		if !v.repeated {
			v.repeated, v.text = true, name
		}
		return names
	}
	v.children = append(v.children, jsonMember{name, member})
	switch {
	case names != nil:
		names[name] = struct{}{}
	case len(v.children) == manyMembers:
		names = make(map[string]struct{}, 2*manyMembers)
		for i := range v.children {
			names[v.children[i].name] = struct{}{}
		}
	}
	return names
}

// more reads what follows an element: a comma, or the closing bracket.
func (r *jsonReader) more(closing byte) (bool, *playback.Error) {
	r.space()
	switch r.peek() {
	case ',':
		r.at++
		return true, nil
	case closing:
		r.at++
		return false, nil
	}
	return false, r.malformed()
}

func (r *jsonReader) number() (jsonValue, *playback.Error) {
	start := r.at
	if r.peek() == '-' {
		r.at++
	}
	whole := r.digits()
	first := r.src[r.at-whole : r.at]
	if whole == 0 || whole > 1 && first[0] == '0' {
		return jsonValue{}, r.malformed()
	}
	if r.peek() == '.' {
		r.at++
		if r.digits() == 0 {
			return jsonValue{}, r.malformed()
		}
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.at++
		if c := r.peek(); c == '+' || c == '-' {
			r.at++
		}
		if r.digits() == 0 {
			return jsonValue{}, r.malformed()
		}
	}
	return jsonValue{kind: jsonNumber, text: string(r.src[start:r.at])}, nil
}

func (r *jsonReader) digits() int {
	start := r.at
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.at++
	}
	return r.at - start
}

// text reads a string.
func (r *jsonReader) text() (string, *playback.Error) {
	r.at++ // the quote
	start := r.at
	for r.at < len(r.src) {
		switch c := r.src[r.at]; {
		case c == '"':
			r.at++
			return string(r.src[start : r.at-1]), nil
		case c == '\\':
			return r.escaped(append([]byte(nil), r.src[start:r.at]...))
		case c < ' ':
			return "", r.malformed()
		}
		r.at++
	}
	return "", r.malformed()
}

// escaped goes on with a string that has escapes.
func (r *jsonReader) escaped(out []byte) (string, *playback.Error) {
	for r.at < len(r.src) {
		c := r.src[r.at]
		r.at++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", r.malformed()
		case c != '\\':
			out = append(out, c)
			continue
		}
		c = r.peek()
		r.at++
		if c == 'u' {
			symbol, ok := r.unicode()
			if !ok {
				return "", r.malformed()
			}
			out = utf8.AppendRune(out, symbol)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, c)
		if i < 0 {
			return "", r.malformed()
		}
		out = append(out, "\"\\/\b\f\n\r\t"[i])
	}
	return "", r.malformed()
}

// unicode reads the digits of a \u escape, and its other half if it is one of
// a surrogate pair. Half a pair is no character and is refused.
func (r *jsonReader) unicode() (rune, bool) {
	first, ok := r.hex()
	if !ok || !utf16.IsSurrogate(first) {
		return first, ok
	}
	if r.at+1 >= len(r.src) || r.src[r.at] != '\\' || r.src[r.at+1] != 'u' {
		return 0, false
	}
	r.at += 2
	second, ok := r.hex()
	pair := utf16.DecodeRune(first, second)
	return pair, ok && pair != utf8.RuneError
}

func (r *jsonReader) hex() (rune, bool) {
	if r.at+4 > len(r.src) {
		return 0, false
	}
	var out rune
	for range 4 {
		c := r.src[r.at]
		r.at++
		switch {
		case c >= '0' && c <= '9':
			out = out<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			out = out<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			out = out<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	return out, true
}

// member returns the named member of an object.
func (v *jsonValue) member(name string) (*jsonValue, bool) {
	for i := range v.children {
		if v.children[i].name == name {
			return &v.children[i].value, true
		}
	}
	return nil, false
}
