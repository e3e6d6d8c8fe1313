package signer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is how a request for a signature ended; a label of
// playgate_signatures_total.
type outcome int

const (
	signed      outcome = iota // a signature was computed
	noActiveKey                // the key does not sign any more
	queueFull                  // refused: the queue is full
	shareHeld                  // refused: the caller holds its share of the queue
	abandoned                  // whoever asked did not wait for it
	stopped                    // the pool stops
	failed                     // the claims or the backend are at fault
	unavailable                // the key signs elsewhere, and could not be asked
	outcomes
)

func (o outcome) String() string {
	return [...]string{"signed", "no_active_key", "queue_full", "share_held", "abandoned", "stopped", "failed", "unavailable"}[o]
}

type metrics struct {
	signatures [outcomes][2]prometheus.Counter // by outcome and by whether it was refresh-ahead
	seconds    prometheus.Histogram
	waiting    prometheus.Histogram
	faults     prometheus.Counter
}

// newMetrics makes the pool's metrics; depth gives the queue's length.
func newMetrics(r prometheus.Registerer, depth func() float64) *metrics {
	total := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_signatures_total",
		Help: "Signatures asked for, by result and by ahead (true: before the token was asked for). Results: signed, no_active_key, queue_full, share_held (the caller has its share of the queue), abandoned (the caller did not wait), stopped, failed and unavailable (the key signs in Vault, which does not answer).",
	}, []string{"result", "ahead"})
	m := &metrics{
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "playgate_signing_seconds",
			Help:    "Time to compute one signature, in seconds.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1},
		}),
		waiting: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "playgate_signing_wait_seconds",
			Help:    "Time that a signature waited in the queue, in seconds.",
			Buckets: []float64{.0001, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "playgate_signing_faults_total",
			Help: "Computed signatures that failed verification; they were discarded and computed again.",
		}),
	}
	for o := range outcomes {
		m.signatures[o] = [2]prometheus.Counter{
			total.WithLabelValues(o.String(), "false"),
			total.WithLabelValues(o.String(), "true"),
		}
	}
	if r != nil {
		r.MustRegister(total, m.seconds, m.waiting, m.faults, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "playgate_signing_queue_depth",
			Help: "Signatures waiting to be computed, those ahead of demand included.",
		}, depth))
	}
	return m
}

func (m *metrics) count(o outcome, ahead bool) {
	i := 0
	if ahead {
		i = 1
	}
	m.signatures[o][i].Inc()
}

func (m *metrics) observe(queued, begun time.Time, each time.Duration) {
	m.waiting.Observe(begun.Sub(queued).Seconds())
	m.seconds.Observe(each.Seconds())
}
