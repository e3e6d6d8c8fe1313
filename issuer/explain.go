package issuer

import (
	"context"
	"slices"
	"time"

	"github.com/playgate/playgate/playback"
)

// Explainer says why the rules answer a question as they do.
type Explainer interface {
	// held is all that the viewer holds; the question has what is in force.
	Explain(q *playback.Question, held []playback.Held) *playback.Explanation
	// Consider is Decide without what it leaves behind.
	Consider(q *playback.Question) playback.Decision
}

// Holds reports whether the token of some claims is remembered, without making
// it used.
type Holds interface {
	Holds(c *playback.Claims) bool
}

// AliasLister says under which issuers a viewer's ID has grants: *grant.Holder.
type AliasLister interface {
	Issuers(ctx context.Context, env playback.EnvironmentID, viewer string) ([]string, error)
}

// Explanation is what would become of a request, and why. Nothing was signed,
// begun, charged or remembered.
type Explanation struct {
	Object *playback.Object
	Now    time.Time
	Grants []playback.Held      // what the viewer holds and the rules see, if they want to know
	Idle   []playback.IdleGrant // what the viewer holds besides, and why the rules do not see it
	// OtherIssuers are the aliases under which the viewer's ID has grants that the
	// rules do not see, because the viewer is another issuer's.
	OtherIssuers []string
	Types        []TypeExplanation
	Revision     string
	// Refusal is what a request would get; nil: tokens. Types may hold the
	// reason.
	Refusal *playback.Error
	// Plan is the tokens' life; nil without tokens.
	Plan *Plan
}

// TypeExplanation is what the rules make of one type.
type TypeExplanation struct {
	Type   playback.TokenType
	Rules  *playback.Explanation
	Grant  *playback.Grant // nil: refused
	Params playback.Params // the token's or, without one, the URL's, if all types are granted
	Custom string
	// Signed: the type needs a token.
	Signed bool
	// Cached: the token that would be handed out now is remembered.
	Cached bool
}

// Plan is when the tokens would end, and why then.
type Plan struct {
	Key      playback.KeyID // "" no key is active
	Lifetime playback.Lifetime
	Bound    Bound
	Stale    bool // the keys have not been read for a while
}

// Explain goes the way of Issue without its effects: it mints nothing, and
// begins no rental, and what the
// catalogue does not list is not looked up. An environment whose rules cannot explain themselves has
// explanations without rules. The errors are those of Issue that come before the
// rules: the playback ID and what the catalogue says of it.
func (i *Issuer) Explain(ctx context.Context, env *Environment, req *Request) (*Explanation, error) {
	quiet := *env
	quiet.Finder = nil // asking Mux is an effect: its pace is everybody's
	object, err := resolve(ctx, &quiet, req)
	if err != nil {
		return nil, err
	}
	if err := checkAvailable(object, req); err != nil {
		return nil, err
	}
	q := &inquiry{env: &quiet, object: object, req: req, now: i.cfg.Now()}
	req.desk.budget = playback.NewRuleBudget(ctx, playback.RequestRuleWork, nil)
	x := &Explanation{Object: object, Now: q.now, Revision: env.Revision}
	held, err := i.explainRights(ctx, q, x)
	if err != nil {
		return nil, err
	}
	all := q.explain(ctx, x, held, i.slots)
	if x.Refusal == nil {
		x.Refusal = i.explainPlan(q, x, all)
	}
	return x, nil
}

// explain asks the rules about every type, and keeps the first refusal.
// The decisions have the budget of a request, and are made first; then every type
// has its share of the budget for explanations.
func (q *inquiry) explain(ctx context.Context, x *Explanation, held []playback.Held, slots playback.RuleSlots) []granted {
	explainer, _ := q.env.Rules.(Explainer)
	q.req.desk.budget.In(slots)
	all := q.consider(x, explainer)
	for n := range x.Types {
		if explainer == nil {
			break
		}
		question := q.question(x.Types[n].Type)
		budget := playback.NewRuleBudget(ctx, playback.ExplainRuleWork/uint64(len(x.Types)), nil)
		budget.In(slots)
		question.Budget = &budget
		x.Types[n].Rules = explainWithin(explainer, &question, held)
	}
	return all
}

// explainWithin gives the slot of the question's budget back, also in a panic.
func explainWithin(explainer Explainer, q *playback.Question, held []playback.Held) *playback.Explanation {
	defer q.Budget.Release()
	return explainer.Explain(q, held)
}

// consider asks the rules about every type without leaving anything behind. A nil
// explainer cannot be asked so.
func (q *inquiry) consider(x *Explanation, explainer Explainer) []granted {
	defer q.req.desk.budget.Release()
	var all []granted
	for _, t := range q.req.Types {
		question := q.question(t)
		var d playback.Decision
		if explainer != nil {
			d = explainer.Consider(&question)
		} else {
			d = q.env.Rules.Decide(&question)
		}
		x.Types = append(x.Types, TypeExplanation{Type: t, Grant: d.Grant})
		if d.Grant != nil {
			all = append(all, grantedBy(&d, t))
		} else if x.Refusal == nil {
			x.Refusal = d.Refusal
		}
	}
	return all
}

// explainPlan applies the grants, plans the lifetime and looks into the cache.
// It returns what stands in the way of tokens.
func (i *Issuer) explainPlan(q *inquiry, x *Explanation, all []granted) *playback.Error {
	if err := apply(q.req, all); err != nil {
		return refusalOf(err)
	}
	for n := range all {
		g, t := &all[n], &x.Types[n]
		if t.Signed = q.object.NeedsToken(g.kind); !t.Signed {
			t.Params = g.unforced()
			continue
		}
		t.Params, t.Custom = g.params, g.custom
	}
	if err := checkStatus(q.object); err != nil {
		return refusalOf(err)
	}
	signed := needingTokens(q.object, slices.Clone(all))
	if len(signed) == 0 {
		return nil
	}
	answer := &Answer{Object: q.object}
	q.assured, answer.Stale = i.stale(q.env.ID)
	if err := q.plan(signed, answer); err != nil {
		return refusalOf(err)
	}
	life := answer.Lifetime
	x.Plan = &Plan{Lifetime: life, Bound: answer.Bound, Stale: answer.Stale}
	if err := checkMinTTL(q.req, life, q.now); err != nil {
		return refusalOf(err)
	}
	key, thumbprint, ok := i.cfg.Keys.Active(q.env.ID)
	if !ok {
		return playback.Errorf(playback.CodeNoActiveKey, "There is no active signing key.")
	}
	x.Plan.Key = key
	base := playback.Claims{Environment: q.env.ID, Key: key, Thumbprint: thumbprint, Kid: q.env.Kid, Exp: life.Exp}
	i.explainCache(q, x, all, &base)
	return nil
}

// explainCache notes which tokens are remembered.
func (i *Issuer) explainCache(q *inquiry, x *Explanation, all []granted, base *playback.Claims) {
	cache, ok := i.cfg.Tokens.(Holds)
	if !ok {
		return
	}
	for n := range all {
		if !x.Types[n].Signed {
			continue
		}
		g, c := &all[n], *base
		c.Sub, _ = q.object.Subject(g.kind)
		c.Aud, c.Params, c.Restriction, c.Custom = g.kind.Aud(), g.params, g.grant.RestrictionID, g.custom
		x.Types[n].Cached = cache.Holds(&c)
	}
}

func refusalOf(err error) *playback.Error {
	if refusal, ok := err.(*playback.Error); ok { //nolint:errorlint // these are made here, unwrapped
		return refusal
	}
	return playback.Errorf(playback.CodeInternalError, "").Because(err)
}
