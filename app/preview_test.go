package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const previewRules = `
version: 1
rules:
  - id: preview
    effect: allow
    when: 'true'
    grant:
      types: [video, thumbnail, gif, storyboard]
      params: {video: {asset_start_time: 20, asset_end_time: 60, max_resolution: 480p}}
`

// follow sends a request without a credential and returns the status, what a
// redirect's token claims beyond kid, sub, aud and exp, and the code of a refusal.
func follow(t *testing.T, base, path string) (status int, claims map[string]any, code string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusFound {
		var envelope struct{ Error struct{ Code string } }
		if err := json.NewDecoder(res.Body).Decode(&envelope); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, nil, envelope.Error.Code
	}
	to, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if len(to.Query()) != 1 {
		t.Errorf("%s: sent on to %s, want token alone", path, to)
	}
	parts := strings.Split(to.Query().Get("token"), ".")
	if len(parts) != 3 {
		t.Fatalf("%s: sent on to %s", path, to)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kid", "sub", "aud", "exp"} {
		delete(claims, name)
	}
	return res.StatusCode, claims, ""
}

// TestAPreviewShowsNothingBeyondItsClip, over redirects, POST /v1/tokens, GET
// …/tokens and POST /v1/explain.
func TestAPreviewShowsNothingBeyondItsClip(t *testing.T) {
	t.Parallel()
	path := write(t, rightsConfiguration())
	dir := filepath.Dir(path)
	put(t, filepath.Join(dir, "policies/acme.yaml"), previewRules)
	put(t, filepath.Join(dir, "geo/city.mmdb"), geoDatabase(t, "DE"))
	a := started(t, path)
	base := "http://" + a.Addr().String()
	for _, c := range []struct {
		path   string
		want   map[string]any // claims
		code   string
		status int // 0: a redirect
	}{
		{path: "/image/FILM/thumbnail.jpg", want: map[string]any{"time": 20.0}},
		{path: "/image/FILM/thumbnail.jpg?width=320&time=60", want: map[string]any{"time": 60.0, "width": 320.0}},
		{path: "/image/FILM/thumbnail.jpg?time=61", status: 403, code: "param_not_granted"},
		{path: "/image/FILM/thumbnail.jpg?time=0", status: 403, code: "param_not_granted"},
		{path: "/image/NEW/thumbnail.jpg?latest=true", status: 403, code: "param_not_granted"},
		{path: "/image/FILM/animated.gif", want: map[string]any{"start": 20.0}},
		{path: "/image/FILM/animated.gif?start=58", want: map[string]any{"start": 58.0, "end": 60.0}},
		{path: "/image/FILM/animated.webp?end=28", want: map[string]any{"start": 20.0, "end": 28.0}},
		{path: "/image/FILM/animated.gif?end=40", status: 400, code: "invalid_param"},
		{path: "/image/FILM/animated.gif?start=70", status: 403, code: "param_not_granted"},
		{path: "/image/FILM/storyboard.vtt?format=webp", want: map[string]any{"asset_start_time": 20.0, "asset_end_time": 60.0, "format": "webp"}},
		{path: "/image/FILM/storyboard.vtt?asset_end_time=90", status: 403, code: "param_not_granted"},
		{path: "/stream/FILM.m3u8?min_resolution=1080p", want: map[string]any{"asset_start_time": 20.0, "asset_end_time": 60.0, "max_resolution": "480p"}},
		{path: "/stream/FILM.m3u8?min_resolution=1080p&max_resolution=720p", status: 400, code: "invalid_param"},
	} {
		status, claims, code := follow(t, base, c.path)
		if c.status == 0 {
			c.status = http.StatusFound
		}
		if status != c.status || code != c.code {
			t.Errorf("GET %s = %d %q, want %d %q", c.path, status, code, c.status, c.code)
		}
		if diff := cmp.Diff(c.want, claims); diff != "" {
			t.Errorf("claims of GET %s (-want +got):\n%s", c.path, diff)
		}
	}

	code, answer := backend(t, a, "POST", "/v1/tokens", `{"playback_id":"FILM","types":["video","gif"],"params":{"gif":{"start":90},"video":{"exclude_pdt":true}}}`)
	if message := firstMessage(answer); code != http.StatusForbidden || !strings.HasPrefix(message, "params.gif.start: ") {
		t.Errorf("a backend's GIF beyond the clip: %d %v", code, answer)
	}
	code, answer = backend(t, a, "POST", "/v1/tokens", `{"playback_id":"FILM","types":["video"],"params":{"video":{"min_resolution":"2160p"}}}`)
	if got := paramsOf(answer); code != http.StatusOK || !cmp.Equal(got, map[string]any{"asset_start_time": 20.0, "asset_end_time": 60.0, "max_resolution": "480p"}) {
		t.Errorf("a backend's resolution that contradicts the forced one: %d %v", code, answer)
	}
	code, answer = backend(t, a, "POST", "/v1/explain", `{"playback_id":"FILM","types":["thumbnail"]}`)
	if got := answer["types"].([]any)[0].(map[string]any)["params"]; code != http.StatusOK || !cmp.Equal(got, map[string]any{"time": 20.0}) {
		t.Errorf("explain: %d %v", code, answer)
	}
	code, answer = backend(t, a, "GET", "/v1/playback-ids/FILM/tokens", "")
	for _, item := range answer["tokens"].([]any) {
		if params := item.(map[string]any)["params"].(map[string]any); code != http.StatusOK || len(params) == 0 {
			t.Errorf("…/tokens: an item without the clip: %v", item)
		}
	}
}

func firstMessage(answer map[string]any) string {
	message, _ := answer["error"].(map[string]any)["messages"].([]any)[0].(string)
	return message
}

func paramsOf(answer map[string]any) map[string]any {
	tokens, _ := answer["tokens"].([]any)
	if len(tokens) == 0 {
		return nil
	}
	return tokens[0].(map[string]any)["params"].(map[string]any)
}
