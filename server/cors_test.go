package server_test

import (
	"testing"

	"github.com/playgate/playgate/playback"
)

// The lists of contract §3, as they stand there.
const (
	allowedHeaders = "authorization, content-type, range, soapaction, baggage, traceparent, cmcd-object, cmcd-request, cmcd-session, cmcd-status"
	exposed        = "X-Request-Id, X-Playgate-Cache, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)

// cors is what an answer says of CORS.
type cors struct{ Origin, Credentials, Expose, Vary string }

func corsOf(r response) cors {
	h := r.Header
	return cors{h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials"), h.Get("Access-Control-Expose-Headers"), h.Get("Vary")}
}

func TestCORSOfRealAnswers(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const token = "/v1/playback-ids/P/token"
	acmes, globexes, nobodys := cors{acmePage, "true", exposed, "Origin"}, cors{globexPage, "", exposed, "Origin"}, cors{Vary: "Origin"}
	for _, c := range []struct {
		name    string
		headers []string
		status  int
		want    cors
	}{
		{"its own page", []string{bearer(acmeViewer), "Origin: " + acmePage}, 200, acmes},
		{"another environment's page", []string{bearer(acmeViewer), "Origin: " + globexPage}, 200, nobodys},
		{"nobody's page", []string{bearer(acmeViewer), "Origin: https://evil.example"}, 200, nobodys},
		{"null", []string{bearer(acmeViewer), "Origin: null"}, 200, nobodys},
		{"a longer name", []string{bearer(acmeViewer), "Origin: " + acmePage + ".evil.example"}, 200, nobodys},
		{"no page", []string{bearer(acmeViewer)}, 200, nobodys},
		{"two Origins", []string{bearer(acmeViewer), "Origin: " + acmePage, "Origin: " + acmePage}, 200, nobodys},
		{"by credential, whatever the host", []string{"Host: other.example", bearer(globexViewer), "Origin: " + globexPage}, 200, globexes},
		{"credentials need a cookie", []string{"Host: " + globexHost, "Origin: " + globexPage}, 200, globexes},
		{"401 before the environment, by host", []string{bearer("junk"), "Origin: " + acmePage}, 401, acmes},
		{"401 before the environment, by host, other page", []string{bearer("junk"), "Origin: " + globexPage}, 401, nobodys},
		{"401 before the environment, no host", []string{"Host: other.example", bearer("junk"), "Origin: " + globexPage}, 401, globexes},
		{"missing credentials", []string{"Origin: " + acmePage}, 401, acmes},
		{"400 unresolved", []string{"Host: other.example", "Origin: " + acmePage}, 400, acmes},
		{"400 unresolved, nobody's page", []string{"Host: other.example", "Origin: https://evil.example"}, 400, nobodys},
		{"403 cross-site", []string{"Cookie: vc=" + acmeViewer, "Origin: https://evil.example"}, 403, nobodys},
	} {
		r := k.get(token, c.headers...)
		if r.StatusCode != c.status {
			t.Errorf("%s: answered %d, want %d", c.name, r.StatusCode, c.status)
		}
		diff(t, c.name, corsOf(r), c.want)
	}
	diff(t, "405", corsOf(k.call("PUT", "/v1/tokens", "Origin: "+acmePage)), acmes)
	diff(t, "redirect", corsOf(k.get("/stream/P.m3u8", bearer(acmeViewer), "Origin: "+acmePage)), acmes)
	diff(t, "404", corsOf(k.get("/nowhere", "Origin: "+acmePage)), cors{})
	k.issuer.answers(refusing(playback.Denied("no")))
	diff(t, "refusal", corsOf(k.get(token, bearer(acmeViewer), "Origin: "+acmePage)), acmes)
}

func TestPreflights(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, c := range []struct {
		name, host, origin          string
		wantOrigin, wantCredentials string
	}{
		{"by host", acmeHost, acmePage, acmePage, "true"},
		{"by host, another's page", acmeHost, globexPage, "", ""},
		{"by host, without cookie", globexHost, globexPage, globexPage, ""},
		{"unresolved, some environment's page", "other.example", globexPage, globexPage, ""},
		{"unresolved, some other's", "other.example", acmePage, acmePage, "true"},
		{"unresolved, nobody's page", "other.example", "https://evil.example", "", ""},
		{"a root", "stream." + acmeHost, acmePage, acmePage, "true"},
	} {
		target := "/v1/tokens"
		if c.name == "a root" {
			target = "/P.m3u8"
		}
		r := k.call("OPTIONS", target, "Host: "+c.host, "Origin: "+c.origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization")
		k.want(r, 204, "")
		diff(t, c.name+": origin", r.Header.Get("Access-Control-Allow-Origin"), c.wantOrigin)
		diff(t, c.name+": credentials", r.Header.Get("Access-Control-Allow-Credentials"), c.wantCredentials)
		diff(t, c.name+": Vary", r.Header.Get("Vary"), "Origin")
		headers, methods := "", ""
		if c.wantOrigin != "" {
			headers, methods = allowedHeaders, r.Header.Get("Allow")
		}
		diff(t, c.name+": headers", r.Header.Get("Access-Control-Allow-Headers"), headers)
		diff(t, c.name+": methods", r.Header.Get("Access-Control-Allow-Methods"), methods)
	}
	r := k.call("OPTIONS", "/.well-known/jwks.json", "Origin: "+acmePage, "Access-Control-Request-Method: GET")
	k.want(r, 204, "")
	diff(t, "no CORS on JWKS", corsOf(r), cors{})
	k.want(k.call("OPTIONS", "/nowhere", "Origin: "+acmePage, "Access-Control-Request-Method: GET"), 404, playback.CodeNotFound)
}

func TestCORSForEveryOrigin(t *testing.T) {
	t.Parallel()
	o := tenants()
	o[1].Environments[0].CORSOrigins = []string{"*"}
	k := start(t, options{tenants: o})
	for origin, want := range map[string]cors{
		"https://any.example": {"*", "", exposed, "Origin"},
		"null":                {"", "", "", "Origin"},
	} {
		diff(t, origin, corsOf(k.get("/v1/playback-ids/P/token", "Host: "+globexHost, "Origin: "+origin)), want)
	}
	// Unresolved: the environment that lists the page itself beats the one that
	// lets everybody.
	r := k.get("/v1/playback-ids/P/token", "Host: other.example", "Origin: "+acmePage)
	diff(t, "unresolved", corsOf(r), cors{acmePage, "true", exposed, "Origin"})
	r = k.get("/v1/playback-ids/P/token", "Host: other.example", "Origin: https://any.example")
	diff(t, "unresolved", corsOf(r), cors{"*", "", exposed, "Origin"})
}

func TestCORSBehindAProxy(t *testing.T) {
	t.Parallel()
	o := tenants()
	k := start(t, options{tenants: o, trusted: proxies()})
	k.from("10.0.0.1")
	r := k.get("/v1/playback-ids/P/token", "Host: inner", "X-Forwarded-Host: evil.example, "+acmeHost, "X-Forwarded-Proto: https",
		"Cookie: vc="+acmeViewer, "Origin: https://"+acmeHost)
	k.want(r, 200, "")
	k.from("192.0.2.1") // no proxy of ours
	r = k.get("/v1/playback-ids/P/token", "Host: inner", "X-Forwarded-Host: "+acmeHost, "X-Forwarded-Proto: https")
	k.want(r, 400, playback.CodeEnvironmentUnresolved)
}
