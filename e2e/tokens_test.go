package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
)

// TestTwoReplicasAnswerTheSameBytes is the expiry grid of contract §4 from
// outside: same key, same claims, same token, whoever asks which replica.
func TestTwoReplicasAnswerTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme")
	one, two := start(t, w.files), start(t, w.files)
	for n := range 50 {
		path := fmt.Sprintf("/v1/playback-ids/REPLICA%d/token", n)
		same := false
		for range 3 { // the grid may roll over between two questions, not twice in a row
			var a, b minted
			must(t, http.MethodGet, one.url+path, "", "Authorization", basic("tok-acme")).data(t, &a)
			must(t, http.MethodGet, two.url+path, "", "Authorization", w.viewer(t, "acme", fmt.Sprintf("user-%d", n))).data(t, &b)
			if same = a.Token == b.Token; same {
				break
			}
		}
		if !same {
			t.Fatalf("%s: the replicas answer different tokens", path)
		}
	}
}

// TestEveryAnswerIsForWhatWasAsked guards against fiber's reused buffers: many
// playback IDs and viewers at once through the real stack, twice, so that the
// second pass reads what the first one cached.
func TestEveryAnswerIsForWhatWasAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", "acme", "beta")
	w.files["rules-acme.yaml"] = `
version: 1
rules:
  - id: personal
    effect: allow
    when: 'true'
    grant: {ttl: 1h, types: [video, thumbnail], custom: {v: 'viewer.id', s: 'request.session_id'}}
`
	g := start(t, w.files)
	const workers, each = 16, 60
	authorizations := map[string]string{}
	for _, env := range w.names {
		for n := range workers {
			authorizations[fmt.Sprintf("%s-%d", env, n)] = w.viewer(t, env, fmt.Sprintf("viewer-%s-%d", env, n))
		}
	}
	for range 2 {
		var all sync.WaitGroup
		for n := range workers {
			all.Go(func() {
				for i := range each {
					env := w.names[(n+i)%2]
					id := fmt.Sprintf("ID%sW%dN%d", env, n, i)
					session := fmt.Sprintf("s-%d-%d", n, i)
					r, err := call(http.MethodGet, fmt.Sprintf("%s/v1/playback-ids/%s/token?session_id=%s", g.url, id, session), "",
						"Authorization", authorizations[fmt.Sprintf("%s-%d", env, n)])
					if err != nil {
						t.Error(err)
						return
					}
					var m minted
					if err := r.decode(&m); err != nil {
						t.Error(err)
						return
					}
					c := claims(t, m.Token)
					if c["sub"] != id || m.PlaybackID != id || c["kid"] != "KEY"+env {
						t.Errorf("asked for %s, got %v by key %v", id, c["sub"], c["kid"])
					}
					if custom, _ := c["custom"].(map[string]any); env == "acme" && (custom["v"] != fmt.Sprintf("viewer-%s-%d", env, n) || custom["s"] != session) {
						t.Errorf("%s asked in session %s, the token says %v", fmt.Sprintf("viewer-%s-%d", env, n), session, custom)
					}
				}
			})
		}
		all.Wait()
	}
}
