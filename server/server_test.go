package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/server"
	"github.com/playgate/playgate/tenant"
)

func TestAPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(context.Context, *issuer.Environment, *issuer.Request) (*issuer.Answer, error) { panic("hunter2") })
	for range 3 {
		r := k.get(aToken, bearer(acmeViewer), "Origin: "+acmePage)
		k.want(r, 500, playback.CodeInternalError)
		if strings.Contains(r.body, "hunter2") {
			t.Errorf("the panic reached the client: %s", r.body)
		}
		diff(t, "CORS", corsOf(r).Origin, acmePage)
	}
	log := k.log.text()
	if !strings.Contains(log, "panic: hunter2") || !strings.Contains(log, "server_test.go") {
		t.Errorf("the log has no stack: %s", log)
	}
}

func TestDrainMovesClientsAway(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	if r := k.get(aToken, bearer(acmeViewer)); r.Close {
		t.Error("closes before Drain")
	}
	k.server.Drain()
	for _, r := range []response{k.get(aToken, bearer(acmeViewer)), k.get("/nowhere"), k.get("/.well-known/jwks.json")} {
		if !r.Close {
			t.Errorf("%d does not close after Drain", r.StatusCode)
		}
	}
}

// serving returns a server of its own and the end of its Serve.
func serving(t *testing.T) (*kit, net.Addr, <-chan error) {
	t.Helper()
	k := start(t, options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- k.server.Serve(l, nil) }()
	return k, l.Addr(), served
}

func TestShutdownWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	k, addr, served := serving(t)
	begun, finish := make(chan struct{}), make(chan struct{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		close(begun)
		<-finish
		return granting(req, playback.PolicySigned), nil
	})
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, message("GET", aToken, "", []string{bearer(acmeViewer)})); err != nil {
		t.Fatal(err)
	}
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := k.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown() = %v, want a deadline", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve() = %v, want nil", err)
	}
	close(finish)
	r := k.read("GET", bufio.NewReader(conn))
	k.want(r, 200, "")
	if !r.Close {
		t.Error("the connection stays open after Shutdown")
	}
	if _, err := net.Dial("tcp", addr.String()); err == nil {
		t.Error("a connection was accepted after Shutdown")
	}
}

func TestLifecycleInEveryOrder(t *testing.T) {
	t.Parallel()
	k, _, served := serving(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := k.server.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown() = %v", err)
			}
		})
	}
	wg.Wait()
	if err := <-served; err != nil {
		t.Errorf("Serve() = %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.server.Serve(l, nil); err != nil {
		t.Errorf("Serve() after Shutdown = %v, want nil at once", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}

func TestServeReturnsWhatTheListenerFailsWith(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	if err := k.server.Serve(failing{}, nil); err == nil || !strings.Contains(err.Error(), "out of files") {
		t.Errorf("Serve() = %v", err)
	}
}

type failing struct{}

func (failing) Accept() (net.Conn, error) { return nil, errors.New("out of files") }
func (failing) Close() error              { return nil }
func (failing) Addr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func TestPagesAreServedBesideTheAPI(t *testing.T) {
	t.Parallel()
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Page", r.URL.Path)
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RawQuery, body)
	})
	k := start(t, options{pages: map[string]http.Handler{"/demo/": pages}})
	r := k.raw("PUT", message("PUT", "/demo/a/b?c=d", "hello", []string{"Authorization: junk"}))
	if r.StatusCode != 202 || r.body != "PUT c=d hello" || r.Header.Get("X-Page") != "/demo/a/b" || limits(r) != "" {
		t.Errorf("answered %d %q %v", r.StatusCode, r.body, r.Header)
	}
	checkAnswer(t, r)
	k.want(k.raw("PUT", message("PUT", "/demo/a", strings.Repeat("x", 70<<10), nil)), 413, playback.CodePayloadTooLarge)
	if r := k.get("/demo/"); r.StatusCode != 202 {
		t.Errorf("GET /demo/: answered %d", r.StatusCode)
	}
	if r := k.get("/demo"); r.StatusCode != 202 || r.Header.Get("X-Page") != "/demo" {
		t.Errorf("GET /demo: answered %d: the pages redirect it themselves", r.StatusCode)
	}
	k.want(k.get("/demography"), 404, playback.CodeNotFound)
	k.want(k.get("/demo/", "Host: stream."+acmeHost), 404, playback.CodeNotFound)
}

func TestAccessLogSamplesWhatIsNoRefusal(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]int{"all": 10, "1/5": 2, "1/100": 0, "errors": 0, "": 0, "nonsense": 10} {
		k := start(t, options{accessLog: setting})
		for range 10 {
			k.get(aToken, bearer(acmeViewer))
		}
		if got := strings.Count(k.log.text(), `"msg":"request"`); got != want {
			t.Errorf("%q: %d of 10 answers logged, want %d", setting, got, want)
		}
		k.get(aToken)
		k.get("/nowhere")
		if got := strings.Count(k.log.text(), `"level":"INFO","msg":"request"`); got != want+2 {
			t.Errorf("%q: %d lines after two refusals, want %d", setting, got, want+2)
		}
	}
	k := start(t, options{accessLog: "errors"})
	k.get(aToken, bearer(acmeViewer))
	k.server.SetAccessLog("all")
	k.get(aToken, bearer(acmeViewer))
	if got := strings.Count(k.log.text(), `"msg":"request"`); got != 1 {
		t.Errorf("%d answers logged, want the second", got)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	o := withLimits("2-M", "", "")
	k := start(t, o)
	for range 3 {
		k.get(aToken, bearer(acmeViewer))
	}
	k.call("BREW", aToken)
	k.get("/nowhere/1")
	k.get("/nowhere/2")
	k.get("/stream/P.m3u8", bearer(acmeViewer)+"x")
	k.issuer.answers(refusing(playback.Denied("a_reason_of_the_operators")))
	k.get("/stream/Q.m3u8", basicAuth(acmeBackend, secret))
	k.raw("GET", "junk\r\n\r\n")
	diff(t, "requests", k.counters(t, "playgate_http_requests_total"), map[string]float64{
		"acme-prod GET /stream/{id}.m3u8 302":              1,
		"acme-prod GET /stream/{id}.m3u8 403":              1,
		"acme-prod GET /v1/playback-ids/{id}/token 200":    2,
		"acme-prod GET /v1/playback-ids/{id}/token 429":    1,
		"acme-prod GET _none 404":                          2,
		"acme-prod _OTHER /v1/playback-ids/{id}/token 405": 1,
		" GET _none 400":                                   1,
	})
	diff(t, "rate limited", k.counters(t, "playgate_rate_limited_total"), map[string]float64{"viewer": 1, "ip": 0, "access_token": 0})
	diff(t, "refusals", k.counters(t, "playgate_refusals_total"), map[string]float64{
		"denied_by_rule acme-prod": 1, "rate_limited acme-prod": 1, "not_found acme-prod": 2, "method_not_allowed acme-prod": 1, "invalid_request ": 1,
	})
}

// TestMetricsFollowTheConfiguration: an environment has series from its first
// request on, keeps its counts over a reload, and has none when it is gone, even
// if a request of the old configuration is answered after that.
func TestMetricsFollowTheConfiguration(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	requests := func(want map[string]float64) {
		t.Helper()
		diff(t, "requests", k.counters(t, "playgate_http_requests_total"), want)
	}
	requests(map[string]float64{})
	const route = " GET /v1/playback-ids/{id}/token "
	k.get(aToken, bearer(acmeViewer))
	k.get(aToken, "Host: "+globexHost, bearer("nobody"))
	requests(map[string]float64{"acme-prod" + route + "200": 1, "globex-prod" + route + "401": 1})
	diff(t, "refusals", k.counters(t, "playgate_refusals_total"), map[string]float64{"invalid_credentials globex-prod": 1})

	whole := k.snapshot.Load()
	k.configure(options{tenants: tenants()[1:]})
	k.get(aToken, "Host: "+globexHost, bearer("nobody"))
	requests(map[string]float64{"globex-prod" + route + "401": 2})

	k.snapshot.Store(whole)
	began := make(chan struct{})
	ends := make(chan struct{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, r *issuer.Request) (*issuer.Answer, error) {
		close(began)
		<-ends
		return granting(r, playback.PolicySigned), nil
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.get(aToken, bearer(acmeViewer))
	}()
	<-began
	k.configure(options{tenants: tenants()[1:]})
	close(ends)
	<-done
	requests(map[string]float64{"globex-prod" + route + "401": 2})
}

// TestConcurrentRequestsAreAllCounted, the first of their kind, too.
func TestConcurrentRequestsAreAllCounted(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				k.get(aToken, bearer(acmeViewer))
				k.get("/nowhere")
			}
		})
	}
	wg.Wait()
	diff(t, "requests", k.counters(t, "playgate_http_requests_total"), map[string]float64{
		"acme-prod GET /v1/playback-ids/{id}/token 200": 160, "acme-prod GET _none 404": 160,
	})
}

// counters returns a counter's children by their labels' values.
func (k *kit) counters(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := k.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() { // sorted by name
				labels = append(labels, l.GetValue())
			}
			out[strings.Join(labels, " ")] = m.GetCounter().GetValue()
		}
	}
	return out
}

// TestNothingOfARequestIsKeptInFibersBuffers asks for many distinct things at
// once and looks afterwards at what the issuer was given: fiber reuses the memory
// of its strings, so what was not copied has been overwritten by then.
func TestNothingOfARequestIsKeptInFibersBuffers(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const workers, rounds = 16, 40
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			conn, err := k.listener.Dial()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			for n := range rounds {
				tag := fmt.Sprintf("w%02dn%03d", w, n)
				headers := []string{bearer("idp-acme.playgate." + tag), "User-Agent: ua-" + tag, "Origin: https://" + tag, "Referer: https://r-" + tag + "/", "X-Request-Id: " + tag}
				msg := message("GET", "/v1/playback-ids/"+tag+"/token?type=video&exclude_pdt=true&default_subtitles_lang=en-"+tag+"&session_id="+tag, "", headers)
				switch n % 4 {
				case 1:
					msg = message("POST", "/v1/tokens", `{"playback_id":"`+tag+`","params":{"video":{"exclude_pdt":"true","default_subtitles_lang":"en-`+tag+`"}},"session_id":"`+tag+`"}`,
						append(headers, "Content-Type: application/json"))
				case 2:
					msg = message("GET", "/stream/"+tag+"/"+tag+".mp4?exclude_pdt=true&default_subtitles_lang=en-"+tag+"&session_id="+tag, "", headers)
				case 3:
					msg = message("GET", "/stream/"+tag+"/text/"+tag+".vtt?default_subtitles_lang=en-"+tag+"&session_id="+tag+"&exclude_pdt=true", "", headers)
				}
				if _, err := io.WriteString(conn, msg); err != nil {
					t.Error(err)
					return
				}
				if got := k.read("GET", r); got.Header.Get("X-Request-Id") != tag || got.StatusCode >= 400 {
					t.Errorf("%s: answered %d as %s: %s", tag, got.StatusCode, got.Header.Get("X-Request-Id"), got.body)
				}
			}
		})
	}
	wg.Wait()
	if n := k.issuer.count(); n != workers*rounds {
		t.Fatalf("the issuer was asked %d times, want %d", n, workers*rounds)
	}
	for _, a := range k.issuer.calls {
		tag := string(a.PlaybackID)
		lang, _ := a.Params[playback.Video].Get("default_subtitles_lang")
		pdt, _ := a.Params[playback.Video].Get("exclude_pdt")
		if a.Viewer.ID != tag || string(a.SessionID) != tag || a.Client.UserAgent != "ua-"+tag || a.Client.Origin != "https://"+tag ||
			a.Client.Referrer != "https://r-"+tag+"/" || lang.JSON != `"en-`+tag+`"` || pdt.JSON != "true" || a.Caller != "v:acme-prod:main:"+tag ||
			a.File != "" && a.File != tag+".mp4" && a.File != "text/"+tag+".vtt" {
			t.Fatalf("%s: the issuer kept %+v %+v %+v", tag, a, *a.Viewer, *a.Client)
		}
	}
}

func TestSnapshotsReportAllTheirProblems(t *testing.T) {
	t.Parallel()
	o := tenants()
	o[0].Environments[0].RateLimits = tenant.RateLimits{Viewer: "x", IP: "0-M", AccessToken: "5-Y"}
	directory, err := tenant.New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = server.NewSnapshot(server.SnapshotConfig{Directory: directory, UnresolvedRateLimit: "-1-M"})
	if err == nil {
		t.Fatal("NewSnapshot() accepts them")
	}
	for _, want := range []string{"unresolved_rate_limit", "rate_limits.viewer", "rate_limits.ip", "rate_limits.access_token", "acme-prod has nothing to mint from", "globex-prod has"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("NewSnapshot() = %v, lacks %q", err, want)
		}
	}
}

// TestTimeIsAskedAgainAfterAWait: a request that was there at once is judged
// as of its start; one that waited for its body, or for a viewer token to be
// verified, as of the moment when it is judged, which the issuer finds out.
func TestTimeIsAskedAgainAfterAWait(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const body = `{"playback_id":"PID1"}`
	for _, c := range []struct {
		name string
		send func() response
		want time.Time
	}{
		{"verified now", func() response { return k.get(aToken, bearer(acmeViewer)) }, time.Time{}},
		{"remembered", func() response { return k.get(aToken, bearer(acmeViewer)) }, k.clock.Now()},
		{"with a body", func() response { return k.post("/v1/tokens", body, bearer(acmeViewer)) }, time.Time{}},
		{"a backend", func() response { return k.get(aToken, basicAuth(acmeBackend, secret)) }, k.clock.Now()},
	} {
		k.want(c.send(), 200, "")
		if got := k.issuer.last(t).Now; !got.Equal(c.want) {
			t.Errorf("%s: the issuer is told %v, want %v", c.name, got, c.want)
		}
	}
}
