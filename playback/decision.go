package playback

import "time"

// Question is what a rule is asked: may this viewer have a token of this type
// for this playback ID now? A rule runs once per requested type.
type Question struct {
	Viewer    *Viewer
	Object    *Object
	Client    *Client
	SessionID SessionID
	Type      TokenType
	Params    Params // what the caller sent for this type
	Now       time.Time
	// Grants are the rights that the viewer holds for the object now. Nil where
	// the rules do not read viewer.grants: nobody has looked.
	Grants []Held
	// NoGrants: the store did not say what they are.
	NoGrants bool
}

// Decision is the answer of the rules.
type Decision struct {
	Grant *Grant // nil: denied
	// Custom is the canonical JSON object of the grant's custom claims for
	// this question, "" when there are none. It makes the token personal.
	Custom string
	// Rule is the rule that decided, "" when none matched.
	Rule string
	// Refusal says why there is no grant; nil when there is one. A rule that
	// allows the viewer but not the type refuses with CodeTypeNotGranted.
	Refusal *Error
	// Held are the rights that the rule rests on, all of them together; nil where
	// it would allow without any. The first end among theirs ends the token, and
	// those that wait begin with it.
	Held []Held
	// Until is when what the rule gives ends (the grant's `until`); zero: it
	// does not.
	Until time.Time
}

// Grant is what an allow rule gives. Immutable once Force was called: one per
// rule, shared.
type Grant struct {
	TTL            time.Duration // 0: the environment's token.default_ttl
	CoverDuration  bool
	Types          TypeSet
	ViewerParams   [TokenTypes]NameSet // what a viewer may choose itself
	Renditions     []string            // file names that a redirect may reach, or "text/*"
	RestrictionID  RestrictionID
	BoundToSession bool // `bound_to_session`: never outlives the viewer's own token

	forced  [TokenTypes]Params // what the document forces
	implied [TokenTypes]Params // forced, and what the clip adds: the token's, where nothing is sent
	clip    Clip
	closed  TypeSet // types that cannot be kept within the clip
}

// NameSet is a small set of parameter names.
type NameSet map[string]struct{}

// Has reports whether the set holds the name.
func (s NameSet) Has(name string) bool {
	_, ok := s[name]
	return ok
}
