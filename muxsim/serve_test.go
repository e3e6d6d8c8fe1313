package muxsim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	_ "image/gif"
	_ "image/jpeg"
	_ "image/png"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/muxsim"
)

// lines returns the playlist's lines that begin with the prefix; "" means URIs.
func lines(playlist, prefix string) []string {
	var out []string
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		uri := prefix == "" && line != "" && line[0] != '#'
		if uri || prefix != "" && strings.HasPrefix(line, prefix) {
			out = append(out, line)
		}
	}
	return out
}

func attribute(line, name string) string {
	m := regexp.MustCompile(`[:,]` + name + `="?([^",]*)`).FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	return m[1]
}

// heights lists the variants of a multivariant playlist, in order.
func heights(playlist string) string {
	var out []string
	for _, line := range lines(playlist, "#EXT-X-STREAM-INF") {
		_, h, _ := strings.Cut(attribute(line, "RESOLUTION"), "x")
		out = append(out, h)
	}
	return strings.Join(out, " ")
}

func TestManifestFollowsTheClaims(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, test := range []struct {
		params claims
		want   string
	}{
		{nil, "270 480 720"},
		{claims{"rendition_order": "desc"}, "720 480 270"},
		{claims{"max_resolution": "480p"}, "270 480"},
		{claims{"max_resolution": "540p"}, "270 480"},
		{claims{"min_resolution": "360p"}, "480 720"},
		{claims{"min_resolution": "480p", "max_resolution": "480p"}, "480"},
		{claims{"min_resolution": "1080p"}, "720"},                               // clamped
		{claims{"min_resolution": "360p", "max_resolution": "360p"}, "270"},      // clamped
		{claims{"redundant_streams": true}, "270 480 720 270 480 720"},           // a second CDN
		{claims{"max_resolution": "270p", "redundant_streams": true}, "270 270"}, //
	} {
		playlist := e.get(t, with("/Film.m3u8", good("Film", "v", test.params)))
		if got := heights(playlist); got != test.want {
			t.Errorf("%v: variants %s, want %s", test.params, got, test.want)
		}
		if strings.Contains(playlist, "token=") {
			t.Errorf("%v: rendition URLs carry the JWT", test.params)
		}
	}
	if got := heights(e.get(t, "/Open.m3u8?rendition_order=desc")); got != "270" {
		t.Errorf("public trailer has variants %s", got)
	}
	if got := lines(e.get(t, with("/Film.m3u8", good("Film", "v", claims{"roku_trick_play": true}))), "#EXT-X-IMAGE-STREAM-INF"); len(got) != 1 {
		t.Errorf("roku_trick_play lists %d image streams, want 1", len(got))
	}
}

func TestDefaultSubtitlesAreTheClosestLanguage(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for language, want := range map[string]string{"de": "de", "de-AT": "de", "EN": "en", "fr": ""} {
		playlist := e.get(t, with("/Film.m3u8", good("Film", "v", claims{"default_subtitles_lang": language})))
		got := ""
		for _, line := range lines(playlist, "#EXT-X-MEDIA:TYPE=SUBTITLES") {
			if attribute(line, "DEFAULT") == "YES" {
				got = attribute(line, "LANGUAGE")
			}
		}
		if got != want {
			t.Errorf("default_subtitles_lang %s chooses %q, want %q", language, got, want)
		}
	}
}

func TestClipsAreCutBySegments(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, test := range []struct {
		params claims
		want   string
	}{
		{nil, "0 1 2 3 4 5 6 7"},
		{claims{"asset_end_time": 12}, "0 1 2 3"},
		{claims{"asset_end_time": 12.5}, "0 1 2 3 4"},
		{claims{"asset_start_time": 3}, "1 2 3 4 5 6 7"},
		{claims{"asset_start_time": 4, "asset_end_time": 5}, "1"},
		{claims{"asset_start_time": 23.9}, "7"},
		{claims{"asset_end_time": 3600}, "0 1 2 3 4 5 6 7"},
	} {
		manifest := e.get(t, with("/Film.m3u8", good("Film", "v", test.params)))
		rendition := e.get(t, lines(manifest, "")[0])
		var got []string
		for _, uri := range lines(rendition, "") {
			got = append(got, regexp.MustCompile(`/(\d+)\.m4s`).FindStringSubmatch(uri)[1])
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%v: segments %v, want %s", test.params, got, test.want)
		}
		if len(lines(rendition, "#EXT-X-PROGRAM-DATE-TIME")) != len(got) || len(lines(rendition, "#EXT-X-ENDLIST")) != 1 {
			t.Errorf("%v: want a program date per segment and an end:\n%s", test.params, rendition)
		}
	}
	manifest := e.get(t, with("/Film.m3u8", good("Film", "v", claims{"exclude_pdt": true})))
	if got := lines(e.get(t, lines(manifest, "")[0]), "#EXT-X-PROGRAM-DATE-TIME"); len(got) != 0 {
		t.Errorf("exclude_pdt leaves %d program dates", len(got))
	}
}

// walk fetches a manifest and everything below it, and returns the URLs.
func walk(t *testing.T, e *edge, manifest string) []string {
	t.Helper()
	var urls []string
	body := e.get(t, manifest)
	children := lines(body, "")
	for _, line := range lines(body, "#EXT-X-") {
		if uri := attribute(line, "URI"); uri != "" {
			children = append(children, uri)
		}
	}
	for _, child := range children {
		urls = append(urls, child)
		rendition := e.get(t, child)
		segments := lines(rendition, "")
		for _, line := range lines(rendition, "#EXT-X-MAP") {
			segments = append(segments, attribute(line, "URI"))
		}
		for _, segment := range segments {
			e.get(t, segment)
			urls = append(urls, segment)
		}
	}
	return urls
}

func TestEveryURLBelowAManifestIsServedAndEndsWithTheToken(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	signed := walk(t, e, with("/Film.m3u8", good("Film", "v", claims{"roku_trick_play": true, "redundant_streams": true})))
	live := walk(t, e, with("/OnAir.m3u8", good("OnAir", "v", nil)))
	public := walk(t, e, "/Open.m3u8")
	if len(signed) < 40 || len(live) < 30 || len(public) < 6 {
		t.Fatalf("walked %d, %d, %d URLs", len(signed), len(live), len(public))
	}
	e.Advance(time.Minute) // the token's exp
	for _, url := range append(signed, live...) {
		if got := e.Verify(url, nil); got.Reason != muxsim.LinkExpired {
			t.Fatalf("after the token's exp %s is %s", url, got.Reason)
		}
	}
	fresh := e.get(t, with("/Film.m3u8", good("Film", "v", claims{"exp": e.Now().Add(time.Minute).Unix()})))
	if got := e.Verify(lines(fresh, "")[0], nil); !got.Allowed() {
		t.Errorf("a fresh token does not take effect on re-request: %s", got.Reason)
	}
	for _, url := range public {
		if got := e.Verify(url, nil); !got.Allowed() {
			t.Errorf("a public URL ends with nobody's token: %s", got.Reason)
		}
	}
}

func TestLinksCannotBeChanged(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	manifest := e.get(t, with("/Film.m3u8", good("Film", "v", claims{"asset_end_time": 12, "max_resolution": "270p"})))
	link := lines(manifest, "")[0]
	for _, change := range [][2]string{
		{"/270p.m3u8", "/720p.m3u8"},
		{"/Film/", "/Soon/"},
		{"to=4", "to=8"},
		{"&to=4", ""},
		{"expires=", "expires=9"},
		{"?", "?from=0&"},
		{"?", "?to=8&"},
		{"?", "?pdt=0&"},
		{"signature=", "signature=A"},
		{"signature=", "signature=x&signature="},
	} {
		forged := strings.Replace(link, change[0], change[1], 1)
		if forged == link {
			t.Fatalf("%q is not in %s", change[0], link)
		}
		if got := e.Verify(forged, nil); got.Reason != muxsim.LinkInvalid {
			t.Errorf("%q → %q: %s, want %s", change[0], change[1], got.Reason, muxsim.LinkInvalid)
		}
	}
}

func TestLiveWindowSlides(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	read := func() (sequence, discontinuity, segments int) {
		manifest := e.get(t, with("/OnAir.m3u8", good("OnAir", "v", claims{"exp": e.Now().Add(time.Minute).Unix()})))
		rendition := e.get(t, lines(manifest, "")[0])
		for name, into := range map[string]*int{"#EXT-X-MEDIA-SEQUENCE:%d": &sequence, "#EXT-X-DISCONTINUITY-SEQUENCE:%d": &discontinuity} {
			prefix, _, _ := strings.Cut(name, "%")
			if _, err := fmt.Sscanf(lines(rendition, prefix)[0], name, into); err != nil {
				t.Fatal(err)
			}
		}
		if len(lines(rendition, "#EXT-X-ENDLIST"))+len(lines(rendition, "#EXT-X-PLAYLIST-TYPE")) != 0 {
			t.Errorf("a live playlist ends:\n%s", rendition)
		}
		breaks := (sequence+9)/8 - sequence/8
		if got := len(lines(rendition, "#EXT-X-DISCONTINUITY")) - 1; got != breaks { // less DISCONTINUITY-SEQUENCE
			t.Errorf("sequence %d: %d discontinuities, want %d", sequence, got, breaks)
		}
		return sequence, discontinuity, len(lines(rendition, ""))
	}
	sequence, discontinuity, segments := read()
	if segments != 10 || discontinuity != sequence/8 {
		t.Errorf("window of %d segments from %d, discontinuity sequence %d", segments, sequence, discontinuity)
	}
	for range 20 {
		e.Advance(3 * time.Second)
		next, discontinuity, _ := read()
		if next != sequence+1 || discontinuity != next/8 {
			t.Errorf("after a segment: sequence %d → %d, discontinuity sequence %d", sequence, next, discontinuity)
		}
		sequence = next
	}
	program := claims{"program_start_time": e.Now().Unix() - 6, "exp": e.Now().Add(time.Minute).Unix()}
	manifest := e.get(t, with("/OnAir.m3u8", good("OnAir", "v", program)))
	if got := len(lines(e.get(t, lines(manifest, "")[0]), "")); got != 2 {
		t.Errorf("6 s after the program's start the window has %d segments, want 2", got)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for path, want := range map[string]string{
		"/Film/thumbnail.jpg": "jpeg 426x240", "/Film/thumbnail.png": "png 426x240", "/Film/animated.gif": "gif 320x180",
		"/Film/storyboard.jpg": "jpeg 480x540", "/Film/storyboard.png": "png 480x540",
	} {
		aud := map[string]string{"t": "t", "a": "g", "s": "s"}[path[6:7]]
		recorder := e.do(t, http.MethodGet, with(path, good("Film", aud, nil)))
		config, format, err := image.DecodeConfig(bytes.NewReader(recorder.Body.Bytes()))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if got := fmt.Sprintf("%s %dx%d", format, config.Width, config.Height); got != want || recorder.Header().Get("Content-Type") != "image/"+format {
			t.Errorf("%s is %s, %s; want %s", path, got, recorder.Header().Get("Content-Type"), want)
		}
	}
	for _, path := range []string{"/Open/thumbnail.webp", "/Open/animated.webp", "/Open/storyboard.webp"} {
		if body := e.get(t, path); !strings.HasPrefix(body, "RIFF") || body[8:12] != "WEBP" {
			t.Errorf("%s is no WebP", path)
		}
	}
	early, late := e.get(t, "/Open/thumbnail.jpg?time=0"), e.get(t, "/Open/thumbnail.jpg?time=11.9")
	if early == late {
		t.Error("thumbnails of different times are the same picture")
	}
}

func TestStoryboardIndexes(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	vtt := e.get(t, with("/Film/storyboard.vtt", good("Film", "s", nil))+"&format=webp")
	cues := lines(vtt, "http://edge.example/Film/storyboard.webp?token=")
	if len(cues) != 50 || !strings.HasPrefix(vtt, "WEBVTT\n\n00:00:00.000 --> 00:00:00.480\n") || !strings.HasSuffix(cues[49], "#xywh=384,486,96,54") {
		t.Errorf("storyboard of %d cues:\n%s", len(cues), vtt)
	}
	url, _, _ := strings.Cut(strings.TrimPrefix(cues[0], "http://edge.example"), "#")
	if got := e.do(t, http.MethodGet, url); got.Code != http.StatusOK || got.Header().Get("Content-Type") != "image/webp" {
		t.Errorf("the index's picture is %d %s", got.Code, got.Header().Get("Content-Type"))
	}
	var index struct {
		URL        string
		TileWidth  int `json:"tile_width"`
		TileHeight int `json:"tile_height"`
		Duration   float64
		Tiles      []struct {
			Start float64
			X, Y  int
		}
	}
	body := e.get(t, with("/Film/storyboard.json", good("Film", "s", claims{"format": "png", "asset_start_time": 6, "asset_end_time": 12})))
	if err := json.Unmarshal([]byte(body), &index); err != nil {
		t.Fatal(err)
	}
	if index.Duration != 6 || index.TileWidth != 96 || len(index.Tiles) != 13 || index.Tiles[0].Start != 0 || !strings.Contains(index.URL, "/Film/storyboard.png?token=") {
		t.Errorf("clipped storyboard: %+v", index)
	}
}

func TestRefusalsHaveMuxEnvelope(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for url, want := range map[string]string{
		"/Film":         "400 invalid_parameters invalid_url",
		"/Film.m3u8":    "403 forbidden token_missing",
		"/Nowhere.m3u8": "404 not_found unknown_playback_id",
		with("/Soon.m3u8", good("Soon", "v", nil)): "412 precondition_failed asset_not_ready",
	} {
		recorder := e.do(t, http.MethodGet, url)
		var body struct {
			Error struct {
				Type     string
				Messages []string
			}
		}
		if err := json.Unmarshal(recorder.Body.Bytes(), &body); err != nil || len(body.Error.Messages) != 1 {
			t.Fatalf("%s: %v: %s", url, err, recorder.Body)
		}
		reason, _, _ := strings.Cut(body.Error.Messages[0], ":")
		if got := fmt.Sprintf("%d %s %s", recorder.Code, body.Error.Type, reason); got != want || recorder.Header().Get("X-Muxsim-Reason") != reason {
			t.Errorf("%s = %s, want %s", url, got, want)
		}
	}
}

func TestPlayersOfEveryOriginMayRead(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	for _, url := range []string{"/Open.m3u8", "/Film.m3u8", "/nonsense"} {
		if got := e.do(t, http.MethodGet, url).Header().Get("Access-Control-Allow-Origin"); got != "*" {
			t.Errorf("%s allows origin %q", url, got)
		}
	}
	preflight := e.do(t, http.MethodOptions, "/Film.m3u8")
	if preflight.Code != http.StatusNoContent || preflight.Header().Get("Access-Control-Allow-Headers") != "*" {
		t.Errorf("preflight = %d %v", preflight.Code, preflight.Header())
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	licence := with("/license/widevine/Vault", good("Vault", "d", nil))
	for _, test := range []struct {
		method, url string
		status      int
	}{
		{http.MethodHead, "/Open.m3u8", 200},
		{http.MethodPost, "/Open.m3u8", 405},
		{http.MethodDelete, licence, 405},
		{http.MethodPost, licence, 200},
		{http.MethodGet, licence, 200},
		{http.MethodPost, "/Film.m3u8", 403}, // a stranger does not learn methods first
	} {
		got := e.do(t, test.method, test.url)
		if got.Code != test.status || (test.status == 405) != (got.Header().Get("Allow") != "") {
			t.Errorf("%s %s = %d, Allow %q; want %d", test.method, strings.SplitN(test.url, "?", 2)[0], got.Code, got.Header().Get("Allow"), test.status)
		}
	}
	if got := e.do(t, http.MethodHead, "/Open.m3u8").Body.Len(); got != 0 {
		t.Errorf("HEAD has a body of %d bytes", got)
	}
}

func TestDownloadNamesTheFile(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	got := e.do(t, http.MethodGet, "/Open/270p.mp4?download="+`a%22b.mp4`)
	if want := `attachment; filename="a\"b.mp4"`; got.Header().Get("Content-Disposition") != want {
		t.Errorf("Content-Disposition = %s, want %s", got.Header().Get("Content-Disposition"), want)
	}
	if got := e.do(t, http.MethodGet, "/Open/270p.mp4?download=a%0Db").Code; got != http.StatusBadRequest {
		t.Errorf("a control character in the name is %d, want 400", got)
	}
}

func TestRangesOfAStaticRendition(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/Open/highest.mp4", http.NoBody)
	request.Header.Set("Range", "bytes=4-7")
	recorder := httptest.NewRecorder()
	e.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusPartialContent || recorder.Body.String() != "ftyp" {
		t.Errorf("range = %d %q", recorder.Code, recorder.Body)
	}
}

func TestCountsPerVerdictAndPerView(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	e.get(t, with("/Film.m3u8", good("Film", "v", nil)))
	e.get(t, "/Open.m3u8")
	e.do(t, http.MethodGet, "/Film.m3u8")
	e.Verify("/Film.m3u8", nil) // not counted
	want := map[muxsim.Reason]uint64{}
	for _, reason := range muxsim.Reasons() {
		want[reason] = 0
	}
	want[muxsim.OK], want[muxsim.TokenMissing] = 2, 1
	if diff := cmp.Diff(want, e.Counts()); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct {
		sub, aud string
		views    int
	}{
		{"assetFilm", "asset_id", 2},
		{"Film", "playback_id", 1},
		{"Open", "playback_id", 1}, // public
		{"liveOnAir", "live_stream_id", 0},
		{"Film", "video_id", 0}, // a video ID that looks like a playback ID is none
	} {
		body := e.get(t, with("/counts", good(c.sub, c.aud, nil)))
		if want := fmt.Sprintf(`{"data":[{"updated_at":"2026-06-01T12:00:00Z","viewers":%[1]d,"views":%[1]d}]}`, c.views); body != want {
			t.Errorf("counts of %s, aud %s = %s, want %s", c.sub, c.aud, body, want)
		}
	}
}

func TestTextTracks(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	if got := e.get(t, "/Open/text/en.vtt"); !strings.HasPrefix(got, "WEBVTT\n") {
		t.Errorf("vtt = %s", got)
	}
	if got := e.get(t, "/Open/text/en.txt"); strings.Contains(got, "-->") || !strings.HasPrefix(got, "This clip plays") {
		t.Errorf("txt = %s", got)
	}
}
