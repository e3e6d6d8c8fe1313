package keystore

import (
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

// gauges are the series of one environment.
type gauges struct {
	lastSuccess prometheus.Gauge
	keys        map[State]prometheus.Gauge
	problems    prometheus.Gauge
}

// shownStates are the states that keys are counted by.
func shownStates() []State { return []State{Prepared, Active, Retired} }

// show makes the series of an environment, with nothing in it.
func (m *metrics) show(env playback.EnvironmentID) *gauges {
	g := &gauges{
		lastSuccess: m.lastSuccess.WithLabelValues(string(env)),
		keys:        map[State]prometheus.Gauge{},
		problems:    m.problems.WithLabelValues(string(env)),
	}
	for _, state := range shownStates() {
		g.keys[state] = m.keys.WithLabelValues(string(env), string(state))
	}
	return g
}

// show sets the gauges of what is in force.
func (g *gauges) show(set Keyset, problems int) {
	count := map[State]int{}
	for _, key := range set.Keys {
		count[key.State]++
	}
	for state, gauge := range g.keys {
		gauge.Set(float64(count[state]))
	}
	g.problems.Set(float64(problems))
}

// forget drops the series of an environment that is gone.
func (m *metrics) forget(env playback.EnvironmentID) {
	m.lastSuccess.DeleteLabelValues(string(env))
	m.problems.DeleteLabelValues(string(env))
	for _, state := range shownStates() {
		m.keys.DeleteLabelValues(string(env), string(state))
	}
}
