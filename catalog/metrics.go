package catalog

import "github.com/prometheus/client_golang/prometheus"

// Metrics count what the catalogue does.
type Metrics struct {
	events map[EventOutcome]prometheus.Counter

	checked, checkGone, checkFailed                          prometheus.Counter
	syncDone, syncFailed, listed                             prometheus.Counter
	lookupFound, lookupUnknown, lookupNegative, lookupFailed prometheus.Counter
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
	checks := vector("playgate_catalogue_checks_total", "Objects in use that Mux was asked about again, by result.", "result")
	reads := vector("playgate_catalogue_reads_total", "Readings of everything from Mux, by result; sweep is one that took the place of many checks.", "result")
	lookups := vector("playgate_catalogue_lookups_total", "Look-ups of what was not known, by result; negative is Mux's no, remembered.", "result")
	events := vector("playgate_webhooks_total", "Webhooks of Mux, by what became of them.", "result")
	m := &Metrics{
		events:  map[EventOutcome]prometheus.Counter{},
		checked: checks.WithLabelValues("ok"), checkGone: checks.WithLabelValues("gone"), checkFailed: checks.WithLabelValues("error"),
		syncDone: reads.WithLabelValues("ok"), syncFailed: reads.WithLabelValues("error"), listed: reads.WithLabelValues("sweep"),
		lookupFound: lookups.WithLabelValues("found"), lookupUnknown: lookups.WithLabelValues("unknown"),
		lookupNegative: lookups.WithLabelValues("negative"), lookupFailed: lookups.WithLabelValues("error"),
	}
	for _, outcome := range []EventOutcome{EventApplied, EventStale, EventChecked, EventIgnored, EventDuplicate, EventRefused, EventFailed} {
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
