package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

func TestPostTokensAnswersTheContractsExample(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.post("/v1/tokens", `{"playback_id":"PID1", "types":["video","thumbnail","storyboard"],
		"params":{"thumbnail":{"time":5,"width":320}}, "min_ttl":"5m", "session_id":"s1",
		"viewer":{"issuer":"main","id":"u1","claims":{"plan":"premium"},"ip":"203.0.113.9","country":"DE"}}`,
		basicAuth(acmeBackend, secret))
	k.want(r, 200, "")
	if got := r.Header.Get("X-Playgate-Cache"); got != "miss" {
		t.Errorf("X-Playgate-Cache = %q, want miss", got)
	}
	item := func(kind, url string, params map[string]any) map[string]any {
		return map[string]any{
			"type": kind, "token": "e30." + kind + ".c2ln", "url": url + "?token=e30." + kind + ".c2ln",
			"expires_at": 2e9, "refresh_at": 2e9 - 900, "rule": "premium", "params": params,
		}
	}
	none := map[string]any{}
	diff(t, "answer", r.decode(t), map[string]any{"data": map[string]any{
		"playback_id": "PID1", "policy": "signed", "environment_id": "acme-prod", "rule": "premium", "key_id": "K1",
		"tokens": []any{
			item("video", "https://stream.example/PID1.m3u8", none),
			item("thumbnail", "https://image.example/PID1/thumbnail.webp", map[string]any{"time": 5., "width": 320.}),
			item("storyboard", "https://image.example/PID1/storyboard.vtt", none),
		},
		"player": map[string]any{
			"playback-token": "e30.video.c2ln", "thumbnail-token": "e30.thumbnail.c2ln", "storyboard-token": "e30.storyboard.c2ln",
		},
	}})
	got := k.issuer.last(t)
	if got.Environment != acme || got.PlaybackID != "PID1" || !got.Backend || got.SessionID != "s1" || got.MinTTL.Seconds() != 300 {
		t.Errorf("asked %+v", got)
	}
	if got.Caller != "t:"+acmeBackend {
		t.Errorf("Caller = %q", got.Caller)
	}
	diff(t, "viewer", got.Viewer, &playback.Viewer{
		Issuer: "main", ID: "u1", Authenticated: true, Claims: map[string]any{"plan": "premium"},
	})
	if got.Client.IP.String() != "203.0.113.9" || got.Client.Country != "DE" {
		t.Errorf("client = %+v", got.Client)
	}
}

func TestEveryTypeHasItsURL(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	r := k.post("/v1/tokens", `{"playback_id":"P","types":["gif","drm_license","stats","stats_asset","stats_live_stream"]}`, bearer(acmeViewer))
	k.want(r, 200, "")
	data := r.decode(t)["data"].(map[string]any)
	urls := map[string]any{}
	for _, i := range data["tokens"].([]any) {
		item := i.(map[string]any)
		urls[item["type"].(string)] = item["url"]
		if item["type"] == "drm_license" {
			diff(t, "urls", item["urls"], any(map[string]any{
				"widevine":             "https://license.example/license/widevine/P?token=e30.drm_license.c2ln",
				"playready":            "https://license.example/license/playready/P?token=e30.drm_license.c2ln",
				"fairplay":             "https://license.example/license/fairplay/P?token=e30.drm_license.c2ln",
				"fairplay_certificate": "https://license.example/appcert/fairplay/P?token=e30.drm_license.c2ln",
			}))
		}
	}
	diff(t, "url", urls, map[string]any{
		"gif":               "https://image.example/P/animated.gif?token=e30.gif.c2ln",
		"drm_license":       "https://license.example/license/widevine/P?token=e30.drm_license.c2ln",
		"stats":             "https://stats.example/counts?token=e30.stats.c2ln",
		"stats_asset":       "https://stats.example/counts?token=e30.stats_asset.c2ln",
		"stats_live_stream": "https://stats.example/counts?token=e30.stats_live_stream.c2ln",
	})
	diff(t, "player", data["player"], any(map[string]any{"drm-token": "e30.drm_license.c2ln"}))
}

func TestWhatABodyMeans(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	types := func(want ...playback.TokenType) func(*testing.T, asked) {
		return func(t *testing.T, a asked) { t.Helper(); diff(t, "types", a.Types, want) }
	}
	for name, c := range map[string]struct {
		body  string
		check func(*testing.T, asked)
	}{
		"types default to video":        {`{"playback_id":"P"}`, types(playback.Video)},
		"null is absent":                {`{"playback_id":"P","asset_id":null,"types":null,"params":null,"min_ttl":null,"session_id":null,"viewer":null,"custom":null}`, types(playback.Video)},
		"playback is an alias of video": {`{"playback_id":"P","types":["playback","video"]}`, types(playback.Video)},
		"duplicates collapse in order":  {`{"playback_id":"P","types":["gif","video","gif","playback"]}`, types(playback.GIF, playback.Video)},
		"params may use the alias": {`{"playback_id":"P","types":["video"],"params":{"playback":{"max_resolution":"720p"}}}`, func(t *testing.T, a asked) {
			diff(t, "params", a.Params[playback.Video], playback.Params{{Name: "max_resolution", JSON: `"720p"`}})
		}},
		"a null parameter is absent": {`{"playback_id":"P","params":{"video":{"max_resolution":null}}}`, func(t *testing.T, a asked) { diff(t, "params", len(a.Params[playback.Video]), 0) }},
		"5, 5.0 and \"5\" are one value": {`{"playback_id":"P","types":["thumbnail"],"params":{"thumbnail":{"time":5.0,"width":"5","height":5e0}}}`, func(t *testing.T, a asked) {
			diff(t, "params", a.Params[playback.Thumbnail], playback.Params{{Name: "height", JSON: "5"}, {Name: "time", JSON: "5"}, {Name: "width", JSON: "5"}})
		}},
		"min_ttl as a number": {`{"playback_id":"P","min_ttl":90}`, func(t *testing.T, a asked) { diff(t, "min_ttl", a.MinTTL.Seconds(), 90.) }},
		"an asset":            {`{"asset_id":"A1"}`, func(t *testing.T, a asked) { diff(t, "asset", a.AssetID, playback.AssetID("A1")) }},
		"a live stream":       {`{"live_stream_id":"L1"}`, func(t *testing.T, a asked) { diff(t, "live", a.LiveStreamID, playback.LiveStreamID("L1")) }},
		"no viewer is an anonymous one": {`{"playback_id":"P"}`, func(t *testing.T, a asked) {
			diff(t, "viewer", a.Viewer, &playback.Viewer{})
			diff(t, "client", a.Client.Country, "ZZ")
			if a.Client.IP.IsValid() || a.Client.UserAgent != "" || a.Client.Origin != "" || a.Client.Referrer != "" {
				t.Errorf("the backend's own connection shows: %+v", a.Client)
			}
		}},
		"a viewer without an ID is anonymous": {`{"playback_id":"P","viewer":{"claims":{"a":[1,"x",null,true,{"b":2}]}}}`, func(t *testing.T, a asked) {
			diff(t, "viewer", a.Viewer, &playback.Viewer{Claims: map[string]any{"a": []any{1., "x", nil, true, map[string]any{"b": 2.}}}})
		}},
		"the issuer defaults to main": {`{"playback_id":"P","viewer":{"id":"u"}}`, func(t *testing.T, a asked) {
			diff(t, "viewer", a.Viewer, &playback.Viewer{Issuer: "main", ID: "u", Authenticated: true})
		}},
		"everything that is said of the client": {`{"playback_id":"P","viewer":{"ip":"::ffff:192.0.2.1","country":"SE","region":"AB","asn":64500,"referrer":"https://a/","origin":"https://a","user_agent":"UA"}}`, func(t *testing.T, a asked) {
			diff(t, "ip", a.Client.IP.String(), "192.0.2.1")
			c := *a.Client
			if c.Country != "SE" || c.Region != "AB" || c.ASN != 64500 || c.Referrer != "https://a/" || c.Origin != "https://a" || c.UserAgent != "UA" {
				t.Errorf("client = %+v", c)
			}
		}},
		"custom becomes canonical JSON": {`{"playback_id":"P","custom":{"b":{"z":1.50,"a":[null,true,"é\u0001\"\\"]},"a":1e2}}`, func(t *testing.T, a asked) {
			diff(t, "custom", a.Custom, map[string]string{"b": `{"a":[null,true,"é\u0001\"\\"],"z":1.50}`, "a": "1e2"})
		}},
		"escapes in names": {`{"\u0070layback_id":"\u0050","\u0074ypes":["\u0067if"]}`, types(playback.GIF)},
	} {
		t.Run(name, func(t *testing.T) { //nolint:paralleltest // one issuer remembers one call
			r := k.post("/v1/tokens", c.body, basicAuth(acmeBackend, secret), "Origin: https://backend.example", "User-Agent: curl", "Referer: https://b/")
			k.want(r, 200, "")
			c.check(t, k.issuer.last(t))
		})
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	const (
		json = playback.CodeInvalidJSON
		fld  = playback.CodeInvalidField
	)
	for _, c := range []struct {
		body string
		code playback.Code
		path string // what the message begins with
	}{
		{``, json, ""},
		{`{`, json, ""},
		{`null`, fld, "body"},
		{`[]`, fld, "body"},
		{`"x"`, fld, "body"},
		{`5`, fld, "body"},
		{`{"playback_id":"P",}`, json, ""},
		{`{"playback_id":'P'}`, json, ""},
		{`{playback_id:"P"}`, json, ""},
		{`{"playback_id":"P" "types":[]}`, json, ""},
		{`{"playback_id":"P","min_ttl":01}`, json, ""},
		{`{"playback_id":"P","min_ttl":.5}`, json, ""},
		{`{"playback_id":"P","min_ttl":1.}`, json, ""},
		{`{"playback_id":"P","min_ttl":+1}`, json, ""},
		{`{"playback_id":"P","min_ttl":NaN}`, json, ""},
		{`{"playback_id":"P","min_ttl":1e}`, json, ""},
		{`{"playback_id":"P","min_ttl":-}`, json, ""},
		{"{\"playback_id\":\"P\xff\"}", json, ""},
		{"\xef\xbb\xbf{\"playback_id\":\"P\"}", json, ""},
		{"{\"playback_id\":\"a\nb\"}", json, ""},
		{`{"playback_id":"\x41"}`, json, ""},
		{`{"playback_id":"\u12"}`, json, ""},
		{`{"playback_id":"\ud800"}`, json, ""},
		{`{"playback_id":"\ud800\u0041"}`, json, ""},
		{`{"playback_id":"\udc00\ud800"}`, json, ""},
		{`{"playback_id":"P"`, json, ""},
		{`{"playback_id":"P`, json, ""},
		{`{"playback_id":"P\`, json, ""},
		{`{"playback_id":tru}`, json, ""},
		{"{\"playback_id\":\"P\"}\x00", fld, "body"},
		{`{"playback_id":"P"}{}`, fld, "body"},
		{`{"playback_id":"P"} x`, fld, "body"},
		{`{"playback_id":"P","viewer":{"claims":{"a":` + nest("[", 40) + nest("]", 40) + `}}}`, fld, "body"},
		{`{}`, fld, "playback_id"},
		{`{"playback_id":"P","asset_id":"A"}`, fld, "playback_id"},
		{`{"playback_id":null}`, fld, "playback_id"},
		{`{"playback_id":5}`, fld, "playback_id"},
		{`{"playback_id":["P"]}`, fld, "playback_id"},
		{`{"playback_id":"P","playback_id":"P"}`, fld, "playback_id"},
		{`{"playback_id":"P","playback\u005fid":"Q"}`, fld, "playback_id"},
		{`{"playback_id":"P","what":1}`, fld, "what"},
		{`{"playback_id":"P","what":null}`, fld, "what"},
		{`{"playback_id":"P","Types":["video"]}`, fld, "Types"},
		{`{"playback_id":"P","ttl":60}`, fld, "ttl"},
		{`{"playback_id":"P","":1}`, fld, `""`},
		{`{"playback_id":"P","types":[]}`, fld, "types"},
		{`{"playback_id":"P","types":"video"}`, fld, "types"},
		{`{"playback_id":"P","types":["video",5]}`, fld, "types[1]"},
		{`{"playback_id":"P","types":[null]}`, fld, "types[0]"},
		{`{"playback_id":"P","types":["video"` + nest(`,"video"`, 64) + `]}`, fld, "types"},
		{`{"playback_id":"P","params":{"video":{"x":null}}}`, playback.CodeUnknownParam, "params.video.x"},
		{`{"playback_id":"P","viewer":{"claims":{"a":[1,{"b c":[0,1e999]}]}}}`, fld, `viewer.claims.a[1]."b c"[1]`},
		{`{"playback_id":"P","viewer":{"claims":{"a":[1,{"b":[{"x":1,"x":2}]}]}}}`, fld, "viewer.claims.a[1].b[0].x"},
		{`{"playback_id":"P","types":["movie"]}`, playback.CodeUnknownType, "types[0]"},
		{`{"playback_id":"P","types":["video","VIDEO"]}`, playback.CodeUnknownType, "types[1]"},
		{`{"playback_id":"P","params":[]}`, fld, "params"},
		{`{"playback_id":"P","params":{"gif":{}}}`, fld, "params.gif"},
		{`{"playback_id":"P","params":{"video":5}}`, fld, "params.video"},
		{`{"playback_id":"P","params":{"video":{"time":[1]}}}`, fld, "params.video.time"},
		{`{"playback_id":"P","params":{"video":{},"playback":{}}}`, fld, "params.playback"},
		{`{"playback_id":"P","params":{"video":{"a":1,"a":1}}}`, fld, "params.video.a"},
		{`{"playback_id":"P","types":["thumbnail"],"params":{"thumbnail":{"width":0}}}`, playback.CodeInvalidParam, "params.thumbnail.width"},
		{`{"playback_id":"P","types":["thumbnail"],"params":{"thumbnail":{"fit_mode":"crop"}}}`, playback.CodeInvalidParam, "params.thumbnail.fit_mode"},
		{`{"playback_id":"P","types":["thumbnail"],"params":{"thumbnail":{"width":1e400}}}`, playback.CodeInvalidParam, "params.thumbnail.width"},
		{`{"playback_id":"P","types":["thumbnail"],"params":{"thumbnail":{"width":true}}}`, playback.CodeInvalidParam, "params.thumbnail.width"},
		{`{"playback_id":"P","types":["gif"],"params":{"gif":{"start":0,"end":11}}}`, playback.CodeInvalidParam, "params.gif.end"},
		{`{"playback_id":"P","params":{"video":{"time":5}}}`, playback.CodeUnknownParam, "params.video.time"},
		{`{"playback_id":"P","params":{"video":{"exp":5}}}`, playback.CodeReservedClaim, "params.video.exp"},
		{`{"playback_id":"P","params":{"video":{"playback_restriction_id":"R"}}}`, playback.CodeReservedClaim, "params.video.playback_restriction_id"},
		{`{"playback_id":""}`, playback.CodeInvalidPlaybackID, "playback_id"},
		{`{"playback_id":"../x"}`, playback.CodeInvalidPlaybackID, "playback_id"},
		{`{"playback_id":"P?"}`, playback.CodeInvalidPlaybackID, "playback_id"},
		{`{"playback_id":"é"}`, playback.CodeInvalidPlaybackID, "playback_id"},
		{`{"playback_id":"` + nest("a", 256) + `"}`, playback.CodeInvalidPlaybackID, "playback_id"},
		{`{"asset_id":"a-b"}`, fld, "asset_id"},
		{`{"live_stream_id":"a b"}`, fld, "live_stream_id"},
		{`{"video_id":"a b"}`, fld, "video_id"},
		{`{"video_id":""}`, fld, "video_id"},
		{`{"video_id":"\u0000"}`, fld, "video_id"},
		{`{"video_id":"\u007f"}`, fld, "video_id"},
		{`{"video_id":"é"}`, fld, "video_id"},
		{`{"video_id":"` + nest("v", 256) + `"}`, fld, "video_id"},
		{`{"video_id":5}`, fld, "video_id"},
		{`{"video_id":"V","video_id":"V"}`, fld, "video_id"},
		{`{"playback_id":"P","video_id":"V"}`, fld, "playback_id"},
		{`{"playback_id":"P","video_id":""}`, fld, "playback_id"},
		{`{"asset_id":"A","video_id":"V"}`, fld, "playback_id"},
		{`{"playback_id":"P","session_id":"a b"}`, fld, "session_id"},
		{`{"playback_id":"P","session_id":5}`, fld, "session_id"},
		{`{"playback_id":"P","session_id":"` + nest("a", 65) + `"}`, fld, "session_id"},
		{`{"playback_id":"P","min_ttl":0}`, fld, "min_ttl"},
		{`{"playback_id":"P","min_ttl":-5}`, fld, "min_ttl"},
		{`{"playback_id":"P","min_ttl":"5x"}`, fld, "min_ttl"},
		{`{"playback_id":"P","min_ttl":1.5}`, fld, "min_ttl"},
		{`{"playback_id":"P","min_ttl":1e400}`, fld, "min_ttl"},
		{`{"playback_id":"P","min_ttl":true}`, fld, "min_ttl"},
		{`{"playback_id":"P","min_ttl":99999999999999999999}`, fld, "min_ttl"},
		{`{"playback_id":"P","viewer":5}`, fld, "viewer"},
		{`{"playback_id":"P","viewer":{"name":"x"}}`, fld, "viewer.name"},
		{`{"playback_id":"P","viewer":{"id":""}}`, fld, "viewer.id"},
		{`{"playback_id":"P","viewer":{"id":5}}`, fld, "viewer.id"},
		{`{"playback_id":"P","viewer":{"id":"u\u0000"}}`, fld, "viewer.id"},
		{`{"playback_id":"P","viewer":{"id":"u\u0085"}}`, fld, "viewer.id"},
		{`{"playback_id":"P","viewer":{"id":"u","issuer":"\u0000"}}`, fld, "viewer.issuer"},
		{`{"playback_id":"P","viewer":{"id":"u","issuer":"sharde"}}`, fld, "viewer.issuer"},
		{`{"playback_id":"P","viewer":{"issuer":"partner"}}`, fld, "viewer.issuer"},
		{`{"playback_id":"P","viewer":{"id":"` + nest("é", 256) + `"}}`, fld, "viewer.id"},
		{`{"playback_id":"P","viewer":{"claims":[]}}`, fld, "viewer.claims"},
		{`{"playback_id":"P","viewer":{"claims":{"n":1e999}}}`, fld, "viewer.claims.n"},
		{`{"playback_id":"P","viewer":{"claims":{"a":{"b":1,"b":2}}}}`, fld, "viewer.claims.a.b"},
		{`{"playback_id":"P","viewer":{"ip":"localhost"}}`, fld, "viewer.ip"},
		{`{"playback_id":"P","viewer":{"ip":"fe80::1%eth0"}}`, fld, "viewer.ip"},
		{`{"playback_id":"P","viewer":{"country":"de"}}`, fld, "viewer.country"},
		{`{"playback_id":"P","viewer":{"country":"DEU"}}`, fld, "viewer.country"},
		{`{"playback_id":"P","viewer":{"asn":-1}}`, fld, "viewer.asn"},
		{`{"playback_id":"P","viewer":{"asn":"1"}}`, fld, "viewer.asn"},
		{`{"playback_id":"P","viewer":{"asn":1.5}}`, fld, "viewer.asn"},
		{`{"playback_id":"P","viewer":{"region":5}}`, fld, "viewer.region"},
		{`{"playback_id":"P","viewer":{"user_agent":"` + nest("a", 2049) + `"}}`, fld, "viewer.user_agent"},
		{`{"playback_id":"P","custom":5}`, fld, "custom"},
		{`{"playback_id":"P","custom":{"n":1e400}}`, fld, "custom.n"},
		{`{"playback_id":"P","custom":{"a":"` + nest("x", 1020) + `"}}`, fld, "custom"},
		{`{"playback_id":"P","custom":{"a":1,"a":2}}`, fld, "custom.a"},
	} {
		r := k.post("/v1/tokens", c.body, basicAuth(acmeBackend, secret))
		if r.StatusCode != 400 || r.code() != c.code {
			t.Errorf("%.80s: answered %d %q, want 400 %q: %s", c.body, r.StatusCode, r.code(), c.code, r.body)
			continue
		}
		checkAnswer(t, r)
		message := r.decode(t)["error"].(map[string]any)["messages"].([]any)[0].(string)
		if c.path != "" && !startsWithPath(message, c.path) {
			t.Errorf("%.80s: the message %q does not name %s", c.body, message, c.path)
		}
	}
	if n := k.issuer.count(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func startsWithPath(message, path string) bool {
	return len(message) > len(path) && message[:len(path)] == path && (message[len(path)] == ':' || message[len(path)] == ' ')
}

func nest(s string, n int) string {
	out := ""
	for range n {
		out += s
	}
	return out
}

func TestWhatOnlyABackendMaySay(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for body, want := range map[string]struct {
		status int
		code   playback.Code
	}{
		`{"playback_id":"P","viewer":{"id":"u2"}}`:              {403, playback.CodeInsufficientPermissions},
		`{"playback_id":"P","viewer":{}}`:                       {403, playback.CodeInsufficientPermissions},
		`{"viewer":5,"what":1,"what":2} trailing`:               {403, playback.CodeInsufficientPermissions},
		`{"video_id":"V","types":["stats_video"]}`:              {403, playback.CodeInsufficientPermissions},
		`{"playback_id":"P","video_id":5,"what":1} trailing`:    {403, playback.CodeInsufficientPermissions},
		`{"playback_id":"P","video_id":null}`:                   {200, ""},
		`{"playback_id":"P","viewer":null}`:                     {200, ""},
		`{"playback_id":"P","custom":{}}`:                       {400, playback.CodeReservedClaim},
		`{"playback_id":"P","custom":5}`:                        {400, playback.CodeReservedClaim},
		`{"playback_id":"P","custom":null}`:                     {200, ""},
		`{"playback_id":"P","viewer":{"id":"u2"}`:               {400, playback.CodeInvalidJSON},
		`{"playback_id":"P","custom":{"a":1},"types":["nope"]}`: {400, playback.CodeUnknownType},
	} {
		k.want(k.post("/v1/tokens", body, bearer(acmeViewer)), want.status, want.code)
		anonymous := k.post("/v1/tokens", body, "Host: "+globexHost)
		k.want(anonymous, want.status, want.code)
	}
}

func TestAViewersOwnRequestIsDescribedByItsConnection(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.want(k.post("/v1/tokens", `{"playback_id":"P"}`, bearer(acmeViewer), "Origin: "+acmePage, "Referer: "+acmePage+"/watch", "User-Agent: TV \xff 1"), 200, "")
	got := k.issuer.last(t)
	if c := got.Client; c.IP.String() != "198.51.100.7" || c.Country != "ZZ" || c.Origin != acmePage || c.Referrer != acmePage+"/watch" || c.UserAgent != "TV  1" {
		t.Errorf("client = %+v", c)
	}
	if got.Backend || got.Viewer.ID != "u1" || got.Caller != "v:acme-prod:main:u1" {
		t.Errorf("asked %+v", got)
	}
	k.want(k.post("/v1/tokens", `{"playback_id":"P"}`, "Host: "+globexHost), 200, "")
	if got := k.issuer.last(t); got.Viewer.Authenticated || got.Viewer.ID != "" || got.Caller != "a:globex-prod:198.51.100.7" {
		t.Errorf("asked %+v", got)
	}
}

func TestCacheHeaderSaysHitOnlyIfNothingWasSigned(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		a := granting(req, playback.PolicyDRM)
		a.Hit = req.SessionID == "hit"
		return a, nil
	})
	for session, want := range map[string]string{"hit": "hit", "miss": "miss"} {
		r := k.post("/v1/tokens", `{"playback_id":"P","session_id":"`+session+`"}`, bearer(acmeViewer))
		k.want(r, 200, "")
		diff(t, "X-Playgate-Cache", r.Header.Get("X-Playgate-Cache"), want)
	}
}

func TestAnAbsoluteEndForbidsARefresh(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		a := granting(req, playback.PolicySigned)
		a.Lifetime.Cut = true
		return a, nil
	})
	r := k.get("/v1/playback-ids/P/token", bearer(acmeViewer))
	k.want(r, 200, "")
	data := r.decode(t)["data"].(map[string]any)
	if data["refresh_at"] != nil || data["expires_at"] != 2e9 {
		t.Errorf("refresh_at = %v, expires_at = %v", data["refresh_at"], data["expires_at"])
	}
}

func TestClaimsOfATokenAreShown(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		a := granting(req, playback.PolicySigned)
		a.Items[0].Params = playback.Params{{Name: "exclude_pdt", JSON: "true"}, {Name: "max_resolution", JSON: `"480p"`}}
		a.Items[0].Restriction, a.Items[0].Custom = "R_1", `{"viewer":"x"}`
		return a, nil
	})
	r := k.post("/v1/tokens", `{"playback_id":"P"}`, bearer(acmeViewer))
	k.want(r, 200, "")
	item := r.decode(t)["data"].(map[string]any)["tokens"].([]any)[0].(map[string]any)
	diff(t, "params", item["params"], any(map[string]any{
		"exclude_pdt": true, "max_resolution": "480p", "playback_restriction_id": "R_1", "custom": map[string]any{"viewer": "x"},
	}))
}

func TestPublicPlaybackIDs(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
		return granting(req, playback.PolicyPublic), nil
	})
	r := k.post("/v1/tokens", `{"playback_id":"P","types":["video","thumbnail"],"params":{"thumbnail":{"time":5,"width":320}}}`, bearer(acmeViewer))
	k.want(r, 200, "")
	if got, ok := r.Header["X-Playgate-Cache"]; ok {
		t.Errorf("X-Playgate-Cache = %q, want none", got)
	}
	item := func(kind, url string, params map[string]any) map[string]any {
		return map[string]any{"type": kind, "token": "", "url": url, "expires_at": nil, "refresh_at": nil, "rule": "premium", "params": params}
	}
	diff(t, "answer", r.decode(t), map[string]any{"data": map[string]any{
		"playback_id": "P", "policy": "public", "environment_id": "acme-prod", "rule": "premium", "key_id": nil,
		"tokens": []any{
			item("video", "https://stream.example/P.m3u8", map[string]any{}),
			item("thumbnail", "https://image.example/P/thumbnail.webp?time=5&width=320", map[string]any{"time": 5., "width": 320.}),
		},
		"player": map[string]any{},
	}})
	r = k.get("/v1/playback-ids/P/token?type=thumbnail&time=5", bearer(acmeViewer))
	k.want(r, 200, "")
	diff(t, "answer", r.decode(t), map[string]any{"data": map[string]any{
		"type": "thumbnail", "token": "", "url": "https://image.example/P/thumbnail.webp?time=5", "expires_at": nil, "refresh_at": nil,
		"playback_id": "P", "key_id": nil, "rule": "premium",
	}})
}

func TestAnAnswerUnderStaleKeysIsMarked(t *testing.T) {
	t.Parallel()
	k := start(t, options{})
	for _, stale := range []bool{false, true} {
		k.issuer.answers(func(_ context.Context, _ *issuer.Environment, req *issuer.Request) (*issuer.Answer, error) {
			a := granting(req, playback.PolicySigned)
			a.Stale, a.Curtailed, a.Lifetime.Cut = stale, stale, true
			return a, nil
		})
		r := k.post("/v1/tokens", `{"playback_id":"PID1"}`, basicAuth(acmeBackend, secret))
		k.want(r, 200, "")
		if got := r.Header.Get("X-Playgate-Degraded"); (got == "keys") != stale || !stale && got != "" {
			t.Errorf("stale %v: X-Playgate-Degraded = %q", stale, got)
		}
		if later := !strings.Contains(r.body, `"refresh_at":null`); later != stale {
			t.Errorf("stale %v: a later exp can be had: %v", stale, later)
		}
	}
}
