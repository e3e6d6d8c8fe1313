package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/playgate/playgate/playback"
)

// Explain says why the rules answer a question as they do: what each rule makes
// of it, from which values, and the smallest changes with which the answer is
// another one. Every change was tried. It takes milliseconds, not microseconds,
// counts nothing and begins nothing. held is all that the viewer holds, in force
// or not, of which the question has what the rules see; nil: nothing else.
func (p *Policy) Explain(q *playback.Question, held []playback.Held) *playback.Explanation {
	if held == nil {
		held = q.Grants
	}
	w := &world{policy: p, question: *q, scene: scene{environment: p.environment}, rights: rightsOf(held), meter: &meter{budget: q.Budget}}
	return p.explain(w, &room{maxExplanation})
}

// ExplainGiven explains a document's answer to a question that is written like
// the `given` of a test, as YAML or JSON. When the context ends, so does the search
// for changes. The error is Problems.
func ExplainGiven(ctx context.Context, text, given []byte, o Options) (*playback.Explanation, error) {
	p, _, err := compile(text, o.withStandIn())
	if err != nil {
		return nil, err
	}
	d := &decoder{source: given, file: "given"}
	t := newTestCase()
	if root, ok := d.document(given); ok {
		d.given(root, &t)
	}
	if err := d.problems.err(); err != nil {
		return nil, err
	}
	if o.Catalogue != nil && !t.described {
		if listed, ok := o.Catalogue(t.question.Object.ID); ok {
			t.question.Object = listed
		}
	}
	budget := playback.NewRuleBudget(ctx, playback.ExplainRuleWork, nil)
	x := p.explain(&world{policy: p, question: t.question, scene: t.scene(), rights: t.rights, meter: &meter{budget: &budget}}, nil)
	for i := range t.rights {
		h := &t.rights[i].held
		if why := h.Obstacles(t.question.Object, t.question.Now); len(why) > 0 {
			x.Idle = append(x.Idle, playback.IdleGrant{ID: h.ID, Why: why, Held: *h})
		}
	}
	return x, nil
}

// GivenDoubts says what of a question for ExplainGiven can never come. It is no
// error: what a backend says of a viewer is what it says.
func GivenDoubts(given []byte, o Options) []string {
	d := &decoder{source: given, file: "given"}
	t := newTestCase()
	root, ok := d.document(given)
	if !ok {
		return nil
	}
	if d.given(root, &t); len(d.problems) > 0 {
		return nil
	}
	return t.doubts(o.Issuers)
}

// Consider answers a question as Decide does, for whoever only wants to know: no
// shadow is asked and nothing is kept.
func (p *Policy) Consider(q *playback.Question) playback.Decision {
	d := p.decide(q, scene{environment: p.environment, aside: true})
	if d.Refusal != nil {
		d.Refusal = p.Dated(q, &d)
	}
	return d
}

// explain explains the answer in a world. nil: there is room for everything.
func (p *Policy) explain(w *world, left *room) *playback.Explanation {
	v := w.ruling()
	x := &playback.Explanation{Revision: p.revision, Effect: v.effect(), Rule: v.ruleID(), Code: v.code, Flips: []playback.Flip{}}
	a := w.activation()
	for _, list := range [...][]*rule{p.deny, p.allow} {
		for _, r := range list {
			result, ok := r.explain(a, v.rule == r, left)
			if x.Shortened = x.Shortened || !ok; ok {
				x.Rules = append(x.Rules, result)
			}
		}
	}
	search := newSearch(w, v)
	flips := search.run()
	x.Partial = search.spent()
	for i := range flips {
		if !left.takes(&flips[i]) {
			x.Partial = true
			continue
		}
		x.Flips = append(x.Flips, flips[i])
	}
	if given := w.given(); left.takes(given) {
		x.Given = given
	} else {
		x.Shortened = true
	}
	return x
}

// explain says what a rule makes of a question. false: there is no room for it,
// and it did not decide.
func (r *rule) explain(a *activation, decided bool, left *room) (playback.RuleResult, bool) {
	result := playback.RuleResult{Rule: r.id, Effect: r.effect(), When: r.when.source, Decided: decided, Values: []playback.Reading{}}
	var err error
	result.Result, err = r.result(a)
	if err != nil {
		result.Error = shortened(err.Error(), maxProblem) // it may hold a value in full
	}
	if !left.takes(&result) {
		result.When, result.Error, result.Omitted = "", "", true
		return result, left.takes(&result) || decided
	}
	for _, at := range placesOf(r.when.ast.NativeRep().Expr()) {
		reading := a.read(at, left)
		if !left.takes(&reading) {
			result.Omitted = true
			break
		}
		result.Values = append(result.Values, reading)
	}
	return result, true
}

// result says in a word what a rule makes of a question.
func (r *rule) result(a *activation) (string, error) {
	matches, err := r.when.holds(a)
	switch {
	case err != nil:
		return resultError, err
	case !matches:
		return resultNot, nil
	}
	switch over, err := r.over(a); {
	case err != nil:
		return resultError, err
	case over:
		return resultEnded, nil
	}
	return resultMatched, nil
}

// The results of a rule.
const (
	resultMatched = "matched"
	resultNot     = "not_matched"
	resultEnded   = "ended" // it matched, but what it gives has ended
	resultError   = "error"
)

// over reports whether what a rule gives has ended.
func (r *rule) over(a *activation) (bool, error) {
	until, err := r.ends(a)
	if err != nil || until.IsZero() {
		return false, err
	}
	now, _ := a.at(place{shape: nowPlace})
	at, ok := now.(types.Timestamp)
	return ok && until.Unix() <= at.Unix(), nil
}

func (a *activation) read(at place, left *room) playback.Reading {
	reading := playback.Reading{Name: at.String()}
	if val, ok := a.at(at); ok {
		if left != nil && !fits(val) {
			reading.Known, reading.Omitted = true, true
		} else if out, known, err := toJSON(val); err == nil && known {
			reading.Value, reading.Known = out, len(at.keys) > 0 || !isZero(val)
		}
	}
	return reading
}

// world is a question, with changes to it.
type world struct {
	policy   *Policy
	question playback.Question
	scene    scene
	rights   []givenGrant // what the viewer holds, in force or not
	changes  []assignment
	meter    *meter // of all activations; nil: each has its own
}

// assignment is one change: a value for a place, nil for none.
type assignment struct {
	at    place
	value ref.Val
}

func (w *world) with(changes ...assignment) *world {
	next := *w
	next.changes = append(append([]assignment(nil), w.changes...), changes...)
	return &next
}

// activation returns the variables of the world.
func (w *world) activation() *activation {
	a := &activation{constants: w.policy.constants}
	a.ask(&w.question, w.scene)
	if w.meter != nil {
		a.meter = w.meter
	}
	a.meter.note(worldPrice)
	for _, c := range w.changes {
		a.put(c.at, c.value)
	}
	w.regrant(a)
	return a
}

// given writes the question as a test has it.
func (w *world) given() map[string]any {
	m := map[string]any{}
	in := playback.InputsOf(&w.question)
	if text, err := json.Marshal(in); err != nil || json.Unmarshal(text, &m) != nil {
		return nil // claims that no token could have held
	}
	if viewer, ok := m["viewer"].(map[string]any); ok && len(w.rights) > 0 {
		viewer["grants"] = asGiven(w.rights)
	}
	id, _ := w.scene.environment.member(environmentID).(types.String)
	name, _ := w.scene.environment.member(environmentName).(types.String)
	if id != "" {
		m["environment"] = map[string]any{"id": string(id), "name": string(name)}
	}
	return m
}

// ruling is what the rules say to a world: what Decide says, without what it
// makes for the token.
type ruling struct {
	rule    *rule // nil: none matched
	allowed bool
	code    playback.Code
}

func (v ruling) effect() string {
	if v.allowed {
		return "allow"
	}
	return "deny"
}

func (v ruling) ruleID() string {
	if v.rule == nil {
		return ""
	}
	return v.rule.id
}

func (w *world) ruling() ruling { return w.policy.rulingOn(w.activation()) }

func (p *Policy) rulingOn(a *activation) ruling {
	for _, r := range p.deny {
		switch matches, err := r.when.holds(a); {
		case err != nil:
			return ruling{rule: r, code: playback.CodePolicyError}
		case matches:
			return ruling{rule: r, code: r.refusal.Code}
		}
	}
	for _, r := range p.allow {
		matches, err := r.when.holds(a)
		if isUnread(err) {
			return ruling{rule: r, code: playback.CodeDependencyUnavailable}
		}
		if err != nil || !matches {
			continue
		}
		switch over, err := r.over(a); {
		case err != nil:
			return ruling{rule: r, code: playback.CodePolicyError}
		case over:
			continue
		}
		return r.gives(a)
	}
	return ruling{code: playback.CodeNoMatchingRule}
}

// gives is the ruling of an allow rule that matched.
func (r *rule) gives(a *activation) ruling {
	kind, _ := a.at(place{shape: requestShape, field: requestType})
	name, _ := kind.(types.String)
	if t, ok := playback.ParseTokenType(string(name)); !ok || !r.grant.Gives(t) {
		return ruling{rule: r, code: playback.CodeTypeNotGranted}
	}
	if _, err := r.claims(a); err != nil {
		return ruling{rule: r, code: playback.CodePolicyError}
	}
	return ruling{rule: r, allowed: true}
}

// plainWord needs no quotes to be read as one value.
var plainWord = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9_.-]*\z`)

// text writes a value for people.
func text(v ref.Val) string {
	switch v := v.(type) {
	case nil:
		return "absent"
	case types.String:
		if plainWord.MatchString(string(v)) {
			return string(v)
		}
		return fmt.Sprintf("%q", string(v))
	case types.Timestamp:
		return writeTime(v.Time)
	}
	out, _, err := toJSON(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	written, err := canonicalJSON(out)
	if err != nil {
		return fmt.Sprint(out)
	}
	return written
}

// writeTime writes a time without the parts that are zero.
func writeTime(t time.Time) string {
	layout := "2006-01-02T15:04Z"
	switch t = t.UTC(); {
	case t.Nanosecond() != 0:
		layout = "2006-01-02T15:04:05.999999999Z"
	case t.Second() != 0:
		layout = "2006-01-02T15:04:05Z"
	}
	return t.Format(layout)
}
