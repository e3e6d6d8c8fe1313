package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/app"
	"github.com/playgate/playgate/store/storetest"
)

// TestAStoreOutageStopsOnlyWhoNeedsIt: a real PostgreSQL is killed under a
// gateway whose rules read what viewers hold, and comes back.
func TestAStoreOutageStopsOnlyWhoNeedsIt(t *testing.T) {
	t.Parallel()
	database := storetest.StartPostgres(t)
	a := started(t, write(t, fmt.Sprintf(`
server: {listen: "127.0.0.1:0", admin_listen: "127.0.0.1:0", drain_delay: 0}
keystore: {driver: memory}
store: {driver: postgres, dsn: %q}
organizations:
  - id: acme
    environments:
      - id: acme
        anonymous: true
        access_tokens: [%s]
        playback_ids: [{id: FILM, asset: {id: A1}}]
        policy:
          version: 1
          rules:
            - {id: banned, effect: deny, when: 'viewer.claims.?banned.orValue(false)', reason: banned}
            - {id: premium, effect: allow, when: 'viewer.claims.?plan.orValue("") == "premium" || viewer.grants.size() > 1'}
            - {id: bought, effect: allow, when: 'viewer.grants.size() > 0'}
`, database.DSN(), accessToken())))
	if code, answer := backend(t, a, http.MethodPut, "/v1/grants/g1", `{"viewer":{"id":"buyer"},"type":"purchase","scope":{"all":true}}`); code != http.StatusCreated {
		t.Fatalf("PUT: %d %v", code, answer)
	}
	type want struct {
		code int
		what string
	}
	check := func(when string, all map[string]want) {
		t.Helper()
		for viewer, w := range all {
			code, answer := backend(t, a, http.MethodPost, "/v1/tokens", `{"playback_id":"FILM","viewer":`+viewer+`}`)
			got := fmt.Sprint(answer["rule"])
			if code != http.StatusOK {
				got = fmt.Sprint(answer["error"].(map[string]any)["code"])
			}
			if code != w.code || got != w.what {
				t.Errorf("%s, %s: %d %s, want %d %s", when, viewer, code, got, w.code, w.what)
			}
		}
	}
	const premium, buyer, other, banned, nobody = `{"id":"u1","claims":{"plan":"premium"}}`, `{"id":"buyer"}`, `{"id":"u2"}`, `{"id":"u3","claims":{"banned":true}}`, `{}`
	up := map[string]want{
		premium: {http.StatusOK, "premium"}, buyer: {http.StatusOK, "bought"}, other: {http.StatusForbidden, "no_matching_rule"},
		banned: {http.StatusForbidden, "banned"}, nobody: {http.StatusForbidden, "no_matching_rule"},
	}
	check("before", up)
	if ready, metric := health(t, a); strings.Contains(ready, "degraded") || metric != "1" {
		t.Errorf("before: /readyz %s, playgate_dependency_up %s", ready, metric)
	}
	database.Kill()
	down := map[string]want{
		premium: up[premium], banned: up[banned], nobody: up[nobody], // none of them needs the store
		buyer: {http.StatusServiceUnavailable, "dependency_unavailable"}, other: {http.StatusServiceUnavailable, "dependency_unavailable"},
	}
	check("while it is down", down)
	until(t, "the store is named", func() bool {
		ready, metric := health(t, a)
		return strings.Contains(ready, `"status":"ready","degraded":["store"]`) && metric == "0"
	})
	check("once that is known", down)
	if code, answer := backend(t, a, http.MethodPut, "/v1/grants/g2", `{"viewer":{"id":"u2"},"type":"purchase","scope":{"all":true}}`); code != http.StatusServiceUnavailable {
		t.Errorf("a grant is taken while the store is down: %d %v", code, answer)
	}
	database.Start(t)
	until(t, "the store is back", func() bool {
		ready, metric := health(t, a)
		return !strings.Contains(ready, "degraded") && metric == "1"
	})
	check("after it", up)
}

// health returns what /readyz says, and playgate_dependency_up of the store.
func health(t *testing.T, a *app.App) (ready, up string) {
	t.Helper()
	_, ready = get(t, "http://"+a.AdminAddr().String()+"/readyz")
	_, metrics := get(t, "http://"+a.AdminAddr().String()+"/metrics")
	_, rest, _ := strings.Cut(metrics, "\nplaygate_dependency_up{dependency=\"store\"} ")
	up, _, _ = strings.Cut(rest, "\n")
	return ready, up
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		if holds() {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("it never was: %s", what)
}
