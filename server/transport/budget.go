package transport

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Budget bounds how many bytes of request bodies are in memory, in all requests
// together.
type Budget struct {
	size    int64
	used    atomic.Int64
	refused prometheus.Counter
}

// NewBudget returns a Budget of so many bytes. registerer may be nil.
func NewBudget(size int64, registerer prometheus.Registerer) *Budget {
	b := &Budget{size: size, refused: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "playgate_bodies_refused_total",
		Help: "Requests refused with 503 because the bodies of all requests together would take more memory than there is for them.",
	})}
	if registerer != nil {
		registerer.MustRegister(b.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "playgate_bodies_bytes", Help: "Bytes of request bodies in memory.",
		}, func() float64 { return float64(b.used.Load()) }))
	}
	return b
}

// Take takes bytes, which Release gives back; false: there are not so many left.
func (b *Budget) Take(bytes int) bool {
	if b.used.Add(int64(bytes)) <= b.size {
		return true
	}
	b.used.Add(-int64(bytes))
	b.refused.Inc()
	return false
}

// Release gives bytes back.
func (b *Budget) Release(bytes int) { b.used.Add(-int64(bytes)) }
