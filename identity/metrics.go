package identity

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/playback"
)

// The results of playgate_jwks_refresh_total.
const (
	refreshChanged   = "changed"
	refreshUnchanged = "unchanged"
	refreshEmptied   = "emptied" // changed, and no key can be used any more
	refreshFailed    = "error"
)

// metrics counts; its children are resolved once.
type metrics struct {
	hit, miss prometheus.Counter
	verified  prometheus.Counter
	refusals  map[playback.Code]prometheus.Counter
	refreshes map[string]prometheus.Counter
}

func newMetrics(v *Verifier, registerer prometheus.Registerer) *metrics {
	remembered := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_identity_remembered_total",
		Help: "Viewer tokens looked up among the identities in memory, by result: hit or miss.",
	}, []string{"result"})
	verifications := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_identity_verifications_total",
		Help: "Viewer tokens verified, by result: ok, or the error code of the refusal.",
	}, []string{"result"})
	refreshes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_jwks_refresh_total",
		Help: "Readings of issuers' key sets, by result: changed, unchanged, emptied (no usable key is left) or error.",
	}, []string{"result"})
	m := &metrics{
		hit:       remembered.WithLabelValues("hit"),
		miss:      remembered.WithLabelValues("miss"),
		verified:  verifications.WithLabelValues("ok"),
		refusals:  make(map[playback.Code]prometheus.Counter),
		refreshes: make(map[string]prometheus.Counter),
	}
	for _, code := range []playback.Code{
		playback.CodeInvalidCredentials, playback.CodeExpiredCredentials, playback.CodeIssuerUnavailable,
	} {
		m.refusals[code] = verifications.WithLabelValues(string(code))
	}
	for _, result := range []string{refreshChanged, refreshUnchanged, refreshEmptied, refreshFailed} {
		m.refreshes[result] = refreshes.WithLabelValues(result)
	}
	if registerer != nil {
		registerer.MustRegister(remembered, verifications, refreshes, newAges(v))
	}
	return m
}

// refused counts a refusal and returns it.
func (m *metrics) refused(err *playback.Error) error {
	m.refusals[err.Code].Inc()
	return err
}

func (m *metrics) refresh(result string) { m.refreshes[result].Inc() }

// ages is a collector that looks at the key sets when it is asked.
type ages struct {
	verifier *Verifier
	age      *prometheus.Desc
	keys     *prometheus.Desc
	held     *prometheus.Desc
}

func newAges(v *Verifier) *ages {
	return &ages{
		verifier: v,
		age: prometheus.NewDesc("playgate_jwks_age_seconds",
			"Seconds since the key sets of the environment's issuers were read, of the one that was read longest ago; +Inf: one was never read.",
			[]string{"environment"}, nil),
		keys: prometheus.NewDesc("playgate_jwks_usable_keys",
			"Usable keys in the smallest key set of the environment's issuers; 0: all viewers of one issuer are refused.",
			[]string{"environment"}, nil),
		held: prometheus.NewDesc("playgate_identity_remembered_entries",
			"Verified identities in memory.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (a *ages) Describe(out chan<- *prometheus.Desc) {
	out <- a.age
	out <- a.keys
	out <- a.held
}

// Collect implements prometheus.Collector.
func (a *ages) Collect(out chan<- prometheus.Metric) {
	current := a.verifier.roster.Load()
	now := a.verifier.now()
	for environment, list := range current.trusted {
		oldest, fewest := 0.0, math.MaxInt
		for _, i := range list {
			oldest = max(oldest, i.source.age(now))
			fewest = min(fewest, i.source.size())
		}
		out <- prometheus.MustNewConstMetric(a.age, prometheus.GaugeValue, oldest, string(environment))
		out <- prometheus.MustNewConstMetric(a.keys, prometheus.GaugeValue, float64(fewest), string(environment))
	}
	out <- prometheus.MustNewConstMetric(a.held, prometheus.GaugeValue, float64(current.memory.len()))
}

// age is how long ago the set was confirmed, in seconds, +Inf if never.
func (s *source) age(now time.Time) float64 {
	fresh := s.fresh.Load()
	if fresh == 0 {
		return math.Inf(1)
	}
	return max(now.Sub(time.Unix(0, fresh)).Seconds(), 0)
}

// size is how many keys could verify tokens, 0 before the set was loaded.
func (s *source) size() int {
	if set := s.set.Load(); set != nil {
		return len(set.keys)
	}
	return 0
}
