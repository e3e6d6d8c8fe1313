package server_test

import (
	"context"
	"testing"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, c := range []struct {
		target   string
		location string // without the query
		kind     playback.TokenType
		file     string
	}{
		{"/stream/P.m3u8", "https://stream.example/P.m3u8", playback.Video, ""},
		{"/stream/P/720p.mp4", "https://stream.example/P/720p.mp4", playback.Video, "720p.mp4"},
		{"/stream/P/capped-1080p.mp4", "https://stream.example/P/capped-1080p.mp4", playback.Video, "capped-1080p.mp4"},
		{"/stream/P/audio.m4a", "https://stream.example/P/audio.m4a", playback.Video, "audio.m4a"},
		{"/stream/P/text/T_1-a.vtt", "https://stream.example/P/text/T_1-a.vtt", playback.Video, "text/T_1-a.vtt"},
		{"/stream/P/text/T.txt", "https://stream.example/P/text/T.txt", playback.Video, "text/T.txt"},
		{"/image/P/thumbnail.jpg", "https://image.example/P/thumbnail.jpg", playback.Thumbnail, ""},
		{"/image/P/thumbnail.png", "https://image.example/P/thumbnail.png", playback.Thumbnail, ""},
		{"/image/P/thumbnail.webp", "https://image.example/P/thumbnail.webp", playback.Thumbnail, ""},
		{"/image/P/animated.gif", "https://image.example/P/animated.gif", playback.GIF, ""},
		{"/image/P/animated.webp", "https://image.example/P/animated.webp", playback.GIF, ""},
		{"/image/P/storyboard.vtt", "https://image.example/P/storyboard.vtt", playback.Storyboard, ""},
		{"/image/P/storyboard.json", "https://image.example/P/storyboard.json", playback.Storyboard, ""},
		{"/image/P/storyboard.jpg", "https://image.example/P/storyboard.jpg", playback.Storyboard, ""},
		{"/image/P/storyboard.png", "https://image.example/P/storyboard.png", playback.Storyboard, ""},
		{"/image/P/storyboard.webp", "https://image.example/P/storyboard.webp", playback.Storyboard, ""},
		{"/license/widevine/P", "https://license.example/license/widevine/P", playback.DRMLicense, ""},
		{"/license/fairplay/P", "https://license.example/license/fairplay/P", playback.DRMLicense, ""},
		{"/license/playready/P", "https://license.example/license/playready/P", playback.DRMLicense, ""},
		{"/license/appcert/fairplay/P", "https://license.example/appcert/fairplay/P", playback.DRMLicense, ""},
		{"/stats/counts?playback_id=P", "https://stats.example/counts", playback.Stats, ""},
		{"/stats/counts?asset_id=A", "https://stats.example/counts", playback.StatsAsset, ""},
		{"/stats/counts?live_stream_id=L", "https://stats.example/counts", playback.StatsLiveStream, ""},
	} {
		r := k.get(c.target, bearer(acmeViewer))
		k.want(r, 302, "")
		diff(t, c.target, r.Header.Get("Location"), c.location+"?token=e30."+c.kind.String()+".c2ln")
		diff(t, "Referrer-Policy", r.Header.Get("Referrer-Policy"), "strict-origin")
		diff(t, "X-Playgate-Cache", r.Header.Get("X-Playgate-Cache"), "miss")
		got := k.issuer.last(t)
		if len(got.Types) != 1 || got.Types[0] != c.kind || got.File != c.file {
			t.Errorf("%s: asked for %v, file %q", c.target, got.Types, got.File)
		}
		if r.body != "" {
			t.Errorf("%s: body %q", c.target, r.body)
		}
	}
}

func TestALicenceRequestKeepsItsMethod(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.raw("POST", message("POST", "/license/widevine/P", "\x08\x01challenge", []string{bearer(acmeViewer), "Content-Type: application/octet-stream"}))
	k.want(r, 307, "")
	diff(t, "Location", r.Header.Get("Location"), "https://license.example/license/widevine/P?token=e30.drm_license.c2ln")
}

func TestStreamAndImageHostsServeTheRedirectsAtTheRoot(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for host, c := range map[string]struct {
		target, location string
	}{
		"stream." + acmeHost:            {"/P.m3u8", "https://stream.example/P.m3u8?token=e30.video.c2ln"},
		"Stream." + acmeHost + ".:8443": {"/P/720p.mp4", "https://stream.example/P/720p.mp4?token=e30.video.c2ln"},
		"image." + acmeHost:             {"/P/thumbnail.png", "https://image.example/P/thumbnail.png?token=e30.thumbnail.c2ln"},
	} {
		r := k.get(c.target, "Host: "+host, bearer(acmeViewer))
		k.want(r, 302, "")
		diff(t, host, r.Header.Get("Location"), c.location)
	}
	for host, target := range map[string]string{
		"stream." + acmeHost: "/P/thumbnail.png", "image." + acmeHost: "/P.m3u8", acmeHost: "/P.m3u8",
	} {
		k.want(k.get(target, "Host: "+host, bearer(acmeViewer)), 404, playback.CodeNotFound)
	}
	for _, target := range []string{"/v1/tokens", "/stream/P.m3u8", "/.well-known/jwks.json", "//P.m3u8", "/"} {
		k.want(k.get(target, "Host: stream."+acmeHost, bearer(acmeViewer)), 404, playback.CodeNotFound)
	}
}

func TestKnownParametersBecomeClaimsAndTheRestIsDropped(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.get("/image/P/thumbnail.png?time=5.0&CMCD=br%3D1&vt=" + acmeViewer + "&token=old&_=123&session_id=s1&min_ttl=x&what=%F0%9F%98%80")
	k.want(r, 302, "")
	diff(t, "Location", r.Header.Get("Location"), "https://image.example/P/thumbnail.png?token=e30.thumbnail.c2ln")
	got := k.issuer.last(t)
	diff(t, "params", got.Params[playback.Thumbnail], playback.Params{{Name: "time", JSON: "5"}})
	diff(t, "session", got.SessionID, playback.SessionID("s1"))
}

func TestBadRedirects(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for target, code := range map[string]playback.Code{
		"/image/P/thumbnail.png?time=x":             playback.CodeInvalidParam,
		"/image/P/thumbnail.png?time=1&time=1":      playback.CodeInvalidParam,
		"/image/P/thumbnail.png?fit_mode=crop":      playback.CodeInvalidParam,
		"/image/P/thumbnail.png?exp=1":              playback.CodeReservedClaim,
		"/image/P/thumbnail.png?sub=Q":              playback.CodeReservedClaim,
		"/image/P/thumbnail.png?custom=Q":           playback.CodeReservedClaim,
		"/image/P/thumbnail.png?time=%zz":           playback.CodeInvalidParam,
		"/image/P/thumbnail.png?session_id=%zz":     playback.CodeInvalidParam,
		"/image/P/thumbnail.png?session_id=%20":     playback.CodeInvalidField,
		"/stream/a-b.m3u8":                          playback.CodeInvalidPlaybackID,
		"/stream/%2e%2e.m3u8":                       playback.CodeInvalidPlaybackID,
		"/stream/%252e%252e%252fadmin.m3u8":         playback.CodeInvalidPlaybackID,
		"/stream/P%0d%0aX:1.m3u8":                   playback.CodeInvalidPlaybackID,
		"/stream/a.b.m3u8":                          playback.CodeInvalidPlaybackID,
		"/stream/..m3u8":                            playback.CodeInvalidPlaybackID,
		"/stats/counts":                             playback.CodeInvalidField,
		"/stats/counts?playback_id=":                playback.CodeInvalidPlaybackID,
		"/stats/counts?playback_id=a-b":             playback.CodeInvalidPlaybackID,
		"/stats/counts?playback_id=P&asset_id=A":    playback.CodeInvalidField,
		"/stats/counts?playback_id=P&playback_id=P": playback.CodeInvalidParam,
		"/stats/counts?asset_id=%ff":                playback.CodeInvalidField,
		"/stats/counts?playback_id=P&aud=v":         playback.CodeReservedClaim,
	} {
		r := k.get(target, bearer(acmeViewer))
		if r.StatusCode != 400 || r.code() != code {
			t.Errorf("%s: answered %d %q, want 400 %q", target, r.StatusCode, r.code(), code)
		}
		if r.Header.Get("Location") != "" {
			t.Errorf("%s: Location %q", target, r.Header.Get("Location"))
		}
		checkAnswer(t, r)
	}
}

func TestPublicRedirectsKeepTheirQuery(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		a := granting(req, playback.PolicyPublic)
		var kept playback.Params
		for _, p := range a.Items[0].Params {
			if p.Name != "width" { // a rule forces it
				kept = append(kept, p)
			}
		}
		a.Items[0].Params = kept
		return a, nil
	})
	for target, want := range map[string]string{
		"/image/P/thumbnail.png":                                                          "https://image.example/P/thumbnail.png",
		"/image/P/thumbnail.png?token=x&vt=" + acmeViewer:                                 "https://image.example/P/thumbnail.png",
		"/image/P/thumbnail.png?a+b=c%26d&width=5&time=5.0&%C3%A9=%F0%9F%98%80&e&x=1&x=2": "https://image.example/P/thumbnail.png?a+b=c%26d&time=5&%C3%A9=%F0%9F%98%80&e&x=1&x=2",
		"/image/P/thumbnail.png?CMCD=%0d%0aSet-Cookie:x":                                  "https://image.example/P/thumbnail.png?CMCD=%0d%0aSet-Cookie:x",
		"/image/P/thumbnail.png?CMCD=100%&_=%E0&x=%zz&y=a,b%20c":                          "https://image.example/P/thumbnail.png?CMCD=100%&_=%E0&x=%zz&y=a,b%20c",
		"/image/P/thumbnail.png?gv=" + globexViewer + "&n=1":                              "https://image.example/P/thumbnail.png?n=1",
	} {
		r := k.get(target, bearer(acmeViewer))
		k.want(r, 302, "")
		diff(t, target, r.Header.Get("Location"), want)
		if got, ok := r.Header["X-Playgate-Cache"]; ok {
			t.Errorf("X-Playgate-Cache = %q, want none", got)
		}
	}
}

func TestARefusedRedirectIsAnEnvelope(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(refusing(playback.Denied("not_released")))
	r := k.get("/stream/P.m3u8", bearer(acmeViewer))
	k.want(r, 403, "not_released")
	if r.Header.Get("Location") != "" || r.Header.Get("X-Playgate-Cache") != "" {
		t.Errorf("headers = %v", r.Header)
	}
}
