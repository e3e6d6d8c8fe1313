package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

func rental(env playback.EnvironmentID, id, viewer string) store.Grant {
	at := time.Unix(1_700_000_000, 0).UTC()
	return store.Grant{
		Environment: env, ID: id, Issuer: "main", Viewer: viewer, Type: "rental", ScopeKind: "asset_id", ScopeID: "A1",
		From: at, Until: at.Add(30 * 24 * time.Hour), PlayWithin: 48 * time.Hour, Attributes: []byte(`{"price":3.99}`),
		CreatedAt: at, UpdatedAt: at,
	}
}

func grantRoundTrip(t *testing.T, open func(*testing.T) store.Store) {
	s, other := open(t), open(t)
	env := environment()
	whole := rental(env, "g1", "u1")
	bare := store.Grant{
		Environment: env, ID: "g2", Issuer: "main", Viewer: "u1", Type: "subscription", ScopeKind: "all",
		CreatedAt: whole.CreatedAt, UpdatedAt: whole.UpdatedAt,
	}
	early := whole
	early.ID, early.From = "g0", time.Unix(0, 0).UTC() // the epoch is a time, not none
	for _, g := range []store.Grant{whole, bare, early} {
		kept, created, err := s.PutGrant(t.Context(), &g, 1000)
		must(t, err)
		if !created {
			t.Errorf("%s is not new", g.ID)
		}
		equal(t, "kept", g, kept)
		got, err := other.Grant(t.Context(), env, g.ID)
		must(t, err)
		equal(t, "read", g, got)
	}
	fine := whole
	fine.ID, fine.From = "g3", fine.From.Add(999*time.Millisecond).In(time.FixedZone("x", 3600))
	kept, _, err := s.PutGrant(t.Context(), &fine, 1000)
	must(t, err)
	if !kept.From.Equal(whole.From) || kept.From.Location() != time.UTC {
		t.Errorf("a time is kept as %s, want it to the second in UTC", kept.From)
	}
	must(t, s.DeleteGrant(t.Context(), env, "g1"))
	if _, err := other.Grant(t.Context(), env, "g1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a deleted grant: %v", err)
	}
	if err := s.DeleteGrant(t.Context(), env, "g1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting again: %v", err)
	}
	if _, err := s.Grant(t.Context(), environment(), "g2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another environment's grant: %v", err)
	}
}

func grantPutAgain(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	g := rental(env, "g1", "u1")
	_, _, err := s.PutGrant(t.Context(), &g, 1000)
	must(t, err)
	played := g.From.Add(time.Hour)
	_, err = s.StartPlay(t.Context(), env, "g1", played)
	must(t, err)

	again := g
	again.Type, again.PlayWithin, again.Attributes = "purchase", 0, nil
	again.CreatedAt, again.UpdatedAt = g.CreatedAt.Add(time.Minute), g.UpdatedAt.Add(time.Minute)
	kept, created, err := s.PutGrant(t.Context(), &again, 1000)
	must(t, err)
	want := again
	want.CreatedAt, want.FirstPlay = g.CreatedAt, played
	equal(t, "put again", want, kept)
	if created {
		t.Error("a grant that is there is new")
	}

	for _, other := range [][2]string{{"main", "u2"}, {"partner", "u1"}} {
		others := again
		others.Issuer, others.Viewer = other[0], other[1]
		if _, created, err := s.PutGrant(t.Context(), &others, 1000); !errors.Is(err, store.ErrOtherViewer) || created {
			t.Errorf("put for another viewer: %v, %v, want that it is not theirs", created, err)
		}
		if list, err := s.GrantsOf(t.Context(), env, other[0], other[1]); err != nil || len(list) != 0 {
			t.Errorf("the other viewer has %v, %v", list, err)
		}
	}
	got, err := s.Grant(t.Context(), env, "g1")
	must(t, err)
	equal(t, "what another's PUT left", want, got)
	must(t, s.DeleteGrant(t.Context(), env, "g1"))
	kept, created, err = s.PutGrant(t.Context(), &g, 1000)
	must(t, err)
	if !created || !kept.FirstPlay.IsZero() {
		t.Error("a grant that was deleted is not new")
	}
}

func grantsOfViewer(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	for _, g := range []store.Grant{rental(env, "b", "u1"), rental(env, "a", "u1"), rental(env, "B", "u1"), rental(env, "c", "u2"), rental(environment(), "d", "u1")} {
		_, _, err := s.PutGrant(t.Context(), &g, 1000)
		must(t, err)
	}
	elsewhere := rental(env, "e", "u1")
	elsewhere.Issuer = "partner"
	_, _, err := s.PutGrant(t.Context(), &elsewhere, 1000)
	must(t, err)
	got, err := s.GrantsOf(t.Context(), env, "main", "u1")
	must(t, err)
	equal(t, "u1", []store.Grant{rental(env, "B", "u1"), rental(env, "a", "u1"), rental(env, "b", "u1")}, got)
	if got, err := s.GrantsOf(t.Context(), env, "main", "nobody"); err != nil || len(got) != 0 {
		t.Errorf("nobody has %v, %v", got, err)
	}
	for viewer, want := range map[string][]string{"u1": {"main", "partner"}, "u2": {"main"}, "nobody": nil} {
		got, err := s.GrantIssuers(t.Context(), env, viewer)
		must(t, err)
		equal(t, "the issuers of "+viewer+"'s grants", want, got)
	}
}

// grantLimit has two replicas write many grants of one viewer at once.
func grantLimit(t *testing.T, open func(*testing.T) store.Store) {
	env := environment()
	replicas := []store.Store{open(t), open(t)}
	const limit, writers = 5, 12
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			g := rental(env, fmt.Sprint("g", i), "u1")
			_, _, errs[i] = replicas[i%2].PutGrant(context.Background(), &g, limit)
		})
	}
	wg.Wait()
	var there []int
	for i, err := range errs {
		switch {
		case err == nil:
			there = append(there, i)
		case !errors.Is(err, store.ErrTooManyGrants):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	list, err := replicas[0].GrantsOf(t.Context(), env, "main", "u1")
	must(t, err)
	if len(there) != limit || len(list) != limit {
		t.Fatalf("%d writers were told that they wrote, and the viewer has %d grants, want %d", len(there), len(list), limit)
	}
	// What is there may be written again, and others have their own limit.
	again := rental(env, list[0].ID, "u1")
	if _, created, err := replicas[1].PutGrant(t.Context(), &again, limit); err != nil || created {
		t.Errorf("writing a grant again at the limit: created %v, %v", created, err)
	}
	elsewhere := rental(env, "elsewhere", "u1")
	elsewhere.Issuer = "partner"
	for _, g := range []store.Grant{rental(env, "other", "u2"), elsewhere, rental(environment(), "g0", "u1")} {
		if _, created, err := replicas[1].PutGrant(t.Context(), &g, limit); err != nil || !created {
			t.Errorf("a grant of somebody else: created %v, %v", created, err)
		}
	}
	// One less makes room for one.
	must(t, replicas[0].DeleteGrant(t.Context(), env, list[0].ID))
	for i, want := range []error{nil, store.ErrTooManyGrants} {
		g := rental(env, fmt.Sprint("late", i), "u1")
		if _, _, err := replicas[1].PutGrant(t.Context(), &g, limit); !errors.Is(err, want) {
			t.Errorf("after one was deleted, new grant %d: %v, want %v", i, err, want)
		}
	}
}

// grantsOfScopes asks for scopes whose texts could be taken for each other.
func grantsOfScopes(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	scopes := []store.GrantScope{
		{Kind: "all"},
		{Kind: "asset_id", ID: "A1"},
		{Kind: "asset_id", ID: "a1"},
		{Kind: "playback_id", ID: "A1"},
		{Kind: "live_stream_id", ID: "A1"},
		{Kind: "tag", ID: "A1"},
		{Kind: "tag", ID: "it's, (new) %_"},
	}
	for i, scope := range scopes {
		for _, viewer := range []string{"u1", "u2"} {
			g := rental(env, fmt.Sprintf("%s-%d", viewer, i), viewer)
			g.ScopeKind, g.ScopeID = scope.Kind, scope.ID
			_, _, err := s.PutGrant(t.Context(), &g, 1000)
			must(t, err)
		}
	}
	u1 := store.GrantHolder{Environment: env, Issuer: "main", Viewer: "u1"}
	for i, scope := range scopes {
		got, err := s.GrantsFor(t.Context(), u1, []store.GrantScope{scope})
		must(t, err)
		if len(got) != 1 || got[0].ID != fmt.Sprintf("u1-%d", i) {
			t.Errorf("of scope %v: %v", scope, got)
		}
	}
	got, err := s.GrantsFor(t.Context(), u1, scopes)
	must(t, err)
	all, err := s.GrantsOf(t.Context(), env, "main", "u1")
	must(t, err)
	equal(t, "of all scopes", all, got)
	for what, h := range map[string]store.GrantHolder{
		"another environment's": {Environment: environment(), Issuer: "main", Viewer: "u1"},
		"another issuer's":      {Environment: env, Issuer: "partner", Viewer: "u1"},
	} {
		if got, err := s.GrantsFor(t.Context(), h, scopes); err != nil || len(got) != 0 {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	if got, err := s.GrantsFor(t.Context(), u1, nil); err != nil || len(got) != 0 {
		t.Errorf("of no scope: %v, %v", got, err)
	}
	many := make([]store.GrantScope, 100)
	for i := range many {
		many[i] = store.GrantScope{Kind: "tag", ID: fmt.Sprint("t", i)}
	}
	if got, err := s.GrantsFor(t.Context(), u1, append(many, scopes[0])); err != nil || len(got) != 1 {
		t.Errorf("of a hundred scopes: %v, %v", got, err)
	}
}

func startOnce(t *testing.T, open func(*testing.T) store.Store) {
	env := environment()
	replicas := []store.Store{open(t), open(t)}
	g := rental(env, "g1", "u1")
	_, _, err := replicas[0].PutGrant(t.Context(), &g, 1000)
	must(t, err)
	times := make([]time.Time, 16)
	var wg sync.WaitGroup
	for i := range times {
		wg.Go(func() {
			var err error
			times[i], err = replicas[i%2].StartPlay(context.Background(), env, "g1", g.From.Add(time.Duration(i+1)*time.Second))
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, at := range times {
		if !at.Equal(times[0]) || at.IsZero() {
			t.Errorf("call %d began the rental at %s, call 0 at %s", i, at, times[0])
		}
	}
	got, err := replicas[1].Grant(t.Context(), env, "g1")
	must(t, err)
	if !got.FirstPlay.Equal(times[0]) {
		t.Errorf("the grant says %s, the calls %s", got.FirstPlay, times[0])
	}
	if _, err := replicas[0].StartPlay(t.Context(), env, "gone", g.From); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("beginning what is not there: %v", err)
	}
	if got := fmt.Sprint(times[0].Location()); got != "UTC" {
		t.Errorf("the time is in %s", got)
	}
}
