package server

import (
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/middleware"
	"github.com/playgate/playgate/playback"
)

// noRoute labels what no route answered.
const noRoute = "_none"

// deniedByRule stands for every reason of a deny rule: operators choose them,
// so they must not become labels.
const deniedByRule = "denied_by_rule"

// statuses are those that the gateway answers with; another one is counted as
// the first.
func statuses() []int {
	return []int{500, 200, 201, 204, 302, 304, 307, 400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 429, 431, 503}
}

// metrics counts what is answered, by environment once that had a request.
type metrics struct {
	counts   *counts
	routes   []routeMetrics // by middleware.Endpoint.Number
	methods  []string
	statuses []int
	codes    []string // of refusals; the last stands for all reasons of deny rules
	places   map[playback.Code]uint32

	requests, refusals *prometheus.Desc
}

type routeMetrics struct {
	name string
	took prometheus.Observer
}

// newMetrics makes the metrics. exists reports whether an environment is in the
// configuration in force: what was counted of another one is not published.
func newMetrics(routes []*compiled, registerer prometheus.Registerer, exists func(playback.EnvironmentID) bool) *metrics {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "playgate_http_request_duration_seconds",
		Help: "Time from the first header of a request to the end of its answer, by route.",
		Buckets: []float64{
			50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10,
		},
	}, []string{"route"})
	m := &metrics{
		counts:   newCounts(1+len(routes), exists),
		methods:  append(append([]string(nil), fiber.DefaultMethods...), otherMethod),
		statuses: statuses(),
		places:   map[playback.Code]uint32{},
		requests: prometheus.NewDesc("playgate_http_requests_total",
			"Requests answered, by environment, route, method and status. The environment is that of the credential, else that of the host; empty: neither names one.",
			[]string{"environment", "route", "method", "status"}, nil),
		refusals: prometheus.NewDesc("playgate_refusals_total",
			"Requests and items of batches answered with an error, by environment and error code; denied_by_rule stands for the reasons of all deny rules.",
			[]string{"environment", "code"}, nil),
	}
	m.routes = append(m.routes, routeMetrics{noRoute, took.WithLabelValues(noRoute)})
	for _, r := range routes {
		m.routes = append(m.routes, routeMetrics{r.Route, took.WithLabelValues(r.Route)})
	}
	for _, doc := range append(playback.Codes(), transportCodes()...) {
		m.places[doc.Code] = uint32(len(m.codes)) //nolint:gosec // dozens
		m.codes = append(m.codes, string(doc.Code))
	}
	m.codes = append(m.codes, deniedByRule)
	if registerer != nil {
		registerer.MustRegister(took, m)
	}
	return m
}

// observe counts one answer.
func (m *metrics) observe(c *fiber.Ctx, x *middleware.Exchange, took time.Duration) {
	number := 0
	if x.Endpoint != nil {
		number = x.Endpoint.Number
	}
	m.routes[number].took.Observe(took.Seconds())
	method := slices.Index(m.methods, c.Method())
	if method < 0 {
		method = len(m.methods) - 1
	}
	status := max(0, slices.Index(m.statuses, c.Response().StatusCode()))
	m.counts.of(x).requests[number].add(uint32(method*len(m.statuses) + status)) //nolint:gosec // a few hundred
}

// refused counts one refusal.
func (m *metrics) refused(x *middleware.Exchange, code playback.Code) {
	place, ok := m.places[code]
	if !ok {
		place = uint32(len(m.codes) - 1) //nolint:gosec // dozens
	}
	m.counts.of(x).refusals.add(place)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.requests
	out <- m.refusals
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	for id, counted := range m.counts.all() {
		for number := range counted.requests {
			counted.requests[number].each(func(key uint32, n uint64) {
				method, status := int(key)/len(m.statuses), int(key)%len(m.statuses)
				counter(m.requests, n, string(id), m.routes[number].name, m.methods[method], strconv.Itoa(m.statuses[status]))
			})
		}
		counted.refusals.each(func(place uint32, n uint64) { counter(m.refusals, n, string(id), m.codes[place]) })
	}
}
