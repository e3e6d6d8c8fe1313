package app_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/playgate/playgate/identity/identitytest"
)

// TestGrantsAndViewersHaveAnIssuer: whose name no issuer has is refused, an
// issuer's URL is its alias, and explain finds what a viewer holds under another
// one.
func TestGrantsAndViewersHaveAnIssuer(t *testing.T) {
	t.Parallel()
	configuration := fmt.Sprintf(`
server: {listen: "127.0.0.1:0", admin_listen: "", drain_delay: 0}
keystore: {driver: memory}
organizations:
  - id: acme
    environments:
      - id: acme
        viewers:
          - {issuer: "https://idp.acme.example", alias: main, jwks_file: jwks.json, algorithms: [RS256]}
          - {issuer: "https://partner.example", alias: partner, jwks_file: jwks.json, algorithms: [RS256], audience: shop}
        access_tokens: [%s]
        playback_ids: [{id: FILM, asset: {id: A1}}]
        policy: {version: 1, rules: [{id: held, effect: allow, when: 'viewer.grants.size() > 0'}]}
`, accessToken())
	_, jwks := identityProvider(t)
	path := write(t, configuration)
	put(t, filepath.Join(filepath.Dir(path), "jwks.json"), string(jwks))
	a := started(t, path)
	message := func(answer map[string]any) string { return fmt.Sprint(answer["error"], answer["notes"]) }
	grant := func(issuer string) string {
		return `{"viewer":{"id":"u1","issuer":"` + issuer + `"},"type":"purchase","scope":{"all":true}}`
	}
	film := func(issuer string) string {
		return `{"playback_id":"FILM","viewer":{"id":"u1","issuer":"` + issuer + `"}}`
	}
	for _, c := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"PUT", "/v1/grants/g1", grant("partnr"), http.StatusBadRequest, "viewer.issuer: is no issuer of this environment; did you mean partner?"},
		{"PUT", "/v1/grants/g1", grant("https://partner.example/"), http.StatusBadRequest, "did you mean partner, which is https://partner.example?"},
		{"PUT", "/v1/grants/g1", grant("https://partner.example"), http.StatusCreated, ""},
		{"POST", "/v1/tokens", film("partner"), http.StatusOK, ""},
		{"POST", "/v1/tokens", film("https://partner.example"), http.StatusOK, ""},
		{"POST", "/v1/tokens", film("main"), http.StatusForbidden, "no_matching_rule"},
		{"POST", "/v1/tokens", film("mani"), http.StatusBadRequest, "invalid_field"},
		{"POST", "/v1/explain", film("main"), http.StatusOK, "this viewer holds grants under partner, which rules do not see for a viewer of main"},
		{"POST", "/v1/explain", film("partner"), http.StatusOK, ""},
	} {
		code, answer := backend(t, a, c.method, c.path, c.body)
		if code != c.code || !strings.Contains(message(answer), c.says) || c.says == "" && answer["notes"] != nil {
			t.Errorf("%s %s %s: %d %v, want %d %q", c.method, c.path, c.body, code, answer, c.code, c.says)
		}
	}
	// An alias that is renamed leaves its grants behind: they are found.
	put(t, path, strings.ReplaceAll(configuration, "alias: partner", "alias: associate"))
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code, answer := backend(t, a, "POST", "/v1/explain", film("associate")); code != http.StatusOK || !strings.Contains(message(answer), "holds grants under partner") {
		t.Errorf("after the alias was renamed: %d %v", code, answer)
	}
	if code, answer := backend(t, a, "GET", "/v1/grants?viewer=u1&issuer=partner", ""); code != http.StatusOK || !strings.Contains(fmt.Sprint(answer["data"]), "g1") {
		t.Errorf("the grants of the old alias: %d %v", code, answer)
	}
}

// identityProvider returns the identity provider of acme, with its key set.
func identityProvider(t testing.TB) (*identitytest.Provider, []byte) {
	t.Helper()
	provider, err := identitytest.New(identitytest.Config{Issuer: "https://idp.acme.example", Algorithms: []string{"RS256"}})
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := provider.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	return provider, jwks
}
