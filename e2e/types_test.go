package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/playgate/playgate/muxsim"
)

// typeKit is a gateway and the simulated Mux in front of which the table is
// walked.
type typeKit struct {
	w       *world
	g       *gateway
	edge    *muxsim.Sim
	callers map[string]string // Authorization
}

func newTypeKit(t *testing.T) *typeKit {
	t.Helper()
	w := newWorld(t, "", "acme")
	entry := "          - {id: LIVEacme"
	w.files["playgate.yaml"] = "signer: {backend: go}\n" + strings.NewReplacer( // no command measures backends
		entry, "          - {id: DRMacme, policy: drm, asset: {id: LOCKEDacme}}\n"+
			"          - {id: PUBLIVEacme, policy: public, live_stream: {id: OPENSTREAMacme}}\n"+entry,
		`permissions: ["video:read"]`, `permissions: ["video:read", "system:read"]`,
	).Replace(w.files["playgate.yaml"])
	g := start(t, w.files)
	edge, err := muxsim.New(muxsim.Config{Environments: []muxsim.Environment{{
		ID: "acme", JWKSURL: g.url + "/v1/environments/acme/jwks.json",
		PlaybackIDs: []muxsim.PlaybackID{
			{ID: "PIDacme", Policy: muxsim.Signed, Asset: "ASSETacme"},
			{ID: "PUBacme", Policy: muxsim.Public, Asset: "OPENacme"},
			{ID: "DRMacme", Policy: muxsim.DRM, Asset: "LOCKEDacme"},
			{ID: "LIVEacme", Policy: muxsim.Signed, LiveStream: "STREAMacme"},
			{ID: "PUBLIVEacme", Policy: muxsim.Public, LiveStream: "OPENSTREAMacme"},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return &typeKit{w, g, edge, map[string]string{"a backend": basic("tok-acme"), "a viewer": w.viewer(t, "acme", "u1")}}
}

// TestEveryTypeOfEveryPolicyByEveryRoute walks typeTable by every way to a
// token. What the gateway gives, the simulated Mux must take.
func TestEveryTypeOfEveryPolicyByEveryRoute(t *testing.T) {
	t.Parallel()
	k := newTypeKit(t)
	for _, row := range typeTable() {
		t.Run(row.id, func(t *testing.T) {
			t.Parallel()
			for kind, want := range row.wanted() {
				k.posted(t, row, kind, want)
				k.explained(t, row, kind, want)
				k.commanded(t, row, kind, want)
				if !row.isVideoData {
					k.asked(t, row, kind, want)
				}
			}
			if !row.isVideoData {
				k.everyType(t, row)
				for _, file := range []string{"720p.mp4", "audio.m4a"} {
					k.redirected(t, row, "video", row.staticRendition, "/stream/"+row.id+"/"+file)
				}
			}
		})
	}
}

// item is one token of an answer, or the code of the refusal.
type item struct {
	Type      string  `json:"type"`
	Token     string  `json:"token"`
	URL       string  `json:"url"`
	ExpiresAt *int64  `json:"expires_at"`
	KeyID     *string `json:"key_id"`
	code      string
}

// check holds an item to a cell of the table.
func (k *typeKit) check(t *testing.T, how string, row typeRow, kind, want string, got item) {
	t.Helper()
	how += ": " + kind + " of " + row.id
	switch {
	case want == "":
		if got.code != "type_unavailable" {
			t.Errorf("%s: got %q with code %q, want type_unavailable", how, got.URL, got.code)
		}
	case got.code != "":
		t.Errorf("%s: got %s", how, got.code)
	case want == "-":
		if got.Token != "" || got.ExpiresAt != nil || got.KeyID != nil || strings.Contains(got.URL, "token=") {
			t.Errorf("%s: got %+v, want no token", how, got)
		}
		k.judge(t, how, row, kind, got.URL)
	default:
		k.checkToken(t, how, row, kind, want, got)
	}
}

func (k *typeKit) checkToken(t *testing.T, how string, row typeRow, kind, sub string, got item) {
	t.Helper()
	if c := claims(t, got.Token); c["sub"] != sub || c["aud"] != auds[kind] || c["kid"] != "KEYacme" {
		t.Errorf("%s: claims %v, want sub %s, aud %s", how, c, sub, auds[kind])
	}
	if got.ExpiresAt == nil || got.KeyID == nil || *got.KeyID != "KEYacme" || !strings.HasSuffix(got.URL, "?token="+got.Token) {
		t.Errorf("%s: got %+v, want an expiry, the key, and a URL with the token alone", how, got)
	}
	k.judge(t, how, row, kind, got.URL)
}

// judge asks the simulated Mux. It does not know the unknown ID, and live streams
// have no GIF, storyboard, static rendition or finished text track there.
func (k *typeKit) judge(t *testing.T, how string, row typeRow, kind, url string) {
	t.Helper()
	want := muxsim.OK
	onStats := strings.HasPrefix(kind, "stats")
	none := row.isLive && (kind == "gif" || kind == "storyboard" || strings.Contains(url, "/text/") || strings.Contains(url, ".mp4") || strings.Contains(url, ".m4a"))
	switch {
	case row.unknown && onStats:
		want = muxsim.SubMismatch
	case row.unknown && kind == "drm_license":
		want = muxsim.NoDRM
	case row.unknown:
		want = muxsim.UnknownPlaybackID
	case none:
		want = muxsim.UnknownFile
	}
	if got := k.edge.Verify(url, nil); got.Reason != want {
		t.Errorf("%s: the simulated Mux says %s (%s), want %s", how, got.Reason, got.Detail, want)
	}
}

// body is a minting body for one type of the row's ID.
func (r typeRow) body(kind string) string {
	member := "playback_id"
	if r.isVideoData {
		member = "video_id"
	}
	text, err := json.Marshal(map[string]any{member: r.id, "types": []string{kind}})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// bundle is data of a minting answer; flat makes items of it.
type bundle struct {
	Policy *string
	KeyID  *string `json:"key_id"`
	Tokens []item
	Player map[string]string
}

func (b bundle) flat() []item {
	for n := range b.Tokens {
		b.Tokens[n].KeyID = b.KeyID
	}
	return b.Tokens
}

// posted asks by POST /v1/tokens and by a batch.
func (k *typeKit) posted(t *testing.T, row typeRow, kind, want string) {
	t.Helper()
	for caller, authorization := range k.callers {
		how := "POST tokens by " + caller
		r := must(t, http.MethodPost, k.g.url+"/v1/tokens", row.body(kind), "Authorization", authorization)
		var many struct {
			Data []struct {
				Data  bundle
				Error struct{ Code string }
			}
		}
		batch := must(t, http.MethodPost, k.g.url+"/v1/tokens/batch", `{"requests":[`+row.body(kind)+`]}`, "Authorization", authorization)
		if err := json.Unmarshal(batch.body, &many); err != nil || len(many.Data) != 1 {
			t.Fatalf("batch: %d %s", batch.status, batch.body)
		}
		if row.isVideoData && caller == "a viewer" {
			if r.status != http.StatusForbidden || r.code() != "insufficient_permissions" || many.Data[0].Error.Code != "insufficient_permissions" {
				t.Errorf("%s: %s of a video ID: %d %s", how, kind, r.status, r.body)
			}
			continue
		}
		if r.status != http.StatusOK {
			k.check(t, how, row, kind, want, item{code: r.code()})
			k.check(t, "batch by "+caller, row, kind, want, item{code: many.Data[0].Error.Code})
			continue
		}
		var b bundle
		r.data(t, &b)
		k.check(t, how, row, kind, want, b.flat()[0])
		k.check(t, "batch by "+caller, row, kind, want, many.Data[0].Data.flat()[0])
		if cached := r.header.Get("X-Playgate-Cache") != ""; cached != (want != "-") {
			t.Errorf("%s: %s of %s: X-Playgate-Cache %q", how, kind, row.id, r.header.Get("X-Playgate-Cache"))
		}
		if policy := b.Policy; (policy == nil) != row.isVideoData || policy != nil && *policy != row.policy {
			t.Errorf("%s: %s of %s: %s", how, kind, row.id, r.body)
		}
	}
}

// asked asks by GET …/token and by the redirects.
func (k *typeKit) asked(t *testing.T, row typeRow, kind, want string) {
	t.Helper()
	for caller, authorization := range k.callers {
		r := must(t, http.MethodGet, k.g.url+"/v1/playback-ids/"+row.id+"/token?type="+kind, "", "Authorization", authorization)
		one := item{code: r.code()}
		if r.status == http.StatusOK {
			r.data(t, &one)
		}
		k.check(t, "GET token by "+caller, row, kind, want, one)
	}
	for _, path := range row.paths(kind) {
		k.redirected(t, row, kind, want, path)
	}
}

// redirected follows one redirect, by every caller.
func (k *typeKit) redirected(t *testing.T, row typeRow, kind, want, path string) {
	t.Helper()
	for caller, authorization := range k.callers {
		r := must(t, http.MethodGet, k.g.url+path, "", "Authorization", authorization)
		how := "GET " + path + " by " + caller
		got := item{code: r.code(), URL: r.header.Get("Location")}
		if _, token, signed := strings.Cut(got.URL, "?token="); signed {
			key, exp := fmt.Sprint(claims(t, token)["kid"]), int64(1)
			got.Token, got.KeyID, got.ExpiresAt = token, &key, &exp
		}
		if want != "" && r.status != http.StatusFound {
			t.Errorf("%s: %d %s", how, r.status, r.body)
			continue
		}
		k.check(t, how, row, kind, want, got)
	}
}

// everyType asks by GET …/tokens, which leaves out what cannot be had.
func (k *typeKit) everyType(t *testing.T, row typeRow) {
	t.Helper()
	for caller, authorization := range k.callers {
		var b bundle
		must(t, http.MethodGet, k.g.url+"/v1/playback-ids/"+row.id+"/tokens", "", "Authorization", authorization).data(t, &b)
		items := b.flat()
		for kind, want := range row.wanted() {
			at := slices.IndexFunc(items, func(i item) bool { return i.Type == kind })
			if (at >= 0) != (want != "") {
				t.Errorf("GET tokens by %s: %s of %s is listed: %v", caller, kind, row.id, at >= 0)
			}
			if at < 0 {
				continue
			}
			if want == "-" {
				items[at].KeyID = nil // it is the statistics' key
			}
			k.check(t, "GET tokens by "+caller, row, kind, want, items[at])
		}
		if _, ok := b.Player["drm-token"]; ok != (row.policy == "drm") || row.policy == "public" && len(b.Player) > 0 {
			t.Errorf("GET tokens by %s: player of %s: %v", caller, row.id, b.Player)
		}
	}
}

// explained asks what would be answered.
func (k *typeKit) explained(t *testing.T, row typeRow, kind, want string) {
	t.Helper()
	r := must(t, http.MethodPost, k.g.url+"/v1/explain", row.body(kind), "Authorization", k.callers["a backend"])
	how := "explain: " + kind + " of " + row.id
	if want == "" {
		if r.code() != "type_unavailable" {
			t.Errorf("%s: %d %s, want type_unavailable", how, r.status, r.body)
		}
		return
	}
	var x struct {
		Effect string
		Plan   *struct {
			KeyID string `json:"key_id"`
		}
		Types []struct{ Cache string }
	}
	r.data(t, &x)
	signed := x.Plan != nil && x.Plan.KeyID == "KEYacme" && x.Types[0].Cache != ""
	if x.Effect != "allow" || signed != (want != "-") || !signed && x.Plan != nil {
		t.Errorf("%s: %s", how, r.body)
	}
}

// commanded signs by `playgate token sign`, and reads and verifies it by the
// other two commands.
func (k *typeKit) commanded(t *testing.T, row typeRow, kind, want string) {
	t.Helper()
	if (kind == "stats_video") != row.isVideoData {
		return // the command's argument is a video ID exactly then
	}
	config := filepath.Join(k.g.dir, "playgate.yaml")
	how := "token sign: " + kind + " of " + row.id
	status, out, stderr := run(t, nil, "token", "sign", row.id, "--config", config, "--environment", "acme", "--type", kind)
	if want == "" || want == "-" {
		if status != 1 || out != "" || strings.Count(stderr, "\n") != 1 || want == "-" && !strings.Contains(stderr, "public") {
			t.Errorf("%s: exit %d, %q, %q, want a refusal", how, status, out, stderr)
		}
		return
	}
	if status != 0 {
		t.Errorf("%s: exit %d, %s", how, status, stderr)
		return
	}
	token := strings.TrimSpace(out)
	if c := claims(t, token); c["sub"] != want || c["aud"] != auds[kind] {
		t.Errorf("%s: claims %v", how, c)
	}
	if status, out, stderr = run(t, nil, "token", "verify", token, "--config", config); status != 0 || !strings.HasPrefix(out, "valid, signed by a key of environment acme\n") {
		t.Errorf("token verify: %s of %s: exit %d, %s%s", kind, row.id, status, out, stderr)
	}
	reading := "good for " + strings.ReplaceAll(kind, "_", " ")
	if status, out, stderr = run(t, nil, "token", "inspect", token); status != 0 || !strings.Contains(out, reading) || strings.Contains(out, "does not have") {
		t.Errorf("token inspect: %s of %s: exit %d, %s%s", kind, row.id, status, out, stderr)
	}
}

// TestStatisticsOfObjectsWithPublicIDsAlone: what has only public playback IDs
// has nothing to sign for playing, and is counted nevertheless.
func TestStatisticsOfObjectsWithPublicIDsAlone(t *testing.T) {
	t.Parallel()
	k := newTypeKit(t)
	for body, want := range map[string]string{
		`{"asset_id":"OPENacme","types":["stats_asset"]}`:                   "PUBacme OPENacme",
		`{"asset_id":"OPENacme","types":["stats","stats_asset"]}`:           "PUBacme PUBacme OPENacme",
		`{"live_stream_id":"OPENSTREAMacme","types":["stats_live_stream"]}`: "PUBLIVEacme OPENSTREAMacme",
		`{"asset_id":"ASSETacme","types":["stats_asset"]}`:                  "PIDacme ASSETacme",
		`{"asset_id":"OPENacme","types":["stats_asset","video"]}`:           "no_signed_playback_id",
		`{"asset_id":"OPENacme"}`:                                           "no_signed_playback_id",
		`{"asset_id":"OPENacme","types":["stats_live_stream"]}`:             "type_unavailable",
		`{"asset_id":"ASSETacme","types":["drm_license"]}`:                  "type_unavailable",
		`{"asset_id":"LOCKEDacme","types":["video","drm_license"]}`:         "DRMacme DRMacme DRMacme",
	} {
		for caller, authorization := range k.callers {
			r := must(t, http.MethodPost, k.g.url+"/v1/tokens", body, "Authorization", authorization)
			got := r.code()
			if r.status == http.StatusOK {
				var m minted
				r.data(t, &m)
				got = m.PlaybackID
				for _, token := range m.Tokens {
					got += " " + fmt.Sprint(claims(t, token.Token)["sub"])
				}
			}
			if got != want {
				t.Errorf("%s by %s: %s, want %s (%s)", body, caller, got, want, r.body)
			}
		}
	}
}

// TestDemoCountsViewersOfThePublicTrailer asks the demo's gateway as its backend,
// and the simulated Mux with what comes back.
func TestDemoCountsViewersOfThePublicTrailer(t *testing.T) {
	t.Parallel()
	gateway := strings.TrimSuffix(startDemo(t), "/demo/")
	backend := "Basic " + base64.StdEncoding.EncodeToString([]byte("5d2c1f8e-0c1a-4c3e-9a51-6d0f7be0c1e0:cinema-demo-secret"))
	for _, id := range []string{"playback_id=DemoTrailer01", "asset_id=DemoAssetTrailer"} {
		r := must(t, http.MethodGet, gateway+"/stats/counts?"+id, "", "Authorization", backend)
		if r.status != http.StatusFound {
			t.Fatalf("%s: %d %s", id, r.status, r.body)
		}
		if counts := must(t, http.MethodGet, r.header.Get("Location"), ""); counts.status != http.StatusOK || !strings.Contains(string(counts.body), `"views":0`) {
			t.Errorf("%s: Mux says %d %s", id, counts.status, counts.body)
		}
	}
	var b bundle
	must(t, http.MethodPost, gateway+"/v1/tokens", `{"video_id":"film/1","types":["stats_video"]}`, "Authorization", backend).data(t, &b)
	if counts := must(t, http.MethodGet, b.Tokens[0].URL, ""); counts.status != http.StatusOK {
		t.Errorf("a video ID: Mux says %d %s", counts.status, counts.body)
	}
	for path, code := range map[string]string{"/license/widevine/DemoPremiere01": "type_unavailable", "/stream/DemoVault01/720p.mp4": "type_unavailable"} {
		if r := must(t, http.MethodGet, gateway+path, "", "Authorization", backend); r.status != http.StatusBadRequest || r.code() != code {
			t.Errorf("%s: %d %s, want %s", path, r.status, r.body, code)
		}
	}
}
