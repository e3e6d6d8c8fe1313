package policy

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Metrics says, for all environments of the process, which documents are in
// force, and counts what their rules decide, what cannot be evaluated and what a
// shadow answers otherwise. Only documents in force have series, and a rule has
// one from its first decision on: labels are the operator's own words and
// revisions, and what is gone from the documents is gone from the metrics.
type Metrics struct {
	mu           sync.Mutex
	environments map[playback.EnvironmentID]*published

	decisions, errors, stopped, info, shadow *prometheus.Desc
}

// published is what an environment has in force.
type published struct {
	policy, shadow *Policy
	results        *shadowCounts // what the shadow would have changed; nil: it was never asked
}

// counts is what is counted of one rule, or of questions that no rule decides.
type counts struct {
	decided    atomic.Uint64             // as the rule says: an allow rule's grants, a deny rule's refusals
	notGranted atomic.Uint64             // refusals of types that the rule does not grant
	broken     atomic.Uint64             // refusals because the rule could not be evaluated
	errors     atomic.Uint64             // evaluations that failed, whatever became of the question
	stopped    [limitCount]atomic.Uint64 // those of them that a limit ended
}

// countsKey is what a rule's counts are found by when its document is replaced.
type countsKey struct {
	id     string
	deny   bool
	reason playback.Code
}

func (r *rule) countsKey() countsKey {
	if r.deny {
		return countsKey{r.id, true, r.refusal.Code}
	}
	return countsKey{id: r.id}
}

// NewMetrics registers the metrics with r; a nil r
// registers nothing. It panics if it is called twice with one registerer.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		environments: map[playback.EnvironmentID]*published{},
		decisions: prometheus.NewDesc("playgate_policy_decisions_total",
			"Decisions of the rules, one for each type of token asked for, by rule (empty: none matched), effect (allow, deny) and reason: "+
				"that of the deny rule, no_matching_rule, type_not_granted or policy_error, and empty where the effect is allow.",
			[]string{"environment", "rule", "effect", "reason"}, nil),
		errors: prometheus.NewDesc("playgate_policy_rule_errors_total",
			"Evaluations of rules that failed. Then a deny rule refuses, an allow rule does not match, and a custom claim or an until refuses.",
			[]string{"environment", "rule"}, nil),
		stopped: prometheus.NewDesc("playgate_policy_stopped_total",
			"Evaluations of rules that were ended by a limit, which are among playgate_policy_rule_errors_total: expression (one evaluation cost too much), "+
				"request (all of a request together did; it is refused with policy_error) or deadline (the request's time was over; likewise).",
			[]string{"environment", "rule", "limit"}, nil),
		info: prometheus.NewDesc("playgate_policy_info",
			"Always 1. The label revision is that of the rules in force, by role: policy or shadow.",
			[]string{"environment", "role", "revision"}, nil),
		shadow: prometheus.NewDesc("playgate_policy_shadow_total",
			"Decisions that the shadow policy was asked about, too, by result: same, gained (it alone allows), lost (it alone refuses), changed (it gives something else or another reason) or skipped (what the viewer holds could not be read).",
			[]string{"environment", "result"}, nil),
	}
	if r != nil {
		r.MustRegister(m)
	}
	return m
}

// The roles of a document in an environment.
const (
	RolePolicy = "policy"
	RoleShadow = "shadow"
)

// InForce publishes what an environment has in force in a role, in place of the
// document before; nil: none.
func (m *Metrics) InForce(env playback.EnvironmentID, role string, p *Policy) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.environments[env]
	if e == nil {
		if p == nil {
			return
		}
		e = &published{}
		m.environments[env] = e
	}
	if role == RoleShadow {
		if e.shadow = p; p == nil {
			e.results = nil
		}
	} else {
		e.policy = p
	}
	if e.policy == nil && e.shadow == nil {
		delete(m.environments, env)
	}
}

// inherit gives every rule its counts: those of the same rule in the document in
// force, which go on, or new ones. A nil m gives new ones.
func (m *Metrics) inherit(env playback.EnvironmentID, p *Policy) {
	before := map[countsKey]*counts{}
	if old := m.policyOf(env); old != nil {
		p.unmatched = old.unmatched
		for _, r := range old.rules() {
			before[r.countsKey()] = r.counts
		}
	} else {
		p.unmatched = new(counts)
	}
	for _, r := range p.rules() {
		if r.counts = before[r.countsKey()]; r.counts == nil {
			r.counts = new(counts)
		}
	}
}

func (m *Metrics) policyOf(env playback.EnvironmentID) *Policy {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.environments[env]; e != nil {
		return e.policy
	}
	return nil
}

// shadowCounts is what a shadow would have changed, in the order of
// shadowResults.
type shadowCounts [5]atomic.Uint64

func shadowResults() [len(shadowCounts{})]string {
	return [...]string{ShadowSame, ShadowGained, ShadowLost, ShadowChanged, ShadowSkipped}
}

// shadowOf returns the counts of an environment's shadow, which outlive its
// document.
func (m *Metrics) shadowOf(env playback.EnvironmentID) *shadowCounts {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.environments[env]
	if e == nil {
		e = &published{}
		m.environments[env] = e
	}
	if e.results == nil {
		e.results = new(shadowCounts)
	}
	return e.results
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.decisions, m.errors, m.stopped, m.info, m.shadow} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, e := range m.environments {
		m.collect(out, string(id), e)
	}
}

func (m *Metrics) collect(out chan<- prometheus.Metric, env string, e *published) {
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), append([]string{env}, labels...)...)
	}
	revision := func(role string, p *Policy) {
		out <- prometheus.MustNewConstMetric(m.info, prometheus.GaugeValue, 1, env, role, p.revision)
	}
	occurred := func(desc *prometheus.Desc, n uint64, labels ...string) {
		if n > 0 {
			counter(desc, n, labels...)
		}
	}
	if p := e.policy; p != nil {
		revision(RolePolicy, p)
		occurred(m.decisions, p.unmatched.decided.Load(), "", "deny", string(playback.CodeNoMatchingRule))
		for _, r := range p.rules() {
			effect, reason := "allow", playback.Code("")
			if r.deny {
				effect, reason = "deny", r.refusal.Code
			}
			occurred(m.decisions, r.counts.decided.Load(), r.id, effect, string(reason))
			occurred(m.decisions, r.counts.notGranted.Load(), r.id, "deny", string(playback.CodeTypeNotGranted))
			occurred(m.decisions, r.counts.broken.Load(), r.id, "deny", string(playback.CodePolicyError))
			occurred(m.errors, r.counts.errors.Load(), r.id)
			for by := range limitCount {
				occurred(m.stopped, r.counts.stopped[by].Load(), r.id, by.String())
			}
		}
	}
	if e.shadow != nil {
		revision(RoleShadow, e.shadow)
		for i, result := range shadowResults() {
			n := uint64(0)
			if e.results != nil {
				n = e.results[i].Load()
			}
			counter(m.shadow, n, result)
		}
	}
}
