package server_test

import (
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func TestJWKS(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, c := range []struct{ host, target, environment string }{
		{acmeHost, "/.well-known/jwks.json", "acme-prod"},
		{globexHost, "/.well-known/jwks.json", "globex-prod"},
		{acmeHost, "/v1/environments/globex-prod/jwks.json", "globex-prod"},
		{"other.example", "/v1/environments/acme-prod/jwks.json", "acme-prod"},
	} {
		// Neither a credential, good or bad, nor an Origin makes a difference.
		r := k.get(c.target, "Host: "+c.host, "Authorization: nonsense", "Origin: "+acmePage)
		if r.StatusCode != 200 || r.body != `{"keys":[{"kid":"`+c.environment+`"}]}` {
			t.Errorf("%s%s: answered %d %s", c.host, c.target, r.StatusCode, r.body)
		}
		for h, want := range map[string]string{
			"Cache-Control": "public, max-age=60", "Etag": `"tag-` + c.environment + `"`, "Content-Type": "application/json",
			"Access-Control-Allow-Origin": "", "Vary": "", "Ratelimit-Limit": "",
		} {
			diff(t, h, r.Header.Get(h), want)
		}
		for match, status := range map[string]int{
			`"tag-` + c.environment + `"`: 304, `W/"tag-` + c.environment + `"`: 304, "*": 304,
			`"x", "tag-` + c.environment + `"`: 304, `"x"`: 200, "": 200, "tag-" + c.environment: 200,
		} {
			r := k.get(c.target, "Host: "+c.host, "If-None-Match: "+match)
			if r.StatusCode != status || status == 304 && r.body != "" {
				t.Errorf("If-None-Match %s: answered %d %q, want %d", match, r.StatusCode, r.body, status)
			}
			diff(t, "Etag", r.Header.Get("Etag"), `"tag-`+c.environment+`"`)
			diff(t, "Cache-Control", r.Header.Get("Cache-Control"), "public, max-age=60")
		}
	}
	k.want(k.get("/v1/environments/initech/jwks.json"), 404, playback.CodeNotFound)
	k.want(k.get("/v1/environments/%61cme-prod/jwks.json"), 404, playback.CodeNotFound)
	k.want(k.get("/.well-known/jwks.json", "Host: other.example"), 400, playback.CodeEnvironmentUnresolved)
}

func TestJWKSOfTheOnlyEnvironmentNeedsNoHost(t *testing.T) {
	t.Parallel()
	k := start(t, options{tenants: []tenant.Organization{{ID: "o", Environments: []tenant.Environment{{ID: "only"}}}}})
	if r := k.get("/.well-known/jwks.json", "Host: 127.0.0.1:8080"); r.StatusCode != 200 {
		t.Errorf("answered %d", r.StatusCode)
	}
}

func TestJWKSThatIsNotKnownYet(t *testing.T) {
	t.Parallel()
	k := start(t, options{tenants: []tenant.Organization{{ID: "o", Environments: []tenant.Environment{{ID: "unready"}}}}})
	r := k.get("/.well-known/jwks.json")
	k.want(r, 503, playback.CodeNoActiveKey)
	diff(t, "Retry-After", r.Header.Get("Retry-After"), "5")
}
