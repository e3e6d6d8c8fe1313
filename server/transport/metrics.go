package transport

import (
	"errors"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count the connections of one or more Connections, by Config.Name. Make
// them with NewMetrics.
type Metrics struct {
	refused *prometheus.CounterVec
	errors  *prometheus.CounterVec

	evicted, idle, busy, bytes, limit *prometheus.Desc

	mu     sync.Mutex // guards tables
	tables map[string]*table
}

// NewMetrics returns Metrics that the registerer publishes; nil: nobody does.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	const listener = "listener"
	m := &Metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_connections_refused_total",
			Help: "Connections closed unserved, by listener (public or admin) and by the limit that was reached: total, per_peer or memory.",
		}, []string{listener, "reason"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_accept_errors_total",
			Help: "Failures to accept a connection, by listener and by the kind of error; the listener goes on.",
		}, []string{listener, "error"}),
		evicted: describe("playgate_connections_evicted_total",
			"Connections that waited for their clients, by listener, closed because others needed the place or the memory: "+
				"there were as many as the listener may have (server.max_connections, for the public one), or as many bytes in flight as the memory limit has room for.",
			listener),
		idle:  describe("playgate_connections_idle", "Open connections that wait for the header of a request, by listener.", listener),
		busy:  describe("playgate_connections_busy", "Open connections with a request whose body is read or that is being answered, by listener.", listener),
		bytes: describe("playgate_in_flight_bytes", "Bytes in flight on the public listener: a fixed estimate for each connection, and the bodies of requests and large answers."),
		limit: describe("playgate_in_flight_limit_bytes", "Bytes in flight beyond which connections are closed and requests refused (error code overloaded)."),

		tables: map[string]*table{},
	}
	if registerer != nil {
		registerer.MustRegister(m.refused, m.errors, m)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.evicted, m.idle, m.busy, m.bytes, m.limit} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, t := range m.tables {
		idle, busy := t.counts()
		out <- prometheus.MustNewConstMetric(m.evicted, prometheus.CounterValue, float64(t.evicted.Load()), name)
		out <- prometheus.MustNewConstMetric(m.idle, prometheus.GaugeValue, float64(idle), name)
		out <- prometheus.MustNewConstMetric(m.busy, prometheus.GaugeValue, float64(busy), name)
		if name == PublicListener {
			out <- prometheus.MustNewConstMetric(m.bytes, prometheus.GaugeValue, float64(t.inFlight()))
			out <- prometheus.MustNewConstMetric(m.limit, prometheus.GaugeValue, float64(t.limits.Bytes))
		}
	}
}

// add has the connections of a table counted under a name.
func (m *Metrics) add(name string, t *table) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tables[name] = t
}

// failed counts a failure under one of a few names.
func (m *Metrics) failed(listener string, err error) {
	name := "other"
	for number, known := range map[syscall.Errno]string{
		syscall.EMFILE: "EMFILE", syscall.ENFILE: "ENFILE", syscall.ENOBUFS: "ENOBUFS",
		syscall.ENOMEM: "ENOMEM", syscall.ECONNABORTED: "ECONNABORTED",
	} {
		if errors.Is(err, number) {
			name = known
		}
	}
	m.errors.WithLabelValues(listener, name).Inc()
}
