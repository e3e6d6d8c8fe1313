package grant_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/playgate/playgate/grant"
	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
	"github.com/playgate/playgate/store/memory"
)

const acme, globex = playback.EnvironmentID("acme-prod"), playback.EnvironmentID("globex-prod")

var (
	now    = time.Unix(1_800_000_000, 500).UTC()
	whole  = now.Truncate(time.Second)
	viewer = &playback.Viewer{Issuer: "main", ID: "u1", Authenticated: true}
	film   = &playback.Object{ID: "P1", Asset: &playback.Asset{ID: "A1", Meta: map[string]any{"tags": "sport, news"}}}
)

func newHolder(s store.Grants) *grant.Holder {
	return grant.New(grant.Config{Store: s, Now: func() time.Time { return now }, Registerer: prometheus.NewPedanticRegistry()})
}

func entitlement(id string, change func(*playback.Entitlement)) playback.Entitlement {
	e := playback.Entitlement{Environment: acme, Issuer: "main", Viewer: "u1", Held: playback.Held{
		ID: id, Type: playback.HeldPurchase, Scope: playback.Scope{Kind: playback.ScopeAll},
	}}
	if change != nil {
		change(&e)
	}
	return e
}

func put(t *testing.T, h *grant.Holder, list ...playback.Entitlement) {
	t.Helper()
	for _, e := range list {
		if _, _, err := h.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func ids(held []playback.Held) (out []string) {
	for i := range held {
		out = append(out, held[i].ID)
	}
	return out
}

func TestWhatIsPutIsThere(t *testing.T) {
	t.Parallel()
	h := newHolder(memory.New())
	e := entitlement("g1", func(e *playback.Entitlement) {
		e.Type, e.Scope = playback.HeldRental, playback.Scope{Kind: playback.ScopeAsset, Value: "A1"}
		e.From, e.Until, e.PlayWithin = whole.Add(-time.Hour), whole.Add(time.Hour), 48*time.Hour
		e.Attributes = map[string]any{"price": 4.99, "from": "<shop>", "list": []any{true, nil}}
	})
	stored, created, err := h.Put(t.Context(), e)
	if err != nil || !created {
		t.Fatalf("Put = %v, %v", created, err)
	}
	e.CreatedAt, e.UpdatedAt = whole, whole
	if diff := cmp.Diff(e, stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	got, err := h.Get(t.Context(), acme, "g1")
	if diff := cmp.Diff(stored, got); err != nil || diff != "" {
		t.Errorf("Get: %v (-want +got):\n%s", err, diff)
	}
	again, created, err := h.Put(t.Context(), e)
	if diff := cmp.Diff(stored, again); err != nil || created || diff != "" {
		t.Errorf("the same once more: created %v, %v\n%s", created, err, diff)
	}
	if _, err := h.Get(t.Context(), globex, "g1"); !errors.Is(err, playback.CodeNotFound) {
		t.Errorf("another environment sees it: %v", err)
	}
	if err := h.Delete(t.Context(), globex, "g1"); !errors.Is(err, playback.CodeNotFound) {
		t.Errorf("another environment deletes it: %v", err)
	}
	if err := h.Delete(t.Context(), acme, "g1"); err != nil {
		t.Error(err)
	}
	if _, err := h.Get(t.Context(), acme, "g1"); !errors.Is(err, playback.CodeNotFound) {
		t.Errorf("it is there after it was deleted: %v", err)
	}
}

func TestInForce(t *testing.T) {
	t.Parallel()
	h := newHolder(memory.New())
	scope := func(kind playback.ScopeKind, value string) func(*playback.Entitlement) {
		return func(e *playback.Entitlement) { e.Scope = playback.Scope{Kind: kind, Value: value} }
	}
	put(
		t, h,
		entitlement("all", nil),
		entitlement("asset", scope(playback.ScopeAsset, "A1")),
		entitlement("asset-other", scope(playback.ScopeAsset, "A2")),
		entitlement("live-other", scope(playback.ScopeLiveStream, "L1")),
		entitlement("playback", scope(playback.ScopePlaybackID, "P1")),
		entitlement("tag", scope(playback.ScopeTag, "news")),
		entitlement("tag-other", scope(playback.ScopeTag, "film")),
		entitlement("not-yet", func(e *playback.Entitlement) { e.From = whole.Add(time.Second) }),
		entitlement("begins", func(e *playback.Entitlement) { e.From = whole }),
		entitlement("over", func(e *playback.Entitlement) { e.Until = whole }),
		entitlement("ends", func(e *playback.Entitlement) { e.Until = whole.Add(time.Second) }),
		entitlement("someone-elses", func(e *playback.Entitlement) { e.Viewer = "u2" }),
		entitlement("namesakes", func(e *playback.Entitlement) { e.Issuer = "partner" }),
		entitlement("elsewhere", func(e *playback.Entitlement) { e.Environment = globex }),
		entitlement("waiting", func(e *playback.Entitlement) { e.PlayWithin = time.Hour }),
		entitlement("played", func(e *playback.Entitlement) { e.PlayWithin = time.Hour }),
	)
	if _, gone, err := h.Start(t.Context(), acme, "played", now.Add(-time.Hour)); gone || err != nil {
		t.Fatal(gone, err)
	}
	held, err := h.InForce(t.Context(), acme, &playback.Question{Viewer: viewer, Object: film, Now: now})
	want := []string{"all", "asset", "begins", "ends", "playback", "tag", "waiting"}
	if diff := cmp.Diff(want, ids(held)); err != nil || diff != "" {
		t.Errorf("InForce: %v (-want +got):\n%s", err, diff)
	}
	for _, nobody := range []*playback.Viewer{nil, {}, {Issuer: "main"}} {
		if held, err := h.InForce(t.Context(), acme, &playback.Question{Viewer: nobody, Object: film, Now: now}); held != nil || err != nil {
			t.Errorf("an anonymous viewer holds %v, %v", held, err)
		}
	}
	if err := h.Delete(t.Context(), acme, "all"); err != nil {
		t.Fatal(err)
	}
	if held, _ := h.InForce(t.Context(), acme, &playback.Question{Viewer: viewer, Object: film, Now: now}); len(held) != len(want)-1 {
		t.Errorf("a deleted grant is in force: %v", ids(held))
	}
}

func TestTheFirstPlayStays(t *testing.T) {
	t.Parallel()
	h := newHolder(memory.New())
	rental := entitlement("g1", func(e *playback.Entitlement) { e.Type, e.PlayWithin = playback.HeldRental, time.Hour })
	put(t, h, rental)
	for _, later := range []time.Duration{0, time.Minute, -time.Minute} {
		first, gone, err := h.Start(t.Context(), acme, "g1", now.Add(later))
		if !first.Equal(whole) || gone || err != nil {
			t.Errorf("Start after %s = %s, %v, %v, want %s", later, first, gone, err, whole)
		}
	}
	rental.FirstPlay = whole.Add(time.Hour) // nobody may choose it
	put(t, h, rental)
	if e, err := h.Get(t.Context(), acme, "g1"); err != nil || !e.FirstPlay.Equal(whole) {
		t.Errorf("written again, it began at %s, %v, want %s", e.FirstPlay, err, whole)
	}
	if err := h.Delete(t.Context(), acme, "g1"); err != nil {
		t.Fatal(err)
	}
	if _, gone, err := h.Start(t.Context(), acme, "g1", now); !gone || err != nil {
		t.Errorf("Start of a deleted grant: %v, %v", gone, err)
	}
	rental.FirstPlay = time.Time{}
	put(t, h, rental)
	if e, _ := h.Get(t.Context(), acme, "g1"); !e.FirstPlay.IsZero() {
		t.Errorf("deleted and written anew, it began at %s", e.FirstPlay)
	}
}

func TestGrantsThatMeanNothing(t *testing.T) {
	t.Parallel()
	h := newHolder(memory.New())
	long := strings.Repeat("x", 256)
	for path, change := range map[string]func(*playback.Entitlement){
		"id: ":                          func(e *playback.Entitlement) { e.ID = "a/b" },
		"id: want 1":                    func(e *playback.Entitlement) { e.ID = strings.Repeat("x", 129) },
		"viewer.id: ":                   func(e *playback.Entitlement) { e.Viewer = "" },
		"viewer.id: want":               func(e *playback.Entitlement) { e.Viewer = long },
		"viewer.id: want 1":             func(e *playback.Entitlement) { e.Viewer = "a\x00b" },
		"viewer.issuer: ":               func(e *playback.Entitlement) { e.Issuer = "" },
		"type: ":                        func(e *playback.Entitlement) { e.Type = "gift" },
		"scope: ":                       func(e *playback.Entitlement) { e.Scope.Kind = "playlist" },
		"scope: want":                   func(e *playback.Entitlement) { e.Scope = playback.Scope{} },
		"scope.all: ":                   func(e *playback.Entitlement) { e.Scope.Value = "A1" },
		"scope.asset_id: ":              func(e *playback.Entitlement) { e.Scope = playback.Scope{Kind: playback.ScopeAsset, Value: "a-b"} },
		"scope.live_stream_id: ":        func(e *playback.Entitlement) { e.Scope = playback.Scope{Kind: playback.ScopeLiveStream} },
		"scope.tag: ":                   func(e *playback.Entitlement) { e.Scope = playback.Scope{Kind: playback.ScopeTag, Value: "a,b"} },
		"scope.tag: want":               func(e *playback.Entitlement) { e.Scope = playback.Scope{Kind: playback.ScopeTag, Value: " a"} },
		"until: is not":                 func(e *playback.Entitlement) { e.From, e.Until = whole, whole.Add(-time.Second) },
		"until: is not after":           func(e *playback.Entitlement) { e.From, e.Until = whole, whole },
		"until: is after the year 9999": func(e *playback.Entitlement) { e.Until = time.Unix(1<<40, 0) },
		"from: ":                        func(e *playback.Entitlement) { e.From = time.Unix(-1, 0) },
		"play_within: ":                 func(e *playback.Entitlement) { e.PlayWithin = -time.Second },
		"play_within: want":             func(e *playback.Entitlement) { e.PlayWithin = 1500 * time.Millisecond },
		"attributes: ":                  func(e *playback.Entitlement) { e.Attributes = map[string]any{"x": strings.Repeat("x", 4096)} },
	} {
		_, _, err := h.Put(t.Context(), entitlement("g1", change))
		if !errors.Is(err, playback.CodeInvalidField) || !strings.Contains(err.Error(), ": "+path) {
			t.Errorf("Put = %v, want invalid_field %s", err, path)
		}
	}
	if list, err := h.List(t.Context(), acme, "main", "u1"); len(list) > 0 || err != nil {
		t.Errorf("something was stored: %v, %v", list, err)
	}
}

// down is a store that does not answer.
type down struct{ store.Grants }

var errDown = errors.New("connection refused")

func (down) PutGrant(context.Context, *store.Grant, int) (store.Grant, bool, error) {
	return store.Grant{}, false, errDown
}

func (down) Grant(context.Context, playback.EnvironmentID, string) (store.Grant, error) {
	return store.Grant{}, errDown
}

func (down) DeleteGrant(context.Context, playback.EnvironmentID, string) error { return errDown }

func (down) GrantsOf(context.Context, playback.EnvironmentID, string, string) ([]store.Grant, error) {
	return nil, errDown
}

func (down) GrantsFor(context.Context, store.GrantHolder, []store.GrantScope) ([]store.Grant, error) {
	return nil, errDown
}

func (down) StartPlay(context.Context, playback.EnvironmentID, string, time.Time) (time.Time, error) {
	return time.Time{}, errDown
}

// TestAStoreThatIsDownIsNeverGuessed: 503 with Retry-After, the cause in the log
// alone.
func TestAStoreThatIsDownIsNeverGuessed(t *testing.T) {
	t.Parallel()
	h := newHolder(down{})
	ctx := t.Context()
	for what, ask := range map[string]func() error{
		"Put":    func() error { _, _, err := h.Put(ctx, entitlement("g1", nil)); return err },
		"Get":    func() error { _, err := h.Get(ctx, acme, "g1"); return err },
		"Delete": func() error { return h.Delete(ctx, acme, "g1") },
		"List":   func() error { _, err := h.List(ctx, acme, "main", "u1"); return err },
		"InForce": func() error {
			_, err := h.InForce(ctx, acme, &playback.Question{Viewer: viewer, Object: film, Now: now})
			return err
		},
		"Start": func() error { _, _, err := h.Start(ctx, acme, "g1", now); return err },
	} {
		err := ask()
		refusal, ok := errors.AsType[*playback.Error](err)
		if !ok || refusal.Code != playback.CodeDependencyUnavailable || refusal.RetryAfter <= 0 || !errors.Is(err, errDown) || strings.Contains(refusal.Message, "refused") {
			t.Errorf("%s = %v", what, err)
		}
	}
}
