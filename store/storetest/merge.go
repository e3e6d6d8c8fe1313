package storetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/playgate/playgate/playback"
	"github.com/playgate/playgate/store"
)

func anyOrder(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	orders := [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}}
	for _, order := range orders {
		env := environment()
		versions := []store.Object{asset(env, "A1", 10, "a"), asset(env, "A1", 20, "b"), asset(env, "A1", 30, "c"), asset(env, "A1", 30, "d")}
		for _, i := range order {
			_, fresh, err := s.Apply(t.Context(), nil, []store.Object{versions[i]}, union)
			must(t, err)
			if !fresh {
				t.Error("what no event told of was taken before")
			}
		}
		want := map[string]store.Object{"asset A1": asset(env, "A1", 30, "d")}
		if diff := cmp.Diff(want, contents(t, s, env)); diff != "" {
			t.Errorf("order %v: %s", order, diff)
		}
	}
	env := environment()
	applied, _, err := s.Apply(t.Context(), nil, []store.Object{
		asset(env, "A1", 10, "a"), asset(env, "A1", 5, "z"),
		{Environment: env, Kind: store.LiveStream, ID: "A1", Version: 5, Data: []byte("l")},
	}, union)
	must(t, err)
	if diff := cmp.Diff([]bool{true, false, true}, applied); diff != "" {
		t.Error(diff)
	}
}

func deletedIsFinal(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	env := environment()
	gone := store.Object{Environment: env, Kind: store.Asset, ID: "A1", Version: 10, Deleted: true}
	for _, o := range []store.Object{asset(env, "A1", 20, "new"), gone, asset(env, "A1", 30, "newer")} {
		_, _, err := s.Apply(t.Context(), nil, []store.Object{o}, union)
		must(t, err)
	}
	if diff := cmp.Diff(map[string]store.Object{"asset A1": gone}, contents(t, s, env)); diff != "" {
		t.Error(diff)
	}
	other := environment()
	unknown := store.Object{Environment: other, Kind: store.Asset, ID: "A9", Version: 1, Deleted: true}
	_, _, err := s.Apply(t.Context(), nil, []store.Object{unknown}, union)
	must(t, err)
	applied, _, err := s.Apply(t.Context(), nil, []store.Object{asset(other, "A9", 2, "late")}, union)
	must(t, err)
	if applied[0] {
		t.Error("an object whose deletion came first was brought back")
	}
}

// union is the suite's store.Join: the larger data, and the playback IDs of both.
func union(a, b *store.Object) store.Object {
	joined := store.Object{Data: a.Data, PlaybackIDs: slices.Concat(a.PlaybackIDs, b.PlaybackIDs)}
	if bytes.Compare(b.Data, a.Data) > 0 {
		joined.Data = b.Data
	}
	slices.Sort(joined.PlaybackIDs)
	joined.PlaybackIDs = slices.Compact(joined.PlaybackIDs)
	return joined
}

// joinedInAnyOrder applies what was said at few times, with repetitions, in
// random orders and by two replicas: of the last time everything counts, and of
// the times before nothing.
func joinedInAnyOrder(t *testing.T, open func(*testing.T) store.Store) {
	replicas := [2]store.Store{open(t), open(t)}
	random := rand.New(rand.NewPCG(7, 15)) //nolint:gosec // the same orders every time
	for round := range 10 {
		env := environment()
		want := asset(env, "A1", 0, "")
		said := make([]store.Object, 2+random.IntN(5))
		for i := range said {
			o := asset(env, "A1", int64(1+random.IntN(3)), []string{"a", "b", "c"}[random.IntN(3)])
			for p := range 3 {
				if random.IntN(2) == 0 {
					o.PlaybackIDs = append(o.PlaybackIDs, playback.ID(fmt.Sprintf("P%d", p)))
				}
			}
			said[i] = o
			switch {
			case o.Version > want.Version:
				want = o
			case o.Version == want.Version:
				joined := union(&want, &o)
				want.Data, want.PlaybackIDs = joined.Data, joined.PlaybackIDs
			}
		}
		order := append(random.Perm(len(said)), random.Perm(len(said))...)
		for _, i := range order {
			_, _, err := replicas[random.IntN(2)].Apply(t.Context(), nil, []store.Object{said[i]}, union)
			must(t, err)
		}
		got := contents(t, replicas[0], env)
		bytesAlike := cmp.Comparer(bytes.Equal)
		if diff := cmp.Diff(want, got["asset A1"], bytesAlike, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("round %d, order %v: %s", round, order, diff)
		}
		for _, o := range said {
			for _, id := range o.PlaybackIDs {
				if o, noted := got["playback_id "+string(id)]; !slices.Contains(want.PlaybackIDs, id) && (!noted || !o.Deleted) {
					t.Errorf("round %d, order %v: %s is not gone", round, order, id)
				}
			}
		}
		applied, _, err := replicas[1].Apply(t.Context(), nil, said, union)
		must(t, err)
		if slices.Contains(applied, true) {
			t.Errorf("round %d: what was said before changes something: %v", round, applied)
		}
	}
}

// gone applies what Mux said in every order: what remains must be the same, and
// so must the playback IDs that no longer are.
func gone(t *testing.T, open func(*testing.T) store.Store) {
	s := open(t)
	said := func(env playback.EnvironmentID) []store.Object {
		list := []store.Object{asset(env, "A1", 10, "a"), asset(env, "A1", 20, "b"), asset(env, "A1", 20, "c"), asset(env, "A1", 30, "d")}
		list[0].PlaybackIDs = []playback.ID{"P1"}
		list[1].PlaybackIDs = []playback.ID{"P1", "P2"}
		list[2].PlaybackIDs = []playback.ID{"P3"}
		list[3].PlaybackIDs = []playback.ID{"P2", "P4"}
		return list
	}
	for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 1, 0, 3}, {0, 3, 1, 2}} {
		env := environment()
		for _, i := range order {
			_, _, err := s.Apply(t.Context(), nil, []store.Object{said(env)[i]}, union)
			must(t, err)
		}
		got := contents(t, s, env)
		if diff := cmp.Diff(said(env)[3], got["asset A1"]); diff != "" {
			t.Errorf("order %v: %s", order, diff)
		}
		for _, id := range []string{"playback_id P1", "playback_id P3"} {
			if o, ok := got[id]; !ok || !o.Deleted || len(o.Data) > 0 {
				t.Errorf("order %v: %s is %+v, want it gone", order, id, o)
			}
		}
		_, _, err := s.Apply(t.Context(), nil, []store.Object{{Environment: env, Kind: store.Asset, ID: "A1", Version: 1, Deleted: true}}, union)
		must(t, err)
		if n := len(contents(t, s, env)); n != 5 { // the asset and P1 to P4
			t.Errorf("order %v: %d records, want 5", order, n)
		}
	}
}
