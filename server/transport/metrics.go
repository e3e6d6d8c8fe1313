package transport

import (
	"errors"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	refused *prometheus.CounterVec
	errors  *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer, t *table) *metrics {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_connections_refused_total",
			Help: "Connections closed unserved, by the limit that was reached: total or per_peer.",
		}, []string{"reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_accept_errors_total",
			Help: "Failures to accept a connection, by the kind of error; the listener goes on.",
		}, []string{"error"}),
	}
	if registerer == nil {
		return m
	}
	registerer.MustRegister(m.refused, m.errors,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "playgate_connections_evicted_total",
			Help: "Idle connections closed because a new one came and there were as many as server.max_connections allows.",
		}, func() float64 { return float64(t.evicted.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "playgate_connections_idle",
			Help: "Open connections that wait for the header of a request.",
		}, func() float64 { idle, _ := t.counts(); return float64(idle) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "playgate_connections_busy",
			Help: "Open connections with a request that is being answered.",
		}, func() float64 { _, busy := t.counts(); return float64(busy) }),
	)
	return m
}

// failed counts a failure under one of a few names.
func (m *metrics) failed(err error) {
	name := "other"
	for number, known := range map[syscall.Errno]string{
		syscall.EMFILE: "EMFILE", syscall.ENFILE: "ENFILE", syscall.ENOBUFS: "ENOBUFS",
		syscall.ENOMEM: "ENOMEM", syscall.ECONNABORTED: "ECONNABORTED",
	} {
		if errors.Is(err, number) {
			name = known
		}
	}
	m.errors.WithLabelValues(name).Inc()
}
