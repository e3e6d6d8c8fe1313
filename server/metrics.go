package server

import (
	"slices"
	"strconv"
	"sync/atomic"
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

// metrics counts what is answered. Its label children are resolved once: those
// of requests when they are first needed, since most never are.
type metrics struct {
	requests *prometheus.CounterVec
	methods  []string
	statuses []int
	routes   []*routeMetrics // by middleware.Endpoint.Number
	refusals map[playback.Code]prometheus.Counter
	denied   prometheus.Counter
}

type routeMetrics struct {
	name     string
	took     prometheus.Observer
	requests []atomic.Pointer[prometheus.Counter] // by method and status
}

func newMetrics(routes []*compiled, registerer prometheus.Registerer) *metrics {
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "playgate_http_request_duration_seconds",
		Help: "Time from the first header to the complete answer, by route.",
		Buckets: []float64{
			50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10,
		},
	}, []string{"route"})
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "playgate_refusals_total",
		Help: "Refusals and errors, items of batches included, by code; the reasons of deny rules are one.",
	}, []string{"code"})
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "playgate_http_requests_total",
			Help: "Answered requests, by route, method and status.",
		}, []string{"route", "method", "status"}),
		methods:  append(append([]string(nil), fiber.DefaultMethods...), otherMethod),
		statuses: statuses(),
		refusals: map[playback.Code]prometheus.Counter{},
		denied:   refusals.WithLabelValues(deniedByRule),
	}
	names := []string{noRoute}
	for _, r := range routes {
		names = append(names, r.Route)
	}
	for _, name := range names {
		m.routes = append(m.routes, &routeMetrics{
			name: name, took: took.WithLabelValues(name),
			requests: make([]atomic.Pointer[prometheus.Counter], len(m.methods)*len(m.statuses)),
		})
	}
	for _, doc := range append(playback.Codes(), transportCodes()...) {
		m.refusals[doc.Code] = refusals.WithLabelValues(string(doc.Code))
	}
	if registerer != nil {
		registerer.MustRegister(took, refusals, m.requests)
	}
	return m
}

// observe counts one answer.
func (m *metrics) observe(c *fiber.Ctx, x *middleware.Exchange, took time.Duration) {
	number := 0
	if x.Endpoint != nil {
		number = x.Endpoint.Number
	}
	r := m.routes[number]
	r.took.Observe(took.Seconds())
	method := slices.Index(m.methods, c.Method())
	if method < 0 {
		method = len(m.methods) - 1
	}
	status := max(0, slices.Index(m.statuses, c.Response().StatusCode()))
	child := &r.requests[method*len(m.statuses)+status]
	counter := child.Load()
	if counter == nil {
		made := m.requests.WithLabelValues(r.name, m.methods[method], strconv.Itoa(m.statuses[status]))
		counter = &made
		child.Store(counter)
	}
	(*counter).Inc()
}

// refused counts one refusal.
func (m *metrics) refused(code playback.Code) {
	if counter, ok := m.refusals[code]; ok {
		counter.Inc()
		return
	}
	m.denied.Inc()
}
