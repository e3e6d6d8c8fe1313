package keystore

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/playgate/playgate/playback"
)

// metrics are a Watcher's collectors. Key IDs are never labels: they are
// unbounded over time.
type metrics struct {
	ok, unavailable, rejected prometheus.Counter

	lastSuccess *prometheus.GaugeVec // environment
	keys        *prometheus.GaugeVec // environment, state
	problems    *prometheus.GaugeVec // environment
}

// newMetrics registers the collectors; a nil registerer makes them without.
func newMetrics(registerer prometheus.Registerer, driver string) *metrics {
	factory := promauto.With(registerer)
	refresh := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_keystore_refresh_total",
		Help: "Readings of an environment's signing keys, by driver and result: ok, unavailable (the key store did not answer) or rejected (the keys contradict each other).",
	}, []string{"driver", "result"})
	return &metrics{
		ok:          refresh.WithLabelValues(driver, "ok"),
		unavailable: refresh.WithLabelValues(driver, "unavailable"),
		rejected:    refresh.WithLabelValues(driver, "rejected"),
		lastSuccess: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "playgate_key_last_refresh_timestamp_seconds",
			Help: "Unix time at which the environment's signing keys were last read and accepted; 0: never.",
		}, []string{"environment"}),
		keys: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "playgate_keystore_keys",
			Help: "Signing keys in force, by environment and state: prepared, active or retired.",
		}, []string{"environment", "state"}),
		problems: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "playgate_keystore_problems",
			Help: "Problems at the last reading of the environment's signing keys: keys refused or overruled, and warnings.",
		}, []string{"environment"}),
	}
}

func (m *metrics) succeeded(env playback.EnvironmentID, at time.Time) {
	m.ok.Inc()
	m.lastSuccess.WithLabelValues(string(env)).Set(float64(at.Unix()))
}

// show sets the gauges of one environment.
func (m *metrics) show(env playback.EnvironmentID, set Keyset, problems int) {
	count := map[State]int{}
	for _, key := range set.Keys {
		count[key.State]++
	}
	for _, state := range []State{Prepared, Active, Retired} {
		m.keys.WithLabelValues(string(env), string(state)).Set(float64(count[state]))
	}
	m.problems.WithLabelValues(string(env)).Set(float64(problems))
	m.lastSuccess.WithLabelValues(string(env)).Add(0) // there from the start
}

// forget drops the series of an environment that is gone.
func (m *metrics) forget(env playback.EnvironmentID) {
	labels := prometheus.Labels{"environment": string(env)}
	m.lastSuccess.DeletePartialMatch(labels)
	m.keys.DeletePartialMatch(labels)
	m.problems.DeletePartialMatch(labels)
}
