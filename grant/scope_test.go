package grant_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/playgate/playgate/grant"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store/memory"
)

// objects are playback IDs of every kind, with tags in both spellings.
func objects() map[string]*playback.Object {
	many := make([]any, 200)
	for i := range many {
		many[i] = fmt.Sprint("tag", i)
	}
	asset := func(meta map[string]any) *playback.Object {
		return &playback.Object{ID: "P1", Asset: &playback.Asset{ID: "A1", LiveStreamID: "L1", Meta: meta}}
	}
	unknown := playback.Unknown("P1")
	return map[string]*playback.Object{
		"nothing":               nil,
		"an unknown ID":         &unknown,
		"an asset":              asset(nil),
		"an asset with tags":    asset(map[string]any{"tags": " sport ,news,, news"}),
		"an asset with a list":  asset(map[string]any{"tags": []any{"sport", " news", 5.0, nil, "a,b"}}),
		"an asset with many":    asset(map[string]any{"tags": many}),
		"no tags":               asset(map[string]any{"tags": 5.0}),
		"a live stream":         {ID: "P2", LiveStream: &playback.LiveStream{ID: "L1"}},
		"a stream's own record": {ID: "P3", LiveStream: &playback.LiveStream{ID: "L2"}, Asset: &playback.Asset{ID: "A2", LiveStreamID: "L2"}},
		"statistics":            {VideoID: "V1"},
	}
}

func scopes() (out []playback.Scope) {
	out = append(out, playback.Scope{Kind: playback.ScopeAll})
	for _, kind := range playback.ScopeKinds() {
		for _, value := range []string{"P1", "P2", "A1", "A2", "L1", "L2", "sport", "news", "tag199", "other"} {
			if kind != playback.ScopeAll {
				out = append(out, playback.Scope{Kind: kind, Value: value})
			}
		}
	}
	return out
}

// TestScopesCoveringAreThoseThatCover, and no others.
func TestScopesCoveringAreThoseThatCover(t *testing.T) {
	t.Parallel()
	for name, o := range objects() {
		covering := playback.ScopesCovering(o)
		seen := map[playback.Scope]bool{}
		for _, s := range covering {
			if seen[s] || !s.Covers(o) {
				t.Errorf("%s: %v twice or not covering", name, s)
			}
			seen[s] = true
		}
		for _, s := range scopes() {
			if s.Covers(o) != seen[s] {
				t.Errorf("%s: %v covers it: %v, and is listed: %v", name, s, s.Covers(o), seen[s])
			}
		}
	}
}

// TestScopedReadingFindsWhatIsInForce: for every object the same as all grants,
// filtered.
func TestScopedReadingFindsWhatIsInForce(t *testing.T) {
	t.Parallel()
	s := memory.New()
	h := newHolder(s)
	for i, scope := range scopes() {
		put(t, h, entitlement(fmt.Sprintf("g%02d", i), func(e *playback.Entitlement) { e.Scope = scope }))
	}
	all, err := h.List(t.Context(), acme, "main", "u1")
	if err != nil || len(all) != len(scopes()) {
		t.Fatal(len(all), err)
	}
	for name, o := range objects() {
		var want []string
		for i := range all {
			if all[i].Scope.Covers(o) {
				want = append(want, all[i].ID)
			}
		}
		held, err := h.InForce(t.Context(), acme, &playback.Question{Viewer: viewer, Object: o, Now: now})
		if diff := cmp.Diff(want, ids(held)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestAViewerHasNoMoreGrantsThanTheEnvironmentSays(t *testing.T) {
	t.Parallel()
	s := memory.New()
	h := grant.New(grant.Config{Store: s, Now: func() time.Time { return now }, MaxPerViewer: func(env playback.EnvironmentID) int {
		if env == globex {
			return 1
		}
		return 2
	}})
	put(t, h, entitlement("g1", nil), entitlement("g2", nil), entitlement("g2", nil))
	_, _, err := h.Put(t.Context(), entitlement("g3", nil))
	if refusal, ok := errors.AsType[*playback.Error](err); !ok || refusal.Code != playback.CodeLimitReached || refusal.Kind != playback.Conflict || !strings.Contains(refusal.Message, "2 grants") {
		t.Errorf("the third grant: %v, want limit_reached", err)
	}
	if _, err := h.Get(t.Context(), acme, "g3"); !errors.Is(err, playback.CodeNotFound) {
		t.Errorf("a refused grant is there: %v", err)
	}
	put(t, h, entitlement("g3", func(e *playback.Entitlement) { e.Viewer = "u2" }), entitlement("g1", func(e *playback.Entitlement) { e.Environment = globex }))
	if err := h.Delete(t.Context(), acme, "g1"); err != nil {
		t.Fatal(err)
	}
	put(t, h, entitlement("g4", nil))
	many := newHolder(s)
	for i := range 998 {
		put(t, many, entitlement(fmt.Sprint("more", i), nil))
	}
	if _, _, err := many.Put(t.Context(), entitlement("g1001", nil)); !errors.Is(err, playback.CodeLimitReached) {
		t.Errorf("the 1,001st grant: %v", err)
	}
}
