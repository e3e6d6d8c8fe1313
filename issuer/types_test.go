package issuer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// What TestEveryTypeOfEveryPolicy wants besides the subject of a token.
const (
	noToken     = "no token"
	someToken   = "a token"
	unavailable = string(playback.CodeTypeUnavailable)
)

// wantedOf lists, per policy, what each type gives: the token's sub, noToken,
// or unavailable (contract §4).
func wantedOf(policy string) map[playback.TokenType]string {
	wanted := map[playback.TokenType]string{}
	for t := range playback.TokenTypes {
		wanted[t] = unavailable
	}
	plays := func(sub string) {
		for _, t := range []playback.TokenType{playback.Video, playback.Thumbnail, playback.GIF, playback.Storyboard} {
			wanted[t] = sub
		}
	}
	switch policy {
	case "SIGNED":
		plays("SIGNED")
		wanted[playback.Stats], wanted[playback.StatsAsset] = "SIGNED", "A1"
	case "PUBLIC":
		plays(noToken)
		wanted[playback.Stats], wanted[playback.StatsAsset] = "PUBLIC", "A1"
	case "DRM":
		plays("DRM")
		wanted[playback.DRMLicense] = "DRM"
		wanted[playback.Stats], wanted[playback.StatsAsset] = "DRM", "A1"
	case "LIVE":
		plays("LIVE")
		wanted[playback.Stats], wanted[playback.StatsLiveStream] = "LIVE", "L1"
	case "UNKNOWN":
		plays("UNKNOWN")
		wanted[playback.DRMLicense], wanted[playback.Stats] = "UNKNOWN", "UNKNOWN"
	case "a video ID":
		wanted[playback.StatsVideo] = "film/1"
	}
	return wanted
}

// typeRequest asks for an object of a policy of wantedOf.
func typeRequest(policy string) issuer.Request {
	if policy == "a video ID" {
		return issuer.Request{VideoID: "film/1"}
	}
	return issuer.Request{PlaybackID: playback.ID(policy)}
}

// TestEveryTypeOfEveryPolicy is the table of what can be had: by Issue, by
// Explain, and by a request for every type.
func TestEveryTypeOfEveryPolicy(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"SIGNED", "PUBLIC", "DRM", "LIVE", "UNKNOWN", "a video ID"} {
		wanted, all := wantedOf(policy), []string(nil)
		for kind := range playback.TokenTypes {
			want := wanted[kind]
			if want != unavailable {
				all = append(all, kind.String())
			}
			w := newWorld()
			req := typeRequest(policy)
			req.Types = []playback.TokenType{kind}
			if got := issued(t, w, req); got != want {
				t.Errorf("%s of %s: Issue gives %s, want %s", kind, policy, got, want)
			}
			if want != unavailable && want != noToken {
				want = someToken
			}
			if got := explained(t, w, req); got != want {
				t.Errorf("%s of %s: Explain gives %s, want %s", kind, policy, got, want)
			}
		}
		req := typeRequest(policy)
		req.All = true
		answer, err := newWorld().issue(req)
		if err != nil {
			t.Fatalf("every type of %s: %v", policy, err)
		}
		var got []string
		for _, item := range answer.Items {
			got = append(got, item.Type.String())
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("every type of %s (-want +got):\n%s", policy, diff)
		}
	}
}

// issued returns what Issue gives for one type, as wantedOf has it.
func issued(t *testing.T, w *world, req issuer.Request) string {
	t.Helper()
	answer, err := w.issue(req)
	if err != nil {
		return codeOf(t, err)
	}
	token := answer.Items[0].Token.Reveal()
	if (token == "") == answer.Signed() || (len(w.ledger) > 0) != answer.Signed() {
		t.Errorf("%s: token %q, signed %v, ledger %v", req.Types[0], token, answer.Signed(), w.ledger)
	}
	if token == "" {
		return noToken
	}
	sub, rest, _ := strings.Cut(token, "|")
	if aud, _, _ := strings.Cut(rest, "|"); aud != req.Types[0].Aud() {
		t.Errorf("%s: aud %s", req.Types[0], aud)
	}
	return sub
}

// codeOf returns the code of a refusal.
func codeOf(t *testing.T, err error) string {
	t.Helper()
	refusal, ok := errors.AsType[*playback.Error](err)
	if !ok {
		t.Fatal(err)
	}
	return string(refusal.Code)
}

// explained returns someToken, noToken or the code of the refusal.
func explained(t *testing.T, w *world, req issuer.Request) string {
	t.Helper()
	w.env.Rules = w.rules
	req.Viewer, req.Client = &playback.Viewer{}, &playback.Client{}
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Now: func() time.Time { return w.now }})
	x, err := i.Explain(context.Background(), &w.env, &req)
	if err != nil {
		return codeOf(t, err)
	}
	switch {
	case x.Refusal != nil:
		return string(x.Refusal.Code)
	case (x.Plan != nil) != x.Types[0].Signed:
		t.Errorf("%s: plan %+v, signed %v", req.Types[0], x.Plan, x.Types[0].Signed)
	case !x.Types[0].Signed:
		return noToken
	}
	return someToken
}

// TestStatisticsAmongOthersOfAPublicID: only what is counted gets a token, and
// only its own rule says for how long.
func TestStatisticsAmongOthersOfAPublicID(t *testing.T) {
	t.Parallel()
	w := newWorld()
	grant := forcing(t, params(t, playback.Video, "max_resolution", "480p"))
	grant.TTL, grant.RestrictionID = time.Minute, "R1"
	w.rules[playback.Video] = allow(grant)
	w.rules[playback.Stats] = allow(playback.Grant{TTL: time.Hour, RestrictionID: "R1"})
	req := issuer.Request{
		PlaybackID: "PUBLIC", Types: []playback.TokenType{playback.Video, playback.Stats, playback.StatsAsset}, Backend: true,
		Params: params(t, playback.Video, "max_resolution", "720p", "exclude_pdt", "true"),
	}
	answer, err := w.issue(req)
	if err != nil {
		t.Fatal(err)
	}
	video, stats, asset := answer.Items[0], answer.Items[1], answer.Items[2]
	if video.Token.Len() > 0 || video.Restriction != "" || len(video.Params) != 1 || video.Params[0].Name != "exclude_pdt" {
		t.Errorf("video: %+v, want no token, and what no rule forces", video)
	}
	if stats.Token.Len() == 0 || asset.Token.Len() == 0 || stats.Restriction != "R1" || answer.Key != "K1" || answer.Lifetime.L != 3600 {
		t.Errorf("statistics: %+v, %+v by key %q for %d s, want tokens that live an hour", stats, asset, answer.Key, answer.Lifetime.L)
	}
	if diff := cmp.Diff(ledger{"K1": answer.Lifetime.Exp}, w.ledger); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	req.MinTTL = 2 * time.Hour
	if _, err := w.issue(req); !errors.Is(err, playback.CodeMinTTLTooLong) {
		t.Errorf("min_ttl: %v", err)
	}
	charged := 0
	if _, err := w.issue(issuer.Request{PlaybackID: "PUBLIC", All: true, Charge: func(n int) error { charged = n; return nil }}); err != nil || charged != 6 {
		t.Errorf("every type: %v, %d charged, want 6", err, charged)
	}
}

func TestStatisticsOfAPublicIDBeginNoRental(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := &holder{held: []playback.Held{rental(30 * time.Minute)}, started: map[string]time.Time{}}
	answer, err := w.issueHeld(h, issuer.Request{PlaybackID: "PUBLIC", Types: []playback.TokenType{playback.Video, playback.Stats}})
	if err != nil || h.starts > 0 || answer.Withheld || answer.Lifetime.Cut {
		t.Errorf("Issue = %+v, %v; begun %d times", answer, err, h.starts)
	}
}

// TestPublicIDsServeStatisticsOfTheirObject: an asset or live stream that has
// only public playback IDs can be counted, and nothing else.
func TestPublicIDsServeStatisticsOfTheirObject(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.env.Catalogue = append(w.env.Catalogue.(catalogue),
		&playback.Object{ID: "OPENLIVE", Policy: playback.PolicyPublic, Known: true, LiveStream: &playback.LiveStream{ID: "L4"}})
	for _, c := range []struct {
		req   issuer.Request
		types string
		want  string
	}{
		{issuer.Request{AssetID: "A4"}, "stats_asset", "A4|asset_id"},
		{issuer.Request{AssetID: "A4"}, "stats", "OPEN|playback_id"},
		{issuer.Request{AssetID: "A4"}, "stats_asset stats", "A4|asset_id OPEN|playback_id"},
		{issuer.Request{LiveStreamID: "L4"}, "stats_live_stream", "L4|live_stream_id"},
		{issuer.Request{AssetID: "A4"}, "stats_live_stream", unavailable},
		{issuer.Request{AssetID: "A4"}, "stats_asset video", "no_signed_playback_id"},
		{issuer.Request{AssetID: "A4"}, "drm_license", "no_signed_playback_id"},
		{issuer.Request{LiveStreamID: "L4"}, "video", "no_signed_playback_id"},
		{issuer.Request{AssetID: "A1"}, "stats", "SIGNED|playback_id"},
		{issuer.Request{AssetID: "NONE"}, "stats_asset", "no_signed_playback_id"},
	} {
		for name := range strings.FieldsSeq(c.types) {
			kind, _ := playback.ParseTokenType(name)
			c.req.Types = append(slices.Clip(c.req.Types), kind)
		}
		var got []string
		answer, err := w.issue(c.req)
		if err != nil {
			got = append(got, codeOf(t, err))
		} else {
			for _, item := range answer.Items {
				token := item.Token.Reveal()
				got = append(got, token[:max(0, strings.LastIndexByte(token, '|'))])
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s of %s%s: %s, want %s", c.types, c.req.AssetID, c.req.LiveStreamID, strings.Join(got, " "), c.want)
		}
	}
}

// TestStaticRenditionsByPolicy: a drm playback ID has none, whatever the rules
// grant; text tracks are not renditions.
func TestStaticRenditionsByPolicy(t *testing.T) {
	t.Parallel()
	for id, available := range map[playback.ID]bool{"SIGNED": true, "PUBLIC": true, "UNKNOWN": true, "LIVE": true, "DRM": false} {
		for file, rendition := range map[string]bool{"720p.mp4": true, "audio.m4a": true, "text/T1.vtt": false, "text/T1.txt": false} {
			for _, denied := range []bool{false, true} {
				w := newWorld()
				w.rules[playback.Video] = allow(playback.Grant{Renditions: []string{file}})
				want := playback.Code("")
				if denied {
					w.rules[playback.Video], want = deny("not_released"), "not_released"
				}
				if rendition && !available {
					want = playback.CodeTypeUnavailable // what the catalogue says comes before the rules
				}
				_, err := w.issue(issuer.Request{PlaybackID: id, Types: video(), File: file})
				if (err == nil) != (want == "") || err != nil && !errors.Is(err, want) {
					t.Errorf("%s of %s, denied %v: %v, want %q", file, id, denied, err, want)
				}
			}
		}
	}
}

// question keeps what the rules were asked.
type question struct{ asked playback.Question }

func (q *question) Decide(asked *playback.Question) playback.Decision {
	q.asked = *asked
	return playback.Decision{Rule: "counts", Grant: &playback.Grant{TTL: time.Hour}}
}

// TestRulesSeeNoPlaybackIDOfAVideoID, nor the video ID itself, and the catalogue
// has no say.
func TestRulesSeeNoPlaybackIDOfAVideoID(t *testing.T) {
	t.Parallel()
	w, q := newWorld(), &question{}
	w.env.DenyUnknown, w.env.Finder, w.env.Rules = true, asked{t}, q
	i := issuer.New(issuer.Config{Keys: w.keys, Tokens: w.mint, Now: func() time.Time { return w.now }})
	exps := map[int64]bool{}
	for _, id := range []playback.VideoID{"SIGNED", "film-1", "film-2", "film-3", "film-4"} {
		answer, err := i.Issue(context.Background(), &w.env, &issuer.Request{
			VideoID: id, Types: []playback.TokenType{playback.StatsVideo}, Backend: true, Viewer: &playback.Viewer{}, Client: &playback.Client{},
		})
		if err != nil {
			t.Fatal(err)
		}
		exps[answer.Lifetime.Exp] = true
		in := playback.InputsOf(&q.asked)
		if diff := cmp.Diff(&playback.IDInputs{}, in.Playback); diff != "" || in.Asset != nil || in.LiveStream != nil || in.Request.Type != "stats_video" {
			t.Errorf("%s: the rules see %+v of %s", id, in.Playback, in.Request.Type)
		}
		if got := w.mint.claims[len(w.mint.claims)-1]; got.Sub != string(id) || got.Aud != "video_id" {
			t.Errorf("%s: sub %s, aud %s", id, got.Sub, got.Aud)
		}
	}
	if len(exps) < 2 {
		t.Errorf("all expire at once: %v", exps)
	}
}
