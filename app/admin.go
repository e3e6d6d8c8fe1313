package app

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readiness says whether traffic should come here, and if not, why.
type readiness struct {
	Status   string   `json:"status"`             // ready | not_ready
	Degraded []string `json:"degraded,omitempty"` // the dependencies that do not answer
	Reasons  []string `json:"reasons,omitempty"`
}

// adminConfig is what the admin listener serves.
type adminConfig struct {
	ready    func() readiness
	gatherer prometheus.Gatherer
	pprof    bool
	log      *slog.Logger
}

// newAdminServer returns the operators' listener: liveness says that the
// process answers, readiness that every environment's keys were tried and one
// can sign. A dependency that is down now but was up before does not make the
// gateway unready: it serves from what it knows.
func newAdminServer(cfg adminConfig) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeStatus(w, http.StatusOK, readiness{Status: "live"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := cfg.ready()
		code := http.StatusOK
		if r.Status != statusReady {
			code = http.StatusServiceUnavailable
		}
		writeStatus(w, code, r)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	if cfg.pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(cfg.log.Handler(), slog.LevelWarn), // the default writes to standard error, and waits
	}
}

const (
	statusReady    = "ready"
	statusNotReady = "not_ready"
)

func writeStatus(w http.ResponseWriter, code int, body readiness) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the peer may be gone; nobody is left to tell
}
