package tokencache

import "github.com/prometheus/client_golang/prometheus"

// aheadResult is what came of a token that was to be signed ahead; the label
// of playgate_token_cache_refresh_total and …_presigned_total.
type aheadResult int

const (
	aheadSigned     aheadResult = iota // the next request is a hit
	aheadPresent                       // the token was there, or being signed
	aheadLate                          // nobody needs it ahead any more
	aheadEvicted                       // the token in use fell out of the cache
	aheadNoKey                         // its key does not sign any more
	aheadDropped                       // no worker became free in time
	aheadOverBudget                    // more tokens are to be signed than there is time for
	aheadNoRoom                        // the cache is full of tokens in use
	aheadFailed
	aheadResults
)

func (r aheadResult) String() string {
	return [...]string{"signed", "present", "late", "evicted", "no_active_key", "dropped", "over_budget", "no_room", "failed"}[r]
}

type metrics struct {
	hit, miss, coalesced prometheus.Counter
	refresh, presign     [aheadResults]prometheus.Counter
}

func newMetrics(r prometheus.Registerer, c *Cache) *metrics {
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_token_cache_total",
		Help: "Tokens asked for, by result: hit (in the cache), miss (signed for the request) or coalesced (signed for another request at the same time).",
	}, []string{"result"})
	refresh := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_token_cache_refresh_total",
		Help: "Tokens in use that were due to be signed again before they are asked for, by result: signed, present (already there), late (not needed any more), evicted, no_active_key, dropped (no worker was free in time), over_budget (too many at a time), no_room (the cache is full of tokens in use) or failed.",
	}, []string{"result"})
	presign := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_token_cache_presigned_total",
		Help: "Tokens in use that were due to be signed under a prepared key before it becomes active, by result, as for playgate_token_cache_refresh_total.",
	}, []string{"result"})
	m := &metrics{
		hit:       lookups.WithLabelValues("hit"),
		miss:      lookups.WithLabelValues("miss"),
		coalesced: lookups.WithLabelValues("coalesced"),
	}
	for result := range aheadResults {
		m.refresh[result] = refresh.WithLabelValues(result.String())
		m.presign[result] = presign.WithLabelValues(result.String())
	}
	if r != nil {
		r.MustRegister(
			lookups, refresh, presign,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "playgate_token_cache_cold", Help: "Tokens in use that are not signed under the prepared key yet.",
			}, func() float64 { return float64(c.twins.cold()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "playgate_token_cache_entries", Help: "Tokens in the cache.",
			}, func() float64 { return float64(c.entries.Load()) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "playgate_token_cache_bytes", Help: "Estimated size of the tokens in the cache, in bytes.",
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

func (m *metrics) refreshed(result aheadResult) { m.refresh[result].Inc() }

func (m *metrics) presigned(result aheadResult) { m.presign[result].Inc() }
