package catalog

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/playgate/playgate/playback"
)

// parse reads a description that was kept. It is read when a playback ID is
// first asked for, while the viewer waits, so what describe usually writes has a
// short way; encoding/json reads the rest. Strings are views of data.
func parse(data string) description {
	s := scanner{rest: data}
	if d, ok := s.description(); ok {
		return d
	}
	var d description
	if json.Unmarshal([]byte(data), &d) != nil {
		return description{} // whoever wrote that into the store gets nothing signed for it
	}
	return d
}

// scanner reads JSON as json.Marshal writes it: no white space, and here no
// string that needs an escape. Whatever else there is, it says no.
type scanner struct{ rest string }

// skip reports whether the text comes next, and passes it if so.
func (s *scanner) skip(text string) bool {
	rest, ok := strings.CutPrefix(s.rest, text)
	if ok {
		s.rest = rest
	}
	return ok
}

func (s *scanner) text() (string, bool) {
	if !s.skip(`"`) {
		return "", false
	}
	for i := range len(s.rest) {
		switch c := s.rest[i]; {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, true
		case c == '\\' || c < ' ' || c >= 0x80: // encoding/json mends invalid UTF-8
			return "", false
		}
	}
	return "", false
}

// number reads digits, with a fraction or without.
func (s *scanner) number() (string, bool) {
	end := strings.IndexAny(s.rest, ",}")
	if end <= 0 {
		return "", false
	}
	whole, fraction, cut := strings.Cut(s.rest[:end], ".")
	if !digits(whole) || cut && !digits(fraction) || len(whole) > 1 && whole[0] == '0' {
		return "", false
	}
	text := s.rest[:end]
	s.rest = s.rest[end:]
	return text, true
}

func digits(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}

func (s *scanner) float() (float64, bool) {
	text, ok := s.number()
	f, err := strconv.ParseFloat(text, 64)
	return f, ok && err == nil
}

func (s *scanner) description() (d description, ok bool) {
	if !s.skip("{") {
		return d, false
	}
	for first := true; !s.skip("}"); first = false {
		if !first && !s.skip(",") {
			return d, false
		}
		name, ok := s.text()
		if !ok || !s.skip(":") || !s.member(&d, name) {
			return d, false
		}
	}
	return d, s.rest == ""
}

func (s *scanner) member(d *description, name string) (ok bool) {
	switch name {
	case "tied":
		d.Tied, ok = true, s.skip("true") // false is left out
	case "policies":
		d.Policies, ok = s.policies()
	case "status":
		d.Status, ok = s.text()
	case "duration":
		d.Duration, ok = s.float()
	case "passthrough":
		d.Passthrough, ok = s.text()
	case "meta":
		d.Meta, ok = s.meta()
	case "created_at":
		var text string
		if text, ok = s.number(); ok {
			n, err := strconv.ParseInt(text, 10, 64)
			d.CreatedAt, ok = n, err == nil
		}
	case "live_stream_id":
		var id string
		id, ok = s.text()
		d.LiveStreamID = playback.LiveStreamID(id)
	}
	return ok
}

func (s *scanner) policies() ([]playback.Policy, bool) {
	if !s.skip("[") {
		return nil, false
	}
	var out []playback.Policy
	for !s.skip("]") {
		if out != nil && !s.skip(",") {
			return nil, false
		}
		text, ok := s.text()
		if !ok {
			return nil, false
		}
		out = append(out, playback.Policy(text))
	}
	return out, true
}

// meta reads metadata of strings, which is what Mux has.
func (s *scanner) meta() (map[string]any, bool) {
	if !s.skip("{") {
		return nil, false
	}
	out := map[string]any{}
	for !s.skip("}") {
		if len(out) > 0 && !s.skip(",") {
			return nil, false
		}
		name, ok := s.text()
		if !ok || !s.skip(":") {
			return nil, false
		}
		if _, repeated := out[name]; repeated {
			return nil, false
		}
		if out[name], ok = s.text(); !ok {
			return nil, false
		}
	}
	return out, true
}
