package app

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/playgate/playgate/server/transport"
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
	hosts    []string // that a request may be meant for, nil: any
	log      *slog.Logger
}

// The times that the admin listener gives a peer. A profile or trace of some
// seconds has those on top of adminWrite, see unhurried.
const (
	adminReadHeader = 5 * time.Second
	adminRead       = 10 * time.Second
	adminWrite      = 30 * time.Second
	adminIdle       = time.Minute
)

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
		mux.HandleFunc("GET /debug/pprof/profile", unhurried(pprof.Profile))
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", unhurried(pprof.Trace))
	}
	return &http.Server{
		Handler:           answering(meantForUs(mux, cfg.hosts)),
		ReadHeaderTimeout: adminReadHeader,
		ReadTimeout:       adminRead,
		WriteTimeout:      adminWrite,
		IdleTimeout:       adminIdle,
		MaxHeaderBytes:    16 << 10,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, c)
		},
		ErrorLog: slog.NewLogLogger(libraryLog(cfg.log).Handler(), slog.LevelWarn),
	}
}

// connectionKey is where a request's context has its connection.
type connectionKey struct{}

// answering tells the connection of a request, which could otherwise be closed to
// make room for another.
func answering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _ := r.Context().Value(connectionKey{}).(*transport.Conn)
		conn.Busy()
		defer func() { conn.Idle(time.Now()) }()
		next.ServeHTTP(w, r)
	})
}

// unhurried takes the read timeout from a request whose answer takes its time on
// purpose: net/http would end the request's context with it. net/http/pprof moves
// the write timeout itself.
func unhurried(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil {
			http.Error(w, "The read timeout cannot be changed.", http.StatusInternalServerError)
			return
		}
		next(w, r)
	}
}

// adminHosts returns the hosts that requests to the admin listener may be meant for,
// nil for any. A listener on loopback is there for this machine alone, but a browser
// on it may be made to ask: a page of any name can have that name resolved to a
// loopback address (DNS rebinding), and read the answer as its own. Elsewhere
// scrapers and probes use any name.
func adminHosts(listen string, bound net.Addr) []string {
	tcp, ok := bound.(*net.TCPAddr)
	if !ok || !tcp.IP.IsLoopback() {
		return nil
	}
	hosts := []string{"localhost", "127.0.0.1", "::1", tcp.IP.String()}
	if host, _, err := net.SplitHostPort(listen); err == nil {
		hosts = append(hosts, strings.ToLower(host))
	}
	return hosts
}

// meantForUs refuses requests that are meant for another host. One that names none
// was not made by a browser.
func meantForUs(next http.Handler, hosts []string) http.Handler {
	if hosts == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "" && !slices.Contains(hosts, hostOf(r.Host)) {
			http.Error(w, "The admin listener is on loopback, and answers requests for localhost, 127.0.0.1, [::1] "+
				"and its own address alone.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostOf returns the host of a Host header, without port, brackets and trailing
// dot, in lower case.
func hostOf(authority string) string {
	host, _, err := net.SplitHostPort(authority)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(authority, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
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
