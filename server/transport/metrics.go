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
			Help: "Connections closed unserved, by the limit that was reached: total, per_peer or memory.",
		}, []string{"reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_accept_errors_total",
			Help: "Failures to accept a connection, by the kind of error; the listener goes on.",
		}, []string{"error"}),
	}
	if registerer == nil {
		return m
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	registerer.MustRegister(m.refused, m.errors,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "playgate_connections_evicted_total",
			Help: "Connections that waited for their clients, closed because others needed the place or the memory: " +
				"there were as many as server.max_connections allows, or as many bytes in flight as the memory limit has room for.",
		}, func() float64 { return float64(t.evicted.Load()) }),
		gauge("playgate_connections_idle", "Open connections that wait for the header of a request.",
			func() float64 { idle, _ := t.counts(); return float64(idle) }),
		gauge("playgate_connections_busy", "Open connections with a request whose body is read or that is being answered.",
			func() float64 { _, busy := t.counts(); return float64(busy) }),
		gauge("playgate_in_flight_bytes", "Bytes in flight: a fixed estimate for each connection, and the bodies of requests and large answers.",
			func() float64 { return float64(t.inFlight()) }),
		gauge("playgate_in_flight_limit_bytes", "Bytes in flight beyond which connections are closed and requests refused (error code overloaded).",
			func() float64 { return float64(t.limits.Bytes) }),
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
