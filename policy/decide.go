package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cel.dev/cel-go/common/types"

	"github.com/playgate/playgate/playback"
)

// Decide answers a question. Deny rules come first, in the order of the
// document: the first that matches, or cannot be evaluated, denies. Then the
// first allow rule that matches decides; one that cannot be evaluated does not
// match. One that needs what the viewer holds, where that cannot be read, leaves
// the question undecided: the rules after it are not asked. It never fails and
// never allows when in doubt. The decision's grant and refusal are shared and
// must not be written to.
func (p *Policy) Decide(q *playback.Question) playback.Decision {
	return p.decide(q, scene{environment: p.environment})
}

func (p *Policy) decide(q *playback.Question, s scene) playback.Decision {
	a, ok := p.activations.Get().(*activation)
	if !ok { // the pool has nothing else
		a = &activation{constants: p.constants}
	}
	a.ask(q, s)
	defer func() {
		a.meter.settle()
		a.forget()
		p.activations.Put(a)
	}()
	var verdicts []verdict
	if !s.aside {
		verdicts = p.verdictsFor(a)
	}
	for _, r := range p.deny {
		switch matches, err := r.holds(a, verdicts); {
		case err != nil:
			return p.broken(r, a, err)
		case matches:
			return playback.Decision{Rule: r.id, Refusal: r.refusal, Counter: &r.counts.decided}
		}
	}
	for _, r := range p.allow {
		switch matches, err := r.holds(a, verdicts); {
		case isUnread(err):
			return p.undecided(r, err)
		case endsRequest(err):
			return p.broken(r, a, err)
		case err != nil:
			r.failed(a, err)
		case matches:
			if d, over := p.grant(r, a); !over {
				return d
			}
		}
	}
	return playback.Decision{Refusal: p.refusals.noMatch, Counter: &p.unmatched.decided}
}

// grant is the decision of an allow rule that matched. over: what it gives has
// ended, so it does not match after all.
func (p *Policy) grant(r *rule, a *activation) (_ playback.Decision, over bool) {
	until, err := r.ends(a)
	switch {
	case err != nil:
		// Leaving the end out could give more than the rule does, and so could
		// the next rule.
		return p.broken(r, a, err), false
	case !until.IsZero() && until.Unix() <= a.question.Now.Unix(): // tokens end in whole seconds
		return playback.Decision{}, true
	}
	d := p.decision(r, a)
	if d.Grant == nil {
		return d, false
	}
	d.Until, d.Held = until, p.restsOn(r, a)
	if err := a.meter.exhausted(); err != nil {
		return p.broken(r, a, err), false // it may rest on less than was found
	}
	return d, false
}

// ends returns when what the rule gives ends, the zero time if it does not.
func (r *rule) ends(a *activation) (time.Time, error) {
	if r.until == nil {
		return time.Time{}, nil
	}
	out, err := r.until.eval(a)
	if err != nil {
		return time.Time{}, fmt.Errorf("until: %w", err)
	}
	at, ok := out.(types.Timestamp)
	if !ok {
		return time.Time{}, errNoMoment // an unknown; the checker excludes the rest
	}
	return at.Time, nil
}

var errNoMoment = errors.New("until: is no timestamp")

func (p *Policy) decision(r *rule, a *activation) playback.Decision {
	if t := a.question.Type; !r.grant.Gives(t) {
		return playback.Decision{Rule: r.id, Refusal: p.refusals.types[min(t, playback.TokenTypes)], Counter: &r.counts.notGranted}
	}
	if len(r.custom) == 0 {
		return playback.Decision{Rule: r.id, Grant: r.grant, Counter: &r.counts.decided}
	}
	custom, err := r.claims(a)
	if err != nil {
		// Trying the next rule instead could drop the claim that ties the token
		// to the viewer.
		return p.broken(r, a, err)
	}
	return playback.Decision{Rule: r.id, Grant: r.grant, Custom: custom, Counter: &r.counts.decided}
}

// broken is the decision of a rule that cannot be evaluated.
func (p *Policy) broken(r *rule, a *activation, cause error) playback.Decision {
	if isUnread(cause) {
		return p.undecided(r, cause)
	}
	r.failed(a, cause)
	refusal := p.refusals.broken.Because(fmt.Errorf("evaluating rule %s: %w", r.id, cause))
	return playback.Decision{Rule: r.id, Refusal: refusal, Counter: &r.counts.broken}
}

// failed counts an evaluation that failed, and what stopped it if that was a
// limit.
func (r *rule) failed(a *activation, cause error) {
	if a.aside {
		return
	}
	r.counts.errors.Add(1)
	if by, stopped := stoppedBy(cause); stopped {
		r.counts.stopped[by].Add(1)
	}
}

// claims evaluates the custom claims and returns them as a canonical JSON
// object, "" if none of them has a value.
func (r *rule) claims(a *activation) (string, error) {
	values := make(map[string]any, len(r.custom))
	for _, c := range r.custom {
		out, err := c.value.eval(a)
		if err != nil {
			return "", fmt.Errorf("custom.%s: %w", c.name, err)
		}
		if weigh(out, maxCustomBytes) > maxCustomBytes {
			return "", fmt.Errorf("custom.%s: more than %d values", c.name, maxCustomBytes)
		}
		value, ok, err := toJSON(out)
		if err != nil {
			return "", fmt.Errorf("custom.%s: %w", c.name, err)
		}
		if ok {
			values[c.name] = value
		}
	}
	if len(values) == 0 {
		return "", nil
	}
	text, err := canonicalJSON(values)
	if err != nil {
		return "", fmt.Errorf("custom: %w", err)
	}
	if len(text) > maxCustomBytes {
		return "", fmt.Errorf("custom: %d bytes, more than %d", len(text), maxCustomBytes)
	}
	return text, nil
}

// canonicalJSON writes JSON in one way only: keys sorted, no spaces, numbers as
// ECMAScript writes them, and <, > and & as they are. It is part of the token
// and of the cache's key.
func canonicalJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}
