package issuer_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// world is a small environment with everything an answer can depend on.
type world struct {
	env     issuer.Environment
	rules   rules
	keys    *keys
	mint    *mint
	ledger  ledger
	stale   bool
	assured int64
	now     time.Time
}

func newWorld() *world {
	w := &world{keys: &keys{id: "K1"}, mint: &mint{}, ledger: ledger{}, now: time.Unix(1_800_000_000, 0)}
	film := &playback.Asset{ID: "A1", Duration: 120.5, Status: playback.AssetReady}
	live := &playback.LiveStream{ID: "L1", Status: playback.LiveStreamActive}
	w.env = issuer.Environment{
		ID: "acme", DefaultTTL: 15 * time.Minute, MaxTTL: 24 * time.Hour, Kid: playback.KidClaim,
		Catalogue: catalogue{
			{ID: "SIGNED", Policy: playback.PolicySigned, Known: true, Asset: film},
			{ID: "PUBLIC", Policy: playback.PolicyPublic, Known: true, Asset: film},
			{ID: "DRM", Policy: playback.PolicyDRM, Known: true, Asset: film},
			{ID: "LIVE", Policy: playback.PolicySigned, Known: true, LiveStream: live},
			{ID: "PREPARING", Policy: playback.PolicySigned, Known: true, Asset: &playback.Asset{ID: "A2", Status: playback.AssetPreparing}},
			{ID: "ERRORED", Policy: playback.PolicyPublic, Known: true, Asset: &playback.Asset{ID: "A3", Status: playback.AssetErrored}},
			{ID: "DISABLED", Policy: playback.PolicySigned, Known: true, LiveStream: &playback.LiveStream{ID: "L2", Status: playback.LiveStreamDisabled}},
			{ID: "OPEN", Policy: playback.PolicyPublic, Known: true, Asset: &playback.Asset{ID: "A4"}},
		},
	}
	w.rules = rules{}
	for t := range playback.TokenTypes {
		w.rules[t] = allow(playback.Grant{TTL: time.Hour, CoverDuration: true})
	}
	return w
}

func (w *world) issue(req issuer.Request) (*issuer.Answer, error) {
	w.env.Rules = w.rules
	if req.Viewer == nil {
		req.Viewer = &playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true}
	}
	req.Client = &playback.Client{}
	return w.issuer().Issue(context.Background(), &w.env, &req)
}

func (w *world) issuer() *issuer.Issuer {
	return issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Ledger: w.ledger, Stale: func(playback.EnvironmentID) (int64, bool) { return w.assured, w.stale }, Now: func() time.Time { return w.now }})
}

// ledger is the latest exp by key.
type ledger map[playback.KeyID]int64

func (l ledger) HandedOut(_ playback.EnvironmentID, key playback.KeyID, exp int64) { l[key] = exp }

type catalogue []*playback.Object

func (c catalogue) Lookup(id playback.ID) (*playback.Object, bool) {
	for _, o := range c {
		if o.ID == id {
			return o, true
		}
	}
	return nil, false
}

func (c catalogue) ByAsset(id playback.AssetID) (out []*playback.Object) {
	for _, o := range c {
		if o.Asset != nil && o.Asset.ID == id {
			out = append(out, o)
		}
	}
	return out
}

func (c catalogue) ByLiveStream(id playback.LiveStreamID) (out []*playback.Object) {
	for _, o := range c {
		if o.LiveStream != nil && o.LiveStream.ID == id {
			out = append(out, o)
		}
	}
	return out
}

type rules map[playback.TokenType]playback.Decision

func (r rules) Decide(q *playback.Question) playback.Decision { return r[q.Type] }

func allow(g playback.Grant) playback.Decision { return playback.Decision{Grant: &g, Rule: "allow"} }

func deny(code playback.Code) playback.Decision {
	return playback.Decision{Rule: "deny", Refusal: playback.Errorf(code, "no")}
}

type keys struct {
	id    playback.KeyID
	later playback.KeyID // what the second question gets
}

func (k *keys) Active(playback.EnvironmentID) (playback.KeyID, playback.Thumbprint, bool) {
	id := k.id
	if k.later != "" {
		k.id, k.later = k.later, ""
	}
	return id, playback.Thumbprint{1}, id != ""
}

type mint struct {
	mu     sync.Mutex
	claims []playback.Claims
	turns  []playback.Turn
	hits   map[string]bool // by aud
	refuse playback.KeyID  // a key that is not active any more
	wait   func()          // what happens while a token waits to be signed; nil: nothing
}

func (m *mint) Token(_ context.Context, c *playback.Claims, _ playback.Lifetime, t playback.Turn) (playback.Token, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.claims, m.turns = append(m.claims, *c), append(m.turns, t)
	if m.refuse != "" && c.Key == m.refuse {
		return playback.Token{}, false, playback.Errorf(playback.CodeNoActiveKey, "retired")
	}
	if m.wait != nil {
		m.wait()
	}
	return tokenOf(c), m.hits[c.Aud], nil
}

// Remembered knows what the test says is a hit.
func (m *mint) Remembered(c *playback.Claims, _ playback.Lifetime, _ time.Time) (playback.Token, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.hits[c.Aud] {
		return playback.Token{}, false
	}
	m.claims = append(m.claims, *c)
	return tokenOf(c), true
}

func tokenOf(c *playback.Claims) playback.Token {
	return playback.NewToken(c.Sub + "|" + c.Aud + "|" + strconv.FormatInt(c.Exp, 10))
}

func params(t *testing.T, kind playback.TokenType, pairs ...string) (out [playback.TokenTypes]playback.Params) {
	t.Helper()
	for n := 0; n < len(pairs); n += 2 {
		p, err := playback.ParseParam(kind, pairs[n], pairs[n+1])
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = out[kind].With(p)
	}
	return out
}

func video() []playback.TokenType { return []playback.TokenType{playback.Video} }

func names(list ...string) (set playback.NameSet) {
	set = playback.NameSet{}
	for _, n := range list {
		set[n] = struct{}{}
	}
	return set
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	type change func(*world, *issuer.Request)
	unknownDenied := func(w *world, r *issuer.Request) { w.env.DenyUnknown, r.PlaybackID = true, "NOBODY" }
	for name, c := range map[string]struct {
		change change
		want   playback.Code
	}{
		"unknown ID where the catalogue denies": {unknownDenied, playback.CodeUnknownPlaybackID},
		"asset without a signed ID":             {func(_ *world, r *issuer.Request) { r.PlaybackID, r.AssetID = "", "A4" }, playback.CodeNoSignedPlaybackID},
		"unknown asset":                         {func(_ *world, r *issuer.Request) { r.PlaybackID, r.AssetID = "", "NONE" }, playback.CodeNoSignedPlaybackID},
		"unknown live stream":                   {func(_ *world, r *issuer.Request) { r.PlaybackID, r.LiveStreamID = "", "NONE" }, playback.CodeNoSignedPlaybackID},
		"asset statistics of a live stream": {func(_ *world, r *issuer.Request) {
			r.PlaybackID, r.Types = "LIVE", []playback.TokenType{playback.StatsAsset}
		}, playback.CodeTypeUnavailable},
		"live statistics of an asset": {func(_ *world, r *issuer.Request) { r.Types = []playback.TokenType{playback.StatsLiveStream} }, playback.CodeTypeUnavailable},
		"statistics of what nobody knows": {func(_ *world, r *issuer.Request) {
			r.PlaybackID, r.Types = "NOBODY", []playback.TokenType{playback.StatsAsset}
		}, playback.CodeTypeUnavailable},
		"DRM licence of a public ID": {func(_ *world, r *issuer.Request) {
			r.PlaybackID, r.Types = "PUBLIC", []playback.TokenType{playback.DRMLicense}
		}, playback.CodeTypeUnavailable},
		"latest of a recorded video": {func(_ *world, r *issuer.Request) {
			r.Types, r.Params = []playback.TokenType{playback.Thumbnail}, params(t, playback.Thumbnail, "latest", "true")
		}, playback.CodeInvalidParam},
		"denied":                  {func(w *world, _ *issuer.Request) { w.rules[playback.Video] = deny("not_released") }, "not_released"},
		"file not granted":        {func(_ *world, r *issuer.Request) { r.File = "720p.mp4" }, playback.CodeTypeNotGranted},
		"parameter not granted":   {func(_ *world, r *issuer.Request) { r.Params = params(t, playback.Video, "max_resolution", "720p") }, playback.CodeParamNotGranted},
		"preparing":               {func(_ *world, r *issuer.Request) { r.PlaybackID = "PREPARING" }, playback.CodeAssetNotReady},
		"errored, public too":     {func(_ *world, r *issuer.Request) { r.PlaybackID = "ERRORED" }, playback.CodeAssetNotReady},
		"disabled":                {func(_ *world, r *issuer.Request) { r.PlaybackID = "DISABLED" }, playback.CodeLiveStreamDisabled},
		"min_ttl above L":         {func(_ *world, r *issuer.Request) { r.MinTTL = 3600*time.Second + 122*time.Second }, playback.CodeMinTTLTooLong},
		"no key":                  {func(w *world, _ *issuer.Request) { w.keys.id = "" }, playback.CodeNoActiveKey},
		"key retired, none after": {func(w *world, _ *issuer.Request) { w.mint.refuse = "K1" }, playback.CodeNoActiveKey},
		"custom too large together": {func(_ *world, r *issuer.Request) {
			r.Custom = map[string]string{"a": `"` + strings.Repeat("x", 1020) + `"`}
		}, playback.CodeInvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			req := issuer.Request{PlaybackID: "SIGNED", Types: video()}
			c.change(w, &req)
			if _, err := w.issue(req); !errors.Is(err, c.want) {
				t.Errorf("Issue = %v, want %s", err, c.want)
			}
		})
	}
}

// TestFirstFailureAnswers walks the pairs of contract §8 that lie inside the
// pipeline: a request that breaks two promises gets the earlier refusal.
func TestFirstFailureAnswers(t *testing.T) {
	t.Parallel()
	stages := []struct {
		code  playback.Code
		fault func(*world, *issuer.Request)
	}{
		{playback.CodeUnknownPlaybackID, func(w *world, r *issuer.Request) { w.env.DenyUnknown, r.PlaybackID = true, "NOBODY" }},
		{playback.CodeTypeUnavailable, func(_ *world, r *issuer.Request) {
			r.Types = []playback.TokenType{playback.Video, playback.StatsLiveStream}
		}},
		{"not_released", func(w *world, _ *issuer.Request) { w.rules[playback.Video] = deny("not_released") }},
		{playback.CodeParamNotGranted, func(_ *world, r *issuer.Request) { r.Params = params(t, playback.Video, "max_resolution", "720p") }},
		{playback.CodeAssetNotReady, func(_ *world, r *issuer.Request) {
			if r.PlaybackID == "SIGNED" {
				r.PlaybackID = "PREPARING"
			}
		}},
		{playback.CodeMinTTLTooLong, func(_ *world, r *issuer.Request) { r.MinTTL = 25 * time.Hour }},
		{playback.CodeNoActiveKey, func(w *world, _ *issuer.Request) { w.keys.id = "" }},
	}
	for first := range stages {
		for second := first + 1; second < len(stages); second++ {
			w := newWorld()
			req := issuer.Request{PlaybackID: "SIGNED", Types: video()}
			stages[first].fault(w, &req)
			stages[second].fault(w, &req)
			if _, err := w.issue(req); !errors.Is(err, stages[first].code) {
				t.Errorf("%s and %s both broken: Issue = %v", stages[first].code, stages[second].code, err)
			}
		}
	}
}

func TestChoiceOfPlaybackID(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		asset playback.AssetID
		types []playback.TokenType
		want  playback.ID
	}{
		{"first signed", "A1", video(), "SIGNED"},
		{"with a licence the first drm", "A1", []playback.TokenType{playback.Video, playback.DRMLicense}, "DRM"},
	} {
		w := newWorld()
		answer, err := w.issue(issuer.Request{AssetID: c.asset, Types: c.types})
		if err != nil || answer.Object.ID != c.want {
			t.Errorf("%s: got %v, %v, want %s", c.name, answer, err, c.want)
		}
	}
	w := newWorld()
	w.env.Catalogue = catalogue{{ID: "D", Policy: playback.PolicyDRM, Asset: &playback.Asset{ID: "A"}}}
	if answer, err := w.issue(issuer.Request{AssetID: "A", Types: video()}); err != nil || answer.Object.ID != "D" {
		t.Errorf("an asset with only a drm ID: %v, %v", answer, err)
	}
}

// forcing is a grant that forces some parameters.
func forcing(t *testing.T, forced [playback.TokenTypes]playback.Params) (g playback.Grant) {
	t.Helper()
	for kind, err := range g.Force(forced) {
		if err != nil {
			t.Fatalf("forcing parameters of %s: %v", playback.TokenType(kind), err)
		}
	}
	return g
}

func TestClaims(t *testing.T) {
	t.Parallel()
	w := newWorld()
	forced := params(t, playback.Video, "max_resolution", "480p")
	grant := forcing(t, forced)
	grant.TTL, grant.RestrictionID = time.Hour, "R1"
	grant.ViewerParams[playback.Video] = names("exclude_pdt")
	w.rules[playback.Video] = playback.Decision{Grant: &grant, Rule: "r", Custom: `{"viewer":"rule"}`}
	sent := params(t, playback.Video, "max_resolution", "2160p", "exclude_pdt", "true")
	answer, err := w.issue(issuer.Request{
		PlaybackID: "SIGNED", Types: video(), Params: sent, Backend: true, Caller: "t:1",
		Custom: map[string]string{"viewer": `"backend"`, "s": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := playback.Claims{
		Environment: "acme", Key: "K1", Thumbprint: playback.Thumbprint{1}, Kid: playback.KidClaim, Sub: "SIGNED", Aud: "v",
		Params:      playback.Params{{Name: "exclude_pdt", JSON: "true"}, {Name: "max_resolution", JSON: `"480p"`}},
		Restriction: "R1", Custom: `{"s":1,"viewer":"rule"}`, Exp: answer.Lifetime.Exp,
	}
	if diff := cmp.Diff(want, w.mint.claims[0]); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if got := w.mint.turns[0]; got != (playback.Turn{Caller: "t:1", At: w.now}) {
		t.Errorf("turn = %+v", got)
	}
}

// TestTheRequestsTimeCounts where it has one: for rules, lifetime and cache.
func TestTheRequestsTimeCounts(t *testing.T) {
	t.Parallel()
	w := newWorld()
	early, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: video()})
	if err != nil {
		t.Fatal(err)
	}
	then := w.now
	w.now = then.Add(8 * time.Minute) // another exp, were it asked now
	same, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: video(), Now: then})
	if err != nil {
		t.Fatal(err)
	}
	if early.Lifetime != same.Lifetime || !w.mint.turns[1].At.Equal(then) {
		t.Errorf("asked then: %+v, %+v; asked as of then: %+v", early.Lifetime, w.mint.turns[1], same.Lifetime)
	}
}

func TestForcedClipClosesEveryBound(t *testing.T) {
	t.Parallel()
	grant := forcing(t, params(t, playback.Video, "asset_end_time", "60"))
	for _, name := range playback.ClipBounds() {
		for _, kind := range []playback.TokenType{playback.Video, playback.Storyboard} {
			w := newWorld()
			w.rules[kind] = allow(grant)
			_, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{kind}, Backend: true, Params: params(t, kind, name, "30")})
			if kind == playback.Video && name == "asset_end_time" {
				if err != nil {
					t.Errorf("a forced bound that is sent is overridden, got %v", err)
				}
			} else if !errors.Is(err, playback.CodeParamNotGranted) {
				t.Errorf("%s %s: %v, want param_not_granted", kind, name, err)
			}
		}
	}
}

// TestAForcedClipReachesPictures, with what is said of a parameter naming where
// it stands.
func TestAForcedClipReachesPictures(t *testing.T) {
	t.Parallel()
	grant := forcing(t, params(t, playback.Video, "asset_start_time", "20", "asset_end_time", "60"))
	grant.ViewerParams[playback.GIF] = names("start", "end")
	grant.ViewerParams[playback.Thumbnail] = names("time", "latest")
	for _, c := range []struct {
		kind       playback.TokenType
		sent       []string
		at         string
		want, fail string // parameters, or code and message
	}{
		{kind: playback.GIF, want: "start=20"},
		{kind: playback.Thumbnail, want: "time=20"},
		{kind: playback.Storyboard, want: "asset_end_time=60 asset_start_time=20"},
		{kind: playback.GIF, sent: []string{"end", "29"}, want: "end=29 start=20"},
		{kind: playback.GIF, sent: []string{"end", "31"}, fail: "invalid_param: end: must be 0.25 to 10 seconds after start"},
		{kind: playback.GIF, sent: []string{"start", "61"}, at: "params", fail: "param_not_granted: params.gif.start: is outside of the part of the video that is granted: want 20 to 60"},
		{kind: playback.Thumbnail, sent: []string{"time", "5"}, at: "requests[2].params", fail: "param_not_granted: requests[2].params.thumbnail.time: is outside of the part of the video that is granted: want 20 to 60"},
		{kind: playback.Thumbnail, sent: []string{"latest", "true"}, fail: "param_not_granted: latest: is not available within the part of the video that is granted"},
	} {
		w := newWorld()
		w.rules[c.kind] = allow(grant)
		answer, err := w.issue(issuer.Request{PlaybackID: "LIVE", Types: []playback.TokenType{c.kind}, Params: params(t, c.kind, c.sent...), ParamsAt: c.at})
		var got string
		if err == nil {
			for _, p := range answer.Items[0].Params {
				got += p.Name + "=" + p.Text() + " "
			}
			got = strings.TrimSpace(got)
		} else if !strings.HasPrefix(err.Error(), c.fail) { // behind it stands the rule, for the log
			t.Errorf("%s %q: %v, want %s", c.kind, c.sent, err, c.fail)
		}
		if got != c.want {
			t.Errorf("%s %q: %q, want %q", c.kind, c.sent, got, c.want)
		}
	}
}

// TestAStartBeyondTheAssetIsRefusedBeforeTheRules, as the contract's order has
// it for what needs the catalogue.
func TestAStartBeyondTheAssetIsRefusedBeforeTheRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		id   playback.ID
		sent string
		want error
	}{
		{"FILM", "120.5", playback.CodeInvalidParam},
		{"FILM", "120", playback.CodeNoMatchingRule},
		{"LIVE", "120.5", playback.CodeNoMatchingRule}, // may have grown
	} {
		w := newWorld()
		asset := &playback.Asset{ID: "A", Duration: 120.5}
		w.env.Catalogue = catalogue{
			{ID: "FILM", Policy: playback.PolicySigned, Asset: asset},
			{ID: "LIVE", Policy: playback.PolicySigned, Asset: asset, LiveStream: &playback.LiveStream{ID: "L"}},
		}
		w.rules[playback.Video] = playback.Decision{Refusal: playback.Errorf(playback.CodeNoMatchingRule, "")}
		_, err := w.issue(issuer.Request{PlaybackID: c.id, Types: video(), Backend: true, Params: params(t, playback.Video, "asset_start_time", c.sent)})
		if !errors.Is(err, c.want) {
			t.Errorf("%s %s: %v, want %v", c.id, c.sent, err, c.want)
		}
	}
}

func TestPublicAnswersCarryNoTokenAndNoForcedParameter(t *testing.T) {
	t.Parallel()
	w := newWorld()
	grant := forcing(t, params(t, playback.Video, "max_resolution", "480p"))
	grant.ViewerParams[playback.Video] = names("max_resolution", "exclude_pdt")
	w.rules[playback.Video] = allow(grant)
	w.keys.id = "" // no key is needed
	answer, err := w.issue(issuer.Request{
		PlaybackID: "PUBLIC", Types: video(), MinTTL: 100 * time.Hour,
		Params: params(t, playback.Video, "max_resolution", "2160p", "exclude_pdt", "true"),
	})
	if err != nil {
		t.Fatal(err)
	}
	item := answer.Items[0]
	if item.Token.Len() != 0 || answer.Key != "" || len(w.mint.claims) != 0 {
		t.Errorf("a public playback ID was signed: %+v", answer)
	}
	if diff := cmp.Diff(playback.Params{{Name: "exclude_pdt", JSON: "true"}}, item.Params); diff != "" {
		t.Errorf("params (-want +got):\n%s", diff)
	}
	clip := forcing(t, params(t, playback.Video, "asset_end_time", "60"))
	clip.ViewerParams[playback.Thumbnail] = names("width")
	w.rules[playback.Thumbnail] = allow(clip)
	answer, err = w.issue(issuer.Request{PlaybackID: "PUBLIC", Types: []playback.TokenType{playback.Thumbnail}, Params: params(t, playback.Thumbnail, "width", "320")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(playback.Params{{Name: "width", JSON: "320"}}, answer.Items[0].Params); diff != "" {
		t.Errorf("params beside a clip (-want +got):\n%s", diff)
	}
}

func TestShortestLifetimeHoldsForAllTypes(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.rules[playback.Thumbnail] = allow(playback.Grant{TTL: time.Minute})
	answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video, playback.Thumbnail}, MinTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Lifetime.L != 60 || w.mint.claims[0].Exp != w.mint.claims[1].Exp {
		t.Errorf("lifetime = %+v, exps %d and %d", answer.Lifetime, w.mint.claims[0].Exp, w.mint.claims[1].Exp)
	}
	if !w.mint.turns[0].Patient {
		t.Error("a bundle must feed its own misses")
	}
}

func TestHitOnlyIfEveryTokenWasCached(t *testing.T) {
	t.Parallel()
	for want, hits := range map[bool]map[string]bool{true: {"v": true, "t": true}, false: {"v": true}} {
		w := newWorld()
		w.mint.hits = hits
		answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video, playback.Thumbnail}})
		if err != nil || answer.Hit != want {
			t.Errorf("hits %v: Hit = %v, %v", hits, answer.Hit, err)
		}
	}
}

func TestKeyThatRetiresMeanwhileIsReplacedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.keys.later, w.mint.refuse = "K2", "K1"
	answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: video()})
	if err != nil || answer.Key != "K2" {
		t.Errorf("Issue = %+v, %v, want a token of K2", answer, err)
	}
}

func TestEveryType(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.rules[playback.GIF] = deny(playback.CodeTypeNotGranted)
	charged := 0
	answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", All: true, Charge: func(n int) error { charged = n; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, item := range answer.Items {
		got = append(got, item.Type.String())
	}
	if diff := cmp.Diff([]string{"video", "thumbnail", "storyboard", "stats", "stats_asset"}, got); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if charged != len(got) {
		t.Errorf("charged %d for %d tokens", charged, len(got))
	}
	for kind := range playback.TokenTypes {
		w.rules[kind] = deny(playback.CodeTypeNotGranted)
	}
	w.rules[playback.Video] = deny("not_released")
	if _, err := w.issue(issuer.Request{PlaybackID: "SIGNED", All: true}); !errors.Is(err, playback.Code("not_released")) {
		t.Errorf("nothing granted: %v, want the first type's refusal", err)
	}
	stop := playback.Errorf(playback.CodeRateLimited, "slow down")
	w = newWorld()
	if _, err := w.issue(issuer.Request{PlaybackID: "SIGNED", All: true, Charge: func(int) error { return stop }}); !errors.Is(err, playback.CodeRateLimited) || len(w.mint.claims) > 0 {
		t.Errorf("charged before signing: %v, %d signed", err, len(w.mint.claims))
	}
}

// TestWhatAnswersIsCounted: the decision about every type that was asked for, up
// to the first refusal; of a request for every type those that were granted, or
// the one that refuses it. Nothing that is only explained.
func TestWhatAnswersIsCounted(t *testing.T) {
	t.Parallel()
	both := []playback.TokenType{playback.GIF, playback.Video}
	for name, c := range map[string]struct {
		request issuer.Request
		refused playback.TypeSet
		want    []playback.TokenType
	}{
		"two types":     {issuer.Request{Types: both}, 0, both},
		"one refused":   {issuer.Request{Types: both}, playback.TypesOf(playback.Video), both},
		"first refused": {issuer.Request{Types: both}, playback.TypesOf(playback.GIF), both[:1]},
		"all": {
			issuer.Request{All: true},
			playback.TypesOf(playback.Thumbnail, playback.GIF, playback.Storyboard, playback.Stats),
			[]playback.TokenType{playback.Video, playback.StatsAsset},
		},
		"none of all": {issuer.Request{All: true}, 1<<playback.TokenTypes - 1, []playback.TokenType{playback.Video}},
	} {
		w := newWorld()
		var counters [playback.TokenTypes]atomic.Uint64
		for kind := range playback.TokenTypes {
			d := allow(playback.Grant{})
			if c.refused.Has(kind) {
				d = deny(playback.CodeTypeNotGranted)
			}
			d.Counter = &counters[kind]
			w.rules[kind] = d
		}
		c.request.PlaybackID, c.request.Viewer, c.request.Client = "SIGNED", &playback.Viewer{}, &playback.Client{}
		w.env.Rules = w.rules
		explained := c.request
		if _, err := w.issuer().Explain(context.Background(), &w.env, &explained); err != nil {
			t.Errorf("%s: Explain = %v", name, err)
		}
		_, err := w.issue(c.request)
		if (err != nil) != (name == "one refused" || name == "first refused" || name == "none of all") {
			t.Errorf("%s: %v", name, err)
		}
		for kind := range playback.TokenTypes {
			want := uint64(0)
			if slices.Contains(c.want, kind) {
				want = 1
			}
			if got := counters[kind].Load(); got != want {
				t.Errorf("%s: %s counted %d times, want %d", name, kind, got, want)
			}
		}
	}
}

func TestGrantedFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		granted, file string
		want          bool
	}{
		{"720p.mp4", "720p.mp4", true},
		{"720p.mp4", "1080p.mp4", false},
		{"text/*", "text/T1.vtt", true},
		{"text/*", "audio.m4a", false},
		{"text/T1.vtt", "text/T2.vtt", false},
	} {
		w := newWorld()
		w.rules[playback.Video] = allow(playback.Grant{Renditions: []string{c.granted}})
		_, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: video(), File: c.file})
		if got := err == nil; got != c.want {
			t.Errorf("grant %q, file %q: %v", c.granted, c.file, err)
		}
	}
}

func TestTheLedgerLearnsWhatIsHandedOutAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		req  issuer.Request
		edit func(*world)
		want bool
	}{
		{"an answer with tokens", issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video, playback.Thumbnail}}, func(*world) {}, true},
		{"a public playback ID has none", issuer.Request{PlaybackID: "PUBLIC", Types: []playback.TokenType{playback.Video}}, func(*world) {}, false},
		{"a refusal", issuer.Request{PlaybackID: "PREPARING", Types: []playback.TokenType{playback.Video}}, func(*world) {}, false},
		{"a key that would not sign", issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video}}, func(w *world) { w.mint.refuse = "K1" }, false},
		{"the key that replaced it", issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video}}, func(w *world) { w.keys.later, w.mint.refuse = "K2", "K1" }, true},
	} {
		w := newWorld()
		c.edit(w)
		answer, err := w.issue(c.req)
		switch {
		case !c.want && len(w.ledger) > 0:
			t.Errorf("%s: the ledger has %v", c.name, w.ledger)
		case c.want && (err != nil || len(w.ledger) != 1 || w.ledger[answer.Key] != answer.Lifetime.Exp):
			t.Errorf("%s: the ledger has %v, %v", c.name, w.ledger, err)
		}
	}
}

func TestAnAnswerUnderStaleKeysSaysSo(t *testing.T) {
	t.Parallel()
	for _, stale := range []bool{false, true} {
		w := newWorld()
		w.stale = stale
		answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video}})
		if err != nil || answer.Stale != stale || answer.Curtailed {
			t.Errorf("stale %v: %+v, %v", stale, answer, err)
		}
	}
}

// TestUnderStaleKeysNothingOutlivesWhatIsAssured: L is an hour, g a quarter.
func TestUnderStaleKeysNothingOutlivesWhatIsAssured(t *testing.T) {
	t.Parallel()
	const hour = int64(3600)
	for name, c := range map[string]struct {
		assured int64 // from now on
		minTTL  time.Duration
		want    [2]int64 // the life is between these
	}{
		"more is assured than is asked for":       {2 * hour, 0, [2]int64{hour, hour * 5 / 4}},
		"less: exactly that":                      {hour / 2, 0, [2]int64{hour / 2, hour / 2}},
		"hardly any: a quarter":                   {10, 0, [2]int64{hour / 4, hour/4*5/4 + 1}},
		"none any more: a quarter":                {-3 * hour, 0, [2]int64{hour / 4, hour/4*5/4 + 1}},
		"a quarter is enough for min_ttl":         {-hour, 15 * time.Minute, [2]int64{hour / 4, hour/4*5/4 + 1}},
		"what is assured is enough for min_ttl":   {hour / 2, 20 * time.Minute, [2]int64{hour / 2, hour / 2}},
		"and what is assured to the second is it": {hour/4 + 1, 0, [2]int64{hour/4 + 1, hour/4 + 1}},
	} {
		w := newWorld()
		w.stale, w.assured = true, w.now.Unix()+c.assured
		answer, err := w.issue(issuer.Request{PlaybackID: "UNKNOWN", Types: video(), MinTTL: c.minTTL})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		life := answer.Lifetime.Exp - w.now.Unix()
		if life < c.want[0] || life > c.want[1] || w.mint.claims[0].Exp != answer.Lifetime.Exp || answer.Curtailed != (life < hour) {
			t.Errorf("%s: %d s, want %v; %+v", name, life, c.want, answer.Lifetime)
		}
	}
}

func TestTokensThatEndedWhileTheyWaitedAreNotHandedOut(t *testing.T) {
	t.Parallel()
	w := newWorld()
	var lasts int64
	w.mint.wait = func() { w.now = w.now.Add(time.Duration(lasts) * time.Second) }
	answer, err := w.issue(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video}})
	if err != nil {
		t.Fatal(err)
	}
	lasts = answer.Lifetime.Exp - w.now.Unix()
	_, err = w.issue(issuer.Request{PlaybackID: "SIGNED", Types: []playback.TokenType{playback.Video}})
	if !errors.Is(err, playback.CodeSigningOverloaded) {
		t.Errorf("Issue = %v, want to hear that it took too long", err)
	}
}

// TestMinTTLDoesNotLiftTheBoundOfTheKeys that are stale.
func TestMinTTLDoesNotLiftTheBoundOfTheKeys(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.stale, w.assured = true, w.now.Unix()+1800
	_, err := w.issue(issuer.Request{PlaybackID: "UNKNOWN", Types: video(), MinTTL: 45 * time.Minute})
	if !errors.Is(err, playback.CodeMinTTLTooLong) {
		t.Errorf("Issue = %v", err)
	}
	answer, err := w.issue(issuer.Request{PlaybackID: "UNKNOWN", Types: video()})
	if err != nil || !answer.Curtailed || answer.Lifetime.Exp != w.assured {
		t.Errorf("%+v, %v", answer, err)
	}
}
