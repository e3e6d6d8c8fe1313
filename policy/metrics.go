package policy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Metrics says which documents are in force and counts, for all policies of
// the process, the rules that could not be evaluated and the questions that a
// shadow answers otherwise. Its labels are the operator's own words
// (environments and rule IDs) and the revisions in force, so they are bounded by
// the configuration.
type Metrics struct {
	errors *prometheus.CounterVec
	info   *prometheus.GaugeVec
	shadow *prometheus.CounterVec
}

// NewMetrics registers the metrics with r; a nil r
// registers nothing. It panics if it is called twice with one registerer.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_policy_rule_errors_total",
			Help: "Rules that could not be evaluated: a deny rule or a custom claim then refuses, an allow rule does not match.",
		}, []string{"environment", "rule"}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "playgate_policy_info", Help: "1 for the revision of the rules that is in force, by role: policy or shadow.",
		}, []string{"environment", "role", "revision"}),
		shadow: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_policy_shadow_total",
			Help: "Questions that the shadow policy was asked beside the one in force, by what it would have changed.",
		}, []string{"environment", "result"}),
	}
	if r != nil {
		r.MustRegister(m.errors, m.info, m.shadow)
	}
	return m
}

// The roles of a document in an environment.
const (
	RolePolicy = "policy"
	RoleShadow = "shadow"
)

// InForce publishes the revision that an environment has in force in a role, in
// place of the one before; nil: none.
func (m *Metrics) InForce(env playback.EnvironmentID, role string, p *Policy) {
	m.info.DeletePartialMatch(prometheus.Labels{"environment": string(env), "role": role})
	if p != nil {
		m.info.WithLabelValues(string(env), role, p.revision).Set(1)
	}
}

func (m *Metrics) counter(env playback.EnvironmentID, rule string) prometheus.Counter {
	if m == nil {
		return nil
	}
	return m.errors.WithLabelValues(string(env), rule)
}

func (r *rule) countError() {
	if r.errors != nil {
		r.errors.Inc()
	}
}
