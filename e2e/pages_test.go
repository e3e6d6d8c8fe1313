package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pageCall is one request from a page; pages.mjs makes it.
type pageCall struct {
	Name    string         `json:"name"`
	Page    string         `json:"page"`
	Kind    string         `json:"kind"` // fetch, img
	URL     string         `json:"url"`
	Options map[string]any `json:"options,omitempty"`
	Read    []string       `json:"read,omitempty"` // headers

	status  int    // that the page reads, 0 none
	fails   bool   // the page gets an error
	code    string // of the envelope that the page reads
	answers string // that the browser lets through, in order: "host status reason"
}

type pageResult struct {
	Name, Error, Body string
	Status            int
	Headers           map[string]string
	Answers           []struct {
		Host, Path, Method, Reason string
		Status                     int
	}
}

// TestBrowsersReachTheGatewayFromItsOwnPagesOnly sends a real browser's CORS
// requests, cookies, Sec-Fetch headers and referrers to the gateway, from a
// page that cors_origins lists and from one that it does not.
func TestBrowsersReachTheGatewayFromItsOwnPagesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "        viewer_cookie: viewer\n        cors_origins: [\"https://"+pageHost+"\"]\n", "acme")
	w.files["rules-acme.yaml"] = strings.Replace(openRules, "ttl: 1h,", "ttl: 1h, playback_restriction_id: PAGES,", 1)
	mux := &relay{}
	b := newBrowser(t, mux)
	b.Hosts["www.evil.test"] = b.Hosts[pageHost]
	g := startTLS(t, w, b, "acme.example", "stream.acme.example", "image.acme.example")
	mux.to.Store(newEdge(t, g))

	const own, evil, gateway = "https://" + pageHost + "/", "https://www.evil.test/", "https://acme.example"
	bearer := w.viewer(t, "acme", "u1")
	cookie := map[string]any{"credentials": "include"}
	post := map[string]any{
		"method": http.MethodPost, "body": `{"playback_id":"PIDacme"}`,
		"headers": map[string]string{"Authorization": bearer, "Content-Type": "application/json"},
	}
	withBearer := map[string]any{"headers": map[string]string{"Authorization": bearer}}
	exposed := []string{"X-Request-Id", "X-Playgate-Cache"}
	const token, picture = "/v1/playback-ids/PIDacme/token", "/image/PIDacme/thumbnail.png"
	calls := []pageCall{
		{Name: "own page mints with a bearer token", Page: own, Kind: "fetch", URL: gateway + "/v1/tokens", Options: post, Read: exposed, status: 200, answers: "acme.example 200"},
		{Name: "own page asks with the cookie", Page: own, Kind: "fetch", URL: gateway + token, Options: cookie, Read: exposed, status: 200, answers: "acme.example 200"},
		{Name: "own page without a credential", Page: own, Kind: "fetch", URL: gateway + token, Read: exposed[:1], status: 401, code: "missing_credentials", answers: "acme.example 401"},
		{Name: "own page with a bad token", Page: own, Kind: "fetch", URL: gateway + token, Options: map[string]any{"headers": map[string]string{"Authorization": "Bearer x.y.z"}}, Read: exposed[:1], status: 401, code: "invalid_credentials", answers: "acme.example 401"},
		{Name: "own page's picture, by cookie", Page: own, Kind: "img", URL: gateway + picture, answers: "acme.example 302, image.mux.com 200 ok"},
		{
			Name: "own page's player with a bearer token, CMCD and a cache buster", Page: own, Kind: "fetch", Options: withBearer, status: 200,
			URL: "https://stream.acme.example/PIDacme.m3u8?redundant_streams=true&CMCD=sid%3D%22a%22&_=1", answers: "stream.acme.example 302, stream.mux.com 200 ok",
		},
		{Name: "own page's text track", Page: own, Kind: "fetch", URL: "https://stream.acme.example/PIDacme/text/en.vtt", Options: withBearer, status: 200, answers: "stream.acme.example 302, stream.mux.com 200 ok"},
		{Name: "own page's piece of a file", Page: own, Kind: "fetch", URL: gateway + "/stream/PIDacme/audio.m4a", Options: map[string]any{
			"headers": map[string]string{"Authorization": bearer, "Range": "bytes=0-99"},
		}, status: 206, answers: "acme.example 302, stream.mux.com 206 ok"},
		{Name: "own page's licence", Page: own, Kind: "fetch", URL: gateway + "/license/widevine/DRMacme", Options: map[string]any{
			"method": http.MethodPost, "body": "challenge", "headers": map[string]string{"Authorization": bearer, "Content-Type": "application/octet-stream"},
		}, status: 200, answers: "acme.example 307, license.mux.com 200 ok"},
		{Name: "own page's certificate", Page: own, Kind: "fetch", URL: gateway + "/license/appcert/fairplay/DRMacme", Options: withBearer, status: 200, answers: "acme.example 302, license.mux.com 200 ok"},
		{Name: "own page's counts", Page: own, Kind: "fetch", URL: gateway + "/stats/counts?live_stream_id=STREAMacme", Options: withBearer, status: 200, answers: "acme.example 302, stats.mux.com 200 ok"},
		{Name: "foreign page mints with a bearer token", Page: evil, Kind: "fetch", URL: gateway + "/v1/tokens", Options: post, fails: true},
		{Name: "foreign page asks with the cookie", Page: evil, Kind: "fetch", URL: gateway + token, Options: cookie, fails: true},
		{Name: "foreign page's picture, by cookie", Page: evil, Kind: "img", URL: gateway + picture, fails: true},
		{Name: "foreign page posts a form's type with the cookie", Page: evil, Kind: "fetch", URL: gateway + "/v1/tokens", Options: map[string]any{
			"method": http.MethodPost, "credentials": "include", "mode": "no-cors", "body": `{"playback_id":"PIDacme"}`,
		}, answers: "acme.example 403"},
	}
	in := map[string]any{"browser": b, "calls": calls, "cookies": []any{map[string]any{
		"name": "viewer", "value": strings.TrimPrefix(bearer, "Bearer "), "domain": "acme.example", "path": "/", "secure": true, "sameSite": "None",
	}}}
	var results []pageResult
	node(t, "pages.mjs", in, &results)
	for n, c := range calls {
		c.check(t, results[n])
	}
	// A browser does not show a page what it may not read: the gateway's log does.
	want := []string{"401 missing_credentials", "401 invalid_credentials", "403 cross_site", "403 cross_site", "403 cross_site"}
	var got []string
	g.await("the log of all refusals", func() bool {
		got = nil
		for line := range strings.Lines(g.log.String()) {
			var entry struct {
				Code   string
				Status int
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Code != "" {
				got = append(got, fmt.Sprintf("%d %s", entry.Status, entry.Code))
			}
		}
		return len(got) >= len(want)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got)\n%s", diff)
	}
}

func (c pageCall) check(t *testing.T, r pageResult) {
	t.Helper()
	var answers []string
	for _, a := range r.Answers {
		if a.Method != http.MethodOptions {
			answers = append(answers, strings.TrimSpace(fmt.Sprintf("%s %d %s", a.Host, a.Status, a.Reason)))
		}
	}
	if got := strings.Join(answers, ", "); got != c.answers {
		t.Errorf("%s: the servers answer %q, want %q", c.Name, got, c.answers)
	}
	if (r.Error != "") != c.fails || r.Status != c.status || c.status == 0 && r.Body != "" {
		t.Errorf("%s: the page reads %d %q %s, want %d, or an error: %v", c.Name, r.Status, r.Body, r.Error, c.status, c.fails)
	}
	for name, value := range r.Headers {
		if value == "" {
			t.Errorf("%s: the page cannot read %s", c.Name, name)
		}
	}
	var envelope struct{ Error struct{ Code string } }
	if err := json.Unmarshal([]byte(r.Body), &envelope); c.code != "" && (err != nil || envelope.Error.Code != c.code) {
		t.Errorf("%s: the page reads %s, want the code %s", c.Name, r.Body, c.code)
	}
}
