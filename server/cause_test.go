package server_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

// TestRefusalsAreLoggedWithTheirCause: what an operator needs to know of a refusal
// whose message tells its client little. No cause reaches the client, and none
// holds a credential.
func TestRefusalsAreLoggedWithTheirCause(t *testing.T) {
	t.Parallel()
	const token = "/v1/playback-ids/P/token"
	jwt := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJQIn0.c2lnbmF0dXJl"
	evil := "Origin: https://evil.example"
	for _, c := range []struct {
		name   string
		bytes  string
		status int
		cause  string
	}{
		{
			"a listed origin is wanted", message("GET", token, "", []string{"Cookie: vc=" + acmeViewer, evil}), 403,
			`the Origin is "https://evil.example"; want "http://play.acme.example", or one of cors_origins ["https://www.acme.example"]`,
		},
		{
			"a browser that says cross-site", message("GET", token, "", []string{"Cookie: vc=" + acmeViewer, "Sec-Fetch-Site: cross-site"}), 403,
			`there is no Origin, and Sec-Fetch-Site is "cross-site"; want same-origin, same-site or none`,
		},
		{
			"no browser", message("GET", token, "", []string{"Cookie: vc=" + acmeViewer}), 403,
			"there is no Origin, and there is no Sec-Fetch-Site; want same-origin, same-site or none",
		},
		{"two origins", message("GET", token, "", []string{"Cookie: vc=" + acmeViewer, evil, evil}), 403, "there are several Origin headers"},
		{"management from another page", message("GET", "/v1/signing-keys", "", []string{basicAuth(acmeOperator, secret), "Sec-Fetch-Site: same-site"}), 403, `Sec-Fetch-Site is "same-site"`},

		{"a wrong secret", message("GET", token, "", []string{basicAuth(acmeBackend, "a guess")}), 401, "access token " + acmeBackend + " of environment acme-prod has another secret"},
		{"an access token of nobody", message("GET", token, "", []string{basicAuth("a secret by mistake", "x")}), 401, "no environment has an access token with this ID"},
		{"Basic that is none", message("GET", token, "", []string{"Authorization: Basic ???"}), 401, "what stands behind Basic is not base64 of an ID and a secret with a colon between them"},
		{"a token without Bearer", message("GET", token, "", []string{"Authorization: " + jwt}), 401, `it is a JWT without "Bearer " in front`},
		{"Bearer without a token", message("GET", token, "", []string{"Authorization: Bearer "}), 401, "nothing stands behind Bearer"},
		{"another scheme", message("GET", token, "", []string{"Authorization: Token abc"}), 401, "its scheme is Token"},
		{"a secret for a scheme", message("GET", token, "", []string{"Authorization: s3cr3t"}), 401, "its scheme has 6 characters"},
		{"two headers", message("GET", token, "", []string{bearer(acmeViewer), bearer(acmeViewer)}), 401, "There are several Authorization headers."},
		{"a repeated query parameter", message("GET", token+"?vt="+acmeViewer+"&vt=x", "", nil), 401, `the query parameter "vt" stands there 2 times, and its first value has 20 characters`},
		{"an empty query parameter", message("GET", token+"?vt=", "", nil), 401, `the query parameter "vt" stands there 1 time, and its first value has 0 characters`},
		{"a repeated cookie", message("GET", token, "", []string{"Cookie: vc=a; vc=b"}), 401, `the cookie "vc" stands there 2 times, and its last value has 1 character`},
		{"another environment's parameter", message("GET", token+"?vt="+globexViewer, "", []string{"Host: other.example"}), 401, `it came in the query parameter "vt"; viewer_query of environment globex-prod is "gv"`},
		{"another environment's cookie", message("GET", token, "", []string{"Host: other.example", "Cookie: vc=" + globexViewer}), 401, `it came in the cookie "vc"; viewer_cookie of environment globex-prod is ""`},
		{"nothing", message("GET", token, "", nil), 401, `environment acme-prod is not anonymous, and there is no credential in Authorization, the query parameter "vt", the cookie "vc"`},
		{"nothing, for a route that reads no query", message("POST", "/v1/tokens", "{}", nil), 401, `environment acme-prod is not anonymous, and there is no credential in Authorization, the cookie "vc"`},
		{"nothing, where anonymous viewers may not", message("GET", "/v1/signing-keys", "", []string{"Host: " + globexHost}), 401, "environment globex-prod lets only backends do this, and there is no credential in Authorization"},
		{"a host of nobody", message("GET", token, "", []string{"Host: other.example"}), 400, `the host "other.example" is none of an environment's hosts, no credential was sent, and there are 2 environments`},
		{"keys of a host of nobody", message("GET", "/.well-known/jwks.json", "", []string{"Host: other.example"}), 400, `the host "other.example" is none of an environment's hosts`},
		{"no permission", message("POST", "/v1/tokens", "{}", []string{basicAuth(noRights, secret)}), 403, "access token " + noRights + " of environment acme-prod has the permissions [system:read]"},
		{"a viewer where a backend is wanted", message("GET", "/v1/signing-keys", "", []string{bearer(acmeViewer)}), 403, "Only a backend may do this, with an access token."},

		{"no path", message("GET", "/v2/tokens", "", nil), 404, `no route has this path; the host is "play.acme.example"`},
		{"a path below a root", message("GET", "/stream/P.m3u8", "", []string{"Host: stream." + acmeHost}), 404, "the host begins with stream., which serves the redirects alone, without /stream in front"},
		{"two slashes", message("GET", "//stream/P.m3u8", "", nil), 404, "the target begins with two slashes, which some take for a host"},
		{"a method", message("PUT", "/v1/tokens", "", nil), 405, "This path has POST, OPTIONS."},
		{"a length", message("POST", "/v1/tokens", "", []string{"Content-Length: 65537"}), 413, "its declared length is 65537"},
		{"chunks", message("POST", "/v1/tokens", "", []string{"Transfer-Encoding: chunked"}) + "10001\r\n" + strings.Repeat(" ", 1<<16+1) + "\r\n", 413, "it came in chunks, more than that"},
		{"a media type", message("POST", "/v1/tokens", "a=b", []string{bearer(acmeViewer), "Content-Type: application/x-www-form-urlencoded"}), 415, `Content-Type is "application/x-www-form-urlencoded", Content-Encoding ""`},
		{"a parameter", message("GET", token+"?max_resolution=9000p", "", []string{bearer(acmeViewer)}), 400, "max_resolution: "},
		{"a header without a colon", "GET " + token + " HTTP/1.1\r\nHost: a\r\nAuthorization Bearer " + jwt + "\r\n\r\n", 400, "error when reading request headers: "},
		{"a target of two words", "GET " + token + "?vt=" + jwt + " x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "error when reading request headers: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := start(t, options{})
			method, _, _ := strings.Cut(c.bytes, " ")
			r := k.raw(method, c.bytes)
			if r.StatusCode != c.status {
				t.Errorf("answered %d %s, want %d", r.StatusCode, r.body, c.status)
			}
			causes := k.causes()
			if len(causes) != 1 || !strings.HasPrefix(causes[0], c.cause) {
				t.Errorf("causes\n%q, want\n%q", causes, c.cause)
			}
			for _, hidden := range []string{jwt, "eyJzdWIi", "s3cr3t", "a secret by mistake", "a guess", acmeViewer, secret} {
				if strings.Contains(k.log.text(), hidden) {
					t.Errorf("the log has %q: %s", hidden, k.log.text())
				}
			}
		})
	}
}

func TestLimitsAreLoggedWithTheirSetting(t *testing.T) {
	t.Parallel()
	o := tenants()
	o[0].Environments[0].RateLimits = tenant.RateLimits{Viewer: "1-H", IP: "2-M", AccessToken: "1-D"}
	for _, c := range []struct {
		headers []string
		cause   string
	}{
		{[]string{bearer(acmeViewer)}, "rate_limits.viewer of environment acme-prod, 1-H, is used up"},
		{[]string{bearer("junk")}, "rate_limits.ip of environment acme-prod, 2-M, is used up"},
		{[]string{basicAuth(acmeBackend, secret)}, "rate_limits.access_token of environment acme-prod, 1-D, is used up"},
		{[]string{"Host: other.example"}, "server.unresolved_rate_limit, 1-S, is used up"},
	} {
		k := start(t, options{tenants: o, unresolved: "1-S"})
		for range 3 {
			k.get(aToken, c.headers...)
		}
		if causes := k.causes(); !slices.Contains(causes, c.cause) {
			t.Errorf("%q: causes %q, want %q", c.headers, causes, c.cause)
		}
	}
}

func TestABatchIsLoggedWithTheCausesOfItsItems(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(refusing(playback.Denied("embargo").Because(errors.New("rule embargo"))))
	k.want(k.post("/v1/tokens/batch", `{"requests":[{"playback_id":"P1"},{"playback_id":"a-b"}]}`, bearer(acmeViewer)), 200, "")
	want := "requests[0]: embargo: rule embargo; requests[1]: invalid_playback_id: requests[1].playback_id: want 1 to 255 letters and digits"
	if causes := k.causes(); len(causes) != 1 || causes[0] != want {
		t.Errorf("causes %q, want %q", causes, want)
	}
	many := strings.TrimSuffix(strings.Repeat(`{"playback_id":"P"},`, 100), ",")
	k.want(k.post("/v1/tokens/batch", `{"requests":[`+many+`]}`, basicAuth(acmeBackend, secret)), 200, "")
	if causes := k.causes(); len(causes[1]) > 1000 {
		t.Errorf("a cause of %d bytes: %s", len(causes[1]), causes[1])
	}
}
