package server_test

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func proxies() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
}

// limits reads the RateLimit headers, "" where there are none.
func limits(r response) string {
	h := r.Header
	return strings.TrimSuffix(h.Get("Ratelimit-Limit")+" "+h.Get("Ratelimit-Remaining")+" "+h.Get("Ratelimit-Reset"), "  ")
}

func withLimits(viewer, ip, accessToken string) options {
	o := tenants()
	for i := range o {
		o[i].Environments[0].RateLimits = tenant.RateLimits{Viewer: viewer, IP: ip, AccessToken: accessToken}
	}
	return options{tenants: o}
}

const aToken = "/v1/playback-ids/P/token"

func TestAViewersLimit(t *testing.T) {
	t.Parallel()
	k := start(t, withLimits("3-M", "", ""))
	for i, want := range []string{"3 2 60", "3 1 60", "3 0 60"} {
		r := k.get(aToken, bearer(acmeViewer))
		k.want(r, 200, "")
		diff(t, "request "+strconv.Itoa(i), limits(r), want)
	}
	k.clock.advance(20500 * time.Millisecond)
	r := k.get(aToken, bearer(acmeViewer))
	k.want(r, 429, playback.CodeRateLimited)
	diff(t, "headers", limits(r)+" "+r.Header.Get("Retry-After"), "3 0 40 40")
	// Another viewer of the same environment, and the same ID elsewhere, are others.
	k.want(k.get(aToken, bearer("idp-acme.playgate.u2")), 200, "")
	k.want(k.get(aToken, bearer(sharedViewer)), 200, "")
	k.want(k.get(aToken, "Host: "+globexHost, bearer(globexViewer)), 200, "")
	k.want(k.get(aToken, "Host: "+globexHost, bearer(sharedViewer)), 200, "")
	k.clock.advance(39500 * time.Millisecond)
	k.want(k.get(aToken, bearer(acmeViewer)), 200, "") // a new window
}

func TestEachTokenCosts(t *testing.T) {
	t.Parallel()
	k := start(t, withLimits("20-M", "", "20-M"))
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		a := granting(req, playback.PolicySigned)
		if req.All {
			if err := req.Charge(len(a.Items)); err != nil {
				return nil, err
			}
		}
		return a, nil
	})
	credentials := map[string]string{"viewer": bearer(acmeViewer), "backend": basicAuth(acmeBackend, secret)}
	for name, credential := range credentials {
		remaining := func(r response, want string) {
			t.Helper()
			diff(t, name, r.Header.Get("Ratelimit-Remaining"), want)
		}
		remaining(k.get(aToken, credential), "19")
		remaining(k.get("/stream/P.m3u8", credential), "18")
		remaining(k.post("/v1/tokens", `{"playback_id":"P","types":["video","gif","thumbnail","video"]}`, credential), "15")
		remaining(k.get("/v1/playback-ids/P/tokens", credential), "12")
		remaining(k.post("/v1/tokens/batch", `{"requests":[{"playback_id":"P","types":["video","gif"]},{"playback_id":"-"},{"playback_id":"Q"}]}`, credential), "9")
		remaining(k.post("/v1/tokens/batch", `{"requests":[{"playback_id":"-"}]}`, credential), "8")
		// What was not understood costs the one that every request costs.
		remaining(k.post("/v1/tokens", `{"playback_id":"P","types":["video","gif"],"params":{"gif":{"x":1}}}`, credential), "7")
		remaining(k.get(aToken+"?x=1", credential), "6")
		before := k.issuer.count()
		r := k.post("/v1/tokens", `{"playback_id":"P","types":["video","gif","thumbnail","storyboard","stats","stats_asset","stats_live_stream"]}`, credential)
		k.want(r, 429, playback.CodeRateLimited)
		remaining(r, "0")
		if k.issuer.count() != before {
			t.Error("the issuer was asked beyond the limit")
		}
	}
	r := k.get("/v1/playback-ids/P/tokens", bearer("idp-acme.playgate.u3"))
	k.want(r, 200, "")
	diff(t, "tokens", limits(r), "20 17 60")
}

func TestTheAddressLimitCountsViewersAnonymousAndFailedRequests(t *testing.T) {
	t.Parallel()
	k := start(t, withLimits("", "4-M", ""))
	k.want(k.get(aToken, bearer(acmeViewer)), 200, "")
	k.want(k.get(aToken, bearer("junk")), 401, playback.CodeInvalidCredentials)
	k.want(k.get(aToken, basicAuth(acmeBackend, "wrong")), 401, playback.CodeInvalidCredentials)
	k.want(k.get(aToken), 401, playback.CodeMissingCredentials)
	for _, credential := range []string{bearer(acmeViewer), bearer("junk"), basicAuth(acmeBackend, "wrong"), "Accept: */*"} {
		r := k.get(aToken, credential)
		k.want(r, 429, playback.CodeRateLimited)
		diff(t, "headers", limits(r)+" "+r.Header.Get("Retry-After"), "4 0 60 60")
	}
	// Not counted: a valid access token, JWKS, what has no route, preflights.
	for range 10 {
		k.want(k.get(aToken, basicAuth(acmeBackend, secret)), 200, "")
		k.want(k.get("/nowhere"), 404, playback.CodeNotFound)
		k.want(k.call("OPTIONS", "/v1/tokens"), 204, "")
		if r := k.get("/.well-known/jwks.json"); r.StatusCode != 200 || limits(r) != "" {
			t.Errorf("JWKS: answered %d, limits %q", r.StatusCode, limits(r))
		}
	}
	k.from("198.51.100.8")
	k.want(k.get(aToken, bearer(acmeViewer)), 200, "")
}

func TestAnAnonymousCallerPaysWithItsAddress(t *testing.T) {
	t.Parallel()
	k := start(t, withLimits("1-M", "10-M", ""))
	host := "Host: " + globexHost
	diff(t, "headers", limits(k.get(aToken, host)), "10 9 60")
	diff(t, "headers", limits(k.post("/v1/tokens", `{"playback_id":"P","types":["video","gif","thumbnail"]}`, host)), "10 6 60")
	r := k.post("/v1/tokens", `{"playback_id":"P","types":["video","gif","thumbnail","storyboard","stats","stats_asset","stats_live_stream"]}`, host)
	k.want(r, 429, playback.CodeRateLimited)
}

func TestWhoseAddressLimitIsCharged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers []string
		want    string // the limit that applied
	}{
		"the token ID's":                      {[]string{"Host: " + globexHost, basicAuth(acmeBackend, "wrong")}, "11"},
		"an unknown token ID: the host's":     {[]string{"Host: " + globexHost, basicAuth("unknown", "wrong")}, "12"},
		"the unverified iss and aud's":        {[]string{"Host: " + globexHost, bearer(acmeViewer + ".forged")}, "11"},
		"an unknown iss: the host's":          {[]string{"Host: " + globexHost, bearer("idp-evil.playgate.x")}, "12"},
		"unreadable: the host's":              {[]string{"Host: " + globexHost, bearer("junk")}, "12"},
		"nobody's":                            {[]string{"Host: other.example", bearer("junk")}, "13"},
		"nobody's, without a credential":      {[]string{"Host: other.example"}, "13"},
		"nobody's, two environments' token":   {[]string{"Host: other.example", bearer(sharedViewer)}, "13"},
		"the host's, two environments' token": {[]string{"Host: " + globexHost, bearer(sharedViewer)}, "12"},
		"a wrong host's valid access token":   {[]string{"Host: " + globexHost, basicAuth(acmeBackend, secret)}, "11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := tenants()
			o[0].Environments[0].RateLimits.IP = "11-M"
			o[1].Environments[0].RateLimits.IP = "12-M"
			k := start(t, options{tenants: o, unresolved: "13-M"})
			diff(t, "RateLimit-Limit", k.get(aToken, c.headers...).Header.Get("Ratelimit-Limit"), c.want)
		})
	}
	k := start(t, options{tenants: tenants()[:1], unresolved: "13-M"})
	if got := limits(k.get(aToken, "Host: other.example", bearer("junk"))); got != "" {
		t.Errorf("the only environment has no limit, but %q applied", got)
	}
}

// TestAnUnknownTokenIDIsAnsweredLikeAWrongSecret, header by header, and until the
// limit: who guesses learns of no ID that it exists. The contract names two limits
// where Host is not that of the ID's environment; here it is.
func TestAnUnknownTokenIDIsAnsweredLikeAWrongSecret(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tenants []tenant.Organization
		headers []string
	}{
		"the host's environment": {tenants(), []string{"Host: " + acmeHost}},
		"the only environment":   {tenants()[:1], nil},
		"a page of cors_origins": {tenants(), []string{"Host: " + acmeHost, "Origin: " + acmePage}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := func(id string) (all []string) {
				for i := range c.tenants {
					c.tenants[i].Environments[0].RateLimits.IP = "3-M"
				}
				k := start(t, options{tenants: c.tenants})
				for range 5 {
					r := k.get(aToken, append(c.headers, basicAuth(id, "wrong"))...)
					body := strings.ReplaceAll(r.body, r.Header.Get("X-Request-Id"), "")
					r.Header.Del("X-Request-Id")
					r.Header.Del("Date")
					all = append(all, fmt.Sprint(r.StatusCode, " ", r.Header, " ", body))
				}
				return all
			}
			known, unknown := answers(acmeBackend), answers("99c819de-4add-4c9f-b2e9-384a0a71bede")
			diff(t, "answers", unknown, known)
			if !strings.HasPrefix(known[0], "401 ") || !strings.HasPrefix(known[4], "429 ") {
				t.Errorf("answered %v, want 401 and then 429", known)
			}
		})
	}
}

func TestAHouseholdsNetworkIsOneAddress(t *testing.T) {
	t.Parallel()
	k := start(t, withLimits("", "2-M", ""))
	status := func(ip string) int {
		k.from(ip)
		return k.get(aToken, bearer(acmeViewer)).StatusCode
	}
	for _, c := range []struct {
		ip     string
		status int
	}{
		{"2001:db8:1:2::1", 200},
		{"2001:db8:1:2:ffff::1", 200},
		{"2001:db8:1:2::3", 429},
		{"2001:db8:1:3::1", 200},
		{"::ffff:192.0.2.1", 200},
		{"192.0.2.1", 200}, // the same address
		{"192.0.2.1", 429},
		{"192.0.2.2", 200},
	} {
		if got := status(c.ip); got != c.status {
			t.Errorf("%s: answered %d, want %d", c.ip, got, c.status)
		}
	}
}

func TestAClientBehindAProxyIsCountedByItself(t *testing.T) {
	t.Parallel()
	o := withLimits("", "1-M", "")
	o.trusted = proxies()
	k := start(t, o)
	k.from("10.0.0.1")
	status := func(header string) int { return k.get(aToken, bearer(acmeViewer), header).StatusCode }
	for _, c := range []struct {
		header string
		status int
	}{
		{"X-Forwarded-For: 192.0.2.1", 200},
		{"X-Forwarded-For: 203.0.113.99, 192.0.2.1", 429}, // what is left of it is the client's invention
		{"X-Forwarded-For: 192.0.2.2, 10.0.0.2", 200},
		{"X-Forwarded-For: 192.0.2.2\r\nX-Forwarded-For: 10.0.0.2", 429},
		{"X-Forwarded-For: 192.0.2.3 , 10.9.9.9", 200},
		{"X-Forwarded-For: 192.0.2.3", 429},
		{"Accept: */*", 200}, // the proxy itself
		{"X-Forwarded-For: nonsense", 429},
		{"X-Forwarded-For: 192.0.2.4, nonsense, 10.0.0.3", 200}, // stops at 10.0.0.3
		{"X-Forwarded-For: 10.0.0.3", 429},
	} {
		if got := status(c.header); got != c.status {
			t.Errorf("%q: answered %d, want %d", c.header, got, c.status)
		}
	}
	k.from("192.0.2.50") // nobody trusted
	k.want(k.get(aToken, bearer(acmeViewer), "X-Forwarded-For: 192.0.2.51"), 200, "")
	k.want(k.get(aToken, bearer(acmeViewer), "X-Forwarded-For: 192.0.2.52"), 429, playback.CodeRateLimited)
	if got := k.issuer.last(t).Client.IP.String(); got != "192.0.2.50" {
		t.Errorf("client = %s", got)
	}
}

func TestCountersSurviveAReloadAndRatesDoNot(t *testing.T) {
	t.Parallel()
	k := start(t, withLimits("5-M", "", ""))
	diff(t, "before", limits(k.get(aToken, bearer(acmeViewer))), "5 4 60")
	k.configure(withLimits("3-M", "", ""))
	diff(t, "after", limits(k.get(aToken, bearer(acmeViewer))), "3 1 60")
	k.configure(withLimits("3-S", "", ""))
	k.clock.advance(2 * time.Second)
	diff(t, "a shorter period", limits(k.get(aToken, bearer(acmeViewer))), "3 2 1")
}
