package playback

// Explanation says why the rules answered a question as they did, and what
// would have to be different for another answer. It is for operators: it holds
// the text of rules and the viewer's claims.
type Explanation struct {
	Revision string       `json:"policy_revision"`
	Effect   string       `json:"effect"` // allow or deny
	Rule     string       `json:"rule"`   // "" none matched
	Code     Code         `json:"code"`   // "" allowed
	Rules    []RuleResult `json:"rules"`  // every rule, in the order in which they are asked
	Flips    []Flip       `json:"flips"`
	// Given is the question as the given of a document's test.
	Given map[string]any `json:"given,omitempty"`
	// Idle are the rights that the viewer holds and that the rules did not see.
	Idle []IdleGrant `json:"grants_not_in_force,omitempty"`
	// Partial: there were more changes to try than an explanation has time for.
	Partial bool `json:"flips_partial"`
	// Shortened: rules, or the given, were left out because there was no room.
	Shortened bool `json:"shortened,omitempty"`
}

// Case is a test of a document: a question and its answer.
type Case struct {
	Name   string         `json:"name"`
	Given  map[string]any `json:"given"`
	Expect map[string]any `json:"expect"`
}

// RuleResult is what one rule made of a question.
type RuleResult struct {
	Rule    string    `json:"rule"`
	Effect  string    `json:"effect"`
	When    string    `json:"when"`    // its text, as it was written
	Result  string    `json:"result"`  // matched, not_matched, ended or error
	Decided bool      `json:"decided"` // it is the one that decided; those behind it were not asked
	Error   string    `json:"error,omitempty"`
	Values  []Reading `json:"values"` // what it reads
	// Omitted: there was no room for its text, its error or all of its values.
	Omitted bool `json:"omitted,omitempty"`
}

// Reading is a value that a rule reads.
type Reading struct {
	Name  string `json:"name"` // viewer.claims.plan
	Known bool   `json:"known"`
	Value any    `json:"value"` // as JSON has it; nil if it is not known
	// Omitted: the value is known, and too large to be shown.
	Omitted bool `json:"omitted,omitempty"`
}

// Flip is a change, as small as possible, with which the answer is another one.
// It was tried: with Sample in place of each variable, the rules answer so.
type Flip struct {
	Effect  string   `json:"effect"`
	Rule    string   `json:"rule"`
	Code    Code     `json:"code,omitempty"`
	Text    string   `json:"text"` // allowed if request.country ∈ {AT, DE}
	Changes []Change `json:"changes"`
}

// Change is what a flip does to one variable.
type Change struct {
	Variable string `json:"variable"` // request.country
	// Path is the variable's name in its parts, for names that hold dots.
	Path []string `json:"path"`
	// Remove: the member must not be there. Otherwise Sample is a value with
	// which the answer flips, and Text says which others do.
	Remove bool   `json:"remove,omitempty"`
	Sample any    `json:"sample"`
	Text   string `json:"text"`
	// Request is how a change of viewer.grants is made; nil: that is for the
	// caller to know, as no grant can be so.
	Request *GrantRequest `json:"request,omitempty"`
}

// GrantRequest is a request to the API that changes what a viewer holds.
type GrantRequest struct {
	Method string     `json:"method"` // PUT or DELETE
	Path   string     `json:"path"`   // /v1/grants/order-4711
	Body   *GrantBody `json:"body,omitempty"`
}

// GrantBody is a right as PUT /v1/grants/{id} takes it.
type GrantBody struct {
	Viewer     GrantViewer    `json:"viewer"`
	Type       HeldType       `json:"type"`
	Scope      map[string]any `json:"scope"`
	From       int64          `json:"from,omitempty"` // Unix seconds
	Until      int64          `json:"until,omitempty"`
	PlayWithin int64          `json:"play_within,omitempty"` // seconds
	Attributes map[string]any `json:"attributes,omitempty"`
}

// GrantViewer says whose a right is.
type GrantViewer struct {
	Issuer string `json:"issuer"`
	ID     string `json:"id"`
}

// IdleGrant is a right that cannot be used now, for what is asked about, and
// why not.
type IdleGrant struct {
	ID   string     `json:"id"`
	Why  []Obstacle `json:"why"`
	Held Held       `json:"-"`
}
