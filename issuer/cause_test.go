package issuer_test

import (
	"errors"
	"testing"

	"github.com/playgate/playgate/issuer"
	"github.com/playgate/playgate/playback"
)

// TestRefusalsHaveACause where their message does not tell everything: the client
// learns neither rules nor what the catalogue has.
func TestRefusalsHaveACause(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world, *issuer.Request)
		want   string
	}{
		"a deny rule": {func(w *world, _ *issuer.Request) { w.rules[playback.Video] = deny("embargo") }, "rule deny: no"},
		"no rule": {func(w *world, _ *issuer.Request) {
			w.rules[playback.Video] = playback.Decision{Refusal: playback.Errorf(playback.CodeNoMatchingRule, "No.")}
		}, ""},
		"a rule that cannot be evaluated": {func(w *world, _ *issuer.Request) {
			w.rules[playback.Video] = playback.Decision{Rule: "r", Refusal: playback.Errorf(playback.CodePolicyError, "No.").Because(errors.New("division by zero"))}
		}, "division by zero"},
		"a parameter that is not granted": {
			func(_ *world, r *issuer.Request) { r.Params = params(t, playback.Video, "max_resolution", "720p") },
			"rule allow: max_resolution: cannot be chosen here",
		},
		"a file that is not granted": {func(w *world, r *issuer.Request) {
			w.rules[playback.Video], r.File = allow(playback.Grant{Renditions: []string{"audio.m4a"}}), "720p.mp4"
		}, `rule allow grants the renditions ["audio.m4a"], not 720p.mp4`},
		"an unknown ID":         {func(w *world, r *issuer.Request) { w.env.DenyUnknown, r.PlaybackID = true, "NOBODY" }, "playback ID NOBODY is not in the catalogue, and catalog.unknown is deny"},
		"an unknown asset":      {func(_ *world, r *issuer.Request) { r.PlaybackID, r.AssetID = "", "NONE" }, "the catalogue has no playback ID of asset NONE"},
		"an unknown stream":     {func(_ *world, r *issuer.Request) { r.PlaybackID, r.LiveStreamID = "", "NONE" }, "the catalogue has no playback ID of live stream NONE"},
		"only public IDs":       {func(_ *world, r *issuer.Request) { r.PlaybackID, r.AssetID = "", "A4" }, "the playback IDs of asset A4 are OPEN (public)"},
		"preparing":             {func(_ *world, r *issuer.Request) { r.PlaybackID = "PREPARING" }, "asset A2 is preparing"},
		"disabled":              {func(_ *world, r *issuer.Request) { r.PlaybackID = "DISABLED" }, "live stream L2 is disabled"},
		"a stream's statistics": {func(_ *world, r *issuer.Request) { r.Types = []playback.TokenType{playback.StatsLiveStream} }, "the catalogue knows asset A1 behind playback ID SIGNED"},
		"nobody's statistics": {func(_ *world, r *issuer.Request) {
			r.PlaybackID, r.Types = "NOBODY", []playback.TokenType{playback.StatsAsset}
		}, "the catalogue knows neither an asset nor a live stream behind playback ID NOBODY"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			req := issuer.Request{PlaybackID: "SIGNED", Types: video()}
			c.change(w, &req)
			_, err := w.issue(req)
			refusal, ok := errors.AsType[*playback.Error](err)
			if !ok {
				t.Fatalf("Issue = %v", err)
			}
			cause := ""
			if refusal.Err != nil {
				cause = refusal.Err.Error()
			}
			if cause != c.want {
				t.Errorf("the cause is %q, want %q", cause, c.want)
			}
		})
	}
}
