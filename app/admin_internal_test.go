package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestTheAdminListenerOnLoopbackIsForItsOwnNames: a page whose name resolves to
// 127.0.0.1 reads nothing (DNS rebinding).
func TestTheAdminListenerOnLoopbackIsForItsOwnNames(t *testing.T) {
	t.Parallel()
	v4, v6 := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9090}, &net.TCPAddr{IP: net.IPv6loopback, Port: 9090}
	other := &net.TCPAddr{IP: net.IPv4(127, 1, 2, 3), Port: 9090}
	outside, everywhere := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9090}, &net.TCPAddr{IP: net.IPv6unspecified, Port: 9090}
	for _, test := range []struct {
		listen string
		bound  net.Addr
		host   string
		want   int
	}{
		{"127.0.0.1:9090", v4, "127.0.0.1:9090", 200},
		{"127.0.0.1:9090", v4, "127.0.0.1", 200},
		{"127.0.0.1:9090", v4, "localhost:12345", 200},
		{"127.0.0.1:9090", v4, "LocalHost.", 200},
		{"127.0.0.1:9090", v4, "[::1]:9090", 200},
		{"127.0.0.1:9090", v4, "[::1]", 200},
		{"127.0.0.1:9090", v4, "", 200},
		{"127.0.0.1:9090", v4, "evil.example", 421},
		{"127.0.0.1:9090", v4, "evil.example:9090", 421},
		{"127.0.0.1:9090", v4, "localhost.evil.example", 421},
		{"127.0.0.1:9090", v4, "127.0.0.1.evil.example:9090", 421},
		{"127.0.0.1:9090", v4, "192.0.2.1", 421},
		{"127.0.0.1:9090", v4, "0.0.0.0:9090", 421},
		{"[::1]:9090", v6, "evil.example", 421},
		{"[::1]:9090", v6, "[::1]:9090", 200},
		{"127.1.2.3:9090", other, "127.1.2.3:9090", 200},
		{"127.1.2.3:9090", other, "127.1.2.4:9090", 421},
		{"Admin.internal:9090", v4, "admin.internal:9090", 200},
		{"Admin.internal:9090", v4, "evil.example:9090", 421},
		{"192.0.2.1:9090", outside, "metrics.example", 200},
		{":9090", everywhere, "metrics.example", 200},
	} {
		server := newAdminServer(adminConfig{
			log:   slog.New(slog.DiscardHandler),
			ready: func() readiness { return readiness{Status: statusReady} }, gatherer: prometheus.NewRegistry(), pprof: true,
			hosts: adminHosts(test.listen, test.bound),
		})
		for _, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/cmdline"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.Host = test.host
			w := httptest.NewRecorder()
			server.Handler.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("%s listening on %s, asked for %q: %d, want %d: %s", path, test.listen, test.host, w.Code, test.want, w.Body)
			}
		}
	}
}

// TestTheAdminListenerWaitsForNobody: every direction has its timeout.
func TestTheAdminListenerWaitsForNobody(t *testing.T) {
	t.Parallel()
	server := newAdminServer(adminConfig{log: slog.New(slog.DiscardHandler), gatherer: prometheus.NewRegistry()})
	for name, timeout := range map[string]time.Duration{
		"header": server.ReadHeaderTimeout, "request": server.ReadTimeout, "answer": server.WriteTimeout, "idle": server.IdleTimeout,
	} {
		if timeout <= 0 || timeout > time.Minute {
			t.Errorf("the timeout of the %s is %v, want one of at most a minute", name, timeout)
		}
	}
}

// TestATraceMayTakeLongerThanTheReadTimeout, which would end its request.
func TestATraceMayTakeLongerThanTheReadTimeout(t *testing.T) { //nolint:paralleltest // the process has one execution trace
	server := newAdminServer(adminConfig{log: slog.New(slog.DiscardHandler), gatherer: prometheus.NewRegistry(), pprof: true})
	server.ReadTimeout = time.Second
	var ended error
	inner := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		ended = r.Context().Err()
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+"/debug/pprof/trace?seconds=1.5", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	var body strings.Builder
	if err := response.Write(&body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the trace ended with status %d, %v", response.StatusCode, err)
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if ended != nil {
		t.Errorf("the request ended before its time: %v", ended)
	}
}

// TestLinesOfTheAdminServerAreFew: whoever reaches the listener can cause one of
// net/http's with each request, for example by a semicolon in the query.
func TestLinesOfTheAdminServerAreFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := newAdminServer(adminConfig{log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 1000 {
			s.ErrorLog.Print("http: URL query contains semicolon") //nolint:forbidigo // as net/http does
		}
		if n := strings.Count(log.String(), "semicolon"); n != libraryLines {
			t.Errorf("%d lines in one second, want %d", n, libraryLines)
		}
	})
}
