package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

func TestGetToken(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.get("/v1/playback-ids/PID1/token?type=thumbnail&min_ttl=5m&session_id=s1&time=5&width=320", bearer(acmeViewer))
	k.want(r, 200, "")
	diff(t, "answer", r.decode(t), map[string]any{"data": map[string]any{
		"type": "thumbnail", "token": "e30.thumbnail.c2ln", "url": "https://image.example/PID1/thumbnail.webp?token=e30.thumbnail.c2ln",
		"expires_at": 2e9, "refresh_at": 2e9 - 900, "playback_id": "PID1", "key_id": "K1", "rule": "premium",
	}})
	got := k.issuer.last(t)
	diff(t, "params", got.Params[playback.Thumbnail], playback.Params{{Name: "time", JSON: "5"}, {Name: "width", JSON: "320"}})
	if got.SessionID != "s1" || got.MinTTL.Minutes() != 5 || got.PlaybackID != "PID1" || got.All {
		t.Errorf("asked %+v", got)
	}
}

func TestGetTokenDefaultsToVideo(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, query := range []string{"", "?", "?&&", "?type=playback", "?type=video"} {
		k.want(k.get("/v1/playback-ids/P/token"+query, bearer(acmeViewer)), 200, "")
		diff(t, "types", k.issuer.last(t).Types, []playback.TokenType{playback.Video})
	}
}

func TestGetTokens(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.get("/v1/playback-ids/P/tokens?min_ttl=60&session_id=s", bearer(acmeViewer))
	k.want(r, 200, "")
	got := k.issuer.last(t)
	if !got.All || got.MinTTL.Seconds() != 60 || got.SessionID != "s" {
		t.Errorf("asked %+v", got)
	}
	data := r.decode(t)["data"].(map[string]any)
	if n := len(data["tokens"].([]any)); n != 3 || data["environment_id"] != "acme-prod" {
		t.Errorf("answer = %s", r.body)
	}
	// A drm-token only for a playback ID that needs one.
	diff(t, "player", data["player"], any(map[string]any{"playback-token": "e30.video.c2ln", "thumbnail-token": "e30.thumbnail.c2ln"}))
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		return granting(req, playback.PolicyDRM), nil
	})
	r = k.get("/v1/playback-ids/P/tokens", bearer(acmeViewer))
	if player := r.decode(t)["data"].(map[string]any)["player"].(map[string]any); player["drm-token"] != "e30.drm_license.c2ln" {
		t.Errorf("player = %v", player)
	}
}

func TestBadQueries(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const (
		token  = "/v1/playback-ids/P/token"
		tokens = "/v1/playback-ids/P/tokens"
	)
	for _, c := range []struct {
		target string
		code   playback.Code
	}{
		{token + "?type=movie", playback.CodeUnknownType},
		{token + "?type=", playback.CodeUnknownType},
		{token + "?type=video&type=video", playback.CodeInvalidParam},
		{token + "?time=5", playback.CodeUnknownParam},
		{token + "?what=1", playback.CodeUnknownParam},
		{token + "?=1", playback.CodeUnknownParam},
		{token + "?token=x", playback.CodeUnknownParam},
		{token + "?gv=x", playback.CodeUnknownParam}, // globex's viewer_query
		{token + "?exp=5", playback.CodeReservedClaim},
		{token + "?custom=5", playback.CodeReservedClaim},
		{token + "?%65xp=5", playback.CodeReservedClaim},
		{token + "?max_resolution=8k", playback.CodeInvalidParam},
		{token + "?max_resolution=", playback.CodeInvalidParam},
		{token + "?max_resolution=720p&max_resolution=720p", playback.CodeInvalidParam},
		{token + "?max_resolution=720p&%6dax_resolution=480p", playback.CodeInvalidParam},
		{token + "?asset_start_time=20&asset_end_time=10", playback.CodeInvalidParam},
		{token + "?max_resolution=%zz", playback.CodeInvalidParam},
		{token + "?max_resolution=%", playback.CodeInvalidParam},
		{token + "?max_resolution=%ff", playback.CodeInvalidParam},
		{token + "?max_resolution=720p%00", playback.CodeInvalidParam},
		{token + "?what%zz=1", playback.CodeInvalidParam},
		{token + "?exclude_pdt=1", playback.CodeInvalidParam},
		{token + "?exclude_pdt=TRUE", playback.CodeInvalidParam},
		{token + "?type=thumbnail&time=1e999", playback.CodeInvalidParam},
		{token + "?type=thumbnail&time=" + strings.Repeat("9", 400), playback.CodeInvalidParam},
		{token + "?type=thumbnail&time=+5", playback.CodeInvalidParam},
		{token + "?type=thumbnail&width=5.5", playback.CodeInvalidParam},
		{token + "?type=thumbnail&width=-5", playback.CodeInvalidParam},
		{token + "?min_ttl=0", playback.CodeInvalidField},
		{token + "?min_ttl=x", playback.CodeInvalidField},
		{token + "?min_ttl=5m&min_ttl=5m", playback.CodeInvalidParam},
		{token + "?session_id=a%20b", playback.CodeInvalidField},
		{token + "?session_id=", playback.CodeInvalidField},
		{token + "?session_id=a&session_id=a", playback.CodeInvalidParam},
		{tokens + "?type=video", playback.CodeUnknownParam},
		{tokens + "?max_resolution=720p", playback.CodeUnknownParam},
		{tokens + "?exp=1", playback.CodeReservedClaim},
		{tokens + "?min_ttl=x", playback.CodeInvalidField},
		{"/v1/playback-ids/a-b/token", playback.CodeInvalidPlaybackID},
		{"/v1/playback-ids/%50/token", playback.CodeInvalidPlaybackID},
		{"/v1/playback-ids/%2e%2e/token", playback.CodeInvalidPlaybackID},
		{"/v1/playback-ids/%252e%252e/tokens", playback.CodeInvalidPlaybackID},
		{"/v1/playback-ids/../token", playback.CodeInvalidPlaybackID},
		{"/v1/playback-ids/" + strings.Repeat("a", 256) + "/token", playback.CodeInvalidPlaybackID},
		{"/v1/playback-ids/P;x=1/token", playback.CodeInvalidPlaybackID},
		{"/v1/playback-ids/P%00/token", playback.CodeInvalidPlaybackID},
	} {
		r := k.get(c.target, bearer(acmeViewer))
		if r.StatusCode != 400 || r.code() != c.code {
			t.Errorf("%.80s: answered %d %q, want 400 %q: %s", c.target, r.StatusCode, r.code(), c.code, r.body)
		}
		checkAnswer(t, r)
	}
	if n := k.issuer.count(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestPathsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, target := range []string{
		"/", "/v1", "/v1/", "/v1/tokens/", "/V1/tokens", "//v1/tokens", "/v1//tokens", "/v1/tokens/batch/", "/v1/./tokens", "/v1/x/../tokens",
		"/%76%31/tokens", "/v1%2ftokens", "/v1/playback-ids/P/token/", "/v1/playback-ids//token", "/v1/playback-ids/P/%74oken", "/v1/playback-ids/P",
		"/stream/P", "/stream/.m3u8", "/stream/P.M3U8", "/stream/P.m3u8/", "/stream//P.m3u8", "/stream/P/720p.mp3", "/stream/P/a%20b.mp4",
		"/stream/P/.mp4", "/stream/P/" + strings.Repeat("a", 65) + ".mp4", "/stream/P/../Q.m3u8", "/stream/P/text/.vtt", "/stream/P/text/a.srt", "/stream/P/text/a.b.vtt",
		"/image/P/thumbnail.gif", "/image/P/thumbnail", "/image/P/animated.png", "/image/P/storyboard.gif", "/image/P/thumbnail.jpg.png",
		"/license/other/P", "/license/widevine", "/license/widevine/P/x", "/license/appcert/widevine/P", "/stats", "/stats/counts/", "/stats/other",
		"/v1/environments/acme-prod", "/v1/environments/acme-prod/jwks.json/", "/v1/environments//jwks.json", "/.well-known/", "/.well-known/jwks",
		"//evil.example/v1/tokens", "//evil.example/v1/playback-ids/P/token?x=://", "/demo/",
	} {
		r := k.get(target, bearer(acmeViewer))
		if r.StatusCode != 404 || r.code() != playback.CodeNotFound {
			t.Errorf("GET %.60s: answered %d %q, want 404", target, r.StatusCode, r.code())
		}
		checkAnswer(t, r)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for target, allow := range map[string]string{
		"/v1/tokens":                  "POST, OPTIONS",
		"/v1/tokens/batch":            "POST, OPTIONS",
		"/v1/playback-ids/P/token":    "GET, HEAD, OPTIONS",
		"/stream/P.m3u8":              "GET, HEAD, OPTIONS",
		"/license/widevine/P":         "GET, HEAD, POST, OPTIONS",
		"/license/appcert/fairplay/P": "GET, HEAD, OPTIONS",
		"/.well-known/jwks.json":      "GET, HEAD, OPTIONS",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "get", "_OTHER"} {
			if strings.Contains(", "+allow+",", ", "+method+",") {
				continue
			}
			r := k.call(method, target)
			if r.StatusCode != 405 || r.Header.Get("Allow") != allow {
				t.Errorf("%s %s: answered %d, Allow %q; want 405, %q", method, target, r.StatusCode, r.Header.Get("Allow"), allow)
			}
			checkAnswer(t, r)
			if got := k.call(method, "/nowhere"); got.StatusCode != 404 {
				t.Errorf("%s /nowhere: answered %d, want 404", method, got.StatusCode)
			}
		}
		r := k.call("OPTIONS", target)
		if r.StatusCode != 204 || r.Header.Get("Allow") != allow || r.body != "" {
			t.Errorf("OPTIONS %s: answered %d, Allow %q; want 204, %q", target, r.StatusCode, r.Header.Get("Allow"), allow)
		}
		checkAnswer(t, r)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, target := range []string{
		"/v1/playback-ids/P/token", "/v1/playback-ids/P/tokens", "/stream/P.m3u8", "/image/P/thumbnail.jpg", "/license/widevine/P", "/stats/counts?playback_id=P",
		"/v1/playback-ids/P/token?what=1", "/.well-known/jwks.json", "/nowhere",
	} {
		get, head := k.get(target, bearer(acmeViewer)), k.call("HEAD", target, bearer(acmeViewer))
		if head.body != "" {
			t.Errorf("HEAD %s has a body: %s", target, head.body)
		}
		if get.StatusCode != head.StatusCode {
			t.Errorf("HEAD %s: %d, GET: %d", target, head.StatusCode, get.StatusCode)
		}
		for _, h := range []http.Header{get.Header, head.Header} {
			h.Del("X-Request-Id")
			h.Del("Date")
		}
		diff(t, "HEAD "+target, head.Header, get.Header)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.get("/nowhere", "X-Request-Id: trace-01_AZ")
	diff(t, "X-Request-Id", r.Header.Get("X-Request-Id"), "trace-01_AZ")
	seen := map[string]bool{}
	for _, bad := range []string{"", "a b", "a\"b", strings.Repeat("a", 65), "é", "a;b"} {
		id := k.get("/nowhere", "X-Request-Id: "+bad).Header.Get("X-Request-Id")
		if id == bad || len(id) != 32 || seen[id] {
			t.Errorf("X-Request-Id %q became %q", bad, id)
		}
		seen[id] = true
	}
}
