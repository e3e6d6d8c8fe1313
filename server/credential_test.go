package server_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/tenant"
)

func TestWhichEnvironmentAnswers(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const target = "/v1/playback-ids/P/token"
	for _, c := range []struct {
		name       string
		host       string
		credential string
		status     int
		code       playback.Code
		want       playback.EnvironmentID
	}{
		{"the viewer token's", "other.example", bearer(acmeViewer), 200, "", acme},
		{"the viewer token's, other", "other.example", bearer(globexViewer), 200, "", globex},
		{"the access token's", "other.example", basicAuth(acmeBackend, secret), 200, "", acme},
		{"the access token's, other", "other.example", basicAuth(globexBackend, secret), 200, "", globex},
		{"host and credential agree", acmeHost, bearer(acmeViewer), 200, "", acme},
		{"host and viewer token disagree", globexHost, bearer(acmeViewer), 401, playback.CodeInvalidCredentials, ""},
		{"host and access token disagree", globexHost, basicAuth(acmeBackend, secret), 401, playback.CodeInvalidCredentials, ""},
		{"two have the pair, host picks", acmeHost, bearer(sharedViewer), 200, "", acme},
		{"two have the pair, host picks the other", globexHost, bearer(sharedViewer), 200, "", globex},
		{"two have the pair, no host", "other.example", bearer(sharedViewer), 400, playback.CodeEnvironmentUnresolved, ""},
		{"no environment has the pair", acmeHost, bearer("idp-evil.playgate.u1"), 401, playback.CodeInvalidCredentials, ""},
		{"no environment has the audience", acmeHost, bearer("idp-acme.other.u1"), 401, playback.CodeInvalidCredentials, ""},
		{"no credential, host admits anonymous", globexHost, "", 200, "", globex},
		{"no credential, host does not", acmeHost, "", 401, playback.CodeMissingCredentials, ""},
		{"no credential, no host", "other.example", "", 400, playback.CodeEnvironmentUnresolved, ""},
		{"unreadable before the environment", "other.example", bearer("junk"), 401, playback.CodeInvalidCredentials, ""},
		{"a bad credential is never anonymous", globexHost, bearer("junk"), 401, playback.CodeInvalidCredentials, ""},
		{"expired", acmeHost, bearer(acmeViewer + ".expired"), 401, playback.CodeExpiredCredentials, ""},
		{"forged", acmeHost, bearer(acmeViewer + ".forged"), 401, playback.CodeInvalidCredentials, ""},
		{"issuer never loaded", acmeHost, bearer(acmeViewer + ".down"), 503, playback.CodeIssuerUnavailable, ""},
		{"host in capitals, with port and dot", "PLAY.Globex.Example.:443", "", 200, "", globex},
	} {
		headers := []string{"Host: " + c.host}
		if c.credential != "" {
			headers = append(headers, c.credential)
		}
		r := k.get(target, headers...)
		if r.StatusCode != c.status || r.code() != c.code {
			t.Errorf("%s: answered %d %q, want %d %q", c.name, r.StatusCode, r.code(), c.status, c.code)
			continue
		}
		checkAnswer(t, r)
		if c.status == 200 && k.issuer.last(t).Environment != c.want {
			t.Errorf("%s: environment %q, want %q", c.name, k.issuer.last(t).Environment, c.want)
		}
		if c.status == 401 && r.Header.Get("Www-Authenticate") != "Bearer" {
			t.Errorf("%s: WWW-Authenticate %q", c.name, r.Header.Get("Www-Authenticate"))
		}
		if c.status == 503 && r.Header.Get("Retry-After") != "7" {
			t.Errorf("%s: Retry-After %q", c.name, r.Header.Get("Retry-After"))
		}
	}
}

func TestTheOnlyEnvironmentNeedsNoHost(t *testing.T) {
	t.Parallel()
	k := start(t, options{tenants: tenants()[1:]})
	k.want(k.get("/v1/playback-ids/P/token", "Host: 127.0.0.1"), 200, "")
	k.want(k.get("/v1/playback-ids/P/token", "Host: 127.0.0.1", bearer(globexViewer)), 200, "")
	k.want(k.get("/v1/playback-ids/P/token?gv="+globexViewer, "Host: 127.0.0.1"), 200, "")
	if got := k.issuer.last(t).Viewer.ID; got != "u1" {
		t.Errorf("viewer = %q", got)
	}
}

func TestAuthorizationIsOneBearerOrBasic(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	encode := base64.StdEncoding.EncodeToString
	for header, status := range map[string]int{
		"Authorization: Bearer " + acmeViewer:                                  200,
		"Authorization: bearer " + acmeViewer:                                  200,
		"Authorization: BEARER   " + acmeViewer:                                200,
		"Authorization:":                                                       401,
		"Authorization: Bearer":                                                401,
		"Authorization: Bearer ":                                               401,
		"Authorization: " + acmeViewer:                                         401,
		"Authorization: Digest x":                                              401,
		"Authorization: Token " + acmeViewer:                                   401,
		"Authorization: Bearer a\r\nAuthorization: Bearer b":                   401,
		bearer(acmeViewer) + "\r\n" + bearer(acmeViewer):                       401,
		basicAuth(acmeBackend, secret) + "\r\n" + bearer(acmeViewer):           401,
		basicAuth(acmeBackend, secret):                                         200,
		"Authorization: basic " + encode([]byte(acmeBackend+":"+secret)):       200,
		basicAuth(acmeBackend, "wrong"):                                        401,
		basicAuth("unknown", secret):                                           401,
		basicAuth("", ""):                                                      401,
		"Authorization: Basic " + encode([]byte(acmeBackend)):                  401,
		"Authorization: Basic !!!":                                             401,
		"Authorization: Basic " + strings.Repeat("QUFB", 600):                  401,
		"Authorization: Basic " + encode([]byte(acmeBackend+":"+secret)) + "=": 401,
	} {
		// A good credential in the query does not help a bad Authorization.
		r := k.get("/v1/playback-ids/P/token?vt="+acmeViewer, header)
		code := playback.Code("")
		if status == 401 {
			code = playback.CodeInvalidCredentials
		}
		if r.StatusCode != status || r.code() != code {
			t.Errorf("%.60q: answered %d %q, want %d", header, r.StatusCode, r.code(), status)
		}
		checkAnswer(t, r)
	}
}

func TestViewerQuery(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	token := "/v1/playback-ids/P/token"
	for _, c := range []struct {
		name    string
		target  string
		headers []string
		status  int
		code    playback.Code
	}{
		{"on a token", token + "?vt=" + acmeViewer, nil, 200, ""},
		{"on tokens", "/v1/playback-ids/P/tokens?vt=" + acmeViewer, nil, 200, ""},
		{"on a redirect", "/stream/P.m3u8?vt=" + acmeViewer, nil, 302, ""},
		{"beside parameters", token + "?max_resolution=720p&vt=" + acmeViewer, nil, 200, ""},
		{"percent-encoded", token + "?v%74=" + strings.ReplaceAll(acmeViewer, "u", "%75"), nil, 200, ""},
		{"Authorization beats it", token + "?vt=junk", []string{bearer(acmeViewer)}, 200, ""},
		{"it beats the cookie", token + "?vt=junk", []string{"Cookie: vc=" + acmeViewer}, 401, playback.CodeInvalidCredentials},
		{"empty", token + "?vt=", nil, 401, playback.CodeInvalidCredentials},
		{"repeated", token + "?vt=" + acmeViewer + "&vt=" + acmeViewer, nil, 401, playback.CodeInvalidCredentials},
		{"badly encoded", token + "?vt=%zz", nil, 401, playback.CodeInvalidCredentials},
		{"repeated beside Authorization", token + "?vt=a&vt=b", []string{bearer(acmeViewer)}, 400, playback.CodeInvalidParam},
		{"another environment's name", token + "?gv=" + acmeViewer, nil, 401, playback.CodeMissingCredentials},
		{"no host: the name that is there", token + "?gv=" + globexViewer, []string{"Host: other.example"}, 200, ""},
		{"no host: the token's environment reads another name", token + "?vt=" + globexViewer, []string{"Host: other.example"}, 401, playback.CodeInvalidCredentials},
		{"no host: the first environment's name wins", token + "?gv=" + globexViewer + "&vt=" + acmeViewer, []string{"Host: other.example"}, 400, playback.CodeUnknownParam},
		{"HEAD", token + "?vt=" + acmeViewer, nil, 200, ""},
	} {
		r := k.get(c.target, c.headers...)
		if r.StatusCode != c.status || r.code() != c.code {
			t.Errorf("%s: answered %d %q, want %d %q", c.name, r.StatusCode, r.code(), c.status, c.code)
		}
		checkAnswer(t, r)
	}
	// It is not read where a body is sent.
	// What fasthttp would take for user information is no host.
	k.want(k.get(token, "Host: "+globexHost+"@"+acmeHost, bearer(acmeViewer)), 400, "invalid_request")
	k.want(k.get(token, "Host: "+acmeHost+"@"+globexHost, bearer(acmeViewer)), 400, "invalid_request")
	k.want(k.post("/v1/tokens?vt="+acmeViewer, `{"playback_id":"P"}`), 401, playback.CodeMissingCredentials)
	k.want(k.raw("POST", message("POST", "/license/widevine/P?vt="+acmeViewer, "x", nil)), 401, playback.CodeMissingCredentials)
	if r := k.call("HEAD", token+"?vt="+acmeViewer); r.StatusCode != 200 {
		t.Errorf("HEAD: answered %d", r.StatusCode)
	}
}

func TestACookieCountsOnlyFromThisSite(t *testing.T) {
	t.Parallel()
	const cookie = "Cookie: a=b; vc=" + acmeViewer + "; c=d"
	k := start(t, options{})
	for _, c := range []struct {
		headers string
		status  int
	}{
		{"Origin: " + acmePage, 200},
		{"Origin: http://" + acmeHost, 200}, // the same origin
		{"Origin: http://" + acmeHost + ":80", 200},
		{"Origin: https://" + acmeHost, 403}, // another scheme is another origin
		{"Origin: http://" + acmeHost + ":8080", 403},
		{"Origin: null", 403},
		{"Origin: https://evil.example", 403},
		{"Origin: " + globexPage, 403},
		{"Origin: https://www.acme.example.evil.example", 403},
		{"Origin: http://", 403},
		{"Origin: " + acmePage + "\r\nOrigin: " + acmePage, 403},
		{"Origin: https://evil.example\r\nSec-Fetch-Site: same-origin", 403}, // Origin decides
		{"Origin: " + acmePage + "\r\nSec-Fetch-Site: cross-site", 200},
		{"Sec-Fetch-Site: same-origin", 200},
		{"Sec-Fetch-Site: same-site", 200},
		{"Sec-Fetch-Site: none", 200},
		{"Sec-Fetch-Site: cross-site", 403},
		{"Sec-Fetch-Site: Same-Origin", 403},
		{"Accept: */*", 403}, // neither header
	} {
		want := playback.Code("")
		if c.status == 403 {
			want = playback.CodeCrossSite
		}
		for _, r := range []response{
			k.get("/v1/playback-ids/P/token", cookie, c.headers),
			k.post("/v1/tokens", `{"playback_id":"P"}`, cookie, c.headers),
		} {
			if r.StatusCode != c.status || r.code() != want {
				t.Errorf("%q: answered %d %q, want %d", c.headers, r.StatusCode, r.code(), c.status)
			}
		}
	}
	// Where the cookie is not the credential that counts, the rule is not about it.
	k.want(k.get("/v1/playback-ids/P/token", cookie, bearer(acmeViewer), "Origin: https://evil.example"), 200, "")
	k.want(k.get("/v1/playback-ids/P/token?vt="+acmeViewer, cookie, "Origin: https://evil.example"), 200, "")
	for header, code := range map[string]playback.Code{
		"Cookie: vc=": playback.CodeInvalidCredentials, "Cookie: vc=junk": playback.CodeInvalidCredentials,
		"Cookie: vc=" + acmeViewer + "; vc=x": playback.CodeInvalidCredentials, "Cookie: VC=" + acmeViewer: playback.CodeMissingCredentials,
		"Cookie: x=" + acmeViewer: playback.CodeMissingCredentials, "Cookie:": playback.CodeMissingCredentials,
	} {
		k.want(k.get("/v1/playback-ids/P/token", header, "Sec-Fetch-Site: same-origin"), 401, code)
	}
	k.want(k.get("/v1/playback-ids/P/token", "Cookie: a=b", cookie, "Sec-Fetch-Site: none"), 200, "") // two Cookie lines
	// globex reads no cookie.
	k.want(k.get("/v1/playback-ids/P/token", "Host: "+globexHost, "Cookie: vc="+globexViewer), 200, "")
	if k.issuer.last(t).Viewer.Authenticated {
		t.Error("a cookie that the environment does not read made a viewer")
	}
}

func TestABackendNeedsItsPermission(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, target := range []string{"/v1/playback-ids/P/token", "/v1/playback-ids/P/tokens", "/stream/P.m3u8", "/stats/counts"} {
		k.want(k.get(target, basicAuth(noRights, secret)), 403, playback.CodeInsufficientPermissions)
	}
	k.want(k.post("/v1/tokens", `{`, basicAuth(noRights, secret)), 403, playback.CodeInsufficientPermissions)
	k.want(k.post("/v1/tokens/batch", `{`, basicAuth(noRights, secret)), 403, playback.CodeInsufficientPermissions)
}

func TestABackendsOwnConnectionIsNotTheViewers(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.want(k.get("/stream/P.m3u8", basicAuth(acmeBackend, secret), "User-Agent: curl", "Origin: https://x", "Referer: https://x/"), 302, "")
	got := k.issuer.last(t)
	if got.Viewer.Authenticated || got.Client.IP.IsValid() || got.Client.UserAgent+got.Client.Origin+got.Client.Referrer != "" || got.Client.Country != "ZZ" {
		t.Errorf("asked %+v of %+v", got.Viewer, got.Client)
	}
}

func TestVerifiedViewersAreRememberedAndNotVerifiedAgain(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for range 5 {
		k.want(k.get("/v1/playback-ids/P/token", bearer(acmeViewer)), 200, "")
	}
	if n := k.identity.verified.Load(); n != 1 {
		t.Errorf("verified %d times, want 1", n)
	}
	// An environment that a reload removed has no remembered viewers either.
	k.configure(options{tenants: tenants()[1:]})
	k.want(k.get("/v1/playback-ids/P/token", bearer(acmeViewer), "Host: other.example"), 401, playback.CodeInvalidCredentials)
}

func TestNoCredentialReachesTheLog(t *testing.T) {
	t.Parallel()
	k := start(t, options{accessLog: "all"})
	k.get("/stream/P.m3u8?vt=idp-acme.playgate.SECRET1&token=SECRET2", "X-Request-Id: one")
	k.get("/v1/playback-ids/P/token", "Authorization: Bearer idp-acme.playgate.SECRET3.forged")
	k.get("/v1/playback-ids/P/token", basicAuth(acmeBackend, "SECRET4"))
	k.get("/v1/playback-ids/P/token", "Cookie: vc=SECRET5", "Sec-Fetch-Site: none")
	k.get("/nowhere/" + strings.Repeat("x", 1000) + "?vt=SECRET6")
	log := k.log.text()
	if strings.Contains(log, "SECRET") || strings.Contains(log, base64.StdEncoding.EncodeToString([]byte(acmeBackend))[:20]) {
		t.Errorf("the log has a credential: %s", log)
	}
	if strings.Contains(log, "e30.") {
		t.Errorf("the log has a token: %s", log)
	}
	for _, want := range []string{
		`"request_id":"one"`, `"route":"/stream/{id}.m3u8"`, `"path":"/stream/P.m3u8"`, `"environment":"acme-prod"`, `"caller":"viewer"`,
		`"rule":"premium"`, `"cache":"miss"`, `"status":302`, `"code":"invalid_credentials"`, `"cause":"bad signature"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
	if strings.Contains(log, strings.Repeat("x", 300)) {
		t.Error("a path is logged without bound")
	}
}

func TestPermissionConstantsAreTheTenants(t *testing.T) {
	t.Parallel()
	if tenant.VideoRead.String() != "video:read" {
		t.Error("minting needs video:read")
	}
}
