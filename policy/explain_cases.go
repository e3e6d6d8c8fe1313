package policy

import (
	"encoding/json"
	"fmt"

	"github.com/playgate/playgate/playback"
)

// Cases returns tests for a document, ready to stand in its `tests`: the
// question that was explained, and the question with each of the changes.
func Cases(x *playback.Explanation) []playback.Case {
	cases := []playback.Case{{Name: "as it was asked: " + x.Effect, Given: x.Given, Expect: expected(x.Effect, x.Rule, x.Code)}}
	for _, f := range x.Flips {
		if given, ok := changed(x.Given, f.Changes); ok {
			cases = append(cases, playback.Case{Name: f.Text, Given: given, Expect: expected(f.Effect, f.Rule, f.Code)})
		}
	}
	return cases
}

func expected(effect, rule string, code playback.Code) map[string]any {
	expect := map[string]any{"effect": effect, "rule": rule}
	if code != "" {
		expect["code"] = string(code)
	}
	return expect
}

// changed returns a copy of a test's given with changes made; false if it cannot
// be written.
func changed(given map[string]any, changes []playback.Change) (map[string]any, bool) {
	text, err := json.Marshal(given)
	if err != nil {
		return nil, false
	}
	next := map[string]any{}
	if err := json.Unmarshal(text, &next); err != nil {
		return nil, false
	}
	for _, c := range changes {
		m := next
		for _, key := range c.Path[:len(c.Path)-1] {
			below, ok := m[key].(map[string]any)
			if !ok {
				below = map[string]any{}
				m[key] = below
			}
			m = below
		}
		if last := c.Path[len(c.Path)-1]; c.Remove {
			delete(m, last)
		} else {
			m[last] = c.Sample
		}
	}
	return next, true
}

// WriteCases writes tests as entries of a document's `tests`, one a line.
func WriteCases(cases []playback.Case) ([]byte, error) {
	var out []byte
	for i := range cases {
		line, err := canonicalJSON(cases[i])
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", cases[i].Name, err)
		}
		out = append(out, "  - "+line+"\n"...)
	}
	return out, nil
}
