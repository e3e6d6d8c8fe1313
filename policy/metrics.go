package policy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// Metrics counts, for all policies of the process, the rules that could not be
// evaluated. Its labels are the operator's own words (environments and rule
// IDs), so they are bounded by the configuration.
type Metrics struct{ errors *prometheus.CounterVec }

// NewMetrics registers playgate_policy_rule_errors_total with r; a nil r
// registers nothing. It panics if it is called twice with one registerer.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_policy_rule_errors_total",
		Help: "Rules that could not be evaluated: a deny rule or a custom claim then refuses, an allow rule does not match.",
	}, []string{"environment", "rule"})}
	if r != nil {
		r.MustRegister(m.errors)
	}
	return m
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
