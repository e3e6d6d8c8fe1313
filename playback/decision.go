package playback

import (
	"sync/atomic"
	"time"
)

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
	// Grants are the rights that the viewer holds for the object now. They do not
	// count where there is an Entitlements.
	Grants []Held
	// Entitlements reads those rights when a rule first wants to know them. nil:
	// Grants are all.
	Entitlements EntitlementReader
	// Budget bounds the work of the rules, over all questions of a request. nil:
	// only single evaluations are bounded.
	Budget *RuleBudget
}

// EntitlementReader reads the rights that a question's viewer holds for its
// object now.
type EntitlementReader interface {
	// ReadEntitlements returns them; it may be called again. needed: the viewer's
	// answer depends on them. Otherwise it gives up soon.
	ReadEntitlements(needed bool) ([]Held, error)
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
	// Undecided says why the rules could not decide: the rights that a rule asked
	// for could not be read, and its answer depends on them. nil: they decided.
	// Then there is a Refusal, too, for whoever does not look here.
	Undecided error
	// Held are the rights that the rule rests on, all of them together; nil where
	// it would allow without any. The first end among theirs ends the token, and
	// those that wait begin with it.
	Held []Held
	// Until is when what the rule gives ends (the grant's `until`); zero: it
	// does not.
	Until time.Time
	// Counter counts decisions like this one; nil: nobody does. See Count.
	Counter *atomic.Uint64
}

// Count counts the decision, for whoever answers a request with it.
func (d *Decision) Count() {
	if d.Counter != nil {
		d.Counter.Add(1)
	}
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
