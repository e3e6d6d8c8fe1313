package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// silent opens connections from a source address on which nothing is ever sent.
// Those that are refused are as good as those that are not.
func silent(t *testing.T, target, source string, count int) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Timeout: 5 * time.Second}
	for range count {
		c, err := dialer.Dial("tcp", target)
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = c.Close() })
	}
}

// TestChaosSilentConnectionsTakeNoDescriptors opens many more connections than the
// gateway may have descriptors, from one address and then from many, while it
// answers others and reads a changed configuration.
func TestChaosSilentConnectionsTakeNoDescriptors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	g := launchBy(t, w.files, "sh", "-c", `ulimit -n 256; exec "$@"`, "sh")
	g.await("ready", func() bool { return status(g.admin+"/readyz") == http.StatusOK })
	target := strings.TrimPrefix(g.url, "http://")
	answered := func(when string) {
		t.Helper()
		r := must(t, http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", basic("tok-acme"), "Connection", "close")
		if r.status != http.StatusOK {
			t.Errorf("%s: status %d %s, want 200", when, r.status, r.body)
		}
	}
	silent(t, target, "127.0.0.2", 400)
	answered("with 400 silent connections of one address")
	for n := range 20 {
		silent(t, target, fmt.Sprintf("127.0.1.%d", n+1), 40)
		answered(fmt.Sprintf("with silent connections of %d addresses", n+1))
	}
	silent(t, strings.TrimPrefix(g.admin, "http://"), "127.0.0.1", 100)
	// A connection of its own, from the address of the silent ones: they make room.
	if r := must(t, http.MethodGet, g.admin+"/livez", "", "Connection", "close"); r.status != http.StatusOK {
		t.Errorf("with 100 silent connections to the admin listener /livez is %d, want 200", r.status)
	}
	g.signal(syscall.SIGHUP)
	g.awaitLine("reloaded") // which needs descriptors
	metrics := string(must(t, http.MethodGet, g.admin+"/metrics", "").body)
	for _, counter := range []string{
		`playgate_connections_refused_total{listener="public",reason="per_peer"}`,
		`playgate_connections_evicted_total{listener="public"}`, `playgate_connections_evicted_total{listener="admin"}`,
	} {
		if !strings.Contains(metrics, "\n"+counter+" ") || strings.Contains(metrics, "\n"+counter+" 0\n") {
			t.Errorf("%s counts nothing: the test did not reach the limit", counter)
		}
	}
	g.signal(syscall.SIGTERM)
	if err := g.wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit 0\n%s", err, g.log)
	}
}
