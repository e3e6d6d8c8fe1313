package server_test

import (
	"context"
	"testing"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// public answers every request as for a public playback ID.
func public(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
	return granting(req, playback.PolicyPublic), nil
}

// TestStatisticsOfAPublicIDHaveTokens: stats.mux.com wants a token whatever the
// policy (contract §4).
func TestStatisticsOfAPublicIDHaveTokens(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(public)
	r := k.post("/v1/tokens", `{"playback_id":"P","types":["video","stats"]}`, bearer(acmeViewer))
	k.want(r, 200, "")
	diff(t, "X-Playgate-Cache", r.Header.Get("X-Playgate-Cache"), "miss")
	none := map[string]any{}
	diff(t, "answer", r.decode(t), map[string]any{"data": map[string]any{
		"playback_id": "P", "policy": "public", "environment_id": "acme-prod", "rule": "premium", "key_id": "K1",
		"tokens": []any{
			map[string]any{"type": "video", "token": "", "url": "https://stream.example/P.m3u8", "expires_at": nil, "refresh_at": nil, "rule": "premium", "params": none},
			map[string]any{
				"type": "stats", "token": "e30.stats.c2ln", "url": "https://stats.example/counts?token=e30.stats.c2ln",
				"expires_at": 2e9, "refresh_at": 2e9 - 900, "rule": "premium", "params": none,
			},
		},
		"player": none,
	}})
	r = k.get("/v1/playback-ids/P/token?type=stats", bearer(acmeViewer))
	k.want(r, 200, "")
	diff(t, "answer", r.decode(t), map[string]any{"data": map[string]any{
		"type": "stats", "token": "e30.stats.c2ln", "url": "https://stats.example/counts?token=e30.stats.c2ln",
		"expires_at": 2e9, "refresh_at": 2e9 - 900, "playback_id": "P", "key_id": "K1", "rule": "premium",
	}})
	for query, kind := range map[string]string{"playback_id=P": "stats", "asset_id=A": "stats_asset", "live_stream_id=L": "stats_live_stream"} {
		r = k.get("/stats/counts?_=1&"+query, bearer(acmeViewer))
		k.want(r, 302, "")
		diff(t, query, r.Header.Get("Location"), "https://stats.example/counts?token=e30."+kind+".c2ln")
		diff(t, "X-Playgate-Cache", r.Header.Get("X-Playgate-Cache"), "miss")
	}
	r = k.post("/v1/tokens/batch", `{"requests":[{"playback_id":"P"},{"playback_id":"P","types":["stats"]}]}`, bearer(acmeViewer))
	k.want(r, 200, "")
	diff(t, "X-Playgate-Cache", r.Header.Get("X-Playgate-Cache"), "miss")
}

// TestAVideoIDIsAskedForByABackend, in every body that asks for tokens.
func TestAVideoIDIsAskedForByABackend(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const id = `film/1?"\~`
	body := `{"video_id":"film/1?\"\\~","types":["stats_video"]}`
	r := k.post("/v1/tokens", body, basicAuth(acmeBackend, secret))
	k.want(r, 200, "")
	want := map[string]any{
		"playback_id": nil, "policy": nil, "video_id": id, "environment_id": "acme-prod", "rule": "premium", "key_id": "K1",
		"tokens": []any{map[string]any{
			"type": "stats_video", "token": "e30.stats_video.c2ln", "url": "https://stats.example/counts?token=e30.stats_video.c2ln",
			"expires_at": 2e9, "refresh_at": 2e9 - 900, "rule": "premium", "params": map[string]any{},
		}},
		"player": map[string]any{},
	}
	diff(t, "answer", r.decode(t), map[string]any{"data": want})
	got := k.issuer.last(t)
	if got.VideoID != id || got.PlaybackID != "" || got.AssetID != "" || got.LiveStreamID != "" {
		t.Errorf("asked %+v", got)
	}
	r = k.post("/v1/tokens/batch", `{"requests":[`+body+`]}`, basicAuth(acmeBackend, secret))
	k.want(r, 200, "")
	diff(t, "item", r.decode(t)["data"].([]any)[0], any(map[string]any{"data": want}))
	r = k.post("/v1/tokens/batch", `{"requests":[`+body+`]}`, bearer(acmeViewer))
	k.want(r, 200, "")
	if code := r.decode(t)["data"].([]any)[0].(map[string]any)["error"].(map[string]any)["code"]; code != "insufficient_permissions" {
		t.Errorf("a viewer's item: code = %v", code)
	}
	longest := nest("v", 255)
	k.want(k.post("/v1/tokens", `{"video_id":"`+longest+`","types":["stats_video"]}`, basicAuth(acmeBackend, secret)), 200, "")
	diff(t, "video_id", k.issuer.last(t).VideoID, playback.VideoID(longest))
}
