package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/muxsim"
	"github.com/playgate/playgate/store/storetest"
)

// heldRules allow whoever holds something.
const heldRules = `
version: 1
rules:
  - {id: held, effect: allow, when: viewer.grants.size() > 0, grant: {ttl: 3h, types: [video, thumbnail, storyboard, drm_license]}}
`

// newRights makes a world whose rules read grants, kept in a store.
func newRights(t *testing.T, store string) *world {
	t.Helper()
	w := newWorld(t, "        webhooks: {secret_files: [hook]}\n", "acme")
	w.files["hook"], w.files["rules-acme.yaml"] = hookSecret, heldRules
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], `["video:read"]`, `["video:read", "video:write", "system:read"]`, 1) + store
	return w
}

// sharedStores are the store sections that two gateways can share.
func sharedStores(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"sqlite":   "store: {dsn: " + filepath.Join(t.TempDir(), "p.db") + "}\n",
		"postgres": fmt.Sprintf("store: {driver: postgres, dsn: %q}\n", storetest.StartPostgres(t).DSN()),
	}
}

// asBackend sends a request with the backend's access token.
func asBackend(t *testing.T, g *gateway, method, path, body string) reply {
	t.Helper()
	return must(t, method, g.url+path, body, "Authorization", basic("tok-acme"))
}

// rental is the body of a grant for a film.
func rental(viewer, within string) string {
	return fmt.Sprintf(`{"viewer":{"id":%q},"type":"rental","scope":{"asset_id":"ASSETacme"},"play_within":%q}`, viewer, within)
}

// TestEveryStoreAnswersAlike to what it might not be able to keep, and to a
// grant whose ID is taken.
func TestEveryStoreAnswersAlike(t *testing.T) {
	t.Parallel()
	stores := sharedStores(t)
	stores["memory"] = "store: {driver: memory}\n"
	event := func(id string) string {
		return `{"type":"video.asset.ready","id":"` + id + `","created_at":"2026-01-01T00:00:00Z","object":{"type":"asset","id":"A1"},"data":{"id":"A1","passthrough":"a\u0000b"}}`
	}
	for name, section := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, newRights(t, section).files)
			for _, c := range []struct {
				method, path, body string
				status             int
				want               string // in the answer
			}{
				{"PUT", "/v1/grants/g%00", rental("u1", "1h"), 400, `"invalid_field"`},
				{"GET", "/v1/grants/g%00", "", 404, `"not_found"`},
				{"DELETE", "/v1/grants/g%00", "", 404, `"not_found"`},
				{"GET", "/v1/grants?viewer=u%00", "", 400, `"viewer: want `},
				{"GET", "/v1/grants?viewer=u%0a", "", 400, `"viewer: want `},
				{"GET", "/v1/grants?viewer=u&issuer=%00", "", 400, `"issuer: want `},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"u\u0000"},"type":"ticket","scope":{"all":true}}`, 400, `"viewer.id: want `},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"u\u009f"},"type":"ticket","scope":{"all":true}}`, 400, `"viewer.id: want `},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"u","issuer":"\u0000"},"type":"ticket","scope":{"all":true}}`, 400, `"viewer.issuer: want `},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"u"},"type":"ticket","scope":{"tag":"\u0000"}}`, 400, `"scope.tag: want `},
				{"POST", "/v1/tokens", `{"playback_id":"PIDacme","viewer":{"id":"u\u0000"}}`, 400, `"viewer.id: want `},
				{"POST", "/v1/tokens", `{"playback_id":"PIDacme","viewer":{"id":"u","issuer":"\u0000"}}`, 400, `"viewer.issuer: want `},
				{"POST", "/v1/explain", `{"playback_id":"PIDacme","viewer":{"id":"u\u0000"}}`, 400, `"viewer.id: want `},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"u"},"type":"ticket","scope":{"all":true},"attributes":{"a\u0000":"\u0000\n\u0085"}}`, 201, ""},
				{"GET", "/v1/grants/g", "", 200, `"attributes":{"a\u0000":"\u0000\n` + "\u0085" + `"}`},
				{"POST", "/v1/tokens", `{"playback_id":"PIDacme","viewer":{"id":"u"}}`, 200, ""},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"v"},"type":"ticket","scope":{"all":true}}`, 400, `"viewer: the grant of this ID is another viewer's`},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"u","issuer":"other"},"type":"ticket","scope":{"all":true}}`, 400, `"viewer.issuer: is no issuer of this environment: want main`},
				{"GET", "/v1/grants/g", "", 200, `"viewer":{"issuer":"main","id":"u"}`},
				{"POST", "/v1/tokens", `{"playback_id":"PIDacme","viewer":{"id":"v"}}`, 403, `"no_matching_rule"`},
				{"DELETE", "/v1/grants/g", "", 204, ""},
				{"PUT", "/v1/grants/g", `{"viewer":{"id":"v"},"type":"ticket","scope":{"all":true}}`, 201, ""},
			} {
				r := asBackend(t, g, c.method, c.path, c.body)
				if r.status != c.status || !strings.Contains(string(r.body), c.want) {
					t.Errorf("%s %s %s: %d %s, want %d and %s", c.method, c.path, c.body, r.status, r.body, c.status, c.want)
				}
			}
			for id, want := range map[string]string{`e\u0000`: "400 invalid_field", `e\u001b`: "400 invalid_field", "e": "200 applied"} {
				body := []byte(event(id))
				if status, result := hook(t, g, "acme", body, signHook(body)); fmt.Sprint(status, " ", result) != want {
					t.Errorf("the event %s: %d %s, want %s", id, status, result, want)
				}
			}
		})
	}
}

// ways are the ways to a token of a film, as a viewer; each returns its status,
// and the end of the token if there is one.
func ways(t *testing.T, credential string) []func(*gateway) (int, int64) {
	t.Helper()
	read := func(r reply, err error) (int, int64) {
		var m minted
		if err != nil || r.status != http.StatusOK {
			return r.status, 0
		}
		if err := r.decode(&m); err != nil {
			t.Error(err)
		}
		if len(m.Tokens) > 0 {
			return r.status, m.Tokens[0].ExpiresAt
		}
		return r.status, m.ExpiresAt
	}
	follow := func(method, path string) func(*gateway) (int, int64) {
		return func(g *gateway) (int, int64) {
			r, err := call(method, g.url+path, "", "Authorization", credential)
			if err != nil || r.status >= 400 {
				return r.status, 0
			}
			to, err := url.Parse(r.header.Get("Location"))
			if err != nil || to.Query().Get("token") == "" {
				t.Errorf("%s %s leads to %q", method, path, r.header.Get("Location"))
				return r.status, 0
			}
			return r.status, int64(claims(t, to.Query().Get("token"))["exp"].(float64))
		}
	}
	return []func(*gateway) (int, int64){
		func(g *gateway) (int, int64) {
			return read(call(http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDacme"}`, "Authorization", credential))
		},
		func(g *gateway) (int, int64) {
			return read(call(http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"PIDacme","types":["drm_license"]}`, "Authorization", credential))
		},
		func(g *gateway) (int, int64) {
			return read(call(http.MethodGet, g.url+"/v1/playback-ids/PIDacme/token", "", "Authorization", credential))
		},
		func(g *gateway) (int, int64) {
			return read(call(http.MethodGet, g.url+"/v1/playback-ids/PIDacme/tokens", "", "Authorization", credential))
		},
		follow(http.MethodGet, "/stream/PIDacme.m3u8"),
		follow(http.MethodPost, "/license/widevine/PIDacme"),
	}
}

// TestARentalOnTwoGateways begins with the first film that either hands out, by
// whatever way, and ends for both at once; the grant's end is the next request's
// on both.
func TestARentalOnTwoGateways(t *testing.T) {
	t.Parallel()
	for name, section := range sharedStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRights(t, section)
			w.protect("PIDacme")
			replicas := []*gateway{start(t, w.files), start(t, w.files)}
			for n := range 6 {
				viewer := fmt.Sprintf("viewer-%d", n)
				path, credential := "/v1/grants/rental-"+viewer, w.viewer(t, "acme", viewer)
				if r := asBackend(t, replicas[n%2], "PUT", path, rental(viewer, "1h")); r.status != http.StatusCreated {
					t.Fatalf("PUT = %d %s", r.status, r.body)
				}
				beginNothing(t, replicas, credential, viewer)
				var kept struct {
					FirstPlay int64 `json:"first_play"`
				}
				get := func(g *gateway) int64 {
					if err := asBackend(t, g, "GET", path, "").decode(&kept); err != nil {
						t.Fatal(err)
					}
					return kept.FirstPlay
				}
				if at := get(replicas[0]); at != 0 {
					t.Fatalf("%s: it began at %d, without a film", viewer, at)
				}
				all := ways(t, credential)
				ends := make([]int64, 2*len(all))
				var wg sync.WaitGroup
				for i := range ends {
					wg.Go(func() {
						status, end := all[(i/2+n)%len(all)](replicas[i%2])
						if ends[i] = end; end == 0 {
							t.Errorf("%s, way %d: %d", viewer, (i/2+n)%len(all), status)
						}
					})
				}
				wg.Wait()
				for i, end := range ends {
					if at := get(replicas[i%2]); end != at+3600 {
						t.Errorf("%s: token %d ends at %d, the first play was at %d", viewer, i, end, at)
					}
				}
				if r := asBackend(t, replicas[n%2], "DELETE", path, ""); r.status != http.StatusNoContent {
					t.Fatalf("DELETE = %d %s", r.status, r.body)
				}
				for i, way := range all {
					for _, g := range replicas {
						if status, _ := way(g); status != http.StatusForbidden {
							t.Errorf("%s, way %d, after the grant was deleted: %d", viewer, i, status)
						}
					}
				}
			}
		})
	}
}

// beginNothing asks for all that begins no rental.
func beginNothing(t *testing.T, replicas []*gateway, credential, viewer string) {
	t.Helper()
	for _, g := range replicas {
		for _, c := range []struct{ method, path, body, as string }{
			{"HEAD", "/stream/PIDacme.m3u8", "", credential},
			{"HEAD", "/license/widevine/PIDacme", "", credential},
			{"HEAD", "/v1/playback-ids/PIDacme/token", "", credential},
			{"HEAD", "/v1/playback-ids/PIDacme/tokens", "", credential},
			{"GET", "/image/PIDacme/thumbnail.webp", "", credential},
			{"GET", "/v1/playback-ids/PIDacme/token?type=storyboard", "", credential},
			{"POST", "/v1/tokens", `{"playback_id":"PIDacme","types":["thumbnail","storyboard"]}`, credential},
			{"POST", "/v1/explain", `{"playback_id":"PIDacme","viewer":{"id":"` + viewer + `"},"types":["video","drm_license"]}`, basic("tok-acme")},
		} {
			if r := must(t, c.method, g.url+c.path, c.body, "Authorization", c.as); r.status != http.StatusOK && r.status != http.StatusFound {
				t.Errorf("%s %s: %d %s", c.method, c.path, r.status, r.body)
			}
		}
	}
}

// signHook signs a webhook now.
func signHook(body []byte) string { return muxsim.SignWebhook(body, time.Now(), hookSecret) }
