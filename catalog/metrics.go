package catalog

import "github.com/prometheus/client_golang/prometheus"

// Metrics count what the catalogue does.
type Metrics struct {
	events map[EventOutcome]prometheus.Counter

	checked, checkGone, checkFailed                          prometheus.Counter
	syncDone, syncFailed, listed                             prometheus.Counter
	lookupFound, lookupUnknown, lookupNegative, lookupFailed prometheus.Counter
	lookupRefused                                            prometheus.Counter
}

// NewMetrics makes the metrics and registers them; nil registers nothing.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	vector := func(name, help, label string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		if registerer != nil {
			registerer.MustRegister(v)
		}
		return v
	}
	checks := vector("playgate_catalogue_checks_total", "Playback IDs, assets and live streams in use that Mux was asked about again, by result: ok, gone or error.", "result")
	reads := vector("playgate_catalogue_reads_total", "Readings of all assets and live streams of an environment from Mux, by result: ok or error; sweep counts those that replaced single checks.", "result")
	lookups := vector("playgate_catalogue_lookups_total", "Look-ups at Mux of what the catalogue does not have, by result: found, unknown, negative (an earlier answer unknown was remembered), refused (the caller has used up its budget) or error.", "result")
	events := vector("playgate_webhooks_total", "Webhooks received from Mux, by result: applied, stale (a newer event was there), checked (Mux is asked about the object), ignored (of no use here), duplicate, refused (not signed, or not for this environment), full (too much is to be asked of Mux already) or error (the store does not answer).", "result")
	m := &Metrics{
		events:  map[EventOutcome]prometheus.Counter{},
		checked: checks.WithLabelValues("ok"), checkGone: checks.WithLabelValues("gone"), checkFailed: checks.WithLabelValues("error"),
		syncDone: reads.WithLabelValues("ok"), syncFailed: reads.WithLabelValues("error"), listed: reads.WithLabelValues("sweep"),
		lookupFound: lookups.WithLabelValues("found"), lookupUnknown: lookups.WithLabelValues("unknown"),
		lookupNegative: lookups.WithLabelValues("negative"), lookupFailed: lookups.WithLabelValues("error"),
		lookupRefused: lookups.WithLabelValues("refused"),
	}
	for _, outcome := range []EventOutcome{EventApplied, EventStale, EventChecked, EventIgnored, EventDuplicate, EventRefused, EventFull, EventFailed} {
		m.events[outcome] = events.WithLabelValues(string(outcome))
	}
	return m
}

// Event counts a webhook.
func (m *Metrics) Event(outcome EventOutcome) {
	if c := m.events[outcome]; c != nil {
		c.Inc()
	}
}
