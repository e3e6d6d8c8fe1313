package playback

import (
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Param is one playback modifier in canonical form: two spellings of a value
// (5, 5.0, "5") are one Param.
type Param struct {
	Name string
	JSON string // the canonical JSON literal: 5, true or "480p"
}

// Text returns the value as it stands in a public URL's query.
func (p Param) Text() string {
	if strings.HasPrefix(p.JSON, `"`) {
		return p.JSON[1 : len(p.JSON)-1] // the grammar has nothing that JSON escapes
	}
	return p.JSON
}

// Value returns the value as a float64, a bool or a string.
func (p Param) Value() any {
	switch {
	case p.JSON == "true":
		return true
	case p.JSON == "false":
		return false
	case strings.HasPrefix(p.JSON, `"`):
		return p.Text()
	}
	f, _ := strconv.ParseFloat(p.JSON, 64) // canonical by construction
	return f
}

// Number returns the value of a parameter that is a number, 0 of any other.
func (p Param) Number() float64 {
	f, _ := p.Value().(float64)
	return f
}

// Params is a set of parameters of one token type, sorted by name, without
// repetition. Immutable.
type Params []Param

// Get returns the named parameter.
func (ps Params) Get(name string) (Param, bool) {
	for _, p := range ps {
		if p.Name == name {
			return p, true
		}
	}
	return Param{}, false
}

// With returns a new set with p added or replaced.
func (ps Params) With(p Param) Params {
	i := sort.Search(len(ps), func(i int) bool { return ps[i].Name >= p.Name })
	next := slices.Clone(ps)
	if i < len(next) && next[i].Name == p.Name {
		next[i] = p
		return next
	}
	return slices.Insert(next, i, p)
}

// Without returns the set without the named parameter.
func (ps Params) Without(name string) Params {
	return slices.DeleteFunc(slices.Clone(ps), func(p Param) bool { return p.Name == name })
}

// Over returns ps with base's parameters where ps has none: forced parameters
// go over those that were sent.
func (ps Params) Over(base Params) Params {
	switch {
	case len(ps) == 0:
		return base
	case len(base) == 0:
		return ps
	}
	out := base
	for _, p := range ps {
		out = out.With(p)
	}
	return out
}

func (ps Params) number(name string) (float64, bool) {
	p, ok := ps.Get(name)
	if !ok {
		return 0, false
	}
	f, ok := p.Value().(float64)
	return f, ok
}

func (ps Params) flag(name string) bool {
	p, ok := ps.Get(name)
	return ok && p.JSON == "true"
}

// IsReservedClaim reports whether only the gateway may set the claim: a caller
// that could would choose its own subject, lifetime or restriction.
func IsReservedClaim(name string) bool {
	switch name {
	case "sub", "aud", "exp", "kid", "iat", "nbf", "iss", "jti", "playback_restriction_id", "custom":
		return true
	}
	return false
}

// ParseParam reads one parameter of a token type. The value is what a query
// or a JSON body holds: string, json.Number, float64 or bool. The errors have
// the codes reserved_claim, unknown_param and invalid_param.
func ParseParam(t TokenType, name string, value any) (Param, *Error) {
	if IsReservedClaim(name) {
		return Param{}, Errorf(CodeReservedClaim, "%q is a claim that cannot be chosen", name)
	}
	spec, ok := specOf(t, name)
	if !ok {
		return Param{}, Errorf(CodeUnknownParam, "%s tokens have no parameter %s", t, clip(name))
	}
	literal, err := spec.literal(value)
	if err != nil {
		return Param{}, Errorf(CodeInvalidParam, "%s: %s", name, err)
	}
	return Param{spec.name, literal}, nil
}

// KnownParam reports whether Mux has the parameter for the type.
func KnownParam(t TokenType, name string) bool {
	_, ok := specOf(t, name)
	return ok
}

// IsParamName reports whether any type has a parameter of the name.
func IsParamName(name string) bool {
	for t := range TokenTypes {
		if KnownParam(t, name) {
			return true
		}
	}
	return false
}

// ParamNames returns the names of a type's parameters, sorted.
func ParamNames(t TokenType) []string {
	var names []string
	for _, s := range paramSpecs[t] {
		names = append(names, s.name)
	}
	sort.Strings(names)
	return names
}

// DefaultViewerParams returns the names that viewers may choose where a grant
// does not say otherwise (contract §4).
func DefaultViewerParams(t TokenType) []string {
	var names []string
	for _, s := range paramSpecs[t] {
		if s.viewer {
			names = append(names, s.name)
		}
	}
	return names
}

// ClipBounds are the parameters that cut a part out of a video: forcing any of
// them closes all four.
func ClipBounds() []string {
	return []string{"asset_start_time", "asset_end_time", "program_start_time", "program_end_time"}
}

// IsClipBound reports whether the name is a clip bound.
func IsClipBound(name string) bool { return slices.Contains(ClipBounds(), name) }

// clip quotes a name that a stranger chose, shortened, for a message.
func clip(name string) string {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return strconv.Quote(name)
}
