package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sdkRules say by session what the rules add to a token; the default adds
// nothing.
const sdkRules = `
version: 1
rules:
  - id: restricted
    effect: allow
    when: 'request.session_id == "restricted"'
    grant: {ttl: 1h, types: [video, thumbnail, gif, storyboard, drm_license, stats, stats_asset, stats_live_stream, stats_video], playback_restriction_id: RESTRICTION1}
  - id: personal
    effect: allow
    when: 'request.session_id == "personal"'
    grant: {ttl: 1h, types: [video], playback_restriction_id: RESTRICTION1, custom: {viewer: 'viewer.id', plan: '{"name": "premium", "level": 3, "trial": false}'}}
  - id: forced
    effect: allow
    when: 'request.session_id == "forced"'
    grant:
      ttl: 1h
      types: [video, storyboard]
      params:
        video: {asset_start_time: 0, asset_end_time: 12.5, max_resolution: 720p, redundant_streams: true}
        storyboard: {asset_start_time: 0, asset_end_time: 12.5, format: webp}
` + openRule

// openRule is the rule of openRules, for documents that go on with it.
const openRule = `
  - id: open
    effect: allow
    when: 'true'
    grant: {ttl: 1h, types: [video, thumbnail, gif, storyboard, drm_license, stats, stats_asset, stats_live_stream, stats_video]}
`

// sdkParam is a parameter of mux.md §1.5: its value as JSON has it, and another
// spelling of the same value, as a query has it.
type sdkParam struct {
	name  string
	value any
	text  string
}

// sdkKind is a token type and what the SDK calls it.
type sdkKind struct {
	name, method, sdkType string
	id                    string // what is asked for
	sub                   string // what the SDK signs, "" the same
	params                []sdkParam
}

func sdkKinds() []sdkKind {
	clip := []sdkParam{
		{"asset_start_time", 1.5, "1.50"},
		{"asset_end_time", 20, "2e1"},
		{"program_start_time", 1767225600, "1767225600"},
		{"program_end_time", 1767229200, "1767229200.0"},
	}
	return []sdkKind{
		{name: "video", method: "signPlaybackId", sdkType: "video", id: "PIDacme", params: append([]sdkParam{
			{"redundant_streams", true, "true"},
			{"roku_trick_play", false, "false"},
			{"exclude_pdt", true, "true"},
			{"default_subtitles_lang", "pt-BR", "pt-BR"},
			{"max_resolution", "2160p", "2160p"},
			{"min_resolution", "270p", "270p"},
			{"rendition_order", "desc", "desc"},
		}, clip...)},
		{name: "thumbnail", method: "signPlaybackId", sdkType: "thumbnail", id: "PIDacme", params: []sdkParam{
			{"time", 7.25, "7.250"},
			{"width", 320, "320.0"},
			{"height", 180, "180"},
			{"rotate", 90, "90"},
			{"fit_mode", "preserve", "preserve"},
			{"flip_v", true, "true"},
			{"flip_h", false, "false"},
			{"program_time", 1767225600, "1767225600"},
		}},
		{name: "thumbnail", method: "signPlaybackId", sdkType: "thumbnail", id: "LIVEacme", params: []sdkParam{{"latest", true, "true"}}},
		{name: "gif", method: "signPlaybackId", sdkType: "gif", id: "PIDacme", params: []sdkParam{
			{"start", 0, "0.0"}, {"end", 4.5, "4.5"}, {"width", 640, "640"}, {"height", 360, "360"}, {"fps", 30, "30"},
		}},
		{name: "storyboard", method: "signPlaybackId", sdkType: "storyboard", id: "PIDacme", params: append([]sdkParam{{"format", "webp", "webp"}}, clip...)},
		{name: "drm_license", method: "signPlaybackId", sdkType: "drm_license", id: "DRMacme", params: []sdkParam{
			{"licenseExpiration", 86400, "86400"}, {"playDuration", 3600, "3.6e3"}, {"offline", true, "true"},
		}},
		{name: "drm_license", method: "signDrmLicense", id: "DRMacme"},
		{name: "stats", method: "signPlaybackId", sdkType: "stats", id: "PIDacme"},
		{name: "stats", method: "signViewerCounts", sdkType: "playback", id: "PIDacme"},
		{name: "stats_asset", method: "signViewerCounts", sdkType: "asset", id: "PIDacme", sub: "ASSETacme"},
		{name: "stats_live_stream", method: "signViewerCounts", sdkType: "live_stream", id: "LIVEacme", sub: "STREAMacme"},
		{name: "stats", method: "signViewerCounts", sdkType: "playback", id: "PUBacme"},
		{name: "stats_asset", method: "signViewerCounts", sdkType: "asset", id: "PUBacme", sub: "OPENacme"},
		{name: "stats_video", method: "signViewerCounts", sdkType: "video", id: `~!film/1?"\<&>`},
	}
}

// sdkCase is one token, asked of the gateway and signed by the SDK.
type sdkCase struct {
	name    string
	kind    sdkKind
	params  map[string]any // to the gateway
	session string         // to the gateway: chooses the rule
	viewer  string         // to the gateway
	custom  string         // to the gateway, JSON
	claims  map[string]any // to the SDK, which takes all of these as params
}

func sdkCases() []sdkCase {
	var out []sdkCase
	for _, kind := range sdkKinds() {
		name := kind.name + " by " + kind.method + "/" + kind.id
		out = append(out,
			sdkCase{name: name, kind: kind},
			sdkCase{name: name + " restricted", kind: kind, session: "restricted", claims: map[string]any{"playback_restriction_id": "RESTRICTION1"}})
		all := map[string]any{}
		for _, p := range kind.params {
			all[p.name] = p.value
			one := map[string]any{p.name: p.value}
			out = append(out, sdkCase{name: name + " with " + p.name, kind: kind, params: one, claims: one})
		}
		out = append(out, sdkCase{name: name + " with all", kind: kind, params: all, claims: all})
	}
	for _, mode := range []string{"stretch", "crop", "smartcrop", "pad"} {
		fit := map[string]any{"fit_mode": mode, "width": 320, "height": 180}
		out = append(out, sdkCase{name: "thumbnail that should " + mode, kind: sdkKinds()[1], params: fit, claims: fit})
	}
	clip := map[string]any{"asset_start_time": 0, "asset_end_time": 12.5}
	with := func(more map[string]any) map[string]any {
		maps.Copy(more, clip)
		return more
	}
	custom := `{"session":{"id":"s-1","tags":["a","é<&>\u2028"],"depth":{"n":1.5,"none":null,"yes":true}},"plan":"from the backend"}`
	var nested map[string]any
	if err := json.Unmarshal([]byte(custom), &nested); err != nil {
		panic(err)
	}
	personal := map[string]any{"session": nested["session"], "viewer": "u1", "plan": map[string]any{"name": "premium", "level": 3, "trial": false}}
	video := sdkKinds()[0]
	return append(out,
		sdkCase{name: "video with a forced clip", kind: video, session: "forced", claims: with(map[string]any{"max_resolution": "720p", "redundant_streams": true})},
		sdkCase{name: "storyboard with a forced clip", kind: sdkKinds()[4], session: "forced", claims: with(map[string]any{"format": "webp"})},
		sdkCase{name: "video with custom data", kind: video, custom: custom, claims: map[string]any{"custom": nested}},
		sdkCase{
			name: "video with custom data of rule and backend", kind: video, session: "personal", viewer: "u1", custom: custom,
			claims: map[string]any{"custom": personal, "playback_restriction_id": "RESTRICTION1"},
		},
	)
}

// body is the case as a minting request.
func (c sdkCase) body(t *testing.T) string {
	t.Helper()
	body := map[string]any{"playback_id": c.kind.id, "types": []string{c.kind.name}}
	if c.kind.name == "stats_video" {
		delete(body, "playback_id")
		body["video_id"] = c.kind.id
	}
	if c.params != nil {
		body["params"] = map[string]any{c.kind.name: c.params}
	}
	if c.session != "" {
		body["session_id"] = c.session
	}
	if c.viewer != "" {
		body["viewer"] = map[string]any{"id": c.viewer}
	}
	if c.custom != "" {
		body["custom"] = json.RawMessage(c.custom)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sdkCall is what sdk.mjs reads, sdkTokens what it answers.
type sdkCall struct {
	Name    string         `json:"name"`
	Method  string         `json:"method"`
	ID      string         `json:"id"`
	Options map[string]any `json:"options"`
	Exp     int64          `json:"exp"`
	Ours    any            `json:"ours"`
}

type sdkTokens[T any] struct {
	Calls []struct {
		Name          string
		V15, V14, V12 T
	}
}

// drmWorld is a world of one environment with a DRM playback ID, DRMacme.
func drmWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, "", "acme")
	entry := "          - {id: LIVEacme"
	w.files["playgate.yaml"] = strings.Replace(w.files["playgate.yaml"], entry, "          - {id: DRMacme, policy: drm, asset: {id: ASSETacme}}\n"+entry, 1)
	return w
}

// sdkIn is what sdk.mjs needs besides the calls.
func sdkIn(t *testing.T, w *world, g *gateway, calls []sdkCall) map[string]any {
	t.Helper()
	jwks := must(t, http.MethodGet, g.url+"/v1/environments/acme/jwks.json", "")
	return map[string]any{
		"key":  map[string]string{"id": "KEYacme", "pem": w.files["keys/acme/KEYacme.pem"]},
		"jwks": json.RawMessage(jwks.body), "calls": calls,
	}
}

// TestTokensAreThoseOfMuxsSDK signs each type with each parameter twice: by the
// gateway and by Mux's own SDK, with one key. What comes out must be equal, and
// each side's library must verify the other's.
func TestTokensAreThoseOfMuxsSDK(t *testing.T) {
	t.Parallel()
	needNode(t)
	w := drmWorld(t)
	w.files["rules-acme.yaml"] = sdkRules
	g := start(t, w.files)
	cases := sdkCases()
	ours := make([]string, len(cases))
	calls := make([]sdkCall, len(cases))
	edge := newEdge(t, g)
	for n, c := range cases {
		m := mint(t, g, c.body(t))
		ours[n] = m.Tokens[0].Token
		sub := c.kind.sub
		if sub == "" {
			sub = c.kind.id
		}
		options := map[string]any{"params": c.claims}
		if c.kind.sdkType != "" {
			options["type"] = c.kind.sdkType
		}
		calls[n] = sdkCall{Name: c.name, Method: c.kind.method, ID: sub, Options: options, Exp: m.Tokens[0].ExpiresAt, Ours: ours[n]}
		// The simulated Mux, which shares no code with the gateway, must agree.
		if verdict := edge.Verify(m.Tokens[0].URL, nil); !verdict.Allowed() {
			t.Errorf("%s: the simulated Mux refuses %s: %s %s", c.name, c.kind.name, verdict.Reason, verdict.Detail)
		}
	}
	var theirs sdkTokens[string]
	node(t, "sdk.mjs", sdkIn(t, w, g, calls), &theirs)
	verify := map[string]string{}
	for n, c := range cases {
		header, payload := parts(t, ours[n])
		header12, payload12 := parts(t, theirs.Calls[n].V12)
		if header12["alg"] != header["alg"] || header12["typ"] != nil {
			t.Errorf("%s: header of SDK 12: %v", c.name, header12)
		}
		for version, token := range map[string]string{"15": theirs.Calls[n].V15, "14": theirs.Calls[n].V14} {
			theirHeader, theirPayload := parts(t, token)
			if diff := cmp.Diff(theirHeader, header); diff != "" {
				t.Errorf("%s: header (-SDK %s +gateway)\n%s", c.name, version, diff)
			}
			if diff := cmp.Diff(theirPayload, payload); diff != "" {
				t.Errorf("%s: payload (-SDK %s +gateway)\n%s", c.name, version, diff)
			}
			// RS256 is deterministic: the same claims in the same order are the same bytes.
			if c.claims == nil && token != ours[n] {
				t.Errorf("%s: the bytes differ from SDK %s\n%s\n%s", c.name, version, token, ours[n])
			}
		}
		if diff := cmp.Diff(payload12, payload); diff != "" {
			t.Errorf("%s: payload (-SDK 12 +gateway)\n%s", c.name, diff)
		}
		if len(c.claims) == len(c.kind.params) {
			verify["15 "+c.name], verify["12 "+c.name] = theirs.Calls[n].V15, theirs.Calls[n].V12
		}
	}
	for name, token := range verify {
		t.Run("token verify of SDK "+name, func(t *testing.T) {
			t.Parallel()
			verifies(t, g, token)
		})
	}
}

// verifies lets the command verify a token, whole and tampered with.
func verifies(t *testing.T, g *gateway, token string) {
	t.Helper()
	config := filepath.Join(g.dir, "playgate.yaml")
	if status, out, stderr := run(t, nil, "token", "verify", token, "--config", config); status != 0 || !strings.HasPrefix(out, "valid, signed by a key of environment acme\n") || strings.Contains(out, "erified") {
		t.Errorf("exit %d\n%s%s", status, out, stderr)
	}
	at := strings.LastIndex(token, ".") + 10
	other := map[bool]string{true: "B", false: "A"}[token[at] == 'A']
	tampered := token[:at] + other + token[at+1:]
	if status, out, stderr := run(t, nil, "token", "verify", tampered, "--config", config); status != 1 || out != "" || !strings.Contains(stderr, "not valid") {
		t.Errorf("tampered with: exit %d\n%s%s", status, out, stderr)
	}
}

// TestQueryParametersBecomeTheSDKsTypedClaims asks with text, as a URL has it,
// and by redirect. The claims must be the same as those that
// TestTokensAreThoseOfMuxsSDK compares.
func TestQueryParametersBecomeTheSDKsTypedClaims(t *testing.T) {
	t.Parallel()
	g := start(t, drmWorld(t).files)
	paths := map[string]string{"video": "/stream/%s.m3u8", "thumbnail": "/image/%s/thumbnail.png", "gif": "/image/%s/animated.gif", "storyboard": "/image/%s/storyboard.vtt", "drm_license": "/license/widevine/%s"}
	authorization := basic("tok-acme")
	for _, kind := range sdkKinds() {
		if len(kind.params) == 0 {
			continue
		}
		want, query := map[string]any{}, url.Values{}
		for _, p := range kind.params {
			want[p.name] = p.value
			query.Set(p.name, p.text)
		}
		want["sub"], want["kid"] = kind.id, "KEYacme"
		var one minted
		must(t, http.MethodGet, g.url+"/v1/playback-ids/"+kind.id+"/token?type="+kind.name+"&"+query.Encode(), "", "Authorization", authorization).data(t, &one)
		redirect := must(t, http.MethodGet, g.url+fmt.Sprintf(paths[kind.name], kind.id)+"?"+query.Encode(), "", "Authorization", authorization)
		for how, token := range map[string]string{"GET token": one.Token, "redirect": tokenOf(redirect)} {
			if token == "" {
				t.Errorf("%s of %s: status %d %s", how, kind.name, redirect.status, redirect.body)
				continue
			}
			_, payload := parts(t, token)
			delete(payload, "exp")
			delete(payload, "aud")
			if diff := cmp.Diff(asJSON(t, want), asJSON(t, payload)); diff != "" {
				t.Errorf("%s of %s for %s: (-want +got)\n%s", how, kind.name, kind.id, diff)
			}
		}
	}
}

// asJSON makes values comparable that differ in their Go type alone.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPlayerMembersAreThoseOfTheSDKsArrayForm compares `player` with what
// signPlaybackId answers for an array of types. Both have the key as Mux hands
// it out, in base64.
func TestPlayerMembersAreThoseOfTheSDKsArrayForm(t *testing.T) {
	t.Parallel()
	needNode(t)
	w := drmWorld(t)
	w.files["keys/acme/KEYacme.pem"] = base64.StdEncoding.EncodeToString([]byte(w.files["keys/acme/KEYacme.pem"]))
	g := start(t, w.files)
	bodies := []struct{ name, body, types string }{
		{
			"plain", `{"playback_id":"DRMacme","types":["video","thumbnail","storyboard","drm_license"]}`,
			`["video","thumbnail","storyboard","drm_license"]`,
		},
		{
			"with parameters", `{"playback_id":"DRMacme","types":["video","thumbnail","storyboard"],"params":{"video":{"max_resolution":"720p"},"thumbnail":{"time":5,"width":320}}}`,
			`[["video",{"max_resolution":"720p"}],["thumbnail",{"time":5,"width":320}],"storyboard"]`,
		},
		{"video alone", `{"playback_id":"DRMacme","types":["video"]}`, `["video"]`},
	}
	var calls []sdkCall
	for _, b := range bodies {
		m := mint(t, g, b.body)
		calls = append(calls, sdkCall{
			Name: b.name, Method: "signPlaybackId", ID: "DRMacme", Exp: m.Tokens[0].ExpiresAt, Ours: m.Player,
			Options: map[string]any{"type": json.RawMessage(b.types)},
		})
	}
	var theirs sdkTokens[map[string]string]
	node(t, "sdk.mjs", sdkIn(t, w, g, calls), &theirs)
	decode := func(tokens map[string]string) map[string]map[string]any {
		out := map[string]map[string]any{}
		for attribute, token := range tokens {
			_, out[attribute] = parts(t, token)
		}
		return out
	}
	for n, call := range calls {
		ours := decode(call.Ours.(map[string]string))
		for version, tokens := range map[string]map[string]string{"15": theirs.Calls[n].V15, "14": theirs.Calls[n].V14, "12": theirs.Calls[n].V12} {
			if diff := cmp.Diff(decode(tokens), ours); diff != "" {
				t.Errorf("%s: (-SDK %s +gateway)\n%s", call.Name, version, diff)
			}
		}
	}
}

// mint posts a minting request as the backend of environment acme.
func mint(t *testing.T, g *gateway, body string) minted {
	t.Helper()
	r := must(t, http.MethodPost, g.url+"/v1/tokens", body, "Authorization", basic("tok-acme"))
	if r.status != http.StatusOK {
		t.Fatalf("%s: status %d %s", body, r.status, r.body)
	}
	var m minted
	r.data(t, &m)
	return m
}
