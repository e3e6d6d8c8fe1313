package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/store/storetest"
)

const hookSecret = "whsec-of-the-tests"

// muxWorld is a world whose environment acme is a simulated Mux's mux1.
type muxWorld struct {
	*world
	*muxsim.Sim

	api string // of the simulated Mux
}

// newMuxWorld makes it; extra is added to the environment, in whose catalogue
// unknown playback IDs are denied unless it says otherwise.
func newMuxWorld(t *testing.T, extra string) *muxWorld {
	t.Helper()
	sim, err := muxsim.New(muxsim.Config{Now: time.Now, Environments: []muxsim.Environment{
		{ID: "mux1", Name: "Production", AccessTokens: []muxsim.AccessToken{{ID: "muxtoken", Secret: "muxsecret", Permissions: []string{"video:read"}}}},
		{ID: "mux2", Name: "Another"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	w := newWorld(t, `
        webhooks: {secret_files: [old-hook, hook]}
        token: {default_ttl: 1h}
`+strings.ReplaceAll(extra, "MUX", server.URL), "acme")
	w.files["hook"], w.files["old-hook"], w.files["muxsecret"] = hookSecret+"\n", "an-older-secret", "muxsecret"
	return &muxWorld{w, sim, server.URL}
}

// asset makes an asset with one signed playback ID.
func (w *muxWorld) asset(t *testing.T, id, passthrough string, ids ...muxsim.ID) {
	t.Helper()
	a := muxsim.Asset{ID: muxsim.AssetID(id), Duration: 60, Passthrough: passthrough, CreatedAt: time.Now()}
	for _, p := range ids {
		a.PlaybackIDs = append(a.PlaybackIDs, muxsim.ObjectPlaybackID{ID: p, Policy: muxsim.Signed})
	}
	if err := w.SetAsset("mux1", a); err != nil {
		t.Fatal(err)
	}
}

// hook posts a body to an environment's webhooks and returns the status and what
// became of it.
func hook(t *testing.T, g *gateway, env string, body []byte, signature string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/v1/webhooks/mux/"+env, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	if signature != "" {
		request.Header.Set("Mux-Signature", signature)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	for tries := 0; tries < 20 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)); tries++ {
		// Refused while it was being sent: who goes on sending may lose the answer.
		request.Body = io.NopCloser(strings.NewReader(string(body)))
		response, err = http.DefaultTransport.RoundTrip(request)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Data  struct{ Result string }
		Error struct{ Code string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer.Data.Result + answer.Error.Code
}

func (w *muxWorld) webhook(t *testing.T, env muxsim.EnvironmentID, kind, id string) []byte {
	t.Helper()
	body, err := w.Webhook(env, kind, id)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// askFor asks for a token as a backend, and returns the status and the code.
func askFor(t *testing.T, url, id string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet, url+"/v1/playback-ids/"+id+"/token", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("tok-acme", secret)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	var answer struct {
		Data  struct{ Rule string }
		Error struct{ Code string }
	}
	_ = json.Unmarshal(body, &answer)
	return response.StatusCode, answer.Data.Rule + answer.Error.Code
}

// embargoRules deny one film, known by what Mux says of its asset.
const embargoRules = `
version: 1
rules:
  - {id: embargo, effect: deny, when: 'asset.passthrough == "secret"', reason: not_released}
  - {id: open, effect: allow, when: 'true', grant: {ttl: 1h, types: [video]}}
`

func TestWebhooksFillTheCatalogue(t *testing.T) {
	t.Parallel()
	w := newMuxWorld(t, "        mux: {environment_id: mux1}\n        catalog: {unknown: deny}\n")
	w.files["rules-acme.yaml"] = embargoRules
	w.files["playgate.yaml"] += "store: {dsn: " + filepath.Join(t.TempDir(), "p.db") + "}\n"
	g := start(t, w.files)
	now := func(body []byte) string { return muxsim.SignWebhook(body, time.Now(), "unrelated", hookSecret) }
	expect := func(what string, status int, result string, wantStatus int, want string) {
		t.Helper()
		if status != wantStatus || result != want {
			t.Errorf("%s: %d %s, want %d %s", what, status, result, wantStatus, want)
		}
	}
	status, code := askFor(t, g.url, "FilmP1")
	expect("before Mux told of it", status, code, 404, "unknown_playback_id")

	w.asset(t, "FilmA1", "", "FilmP1", "FilmP2")
	w.asset(t, "FilmA2", "secret", "FilmP3")
	ready := w.webhook(t, "mux1", "video.asset.ready", "FilmA1")
	for name, c := range map[string]struct{ env, signature string }{
		"no signature":           {"acme", ""},
		"another secret":         {"acme", muxsim.SignWebhook(ready, time.Now(), "guess")},
		"too old":                {"acme", muxsim.SignWebhook(ready, time.Now().Add(-6*time.Minute), hookSecret)},
		"an environment of none": {"nobody", now(ready)},
	} {
		status, result := hook(t, g, c.env, ready, c.signature)
		expect(name, status, result, 401, "invalid_credentials")
	}
	status, result := hook(t, g, "acme", ready, now(ready))
	expect("signed", status, result, 200, "applied")
	status, result = hook(t, g, "acme", ready, now(ready))
	expect("sent again", status, result, 200, "duplicate")
	embargoed := w.webhook(t, "mux1", "video.asset.ready", "FilmA2")
	status, result = hook(t, g, "acme", embargoed, muxsim.SignWebhook(embargoed, time.Now(), "an-older-secret"))
	expect("by the other secret", status, result, 200, "applied")
	unknown := w.webhook(t, "mux1", "video.delivery.high_traffic", "X")
	status, result = hook(t, g, "acme", unknown, now(unknown))
	expect("of a type that means nothing", status, result, 200, "ignored")
	foreign := w.webhook(t, "mux2", "video.asset.ready", "FilmA1")
	status, result = hook(t, g, "acme", foreign, now(foreign))
	expect("of another environment of Mux", status, result, 401, "invalid_credentials")
	status, result = hook(t, g, "acme", []byte("{}"), now([]byte("{}")))
	expect("no webhook", status, result, 400, "invalid_field")
	huge := []byte(strings.Repeat(" ", 1<<20+1))
	status, result = hook(t, g, "acme", huge, now(huge))
	expect("over 1 MiB", status, result, 413, "payload_too_large")

	for id, want := range map[string]string{"FilmP1": "200 open", "FilmP2": "200 open", "FilmP3": "403 not_released", "FilmP9": "404 unknown_playback_id"} {
		if status, code := askFor(t, g.url, id); fmt.Sprint(status, " ", code) != want {
			t.Errorf("%s: %d %s, want %s", id, status, code, want)
		}
	}
	w.asset(t, "FilmA1", "", "FilmP2") // Mux sends no event about a playback ID
	updated := w.webhook(t, "mux1", "video.asset.updated", "FilmA1")
	status, result = hook(t, g, "acme", updated, now(updated))
	expect("an update", status, result, 200, "applied")

	// A restart knows it all, also that P1 is gone: with unknown: signed it must
	// not be signed as an ID that nobody ever heard of.
	g.signal(15)
	if err := g.wait(); err != nil {
		t.Fatal(err)
	}
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], "unknown: deny", "unknown: signed", 1)
	g = start(t, w.files)
	for id, want := range map[string]string{"FilmP1": "404 unknown_playback_id", "FilmP2": "200 open", "FilmP3": "403 not_released", "FilmP9": "200 open"} {
		if status, code := askFor(t, g.url, id); fmt.Sprint(status, " ", code) != want {
			t.Errorf("after a restart, %s: %d %s, want %s", id, status, code, want)
		}
	}
}

// TestMuxsSDKAcceptsTheSimulatorsWebhooks: what the tests send is what Mux sends.
func TestMuxsSDKAcceptsTheSimulatorsWebhooks(t *testing.T) {
	t.Parallel()
	needNode(t)
	w := newMuxWorld(t, "")
	w.asset(t, "FilmA1", "", "FilmP1")
	type delivery struct {
		Body      string `json:"body"`
		Signature string `json:"signature"`
	}
	ready := w.webhook(t, "mux1", "video.asset.ready", "FilmA1")
	at := time.Now()
	var verdicts []string
	node(t, "webhooks.mjs", map[string]any{"secret": hookSecret, "deliveries": []delivery{
		{string(ready), muxsim.SignWebhook(ready, at, hookSecret)},
		{string(ready), muxsim.SignWebhook(ready, at, "another", hookSecret)},
		{string(ready), muxsim.SignWebhook(ready, at, "another")},
		{string(ready), muxsim.SignWebhook(ready, at.Add(-10*time.Minute), hookSecret)},
	}}, &verdicts)
	for i, accepted := range []bool{true, true, false, false} {
		if (verdicts[i] == "") != accepted {
			t.Errorf("delivery %d: %q, want accepted: %v", i, verdicts[i], accepted)
		}
	}
}

func TestUnknownPlaybackIDsAreLookedUpAtMux(t *testing.T) {
	t.Parallel()
	w := newMuxWorld(t, `
        mux: {environment_id: mux1, token_id: muxtoken, token_secret_file: muxsecret, base_url: "MUX"}
        catalog: {unknown: lookup, max_age: 2s}
        anonymous: true
`)
	w.files["rules-acme.yaml"] = embargoRules
	w.asset(t, "FilmA1", "", "FilmP1")
	g := start(t, w.files)
	g.awaitLine("the catalogue was read from Mux")
	w.asset(t, "FilmA2", "secret", "FilmP2") // no webhook comes
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/v1/playback-ids/FilmP2/token", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 404 {
		t.Errorf("for an anonymous viewer Mux is asked, or the ID is signed: %d", response.StatusCode)
	}
	for id, want := range map[string]string{"FilmP1": "200 open", "FilmP2": "403 not_released", "FilmP9": "404 unknown_playback_id"} {
		if status, code := askFor(t, g.url, id); fmt.Sprint(status, " ", code) != want {
			t.Errorf("%s: %d %s, want %s", id, status, code, want)
		}
	}
	w.asset(t, "FilmA1", "secret", "FilmP1")
	g.await("what is in use is checked within max_age", func() bool {
		_, code := askFor(t, g.url, "FilmP1")
		return code == "not_released"
	})
}

// TestPostgreSQLRestarts: two replicas share a PostgreSQL that is killed and
// comes back while both serve. Nothing that is answered is wrong: what is known
// stays, and webhooks that cannot be kept are 503, so that Mux repeats them.
func TestPostgreSQLRestarts(t *testing.T) {
	t.Parallel()
	database := storetest.StartPostgres(t)
	w := newMuxWorld(t, "        mux: {environment_id: mux1}\n        catalog: {unknown: deny}\n")
	w.files["rules-acme.yaml"] = embargoRules
	w.files["dsn"] = database.DSN()
	w.files["playgate.yaml"] += "store: {driver: postgres, dsn_file: dsn}\n"
	replicas := []*gateway{start(t, w.files), start(t, w.files)}
	w.asset(t, "FilmA1", "", "FilmP1")
	w.asset(t, "FilmA2", "secret", "FilmP2")
	for i, id := range []string{"FilmA1", "FilmA2"} {
		body := w.webhook(t, "mux1", "video.asset.ready", id)
		if status, result := hook(t, replicas[i], "acme", body, muxsim.SignWebhook(body, time.Now(), hookSecret)); status != 200 {
			t.Fatalf("%d %s", status, result)
		}
	}
	for _, g := range replicas {
		g.await("both replicas know both films", func() bool {
			one, _ := askFor(t, g.url, "FilmP1")
			two, _ := askFor(t, g.url, "FilmP2")
			return one == 200 && two == 403
		})
	}
	var wrong, answers atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id, want := "FilmP1", "200 open"
				if n%2 == 1 {
					id, want = "FilmP2", "403 not_released"
				}
				status, code := askFor(t, replicas[i%2].url, id)
				answers.Add(1)
				if fmt.Sprint(status, " ", code) != want && wrong.Add(1) < 5 {
					t.Errorf("%s: %d %s, want %s", id, status, code, want)
				}
			}
		})
	}
	w.asset(t, "FilmA3", "", "FilmP3")
	body := w.webhook(t, "mux1", "video.asset.ready", "FilmA3")
	deliver := func() int {
		status, _ := hook(t, replicas[0], "acme", body, muxsim.SignWebhook(body, time.Now(), hookSecret))
		return status
	}
	database.Kill()
	if status := deliver(); status != http.StatusServiceUnavailable {
		t.Errorf("a webhook that cannot be kept: %d, want 503", status)
	}
	database.Start(t)
	replicas[0].await("Mux's repetition is kept", func() bool { return deliver() == 200 })
	replicas[1].await("the other replica follows", func() bool { status, _ := askFor(t, replicas[1].url, "FilmP3"); return status == 200 })
	cancel()
	wg.Wait()
	if answers.Load() < 100 || wrong.Load() > 0 {
		t.Errorf("%d of %d answers were wrong", wrong.Load(), answers.Load())
	}
}
