package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/store/storetest"
)

// The population of the soak test. It is bounded, so that what the gateway keeps of
// it is, too.
const (
	soakViewers = 500
	soakAssets  = 200
	soakGrants  = 1000
)

// soak is a gateway under a load that goes on.
type soak struct {
	t       *testing.T
	g       *gateway
	sim     *muxsim.Sim
	viewers []string // Authorization headers

	done  chan struct{}
	work  sync.WaitGroup
	count [5]atomic.Int64 // by kind, see kinds

	mu  sync.Mutex
	bad []string // the first answers that must not be
}

// The kinds of what the gateway is asked for.
const (
	viewerKind = iota
	backendKind
	webhookKind
	grantKind
	strangerKind
)

// TestSoak runs the gateway under load for as long as SOAK says (`make soak`), and
// fails if memory, goroutines or descriptors grow without levelling off. SOAK_STORE
// is sqlite (the default) or postgres.
func TestSoak(t *testing.T) { //nolint:paralleltest // nothing else may load the machine
	if os.Getenv("SOAK") == "" {
		t.Skip("NOT TESTED: SOAK does not say for how long; `make soak` runs it for 10 minutes")
	}
	length, err := time.ParseDuration(os.Getenv("SOAK"))
	if err != nil || length < soakSamples*time.Second {
		t.Fatalf("SOAK is %q, want a duration of at least %s", os.Getenv("SOAK"), soakSamples*time.Second)
	}
	s := newSoak(t)
	for range 4 {
		s.every(4*time.Millisecond, s.viewer)
	}
	for range 2 {
		s.every(10*time.Millisecond, s.backend)
	}
	s.every(20*time.Millisecond, s.webhook)
	s.every(20*time.Millisecond, s.grant)
	s.every(50*time.Millisecond, s.stranger)
	s.every(5*time.Second, s.reload)
	var all usage
	ticker := time.NewTicker(length / soakSamples)
	defer ticker.Stop()
	t.Logf("%8s %10s %10s %11s   %s", "seconds", "RSS", "goroutines", "descriptors", "viewers, backends, webhooks, grants, strangers")
	for begun := time.Now(); len(all.memory) < soakSamples; {
		<-ticker.C
		all.add(t, s.g)
		n := len(all.memory) - 1
		t.Logf("%8.0f %6.1f MiB %10.0f %11.0f   %s", time.Since(begun).Seconds(), all.memory[n]/(1<<20), all.goroutines[n], all.descriptors[n], s.counts())
	}
	close(s.done)
	s.work.Wait()
	for _, bad := range s.bad {
		t.Error(bad)
	}
	for kind := range s.count {
		if s.count[kind].Load() == 0 {
			t.Errorf("nothing was asked of kind %d", kind)
		}
	}
	for _, grown := range all.grown() {
		t.Error(grown)
	}
	s.g.signal(syscall.SIGTERM)
	if err := s.g.wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want exit 0", err)
	}
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	sim, err := muxsim.New(muxsim.Config{Environments: []muxsim.Environment{{
		ID:           "acme",
		AccessTokens: []muxsim.AccessToken{{ID: "gateway", Secret: secret, Permissions: []string{"system:read", "system:write", "video:read"}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := range soakAssets {
		err := sim.SetAsset("acme", muxsim.Asset{
			ID: muxsim.AssetID(fmt.Sprintf("ASSET%d", n)), Duration: 60, CreatedAt: time.Now(),
			PlaybackIDs: []muxsim.ObjectPlaybackID{{ID: muxsim.ID(fmt.Sprintf("PID%d", n)), Policy: muxsim.Signed}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mux := httptest.NewServer(sim)
	t.Cleanup(mux.Close)
	// Lives are short, so that a run of minutes sees many of each.
	w := newWorld(t, fmt.Sprintf(`
        mux: {environment_id: acme, token_id: gateway, token_secret_file: mux-secret, base_url: %q}
        webhooks: {secret_files: [hook]}
        token: {default_ttl: 20s, max_ttl: 40s}
        keys: {prepare_for: 5s, rotate_every: 20s, retire_after: 5s, local: true}
`, mux.URL), "acme")
	delete(w.files, "keys/acme/KEYacme.pem")
	w.files["mux-secret"], w.files["hook"] = secret, hookSecret
	store := "store: {dsn: " + filepath.Join(t.TempDir(), "p.db") + "}\n"
	if os.Getenv("SOAK_STORE") == "postgres" {
		store = fmt.Sprintf("store: {driver: postgres, dsn: %q}\n", storetest.StartPostgres(t).DSN())
	}
	w.files["playgate.yaml"] = fmt.Sprintf("keystore: {file: {dir: %q}}\n", t.TempDir()) + strings.Replace(w.files["playgate.yaml"], `["video:read"]`, `["video:read", "video:write", "system:read"]`, 1) +
		"cache: {max_entries: 10000}\n" + store
	s := &soak{t: t, sim: sim, done: make(chan struct{})}
	for n := range soakViewers {
		s.viewers = append(s.viewers, w.lasting(t, "acme", fmt.Sprintf("u%d", n)))
	}
	s.g = start(t, w.files)
	return s
}

// lasting is viewer with a token that outlives every run.
func (w *world) lasting(t *testing.T, environment, id string) string {
	t.Helper()
	token, err := w.providers[environment].Token(map[string]any{"sub": id, "aud": environment, "exp": time.Now().Add(23 * time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + token
}

// every does something at a pace until the test ends.
func (s *soak) every(pace time.Duration, do func(n int)) {
	s.work.Go(func() {
		ticker := time.NewTicker(pace)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-s.done:
				return
			case <-ticker.C:
				do(n)
			}
		}
	})
}

// want notes an answer of another status, up to ten of them.
func (s *soak) want(what string, r reply, err error, statuses ...int) bool {
	for _, status := range statuses {
		if err == nil && r.status == status {
			return true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bad) < 10 {
		s.bad = append(s.bad, fmt.Sprintf("%s: status %d, %v: %s", what, r.status, err, r.body))
	}
	return false
}

// viewer plays one of the films; every 50th token is shown to Mux.
func (s *soak) viewer(n int) {
	id := rand.IntN(soakAssets)
	r, err := call(http.MethodGet, fmt.Sprintf("%s/v1/playback-ids/PID%d/token", s.g.url, id), "", "Authorization", s.viewers[rand.IntN(soakViewers)])
	s.count[viewerKind].Add(1)
	if !s.want("a viewer", r, err, http.StatusOK) || n%50 != 0 {
		return
	}
	var m minted
	if err := r.decode(&m); err != nil {
		s.want("a viewer", r, err)
		return
	}
	if verdict := s.sim.Verify(m.URL, nil); !verdict.Allowed() {
		s.want("at Mux: "+string(verdict.Reason), r, nil)
	}
}

// backend asks for tokens that no cache has.
func (s *soak) backend(int) {
	body := fmt.Sprintf(`{"playback_id":"PID%d","types":["thumbnail"],"params":{"thumbnail":{"width":%d,"time":%d}},"viewer":{"id":"b%d"}}`,
		rand.IntN(soakAssets), 100+rand.IntN(500), rand.IntN(60), rand.IntN(soakViewers))
	r, err := call(http.MethodPost, s.g.url+"/v1/tokens", body, "Authorization", basic("tok-acme"))
	s.count[backendKind].Add(1)
	s.want("a backend", r, err, http.StatusOK)
}

func (s *soak) webhook(n int) {
	id := fmt.Sprintf("ASSET%d", n%soakAssets)
	body, err := s.sim.Webhook("acme", "video.asset.updated", id)
	if err != nil {
		s.want("a webhook", reply{}, err)
		return
	}
	r, err := call(http.MethodPost, s.g.url+"/v1/webhooks/mux/acme", string(body), "Mux-Signature", signHook(body))
	s.count[webhookKind].Add(1)
	s.want("a webhook", r, err, http.StatusOK)
}

// grant makes, reads or deletes a grant of a bounded number.
func (s *soak) grant(n int) {
	url := fmt.Sprintf("%s/v1/grants/g%d", s.g.url, rand.IntN(soakGrants))
	method, body, statuses := http.MethodPut, "", []int{http.StatusOK, http.StatusCreated}
	switch n % 3 {
	case 0:
		body = fmt.Sprintf(`{"viewer":{"id":"u%s"},"type":"ticket","scope":{"all":true}}`, url[strings.LastIndexByte(url, 'g')+1:])
	case 1:
		method, statuses = http.MethodGet, []int{http.StatusOK, http.StatusNotFound}
	default:
		method, statuses = http.MethodDelete, []int{http.StatusNoContent, http.StatusNotFound}
	}
	r, err := call(method, url, body, "Authorization", basic("tok-acme"))
	s.count[grantKind].Add(1)
	s.want("a grant, "+method, r, err, statuses...)
}

// stranger sends what is no request, or half of one, and goes away.
func (s *soak) stranger(n int) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.g.url, "http://"))
	s.count[strangerKind].Add(1)
	if err != nil {
		s.want("a stranger", reply{}, err)
		return
	}
	defer conn.Close()
	switch n % 3 {
	case 0:
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost : a\r\n\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.Contains(line, " 400 ") {
			s.want("a stranger: "+line, reply{}, err)
		}
	case 1:
		_, _ = io.WriteString(conn, "POST /v1/tokens HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{")
	}
}

// reload changes the rules and reloads.
func (s *soak) reload(n int) {
	s.g.write("rules-acme.yaml", strings.Replace(openRules, "id: open", fmt.Sprintf("id: open-%d", n), 1))
	s.g.signal(syscall.SIGHUP)
}

func (s *soak) counts() string {
	var all []string
	for kind := range s.count {
		all = append(all, strconv.FormatInt(s.count[kind].Load(), 10))
	}
	return strings.Join(all, ", ")
}
