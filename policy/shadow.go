package policy

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/playgate/playgate/playback"
)

// What a shadow would have changed.
const (
	ShadowSame    = "same"
	ShadowGained  = "gained"  // the policy refuses, the shadow allows
	ShadowLost    = "lost"    // the policy allows, the shadow refuses
	ShadowChanged = "changed" // both allow, but give something else; or both refuse, with another reason
	ShadowSkipped = "skipped" // what the viewer holds could not be read, and one of the two depends on it
)

// shadowLogEvery is how often a difference is logged, of each kind: what the
// metric counts needs examples, not a copy.
const shadowLogEvery = 10 * time.Second

// ShadowConfig is what a Shadowed is made of.
type ShadowConfig struct {
	Policy      *Policy // in force
	Shadow      *Policy // asked beside it
	Environment playback.EnvironmentID
	Metrics     *Metrics     // nil: nothing is counted
	Logger      *slog.Logger // nil: nothing is logged
}

// Shadowed is a policy with another one beside it that is asked the same and
// decides nothing: its differences are counted and, now and then, logged. It
// costs the shadow's evaluation on every question. Safe for concurrent use.
type Shadowed struct {
	*Policy

	cfg    ShadowConfig
	counts *shadowCounts            // nil: nothing is counted
	logged map[string]*atomic.Int64 // the Unix seconds of the last line of each kind
}

// NewShadowed puts a shadow beside a policy.
func NewShadowed(cfg ShadowConfig) *Shadowed {
	s := &Shadowed{Policy: cfg.Policy, cfg: cfg, logged: map[string]*atomic.Int64{}}
	for _, result := range shadowResults() {
		s.logged[result] = new(atomic.Int64)
	}
	if cfg.Metrics != nil {
		s.counts = cfg.Metrics.shadowOf(cfg.Environment)
	}
	return s
}

// Decide answers as the policy does.
func (s *Shadowed) Decide(q *playback.Question) playback.Decision {
	d := s.Policy.Decide(q)
	other := s.cfg.Shadow.decide(q, scene{environment: s.cfg.Shadow.environment, aside: true, hurried: true, budget: apart(q.Budget)})
	if anyUndecided(&d, &other) {
		s.countResult(ShadowSkipped)
		return d
	}
	result := shadowResult(d, other)
	s.countResult(result)
	if result != ShadowSame && s.cfg.Logger != nil {
		s.log(q, result, d, other)
	}
	return d
}

// apart returns the shadow's own budget: it must not use up the request's.
func apart(b *playback.RuleBudget) *playback.RuleBudget {
	if b == nil {
		return nil
	}
	return b.Apart()
}

func (s *Shadowed) countResult(result string) {
	if s.counts == nil {
		return
	}
	results := shadowResults()
	s.counts[slices.Index(results[:], result)].Add(1)
}

// Shadow returns the document that decides nothing.
func (s *Shadowed) Shadow() *Policy { return s.cfg.Shadow }

func shadowResult(d, other playback.Decision) string {
	switch allowed, would := d.Refusal == nil, other.Refusal == nil; {
	case !allowed && would:
		return ShadowGained
	case allowed && !would:
		return ShadowLost
	case !sameAnswer(&d, &other):
		return ShadowChanged
	}
	return ShadowSame
}

// log writes down one difference of each kind every few seconds, without
// anything that says who the viewer is.
func (s *Shadowed) log(q *playback.Question, result string, d, other playback.Decision) {
	now, last := q.Now.Unix(), s.logged[result].Load()
	if now < last+int64(shadowLogEvery/time.Second) || !s.logged[result].CompareAndSwap(last, now) {
		return
	}
	id, country := playback.ID(""), ""
	if q.Object != nil {
		id = q.Object.ID
	}
	if q.Client != nil {
		country = q.Client.Country
	}
	attrs := []slog.Attr{
		slog.String("environment", string(s.cfg.Environment)), slog.String("result", result),
		slog.String("decided", decider(d)), slog.String("shadow", decider(other)), slog.String("shadow_revision", s.cfg.Shadow.revision),
		slog.String("playback_id", string(id)), slog.String("type", q.Type.String()), slog.String("country", country),
	}
	if result == ShadowChanged {
		attrs = append(attrs, slog.String("changes", groupsOf(changesOf(&d, &other))))
	}
	s.cfg.Logger.LogAttrs(context.Background(), slog.LevelInfo, "the shadow policy answers otherwise", attrs...)
}

// groupsOf writes changes down without what may say who the viewer is: custom
// claims, the names of grants.
func groupsOf(changes []DecisionChange) string {
	names := make([]string, len(changes))
	for i, c := range changes {
		names[i] = c.group()
	}
	return strings.Join(names, "; ")
}
