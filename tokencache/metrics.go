package tokencache

import "github.com/prometheus/client_golang/prometheus"

// refreshResult is what came of one refresh-ahead; the label of
// playgate_token_cache_refresh_total.
type refreshResult int

const (
	refreshSigned  refreshResult = iota // the next request is a hit
	refreshPresent                      // the token was there, or being signed
	refreshLate                         // the token was asked for already
	refreshEvicted                      // the token in use fell out of the cache
	refreshNoKey                        // its key does not sign any more
	refreshDropped                      // no worker became free in time
	refreshFailed
	refreshResults
)

func (r refreshResult) String() string {
	return [...]string{"signed", "present", "late", "evicted", "no_active_key", "dropped", "failed"}[r]
}

type metrics struct {
	hit, miss, coalesced prometheus.Counter
	refresh              [refreshResults]prometheus.Counter
}

func newMetrics(r prometheus.Registerer, c *Cache) *metrics {
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_token_cache_total",
		Help: "Tokens asked for: remembered (hit), signed for the request (miss), or signed for another that asked at the same time (coalesced).",
	}, []string{"result"})
	refresh := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_token_cache_refresh_total",
		Help: "Tokens in use that were to be signed again ahead of being asked for.",
	}, []string{"result"})
	m := &metrics{
		hit:       lookups.WithLabelValues("hit"),
		miss:      lookups.WithLabelValues("miss"),
		coalesced: lookups.WithLabelValues("coalesced"),
	}
	for result := range refreshResults {
		m.refresh[result] = refresh.WithLabelValues(result.String())
	}
	if r != nil {
		r.MustRegister(
			lookups, refresh,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "playgate_token_cache_entries", Help: "Tokens remembered.",
			}, func() float64 { return float64(c.entries.Load()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "playgate_token_cache_bytes", Help: "Memory that the remembered tokens take, estimated.",
			}, func() float64 { return float64(c.bytes.Load()) }),
		)
	}
	return m
}

func (m *metrics) missed(leads bool) {
	if leads {
		m.miss.Inc()
		return
	}
	m.coalesced.Inc()
}

func (m *metrics) refreshed(result refreshResult) { m.refresh[result].Inc() }
