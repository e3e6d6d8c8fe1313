package e2e_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/muxsim"
)

// playerTypes are the types whose tokens Mux's player takes.
const playerTypes = `"types":["video","thumbnail","storyboard","drm_license"]`

// TestPlaybackCoreTakesOurTokens runs the tokens through the library under
// Mux's web players: it must build the gateway's URLs, read the claims that it
// checks, and get what it asks for from the simulated Mux.
func TestPlaybackCoreTakesOurTokens(t *testing.T) {
	t.Parallel()
	needNode(t)
	g := start(t, drmWorld(t).files)
	mux := httptest.NewServer(newEdge(t, g))
	t.Cleanup(mux.Close)
	answer := must(t, http.MethodPost, g.url+"/v1/tokens", `{"playback_id":"DRMacme",`+playerTypes+`}`, "Authorization", basic("tok-acme"))
	var m minted
	var drm struct {
		Tokens []struct{ URLs map[string]string }
	}
	answer.data(t, &m)
	answer.data(t, &drm)
	tokens := map[string]string{}
	for attribute, token := range m.Player {
		tokens[strings.TrimSuffix(attribute, "-token")] = token
	}
	type call struct {
		Host, Path, Method, Reason string
		Query                      []string
		Status                     int
	}
	var got struct {
		Src, SrcOfToken, SrcInID, Certificate, CertificateText, PlaybackID, StreamType string
		IsMux                                                                          bool
		Licence, Licences                                                              map[string]string
		Claims                                                                         map[string]struct {
			Sub, Aud, Kid string
			Exp           int64
		}
		Audiences map[string]string
		Asked     []call
	}
	node(t, "core.mjs", map[string]any{"mux": mux.URL, "playbackId": "DRMacme", "tokens": tokens}, &got)

	video := m.Tokens[0]
	for name, src := range map[string]string{"tokens.playback": got.Src, "playback-token": got.SrcOfToken, "playback-id?token=": got.SrcInID} {
		if src != video.URL {
			t.Errorf("the URL by %s is %s, the gateway's %s", name, src, video.URL)
		}
	}
	if !got.IsMux || got.PlaybackID != "DRMacme" || got.StreamType != "on-demand" {
		t.Errorf("it plays %q, %q, of Mux: %v", got.PlaybackID, got.StreamType, got.IsMux)
	}
	urls := map[string]string{"fairplay_certificate": got.Certificate}
	licences := map[string]string{}
	for scheme, url := range got.Licence {
		urls[scheme] = url
		licences[scheme] = "simulated " + scheme + " licence for DRMacme"
	}
	if diff := cmp.Diff(drm.Tokens[3].URLs, urls); diff != "" {
		t.Errorf("DRM URLs (-gateway +player)\n%s", diff)
	}
	if diff := cmp.Diff(licences, got.Licences); diff != "" || got.CertificateText != "simulated FairPlay certificate" {
		t.Errorf("the licences and %q: (-want +got)\n%s", got.CertificateText, diff)
	}
	for name, aud := range map[string]string{"playback": got.Audiences["VIDEO"], "thumbnail": got.Audiences["THUMBNAIL"], "storyboard": got.Audiences["STORYBOARD"], "drm": got.Audiences["DRM"]} {
		if c := got.Claims[name]; aud == "" || c.Aud != aud || c.Sub != "DRMacme" || c.Exp != video.ExpiresAt || c.Exp <= time.Now().Unix() {
			t.Errorf("the player reads %+v of the %s token, and wants the audience %q", c, name, aud)
		}
	}
	if len(got.Asked) != 6 { // two playlists, three licences, a certificate
		t.Errorf("the player asked %v", got.Asked)
	}
	for _, c := range got.Asked {
		if c.Status != 200 || c.Reason != "ok" {
			t.Errorf("Mux answers %d %s to %s %s", c.Status, c.Reason, c.Method, c.Path)
		}
	}
}

// newEdge is a simulated Mux that knows a gateway's environment acme. more are
// further playback IDs.
func newEdge(t *testing.T, g *gateway, more ...muxsim.PlaybackID) *muxsim.Sim {
	t.Helper()
	edge, err := muxsim.New(muxsim.Config{HTTPClient: careless(), Environments: []muxsim.Environment{{
		ID: "acme", JWKSURL: g.url + "/v1/environments/acme/jwks.json",
		Restrictions: []muxsim.Restriction{
			{ID: "RESTRICTION1", AllowedDomains: []string{"*.acme.example"}, AllowNoReferrer: true},
			{ID: "PAGES", AllowedDomains: []string{pageHost}},
		},
		PlaybackIDs: append([]muxsim.PlaybackID{
			{ID: "PIDacme", Policy: muxsim.Signed, Asset: "ASSETacme"},
			{ID: "PUBacme", Policy: muxsim.Public, Asset: "OPENacme"},
			{ID: "DRMacme", Policy: muxsim.DRM, Asset: "ASSETacme"},
			{ID: "LIVEacme", Policy: muxsim.Signed, LiveStream: "STREAMacme"},
		}, more...),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return edge
}

// playerCase is one <mux-player> on a page. player.mjs reads it.
type playerCase struct {
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
	Want       string            `json:"want"`           // plays, fails, asks
	Path       string            `json:"path,omitempty"` // wait for an answer to this one
	Seek       bool              `json:"seek,omitempty"` // move over the time line

	muxCode int               // of the error, mux.md §1.8
	warning string            // in the console
	asks    map[string]string // path → what the simulated Mux says
	never   []string          // paths that the player must not ask for
}

// playerResult is what player.mjs reports of a case.
type playerResult struct {
	Name   string
	Played float64 // seconds
	Frames int
	Cues   int
	Errors []struct {
		Code, MuxCode     int
		Fatal             bool
		Category, Message string
	}
	Console []struct{ Type, Text string }
	Answers []struct {
		URL, Host, Path, Method, Reason string
		Status                          int
	}
	Failed []struct{ URL, Why string }
}

// playAll runs the cases in a browser and checks what each wants.
func playAll(t *testing.T, b browser, cases []playerCase) []playerResult {
	t.Helper()
	var results []playerResult
	node(t, "player.mjs", map[string]any{"browser": b, "page": "https://" + pageHost + "/", "screenshots": t.ArtifactDir(), "cases": cases}, &results)
	for n, c := range cases {
		c.check(t, results[n])
	}
	return results
}

func (c playerCase) check(t *testing.T, r playerResult) {
	t.Helper()
	said := map[string]string{}
	for _, a := range r.Answers {
		said[a.Path] = a.Reason
		if c.Want == "plays" && a.Status >= 400 {
			t.Errorf("%s: %d %s for %s", c.Name, a.Status, a.Reason, a.URL)
		}
	}
	for path, want := range c.asks {
		if got, asked := said[path]; !asked || got != want {
			t.Errorf("%s: Mux says %q of %s (asked: %v), want %q", c.Name, got, path, asked, want)
		}
	}
	for _, path := range c.never {
		if _, asked := said[path]; asked {
			t.Errorf("%s: the player asks for %s", c.Name, path)
		}
	}
	for _, f := range r.Failed {
		if c.Want == "plays" && !strings.Contains(f.Why, "ERR_ABORTED") { // the player's own cancelling
			t.Errorf("%s: %s for %s", c.Name, f.Why, f.URL)
		}
	}
	warned := false
	for _, line := range r.Console {
		warned = warned || c.warning != "" && strings.Contains(line.Text, c.warning)
		quiet := line.Type == "log" || line.Type == "info" || strings.HasPrefix(line.Text, "Media Chrome:") // about its own style sheets
		if c.muxCode == 0 && c.warning == "" && !quiet {
			t.Errorf("%s: the console has a %s: %s", c.Name, line.Type, line.Text)
		}
	}
	if c.warning != "" && !warned {
		t.Errorf("%s: no warning of %q in %v", c.Name, c.warning, r.Console)
	}
	switch {
	case c.muxCode == 0 && len(r.Errors) > 0:
		t.Errorf("%s: the player has errors: %+v", c.Name, r.Errors)
	case c.muxCode != 0 && (len(r.Errors) == 0 || r.Errors[0].MuxCode != c.muxCode):
		t.Errorf("%s: the player has errors %+v, want %d", c.Name, r.Errors, c.muxCode)
	}
	if c.Want == "plays" && (r.Played < 2 || r.Frames == 0) {
		t.Errorf("%s: %v s and %d frames were played", c.Name, r.Played, r.Frames)
	}
}

// attributes are the gateway's player member, ready to spread.
func attributes(playbackID string, player map[string]string) map[string]string {
	out := map[string]string{"playback-id": playbackID}
	maps.Copy(out, player)
	return out
}

// TestMuxPlayerPlaysWithOurTokens spreads `player` on the real <mux-player> and
// lets it play from the simulated Mux. What the player diagnoses of tokens that
// are not good is mux.md §1.8.
func TestMuxPlayerPlaysWithOurTokens(t *testing.T) {
	t.Parallel()
	w := drmWorld(t)
	w.files["rules-acme.yaml"] = `
version: 1
rules:
  - id: short
    effect: allow
    when: 'request.session_id == "short"'
    grant: {ttl: 1s, cover_duration: false}
` + openRule
	g := start(t, w.files)
	edge := newEdge(t, g, muxsim.PlaybackID{ID: "OTHERacme", Policy: muxsim.Signed, Asset: "OTHER"})
	b := newBrowser(t, edge)

	short := mint(t, g, `{"playback_id":"PIDacme","session_id":"short"}`)
	asViewer := func(body string) (m minted) {
		must(t, http.MethodPost, g.url+"/v1/tokens", body, "Authorization", w.viewer(t, "acme", "u1")).data(t, &m)
		return m
	}
	film := asViewer(`{"playback_id":"PIDacme","types":["video","thumbnail","storyboard"]}`)
	drm := asViewer(`{"playback_id":"DRMacme",` + playerTypes + `}`)
	live := asViewer(`{"live_stream_id":"STREAMacme","types":["video","thumbnail"]}`)
	open := asViewer(`{"playback_id":"PUBacme","types":["video","thumbnail","storyboard"]}`)
	nobody := asViewer(`{"playback_id":"NOBODYacme"}`)
	token := map[string]string{}
	for _, item := range film.Tokens {
		token[item.Type] = item.Token
	}
	cases := []playerCase{
		{
			Name: "signed", Attributes: attributes("PIDacme", film.Player), Want: "plays", Path: "/PIDacme/thumbnail.webp", Seek: true,
			asks: map[string]string{"/PIDacme.m3u8": "ok", "/PIDacme/thumbnail.webp": "ok", "/PIDacme/storyboard.vtt": "ok", "/PIDacme/storyboard.webp": "ok"},
		},
		{
			Name: "DRM", Attributes: attributes("DRMacme", drm.Player), Want: "plays", Path: "/DRMacme/thumbnail.webp",
			asks: map[string]string{"/DRMacme.m3u8": "ok", "/DRMacme/thumbnail.webp": "ok", "/DRMacme/storyboard.vtt": "ok"},
		},
		{
			Name: "public", Attributes: attributes("PUBacme", open.Player), Want: "plays", Path: "/PUBacme/thumbnail.webp",
			asks: map[string]string{"/PUBacme.m3u8": "ok", "/PUBacme/thumbnail.webp": "ok", "/PUBacme/storyboard.vtt": "ok"},
		},
		{
			Name: "live", Attributes: attributes("LIVEacme", live.Player), Want: "plays", Path: "/LIVEacme/thumbnail.webp",
			asks: map[string]string{"/LIVEacme.m3u8": "ok", "/LIVEacme/thumbnail.webp": "ok"}, never: []string{"/LIVEacme/storyboard.vtt"},
		},
		{
			Name: "token of another playback ID", Attributes: attributes("OTHERacme", film.Player), Want: "fails", muxCode: 2403232,
			asks: map[string]string{"/OTHERacme.m3u8": "sub_mismatch"},
		},
		{
			Name: "expired token", Attributes: attributes("PIDacme", short.Player), Want: "fails", muxCode: 2403210,
			asks: map[string]string{"/PIDacme.m3u8": "token_expired"},
		},
		{
			Name: "thumbnail token to play with", Attributes: attributes("PIDacme", map[string]string{"playback-token": token["thumbnail"]}), Want: "fails", muxCode: 2403222,
			asks: map[string]string{"/PIDacme.m3u8": "aud_mismatch"},
		},
		{
			Name: "half a token", Attributes: attributes("PIDacme", map[string]string{"playback-token": token["video"][:80]}), Want: "fails", muxCode: 2412202,
			asks: map[string]string{"/PIDacme.m3u8": "token_malformed"},
		},
		{
			Name: "no token", Attributes: attributes("PIDacme", nil), Want: "fails", muxCode: 2403201,
			asks: map[string]string{"/PIDacme.m3u8": "token_missing"},
		},
		{
			Name: "playback ID that Mux does not know", Attributes: attributes("NOBODYacme", nobody.Player), Want: "fails", muxCode: 2404000,
			asks: map[string]string{"/NOBODYacme.m3u8": "unknown_playback_id"},
		},
		{
			Name: "token for a public playback ID", Attributes: attributes("PUBacme", film.Player), Want: "fails", muxCode: 2400000,
			asks: map[string]string{"/PUBacme.m3u8": "token_on_public"},
		},
		{
			Name: "thumbnail and storyboard tokens swapped", Want: "asks", Path: "/PIDacme.m3u8", warning: "incorrect aud value",
			Attributes: attributes("PIDacme", map[string]string{"playback-token": token["video"], "thumbnail-token": token["storyboard"], "storyboard-token": token["thumbnail"]}),
			never:      []string{"/PIDacme/thumbnail.webp", "/PIDacme/storyboard.vtt"},
		},
	}
	g.await("the end of the short token", func() bool { return time.Now().Unix() > short.Tokens[0].ExpiresAt })
	for _, r := range playAll(t, b, cases) {
		if r.Name == "signed" && r.Cues == 0 {
			t.Errorf("%s: the player has no storyboard", r.Name)
		}
	}
}

// TestMuxPlayerFollowsTheGatewaysRedirects needs no token on the page at all:
// the player's custom domain is the gateway's host, whose stream. and image.
// redirect to signed URLs. The rules name a playback restriction, so Mux must
// still see the page's host as the referrer.
func TestMuxPlayerFollowsTheGatewaysRedirects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "        anonymous: true\n        cors_origins: [\"https://"+pageHost+"\"]\n", "acme")
	w.files["rules-acme.yaml"] = strings.Replace(openRules, "ttl: 1h,", "ttl: 1h, playback_restriction_id: PAGES,", 1)
	relay := &relay{}
	b := newBrowser(t, relay)
	g := startTLS(t, w, b, "stream.acme.example", "image.acme.example")
	relay.to.Store(newEdge(t, g))
	// What the page asks for becomes claims, within what viewers may choose.
	at := map[string]string{"custom-domain": "acme.example", "max-resolution": "480p", "rendition-order": "desc", "thumbnail-time": "5"}
	results := playAll(t, b, []playerCase{{
		Name: "redirected", Attributes: attributes("PIDacme", at), Want: "plays", Path: "/PIDacme/thumbnail.webp",
		asks:  map[string]string{"/PIDacme.m3u8": "ok", "/PIDacme/thumbnail.webp": "ok", "/PIDacme/storyboard.vtt": "ok"},
		never: []string{"/manifest-sim/PIDacme/720p.m3u8"},
	}})
	redirects := map[string]int{}
	for _, a := range results[0].Answers {
		if a.Status == http.StatusFound {
			redirects[a.Host]++
		}
		// What the player put into the query is in the token now.
		if strings.HasSuffix(a.Host, ".mux.com") && strings.Contains(a.URL, "token=") && !strings.HasSuffix(a.URL, "?token=…") {
			t.Errorf("the token has company: %s", a.URL)
		}
	}
	if redirects["stream.acme.example"] == 0 || redirects["image.acme.example"] < 2 || len(redirects) != 2 {
		t.Errorf("redirects: %v", redirects)
	}
}

// relay is a handler whose inside comes later.
type relay struct{ to atomic.Pointer[muxsim.Sim] }

func (h *relay) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.to.Load().ServeHTTP(w, r) }
