package e2e_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launchPiped runs a gateway whose standard output and error are one pipe, which
// is read until it listens. What happens to it then is the test's business.
func launchPiped(t testing.TB, content files) (*gateway, *os.File) {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), log: &logBuffer{}, exited: make(chan error, 1)}
	for name, text := range content {
		g.write(name, text)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	g.cmd = exec.Command(binary, "serve", "--config", filepath.Join(g.dir, "playgate.yaml"))
	g.cmd.Stdout, g.cmd.Stderr = w, w
	if err := errors.Join(g.cmd.Start(), w.Close()); err != nil {
		t.Fatal(err)
	}
	go func() { g.exited <- g.cmd.Wait() }()
	t.Cleanup(g.kill)
	lines := bufio.NewReader(r)
	for g.url == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%v before it listens:\n%s", err, g.log)
		}
		_, _ = g.log.Write([]byte(line))
		if serving, ok := g.find("serving"); ok {
			g.url, g.admin = "http://"+serving["address"].(string), "http://"+serving["admin"].(string)
		}
	}
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	return g, r
}

// loggingWorld logs every answer, and every decision to the same pipe.
func loggingWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "", "acme")
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], "log: {access: errors}", "log: {access: all}", 1) +
		"decisions: {output: stdout, allow: all, pseudonym_key_file: pseudonyms}\n"
	w.files["pseudonyms"] = "a key of pseudonyms for the tests"
	return w
}

// sample returns the value of a metric, with its labels as /metrics writes them.
func (g *gateway) sample(name string) float64 {
	g.t.Helper()
	for line := range strings.Lines(string(must(g.t, http.MethodGet, g.admin+"/metrics", "").body)) {
		if text, ok := strings.CutPrefix(line, name+" "); ok {
			value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return value
		}
	}
	g.t.Fatalf("there is no metric %s", name)
	return 0
}

// askBoth asks for a token, which is minted, and without a credential, which is
// refused.
func (g *gateway) askBoth() {
	g.t.Helper()
	url := g.url + "/v1/playback-ids/PIDacme/token"
	if r := must(g.t, http.MethodGet, url, "", "Authorization", basic("tok-acme")); r.status != http.StatusOK {
		g.t.Fatalf("answered %d %s, want 200", r.status, r.body)
	}
	if r := must(g.t, http.MethodGet, url, ""); r.status != http.StatusUnauthorized {
		g.t.Fatalf("answered %d %s, want 401", r.status, r.body)
	}
}

// reasons returns what /readyz says beside ready.
func (g *gateway) reasons() string {
	g.t.Helper()
	r := must(g.t, http.MethodGet, g.admin+"/readyz", "")
	if r.status != http.StatusOK {
		g.t.Fatalf("not ready: %s", r.body)
	}
	return string(r.body)
}

// TestChaosAnUnreadLogPipeStopsNothing: nobody reads standard output and error
// any more. The pipe and the queue fill, and requests are answered as before.
func TestChaosAnUnreadLogPipeStopsNothing(t *testing.T) {
	t.Parallel()
	g, _ := launchPiped(t, loggingWorld(t).files)
	stop := load(g.url+"/v1/playback-ids/%s/token", "Authorization", basic("tok-acme"))
	g.await("lines that are dropped", func() bool { return g.sample(`playgate_log_dropped_total{level="info"}`) > 0 })
	if answers, bad := stop(); bad != "" {
		t.Fatalf("after %d answers: %s", answers, bad)
	}
	goroutines, descriptors := g.sample("go_goroutines"), g.sample("process_open_fds")
	for range 500 {
		g.askBoth()
	}
	if now := g.sample("go_goroutines"); now > goroutines+20 {
		t.Errorf("%v goroutines became %v", goroutines, now)
	}
	if now := g.sample("process_open_fds"); now > descriptors+20 {
		t.Errorf("%v descriptors became %v", descriptors, now)
	}
	g.await("the reason in /readyz", func() bool { return strings.Contains(g.reasons(), "the log is not read: a write has waited for ") })
	if n := g.sample(`playgate_log_dropped_total{level="error"}`); n != 0 {
		t.Errorf("%v errors were dropped, though there is a share for them", n)
	}
	began := time.Now()
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit 0", err)
	}
	t.Logf("it ended %v after SIGTERM, with a drain_delay of 1s", time.Since(began))
}

// TestChaosAClosedLogPipeStopsNothing: who read standard output and error is gone.
// Without its drain a stop would cut the request that is under way.
func TestChaosAClosedLogPipeStopsNothing(t *testing.T) {
	t.Parallel()
	g, pipe := launchPiped(t, loggingWorld(t).files)
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		g.askBoth()
	}
	g.await("the reason in /readyz", func() bool {
		return strings.Contains(g.reasons(), "the log cannot be written, and lines are dropped: ") && strings.Contains(g.reasons(), "broken pipe")
	})
	g.await("100 lines are counted as dropped", func() bool { return g.sample(`playgate_log_dropped_total{level="info"}`) >= 100 })
	const body = `{"playback_id":"PIDacme","types":["video"]}`
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST /v1/tokens HTTP/1.1\r\nHost: acme.example\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", basic("tok-acme"), len(body), body[:10])
	if err != nil {
		t.Fatal(err)
	}
	g.signal(syscall.SIGTERM)
	g.await("not ready", func() bool { return status(g.admin+"/readyz") == http.StatusServiceUnavailable })
	if _, err := io.WriteString(conn, body[10:]); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("the request under way was answered %d, want 200", answer.StatusCode)
	}
	if err := g.wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit 0", err)
	}
}

// stuckGateway has a request under way that takes longer than any stop waits: a
// profile of a minute.
func stuckGateway(t *testing.T) *gateway {
	t.Helper()
	w := newWorld(t, "", "acme")
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], "server: {", "server: {admin_pprof: true, ", 1)
	g := start(t, w.files)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.admin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET /debug/pprof/profile?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	g.await("the profile", func() bool {
		return strings.Contains(string(must(t, http.MethodGet, g.admin+"/debug/pprof/goroutine?debug=1", "").body), "net/http/pprof.Profile")
	})
	return g
}

func exitStatus(err error) int {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return 0
}

// TestChaosASecondSIGTERMStopsAtOnce, although a request is under way, which is
// why the exit is none of a success.
func TestChaosASecondSIGTERMStopsAtOnce(t *testing.T) {
	t.Parallel()
	g := stuckGateway(t)
	g.signal(syscall.SIGTERM)
	g.await("not ready", func() bool { return status(g.admin+"/readyz") == http.StatusServiceUnavailable })
	g.signal(syscall.SIGTERM)
	err := g.wait()
	if exitStatus(err) != 1 || !strings.Contains(g.log.String(), "playgate: stopping the admin server: a second signal stops the gateway at once: context canceled\n") {
		t.Errorf("it ended with %v, want exit 1 and the reason:\n%s", err, g.log)
	}
	if strings.Contains(g.log.String(), "goroutine ") {
		t.Errorf("a stop that was hurried is taken for one that hangs:\n%s", g.log)
	}
}

// TestChaosAStopThatTakesTooLongShowsWhatItWaitsFor.
func TestChaosAStopThatTakesTooLongShowsWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	g := stuckGateway(t)
	g.signal(syscall.SIGTERM)
	err := g.wait()
	if exitStatus(err) != 1 || !strings.Contains(g.log.String(), "net/http/pprof.Profile(") {
		t.Errorf("it ended with %v, want exit 1 and the stack of the request under way:\n%s", err, g.log)
	}
}

// BenchmarkHitsWithAStoppedLogReader compares two gateways that log every answer:
// one whose log is read, and one whose log nobody reads any more. It reports the
// ratio of their answers within windows that alternate.
func BenchmarkHitsWithAStoppedLogReader(b *testing.B) {
	w := newWorld(b, "", "acme")
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], "log: {access: errors}", "log: {access: all}", 1)
	read, pipe := launchPiped(b, w.files)
	go func() { _, _ = io.Copy(io.Discard, pipe) }()
	stopped, _ := launchPiped(b, w.files)
	answers := func(g *gateway) int64 {
		stop := load(g.url+"/v1/playback-ids/%s/token", "Authorization", basic("tok-acme"))
		time.Sleep(2 * time.Second)
		n, bad := stop()
		if bad != "" {
			b.Fatal(bad)
		}
		return n
	}
	for stopped.sample(`playgate_log_dropped_total{level="info"}`) == 0 {
		answers(stopped)
	}
	answers(read)
	var ratios []float64
	for b.Loop() {
		before, with, after := answers(stopped), answers(read), answers(stopped)
		ratios = append(ratios, float64(before+after)/2/float64(with))
	}
	slices.Sort(ratios)
	b.ReportMetric(ratios[len(ratios)/2], "stopped/read")
	b.ReportMetric(float64(len(ratios)), "rounds")
}
