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
		kept, created, err := s.PutGrant(t.Context(), &g)
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
	kept, _, err := s.PutGrant(t.Context(), &fine)
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
	_, _, err := s.PutGrant(t.Context(), &g)
	must(t, err)
	played := g.From.Add(time.Hour)
	_, err = s.StartPlay(t.Context(), env, "g1", played)
	must(t, err)

	again := g
	again.Type, again.PlayWithin, again.Attributes = "purchase", 0, nil
	again.CreatedAt, again.UpdatedAt = g.CreatedAt.Add(time.Minute), g.UpdatedAt.Add(time.Minute)
	kept, created, err := s.PutGrant(t.Context(), &again)
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
		if _, created, err := s.PutGrant(t.Context(), &others); !errors.Is(err, store.ErrOtherViewer) || created {
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
	kept, created, err = s.PutGrant(t.Context(), &g)
	must(t, err)
	if !created || !kept.FirstPlay.IsZero() {
		t.Error("a grant that was deleted is not new")
	}
}

func grantsOfViewer(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	for _, g := range []store.Grant{rental(env, "b", "u1"), rental(env, "a", "u1"), rental(env, "B", "u1"), rental(env, "c", "u2"), rental(environment(), "d", "u1")} {
		_, _, err := s.PutGrant(t.Context(), &g)
		must(t, err)
	}
	elsewhere := rental(env, "e", "u1")
	elsewhere.Issuer = "partner"
	_, _, err := s.PutGrant(t.Context(), &elsewhere)
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

func startOnce(t *testing.T, open func(*testing.T) store.Store) {
	env := environment()
	replicas := []store.Store{open(t), open(t)}
	g := rental(env, "g1", "u1")
	_, _, err := replicas[0].PutGrant(t.Context(), &g)
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
