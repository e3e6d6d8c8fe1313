package muxsim_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/muxsim"
)

func TestEachLayoutOpensWithItsAudienceAndNoOther(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	auds := []string{"v", "t", "g", "s", "d", "video_id", "asset_id", "playback_id", "live_stream_id", "livestream_id", "rt", ""}
	for path, want := range map[string]string{
		"/Film.m3u8": "v", "/Film/720p.mp4": "v", "/Film/highest.mp4": "v", "/Film/audio.m4a": "v",
		"/Film/text/en.vtt": "v", "/Film/text/de.txt": "v",
		"/Film/thumbnail.jpg": "t", "/Film/thumbnail.png": "t", "/Film/thumbnail.webp": "t",
		"/Film/animated.gif": "g", "/Film/animated.webp": "g",
		"/Film/storyboard.vtt": "s", "/Film/storyboard.json": "s", "/Film/storyboard.jpg": "s", "/Film/storyboard.png": "s", "/Film/storyboard.webp": "s",
		"/license/widevine/Vault": "d", "/license/fairplay/Vault": "d", "/license/playready/Vault": "d", "/appcert/fairplay/Vault": "d",
	} {
		sub := "Film"
		if strings.Contains(path, "Vault") {
			sub = "Vault"
		}
		for _, aud := range auds {
			reason := muxsim.AudMismatch
			if aud == want {
				reason = muxsim.OK
			}
			if got := e.Verify(with(path, good(sub, aud, nil)), nil); got.Reason != reason {
				t.Errorf("Verify(%s, aud %q) = %s (%s), want %s", path, aud, got.Reason, got.Detail, reason)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	film := func(more claims) string { return with("/Film.m3u8", good("Film", "v", more)) }
	headed := func(header string, more claims) string {
		return "/Film.m3u8?token=" + sign(keys()[0], header, good("Film", "v", more))
	}
	raw := func(payload string) string { return "/Film.m3u8?token=" + sign(keys()[0], jwt, payload) }
	exp := start().Unix()
	fresh := film(nil)
	for _, test := range []struct {
		name, url string
		status    int
		reason    muxsim.Reason
	}{
		{"a good token", fresh, 200, muxsim.OK},
		{"an absolute URL", "https://stream.mux.com" + fresh, 200, muxsim.OK},
		{"kid in the header", headed(`{"alg":"RS256","typ":"JWT","kid":"K1"}`, claims{"kid": nil}), 200, muxsim.OK},
		{"kid in both places", headed(`{"alg":"RS256","kid":"K1"}`, nil), 200, muxsim.OK},
		{"no typ, as Node SDK 12", headed(`{"alg":"RS256"}`, nil), 200, muxsim.OK},
		{"an unknown claim", film(claims{"favourite": "blue"}), 200, muxsim.OK},
		{"custom", film(claims{"custom": claims{"v": 1}}), 200, muxsim.OK},
		{"redundant_streams beside the token, as Android", fresh + "&redundant_streams=true", 200, muxsim.OK},
		{"format beside a storyboard token, as mux-player", with("/Film/storyboard.vtt", good("Film", "s", nil)) + "&format=webp", 200, muxsim.OK},
		{"strings for numbers, as the CLI", with("/Film/thumbnail.jpg", good("Film", "t", claims{"time": "5", "width": "640"})), 200, muxsim.OK},
		{"a public ID", "/Open.m3u8", 200, muxsim.OK},
		{"a public ID with CMCD", "/Open.m3u8?CMCD=x", 200, muxsim.OK},
		{"a public ID with parameters", "/Open.m3u8?max_resolution=720p&asset_end_time=6", 200, muxsim.OK},
		{"a live stream", with("/OnAir.m3u8", good("OnAir", "v", nil)), 200, muxsim.OK},
		{"a live stream's latest thumbnail", with("/OnAir/thumbnail.jpg", good("OnAir", "t", claims{"latest": true})), 200, muxsim.OK},

		{"no layout", "/Film", 400, muxsim.InvalidURL},
		{"the root", "/", 400, muxsim.InvalidURL},
		{"an ill-formed ID", "/Fi-lm.m3u8", 400, muxsim.InvalidURL},
		{"an ID of 256 letters", "/" + strings.Repeat("a", 256) + ".m3u8", 400, muxsim.InvalidURL},
		{"an escaped path", "/Film%2em3u8", 400, muxsim.InvalidURL},
		{"an unknown image format", "/Film/thumbnail.bmp", 400, muxsim.InvalidURL},
		{"a webp of the wrong kind", "/Film/animated.jpg", 400, muxsim.InvalidURL},
		{"an unknown DRM system", "/license/clearkey/Vault", 400, muxsim.InvalidURL},
		{"a broken query", "/Film.m3u8?token=%zz", 400, muxsim.InvalidURL},
		{"a token twice", fresh + "&token=x", 400, muxsim.RepeatedParam},
		{"a known parameter beside the token", fresh + "&max_resolution=720p", 400, muxsim.ExtraParam},
		{"an unknown parameter beside the token", fresh + "&CMCD=x", 400, muxsim.ExtraParam},
		{"a silly redundant_streams beside the token", fresh + "&redundant_streams=maybe", 400, muxsim.ExtraParam},
		{"format beside a video token", fresh + "&format=webp", 400, muxsim.ExtraParam},
		{"download beside a static rendition's token", with("/Film/720p.mp4", good("Film", "v", nil)) + "&download=x", 400, muxsim.ExtraParam},
		{"a token on a public ID", with("/Open.m3u8", good("Open", "v", nil)), 400, muxsim.TokenOnPublic},
		{"an empty token on a public ID", "/Open.m3u8?token=", 400, muxsim.TokenOnPublic},
		{"a repeated parameter", "/Open.m3u8?max_resolution=720p&max_resolution=480p", 400, muxsim.RepeatedParam},
		{"a bad parameter", "/Open.m3u8?max_resolution=719p", 400, muxsim.InvalidParam},
		{"a claim of the wrong type", film(claims{"max_resolution": 720}), 400, muxsim.InvalidParam},
		{"a claim that is an object", film(claims{"asset_end_time": claims{"s": 1}}), 400, muxsim.InvalidParam},
		{"a claim that is null", raw(`{"kid":"K1","sub":"Film","aud":"v","exp":9999999999,"exclude_pdt":null}`), 400, muxsim.InvalidParam},
		{"custom that is no object", film(claims{"custom": "x"}), 400, muxsim.InvalidParam},
		{"a DRM request without a token", "/license/widevine/Vault", 400, muxsim.DRMTokenMissing},
		{"latest on an asset", with("/Film/thumbnail.jpg", good("Film", "t", claims{"latest": true})), 400, muxsim.InvalidParam},
		{"a clip after the end", film(claims{"asset_start_time": 24}), 400, muxsim.InvalidParam},

		{"no token", "/Film.m3u8", 403, muxsim.TokenMissing},
		{"an empty token", "/Film.m3u8?token=", 403, muxsim.TokenMissing},
		{"no token on a DRM ID's manifest", "/Vault.m3u8", 403, muxsim.TokenMissing},
		{"a token of two parts", "/Film.m3u8?token=a.b", 403, muxsim.TokenMalformed},
		{"a token of four parts", fresh + ".x", 403, muxsim.TokenMalformed},
		{"padding", fresh + "==", 403, muxsim.TokenMalformed},
		{"a line break in base64url", fresh + "%0A", 403, muxsim.TokenMalformed},
		{"a very long token", "/Film.m3u8?token=" + strings.Repeat("a", 9000), 403, muxsim.TokenMalformed},
		{"a payload that is an array", raw(`[]`), 403, muxsim.TokenMalformed},
		{"a payload with a repeated claim", raw(`{"kid":"K1","sub":"Other","sub":"Film","aud":"v","exp":9999999999}`), 403, muxsim.TokenMalformed},
		{"a payload with more behind it", raw(`{"kid":"K1","sub":"Film","aud":"v","exp":9999999999}{}`), 403, muxsim.TokenMalformed},
		{"a payload that is not UTF-8", raw("{\"kid\":\"K1\",\"x\":\"\xff\"}"), 403, muxsim.TokenMalformed},
		{"two kids", headed(`{"alg":"RS256","kid":"K2"}`, nil), 403, muxsim.TokenMalformed},
		{"a kid that is a number", film(claims{"kid": 1}), 403, muxsim.TokenMalformed},
		{"crit", headed(`{"alg":"RS256","crit":["x"]}`, nil), 403, muxsim.TokenMalformed},
		{"another typ", headed(`{"alg":"RS256","typ":"at+jwt"}`, nil), 403, muxsim.TokenMalformed},
		{"alg none", headed(`{"alg":"none"}`, nil), 403, muxsim.WrongAlgorithm},
		{"alg HS256", headed(`{"alg":"HS256"}`, nil), 403, muxsim.WrongAlgorithm},
		{"alg PS256", headed(`{"alg":"PS256"}`, nil), 403, muxsim.WrongAlgorithm},
		{"alg in lower case", headed(`{"alg":"rs256"}`, nil), 403, muxsim.WrongAlgorithm},
		{"no alg", headed(`{}`, nil), 403, muxsim.WrongAlgorithm},
		{"no kid", film(claims{"kid": nil}), 403, muxsim.KidMissing},
		{"an unknown key", film(claims{"kid": "K9"}), 403, muxsim.UnknownKey},
		{"the key of another environment", "/Film.m3u8?token=" + sign(keys()[1], jwt, good("Film", "v", claims{"kid": "K2"})), 403, muxsim.UnknownKey},
		{"a known kid, another key", "/Film.m3u8?token=" + sign(keys()[2], jwt, good("Film", "v", nil)), 403, muxsim.BadSignature},
		{"no exp", film(claims{"exp": nil}), 403, muxsim.ExpMissing},
		{"exp as a string", film(claims{"exp": "9999999999"}), 403, muxsim.ExpMissing},
		{"exp now", film(claims{"exp": exp}), 403, muxsim.TokenExpired},
		{"exp in the past", film(claims{"exp": exp - 1}), 403, muxsim.TokenExpired},
		{"exp in a second", film(claims{"exp": exp + 1}), 200, muxsim.OK},
		{"nbf in the future", film(claims{"nbf": exp + 1}), 403, muxsim.NotYetValid},
		{"nbf as a string", film(claims{"nbf": "1"}), 403, muxsim.NotYetValid},
		{"nbf in the past", film(claims{"nbf": exp}), 200, muxsim.OK},
		{"another sub", film(claims{"sub": "Vault"}), 403, muxsim.SubMismatch},
		{"sub in another case", film(claims{"sub": "film"}), 403, muxsim.SubMismatch},
		{"no sub", film(claims{"sub": nil}), 403, muxsim.SubMismatch},
		{"no aud", film(claims{"aud": nil}), 403, muxsim.AudMissing},
		{"aud as an array", film(claims{"aud": []string{"v"}}), 403, muxsim.AudMismatch},
		{"an unknown restriction", film(claims{"playback_restriction_id": "gone"}), 403, muxsim.RestrictionAbsent},
		{"a restriction that is a number", film(claims{"playback_restriction_id": 1}), 403, muxsim.RestrictionAbsent},
		{"DRM of an unknown ID", with("/license/widevine/Nowhere", good("Nowhere", "d", nil)), 403, muxsim.NoDRM},
		{"DRM of a signed ID", with("/license/widevine/Film", good("Film", "d", nil)), 403, muxsim.NoDRM},
		{"a rendition without a signature", "/manifest-sim/Film/720p.m3u8", 403, muxsim.LinkInvalid},
		{"a segment with a made-up signature", "/chunk-sim/v1/Film/720p/0.m4s?expires=9999999999&signature=x", 403, muxsim.LinkInvalid},

		{"an unknown ID", "/Nowhere.m3u8", 404, muxsim.UnknownPlaybackID},
		{"an asset ID", "/assetFilm.m3u8", 404, muxsim.UnknownPlaybackID},
		{"an unknown ID with a token", with("/Nowhere.m3u8", good("Nowhere", "v", nil)), 404, muxsim.UnknownPlaybackID},
		{"a rendition that was not made", with("/Film/2160p.mp4", good("Film", "v", nil)), 404, muxsim.UnknownFile},
		{"a track that does not exist", with("/Film/text/fr.vtt", good("Film", "v", nil)), 404, muxsim.UnknownFile},
		{"a static rendition of a DRM ID", with("/Vault/720p.mp4", good("Vault", "v", nil)), 404, muxsim.UnknownFile},
		{"a static rendition of a live stream", with("/OnAir/720p.mp4", good("OnAir", "v", nil)), 404, muxsim.UnknownFile},
		{"an unknown rendition tells nothing without a token", "/Film/2160p.mp4", 403, muxsim.TokenMissing},

		{"a preparing asset", with("/Soon.m3u8", good("Soon", "v", nil)), 412, muxsim.AssetNotReady},
		{"an errored asset", with("/Broken.m3u8", good("Broken", "v", nil)), 412, muxsim.AssetNotReady},
		{"an idle live stream", with("/Idle.m3u8", good("Idle", "v", nil)), 412, muxsim.LiveStreamInactive},
		{"a disabled live stream", with("/Off.m3u8", good("Off", "v", nil)), 412, muxsim.LiveStreamInactive},
		{"a preparing asset tells nothing without a token", "/Soon.m3u8", 403, muxsim.TokenMissing},
		{"before the program", with("/OnAir.m3u8", good("OnAir", "v", claims{"program_start_time": exp + 1})), 412, muxsim.OutsideProgram},
		{"after the program", with("/OnAir.m3u8", good("OnAir", "v", claims{"program_end_time": exp})), 412, muxsim.OutsideProgram},
		{"during the program", with("/OnAir.m3u8", good("OnAir", "v", claims{"program_start_time": exp, "program_end_time": exp + 1})), 200, muxsim.OK},
	} {
		got := e.Verify(test.url, nil)
		if got.Reason != test.reason || got.Status() != test.status {
			t.Errorf("%s: Verify = %d %s (%s), want %d %s", test.name, got.Status(), got.Reason, got.Detail, test.status, test.reason)
		}
		if strings.Contains(got.Detail, "eyJ") {
			t.Errorf("%s: the detail shows a token: %s", test.name, got.Detail)
		}
	}
}

func TestVerdictNamesEnvironmentKeyAndEnd(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	got := e.Verify("/Lesson.m3u8?token="+sign(keys()[1], jwt, good("Lesson", "v", claims{"kid": "K2"})), nil)
	want := muxsim.Verdict{Reason: muxsim.OK, Environment: "two", PlaybackID: "Lesson", Key: "K2", Expires: start().Add(time.Minute).Unix()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParametersOutOfRangeAreRefused(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	layouts := map[string]string{"v": "/Film.m3u8", "t": "/Film/thumbnail.jpg", "g": "/Film/animated.gif", "s": "/Film/storyboard.vtt"}
	for _, test := range []struct {
		aud    string
		params claims
		ok     bool
	}{
		{"v", claims{"redundant_streams": true, "roku_trick_play": false, "exclude_pdt": true}, true},
		{"v", claims{"redundant_streams": 1}, false},
		{"v", claims{"exclude_pdt": "true"}, true},
		{"v", claims{"exclude_pdt": "yes"}, false},
		{"v", claims{"max_resolution": "1440p", "min_resolution": "270p"}, true},
		{"v", claims{"max_resolution": "4k"}, false},
		{"v", claims{"max_resolution": "480p", "min_resolution": "720p"}, false},
		{"v", claims{"rendition_order": "desc"}, true},
		{"v", claims{"rendition_order": "asc"}, false},
		{"v", claims{"default_subtitles_lang": "pt-BR"}, true},
		{"v", claims{"default_subtitles_lang": "e"}, false},
		{"v", claims{"asset_start_time": 1.5, "asset_end_time": 2}, true},
		{"v", claims{"asset_start_time": 3, "asset_end_time": 3}, false},
		{"v", claims{"asset_end_time": 0}, false},
		{"v", claims{"asset_start_time": -1}, false},
		{"v", claims{"asset_start_time": "0x1"}, false},
		{"v", claims{"asset_start_time": "NaN"}, false},
		{"v", claims{"program_start_time": 1.5}, false},
		{"v", claims{"time": "nonsense"}, true}, // a thumbnail's parameter: unknown here
		{"t", claims{"time": 1.25, "width": 640, "height": 360, "rotate": 90, "fit_mode": "pad", "flip_v": true, "flip_h": false}, true},
		{"t", claims{"width": 0}, false},
		{"t", claims{"width": 1.5}, false},
		{"t", claims{"rotate": 45}, false},
		{"t", claims{"fit_mode": "crop"}, false},
		{"t", claims{"fit_mode": "crop", "width": 10, "height": 10}, true},
		{"t", claims{"fit_mode": "preserve"}, true},
		{"t", claims{"time": true}, false},
		{"g", claims{"start": 1, "end": 11, "width": 640, "fps": 30}, true},
		{"g", claims{"start": 1, "end": 11.5}, false},
		{"g", claims{"end": 0.2}, false},
		{"g", claims{"width": 641}, false},
		{"g", claims{"fps": 31}, false},
		{"s", claims{"format": "webp", "asset_end_time": 5}, true},
		{"s", claims{"format": "gif"}, false},
	} {
		want := muxsim.InvalidParam
		if test.ok {
			want = muxsim.OK
		}
		if got := e.Verify(with(layouts[test.aud], good("Film", test.aud, test.params)), nil); got.Reason != want {
			t.Errorf("aud %s, %v: %s (%s), want %s", test.aud, test.params, got.Reason, got.Detail, want)
		}
	}
}

func TestRestrictions(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	const ok, referrer, agent = muxsim.OK, muxsim.ReferrerDenied, muxsim.UserAgentDenied
	for _, test := range []struct {
		restriction, referrer, agent string
		want                         muxsim.Reason
	}{
		{"any", "https://anything.example/", "", ok},
		{"any", "", "", referrer},
		{"nobody", "https://foo.com/", "", referrer},
		{"nobody", "", "", referrer},
		{"web", "https://foo.com/page?x=1", "", ok},
		{"web", "https://FOO.com:8443/", "", ok},
		{"web", "https://www.foo.com/", "", referrer},
		{"web", "https://foo.com.evil.example/", "", referrer},
		{"web", "https://a.example.com/", "", ok},
		{"web", "https://x.a.example.com/", "", referrer}, // exactly one label
		{"web", "https://example.com/", "", referrer},     // the apex is listed separately
		{"web", "https://.example.com/", "", referrer},
		{"web", "https://aexample.com/", "", referrer},
		{"web", "https://x.a.bar.com/", "", ok},
		{"web", "https://foo.com@evil.example/", "", referrer},
		{"web", "nonsense", "", referrer},
		{"web", "://", "", referrer},
		{"web", "", "", referrer},
		{"web", "https://foo.com/", "curl/8", ok}, // Mux's defaults allow both
		{"native", "", "AppleCoreMedia/1.0", ok},
		{"native", "", "", agent},
		{"native", "", "curl/8.0", agent},
		{"native", "https://foo.com/", "AppleCoreMedia/1.0", referrer},
	} {
		header := http.Header{}
		if test.referrer != "" {
			header.Set("Referer", test.referrer)
		}
		if test.agent != "" {
			header.Set("User-Agent", test.agent)
		}
		for layout, aud := range map[string]string{"/Film.m3u8": "v", "/Film/thumbnail.jpg": "t", "/Film/storyboard.vtt": "s", "/Film/animated.gif": "g"} {
			url := with(layout, good("Film", aud, claims{"playback_restriction_id": test.restriction}))
			if got := e.Verify(url, header); got.Reason != test.want {
				t.Errorf("restriction %s, referrer %q, agent %q on %s = %s, want %s", test.restriction, test.referrer, test.agent, layout, got.Reason, test.want)
			}
		}
	}
	if got := e.Verify(with("/Film.m3u8", good("Film", "v", nil)), nil); !got.Allowed() {
		t.Errorf("a restriction applies without its claim: %s", got.Reason)
	}
}

func TestStatsTokens(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, test := range []struct {
		path, sub, aud string
		want           muxsim.Reason
	}{
		{"/counts", "Film", "playback_id", muxsim.OK},
		{"/counts", "Open", "playback_id", muxsim.OK},
		{"/counts", "assetFilm", "asset_id", muxsim.OK},
		{"/counts", "liveOnAir", "live_stream_id", muxsim.OK},
		{"/counts", "my-own-video", "video_id", muxsim.OK},
		{"/counts", `~!film/1?"\`, "video_id", muxsim.OK},
		{"/counts", strings.Repeat("v", 255), "video_id", muxsim.OK},
		{"/counts", strings.Repeat("v", 256), "video_id", muxsim.SubMismatch},
		{"/counts", "my own video", "video_id", muxsim.SubMismatch},
		{"/counts", "vidéo", "video_id", muxsim.SubMismatch},
		{"/counts", "", "video_id", muxsim.SubMismatch},
		{"/live-stream-health", "my-own-video", "video_id", muxsim.AudMismatch},
		{"/counts", "assetFilm", "playback_id", muxsim.SubMismatch}, // the kinds are not interchangeable
		{"/counts", "Film", "asset_id", muxsim.SubMismatch},
		{"/counts", "liveOnAir", "livestream_id", muxsim.AudMismatch}, // the old spelling
		{"/counts", "Film", "v", muxsim.AudMismatch},
		{"/counts", "Lesson", "playback_id", muxsim.UnknownKey}, // another environment's
		{"/live-stream-health", "liveOnAir", "live_stream_id", muxsim.OK},
		{"/live-stream-health", "Film", "playback_id", muxsim.AudMismatch},
	} {
		if got := e.Verify(with(test.path, good(test.sub, test.aud, nil)), nil); got.Reason != test.want {
			t.Errorf("%s with sub %s, aud %s = %s (%s), want %s", test.path, test.sub, test.aud, got.Reason, got.Detail, test.want)
		}
	}
	for url, want := range map[string]muxsim.Reason{
		"/counts": muxsim.TokenMissing,
		with("/counts", good("Film", "playback_id", nil)) + "&playback_id=Film":        muxsim.ExtraParam,
		with("/counts", good("Film", "playback_id", claims{"exp": start().Unix()})):    muxsim.TokenExpired,
		"/counts?token=" + sign(keys()[2], jwt, good("my-own-video", "video_id", nil)): muxsim.BadSignature,
	} {
		if got := e.Verify(url, nil); got.Reason != want {
			t.Errorf("%s = %s, want %s", strings.SplitN(url, "?", 2)[0], got.Reason, want)
		}
	}
}

// TestWycheproofSignatures runs C2SP/wycheproof's RS256 vectors against the
// signature layer: valid and forged JWS under known keys.
func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("../identity/testdata/json_web_signature_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			Comment string
			Public  json.RawMessage
			Tests   []struct {
				TcID         int
				Comment, Jws any
				Result       string
			}
		}
	}
	if err := json.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, group := range file.TestGroups {
		if group.Comment != "rs256" {
			continue
		}
		for _, test := range group.Tests {
			compact, ok := test.Jws.(string)
			if !ok {
				continue // JSON serialization: a URL cannot carry it
			}
			ran++
			if got := muxsim.VerifySignature(group.Public, compact); got != (test.Result == "valid") {
				t.Errorf("case %d (%v): accepted %v, want %s", test.TcID, test.Comment, got, test.Result)
			}
		}
	}
	if ran < 200 {
		t.Errorf("ran %d cases, want the whole RS256 group", ran)
	}
}

func FuzzVerify(f *testing.F) {
	e := newEdge(f)
	for _, seed := range []string{
		"/Film.m3u8", "/Film/thumbnail.jpg?time=1", "/Open.m3u8?asset_start_time=1e9", "/license/widevine/Vault", "/counts?token=a.b.c",
		"/manifest-sim/Film/720p.m3u8?expires=1&signature=x", "/chunk-sim/v1/OnAir/270p/99999999999.m4s", "//", "http://[::1]:x/", "?token=%",
		with("/Film.m3u8", good("Film", "v", nil)), with("/OnAir.m3u8", good("OnAir", "v", claims{"program_end_time": 1e300})),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		got := e.Verify(url, nil)
		switch got.Status() {
		case http.StatusOK:
			signed := got.PlaybackID != "Open"
			if signed && !strings.Contains(url, "token=") && !strings.Contains(url, "signature=") {
				t.Errorf("Verify(%q) lets a stranger in", url)
			}
		case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusPreconditionFailed:
			if got.Detail == "" {
				t.Errorf("Verify(%q) = %s without a detail", url, got.Reason)
			}
		default:
			t.Errorf("Verify(%q) = %d", url, got.Status())
		}
	})
}
